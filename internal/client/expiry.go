package client

import (
	"bytes"
	"context"
	"strconv"
	"strings"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
)

// Disappearing messages stand in an index by time: exp/UNIX/CONV/SEQ, twenty
// digits each number.

func expiryKey(at uint64, id proto.ConversationID, seq uint64) string {
	return "exp/" + seqKey(at) + "/" + id.Hex() + "/" + seqKey(seq)
}

// putMessage stores a verified message, with the time it disappears. One that
// is due already is not stored at all.
func (t *tx) putMessage(id proto.ConversationID, seq, minute uint64, m *content.Message, r *messageRecord) error {
	r.Minute, r.Expires = minute, 0
	if e := m.Expires(minute); !e.IsZero() {
		r.Expires = uint64(e.Unix())
		if !t.c.now().Before(e) {
			return nil
		}
		t.put(expiryKey(r.Expires, id, seq), nil)
	}
	t.keepAbout(id, seq, m)
	if err := t.keepText(id, seq, minute, m, r.From); err != nil {
		return err
	}
	return t.save(key("msg", id, seqKey(seq)), r.wire)
}

// expirePage bounds how many messages one step deletes.
const expirePage = 500

// expire deletes the messages whose time has come, by this device's clock.
// What is left of them is their place in the log.
func (c *Client) expire(ctx context.Context) error {
	for {
		n := 0
		err := c.step(ctx, func(t *tx) error {
			due, err := t.list("exp/", "", expirePage)
			if err != nil {
				return err
			}
			n = 0
			now := seqKey(uint64(max(0, t.c.now().Unix())))
			for _, rec := range due {
				parts := strings.Split(rec.Key, "/")
				if len(parts) != 4 || parts[1] > now {
					break
				}
				t.del(rec.Key)
				var r messageRecord
				if err := t.load("msg/"+parts[2]+"/"+parts[3], r.wire); err != nil {
					return err
				}
				if err := t.unhold(parts[2], &r); err != nil {
					return err
				}
				t.del("msg/" + parts[2] + "/" + parts[3])
				t.del("gone/" + parts[2] + "/" + parts[3])
				if err := t.forgetText(parts[2], parts[3]); err != nil {
					return err
				}
				if err := t.delAll("rcpt/" + parts[2] + "/" + parts[3] + "/"); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil || n < expirePage {
			return err
		}
	}
}

// takeBack deletes a message its own author has taken back.
func (t *tx) takeBack(cv *conversation, from member, target content.ID) error {
	found, err := t.list("mid/"+target.Hex()+"/"+cv.id.Hex()+"/", "", 0)
	if err != nil {
		return err
	}
	for _, rec := range found {
		seq, err := strconv.ParseUint(string(rec.Value), 10, 64)
		if err != nil {
			return err
		}
		name := key("msg", cv.id, seqKey(seq))
		var r messageRecord
		if err := t.load(name, r.wire); err != nil {
			return err
		}
		if r.Envelope != nil && r.From.Account == from.Account {
			if err := t.unhold(cv.id.Hex(), &r); err != nil {
				return err
			}
			t.del(name)
			if err := t.dropText(cv.id, seq); err != nil {
				return err
			}
			t.put(goneKey(cv.id, seq), bytes.Clone(from.Account[:])) // with the message's own time to disappear
			if err := t.unarchive(cv.id, seq); err != nil {
				return err
			}
		}
	}
	return nil
}
