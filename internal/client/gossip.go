package client

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// What a device knows of the server's log rides inside its messages, where the
// server cannot change it: originID ‖ size ‖ root, 44 bytes. A server that shows
// two logs is found by the first message between people it shows them to.
//
//	translog/heard/SIZE   root ‖ account, of a size this device has yet to see

// maxHeard bounds what is kept of sizes not seen yet.
const maxHeard = 64

// originID names a log in a few bytes; whom it is about is known.
func originID(origin string) (id [4]byte) {
	sum := sha256.Sum256([]byte("huis/origin/1" + origin))
	copy(id[:], sum[:])
	return id
}

// logGossip is what messages carry of the log, nil if nothing is known of it.
func (t *tx) logGossip() ([]byte, error) {
	h, err := t.logHead()
	if err != nil || h.Size == 0 {
		return nil, err
	}
	var k logKeys
	if err := t.load("translog/keys", k.wire); err != nil {
		return nil, err
	}
	id := originID(k.Log.Name)
	b := binary.BigEndian.AppendUint64(id[:], h.Size)
	return append(b, h.Root[:]...), nil
}

// hearGossip compares what a message's sender knows of the log with what this
// device does, or keeps it until this device has seen that much.
func (t *tx) hearGossip(from member, checkpoint []byte) error {
	var k logKeys
	if len(checkpoint) != content.CheckpointSize {
		return nil
	}
	if err := t.load("translog/keys", k.wire); err != nil {
		return err
	}
	if id := originID(k.Log.Name); string(id[:]) != string(checkpoint[:4]) {
		return nil // of another server's log
	}
	size, root := binary.BigEndian.Uint64(checkpoint[4:]), kt.Hash(checkpoint[12:])
	own, known, err := t.rootAt(size)
	if err != nil {
		return err
	}
	if known {
		return t.compareRoots(from.Account, size, own, root)
	}
	heard, err := t.list("translog/heard/", "", maxHeard)
	if err == nil && len(heard) < maxHeard && size > 0 {
		t.put(fmt.Sprintf("translog/heard/%016x", size), append(root[:], from.Account[:]...))
	}
	return err
}

// compareRoots raises the alarm of two logs. The message it came in is shown
// all the same: it is its sender's, and only new keys are in doubt.
func (t *tx) compareRoots(from proto.AccountID, size uint64, own, theirs kt.Hash) error {
	if own == theirs {
		return nil
	}
	reason := fmt.Sprintf("the server shows two logs: what @%s was shown differs from what this device was shown within the first %d epochs", t.handleOf(from), size)
	t.put("translog/alarm", []byte(reason))
	return nil
}

// settleGossip compares what was heard of sizes this device has seen since, and
// returns the alarm there is about the log.
func (c *Client) settleGossip(ctx context.Context) error {
	var alarm error
	err := c.step(ctx, func(t *tx) error {
		heard, err := t.list("translog/heard/", "", 0)
		if err != nil {
			return err
		}
		for _, r := range heard {
			var size uint64
			if _, err := fmt.Sscanf(strings.TrimPrefix(r.Key, "translog/heard/"), "%016x", &size); err != nil || len(r.Value) != 64 {
				t.del(r.Key)
				continue
			}
			own, known, err := t.rootAt(size)
			if err != nil {
				return err
			}
			if !known {
				continue
			}
			t.del(r.Key)
			if err := t.compareRoots(proto.AccountID(r.Value[32:]), size, own, kt.Hash(r.Value[:32])); err != nil {
				return err
			}
		}
		alarm = t.logAlarm()
		return nil
	})
	return errors.Join(err, alarm)
}

// logAlarm is the alarm there is about the log, nil if it is in order.
func (t *tx) logAlarm() error {
	why, err := t.get("translog/alarm")
	if err != nil || why == nil {
		return err
	}
	return &SafetyError{Reason: string(why), Fix: "no new device or person is accepted; compare with others, and talk to the server's operator"}
}
