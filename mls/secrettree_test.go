package mls

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// stored is a store of records, as the deltas leave it.
type stored map[string][]byte

func (s stored) write(d Delta) {
	for _, r := range d {
		if r.Value == nil {
			delete(s, r.Key)
		} else {
			s[r.Key] = r.Value
		}
	}
}

func (s stored) get(key string) ([]byte, error) { return s[key], nil }

func testTree(t testing.TB, leaves uint32) (*secretTree, stored) {
	t.Helper()
	a := must(CipherSuite(1).algorithms())
	s := stored{}
	tree, d := newSecretTree(a, "secrets/3", leaves, bytes.Repeat([]byte{7}, 32))
	s.write(d)
	return tree, s
}

func TestSecretTreeGivesTheSameKeysInAnyOrder(t *testing.T) {
	first, _ := testTree(t, 16)
	second, _ := testTree(t, 16)
	limits := ratchetLimits{50, 50}
	for _, leaf := range rand.Perm(16) {
		id := ratchetID{LeafIndex(leaf), leaf%2 == 0}
		want := map[uint32][]byte{}
		for g := range uint32(20) {
			step := must(first.next(id))
			first.take(step)
			want[g] = step.Key
		}
		for _, g := range rand.Perm(20) {
			step := must(second.find(id, uint32(g), limits))
			second.take(step)
			if step.Generation != uint32(g) || !bytes.Equal(step.Key, want[uint32(g)]) {
				t.Fatalf("leaf %d: key of generation %d differs", leaf, g)
			}
		}
	}
}

func TestSecretTreeIsRestoredAsItWas(t *testing.T) {
	tree, s := testTree(t, 32)
	limits := ratchetLimits{50, 50}
	for range 200 {
		id := ratchetID{LeafIndex(rand.IntN(32)), rand.IntN(2) == 0}
		base := uint32(0)
		if r := tree.ratchets[id]; r != nil {
			base = r.Generation
		}
		s.write(tree.take(must(tree.find(id, base+rand.Uint32N(3), limits))))
	}
	again, err := restoreSecretTree(tree.nodes.suite, "secrets/3", 32, s.get)
	if err != nil {
		t.Fatal(err)
	}
	for l := range LeafIndex(32) {
		for _, id := range []ratchetID{{l, false}, {l, true}} {
			a, b := must(tree.next(id)), must(again.next(id))
			if a.Generation != b.Generation || !a.Key.Equal(b.Key) {
				t.Fatalf("%v differs after restoring", id)
			}
		}
	}
	s.write(again.forget())
	if len(s) != 0 {
		t.Errorf("%d records are left of a forgotten tree", len(s))
	}
}

func TestDamagedRecordsAreAnError(t *testing.T) {
	tree, s := testTree(t, 4)
	s.write(tree.take(must(tree.next(ratchetID{leaf: 1}))))
	for key := range s {
		damaged := stored{}
		for k, v := range s {
			damaged[k] = v
		}
		damaged[key] = s[key][1:]
		if _, err := restoreSecretTree(tree.nodes.suite, "secrets/3", 4, damaged.get); err == nil {
			t.Errorf("damaged %s is read", key)
		}
		delete(damaged, key)
		if _, err := restoreSecretTree(tree.nodes.suite, "secrets/3", 4, damaged.get); err == nil {
			t.Errorf("missing %s is not noticed", key)
		}
	}
	failing := func(string) ([]byte, error) { return nil, errors.New("disk") }
	if _, err := restoreSecretTree(tree.nodes.suite, "secrets/3", 4, failing); err == nil {
		t.Error("a failing store is not noticed")
	}
}

func TestUsedKeysAreGone(t *testing.T) {
	tree, s := testTree(t, 8)
	before := s["secrets/3/node/7"]
	s.write(tree.take(must(tree.next(ratchetID{leaf: 2}))))
	if s["secrets/3/node/7"] != nil || tree.nodes.nodes[7] != nil {
		t.Error("the root secret is still there: every key can be derived again")
	}
	if len(tree.nodes.nodes) != 3 {
		t.Errorf("%d node secrets left, want the 3 siblings of the path", len(tree.nodes.nodes))
	}
	if !bytes.Equal(before, bytes.Repeat([]byte{7}, 32)) {
		t.Error("a record handed out earlier was overwritten")
	}
	if _, err := tree.find(ratchetID{leaf: 2}, 0, ratchetLimits{9, 9}); !errors.Is(err, ErrDuplicate) {
		t.Errorf("used key again: %v", err)
	}
}

func TestGenerationTooFarAheadIsRefused(t *testing.T) {
	tree, _ := testTree(t, 4)
	limits := ratchetLimits{forward: 10, skipped: 10}
	id := ratchetID{leaf: 1}
	if _, err := tree.find(id, 11, limits); !errors.Is(err, ErrTooFar) {
		t.Errorf("11 ahead: %v", err)
	}
	if _, err := tree.find(id, math.MaxUint32, limits); !errors.Is(err, ErrTooFar) {
		t.Errorf("far ahead: %v", err)
	}
	if _, err := tree.find(id, 10, limits); err != nil {
		t.Errorf("10 ahead: %v", err)
	}
	if tree.ratchets[id] != nil {
		t.Error("looking a key up changed the tree")
	}
}

func TestSkippedKeysAreBounded(t *testing.T) {
	tree, _ := testTree(t, 4)
	limits := ratchetLimits{forward: 100, skipped: 5}
	id := ratchetID{leaf: 1}
	tree.take(must(tree.find(id, 20, limits)))
	if n := len(tree.ratchets[id].Skipped); n != 5 {
		t.Fatalf("%d keys kept, want 5", n)
	}
	for g := range uint32(20) {
		_, err := tree.find(id, g, limits)
		if kept := g >= 15; kept != (err == nil) {
			t.Errorf("generation %d: %v", g, err)
		}
	}
}

func TestRatchetEndsBeforeItsGenerationsDo(t *testing.T) {
	tree, _ := testTree(t, 4)
	id := ratchetID{leaf: 1}
	tree.take(must(tree.next(id)))
	tree.ratchets[id].Generation = math.MaxUint32
	if _, err := tree.next(id); err == nil {
		t.Error("the last generation was given out: the next one would be 0 again")
	}
}

func TestOneMessageWritesLittle(t *testing.T) {
	tree, _ := testTree(t, 1<<14)
	id := ratchetID{leaf: 9999}
	if d := tree.take(must(tree.next(id))); len(d) > 17 {
		t.Errorf("the first message of a sender writes %d records", len(d))
	}
	if d := tree.take(must(tree.next(id))); len(d) != 1 || len(d[0].Value) > 64 {
		t.Errorf("the second message writes %d records", len(d))
	}
}

func TestComponentSecretIsExportedOnce(t *testing.T) {
	a := must(XWingChaChaSHA384Ed25519.algorithms())
	root := randomBytes(a.hashSize())
	s := stored{}
	tree, d := newExporterTree(a, "exporter/3", root)
	s.write(d)
	seen := map[string]bool{}
	for _, id := range []ComponentID{0, 1, 4, 0x8000, 0xffff} {
		secret, d, err := tree.export(id)
		s.write(d)
		if err != nil || seen[string(secret)] {
			t.Fatalf("component %d: %v", id, err)
		}
		seen[string(secret)] = true
		if _, _, err := tree.export(id); err == nil {
			t.Errorf("component %d exported twice", id)
		}
		if tree, err = restoreExporterTree(a, "exporter/3", s.get); err != nil {
			t.Fatal(err)
		}
		if _, _, err := tree.export(id); err == nil {
			t.Errorf("component %d exported again after restoring", id)
		}
	}
	if got := fmt.Sprint(len(s)); got == "1" {
		t.Error("the root is still stored")
	}
	s.write(tree.forget())
	if len(s) != 0 {
		t.Errorf("%d records left", len(s))
	}
}

// TestExporterTreeFollowsTheBits derives one leaf by hand: sixteen steps, from
// the highest bit of the id to the lowest.
func TestExporterTreeFollowsTheBits(t *testing.T) {
	a := must(CipherSuite(1).algorithms())
	want := Secret(bytes.Repeat([]byte{3}, 32))
	tree, _ := newExporterTree(a, "x", want)
	const id = 0xA53C
	for bit := 15; bit >= 0; bit-- {
		side := []string{"left", "right"}[id>>bit&1]
		want = a.expandWithLabel(want, "tree", []byte(side), 32)
	}
	if got, _, err := tree.export(id); err != nil || !got.Equal(want) {
		t.Errorf("exported %x, want %x, %v", []byte(got), []byte(want), err)
	}
}
