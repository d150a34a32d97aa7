package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

var (
	logSigner, _ = kt.NewNoteSigner("example.org/huis", bytes.Repeat([]byte{1}, 32))
	other, _     = kt.NewNoteSigner("example.org/huis", bytes.Repeat([]byte{2}, 32))
	vrf          = kt.NewVRFKey([32]byte{3})
	stampKey     = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32))
	generation   = proto.Generation{5}
)

// inLog is a log whose only label is a stamp key.
func inLog(t testing.TB, key ed25519.PrivateKey, value []byte) StampKey {
	t.Helper()
	public := [32]byte(key.Public().(ed25519.PublicKey))
	if value == nil {
		value = public[:]
	}
	kid := proto.StampKID(public[:])
	name := kt.MapLabel(kt.KindStampKey, kid[:])
	pi, out := vrf.Prove(name)
	openings := []kt.Opening{{6}}
	head, err := kt.LabelHead(name, openings, [][]byte{value})
	if err != nil {
		t.Fatal(err)
	}
	edit := kt.Map{}.Edit()
	edit.Put(kt.MapLeaf{Index: kt.MapIndex(out), Head: head})
	m := edit.Done()
	batch := []kt.BatchEntry{{Kind: kt.KindStampKey, Index: kt.MapIndex(out), NewHead: head}}
	r := kt.EpochRecord{Time: 1000, MapRoot: m.Root(), MapCount: 1, BatchRoot: kt.BatchRoot(batch), BatchCount: 1, VRFKeyHash: kt.HashVRFKey(vrf.Public())}
	return StampKey{
		Key:  proto.StampKey{KID: kid, Public: public, Generation: generation},
		Seen: kt.Sighting{Checkpoint: logSigner.SignCheckpoint(1, kt.Frontier{}.Append(r.LeafHash()).Root()), Record: &r},
		VRF:  vrf.Public(), Map: kt.LabelProof{VRF: pi, Map: m.Prove(kt.MapIndex(out)), Openings: openings},
	}
}

// chain is written from docs/protocol.md, section 6, apart from package proto.
func chain(p *Placed) (sum proto.Hash) {
	u64 := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	e, r := &p.Entry, &p.Receipt
	h := sha256.New()
	for _, part := range [][]byte{[]byte("huis-chain/3"), r.ChainPrev[:], {byte(e.Kind)}, r.Generation[:], e.Conversation[:],
		u64(r.Seq), u64(e.Epoch), u64(r.Minute), e.MK[:], e.Tag[:], e.Body[:], e.ExtraHash[:], e.Sig[:]} {
		h.Write(append(wire.AppendLength(nil, len(part)), part...))
	}
	h.Sum(sum[:0])
	return sum
}

func stamp(p Placed, key ed25519.PrivateKey) Placed {
	p.Receipt.KID = proto.StampKID(key.Public().(ed25519.PublicKey))
	sum := chain(&p)
	var b []byte
	for _, part := range [][]byte{[]byte("huis-stamp/2"), p.Receipt.KID[:], sum[:]} {
		b = append(append(b, wire.AppendLength(nil, len(part))...), part...)
	}
	copy(p.Receipt.Stamp[:], ed25519.Sign(key, b))
	return p
}

// at is a message at a place of the log.
func at(seq uint64, change func(*Placed)) Placed {
	p := Placed{
		Entry:   proto.Skeleton{Kind: proto.KindApplication, Conversation: proto.ConversationID{7}, Epoch: 3, MK: proto.MemberKey{8}, Tag: proto.Hash{byte(seq)}, Body: proto.Hash{9}},
		Receipt: proto.Receipt{Generation: generation, Seq: seq, Minute: 100, ChainPrev: proto.Hash{10}},
	}
	if change != nil {
		change(&p)
	}
	return stamp(p, stampKey)
}

func TestStampsThatContradictEachOther(t *testing.T) {
	key := inLog(t, stampKey, nil)
	first := at(4, nil)
	follows := func(p *Placed) { p.Receipt.ChainPrev = chain(&first) }
	commit := func(p *Placed) { p.Entry.Kind, p.Entry.Tag = proto.KindCommit, proto.Hash{} }
	notice := func(p *Placed) { p.Entry.Kind, p.Entry.Tag = proto.KindNotice, proto.Hash{} }
	for name, c := range map[string]struct {
		a, b   Placed
		proves bool
	}{
		"two entries at one place":              {first, at(4, func(p *Placed) { p.Entry.Body[0]++ }), true},
		"one entry at one place with two pasts": {first, at(4, func(p *Placed) { p.Receipt.ChainPrev[0]++ }), true},
		"one entry with two times":              {first, at(4, func(p *Placed) { p.Receipt.Minute++ }), true},
		"one that does not follow":              {first, at(5, nil), true},
		"two commits of one epoch":              {at(4, commit), at(9, commit), true},
		"one entry with two signatures":         {first, at(4, func(p *Placed) { p.Entry.Sig[0]++ }), true},
		"one message twice":                     {first, at(9, func(p *Placed) { p.Entry.Tag = first.Entry.Tag }), true},

		"the same":                       {first, first, false},
		"one that follows":               {first, at(5, follows), false},
		"one that follows, earlier":      {first, at(5, func(p *Placed) { follows(p); p.Receipt.Minute-- }), false}, // clocks are set back
		"two far apart":                  {first, at(9, nil), false},
		"in the wrong order":             {at(5, nil), first, false},
		"one notice twice":               {at(4, notice), at(9, notice), false}, // a member may sign it twice
		"commits of two epochs":          {at(4, commit), at(9, func(p *Placed) { commit(p); p.Entry.Epoch++ }), false},
		"of two conversations":           {first, at(4, func(p *Placed) { p.Entry.Conversation[0]++ }), false},
		"of two generations":             {first, at(4, func(p *Placed) { p.Receipt.Generation[0]++ }), false},
		"one of them not stamped":        {first, unstamped(at(4, func(p *Placed) { p.Entry.Body[0]++ })), false},
		"one of them stamped by another": {first, stamp(at(4, func(p *Placed) { p.Entry.Body[0]++ }), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))), false},
	} {
		proof := StampConflict{Key: key, A: c.a, B: c.b}
		f, err := Verify(kt.ArmorProof(KindStampConflict, logSigner.Public(), &proof))
		if c.proves != (err == nil) || c.proves && (f.Proves == "" || f.Log != logSigner.Public()) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		if !c.proves && !errors.Is(err, ErrNoProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func unstamped(p Placed) Placed { p.Receipt.Stamp[3] ^= 1; return p }

func TestStampKeysHaveToStandInTheLog(t *testing.T) {
	conflict := func(k StampKey) *StampConflict {
		return &StampConflict{Key: k, A: at(4, nil), B: at(4, func(p *Placed) { p.Entry.Body[0]++ })}
	}
	good := inLog(t, stampKey, nil)
	if err := conflict(good).Verify(logSigner.Public()); err != nil {
		t.Fatal(err)
	}
	if conflict(good).Verify(other.Public()) == nil {
		t.Error("accuses a log that did not sign")
	}
	another := inLog(t, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)), nil)
	another.Key = good.Key
	absent := good
	absent.Map.Map.Leaf = nil
	noEpoch := good
	noEpoch.Seen.Record = nil
	foreign := good
	foreign.VRF = kt.NewVRFKey([32]byte{9}).Public()
	moved := good
	moved.Key.Generation[0]++
	for name, k := range map[string]StampKey{
		"another key's proof":     another,
		"another value":           inLog(t, stampKey, []byte("another key")),
		"absent":                  absent,
		"no epoch":                noEpoch,
		"another VRF key":         foreign,
		"of another generation":   moved,
		"nothing but the key":     {Key: good.Key},
		"a proof without its map": {Key: good.Key, Seen: good.Seen, VRF: good.VRF},
	} {
		if conflict(k).Verify(logSigner.Public()) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// submitted is p as a member signed it and the server stamped it; after changes
// it in between.
func submitted(p Placed, after func(*Placed)) Placed {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{11}, 32))
	copy(p.Entry.MK[:], key.Public().(ed25519.PublicKey))
	u64 := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	e, b := &p.Entry, []byte(nil)
	for _, part := range [][]byte{[]byte("huis/entry/1"), {byte(e.Kind)}, e.Conversation[:], u64(e.Epoch), e.Tag[:], e.Body[:], e.ExtraHash[:]} {
		b = append(append(b, wire.AppendLength(nil, len(part))...), part...)
	}
	copy(e.Sig[:], ed25519.Sign(key, b))
	if after != nil {
		after(&p)
	}
	return stamp(p, stampKey)
}

func TestStampsOfWhatNobodySigned(t *testing.T) {
	key := inLog(t, stampKey, nil)
	honest := submitted(at(4, nil), nil)
	damaged := func(f func(*Placed)) Placed { p := honest; f(&p); return p }
	for name, c := range map[string]struct {
		p      Placed
		proves bool
	}{
		"altered, stamped anew":              {submitted(at(4, nil), func(p *Placed) { p.Entry.Body[0]++ }), true},
		"attributed to another":              {submitted(at(4, nil), func(p *Placed) { p.Entry.MK[0]++ }), true},
		"of another conversation":            {submitted(at(4, nil), func(p *Placed) { p.Entry.Conversation[0]++ }), true},
		"of another epoch":                   {submitted(at(4, nil), func(p *Placed) { p.Entry.Epoch++ }), true},
		"of another kind":                    {submitted(at(4, nil), func(p *Placed) { p.Entry.Kind = proto.KindNotice }), true},
		"with another tag":                   {submitted(at(4, nil), func(p *Placed) { p.Entry.Tag[0]++ }), true},
		"with another extra":                 {submitted(at(4, nil), func(p *Placed) { p.Entry.ExtraHash[0]++ }), true},
		"a signature of nothing":             {submitted(at(4, nil), func(p *Placed) { p.Entry.Sig = proto.Signature{} }), true},
		"honest":                             {honest, false},
		"honest, elsewhere in the log":       {submitted(at(9, nil), nil), false},
		"honest, its signature damaged":      {damaged(func(p *Placed) { p.Entry.Sig[3] ^= 1 }), false},
		"honest, its bytes damaged":          {damaged(func(p *Placed) { p.Entry.Body[3] ^= 1 }), false},
		"honest, its member key exchanged":   {damaged(func(p *Placed) { p.Entry.MK[3] ^= 1 }), false},
		"forged, and stamped by nobody":      {unstamped(submitted(at(4, nil), func(p *Placed) { p.Entry.Body[0]++ })), false},
		"forged, and stamped by another key": {stamp(submitted(at(4, nil), func(p *Placed) { p.Entry.Body[0]++ }), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))), false},
	} {
		f, err := Verify(kt.ArmorProof(KindStampForged, logSigner.Public(), &StampForged{Key: key, Entry: c.p}))
		if c.proves != (err == nil) || f.Kind != KindStampForged || f.Log != logSigner.Public() || f.Proves == "" {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
		if !c.proves && !errors.Is(err, ErrNoProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	forged := &StampForged{Key: key, Entry: submitted(at(4, nil), func(p *Placed) { p.Entry.Body[0]++ })}
	if forged.Verify(other.Public()) == nil {
		t.Error("accuses a log that did not sign")
	}
	forged.Key = inLog(t, stampKey, []byte("another key"))
	if forged.Verify(logSigner.Public()) == nil {
		t.Error("a key that is not in the log")
	}
}

func TestReportsAreNoProofs(t *testing.T) {
	r := Report("the log is shorter", "size: 4\nforged: line")
	if !IsReport(r) || bytes.Contains(r, []byte("\nforged")) {
		t.Errorf("%s", r)
	}
	proof := kt.ArmorProof(KindStampConflict, logSigner.Public(), &StampConflict{Key: inLog(t, stampKey, nil), A: at(4, nil), B: at(4, func(p *Placed) { p.Entry.Body[0]++ })})
	for _, file := range [][]byte{r, bytes.ReplaceAll(r, []byte("\n"), []byte("\r\n")), append(r, proof...)} {
		if _, err := Verify(file); !errors.Is(err, ErrReport) {
			t.Errorf("%v", err)
		}
	}
	for _, file := range [][]byte{nil, []byte("hello"), proof[:100], bytes.Replace(proof, []byte("stamp-conflict"), []byte("split-view"), 1)} {
		if _, err := Verify(file); err == nil {
			t.Errorf("%q accepted", file)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(kt.ArmorProof(KindStampConflict, logSigner.Public(), &StampConflict{Key: inLog(f, stampKey, nil), A: at(4, nil), B: at(4, nil)}))
	f.Add(kt.ArmorProof(KindStampForged, logSigner.Public(), &StampForged{Key: inLog(f, stampKey, nil), Entry: submitted(at(4, nil), nil)}))
	f.Add(Report("x"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if found, err := Verify(file); err == nil && found.Proves == "" {
			t.Error("proves nothing")
		}
	})
}
