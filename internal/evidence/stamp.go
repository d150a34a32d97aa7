package evidence

import (
	"errors"
	"fmt"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// The proofs about stamps (docs/protocol.md, Section 6).
const (
	KindStampConflict = "stamp-conflict"
	KindStampForged   = "stamp-forged"
)

// ErrNoProof is in the chain of the errors of a proof about stamps that proves
// nothing.
var ErrNoProof = errors.New("the evidence proves nothing")

func noProof(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNoProof, fmt.Sprintf(format, args...))
}

// StampKey is a key a server stamps with, and the proof that it stands in the
// server's log.
type StampKey struct {
	Key  proto.StampKey
	Seen kt.Sighting // the epoch of Proof
	VRF  kt.VRFPublicKey
	Map  kt.LabelProof
}

// Wire codes the key.
func (k *StampKey) Wire(c *wire.Codec) {
	k.Key.Wire(c)
	k.Seen.Wire(c)
	wire.Fixed(c, k.VRF[:])
	k.Map.Wire(c)
}

// Verify checks that the log has the key under its kid.
func (k *StampKey) Verify(log kt.NoteKey) error {
	if k.Seen.Record == nil {
		return noProof("a checkpoint without its epoch")
	}
	if _, err := k.Seen.Verify(log); err != nil {
		return err
	}
	if k.Seen.Record.VRFKeyHash != kt.HashVRFKey(k.VRF) {
		return noProof("the log was made with another VRF key")
	}
	leaf, err := k.Map.Verify(k.VRF, kt.KindStampKey, k.Key.KID[:], k.Seen.Record.MapRoot, [][]byte{k.Key.Public[:]})
	if err == nil && leaf == nil {
		err = noProof("the stamp key does not stand in the log")
	}
	return err
}

// Placed is an entry without its bytes at the place its receipt gives it.
type Placed struct {
	Entry   proto.Skeleton
	Receipt proto.Receipt
}

// Wire codes the entry and its place.
func (p *Placed) Wire(c *wire.Codec) {
	wire.Uint8(c, &p.Entry.Kind)
	p.Entry.Conversation.Wire(c)
	wire.Uint64(c, &p.Entry.Epoch)
	p.Entry.MK.Wire(c)
	p.Entry.Tag.Wire(c)
	p.Entry.Body.Wire(c)
	p.Entry.ExtraHash.Wire(c)
	p.Entry.Sig.Wire(c)
	p.Receipt.Wire(c)
}

// StampConflict is proof that a server stamped two logs of one conversation: it
// gave two entries places that cannot both be true.
type StampConflict struct {
	Key  StampKey
	A, B Placed // A not after B
}

// Wire codes the proof.
func (s *StampConflict) Wire(c *wire.Codec) {
	s.Key.Wire(c)
	s.A.Wire(c)
	s.B.Wire(c)
}

// Verify tells whether the proof holds against the log with the given key.
func (s *StampConflict) Verify(log kt.NoteKey) error {
	if err := s.Key.Verify(log); err != nil {
		return err
	}
	if s.Breach() == "" {
		return noProof("the two stamps do not contradict each other")
	}
	return nil
}

// Breach says which rule of a conversation's log the two break, "" if none or
// if they are not both stamped with the key.
func (s *StampConflict) Breach() string {
	a, errA := s.A.Receipt.VerifySkeleton(&s.A.Entry, s.Key.Key)
	b, errB := s.B.Receipt.VerifySkeleton(&s.B.Entry, s.Key.Key)
	ra, rb := &s.A.Receipt, &s.B.Receipt
	switch {
	case errA != nil || errB != nil || s.A.Entry.Conversation != s.B.Entry.Conversation || ra.Generation != rb.Generation:
		return ""
	case ra.Seq == rb.Seq && a != b:
		return "two entries stand at one place"
	case rb.Seq == ra.Seq:
		return ""
	case rb.Seq == ra.Seq+1 && rb.ChainPrev != a:
		return "an entry does not continue the one before it"
	case s.A.Entry.Kind == proto.KindCommit && s.B.Entry.Kind == proto.KindCommit && s.A.Entry.Epoch == s.B.Entry.Epoch:
		return "two changes of one epoch were taken"
	case s.A.Entry.Kind == proto.KindApplication && s.B.Entry.Kind == proto.KindApplication && s.A.Entry.Tag == s.B.Entry.Tag:
		return "one message was taken twice"
	}
	return ""
}

// StampForged is proof that a server stamped an entry which the member it names
// did not sign. The stamp covers the signature: who damages that of an honest
// entry has no stamp for it.
type StampForged struct {
	Key   StampKey
	Entry Placed
}

// Wire codes the proof.
func (s *StampForged) Wire(c *wire.Codec) {
	s.Key.Wire(c)
	s.Entry.Wire(c)
}

// Verify tells whether the proof holds against the log with the given key.
func (s *StampForged) Verify(log kt.NoteKey) error {
	if err := s.Key.Verify(log); err != nil {
		return err
	}
	if _, err := s.Entry.Receipt.VerifySkeleton(&s.Entry.Entry, s.Key.Key); err != nil {
		return noProof("the server did not stamp the entry: %v", err)
	}
	if s.Entry.Entry.VerifySubmitter() == nil {
		return noProof("the entry is signed by its submitter")
	}
	return nil
}
