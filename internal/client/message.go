package client

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// messageRecord is one message as it was verified, with what proves it to
// others; the log record of the same seq has the rest.
type messageRecord struct {
	From     member
	Leaf     mls.LeafIndex
	Epoch    uint64
	M        mls.SignaturePublicKey
	Envelope []byte // content.Envelope
	Minute   uint64
	Expires  uint64 // Unix seconds; 0: never
	Unproven bool   // the sender's chain did not carry its key; not shown
}

func (r *messageRecord) wire(c *wire.Codec) {
	formatVersion(c)
	r.From.Account.Wire(c)
	r.From.Device.Wire(c)
	wire.Uint32(c, &r.Leaf)
	wire.Uint64(c, &r.Epoch)
	wire.Opaque(c, &r.M)
	wire.Opaque(c, &r.Envelope)
	wire.Uint64(c, &r.Minute)
	wire.Uint64(c, &r.Expires)
	wire.Bool(c, &r.Unproven)
}

// body returns the message itself. It was verified when it was stored.
func (r *messageRecord) body() (*content.Message, error) {
	var e content.Envelope
	if err := wire.Decode(r.Envelope, e.Wire); err != nil {
		return nil, fmt.Errorf("stored message: %w", err)
	}
	return content.Parse(e.Content)
}

// midKey indexes a message by its id; a sender uses an id once.
func midKey(id content.ID, conv proto.ConversationID, from member) string {
	return "mid/" + id.Hex() + "/" + conv.Hex() + "/" + from.Device.Hex()
}

// applyApplication decrypts, verifies and stores one message. What does not
// verify is not shown.
func (t *tx) applyApplication(cv *conversation, s *proto.Stamped, hash proto.Hash) error {
	if done, err := t.ownEcho(cv, s, hash); done || err != nil {
		return err
	}
	if cv.group == nil || cv.meta.State != stateLive || s.Entry.Epoch < cv.meta.First {
		return nil
	}
	if s.Entry.Epoch > cv.group.Epoch() {
		// Every change before this entry has been applied.
		cv.meta.Alarm = fmt.Sprintf("message %d is of epoch %d, and the server showed this device no change into it: something was left out", s.Receipt.Seq, s.Entry.Epoch)
		return nil
	}
	if s.Entry.MK == cv.own() && !cv.meta.Given {
		// Going on would use message keys twice.
		cv.meta.Alarm = fmt.Sprintf("message %d was sent with this device's key and this device does not know it: "+
			"its store is an older copy, or somebody has a copy of it", s.Receipt.Seq)
		return nil
	}
	t.passed(cv, s.Receipt.Minute)
	p, err := cv.group.Process(t.c.now(), s.Entry.Bytes)
	if err != nil {
		return t.unread(cv, s, err)
	}
	t.delta(cv, p.Delta)
	from, err := memberOf(&p.SenderMember.Credential)
	if err != nil || p.Kind != mls.ContentApplication {
		return t.unread(cv, s, errors.New("not a device's message"))
	}
	if k, ok := cv.keys.find(p.Sender.LeafIndex); !ok || k.MK != s.Entry.MK {
		return t.unread(cv, s, errForeign)
	}
	at := content.Place{Conversation: cv.id, Epoch: s.Entry.Epoch, Leaf: uint32(p.Sender.LeafIndex), MK: s.Entry.MK}
	opened, err := content.Open(p.Data, p.AuthenticatedData, at, ed25519.PublicKey(p.SenderMember.SignatureKey))
	if err != nil {
		return t.unread(cv, s, err)
	}
	t.told = toldPlace(cv, opened)
	if err := t.gossip(cv, &opened.Head, s.Receipt.Seq); err != nil || cv.meta.Alarm != "" {
		return err
	}
	if err := t.hearGossip(cv.id, from, opened); err != nil {
		return err
	}
	r := messageRecord{From: from, Leaf: p.Sender.LeafIndex, Epoch: s.Entry.Epoch, M: p.SenderMember.SignatureKey, Envelope: opened.Kept()}
	return t.keepMessage(cv, s, opened.Message, &r)
}

// unread records that an entry could not be shown, and why.
func (t *tx) unread(cv *conversation, s *proto.Stamped, why error) error {
	if errors.Is(why, mls.ErrDuplicate) {
		return nil // encrypted again by its sender, or a copy
	}
	t.warn(cv, fmt.Sprintf("message %d cannot be shown: %v", s.Receipt.Seq, why))
	return t.keepDud(cv, s, why)
}

// gossip compares the head a message's sender had verified with the own log
// (protocol, section 6).
func (t *tx) gossip(cv *conversation, h *proto.Head, seq uint64) error {
	if h.Seq == 0 {
		return nil
	}
	own, known, err := t.chainAt(cv, h.Seq)
	if err != nil {
		return err
	}
	other, err := t.anotherGeneration(cv, h)
	if err != nil {
		return err
	}
	switch {
	case other && cv.head.Known, h.Seq >= seq:
		cv.meta.Alarm = fmt.Sprintf("the sender of message %d has seen another log than this device", seq)
	case known && own != h.Chain:
		cv.meta.Alarm = fmt.Sprintf("the sender of message %d and this device were shown different entries up to %d: the server shows two versions of the log", seq, h.Seq)
	}
	return nil
}

// keepMessage stores a verified message unless it came before, encrypted twice.
func (t *tx) keepMessage(cv *conversation, s *proto.Stamped, m *content.Message, r *messageRecord) error {
	mid := midKey(m.ID, cv.id, r.From)
	if old, err := t.get(mid); err != nil || old != nil {
		return err
	}
	if ok, err := t.vouched(r); err != nil {
		return err
	} else if !ok { // not shown before the sender's chain is here
		t.put(seekKey(r.From.Account), nil)
	}
	if err := t.comesAgain(cv, m, r.From); err != nil {
		return err
	}
	t.put(mid, []byte(strconv.FormatUint(s.Receipt.Seq, 10)))
	if done, err := t.ownEvent(cv, r.From, m); done || err != nil {
		return err
	}
	if m.Kind == content.Receipt {
		return t.applyReceipt(cv, r.From, m)
	}
	if m.Kind == content.Delete {
		if err := t.takeBack(cv, r.From, m.Targets[0]); err != nil {
			return err
		}
	}
	return t.putMessage(cv.id, s.Receipt.Seq, s.Receipt.Minute, m, r)
}

// ownEcho shows an own message where the server put it.
func (t *tx) ownEcho(cv *conversation, s *proto.Stamped, hash proto.Hash) (done bool, err error) {
	n, err := t.get(key("outh", cv.id, hash.Hex()))
	if err != nil || n == nil {
		return false, err
	}
	out, err := t.outRecord(cv.id, string(n))
	if err != nil || out == nil {
		return false, err
	}
	m, err := content.Parse(out.Content)
	if err != nil {
		return false, err
	}
	me, err := t.identity()
	if err != nil {
		return false, err
	}
	r := messageRecord{
		From: member{me.Account, me.Device}, Leaf: out.Leaf, Epoch: s.Entry.Epoch,
		M: out.M, Envelope: out.Envelope,
	}
	if err := t.keepMessage(cv, s, m, &r); err != nil {
		return false, err
	}
	t.dropOut(cv.id, string(n), out)
	return true, nil
}
