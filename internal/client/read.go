package client

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"iter"
	"slices"
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
// left out, and a *SafetyError comes at the end; so it does when the
// conversation was stopped.
func (c *Client) Messages(ctx context.Context, chat string, after uint64) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		all, err := c.streams(ctx, chat, after)
		if err != nil {
			yield(Message{}, err)
			return
		}
		for {
			m, err := next(ctx, c, all)
			if err != nil || m == nil {
				break
			}
			if !yield(*m, nil) {
				return
			}
		}
		for _, s := range all {
			err = errors.Join(err, s.unproven, s.alarm, c.markRead(ctx, s.id, s.after))
		}
		if err != nil {
			yield(Message{}, err)
		}
	}
}

// stream is the messages of one of the logs that make up a chat: mostly there
// is one; a re-formed conversation has another before it, and two people who
// wrote first at the same moment have two.
type stream struct {
	id       proto.ConversationID
	chat     string
	offset   uint64 // added to the log's seq
	after    uint64 // last seq of the log looked at
	ready    []Message
	done     bool
	unproven error
	alarm    error // why nothing more is read of it
}

// streams returns the logs of a chat, those first shown first.
func (c *Client) streams(ctx context.Context, chat string, after uint64) (all []*stream, err error) {
	if _, err := c.find(ctx, chat); err != nil {
		return nil, err
	}
	err = c.step(ctx, func(t *tx) error {
		all = nil
		ids, err := t.resolve(chat)
		if err != nil {
			return err
		}
		for _, id := range ids {
			cv, err := t.conv(id)
			if err != nil || cv == nil {
				return errors.Join(err, ErrUnknownChat)
			}
			s := &stream{id: id, chat: chat, offset: cv.meta.Offset}
			s.after = max(after, s.offset) - s.offset
			if cv.meta.Alarm != "" && cv.active() {
				s.alarm = cv.stopped()
			}
			all = append(all, s)
		}
		slices.SortFunc(all, func(a, b *stream) int {
			return cmp.Or(cmp.Compare(a.offset, b.offset), strings.Compare(a.id.Hex(), b.id.Hex()))
		})
		return nil
	})
	return all, err
}

// next returns the message of the smallest seq, nil at the end.
func next(ctx context.Context, c *Client, all []*stream) (*Message, error) {
	var best *stream
	for _, s := range all {
		if err := s.fill(ctx, c); err != nil {
			return nil, err
		}
		if len(s.ready) > 0 && (best == nil || s.ready[0].Seq < best.ready[0].Seq) {
			best = s
		}
	}
	if best == nil {
		return nil, nil
	}
	m := best.ready[0]
	best.ready = best.ready[1:]
	return &m, nil
}

func (s *stream) fill(ctx context.Context, c *Client) error {
	for len(s.ready) == 0 && !s.done {
		page, last, bad, err := c.page(ctx, s.id, s.chat, s.after)
		if err != nil {
			return err
		}
		if bad != nil {
			s.unproven = bad
		}
		for i := range page {
			page[i].Seq += s.offset
		}
		s.ready, s.done, s.after = page, last == s.after, last
	}
	return nil
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
			m, show, bad, err := t.shown(id, rec, chat)
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
func (t *tx) shown(id proto.ConversationID, rec store.Record, chat string) (m Message, show bool, unproven, err error) {
	m.Seq, err = strconv.ParseUint(rec.Key[strings.LastIndexByte(rec.Key, '/')+1:], 10, 64)
	if err != nil {
		return m, false, nil, err
	}
	var r messageRecord
	if err := wire.Decode(rec.Value, r.wire); err != nil {
		return m, false, nil, err
	}
	body, err := r.body()
	if err != nil {
		return m, false, nil, err
	}
	if r.Expires != 0 && t.c.now().Unix() >= int64(r.Expires) || !visible(body) {
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
	if m.Own = r.From.Account == me.Account; m.Own {
		if m.ReadBy, err = t.readBy(id, m.Seq); err != nil {
			return m, false, nil, err
		}
	}
	if body.Kind == content.System {
		m.Body = t.eventText(body.Event)
	}
	m.Attachments = attachmentInfos(body)
	return m, true, nil, nil
}

func attachmentInfos(m *content.Message) (all []AttachmentInfo) {
	for _, a := range m.Attachments {
		all = append(all, AttachmentInfo{
			Name: a.Name, Size: int64(a.File.Size), SHA256: hex.EncodeToString(a.File.SHA256[:]),
			MediaType: a.MediaType, Duration: time.Duration(a.Duration) * time.Millisecond,
		})
	}
	return all
}

// visible tells whether a kind is a line in a conversation.
func visible(m *content.Message) bool {
	switch m.Kind {
	case content.Receipt, content.Delete:
		return false
	case content.System:
		return m.Event.Type == eventHistory
	}
	return true
}

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
		m, show, bad, err := t.shown(cv.id, rec, "")
		if err != nil {
			return 0, err
		}
		if show && bad == nil && !m.Own {
			n++
		}
	}
	return n, err
}
