package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

const (
	// rankDelay is what each further member waits before it answers a call for
	// help, so that mostly one answers (protocol, section 8).
	rankDelay = 5 * time.Second
	// askAgain is how often a device repeats its call.
	askAgain = time.Hour
)

// callRecord is a leaf's call to be added again: by a device that was away for
// too long or lost its state (rejoin), or that cannot process a commit (broken).
type callRecord struct {
	Type   proto.NoticeType
	MK     proto.MemberKey
	Notice proto.Hash // Entry.Hash
	Seq    uint64     // broken: of the commit
	Minute uint64     // stamp of the notice
	Seen   uint64     // Unix seconds, own clock
}

func (r *callRecord) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint8(c, &r.Type)
	r.MK.Wire(c)
	r.Notice.Wire(c)
	wire.Uint64(c, &r.Seq)
	wire.Uint64(c, &r.Minute)
	wire.Uint64(c, &r.Seen)
}

// applyCall records that a leaf asks to be added again. A broken notice that
// names another entry than this device has at that place is a split view.
func (t *tx) applyCall(cv *conversation, s *proto.Stamped, n *proto.Notice) error {
	if cv.group == nil || s.Entry.MK == cv.own() {
		return nil
	}
	if _, ok := cv.keys.leafOf(s.Entry.MK); !ok {
		return nil
	}
	if n.Type == proto.NoticeBroken {
		own, err := t.logged(cv, n.Seq)
		if err != nil {
			return err
		}
		if own != nil && own.Entry != n.Hash {
			cv.meta.Alarm = fmt.Sprintf("a member was shown another entry %d than this device", n.Seq)
			return nil
		}
	}
	r := callRecord{
		Type: n.Type, MK: s.Entry.MK, Notice: s.Entry.Hash(), Seq: n.Seq,
		Minute: s.Receipt.Minute, Seen: uint64(t.c.now().Unix()),
	}
	return t.save(key("call", cv.id, s.Entry.MK.Hex()), r.wire)
}

// calls lists the calls nobody has answered.
func (t *tx) calls(cv *conversation) ([]callRecord, error) {
	records, err := t.list(key("call", cv.id, ""), "", 0)
	if err != nil {
		return nil, err
	}
	all := make([]callRecord, len(records))
	for i := range records {
		if err := wire.Decode(records[i].Value, all[i].wire); err != nil {
			return nil, fmt.Errorf("stored call: %w", err)
		}
	}
	return all, nil
}

// healed forgets the calls that a commit has answered.
func (t *tx) healed(cv *conversation) error {
	all, err := t.calls(cv)
	for _, r := range all {
		if _, in := cv.keys.leafOf(r.MK); !in {
			t.del(key("call", cv.id, r.MK.Hex()))
		}
	}
	return err
}

// broken stops this device at the present epoch: the commit cannot be
// processed. Nothing is sent until it is added again (protocol, section 9).
func (t *tx) broken(cv *conversation, s *proto.Stamped, hash proto.Hash, why error) error {
	t.c.cfg.Log.Warn("a commit cannot be processed", "why", why)
	cv.meta.State = stateBroken
	cv.meta.Broken = brokenAt{Seq: s.Receipt.Seq, Hash: hash, Minute: s.Receipt.Minute, By: s.Entry.MK}
	f, err := proto.ParseFrame(s.Entry.Bytes)
	if err != nil {
		return err
	}
	if d, err := f.KeyDelta(); err == nil {
		cv.meta.Broken.Removes = d.Removes
	}
	return t.dropPending(cv)
}

// unreadable deals with a refusal to read the log.
func (c *Client) unreadable(ctx context.Context, id proto.ConversationID, err error) error {
	gone, closed := errors.Is(err, proto.Gone), errors.Is(err, proto.ClosedKey) || errors.Is(err, proto.NotMember)
	if !gone && !closed {
		return err
	}
	return c.step(ctx, func(t *tx) error {
		cv, e := t.conv(id)
		if e != nil || cv == nil {
			return errors.Join(e, ErrUnknownChat)
		}
		switch {
		case gone:
			cv.meta.State = stateLost
			return errors.Join(t.dropPending(cv), t.saveMeta(cv))
		case cv.meta.State == stateLive && cv.head.Known:
			// The log showed no removal: the server's word alone ends nothing.
			return fmt.Errorf("%w: the server does not take this device's key", ErrNotMember)
		}
		if cv.meta.State == stateLost {
			t.warn(cv, "this device's key is none of a member's any more: ask a member to add you (huis chat add)")
		}
		cv.meta.State = stateRemoved
		return errors.Join(t.endMembership(cv), t.saveMeta(cv))
	})
}

// askForHelp tells the members that this device needs to be added again, and
// re-forms the conversation when nobody did.
func (c *Client) askForHelp(ctx context.Context, id proto.ConversationID) error {
	if err := c.considerReforms(ctx, id); err != nil {
		return err
	}
	var notice *proto.Notice
	var late bool
	err := c.step(ctx, func(t *tx) error {
		notice, late = nil, false
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		now := uint64(c.now().Unix())
		b := &cv.meta.Broken
		switch {
		case cv.meta.State == stateBroken && t.tooLong(cv):
			cv.meta.State = stateLost
			return errors.Join(t.endMembership(cv), t.saveMeta(cv))
		case cv.meta.State == stateBroken && !b.Told:
			notice = &proto.Notice{Type: proto.NoticeBroken, Seq: b.Seq, Hash: b.Hash}
		case cv.meta.State == stateBroken:
			late = t.reformDue(cv)
		case cv.meta.State == stateLost && now >= cv.meta.Asked+uint64(askAgain.Seconds()):
			notice = &proto.Notice{Type: proto.NoticeRejoin}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if late {
		return c.reform(ctx, id)
	}
	if notice == nil {
		return nil
	}
	if err := c.notify(ctx, id, *notice); err != nil {
		return c.unreadable(ctx, id, err)
	}
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return err
		}
		cv.meta.Broken.Told = cv.meta.State == stateBroken
		cv.meta.Asked = uint64(c.now().Unix())
		return t.saveMeta(cv)
	})
}

// rankOf returns the place of leaf among those that may answer a notice: the
// devices of the account that called first, then by SHA-256(notice ‖ leaf).
func (cv *conversation) rankOf(notice proto.Hash, caller mls.LeafIndex, leaf mls.LeafIndex) int {
	roster := cv.roster()
	hash := func(l mls.LeafIndex) []byte {
		h := sha256.Sum256(binary.BigEndian.AppendUint32(bytes.Clone(notice[:]), uint32(l)))
		own := byte(1)
		if roster[l].Account == roster[caller].Account {
			own = 0
		}
		return append([]byte{own}, h[:]...)
	}
	rank, mine := 0, hash(leaf)
	for l := range roster {
		if l != caller && l != leaf && bytes.Compare(hash(l), mine) < 0 {
			rank++
		}
	}
	return rank
}

// answerCalls adds devices again that asked for it: one commit with Remove and
// Add (protocol, sections 8 and 9).
func (c *Client) answerCalls(ctx context.Context, id proto.ConversationID) error {
	type due struct {
		call callRecord
		who  member
	}
	var all []due
	err := c.step(ctx, func(t *tx) error {
		all = nil
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.group == nil {
			return errors.Join(err)
		}
		calls, err := t.calls(cv)
		if err != nil {
			return err
		}
		for _, r := range calls {
			leaf, ok := cv.keys.leafOf(r.MK)
			who, in := cv.roster()[leaf]
			wait := time.Duration(cv.rankOf(r.Notice, leaf, cv.group.OwnLeaf())) * rankDelay
			if ok && in && c.now().Unix() >= int64(r.Seen)+int64(wait.Seconds()) {
				all = append(all, due{r, who})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var failed error
	for _, d := range all {
		if err := c.answer(ctx, id, d.call.MK, d.who); err != nil && !refused(err) {
			return err
		} else if err != nil {
			failed = err
		}
	}
	return failed
}

// answer exchanges the leaf of a device for a new one of the same device; if all
// devices were lost, of the one that the recovery key has added since; if it is
// revoked, of one that stands in its account's chain. After a RESET there is
// none.
func (c *Client) answer(ctx context.Context, id proto.ConversationID, mk proto.MemberKey, who member) error {
	chain, err := c.freshChain(ctx, who.Account, 0)
	if err != nil {
		return err
	}
	gone := false
	err = c.step(ctx, func(t *tx) (err error) { gone, err = t.isFormer(who.Account); return err })
	if _, closed := chain.Closed(); closed || gone || err != nil {
		return err
	}
	device, err := c.successorOf(ctx, id, chain, who)
	if err != nil {
		return err
	}
	if d, ok := chain.Device(kt.DeviceID(device)); !ok || d.Revoked {
		others, err := c.missing(ctx, id, who.Account)
		if err != nil || len(others) == 0 {
			return err
		}
		device = others[0]
	}
	adds, err := c.claim(ctx, who.Account, device)
	if err != nil {
		return err
	}
	_, err = c.commit(ctx, id, func(t *tx, cv *conversation) (*change, error) {
		leaf, ok := cv.keys.leafOf(mk)
		if !ok {
			return nil, errNothing // another member was faster
		}
		return &change{removes: []mls.LeafIndex{leaf}, adds: slices.Clone(adds[:1])}, nil
	})
	return err
}
