package client

import (
	"context"
	"errors"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// applyNotice records what a member tells the others (protocol, sections 8, 9
// and 11). What follows from it is done by the duties.
func (t *tx) applyNotice(cv *conversation, s *proto.Stamped) error {
	n, err := proto.ParseNotice(s.Entry.Bytes)
	if err != nil {
		return err
	}
	switch n.Type {
	case proto.NoticeLeave:
		return t.applyLeave(cv, s)
	case proto.NoticeRejoin, proto.NoticeBroken:
		return t.applyCall(cv, s, &n)
	case proto.NoticeReform:
		return t.applyReform(cv, s, &n)
	}
	return nil
}

func (t *tx) applyLeave(cv *conversation, s *proto.Stamped) error {
	if s.Entry.MK == cv.own() {
		cv.meta.State = stateLeft
		return errors.Join(t.tellLeft(cv, s), t.endMembership(cv))
	}
	if cv.group == nil {
		return nil
	}
	if _, ok := cv.keys.leafOf(s.Entry.MK); !ok || slices.Contains(cv.meta.Left, s.Entry.MK) {
		return nil
	}
	cv.meta.Left = append(cv.meta.Left, s.Entry.MK)
	return t.save(key("left", cv.id, s.Entry.MK.Hex()), s.Entry.Wire)
}

// leaveNotice returns the notice by which a key left, nil if this device has
// not seen it.
func (t *tx) leaveNotice(cv *conversation, mk proto.MemberKey) (*proto.Entry, error) {
	b, err := t.get(key("left", cv.id, mk.Hex()))
	if err != nil || b == nil {
		return nil, err
	}
	e := new(proto.Entry)
	return e, wire.Decode(b, e.Wire)
}

// notify appends a notice, signed by the own member key. The bytes depend on
// nothing that changes, so that sending them again has the same answer.
func (c *Client) notify(ctx context.Context, id proto.ConversationID, n proto.Notice) error {
	var e proto.Entry
	err := c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		e = proto.Entry{Kind: proto.KindNotice, Conversation: id, Bytes: wire.MustEncode(n.Wire)}
		late, err := t.waitsLate(cv)
		if err != nil {
			return err
		}
		if cv.group != nil && !late { // the server's log may never have come to that epoch
			e.Epoch = cv.group.Epoch()
		}
		return e.Sign(cv.meta.Seed.key())
	})
	if err != nil {
		return err
	}
	return c.call(ctx, Conversations, proto.Append, &proto.AppendRequest{Entry: e}, &proto.AppendResponse{})
}
