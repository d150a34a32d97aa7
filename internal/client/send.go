package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
)

// Send writes one message. It is kept first and then tried for Config.SendFor;
// a nil Sent.Seq says that it waits in the outbox. chat is a group's name or
// @handle; an unknown one is an error and nothing is kept.
func (c *Client) Send(ctx context.Context, chat string, d Draft) (Sent, error) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.SendFor)
	defer cancel()
	m, err := newMessage(c.now(), d)
	if err != nil {
		return Sent{}, err
	}
	id, err := c.target(limited, chat)
	if err != nil {
		return Sent{}, err
	}
	if len(d.Files) > 0 { // a large upload takes its time; SendFor counts anew
		if m.Attachments, err = c.attach(ctx, id, d.Files); err != nil {
			return Sent{}, err
		}
		limited, cancel = context.WithTimeout(ctx, c.cfg.SendFor)
		defer cancel()
	}
	sent, err := c.sendMessage(ctx, limited, id, chat, m)
	if err != nil || len(d.Files) == 0 {
		return sent, err
	}
	return sent, c.uploaded(ctx, id, d.Files)
}

func newMessage(now time.Time, d Draft) (*content.Message, error) {
	switch {
	case len(d.Text) > MaxBody:
		return nil, fmt.Errorf("%w: a message has at most %d bytes; send it as a file", ErrTooLarge, MaxBody)
	case !utf8.ValidString(d.Text):
		return nil, fmt.Errorf("the text is not UTF-8; send it as a file")
	case d.Text == "" && len(d.Files) == 0:
		return nil, fmt.Errorf("there is nothing to send")
	}
	kind := content.Text
	if d.Text == "" {
		kind = content.Attachment
	}
	m := content.New(kind, now)
	m.Body = d.Text
	return m, nil
}

// target finds the conversation to write in.
func (c *Client) target(ctx context.Context, chat string) (proto.ConversationID, error) {
	if len(chat) > 0 && chat[0] == '@' {
		return c.directChat(ctx, chat)
	}
	return c.find(ctx, chat)
}

// sendMessage keeps a message and tries to send it until limited ends.
func (c *Client) sendMessage(ctx, limited context.Context, id proto.ConversationID, chat string, m *content.Message) (Sent, error) {
	sent := Sent{ID: m.ID.Hex(), Chat: chat}
	n, err := c.enqueue(ctx, id, m)
	if err != nil {
		return Sent{}, err
	}
	err = c.deliver(limited, id, n)
	seq, found := c.seqOf(ctx, id, n, m.ID)
	if found {
		sent.Seq = &seq
		return sent, nil
	}
	if errors.Is(err, ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) || retryLater(err) {
		return sent, nil
	}
	return sent, err
}

// enqueue keeps a message in the outbox of a conversation one can write in.
func (c *Client) enqueue(ctx context.Context, id proto.ConversationID, m *content.Message) (n string, err error) {
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		if cv.meta.State != statePlanned && !cv.active() {
			return ErrNotMember
		}
		if cv.meta.Alarm != "" {
			return cv.stopped()
		}
		m.Expiry = cv.meta.Policy.Expiry
		n, err = t.queue(id, m)
		return err
	})
	return n, err
}

// retryLater tells whether a refusal is one that time may heal: the message
// stays in the outbox.
func retryLater(err error) bool {
	for _, c := range []proto.Code{proto.Busy, proto.Throttled, proto.Unavailable, proto.Full, proto.Quota, proto.NoneLeft, proto.Restoring} {
		if errors.Is(err, c) {
			return true
		}
	}
	return false
}

// deliver tries until the message has its receipt or ctx ends.
func (c *Client) deliver(ctx context.Context, id proto.ConversationID, n string) error {
	begun, wait := c.now(), 200*time.Millisecond
	for {
		err := c.deliverOnce(ctx, id)
		if err == nil || ctx.Err() != nil || c.now().Sub(begun) >= c.cfg.SendFor || !errors.Is(err, ErrUnreachable) && !errors.Is(err, errRevoked) {
			return err
		}
		if c.cfg.Clock.Sleep(ctx, wait+c.cfg.Jitter(wait)) != nil {
			return err
		}
		wait = min(2*wait, 5*time.Second)
	}
}

func (c *Client) deliverOnce(ctx context.Context, id proto.ConversationID) error {
	if err := c.syncAccount(ctx); err != nil && !errors.Is(err, errLogTrouble) { // that keeps nobody from talking
		return err
	}
	return c.syncConv(ctx, id)
}

// seqOf returns where a message of the outbox ended up.
func (c *Client) seqOf(ctx context.Context, id proto.ConversationID, n string, mid content.ID) (seq uint64, found bool) {
	err := c.step(context.WithoutCancel(ctx), func(t *tx) error {
		found = false
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		r, err := t.outRecord(id, n)
		if err != nil {
			return err
		}
		if r != nil {
			seq, found = r.Acked+cv.meta.Offset, r.Acked != 0
			return nil
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		b, err := t.get(midKey(mid, id, member{me.Account, me.Device}))
		if err == nil && b != nil {
			seq, err = strconv.ParseUint(string(b), 10, 64)
			seq, found = seq+cv.meta.Offset, err == nil
		}
		return err
	})
	return seq, found && err == nil
}
