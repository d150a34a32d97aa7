package client

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"codeberg.org/huis/huis/internal/client/store"
)

var errFault = errors.New("fault of the test")

// faultyStore fails one commit, before or after it took effect.
type faultyStore struct {
	store.Store
	countdown int // commits until the fault; below zero: none
	kept      bool
}

func (s *faultyStore) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	s.countdown--
	if s.countdown != 0 {
		return s.Store.Commit(ctx, b)
	}
	if s.kept {
		if _, err := s.Store.Commit(ctx, b); err != nil {
			return 0, err
		}
	}
	return 0, errFault
}

// TestACrashAtEveryStoreWrite runs a conversation in which alice crashes at her
// n-th write, lost or kept, and comes back; everything is there once.
func TestACrashAtEveryStoreWrite(t *testing.T) {
	for _, kept := range []bool{false, true} {
		for n := 1; ; n++ {
			reached := crashAt(t, n, kept)
			if !reached {
				if n < 20 {
					t.Fatalf("only %d writes", n)
				}
				break
			}
		}
	}
}

func crashAt(t *testing.T, n int, kept bool) (reached bool) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	faulty := &faultyStore{Store: alice.store, countdown: n, kept: kept}
	alice.store = faulty
	alice.restart()
	texts := []string{"one", "two", "three"}
	at := 0
	attempt := func(f func() error) {
		for range 3 {
			err := f()
			if err == nil {
				return
			}
			if !errors.Is(err, errFault) && !errors.Is(err, ErrExists) {
				t.Fatalf("crash %d (kept %v): %v", n, kept, err)
			}
			if errors.Is(err, ErrExists) {
				return
			}
			alice.restart()
		}
		t.Fatalf("crash %d (kept %v): does not come back", n, kept)
	}
	attempt(func() error { _, err := alice.NewChat(t.Context(), "plan", []string{"bob"}); return err })
	attempt(func() error { return alice.Sync(t.Context()) })
	for at < len(texts) {
		attempt(func() error {
			// A person who sees an error looks what became of the message.
			if s, err := alice.Status(t.Context()); err != nil {
				return err
			} else if s.Outbox > 0 {
				return alice.Sync(t.Context())
			}
			if len(alice.held("plan")) > at {
				return nil
			}
			_, err := alice.Send(t.Context(), "plan", Draft{Text: texts[at]})
			return err
		})
		attempt(func() error { return alice.Sync(t.Context()) })
		at++
		bob.sync()
	}
	attempt(func() error { return alice.AddMembers(t.Context(), "plan", []string{"carol"}) })
	attempt(func() error { return alice.Sync(t.Context()) })
	bob.send("plan", "four")
	want := fmt.Sprint([]string{"alice: one", "alice: two", "alice: three", "bob: four"})
	attempt(func() error { return alice.Sync(t.Context()) })
	if got := fmt.Sprint(alice.held("plan")); got != want {
		t.Fatalf("crash %d (kept %v): alice has %s", n, kept, got)
	}
	bob.expect("plan", "alice: one", "alice: two", "alice: three", "bob: four")
	carol.expect("plan", "bob: four")
	reached, faulty.countdown = faulty.countdown <= 0, -1
	w.agree("plan", alice, bob, carol)
	return reached
}

// TestTwoProcessesUseOneProfile lets two clients on one store send, receive and
// commit in turns, each with the memory of its own last step.
func TestTwoProcessesUseOneProfile(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	other := &device{w: w, name: "alice, second process", net: alice.net, store: alice.store}
	other.restart()
	done := make(chan error, 2)
	alice.newChat("plan", "bob")
	for _, d := range []*device{alice, other} {
		go func() {
			for i := range 10 {
				if _, err := d.Send(context.Background(), "plan", Draft{Text: fmt.Sprint(d.name, i)}); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	bob.sync()
	alice.sync()
	seen := map[string]bool{}
	for _, text := range bob.read("plan") {
		if seen[text] {
			t.Errorf("%s came twice", text)
		}
		seen[text] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d messages, want 20", len(seen))
	}
	if a, b := fmt.Sprint(alice.read("plan")), fmt.Sprint(bob.read("plan")); a != b {
		t.Errorf("alice has %s\nbob has %s", a, b)
	}
}
