package client

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

const (
	// receiptPeople is up to how many people a conversation has read receipts
	// (protocol, section 11).
	receiptPeople = 20
	// receiptEvery is the least time between two: one names all messages read
	// since the last.
	receiptEvery = 30 * time.Second
)

// queueReceipt tells the others, at once for all of them, which of their
// messages were read on this device.
func (t *tx) queueReceipt(cv *conversation) error {
	m := &cv.meta
	now := uint64(max(0, t.c.now().Unix()))
	if m.Read <= m.Told || now < m.ToldAt+uint64(receiptEvery.Seconds()) && now >= m.ToldAt {
		return nil
	}
	if m.Policy.Kind == kindDevices || len(cv.accounts()) > receiptPeople {
		m.Told = m.Read
		return t.saveMeta(cv)
	}
	targets, last, err := t.readSince(cv)
	if err != nil {
		return err
	}
	m.Told, m.ToldAt = last, now
	if len(targets) > 0 {
		r := content.New(content.Receipt, t.c.now())
		r.Targets, r.Read = targets, true
		if _, err := t.queue(cv.id, r); err != nil {
			return err
		}
	}
	return t.saveMeta(cv)
}

// readSince returns the others' messages read and not told of yet, and the seq
// up to which they are.
func (t *tx) readSince(cv *conversation) (targets []content.ID, last uint64, err error) {
	me, err := t.identity()
	if err != nil {
		return nil, 0, err
	}
	last = cv.meta.Read
	records, err := t.list(key("msg", cv.id, ""), key("msg", cv.id, seqKey(cv.meta.Told)), 0)
	if err != nil {
		return nil, 0, err
	}
	for _, rec := range records {
		seq, err := strconv.ParseUint(rec.Key[strings.LastIndexByte(rec.Key, '/')+1:], 10, 64)
		if err != nil || seq > cv.meta.Read {
			break
		}
		var r messageRecord
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return nil, 0, err
		}
		body, err := r.body()
		if err != nil {
			return nil, 0, err
		}
		if r.From.Account == me.Account || !visible(body) || body.Kind == content.System {
			continue
		}
		if len(targets) == content.MaxTargets {
			return targets, last, nil
		}
		targets, last = append(targets, body.ID), seq
	}
	return targets, cv.meta.Read, nil
}

// receiptKey holds who has read a message of this conversation.
func receiptKey(conv proto.ConversationID, seq uint64, by ...string) string {
	return key("rcpt", conv, append([]string{seqKey(seq)}, by...)...)
}

// applyReceipt records that from has read some messages. Those this device does
// not have are passed over.
func (t *tx) applyReceipt(cv *conversation, from member, m *content.Message) error {
	for _, id := range m.Targets {
		found, err := t.list("mid/"+id.Hex()+"/"+cv.id.Hex()+"/", "", 0)
		if err != nil {
			return err
		}
		for _, rec := range found {
			seq, err := strconv.ParseUint(string(rec.Value), 10, 64)
			if err != nil {
				return err
			}
			if b, err := t.get(key("msg", cv.id, seqKey(seq))); err != nil || b == nil {
				continue
			}
			t.put(receiptKey(cv.id, seq, from.Account.Hex()), nil)
		}
	}
	return nil
}

// readBy lists the handles of those who said that they have read a message.
func (t *tx) readBy(conv proto.ConversationID, seq uint64) (handles []string, err error) {
	records, err := t.list(receiptKey(conv, seq, ""), "", 0)
	for _, rec := range records {
		var a proto.AccountID
		if parseHex(a[:], rec.Key[strings.LastIndexByte(rec.Key, '/')+1:]) == nil {
			handles = append(handles, t.handleOf(a))
		}
	}
	slices.Sort(handles)
	return handles, err
}
