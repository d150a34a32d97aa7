package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

const (
	// reformAfter is how long a broken conversation waits for help, by stamps
	// (protocol, section 9.3).
	reformAfter = 10 * time.Minute
	// brokenLife is how long the secrets of the last good epoch are kept
	// (protocol, section 9.5).
	brokenLife = 7 * 24 * time.Hour
)

// predecessor is the GroupContext extension of a successor: the conversation it
// continues, the commit that could not be processed, and the last good epoch.
type predecessor struct {
	Conversation  proto.ConversationID
	Seq           uint64     // of the bad commit
	Chain         proto.Hash // after it
	Epoch         uint64
	Authenticator []byte // epoch_authenticator of Epoch
	Base          uint64 // what this log's seq counts from in the chat
}

func (p *predecessor) wire(c *wire.Codec) {
	formatVersion(c)
	p.Conversation.Wire(c)
	wire.Uint64(c, &p.Seq)
	p.Chain.Wire(c)
	wire.Uint64(c, &p.Epoch)
	wire.OpaqueMax(c, &p.Authenticator, 64)
	wire.Uint64(c, &p.Base)
}

func (p *predecessor) extension() mls.Extension {
	return mls.Extension{ExtensionType: extPredecessor, ExtensionData: wire.MustEncode(p.wire)}
}

// predecessorOf reads the extension; nil if the group continues none.
func predecessorOf(v *mls.GroupView) (*predecessor, error) {
	data, ok := mls.FindExtension(v.Context().Extensions, extPredecessor)
	if !ok {
		return nil, nil
	}
	p := new(predecessor)
	return p, wire.Decode(data, p.wire)
}

// reformRecord is a reform notice in the log of the conversation it ends.
type reformRecord struct {
	Successor proto.ConversationID
	By        proto.MemberKey
}

func (r *reformRecord) wire(c *wire.Codec) {
	formatVersion(c)
	r.Successor.Wire(c)
	r.By.Wire(c)
}

// applyReform records that a member offers a successor. Which is followed is
// decided when its group is known.
func (t *tx) applyReform(cv *conversation, s *proto.Stamped, n *proto.Notice) error {
	if cv.group == nil {
		return nil
	}
	r := reformRecord{Successor: n.Successor, By: s.Entry.MK}
	return t.save(key("reform", cv.id, seqKey(s.Receipt.Seq)), r.wire)
}

// reformDue tells whether it is this device's turn to re-form a conversation
// nobody healed.
func (t *tx) reformDue(cv *conversation) bool {
	if cv.group == nil {
		return false
	}
	age := t.c.now().Sub(time.Unix(int64(cv.meta.Broken.Minute)*60, 0))
	caller, _ := cv.keys.leafOf(cv.meta.Broken.By)
	wait := time.Duration(cv.rankOf(cv.meta.Broken.Hash, caller, cv.group.OwnLeaf())) * rankDelay
	return age >= reformAfter+wait
}

// tooLong tells whether a conversation has been broken for so long that the
// secrets of its last good epoch have to go; then only being added again helps.
func (t *tx) tooLong(cv *conversation) bool {
	return t.c.now().Sub(time.Unix(int64(cv.meta.Broken.Minute)*60, 0)) >= brokenLife
}

// survivors returns the accounts of the last good epoch without the submitter
// of the bad commit and those it removed (protocol, section 9.4).
func (cv *conversation) survivors() []proto.AccountID {
	roster := cv.roster()
	out := map[proto.AccountID]bool{}
	for _, mk := range append(slices.Clone(cv.meta.Broken.Removes), cv.meta.Broken.By) {
		if l, ok := cv.keys.leafOf(mk); ok {
			out[roster[l].Account] = true
		}
	}
	return slices.DeleteFunc(cv.accounts(), func(a proto.AccountID) bool { return out[a] })
}

// reform makes a successor of a broken conversation: a new group with the same
// rules, announced in the old log by the transaction that creates it.
func (c *Client) reform(ctx context.Context, id proto.ConversationID) error {
	var next proto.ConversationID
	err := c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.group == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		offered, err := t.reforms(cv)
		if err != nil {
			return err
		}
		if len(offered) > 0 {
			return errNothing
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		accounts := cv.survivors()
		if !slices.Contains(accounts, me.Account) {
			return errNothing // the bad commit was about this account
		}
		chain, _, err := t.chainAt(cv, cv.meta.Broken.Seq)
		if err != nil {
			return err
		}
		p := predecessor{
			Conversation: id, Seq: cv.meta.Broken.Seq, Chain: chain,
			Epoch: cv.group.Epoch(), Authenticator: cv.group.EpochAuthenticator(),
			Base: cv.meta.Offset + cv.meta.Broken.Seq,
		}
		successor, err := t.newConversation(cv.meta.Policy, accounts, p.extension())
		if err != nil {
			return err
		}
		next = successor.id
		successor.meta.Reforms, successor.meta.Offset = id, p.Base
		return t.saveMeta(successor)
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.syncConv(ctx, next); err != nil {
		return err
	}
	if err := c.syncLog(ctx, id); err != nil {
		return err
	}
	return c.considerReforms(ctx, id)
}

// reformNotice returns the notice that a planned successor puts into its
// predecessor's log, nil if it continues none.
func (t *tx) reformNotice(cv *conversation) (*proto.Entry, error) {
	if cv.meta.Reforms == (proto.ConversationID{}) {
		return nil, nil
	}
	old, err := t.conv(cv.meta.Reforms)
	if err != nil || old == nil || old.group == nil {
		return nil, errors.Join(err, ErrUnknownChat)
	}
	n := proto.Notice{Type: proto.NoticeReform, Successor: cv.id}
	e := &proto.Entry{Kind: proto.KindNotice, Conversation: old.id, Epoch: old.group.Epoch(), Bytes: wire.MustEncode(n.Wire)}
	return e, e.Sign(old.meta.Seed.key())
}

// offer is a reform notice with its place.
type offer struct {
	reformRecord
	seq uint64
}

// reforms lists the successors offered, in log order.
func (t *tx) reforms(cv *conversation) ([]offer, error) {
	records, err := t.list(key("reform", cv.id, ""), "", 0)
	if err != nil {
		return nil, err
	}
	all := make([]offer, len(records))
	for i, rec := range records {
		if err := wire.Decode(rec.Value, all[i].reformRecord.wire); err != nil {
			return nil, fmt.Errorf("stored reform: %w", err)
		}
		all[i].seq, err = strconv.ParseUint(rec.Key[strings.LastIndexByte(rec.Key, '/')+1:], 10, 64)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// considerReforms follows the first valid successor offered, if this device has
// reason to (protocol, section 9.4). Any other stays a new conversation.
func (c *Client) considerReforms(ctx context.Context, id proto.ConversationID) error {
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.group == nil || cv.meta.State == stateSucceeded {
			return err
		}
		offers, err := t.reforms(cv)
		if err != nil {
			return err
		}
		for _, o := range offers {
			next, err := t.conv(o.Successor)
			if err != nil {
				return err
			}
			if next == nil || next.group == nil {
				return nil // its join package is still on the way
			}
			verdict, err := t.successor(cv, next, &o)
			if err != nil || verdict == waits {
				return err
			}
			if verdict == valid {
				return t.follow(cv, next)
			}
		}
		return nil
	})
}

// verdict says what a successor is to this device.
type verdict uint8

const (
	invalid verdict = iota
	waits           // its creator is still adding people
	valid
)

// successor judges an offered successor.
func (t *tx) successor(cv, next *conversation, o *offer) (verdict, error) {
	p, err := predecessorOf(&next.group.GroupView)
	if err != nil || p == nil || p.Conversation != cv.id {
		return invalid, nil
	}
	bad, err := t.badCommit(cv, p)
	if err != nil || bad == nil {
		return invalid, err
	}
	author, ok := cv.keys.leafOf(o.By)
	if !ok || !t.reason(cv, p, cv.roster()[author].Account) || !equalPolicy(&cv.meta.Policy, &next.meta.Policy) {
		return invalid, nil
	}
	want := cv.survivors()
	if cv.meta.State != stateBroken { // this device did process the commit
		want = slices.DeleteFunc(cv.accounts(), func(a proto.AccountID) bool { return a == bad.By })
	}
	have := next.accounts()
	for _, a := range have {
		if !slices.Contains(want, a) {
			return invalid, nil
		}
	}
	if cv.meta.State == stateBroken && len(have) < len(want) && next.meta.Seed.public() != o.By && len(next.meta.Wanted) == 0 {
		return waits, nil
	}
	return valid, nil
}

// badCommit checks what the successor says of the log and the last good epoch
// against the own; nil if it does not agree.
func (t *tx) badCommit(cv *conversation, p *predecessor) (*logRecord, error) {
	chain, known, err := t.chainAt(cv, p.Seq)
	if err != nil || !known || chain != p.Chain {
		return nil, err
	}
	rec, err := t.logged(cv, p.Seq)
	if err != nil || rec == nil || rec.Kind != proto.KindCommit || rec.Epoch != p.Epoch {
		return nil, err
	}
	if cv.group.Epoch() == p.Epoch && !bytes.Equal(cv.group.EpochAuthenticator(), p.Authenticator) {
		return nil, nil
	}
	return rec, nil
}

// reason tells whether this device follows without asking: it cannot process
// the commit itself, saw two other accounts say so, or an admin re-forms.
func (t *tx) reason(cv *conversation, p *predecessor, author proto.AccountID) bool {
	if cv.meta.State == stateBroken && cv.meta.Broken.Seq == p.Seq || cv.meta.Policy.admin(author) {
		return true
	}
	me, err := t.identity()
	if err != nil {
		return false
	}
	calls, err := t.calls(cv)
	if err != nil {
		return false
	}
	others := map[proto.AccountID]bool{}
	roster := cv.roster()
	for _, r := range calls {
		if l, ok := cv.keys.leafOf(r.MK); ok && r.Type == proto.NoticeBroken && r.Seq == p.Seq && roster[l].Account != me.Account {
			others[roster[l].Account] = true
		}
	}
	return len(others) >= 2
}

func equalPolicy(a, b *policy) bool {
	return bytes.Equal(wire.MustEncode(a.wire), wire.MustEncode(b.wire))
}

// follow moves this device to the successor: what waits to be sent goes there,
// and the secrets of the old conversation die.
func (t *tx) follow(cv, next *conversation) error {
	cv.meta.State, cv.meta.Successor = stateSucceeded, next.id
	next.meta.Reforms = cv.id
	if err := t.endMembership(cv); err != nil {
		return err
	}
	if err := t.moveOutbox(cv, next); err != nil {
		return err
	}
	return errors.Join(t.saveMeta(cv), t.saveMeta(next))
}

// moveOutbox puts the messages without receipt into the successor's outbox.
func (t *tx) moveOutbox(from, to *conversation) error {
	records, err := t.list(key("out", from.id, ""), "", 0)
	if err != nil {
		return err
	}
	for _, rec := range records {
		var r outRecord
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return fmt.Errorf("stored outbox: %w", err)
		}
		if _, err := t.requeue(to.id, r.Content); err != nil {
			return err
		}
		t.del(rec.Key)
	}
	return nil
}
