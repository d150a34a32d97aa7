package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// The own devices form a conversation of kind devices, in which they tell each
// other what a person expects on all of them: contacts, what was verified, how
// far one has read, drafts, and the keys of history archives. It is made when
// the second device is linked.

// Types of events in it.
const (
	eventContact  = "contact"
	eventVerified = "verified"
	eventVouched  = "vouched" // all that was verified, for a new device
	eventRead     = "read"
	eventDraft    = "draft"
	eventHistory  = "history" // historyOffer
	eventSealing  = "backup"  // sealingKey
)

// devicesConversation returns the conversation of the own devices, made if
// there is none.
func (c *Client) devicesConversation(ctx context.Context) (id proto.ConversationID, err error) {
	err = c.step(ctx, func(t *tx) error {
		known, ok, err := t.ownConversation()
		if err != nil || ok {
			id = known
			return err
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		p := policy{Kind: kindDevices, Creator: me.Account, Admins: []proto.AccountID{me.Account}}
		cv, err := t.newConversation(p, nil)
		if err == nil {
			id = cv.id
		}
		return err
	})
	if err != nil {
		return id, err
	}
	return id, c.syncConv(ctx, id)
}

// ownConversation finds the conversation of the own devices, false if there is
// none. Should two devices have made one each, all use that of the smaller id.
func (t *tx) ownConversation() (id proto.ConversationID, ok bool, err error) {
	me, err := t.identity()
	if err != nil {
		return id, false, err
	}
	ids, err := t.conversations()
	if err != nil {
		return id, false, err
	}
	for _, id := range ids { // in order
		cv, err := t.conv(id)
		if err != nil {
			return id, false, err
		}
		if cv.meta.Policy.Kind == kindDevices && cv.meta.Policy.Creator == me.Account && (cv.active() || cv.meta.State == statePlanned) {
			return id, true, nil
		}
	}
	return id, false, nil
}

// tellOwn queues an event for the own devices; with one device there is nobody
// to tell.
func (t *tx) tellOwn(kind string, fields func(*wire.Codec)) error {
	id, ok, err := t.ownConversation()
	if err != nil || !ok {
		return err
	}
	b, err := wire.Encode(fields)
	if err != nil {
		return err
	}
	m := content.New(content.System, t.c.now())
	m.Event = &content.Event{Type: kind, Data: b}
	_, err = t.queue(id, m)
	return err
}

// ownEvent does what another device of this account tells. It tells whether
// the event is one that needs no place in the store.
func (t *tx) ownEvent(cv *conversation, from member, m *content.Message) (done bool, err error) {
	me, err := t.identity()
	if err != nil || cv.meta.Policy.Kind != kindDevices || m.Kind != content.System {
		return false, err
	}
	if from.Account != me.Account {
		return false, nil
	}
	if from.Device == me.Device {
		return true, nil
	}
	err = t.applyEvent(m.Event)
	var safety *SafetyError
	if errors.Is(err, wire.ErrSyntax) || errors.As(err, &safety) {
		t.warn(cv, fmt.Sprintf("an event of another device of yours was not taken over: %v", err))
		err = nil
	}
	return true, err
}

func (t *tx) applyEvent(e *content.Event) error {
	switch e.Type {
	case eventContact:
		var k contact
		if err := wire.Decode(e.Data, k.wire); err != nil {
			return err
		}
		return t.keepHandle(k.Account, k.Handle)
	case eventVerified:
		var v verified
		if err := wire.Decode(e.Data, v.wire); err != nil {
			return err
		}
		return t.save(verifiedKey(v.Account), v.wire)
	case eventVouched:
		var all []verified
		if err := wire.Decode(e.Data, func(c *wire.Codec) { wire.Vector(c, &all, (*verified).wire) }); err != nil {
			return err
		}
		for i := range all {
			if err := t.save(verifiedKey(all[i].Account), all[i].wire); err != nil {
				return err
			}
		}
		return nil
	case eventRead:
		var r readMark
		if err := wire.Decode(e.Data, r.wire); err != nil {
			return err
		}
		return t.applyRead(&r)
	case eventDraft:
		var d draft
		if err := wire.Decode(e.Data, d.wire); err != nil {
			return err
		}
		return t.putDraft(&d)
	case eventStrict:
		var strict bool
		if err := wire.Decode(e.Data, func(c *wire.Codec) { wire.Bool(c, &strict) }); err != nil {
			return err
		}
		t.setStrict(strict)
		return nil
	case eventHistory:
		return t.offered(e.Data)
	case eventPolicy:
		return t.hearPolicy(e.Data)
	case eventNewLog:
		return t.hearNewLog(e.Data)
	case eventSealing:
		return t.takeSealingKey(e.Data)
	}
	return nil // of a later version
}

// verified is whether a person compared the keys of an account.
type verified struct {
	Account proto.AccountID
	Yes     bool
	Links   uint32 // length of the chain that was compared
	At      uint64 // Unix seconds
}

func (v *verified) wire(c *wire.Codec) {
	v.Account.Wire(c)
	wire.Bool(c, &v.Yes)
	wire.Uint32(c, &v.Links)
	wire.Uint64(c, &v.At)
}

func verifiedKey(a proto.AccountID) string { return "verified/" + a.Hex() }

// setVerified records, on all devices, that a person compared the keys of an
// account as its chain has them now.
func (t *tx) setVerified(a proto.AccountID, yes bool) error {
	chain, _, err := t.chain(a)
	if err != nil {
		return err
	}
	v := verified{Account: a, Yes: yes, Links: uint32(chain.Len()), At: uint64(max(0, t.c.now().Unix()))}
	t.del(comparePrefix + a.Hex())
	return errors.Join(t.save(verifiedKey(a), v.wire), t.tellOwn(eventVerified, v.wire))
}

// vouchedPerEvent bounds one event of all that was verified.
const vouchedPerEvent = 500

// tellVouched tells a new own device what was verified before it came.
func (t *tx) tellVouched() error {
	records, err := t.list("verified/", "", 0)
	if err != nil {
		return err
	}
	all := make([]verified, len(records))
	for i := range records {
		if err := wire.Decode(records[i].Value, all[i].wire); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(all, vouchedPerEvent) {
		if err := t.tellOwn(eventVouched, func(c *wire.Codec) { wire.Vector(c, &part, (*verified).wire) }); err != nil {
			return err
		}
	}
	cool, err := t.coolDown()
	if strict := cool == kt.StrictCoolDown; strict && err == nil {
		err = t.tellOwn(eventStrict, func(c *wire.Codec) { wire.Bool(c, &strict) })
	}
	return err
}

// isVerified tells whether the keys of an account were compared on one of the
// own devices.
func (t *tx) isVerified(a proto.AccountID) (bool, error) {
	v, err := t.verifiedOf(a)
	return v.Yes, err
}

func (t *tx) verifiedOf(a proto.AccountID) (v verified, err error) {
	return v, t.load(verifiedKey(a), v.wire)
}

// readMark is how far a person has read in a conversation.
type readMark struct {
	Conversation proto.ConversationID
	Seq          uint64
}

func (r *readMark) wire(c *wire.Codec) {
	r.Conversation.Wire(c)
	wire.Uint64(c, &r.Seq)
}

func readKey(id proto.ConversationID) string { return "readmark/" + id.Hex() }

// applyRead takes over a mark. One for a conversation that is not here yet
// waits until it is.
func (t *tx) applyRead(r *readMark) error {
	cv, err := t.conv(r.Conversation)
	if err != nil || cv == nil || cv.meta.Read >= r.Seq {
		return err
	}
	cv.meta.Read = r.Seq
	cv.meta.Told = max(cv.meta.Told, r.Seq) // that device tells the others
	return errors.Join(t.saveMeta(cv), t.save(readKey(r.Conversation), r.wire))
}

// tellReadEvery gathers read marks, so that reading does not send a message each.
const tellReadEvery = time.Minute

// toldKey holds when marks were told last, Unix seconds.
const toldKey = "readtold"

// tellRead tells the own devices how far this one has read, what it has not
// told before.
func (c *Client) tellRead(ctx context.Context) error {
	return c.step(ctx, func(t *tx) error {
		if _, ok, err := t.ownConversation(); err != nil || !ok {
			return err
		}
		var last uint64
		told := func(c *wire.Codec) { wire.Uint64(c, &last) }
		if err := t.load(toldKey, told); err != nil {
			return err
		}
		if since := t.c.now().Sub(time.Unix(int64(last), 0)); since >= 0 && since < tellReadEvery {
			return nil
		}
		ids, err := t.conversations()
		if err != nil {
			return err
		}
		for _, id := range ids {
			cv, err := t.conv(id)
			if err != nil {
				return err
			}
			var mark readMark
			if err := t.load(readKey(id), mark.wire); err != nil {
				return err
			}
			if cv.meta.Read <= mark.Seq || cv.meta.Policy.Kind == kindDevices {
				continue
			}
			mark, last = readMark{Conversation: id, Seq: cv.meta.Read}, uint64(max(0, t.c.now().Unix()))
			if err := errors.Join(t.save(toldKey, told), t.save(readKey(id), mark.wire), t.tellOwn(eventRead, mark.wire)); err != nil {
				return err
			}
		}
		return nil
	})
}

// draft is what a person has begun to write.
type draft struct {
	Conversation proto.ConversationID
	Text         string
}

func (d *draft) wire(c *wire.Codec) {
	d.Conversation.Wire(c)
	wire.String(c, &d.Text, content.MaxSystem-64)
}

func draftKey(id proto.ConversationID) string { return "draft/" + id.Hex() }

func (t *tx) putDraft(d *draft) error {
	if d.Text == "" {
		t.del(draftKey(d.Conversation))
		return nil
	}
	return t.save(draftKey(d.Conversation), d.wire)
}

// SetUnsent keeps, on all own devices, what a person has begun to write in a
// conversation; "" forgets it.
func (c *Client) SetUnsent(ctx context.Context, chat, text string) error {
	id, err := c.find(ctx, chat)
	if err != nil {
		return err
	}
	d := draft{Conversation: id, Text: text}
	return c.step(ctx, func(t *tx) error {
		return errors.Join(t.putDraft(&d), t.tellOwn(eventDraft, d.wire))
	})
}

// Unsent returns what SetUnsent kept.
func (c *Client) Unsent(ctx context.Context, chat string) (text string, err error) {
	id, err := c.find(ctx, chat)
	if err != nil {
		return "", err
	}
	var d draft
	err = c.step(ctx, func(t *tx) error { return t.load(draftKey(id), d.wire) })
	return d.Text, err
}

// otherDevices lists the own devices that are live, but for this one.
func (t *tx) otherDevices() (all []proto.DeviceID, err error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	chain, _, err := t.chain(me.Account)
	for _, d := range chain.Live() {
		if id := proto.DeviceID(d.ID); id != me.Device {
			all = append(all, id)
		}
	}
	slices.SortFunc(all, func(a, b proto.DeviceID) int { return slices.Compare(a[:], b[:]) })
	return all, err
}
