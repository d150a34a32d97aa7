package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// ErrUnknownMessage: no message of that identifier is in the conversation on
// this device.
var ErrUnknownMessage = errors.New("no such message")

// Compose is a message to post.
type Compose struct {
	Draft
	Reply string        // identifier of the message it answers, "" for none
	Voice time.Duration // the one file is a voice note of that length
}

// Post keeps a message, with its files at the server or waiting on this device,
// and returns it as it stands in the chat. Deliver sends it.
func (c *Client) Post(ctx context.Context, chat string, d Compose) (Line, error) {
	m, err := d.message(c.now())
	if err != nil {
		return Line{}, err
	}
	id, err := c.target(ctx, chat)
	if err != nil {
		return Line{}, err
	}
	if len(d.Files) > 0 {
		if m.Attachments, err = c.attach(ctx, id, d.Files); err != nil {
			return Line{}, err
		}
	}
	if d.Voice > 0 {
		m.Attachments[0].Duration = uint32(min(d.Voice/time.Millisecond, 1<<32-1))
	}
	if _, err := c.enqueue(ctx, id, m); err != nil {
		return Line{}, err
	}
	if err := c.uploaded(ctx, id, d.Files); err != nil {
		return Line{}, err
	}
	return c.waitingLineOf(ctx, id, m)
}

func (d *Compose) message(now time.Time) (*content.Message, error) {
	m, err := newMessage(now, d.Draft)
	if err != nil {
		return nil, err
	}
	if d.Voice > 0 {
		if len(d.Files) != 1 || d.Text != "" || d.Reply != "" {
			return nil, errors.New("a voice note is one file and nothing else")
		}
		m.Kind = content.Voice
	}
	if d.Reply != "" {
		target, err := content.ParseID(d.Reply)
		if err != nil {
			return nil, err
		}
		m.Kind, m.Targets = content.Reply, []content.ID{target}
	}
	return m, nil
}

func (c *Client) waitingLineOf(ctx context.Context, id proto.ConversationID, m *content.Message) (line Line, err error) {
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		line, err = t.waitingLine(cv, m)
		return err
	})
	return line, err
}

// Deliver tries to send what waits in a chat, for Config.SendFor.
func (c *Client) Deliver(ctx context.Context, chat string) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.SendFor)
	defer cancel()
	id, err := c.find(ctx, chat)
	if err != nil {
		return err
	}
	return c.deliver(ctx, id, "")
}

// React sets this account's reaction to a message; "" takes it back.
func (c *Client) React(ctx context.Context, chat, message, emoji string) error {
	if len(emoji) > content.MaxReaction {
		return fmt.Errorf("%w: a reaction has at most %d bytes", ErrTooLarge, content.MaxReaction)
	}
	return c.about(ctx, chat, message, content.Reaction, emoji, false)
}

// Edit gives an own message another body.
func (c *Client) Edit(ctx context.Context, chat, message, body string) error {
	if _, err := newMessage(c.now(), Draft{Text: body}); err != nil {
		return err
	}
	return c.about(ctx, chat, message, content.Edit, body, true)
}

// TakeBack deletes an own message from all devices that take part. Who has seen
// it has seen it.
func (c *Client) TakeBack(ctx context.Context, chat, message string) error {
	return c.about(ctx, chat, message, content.Delete, "", true)
}

// about queues a message about another one; own: which has to be of this account.
func (c *Client) about(ctx context.Context, chat, message string, kind content.Kind, body string, own bool) error {
	target, err := content.ParseID(message)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrUnknownMessage, err)
	}
	id, err := c.holding(ctx, chat, target, own)
	if err != nil {
		return err
	}
	m := content.New(kind, c.now())
	m.Targets, m.Body = []content.ID{target}, body
	_, err = c.enqueue(ctx, id, m)
	return err
}

// holding returns the conversation of a chat that a message is in.
func (c *Client) holding(ctx context.Context, chat string, target content.ID, own bool) (id proto.ConversationID, err error) {
	err = c.step(ctx, func(t *tx) error {
		logs, err := t.logsOf(chat)
		if err != nil {
			return err
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		for _, cv := range logs {
			r, err := t.messageByID(cv, target)
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			if own && r.From.Account != me.Account {
				return fmt.Errorf("%w: only its author changes a message", ErrForbidden)
			}
			id = cv.id
			return nil
		}
		return ErrUnknownMessage
	})
	return id, err
}

// messageByID returns a message of a conversation, nil if it is not here.
func (t *tx) messageByID(cv *conversation, id content.ID) (*messageRecord, error) {
	found, err := t.list("mid/"+id.Hex()+"/"+cv.id.Hex()+"/", "", 0)
	if err != nil {
		return nil, err
	}
	for _, rec := range found {
		seq, err := strconv.ParseUint(string(rec.Value), 10, 64)
		if err != nil {
			return nil, err
		}
		b, err := t.get(key("msg", cv.id, seqKey(seq)))
		if err != nil {
			return nil, err
		}
		if b != nil {
			r := new(messageRecord)
			return r, wire.Decode(b, r.wire)
		}
	}
	return nil, nil
}

// Rename gives a group another name.
func (c *Client) Rename(ctx context.Context, chat, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return c.changePolicy(ctx, chat, func(p *policy) error {
		if p.Kind != kindGroup {
			return fmt.Errorf("%w: a conversation of two has no name of its own", ErrForbidden)
		}
		p.Name = name
		return nil
	})
}

// SetAdmin makes a person of a group one of its admins, or no longer.
func (c *Client) SetAdmin(ctx context.Context, chat, person string, admin bool) error {
	who, err := c.people(ctx, []string{person})
	if err != nil {
		return err
	}
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	a := me.Account
	if len(who) == 1 {
		a = who[0]
	}
	return c.changePolicy(ctx, chat, func(p *policy) error {
		if p.Kind != kindGroup {
			return fmt.Errorf("%w: only groups have admins", ErrForbidden)
		}
		others := slices.DeleteFunc(slices.Clone(p.Admins), func(b proto.AccountID) bool { return a == b })
		if p.Admins = others; admin {
			p.Admins = append(others, a)
		}
		if len(p.Admins) == 0 {
			return fmt.Errorf("%w: a group keeps one admin at least", ErrForbidden)
		}
		return nil
	})
}

// changePolicy commits a change of the rules, if it is one.
func (c *Client) changePolicy(ctx context.Context, chat string, alter func(*policy) error) error {
	id, err := c.changeable(ctx, chat)
	if err != nil {
		return err
	}
	_, err = c.commit(ctx, id, func(t *tx, cv *conversation) (*change, error) {
		p := cv.meta.Policy
		if err := alter(&p); err != nil {
			return nil, err
		}
		if string(wire.MustEncode(p.wire)) == string(wire.MustEncode(cv.meta.Policy.wire)) {
			return nil, errNothing
		}
		return &change{policy: &p}, nil
	})
	return err
}
