package client

import (
	"context"
	"encoding/hex"
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

func decode(b []byte, fields func(*wire.Codec)) error { return wire.Decode(b, fields) }

// readPage is how many messages one step reads.
const readPage = 256

// Messages yields the held messages with seq > after, in seq order, and marks
// them as read. What a device says whose keys its account does not vouch for is
// left out, and a *SafetyError comes at the end.
func (c *Client) Messages(ctx context.Context, chat string, after uint64) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		id, err := c.find(ctx, chat)
		if err != nil {
			yield(Message{}, err)
			return
		}
		var unproven error
		for {
			page, last, bad, err := c.page(ctx, id, chat, after)
			if err != nil {
				yield(Message{}, err)
				return
			}
			if bad != nil {
				unproven = bad
			}
			for _, m := range page {
				if !yield(m, nil) {
					return
				}
			}
			if last == after {
				break
			}
			after = last
		}
		if err := c.markRead(ctx, id, after); err != nil {
			yield(Message{}, err)
			return
		}
		if unproven != nil {
			yield(Message{}, unproven)
		}
	}
}

// page returns some messages after a seq, and the last seq it looked at.
func (c *Client) page(ctx context.Context, id proto.ConversationID, chat string, after uint64) (page []Message, last uint64, unproven, err error) {
	err = c.step(ctx, func(t *tx) error {
		page, last, unproven = nil, after, nil
		from := key("msg", id, seqKey(after))
		records, err := t.list(key("msg", id, ""), from, readPage)
		if err != nil {
			return err
		}
		for _, rec := range records {
			m, show, bad, err := t.shown(rec, chat)
			if err != nil {
				return err
			}
			last = m.Seq
			if bad != nil {
				unproven = bad
			} else if show {
				page = append(page, m)
			}
		}
		return nil
	})
	return page, last, unproven, err
}

// shown turns a stored message into what a person sees.
func (t *tx) shown(rec store.Record, chat string) (m Message, show bool, unproven, err error) {
	m.Seq, err = strconv.ParseUint(rec.Key[strings.LastIndexByte(rec.Key, '/')+1:], 10, 64)
	if err != nil {
		return m, false, nil, err
	}
	var r messageRecord
	if err := decode(rec.Value, r.wire); err != nil {
		return m, false, nil, err
	}
	body, err := r.body()
	if err != nil {
		return m, false, nil, err
	}
	if r.Expires != 0 && t.c.now().Unix() >= int64(r.Expires) || !visible(body.Kind) {
		return m, false, nil, nil
	}
	if ok, err := t.vouched(&r); err != nil || !ok {
		return m, false, unprovenError(t.handleOf(r.From.Account), r.From.Device), err
	}
	me, err := t.identity()
	if err != nil {
		return m, false, nil, err
	}
	m.ID, m.Chat, m.Kind, m.Body = body.ID.Hex(), chat, body.Kind.String(), body.Body
	m.Time = time.Unix(int64(r.Minute)*60, 0).UTC()
	m.From, m.Device = t.handleOf(r.From.Account), r.From.Device.Hex()
	m.Own = r.From.Account == me.Account
	for _, a := range body.Attachments {
		m.Attachments = append(m.Attachments, AttachmentInfo{Name: a.Name, Size: int64(a.File.Size), SHA256: hex.EncodeToString(a.File.SHA256[:])})
	}
	return m, true, nil, nil
}

// visible tells whether a kind is a line in a conversation.
func visible(k content.Kind) bool { return k != content.Receipt && k != content.System }

// vouched tells whether the account of a message's sender vouches, or vouched,
// for the key that signed it.
func (t *tx) vouched(r *messageRecord) (bool, error) {
	chain, known, err := t.chain(r.From.Account)
	if err != nil || !known || len(r.M) != len(kt.MessagePublicKey{}) {
		return false, err
	}
	d, ok := chain.Device(kt.DeviceID(r.From.Device))
	return ok && d.Held(kt.MessagePublicKey(r.M)), nil
}

func (c *Client) markRead(ctx context.Context, id proto.ConversationID, seq uint64) error {
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.meta.Read >= seq {
			return errors.Join(err)
		}
		cv.meta.Read = seq
		return t.saveMeta(cv)
	})
}

// unreadCount counts others' messages nobody has seen here.
func (t *tx) unreadCount(cv *conversation) (n int, err error) {
	records, err := t.list(key("msg", cv.id, ""), key("msg", cv.id, seqKey(cv.meta.Read)), 0)
	for _, rec := range records {
		m, show, bad, err := t.shown(rec, "")
		if err != nil {
			return 0, err
		}
		if show && bad == nil && !m.Own {
			n++
		}
	}
	return n, err
}
