package client

import (
	"encoding/binary"
	"errors"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

// word is what a message carries now and then beside the head and the 44 bytes
// of the log, so that a receiver who was shown something else can prove it: the
// server's signatures for both.
//
//	translog/told/CONVERSATION   Unix seconds of the last message with one
type word struct {
	Note   []byte           // signed checkpoint; empty: none
	Size   uint64           // a size of the log that is in doubt; 0: none
	Prefix kt.Prefix        // what the sender's log was at Size
	Head   *evidence.Placed // the last entry the sender verified
}

func (w *word) wire(c *wire.Codec) {
	formatVersion(c)
	wire.OpaqueMax(c, &w.Note, content.MaxGossip)
	wire.Uint64(c, &w.Size)
	w.Prefix.Wire(c)
	wire.Optional(c, &w.Head, (*evidence.Placed).Wire)
}

// toldEvery is the least time between two words in one conversation, answers
// apart.
const toldEvery = time.Hour

// eventLog is a message nobody sees: an answer to somebody who was shown
// another log. Its data is the size in doubt.
const eventLog = "log"

// seen is what a message says of the server.
func (t *tx) seen(cv *conversation, m *content.Message) (s content.Seen, err error) {
	s.Head = cv.known()
	if s.Checkpoint, err = t.logGossip(); err != nil {
		return s, err
	}
	told := "translog/told/" + cv.id.Hex()
	b, err := t.get(told)
	if err != nil {
		return s, err
	}
	answer := m.Kind == content.System && m.Event.Type == eventLog && len(m.Event.Data) == 8
	if !answer && len(b) == 8 && t.c.now().Sub(time.Unix(int64(binary.BigEndian.Uint64(b)), 0)).Abs() < toldEvery {
		return s, nil
	}
	w, err := t.word(cv)
	if err == nil && answer {
		err = t.inDoubt(w, binary.BigEndian.Uint64(m.Event.Data))
	}
	if err != nil {
		return s, err
	}
	if b := wire.MustEncode(w.wire); len(b) <= content.MaxGossip && len(m.Body) <= MaxBody-content.MaxGossip {
		s.Gossip = b
		t.put(told, binary.BigEndian.AppendUint64(nil, uint64(max(0, t.c.now().Unix()))))
	}
	return s, nil
}

func (t *tx) word(cv *conversation) (*word, error) {
	h, err := t.logHead()
	if err != nil {
		return nil, err
	}
	w := &word{Note: h.Checkpoint}
	r, err := t.logged(cv, cv.head.Seq)
	if err == nil && r != nil && cv.head.Known {
		w.Head = &evidence.Placed{Entry: *r.skeleton(cv.id), Receipt: r.Receipt}
	}
	return w, err
}

// inDoubt adds what the own log was at a size.
func (t *tx) inDoubt(w *word, size uint64) error {
	p, ok, err := t.prefix(size)
	if ok {
		w.Size, w.Prefix = size, p
	}
	return err
}

// prefix proves what the own log was at a size; false if it is not that long.
func (t *tx) prefix(size uint64) (p kt.Prefix, ok bool, err error) {
	head, err := t.logHead()
	if err != nil || size == 0 || size > head.Size {
		return p, false, err
	}
	if p.Root, ok, err = t.rootAt(size); err != nil || !ok || size == head.Size {
		return p, ok, err
	}
	all, err := t.epochsTo(head.Size)
	if err != nil {
		return p, false, err
	}
	tree, err := newTree(all)
	if err != nil {
		return p, false, err
	}
	proof, err := tlog.ProveTree(int64(head.Size), int64(size), tree)
	for _, h := range proof {
		p.Proof = append(p.Proof, kt.Hash(h))
	}
	return p, err == nil, err
}

// hearWord reads what a message carries for proofs; nil if that is nothing, or
// nothing the server signed: then it is the sender's word alone.
func (t *tx) hearWord(k *logKeys, o *content.Opened) (*word, kt.TreeHead) {
	w := new(word)
	if len(o.Gossip) == 0 || wire.Decode(o.Gossip, w.wire) != nil || len(w.Note) == 0 {
		return nil, kt.TreeHead{}
	}
	signed, err := kt.VerifyCheckpoint(w.Note, k.Log, nil)
	if err != nil {
		return nil, kt.TreeHead{}
	}
	return w, signed.TreeHead
}

// toldPlace returns where the sender of a message was shown the last entry it
// verified, for the proof if this device was shown something else there.
func toldPlace(cv *conversation, o *content.Opened) *evidence.Placed {
	w := new(word)
	if len(o.Gossip) == 0 || wire.Decode(o.Gossip, w.wire) != nil || w.Head == nil || w.Head.Entry.Conversation != cv.id {
		return nil
	}
	return w.Head
}

// split is a checkpoint that contradicts the own log, and where.
type split struct {
	By     proto.AccountID
	Note   []byte
	Size   uint64
	Prefix kt.Prefix // of the other log
}

func (s *split) wire(c *wire.Codec) {
	formatVersion(c)
	s.By.Wire(c)
	wire.OpaqueMax(c, &s.Note, content.MaxGossip)
	wire.Uint64(c, &s.Size)
	s.Prefix.Wire(c)
}

// contradiction tells whether what somebody was shown cannot be the log this
// device was shown. settled is false if this device has not seen as much yet.
func (t *tx) contradiction(w *word, signed kt.TreeHead) (s *split, settled bool, err error) {
	own, known, err := t.rootAt(signed.Size)
	if err != nil {
		return nil, false, err
	}
	if known && own != signed.Root {
		return &split{Note: w.Note, Size: signed.Size, Prefix: kt.Prefix{Root: signed.Root}}, true, nil
	}
	if w.Size == 0 || kt.CheckConsistency(w.Prefix.Proof, w.Size, w.Prefix.Root, signed.Size, signed.Root) != nil {
		return nil, known, nil
	}
	before, seen, err := t.rootAt(w.Size)
	if err != nil || !seen || before == w.Prefix.Root {
		return nil, known, err
	}
	return &split{Note: w.Note, Size: w.Size, Prefix: w.Prefix}, true, nil
}

// prove makes the proof of two logs; nil if it does not hold.
func (t *tx) prove(s *split) ([]byte, error) {
	var k logKeys
	head, err := t.logHead()
	if err := errors.Join(err, t.load("translog/keys", k.wire)); err != nil {
		return nil, err
	}
	own, ok, err := t.prefix(s.Size)
	if err != nil || !ok {
		return nil, err
	}
	proof := kt.SplitView{
		A: kt.Sighting{Checkpoint: head.Checkpoint}, B: kt.Sighting{Checkpoint: s.Note},
		Common: &kt.Common{Size: s.Size, A: own, B: s.Prefix},
	}
	if proof.Verify(k.Log) != nil {
		return nil, nil
	}
	return proof.Armored(k.Log), nil
}
