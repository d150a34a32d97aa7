package kt

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/wire"
	"golang.org/x/mod/sumdb/tlog"
)

// testLog is an honest log in memory: what a server writes.
type testLog struct {
	replay Replay
	hashes storedHashes
	heads  []TreeHead // after each epoch

	records []EpochRecord
}

// storedHashes is the simplest tlog.HashReader.
type storedHashes []tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = s[x]
	}
	return out, nil
}

var someVRF = HashVRFKey(NewVRFKey([32]byte{1}).Public())

// record makes the honest record for a batch at a time.
func (l *testLog) record(at uint64, batch []BatchEntry) EpochRecord {
	last, ok := l.replay.Last()
	edit := l.replay.Map().Edit()
	for _, e := range batch {
		edit.Put(MapLeaf{Index: e.Index, Seq: e.Seq, Head: e.NewHead})
	}
	m := edit.Done()
	r := EpochRecord{N: l.replay.Size(), Time: at, MapRoot: m.Root(), MapCount: uint64(m.Len()),
		BatchRoot: BatchRoot(batch), BatchCount: uint32(len(batch)), VRFKeyHash: someVRF}
	if !ok || r.Distinguished(last.Time) {
		r.LastDistinguished = r.N
	} else {
		r.LastDistinguished = last.LastDistinguished
	}
	return r
}

func (l *testLog) append(t testing.TB, at uint64, batch []BatchEntry) {
	t.Helper()
	r := l.record(at, batch)
	next, err := l.replay.Apply(r, batch)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := tlog.StoredHashes(int64(r.N), r.Encode(), l.hashes)
	if err != nil {
		t.Fatal(err)
	}
	l.hashes = append(l.hashes, stored...)
	l.replay = next
	l.records = append(l.records, r)
	l.heads = append(l.heads, TreeHead{Origin: "example.org/huis", Size: next.Size(), Root: next.Root()})
}

func entry(i int, seq uint32, prev, next byte) BatchEntry {
	return BatchEntry{Kind: KindAccount, Index: numbered(i), Seq: seq, PrevHead: Hash{prev}, NewHead: Hash{next}}
}

// grown is a log of 40 epochs over three days.
func grown(t testing.TB) *testLog {
	l := &testLog{}
	for i := range 40 {
		batch := []BatchEntry{entry(i, 0, 0, 1), entry(i, 1, 1, 2)}
		if i > 0 {
			batch = append(batch, entry(i-1, 2, 2, 3))
		}
		l.append(t, uint64(86400*10+i*6000), batch)
	}
	return l
}

func TestFrontierIsTheTreeOfRFC6962(t *testing.T) {
	l := grown(t)
	for i, h := range l.heads {
		want, err := tlog.TreeHash(int64(i+1), l.hashes)
		if err != nil || h.Root != Hash(want) {
			t.Fatalf("size %d: root %x, want %x", i+1, h.Root, want)
		}
	}
	if (Frontier{}).Root() != emptyRoot {
		t.Error("root of the empty tree")
	}
}

func TestProofsOverTheLog(t *testing.T) {
	l := grown(t)
	n := len(l.heads)
	last := l.heads[n-1]
	for m := 1; m <= n; m++ {
		p, err := tlog.ProveTree(int64(n), int64(m), l.hashes)
		if err != nil {
			t.Fatal(err)
		}
		proof := make([]Hash, len(p))
		for i := range p {
			proof[i] = Hash(p[i])
		}
		if err := CheckConsistency(proof, uint64(m), l.heads[m-1].Root, last.Size, last.Root); err != nil {
			t.Fatalf("from %d: %v", m, err)
		}
		if err := CheckConsistency(proof, uint64(m), Hash{1}, last.Size, last.Root); err == nil {
			t.Fatalf("from %d: accepted for another root", m)
		}
	}
	if CheckConsistency(nil, 41, Hash{}, 40, last.Root) == nil || CheckConsistency(nil, 0, Hash{}, 40, last.Root) == nil {
		t.Error("accepted a log that shrinks, or a wrong empty root")
	}
	if CheckInclusion(nil, 40, last.Root, 40, Hash{}) == nil {
		t.Error("accepted an epoch outside the log")
	}
}

// TestReplayRules breaks each rule of the log in an otherwise honest epoch.
func TestReplayRules(t *testing.T) {
	l := grown(t)
	last, _ := l.replay.Last()
	at := last.Time + 60
	honest := []BatchEntry{entry(100, 0, 0, 1)}
	cases := []struct {
		rule  string
		batch []BatchEntry
		alter func(*EpochRecord)
	}{
		{"epoch", honest, func(r *EpochRecord) { r.N++ }},
		{"epoch", honest, func(r *EpochRecord) { r.N-- }},
		{"time", honest, func(r *EpochRecord) { r.Time = last.Time - 1; r.LastDistinguished = last.LastDistinguished }},
		{"distinguished", honest, func(r *EpochRecord) { r.LastDistinguished = r.N }},
		{"distinguished", honest, func(r *EpochRecord) { r.Time += 86400 }},
		{"vrf", honest, func(r *EpochRecord) { r.VRFKeyHash[0]++ }},
		{"batch", honest, func(r *EpochRecord) { r.BatchRoot[0]++ }},
		{"batch", honest, func(r *EpochRecord) { r.BatchCount++ }},
		{"map", honest, func(r *EpochRecord) { r.MapRoot[0]++ }},
		{"map", honest, func(r *EpochRecord) { r.MapCount++ }},
		{"map", nil, func(r *EpochRecord) { r.MapRoot = Hash{} }},
		{"seq", []BatchEntry{entry(100, 1, 0, 1)}, nil},
		{"seq", []BatchEntry{entry(3, 0, 0, 1)}, nil},
		{"seq", []BatchEntry{entry(3, 2, 2, 9)}, nil},
		{"head", []BatchEntry{entry(3, 3, 9, 9)}, nil},
		{"head", []BatchEntry{entry(100, 0, 1, 1)}, nil},
	}
	for i, c := range cases {
		r := l.record(at, c.batch)
		if c.alter != nil {
			c.alter(&r)
		}
		_, err := l.replay.Apply(r, c.batch)
		var bad *InvalidError
		if !errors.As(err, &bad) || bad.Rule != c.rule {
			t.Errorf("case %d: %v, want a breach of %s", i, err, c.rule)
		}
	}
	if _, err := l.replay.Apply(l.record(at, honest), honest); err != nil {
		t.Errorf("the honest epoch: %v", err)
	}
}

func TestEpochRecordIsSmallAndHasOneEncoding(t *testing.T) {
	l := grown(t)
	r, _ := l.replay.Last()
	b := r.Encode()
	if len(b) > 190 {
		t.Errorf("%d bytes", len(b))
	}
	again, err := ParseEpochRecord(b)
	if err != nil || again != r {
		t.Fatalf("%v, %v", again, err)
	}
	for n := range b {
		if _, err := ParseEpochRecord(b[:n]); err == nil {
			t.Fatalf("prefix of %d bytes accepted", n)
		}
	}
	e := entry(1, 2, 3, 4)
	if n := len(wire.MustEncode(e.Wire)); n != BatchEntrySize {
		t.Errorf("an entry has %d bytes", n)
	}
}

func TestHeadsCommitToLabelPlaceAndValue(t *testing.T) {
	label := MapLabel(KindAccount, []byte("alice"))
	openings := []Opening{NewOpening(), NewOpening()}
	values := [][]byte{[]byte("genesis"), []byte("next")}
	head, err := LabelHead(label, openings, values)
	if err != nil {
		t.Fatal(err)
	}
	others := map[string]func() (Hash, error){
		"label":   func() (Hash, error) { return LabelHead(MapLabel(KindAccount, []byte("bob")), openings, values) },
		"order":   func() (Hash, error) { return LabelHead(label, openings, [][]byte{values[1], values[0]}) },
		"opening": func() (Hash, error) { return LabelHead(label, []Opening{openings[1], openings[0]}, values) },
		"fewer":   func() (Hash, error) { return LabelHead(label, openings[:1], values[:1]) },
	}
	for what, f := range others {
		if other, err := f(); err != nil || other == head {
			t.Errorf("another %s gives the same head (%v)", what, err)
		}
	}
	if _, err := LabelHead(label, openings, values[:1]); err == nil {
		t.Error("openings and values of different number accepted")
	}
}

func signer(t testing.TB, name string, seed byte) *NoteSigner {
	t.Helper()
	s, err := NewNoteSigner(name, bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheckpointWithCosignatures(t *testing.T) {
	log, w1, w2 := signer(t, "example.org/huis", 1), signer(t, "witness.example/one", 2), signer(t, "witness.example/two", 3)
	root := Hash{1, 2, 3}
	msg := log.SignCheckpoint(40, root)
	text, err := NoteText(msg)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 0).UTC()
	msg = append(msg, w1.Cosign(text, at)...)
	msg = append(msg, w2.Cosign(text, at.Add(time.Second))...)
	got, err := VerifyCheckpoint(msg, log.Public(), []NoteKey{w1.Public(), signer(t, "witness.example/else", 9).Public(), w2.Public()})
	if err != nil {
		t.Fatal(err)
	}
	if got.Size != 40 || got.Root != root || len(got.Cosignatures) != 2 || !got.Cosignatures[0].Time.Equal(at) || got.Cosignatures[1].Witness != w2.Public() {
		t.Errorf("%+v", got)
	}

	other := signer(t, "example.org/huis", 7)
	line := strings.LastIndex(string(msg), "— ")
	bad := map[string]func() ([]byte, NoteKey, []NoteKey){
		"another log's key": func() ([]byte, NoteKey, []NoteKey) { return msg, other.Public(), nil },
		"a changed size": func() ([]byte, NoteKey, []NoteKey) {
			return bytes.Replace(msg, []byte("\n40\n"), []byte("\n41\n"), 1), log.Public(), nil
		},
		"a changed cosignature": func() ([]byte, NoteKey, []NoteKey) {
			b := bytes.Clone(msg)
			b[len(b)-9] ^= 1
			return b, log.Public(), []NoteKey{w2.Public()}
		},
		"no signature of the log": func() ([]byte, NoteKey, []NoteKey) {
			return append([]byte(text+"\n"), msg[line:]...), log.Public(), []NoteKey{w2.Public()}
		},
		"a checkpoint of the witness's own name": func() ([]byte, NoteKey, []NoteKey) {
			return signer(t, "other.example", 1).SignCheckpoint(40, root), log.Public(), nil
		},
	}
	for what, f := range bad {
		m, l, ws := f()
		if _, err := VerifyCheckpoint(m, l, ws); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTreeHeadHasOneText(t *testing.T) {
	good := TreeHead{Origin: "example.org/huis", Size: 7, Root: Hash{9}}
	if h, err := ParseTreeHead(good.Text()); err != nil || h != good {
		t.Fatalf("%v, %v", h, err)
	}
	text := good.Text()
	for _, bad := range []string{"", text + "extension\n", strings.Replace(text, "\n7\n", "\n07\n", 1), strings.Replace(text, "\n7\n", "\n-7\n", 1),
		strings.TrimSuffix(text, "\n"), strings.Replace(text, "=", "", 1), "\n" + strings.SplitN(text, "\n", 2)[1]} {
		if _, err := ParseTreeHead(bad); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzVerifyCheckpoint(f *testing.F) {
	log := signer(f, "example.org/huis", 1)
	w := signer(f, "witness.example/one", 2)
	msg := log.SignCheckpoint(40, Hash{1})
	text, _ := NoteText(msg)
	f.Add(append(msg, w.Cosign(text, time.Unix(1700000000, 0))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := VerifyCheckpoint(b, log.Public(), []NoteKey{w.Public()})
		if err == nil && (s.Size != 40 || s.Root != Hash{1}) {
			t.Fatalf("a head the log never signed: %+v", s)
		}
	})
}

func ExampleReplay() {
	var auditor Replay
	batch := []BatchEntry{{Kind: KindAccount, NewHead: Hash{1}}}
	edit := auditor.Map().Edit()
	edit.Put(MapLeaf{Head: Hash{1}})
	record := EpochRecord{Time: 1700000000, MapRoot: edit.Done().Root(), MapCount: 1, BatchRoot: BatchRoot(batch), BatchCount: 1}
	auditor, err := auditor.Apply(record, batch)
	fmt.Println(auditor.Size(), err)
	// Output: 1 <nil>
}
