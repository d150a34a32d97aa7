package kt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"codeberg.org/huis/huis/internal/wire"
)

// ErrEvidence is in the chain of the errors of evidence that proves nothing.
var ErrEvidence = errors.New("kt: the evidence proves nothing")

func noProof(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrEvidence, fmt.Sprintf(format, args...))
}

// Sighting is one epoch as a log's signed checkpoint has it. With Proof empty
// and Record nil it is the checkpoint alone.
type Sighting struct {
	Checkpoint []byte // signed note
	Record     *EpochRecord
	Proof      []Hash // of Record's inclusion
}

// maxNote bounds a checkpoint with all its cosignatures, in bytes.
const maxNote = 64 << 10

// Wire codes the sighting.
func (s *Sighting) Wire(c *wire.Codec) {
	wire.OpaqueMax(c, &s.Checkpoint, maxNote)
	wire.Optional(c, &s.Record, (*EpochRecord).Wire)
	wire.Vector(c, &s.Proof, func(h *Hash, c *wire.Codec) { wire.Fixed(c, h[:]) })
}

// Verify checks the checkpoint under the log's key and that Record, if any, is
// in it.
func (s *Sighting) Verify(log NoteKey) (Signed, error) {
	head, err := VerifyCheckpoint(s.Checkpoint, log, nil)
	if err != nil || s.Record == nil {
		return head, err
	}
	return head, CheckInclusion(s.Proof, head.Size, head.Root, s.Record.N, s.Record.LeafHash())
}

// SplitView is proof that a log showed two histories: two checkpoints it signed
// that have different roots for one size, different records for one epoch, or
// continue different logs of one size.
type SplitView struct {
	A, B   Sighting
	Common *Common // nil: not needed
}

// Common is what each of two logs was at one size that neither falls short of.
type Common struct {
	Size uint64
	A, B Prefix
}

// Prefix is a log's root at a size, and that its checkpoint continues it.
type Prefix struct {
	Root  Hash
	Proof []Hash // consistency, RFC 6962, Section 2.1.2
}

// Wire codes the proof.
func (v *SplitView) Wire(c *wire.Codec) {
	v.A.Wire(c)
	v.B.Wire(c)
	wire.Optional(c, &v.Common, (*Common).wire)
}

func (m *Common) wire(c *wire.Codec) {
	wire.Uint64(c, &m.Size)
	m.A.Wire(c)
	m.B.Wire(c)
}

// Wire codes the prefix.
func (p *Prefix) Wire(c *wire.Codec) {
	wire.Fixed(c, p.Root[:])
	wire.Vector(c, &p.Proof, func(h *Hash, c *wire.Codec) { wire.Fixed(c, h[:]) })
}

// differ tells whether two logs that continue these prefixes are two.
func (m *Common) differ(a, b TreeHead) bool {
	return m.Size > 0 && m.A.Root != m.B.Root &&
		CheckConsistency(m.A.Proof, m.Size, m.A.Root, a.Size, a.Root) == nil &&
		CheckConsistency(m.B.Proof, m.Size, m.B.Root, b.Size, b.Root) == nil
}

// Verify tells whether the proof holds against the log with the given key.
func (v *SplitView) Verify(log NoteKey) error {
	a, err := v.A.Verify(log)
	if err != nil {
		return err
	}
	b, err := v.B.Verify(log)
	if err != nil {
		return err
	}
	switch {
	case a.Size == b.Size && a.Root != b.Root:
		return nil
	case v.A.Record != nil && v.B.Record != nil && v.A.Record.N == v.B.Record.N && *v.A.Record != *v.B.Record:
		return nil
	case v.Common != nil && v.Common.differ(a.TreeHead, b.TreeHead):
		return nil
	}
	return noProof("the two checkpoints do not contradict each other")
}

// Rollback is proof that a log's map went back: of two epochs, the later has
// for an index less than the earlier, or the same place with another head.
type Rollback struct {
	Index        Index
	Early, Late  Sighting // both with Record
	Before, Then MapProof // of Index in the maps of Early and Late
}

// Wire codes the proof.
func (r *Rollback) Wire(c *wire.Codec) {
	wire.Fixed(c, r.Index[:])
	r.Early.Wire(c)
	r.Late.Wire(c)
	r.Before.Wire(c)
	r.Then.Wire(c)
}

// Verify tells whether the proof holds against the log with the given key.
func (r *Rollback) Verify(log NoteKey) error {
	for _, s := range []*Sighting{&r.Early, &r.Late} {
		if s.Record == nil {
			return noProof("a checkpoint without its epoch")
		}
		if _, err := s.Verify(log); err != nil {
			return err
		}
	}
	if r.Early.Record.N > r.Late.Record.N {
		return noProof("the epochs are not in order")
	}
	before, err := r.Before.Verify(r.Early.Record.MapRoot, r.Index)
	if err != nil {
		return err
	}
	then, err := r.Then.Verify(r.Late.Record.MapRoot, r.Index)
	if err != nil {
		return err
	}
	switch {
	case before == nil:
		return noProof("the earlier epoch did not have the index")
	case then == nil || then.Seq < before.Seq:
		return nil
	case then.Seq == before.Seq && then.Head != before.Head:
		return nil
	}
	return noProof("the map went forward")
}

// FalseEpoch is proof that a log breaks its own rules: its records and batches
// from the first epoch to the one that does not follow, and that a checkpoint it
// signed begins with them.
type FalseEpoch struct {
	Checkpoint  []byte // signed note
	Consistency []Hash // from the log of these records to Checkpoint
	Records     []EpochRecord
	Batches     [][]BatchEntry
}

// Wire codes the proof.
func (f *FalseEpoch) Wire(c *wire.Codec) {
	wire.OpaqueMax(c, &f.Checkpoint, maxNote)
	wire.Vector(c, &f.Consistency, func(h *Hash, c *wire.Codec) { wire.Fixed(c, h[:]) })
	wire.Vector(c, &f.Records, (*EpochRecord).Wire)
	wire.Vector(c, &f.Batches, func(b *[]BatchEntry, c *wire.Codec) { wire.Vector(c, b, (*BatchEntry).Wire) })
}

// Verify tells whether the proof holds against the log with the given key.
func (f *FalseEpoch) Verify(log NoteKey) error {
	n := len(f.Records)
	if n == 0 || n != len(f.Batches) {
		return noProof("no epoch, or not one batch for each")
	}
	head, err := VerifyCheckpoint(f.Checkpoint, log, nil)
	if err != nil {
		return err
	}
	var tree Frontier
	for i := range f.Records {
		tree = tree.Append(f.Records[i].LeafHash())
	}
	if err := CheckConsistency(f.Consistency, tree.Size(), tree.Root(), head.Size, head.Root); err != nil {
		return noProof("the records are not those of the checkpoint")
	}
	return f.breach()
}

// breach tells whether the last epoch, and no other, breaks a rule. A batch is
// the log's own only if the record commits to it.
func (f *FalseEpoch) breach() error {
	var r Replay
	last := len(f.Records) - 1
	for i := range f.Records {
		next, err := r.Apply(f.Records[i], f.Batches[i])
		if err == nil {
			r = next
			continue
		}
		var bad *InvalidError
		record := &f.Records[i]
		ours := len(f.Batches[i]) == int(record.BatchCount) && BatchRoot(f.Batches[i]) == record.BatchRoot
		if i < last || errors.As(err, &bad) && bad.Rule == "batch" && !ours {
			return noProof("an epoch before the last breaks a rule, or its batch is not the recorded one")
		}
		return nil
	}
	return noProof("every epoch follows its rules")
}

// The kinds of evidence files.
const (
	EvidenceSplitView  = "split-view"
	EvidenceRollback   = "rollback"
	EvidenceFalseEpoch = "false-epoch"
)

// Armored returns the proof as a file.
func (v *SplitView) Armored(log NoteKey) []byte { return armored(EvidenceSplitView, log, v.Wire) }

// Armored returns the proof as a file.
func (r *Rollback) Armored(log NoteKey) []byte { return armored(EvidenceRollback, log, r.Wire) }

// Armored returns the proof as a file.
func (f *FalseEpoch) Armored(log NoteKey) []byte { return armored(EvidenceFalseEpoch, log, f.Wire) }

func armored(kind string, log NoteKey, fields func(*wire.Codec)) []byte {
	return Armor(kind, log.LogText(), wire.MustEncode(fields))
}

// A Proof convinces somebody who was not there that whoever holds a log's key
// did something.
type Proof interface {
	Wire(c *wire.Codec)
	Verify(log NoteKey) error
}

// VerifyEvidence checks an evidence file about a log and returns what kind of
// proof it is and the log's key: who holds that key did it. Whether it is the
// key of the server one knows is for the reader to compare.
func VerifyEvidence(file []byte) (kind string, log NoteKey, err error) {
	return VerifyProof(file, func(kind string) Proof {
		switch kind {
		case EvidenceSplitView:
			return new(SplitView)
		case EvidenceRollback:
			return new(Rollback)
		case EvidenceFalseEpoch:
			return new(FalseEpoch)
		case EvidenceTakeover:
			return new(Takeover)
		case EvidenceFalseName:
			return new(FalseName)
		}
		return nil
	})
}

// VerifyProof is VerifyEvidence for other kinds: known makes an empty proof of
// a kind, nil for one it does not know.
func VerifyProof(file []byte, known func(kind string) Proof) (kind string, log NoteKey, err error) {
	kind, key, body, err := Unarmor(file)
	if err != nil {
		return kind, log, err
	}
	if log, err = ParseLogKey(key); err != nil {
		return kind, log, err
	}
	proof := known(kind)
	if proof == nil {
		return kind, log, noProof("evidence of a kind that is not known here: %q", kind)
	}
	if err := wire.Decode(body, proof.Wire); err != nil {
		return kind, log, noProof("%v", err)
	}
	return kind, log, proof.Verify(log)
}

// ArmorProof returns a proof of any kind as a file.
func ArmorProof(kind string, log NoteKey, p Proof) []byte { return armored(kind, log, p.Wire) }

// Armor wraps evidence in lines that survive mail: the kind, the key it
// accuses, and the encoding in base64.
func Armor(kind, key string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nkind: %s\nkey: %s\n\n", armorBegin, kind, key)
	text := base64.StdEncoding.EncodeToString(body)
	for len(text) > 0 {
		n := min(76, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	b.WriteString(armorEnd + "\n")
	return b.Bytes()
}

const (
	armorBegin = "-----BEGIN HUIS EVIDENCE-----"
	armorEnd   = "-----END HUIS EVIDENCE-----"
)

// Unarmor reads what Armor wrote.
func Unarmor(file []byte) (kind, key string, body []byte, err error) {
	text := strings.ReplaceAll(string(file), "\r\n", "\n")
	_, text, begin := strings.Cut(text, armorBegin+"\n")
	text, _, end := strings.Cut(text, "\n"+armorEnd)
	head, lines, parts := strings.Cut(text, "\n\n")
	if !begin || !end || !parts {
		return "", "", nil, errors.New("kt: not an evidence file")
	}
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "kind":
			kind = value
		case "key":
			key = value
		}
	}
	body, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(lines, "\n", ""))
	if err != nil {
		return "", "", nil, errors.New("kt: the evidence file is damaged")
	}
	return kind, key, body, nil
}
