package client

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// outRecord is a message to send. It leaves the outbox when it is read back
// from the log.
type outRecord struct {
	Content  []byte // content.Message
	Entry    *proto.Entry
	Envelope []byte // content.Envelope of Entry
	Leaf     mls.LeafIndex
	M        mls.SignaturePublicKey // that signed Envelope
	Acked    uint64                 // seq of the receipt; 0: none yet
}

func (r *outRecord) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Opaque(c, &r.Content)
	wire.Optional(c, &r.Entry, (*proto.Entry).Wire)
	wire.Opaque(c, &r.Envelope)
	wire.Uint32(c, &r.Leaf)
	wire.Opaque(c, &r.M)
	wire.Uint64(c, &r.Acked)
}

// queue puts a message at the end of the conversation's outbox.
func (t *tx) queue(id proto.ConversationID, m *content.Message) (n string, err error) {
	b, err := m.Encode()
	if err != nil {
		return "", err
	}
	return t.requeue(id, b)
}

// requeue is queue for an encoded message.
func (t *tx) requeue(id proto.ConversationID, b []byte) (n string, err error) {
	all, err := t.list(key("out", id, ""), "", 0)
	if err != nil {
		return "", err
	}
	next := uint64(1)
	if len(all) > 0 {
		last := all[len(all)-1].Key
		k, err := strconv.ParseUint(last[strings.LastIndexByte(last, '/')+1:], 10, 64)
		if err != nil {
			return "", fmt.Errorf("stored outbox: %w", err)
		}
		next = k + 1
	}
	r := outRecord{Content: b}
	n = seqKey(next)
	return n, t.save(key("out", id, n), r.wire)
}

func (t *tx) outRecord(id proto.ConversationID, n string) (*outRecord, error) {
	b, err := t.get(key("out", id, n))
	if err != nil || b == nil {
		return nil, err
	}
	r := new(outRecord)
	return r, wire.Decode(b, r.wire)
}

func (t *tx) dropOut(id proto.ConversationID, n string, r *outRecord) {
	t.del(key("out", id, n))
	if r.Entry != nil {
		t.del(key("outh", id, r.Entry.Hash().Hex()))
	}
}

// outbox returns the first message that has no receipt, "" if there is none.
func (t *tx) outbox(id proto.ConversationID) (n string, r *outRecord, err error) {
	all, err := t.list(key("out", id, ""), "", 0)
	if err != nil {
		return "", nil, err
	}
	for _, rec := range all {
		r := new(outRecord)
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return "", nil, fmt.Errorf("stored outbox: %w", err)
		}
		if r.Acked == 0 {
			return rec.Key[strings.LastIndexByte(rec.Key, '/')+1:], r, nil
		}
	}
	return "", nil, nil
}

// seal encrypts a message for the current epoch; the bytes are stored before
// they are sent and sent unchanged until there is a definite answer.
func (t *tx) seal(cv *conversation, n string, r *outRecord) error {
	body, err := content.Parse(r.Content)
	if err != nil {
		return err
	}
	me, err := t.identity()
	if err != nil {
		return err
	}
	r.Leaf = cv.group.OwnLeaf()
	own, _ := cv.group.Member(r.Leaf)
	m, err := me.leafKey(own.SignatureKey)
	if err != nil {
		return err
	}
	r.M = m.PublicKey()
	at := content.Place{Conversation: cv.id, Epoch: cv.group.Epoch(), Leaf: uint32(r.Leaf), MK: cv.meta.Seed.public()}
	seen, err := t.seen(cv, body)
	if err != nil {
		return err
	}
	sealed, err := content.Seal(body, at, ed25519.NewKeyFromSeed(m.Bytes()), seen)
	if err != nil {
		return err
	}
	msg, delta, err := cv.group.Protect(sealed.Data, sealed.AAD)
	if err != nil {
		return err
	}
	t.delta(cv, delta)
	r.Envelope = sealed.Kept
	r.Entry = &proto.Entry{Kind: proto.KindApplication, Conversation: cv.id, Epoch: at.Epoch, Bytes: msg}
	if err := r.Entry.Sign(cv.meta.Seed.key()); err != nil {
		return err
	}
	t.put(key("outh", cv.id, r.Entry.Hash().Hex()), []byte(n))
	return t.save(key("out", cv.id, n), r.wire)
}

// known returns the head for gossip; a joiner that has verified no entry yet
// passes on nothing.
func (cv *conversation) known() proto.Head {
	if !cv.head.Known {
		return proto.Head{}
	}
	return cv.head.Head
}

// unseal makes a message be encrypted again: the server answered definitely
// that it does not have these bytes and will not take them.
func (t *tx) unseal(id proto.ConversationID, n string, r *outRecord) error {
	t.del(key("outh", id, r.Entry.Hash().Hex()))
	r.Entry, r.Envelope = nil, nil
	return t.save(key("out", id, n), r.wire)
}

// unsealOutbox makes all messages without receipt be encrypted again, when the
// membership they were encrypted in is over.
func (t *tx) unsealOutbox(cv *conversation) error {
	all, err := t.list(key("out", cv.id, ""), "", 0)
	if err != nil {
		return err
	}
	for _, rec := range all {
		r := new(outRecord)
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return fmt.Errorf("stored outbox: %w", err)
		}
		n := rec.Key[strings.LastIndexByte(rec.Key, '/')+1:]
		switch {
		case r.Entry == nil:
		case r.Acked != 0: // in the log, where this device may not read it any more
			err = t.keepAcked(cv, n, r)
		default:
			err = t.unseal(cv.id, n, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepAcked shows an own message by its receipt alone.
func (t *tx) keepAcked(cv *conversation, n string, r *outRecord) error {
	s := proto.Stamped{Entry: *r.Entry, Receipt: proto.Receipt{Seq: r.Acked, Minute: cv.head.Minute}}
	_, err := t.ownEcho(cv, &s, r.Entry.Hash())
	return err
}

// flush sends what waits in the conversation's outbox, in order. It returns
// without error when the outbox is empty or has to wait for something else.
func (c *Client) flush(ctx context.Context, id proto.ConversationID) error {
	if err := c.uploadSpooled(ctx, id); err != nil {
		return err
	}
	for sent := false; ; sent = true {
		n, entry, err := c.nextToSend(ctx, id)
		if err == nil && entry == nil && sent {
			return c.readBack(ctx, id)
		}
		if err != nil || entry == nil {
			return err
		}
		var resp proto.AppendResponse
		err = c.call(ctx, Conversations, proto.Append, &proto.AppendRequest{Entry: *entry}, &resp)
		switch {
		case err == nil:
			err = c.acked(ctx, id, n, entry, &resp.Receipt)
		case errors.Is(err, proto.Stale):
			err = c.again(ctx, id, n, entry)
		case errors.Is(err, proto.NotMember):
			err = c.againWithKey(ctx, id, n, entry)
		}
		if err != nil {
			return err
		}
	}
}

// readBack shows own messages where the log has them. They have their receipts:
// that the server is away now does not matter.
func (c *Client) readBack(ctx context.Context, id proto.ConversationID) error {
	err := c.syncLog(ctx, id)
	if refused(err) || errors.Is(err, ErrUnreachable) {
		return nil
	}
	return err
}

// nextToSend returns the next entry, sealed and stored.
func (c *Client) nextToSend(ctx context.Context, id proto.ConversationID) (n string, entry *proto.Entry, err error) {
	err = c.step(ctx, func(t *tx) error {
		n, entry = "", nil
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		next, r, err := t.outbox(id)
		if err != nil || r == nil {
			return err
		}
		if r.Entry == nil {
			if err := cv.usable(); err != nil {
				return err
			}
			if err := t.proven(cv); err != nil {
				return err
			}
			if err := t.seal(cv, next, r); err != nil {
				return err
			}
		}
		n, entry = next, r.Entry
		return nil
	})
	return n, entry, err
}

// acked records the receipt of a message. Its place in the chain is verified
// when the log is read; here that the server stamped these bytes.
func (c *Client) acked(ctx context.Context, id proto.ConversationID, n string, entry *proto.Entry, receipt *proto.Receipt) error {
	if err := c.learnStampKeys(ctx, []proto.Stamped{{Entry: *entry, Receipt: *receipt}}); err != nil {
		return err
	}
	bad := ""
	err := c.step(ctx, func(t *tx) error {
		bad = ""
		k, ok, err := t.stampKey(receipt)
		if err != nil {
			return err
		}
		if ok {
			_, err = receipt.Verify(entry, k)
		}
		if !ok || err != nil {
			bad = "the server's receipt for a message is not stamped by its key"
			return nil
		}
		r, err := t.outRecord(id, n)
		if err != nil || r == nil || r.Entry == nil || r.Entry.Hash() != entry.Hash() {
			return err // read back from the log meanwhile
		}
		r.Acked = receipt.Seq
		return t.save(key("out", id, n), r.wire)
	})
	if err != nil || bad == "" {
		return err
	}
	return c.raise(ctx, id, bad)
}

// again encrypts a message again after stale: the log has moved on.
func (c *Client) again(ctx context.Context, id proto.ConversationID, n string, entry *proto.Entry) error {
	if err := c.syncLog(ctx, id); err != nil {
		return err
	}
	return c.step(ctx, func(t *tx) error {
		r, err := t.outRecord(id, n)
		if err != nil || r == nil || r.Entry == nil || r.Entry.Hash() != entry.Hash() {
			return err
		}
		return t.unseal(id, n, r)
	})
}

// againWithKey handles a key the server does not know as live any more. The log
// up to its head tells whether the message is in it, and whether this device
// has another key now.
func (c *Client) againWithKey(ctx context.Context, id proto.ConversationID, n string, entry *proto.Entry) error {
	if err := c.syncLog(ctx, id); err != nil {
		return err
	}
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return err
		}
		r, err := t.outRecord(id, n)
		if err != nil || r == nil || r.Entry == nil || r.Entry.Hash() != entry.Hash() {
			return err
		}
		if cv.meta.Seed.public() == entry.MK {
			return ErrNotMember
		}
		return t.unseal(id, n, r)
	})
}
