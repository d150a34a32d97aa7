package mls

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
)

// usedStore is bob's store after some life: past epochs, skipped keys, a proposal.
func usedStore(t testing.TB) (g *trio, store map[string][]byte) {
	t.Helper()
	g = newTrio(t)
	late := g.alice.protect("late")
	g.bob.receive(g.alice.protect("first"))
	c := g.alice.commit(CommitOptions{})
	g.bob.receive(c.Message())
	g.carol.receive(c.Message())
	msg, _, delta, err := g.carol.group.Propose(remove(0), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	g.carol.write(delta)
	g.bob.receive(msg)
	g.bob.receive(late)
	return g, g.bob.store
}

// TestDamagedStateNeverPanics flips and cuts every record. What is damaged is
// refused or, where nothing can tell, leads to messages that others refuse.
func TestDamagedStateNeverPanics(t *testing.T) {
	g, store := usedStore(t)
	commit := must(g.alice.group.Commit(testTime, CommitOptions{})).Message()
	message := g.carol.protect("text")
	random := rand.New(rand.NewPCG(3, 4))
	refused, tried := 0, 0
	for key, value := range store {
		for range 12 {
			damaged := maps.Clone(store)
			b := bytes.Clone(value)
			switch i := random.IntN(len(b)); random.IntN(3) {
			case 0:
				b = b[:i]
			case 1:
				b = append(b, byte(i))
			default:
				b[i] ^= 1 << random.IntN(8)
			}
			damaged[key] = b
			tried++
			group, err := Restore(func(k string) ([]byte, error) { return damaged[k], nil }, g.bob.opt)
			if err != nil {
				refused++
				continue
			}
			_, _ = group.Process(testTime, message)
			_, _ = group.Process(testTime, commit)
			_, _, _ = group.Protect([]byte("x"), nil)
			_, _ = group.Commit(testTime, CommitOptions{})
		}
	}
	if refused < tried/2 {
		t.Errorf("only %d of %d damaged stores were refused", refused, tried)
	}
}

func TestAnOwnLeafOutsideTheTreeIsAnError(t *testing.T) {
	g, store := usedStore(t)
	from := func(s map[string][]byte) getter { return func(k string) ([]byte, error) { return s[k], nil } }
	for _, own := range []LeafIndex{3, 257, 1 << 31} {
		e := must(read(from(store), epochKey(g.bob.group.Epoch()), (*epoch).wire))
		e.own = own
		damaged := maps.Clone(store)
		damaged[epochKey(g.bob.group.Epoch())] = wire.MustEncode(e.wire)
		if _, err := Restore(from(damaged), g.bob.opt); err == nil {
			t.Errorf("leaf %d of three is restored", own)
		}
	}
}

func TestMissingStateIsAnError(t *testing.T) {
	g, store := usedStore(t)
	for key := range store {
		damaged := maps.Clone(store)
		delete(damaged, key)
		if _, err := Restore(func(k string) ([]byte, error) { return damaged[k], nil }, g.bob.opt); err == nil && !forgettable(key) {
			t.Errorf("a store without %s is restored", key)
		}
	}
	broken := errors.New("disk")
	if _, err := Restore(func(string) ([]byte, error) { return nil, broken }, Options{}); !errors.Is(err, broken) {
		t.Errorf("the store's error is lost: %v", err)
	}
}

// forgettable records cannot be told from ones that were never there.
func forgettable(key string) bool {
	return bytes.HasPrefix([]byte(key), []byte("proposal/")) || bytes.HasPrefix([]byte(key), []byte("export/"))
}
