package client

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// What a device knows of the server's log rides inside its messages, where the
// server cannot change it: originID ‖ size ‖ root, 44 bytes. A server that shows
// two logs is found by the first message between people it shows them to.
//
//	translog/heard/ACCOUNT           heardRoot, of the least size this device has yet to see
//	translog/note/SIZE               heardNote, of such a size
//	translog/owed/CONVERSATION       size in doubt; somebody there was shown another log
//	translog/answered/CONVERSATION   Unix seconds of the last answer
//	translog/claim/ACCOUNT           claim: a member's word alone
//	translog/split                   split: what is to be proved
//	translog/proved                  a proof of two logs has been kept
//	translog/alarmfile               where the proof or report of the alarm is

// Bounds of what is kept of sizes not seen yet. Of one account it is one root, so
// that nobody leaves no room for what others say.
const (
	maxHeard = 256
	maxNotes = 16
)

// withheldAfter is how long a server may show one person more of its log than
// another, and how often two people who were shown two answer each other.
const withheldAfter = 24 * time.Hour

// heardRoot is what a message's sender said of the log.
type heardRoot struct {
	Size uint64
	Root kt.Hash
	From proto.AccountID
	In   proto.ConversationID
}

func (h *heardRoot) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint64(c, &h.Size)
	wire.Fixed(c, h.Root[:])
	h.From.Wire(c)
	h.In.Wire(c)
}

// heardNote is what the server signed for a message's sender.
type heardNote struct {
	From  proto.AccountID
	In    proto.ConversationID
	Since uint64 // Unix seconds
	Note  []byte
}

func (h *heardNote) wire(c *wire.Codec) {
	formatVersion(c)
	h.From.Wire(c)
	h.In.Wire(c)
	wire.Uint64(c, &h.Since)
	wire.OpaqueMax(c, &h.Note, content.MaxGossip)
}

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
// device does, or keeps it until this device has seen that much. Who was shown
// another log is answered, so that both can prove it.
func (t *tx) hearGossip(conv proto.ConversationID, from member, o *content.Opened) error {
	var k logKeys
	if len(o.Checkpoint) != content.CheckpointSize {
		return nil
	}
	if err := t.load("translog/keys", k.wire); err != nil {
		return err
	}
	if id := originID(k.Log.Name); string(id[:]) != string(o.Checkpoint[:4]) {
		return nil // of another server's log
	}
	if w, signed := t.hearWord(&k, o); w != nil {
		if err := t.hearNote(conv, from.Account, w, signed); err != nil {
			return err
		}
	}
	size, root := binary.BigEndian.Uint64(o.Checkpoint[4:]), kt.Hash(o.Checkpoint[12:])
	own, known, err := t.rootAt(size)
	if err != nil {
		return err
	}
	if known {
		return t.compareRoots(conv, from.Account, size, own, root)
	}
	if size == 0 {
		return nil
	}
	return t.keepHeard(&heardRoot{Size: size, Root: root, From: from.Account, In: conv})
}

const heardPrefix = "translog/heard/"

// keepHeard keeps what an account said of a size this device has yet to see:
// the one it will see first.
func (t *tx) keepHeard(h *heardRoot) error {
	name := heardPrefix + h.From.Hex()
	b, err := t.get(name)
	if err != nil {
		return err
	}
	var old heardRoot
	if b != nil {
		if err := wire.Decode(b, old.wire); err != nil || old.Size <= h.Size {
			return err
		}
		return t.save(name, h.wire)
	}
	heard, err := t.list(heardPrefix, "", maxHeard)
	if err != nil || len(heard) == maxHeard {
		return err
	}
	return t.save(name, h.wire)
}

// hearNote compares a checkpoint the server signed for somebody else.
func (t *tx) hearNote(conv proto.ConversationID, from proto.AccountID, w *word, signed kt.TreeHead) error {
	s, settled, err := t.contradiction(w, signed)
	if err != nil || s == nil && settled {
		return err
	}
	if s != nil {
		return t.found(conv, from, s)
	}
	notes, err := t.list("translog/note/", "", maxNotes)
	name := fmt.Sprintf("translog/note/%016x", signed.Size)
	if err != nil || len(notes) == maxNotes {
		return err
	}
	if old, err := t.get(name); err != nil || old != nil {
		return err
	}
	h := heardNote{From: from, In: conv, Since: uint64(max(0, t.c.now().Unix())), Note: w.Note}
	return t.save(name, h.wire)
}

// found keeps the first contradiction there is to prove, and raises the alarm.
func (t *tx) found(conv proto.ConversationID, from proto.AccountID, s *split) error {
	s.By = from
	t.put("translog/alarm", []byte(t.twoLogs(from, s.Size)))
	t.owe(conv, s.Size)
	proved, err := t.get("translog/proved")
	if err != nil || proved != nil {
		return err
	}
	return t.save("translog/split", s.wire)
}

// twoLogs says what was found.
func (t *tx) twoLogs(from proto.AccountID, size uint64) string {
	return fmt.Sprintf("the server shows two logs: what %s was shown differs from what this device was shown within the first %d epochs", t.shownTo(from), size)
}

// owe makes the other side be told what this device was shown.
func (t *tx) owe(conv proto.ConversationID, size uint64) {
	if conv != (proto.ConversationID{}) {
		t.put("translog/owed/"+conv.Hex(), binary.BigEndian.AppendUint64(nil, size))
	}
}

// shownTo names who was shown something: a member, or anybody who asked without
// login.
func (t *tx) shownTo(a proto.AccountID) string {
	if a == (proto.AccountID{}) {
		return "anybody"
	}
	return "@" + t.handleOf(a)
}

// compareRoots compares what a member says without the server's signature. If it
// differs, no new key is accepted until the member's client has shown the
// signature, which it does by itself when it is told; or for a day, and never
// again on this member's word alone: a member who lies cannot stop the others
// for long. The message it came in is shown all the same.
func (t *tx) compareRoots(conv proto.ConversationID, from proto.AccountID, size uint64, own, theirs kt.Hash) error {
	if own == theirs {
		return nil
	}
	name := claimPrefix + from.Hex()
	old, err := t.get(name)
	if err != nil || old != nil {
		return err
	}
	t.owe(conv, size)
	k := claim{Since: uint64(max(0, t.c.now().Unix())), Size: size}
	return t.save(name, k.wire)
}

const claimPrefix = "translog/claim/"

// claim is a member's word that it was shown another log.
type claim struct {
	Since uint64 // Unix seconds
	Size  uint64
}

func (k *claim) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint64(c, &k.Since)
	wire.Uint64(c, &k.Size)
}

// claimed is the alarm of a claim that is less than a day old, nil if there is
// none.
func (t *tx) claimed() error {
	all, err := t.list(claimPrefix, "", 0)
	if err != nil {
		return err
	}
	for _, r := range all {
		var k claim
		var from proto.AccountID
		if err := errors.Join(wire.Decode(r.Value, k.wire), parseHex(from[:], strings.TrimPrefix(r.Key, claimPrefix))); err != nil {
			return err
		}
		if t.c.now().Sub(time.Unix(int64(k.Since), 0)).Abs() < withheldAfter {
			return &SafetyError{
				Reason: t.twoLogs(from, k.Size) + "; so far that is their word alone",
				Fix:    "no new device or person is accepted for a day, while the devices compare by themselves; ask them by another way",
			}
		}
	}
	return nil
}

// settleGossip compares what was heard of sizes this device has seen since,
// proves what contradicts, answers those who were shown something else, and
// returns the alarm there is about the log.
func (c *Client) settleGossip(ctx context.Context) error {
	var alarm error
	var file []byte
	err := c.step(ctx, func(t *tx) (err error) {
		if err := errors.Join(t.settleHeard(), t.settleNotes()); err != nil {
			return err
		}
		if file, err = t.takeProof(); err == nil {
			alarm = t.logAlarm()
		}
		return err
	})
	if err != nil {
		return err
	}
	if file != nil {
		alarm = c.keepLogProof(ctx, alarm, file)
	}
	return errors.Join(alarm, c.answerOwed(ctx))
}

func (t *tx) settleHeard() error {
	heard, err := t.list(heardPrefix, "", 0)
	if err != nil {
		return err
	}
	for _, r := range heard {
		var h heardRoot
		if wire.Decode(r.Value, h.wire) != nil {
			t.del(r.Key)
			continue
		}
		own, known, err := t.rootAt(h.Size)
		if err != nil {
			return err
		}
		if known {
			t.del(r.Key)
			if err := t.compareRoots(h.In, h.From, h.Size, own, h.Root); err != nil {
				return err
			}
		}
	}
	return nil
}

// settleNotes compares the checkpoints heard with the log as it is now. What the
// server signed for somebody and does not show here within a day is withheld.
func (t *tx) settleNotes() error {
	var k logKeys
	notes, err := t.list("translog/note/", "", 0)
	if err := errors.Join(err, t.load("translog/keys", k.wire)); err != nil || len(notes) == 0 {
		return err
	}
	for _, r := range notes {
		var h heardNote
		signed, err := kt.Signed{}, wire.Decode(r.Value, h.wire)
		if err == nil {
			signed, err = kt.VerifyCheckpoint(h.Note, k.Log, nil)
		}
		if err != nil {
			t.del(r.Key)
			continue
		}
		s, settled, err := t.contradiction(&word{Note: h.Note}, signed.TreeHead)
		switch {
		case err != nil:
			return err
		case s != nil:
			err = t.found(h.In, h.From, s)
		case !settled && t.c.now().Sub(time.Unix(int64(h.Since), 0)) > withheldAfter:
			t.put("translog/alarm", fmt.Appendf(nil, "the server withholds its log from this device: %s was shown %d epochs a day ago", t.shownTo(h.From), signed.Size))
		}
		if err != nil {
			return err
		}
		if settled {
			t.del(r.Key)
		}
	}
	return nil
}

// takeProof returns the proof of two logs that is still to be kept, nil if none.
func (t *tx) takeProof() ([]byte, error) {
	b, err := t.get("translog/split")
	if err != nil || b == nil {
		return nil, err
	}
	t.del("translog/split")
	var s split
	if err := wire.Decode(b, s.wire); err != nil {
		return nil, err
	}
	file, err := t.prove(&s)
	if file != nil {
		t.put("translog/proved", nil)
	}
	return file, err
}

// answerOwed tells those who were shown another log what this device was shown,
// once a day and conversation. In large conversations the words that ride in
// ordinary messages have to do.
func (c *Client) answerOwed(ctx context.Context) error {
	var queued []proto.ConversationID
	err := c.step(ctx, func(t *tx) error {
		queued = nil
		owed, err := t.list("translog/owed/", "", 0)
		if err != nil {
			return err
		}
		for _, r := range owed {
			t.del(r.Key)
			var id proto.ConversationID
			if parseHex(id[:], strings.TrimPrefix(r.Key, "translog/owed/")) != nil {
				continue
			}
			did, err := t.answer(id, r.Value)
			if err != nil {
				return err
			}
			if did {
				queued = append(queued, id)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range queued {
		if err := c.flush(inPassing(ctx), id); err != nil {
			c.cfg.Log.Warn("an answer about the log has to wait", "why", err)
		}
	}
	return nil
}

// answer queues the message that carries this device's word on a size.
func (t *tx) answer(id proto.ConversationID, size []byte) (queued bool, err error) {
	cv, err := t.conv(id)
	if err != nil || cv == nil || cv.usable() != nil || len(cv.accounts()) > receiptPeople {
		return false, err
	}
	last := "translog/answered/" + id.Hex()
	b, err := t.get(last)
	if err != nil {
		return false, err
	}
	if len(b) == 8 && t.c.now().Sub(time.Unix(int64(binary.BigEndian.Uint64(b)), 0)).Abs() < withheldAfter {
		return false, nil
	}
	m := content.New(content.System, t.c.now())
	m.Event = &content.Event{Type: eventLog, Data: size}
	t.put(last, binary.BigEndian.AppendUint64(nil, uint64(max(0, t.c.now().Unix()))))
	_, err = t.queue(id, m)
	return err == nil, err
}

// keepLogProof keeps a file about the log, and its place for as long as the
// alarm stands.
func (c *Client) keepLogProof(ctx context.Context, alarm error, file []byte) error {
	err := c.keepProof(ctx, alarm, file)
	var safety *SafetyError
	if !errors.As(err, &safety) || safety.Evidence == "" {
		return err
	}
	return errors.Join(err, c.step(ctx, func(t *tx) error {
		t.put("translog/alarmfile", []byte(safety.Evidence))
		return nil
	}))
}

// logAlarm is the alarm there is about the log, nil if it is in order.
func (t *tx) logAlarm() error {
	claim, err := t.claimedLog()
	if err != nil {
		return err
	}
	if claim != nil {
		file, err := t.get("translog/alarmfile")
		alarm := claimAlarm(claim)
		alarm.Evidence = string(file)
		return errors.Join(alarm, err)
	}
	why, err := t.get("translog/alarm")
	if err != nil {
		return err
	}
	if why == nil {
		return t.claimed()
	}
	file, err := t.get("translog/alarmfile")
	if err != nil {
		return err
	}
	return &SafetyError{Reason: string(why), Evidence: string(file), Fix: fixOf(string(why)), cause: errLogTrouble}
}
