package kt

import (
	"errors"
	"slices"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/wire"
	"golang.org/x/mod/sumdb/tlog"
)

// handleLog is an honest server's log of one handle.
type handleLog struct {
	*testing.T
	log      testLog
	vrf      *VRFKey
	signer   *NoteSigner
	values   [][]byte
	openings []Opening
	heads    []Hash // of the label after each value
	maps     []Map  // after each epoch
}

const someHandle = "bob"

func newHandleLog(t *testing.T) *handleLog {
	signer, err := NewNoteSigner("example.org/huis", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &handleLog{T: t, vrf: NewVRFKey([32]byte{1}), signer: signer}
}

func (l *handleLog) place() (VRFProof, Index) {
	pi, out := l.vrf.Prove(MapLabel(KindAccount, []byte(someHandle)))
	return pi, MapIndex(out)
}

func (l *handleLog) epoch(at time.Time, values ...[]byte) {
	l.Helper()
	_, x := l.place()
	var batch []BatchEntry
	for _, v := range values {
		e := BatchEntry{Kind: KindAccount, Index: x, Seq: uint32(len(l.values))}
		if n := len(l.heads); n > 0 {
			e.PrevHead = l.heads[n-1]
		}
		o := NewOpening()
		e.NewHead = NextHead(e.PrevHead, Commit(o, MapLabel(KindAccount, []byte(someHandle)), e.Seq, v))
		l.values, l.openings, l.heads = append(l.values, v), append(l.openings, o), append(l.heads, e.NewHead)
		batch = append(batch, e)
	}
	l.log.append(l, uint64(at.Unix()), batch)
	l.maps = append(l.maps, l.log.replay.Map())
}

func (l *handleLog) sighting(n int) Sighting {
	l.Helper()
	r := l.log.replay
	p, err := tlog.ProveRecord(int64(r.Size()), int64(n), l.log.hashes)
	if err != nil {
		l.Fatal(err)
	}
	s := Sighting{Checkpoint: l.signer.SignCheckpoint(r.Size(), r.Root()), Record: &l.log.records[n]}
	for _, h := range p {
		s.Proof = append(s.Proof, Hash(h))
	}
	return s
}

func (l *handleLog) succession(early, late int) *Succession {
	pi, x := l.place()
	p := &Succession{Early: l.sighting(early), Late: l.sighting(late), VRF: l.vrf.Public(), Handle: someHandle}
	p.Before = l.maps[early].Prove(x)
	p.Then = LabelProof{VRF: pi, Map: l.maps[late].Prove(x)}
	n := int(p.Then.Map.Leaf.Seq) + 1
	p.Values, p.Then.Openings = l.values[:n], l.openings[:n]
	return p
}

func TestASuccessionProvesWhoLostTheName(t *testing.T) {
	l, bob, mallory := newHandleLog(t), newAccount(t), newAccount(t)
	l.epoch(t0, bob.links...)
	l.epoch(t0.Add(time.Hour), mallory.links...)
	for day := range 3 {
		l.epoch(midnight(day + 1))
	}
	l.epoch(midnight(3).Add(time.Hour))
	key := l.signer.Public()
	good := l.succession(2, 3)
	if former, err := good.Verify(key); err != nil || len(former) != 1 || former[0] != bob.account {
		t.Fatalf("%v, %v", former, err)
	}
	var again Succession
	if err := wire.Decode(wire.MustEncode(good.Wire), again.Wire); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Verify(key); err != nil {
		t.Error("decoded:", err)
	}
	refused := func(what string, p *Succession) {
		t.Helper()
		if former, err := p.Verify(key); err == nil {
			t.Errorf("%s proves something about %d accounts", what, len(former))
		}
	}
	refused("one day", l.succession(2, 2))
	refused("the wrong order", l.succession(3, 2))
	refused("an epoch that is not distinguished", l.succession(2, 5))
	refused("an epoch before the reset", l.succession(0, 3))
	p := *good
	p.Values = slices.Clone(p.Values[:1])
	refused("fewer values", &p)
	p = *good
	p.Late.Record = nil
	refused("no record", &p)
	p = *good
	p.VRF[0] ^= 1
	refused("another VRF key", &p)
	p = *good
	p.Handle = "alice"
	refused("another name", &p)
	if _, err := good.Verify(newHandleLogKey(t)); err == nil {
		t.Error("another log's key verifies it")
	}

	l = newHandleLog(t)
	l.epoch(t0, bob.links...)
	l.epoch(t0.Add(time.Hour), mallory.links...)
	l.epoch(midnight(1))
	veto, err := bob.Veto(bob.now, bob.devices[0].signer(), mallory.account)
	if err != nil {
		t.Fatal(err)
	}
	l.epoch(midnight(1).Add(time.Hour), veto)
	l.epoch(midnight(2))
	if _, err := l.succession(2, 4).Verify(l.signer.Public()); !errors.Is(err, ErrEvidence) {
		t.Errorf("a reset that was refused: %v", err)
	}
}

func newHandleLogKey(t *testing.T) NoteKey {
	s, err := NewNoteSigner("example.org/huis", append(make([]byte, 31), 9))
	if err != nil {
		t.Fatal(err)
	}
	return s.Public()
}
