package kt

import (
	"bytes"
	"errors"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
	"golang.org/x/mod/sumdb/tlog"
)

var logSigner, _ = NewNoteSigner("example.org/huis", bytes.Repeat([]byte{1}, 32))

// sighting is what the log shows of epoch n at its present size.
func (l *testLog) sighting(t testing.TB, records []EpochRecord, n int) Sighting {
	t.Helper()
	p, err := tlog.ProveRecord(int64(len(l.heads)), int64(n), l.hashes)
	if err != nil {
		t.Fatal(err)
	}
	s := Sighting{Checkpoint: logSigner.SignCheckpoint(l.replay.Size(), l.replay.Root()), Record: &records[n]}
	for _, h := range p {
		s.Proof = append(s.Proof, Hash(h))
	}
	return s
}

// history is a log, with its records and batches.
func history(t testing.TB, heads ...byte) (*testLog, []EpochRecord, [][]BatchEntry, []Map) {
	l := &testLog{}
	var records []EpochRecord
	var batches [][]BatchEntry
	var maps []Map
	prev := byte(0)
	for i, h := range heads {
		b := []BatchEntry{entry(1, uint32(i), prev, h), entry(10+i, 0, 0, 1)}
		records = append(records, l.record(uint64(1000+i), b))
		l.append(t, uint64(1000+i), b)
		batches, maps, prev = append(batches, b), append(maps, l.replay.Map()), h
	}
	return l, records, batches, maps
}

func TestSplitViewIsProvedAcrossSizes(t *testing.T) {
	l, rl, _, _ := history(t, 1, 2, 3, 4, 5)
	f, rf, _, _ := history(t, 1, 2, 9, 4)
	proof := SplitView{A: l.sighting(t, rl, 2), B: f.sighting(t, rf, 2)}
	if err := proof.Verify(logSigner.Public()); err != nil {
		t.Fatal(err)
	}
	var again SplitView
	if err := wire.Decode(wire.MustEncode(proof.Wire), again.Wire); err != nil || again.Verify(logSigner.Public()) != nil {
		t.Fatal("does not survive encoding", err)
	}
	if kind, log, err := VerifyEvidence(proof.Armored(logSigner.Public())); err != nil || kind != EvidenceSplitView || log != logSigner.Public() {
		t.Errorf("as a file: %s, %v", kind, err)
	}
	if _, _, err := VerifyEvidence(proof.Armored(signer(t, "example.org/huis", 8).Public())); err == nil {
		t.Error("as a file, accuses a log that did not sign")
	}
	g, rg, _, _ := history(t, 1, 2, 9, 4, 5)
	same := SplitView{A: Sighting{Checkpoint: l.sighting(t, rl, 0).Checkpoint}, B: Sighting{Checkpoint: g.sighting(t, rg, 0).Checkpoint}}
	if err := same.Verify(logSigner.Public()); err != nil {
		t.Error("two roots for one size:", err)
	}

	honest := SplitView{A: l.sighting(t, rl, 1), B: f.sighting(t, rf, 1)}
	if err := honest.Verify(logSigner.Public()); !errors.Is(err, ErrEvidence) {
		t.Error("an epoch both have in common:", err)
	}
	forged := SplitView{A: proof.A, B: proof.B}
	other := rl[2]
	other.Time++
	forged.B.Record = &other
	if forged.Verify(logSigner.Public()) == nil {
		t.Error("a record that is not in the log accuses it")
	}
	if proof.Verify(signer(t, "example.org/huis", 8).Public()) == nil {
		t.Error("accuses a log that did not sign")
	}
}

func TestRollbackIsProved(t *testing.T) {
	l, rl, _, ml := history(t, 1, 2, 3)
	f, rf, _, mf := history(t, 1, 7, 3, 4)
	x := numbered(1)
	proof := Rollback{Index: x, Early: l.sighting(t, rl, 1), Late: f.sighting(t, rf, 1), Before: ml[1].Prove(x), Then: mf[1].Prove(x)}
	if err := proof.Verify(logSigner.Public()); err != nil {
		t.Error("same place, another head:", err)
	}
	gone := Rollback{Index: numbered(12), Early: l.sighting(t, rl, 2), Late: f.sighting(t, rf, 3), Before: ml[2].Prove(numbered(12)), Then: mf[0].Prove(numbered(12))}
	if gone.Verify(logSigner.Public()) == nil {
		t.Error("a map that is not the epoch's accuses")
	}
	forward := Rollback{Index: x, Early: l.sighting(t, rl, 0), Late: l.sighting(t, rl, 2), Before: ml[0].Prove(x), Then: ml[2].Prove(x)}
	if err := forward.Verify(logSigner.Public()); !errors.Is(err, ErrEvidence) {
		t.Error("an honest map accused:", err)
	}
	swapped := Rollback{Index: x, Early: forward.Late, Late: forward.Early, Before: forward.Then, Then: forward.Before}
	if err := swapped.Verify(logSigner.Public()); !errors.Is(err, ErrEvidence) {
		t.Error("an honest map read backwards:", err)
	}
	later := Rollback{Index: x, Early: l.sighting(t, rl, 2), Late: f.sighting(t, rf, 2), Before: ml[2].Prove(x), Then: mf[2].Prove(x)}
	if err := later.Verify(logSigner.Public()); !errors.Is(err, ErrEvidence) {
		t.Error("equal heads accused:", err)
	}
}

func TestFalseEpochIsProved(t *testing.T) {
	l, records, batches, _ := history(t, 1, 2, 3)
	// The log signs a fourth epoch whose batch rewrites epoch 1's head.
	batch := []BatchEntry{entry(1, 3, 9, 4)}
	r := l.record(2000, batch)
	stored, err := tlog.StoredHashes(3, r.Encode(), l.hashes)
	if err != nil {
		t.Fatal(err)
	}
	l.hashes = append(l.hashes, stored...)
	tree := l.replay.tree.Append(r.LeafHash())
	records, batches = append(records, r), append(batches, batch)
	tree4 := tree
	later := tree.Append(Hash{1}) // the log went on
	more, err := tlog.StoredHashesForRecordHash(4, tlog.Hash{1}, l.hashes)
	if err != nil {
		t.Fatal(err)
	}
	l.hashes = append(l.hashes, more...)
	consistency, err := tlog.ProveTree(5, 4, l.hashes)
	if err != nil {
		t.Fatal(err)
	}
	proof := FalseEpoch{Checkpoint: logSigner.SignCheckpoint(5, later.Root()), Records: records, Batches: batches}
	for _, h := range consistency {
		proof.Consistency = append(proof.Consistency, Hash(h))
	}
	short := FalseEpoch{Checkpoint: logSigner.SignCheckpoint(4, tree4.Root()), Records: records, Batches: batches}
	if err := short.Verify(logSigner.Public()); err != nil {
		t.Error(err)
	}
	if err := proof.Verify(logSigner.Public()); err != nil {
		t.Fatal(err)
	}

	wrongBatch := proof
	wrongBatch.Batches = append(batches[:3:3], []BatchEntry{entry(1, 3, 9, 5)})
	wrongEarly := proof
	wrongEarly.Batches = append([][]BatchEntry{{entry(7, 0, 0, 1)}}, batches[1:]...)
	wrongRecords := proof
	wrongRecords.Records = append([]EpochRecord{records[0], records[0], records[2]}, r)
	for what, p := range map[string]FalseEpoch{"another batch": wrongBatch, "another early batch": wrongEarly, "other records": wrongRecords} {
		if err := p.Verify(logSigner.Public()); !errors.Is(err, ErrEvidence) {
			t.Errorf("%s accuses: %v", what, err)
		}
	}
	good, goodRecords, goodBatches, _ := history(t, 1, 2, 3)
	honest := FalseEpoch{Checkpoint: good.sighting(t, goodRecords, 2).Checkpoint, Records: goodRecords, Batches: goodBatches}
	if err := honest.Verify(logSigner.Public()); !errors.Is(err, ErrEvidence) {
		t.Error("an honest log accused:", err)
	}
}

func TestArmor(t *testing.T) {
	body := bytes.Repeat([]byte{1, 2, 3}, 100)
	file := Armor("split-view", "example.org/huis", body)
	for _, f := range [][]byte{file, bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")), append([]byte("Hello,\n"), file...)} {
		kind, origin, got, err := Unarmor(f)
		if err != nil || kind != "split-view" || origin != "example.org/huis" || !bytes.Equal(got, body) {
			t.Errorf("%s, %s, %v", kind, origin, err)
		}
	}
	for _, bad := range [][]byte{nil, file[:50], bytes.Replace(file, []byte("AQID"), []byte("!!!!"), 1)} {
		if _, _, _, err := Unarmor(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}
