package client

import (
	"context"
	"iter"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/mls"
)

// Inspection is what this device holds of one conversation: what a diagnosis,
// or a simulation's judge, compares between devices. It holds no secret.
type Inspection struct {
	Chat          string // its name in Chats; "" once another conversation has it
	Conversation  proto.ConversationID
	State         string // as Chat.State
	Alarm         string // why it was stopped for safety, "" if it was not
	Epoch         uint64 // 0 without state of MLS
	Authenticator []byte // the epoch's, RFC 9420, Section 8.7
	Leaves        []InspectedLeaf
	Head          proto.Head // the last verified entry
	Broken        uint64     // seq of the commit that could not be processed, 0 if none
	Predecessor   proto.ConversationID
	Successor     proto.ConversationID
	Waiting       []string // ids of the messages without a receipt
}

// InspectedLeaf is one device of the tree, in leaf order.
type InspectedLeaf struct {
	Leaf    mls.LeafIndex
	Account string // lower-case hex
	Device  string // lower-case hex
	MK      proto.MemberKey
}

// Inspect returns what this device holds of all conversations, ended ones too.
func (c *Client) Inspect(ctx context.Context) (all []Inspection, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		ids, err := t.conversations()
		if err != nil {
			return err
		}
		names, err := t.names()
		if err != nil {
			return err
		}
		for _, id := range ids {
			cv, err := t.conv(id)
			if err != nil {
				return err
			}
			i := cv.inspect(names[id])
			if i.Waiting, err = t.waitingIDs(id); err != nil {
				return err
			}
			all = append(all, i)
		}
		return nil
	})
	return all, err
}

func (cv *conversation) inspect(name string) Inspection {
	i := Inspection{
		Chat: name, Conversation: cv.id, State: cv.meta.State.String(), Alarm: cv.meta.Alarm, Head: cv.head.Head,
		Broken: cv.meta.Broken.Seq, Predecessor: cv.meta.Reforms, Successor: cv.meta.Successor,
	}
	if cv.group == nil {
		return i
	}
	i.Epoch, i.Authenticator = cv.group.Epoch(), cv.group.EpochAuthenticator()
	for _, m := range cv.group.Members() {
		leaf := InspectedLeaf{Leaf: m.Leaf}
		if who, err := memberOf(&m.Credential); err == nil {
			leaf.Account, leaf.Device = who.Account.Hex(), who.Device.Hex()
		}
		if k, ok := cv.keys.find(m.Leaf); ok {
			leaf.MK = k.MK
		}
		i.Leaves = append(i.Leaves, leaf)
	}
	return i
}

func (t *tx) waitingIDs(id proto.ConversationID) (ids []string, err error) {
	records, err := t.list(key("out", id, ""), "", 0)
	for _, rec := range records {
		var r outRecord
		if err := decode(rec.Value, r.wire); err != nil {
			return nil, err
		}
		m, err := content.Parse(r.Content)
		if err != nil {
			return nil, err
		}
		if r.Acked == 0 {
			ids = append(ids, m.ID.Hex())
		}
	}
	return ids, err
}

// Held yields the messages of one conversation that this device shows, in seq
// order, and changes nothing.
func (c *Client) Held(ctx context.Context, id proto.ConversationID) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var after uint64
		for {
			page, last, _, err := c.page(ctx, id, "", after)
			if err != nil {
				yield(Message{}, err)
				return
			}
			for _, m := range page {
				if !yield(m, nil) {
					return
				}
			}
			if last == after {
				return
			}
			after = last
		}
	}
}
