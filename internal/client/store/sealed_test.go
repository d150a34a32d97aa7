package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/client/store/mem"
	"codeberg.org/huis/huis/internal/client/store/storetest"
)

func TestSealedIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store {
		return store.Sealed(mem.New(), store.NewDeviceKey(), "test")
	})
}

func TestSealedHidesAndDetects(t *testing.T) {
	ctx := context.Background()
	const secret = "a secret value that must not be readable"
	inner, key := mem.New(), store.NewDeviceKey()
	s := store.Sealed(inner, key, "/srv/profile")
	if _, err := s.Commit(ctx, store.Batch{Put: []store.Record{{Key: "a", Value: []byte(secret)}, {Key: "b", Value: nil}}}); err != nil {
		t.Fatal(err)
	}
	raw, _ := inner.Get(ctx, "a")
	if bytes.Contains(raw, []byte(secret)) {
		t.Fatal("the value is stored in clear")
	}
	refuse := func(name string, s store.Store, batch store.Batch) {
		t.Helper()
		batch.Base, _ = inner.Base(ctx)
		if _, err := inner.Commit(ctx, batch); err != nil {
			t.Fatal(err)
		}
		var damaged *store.DamagedError
		if _, err := s.Get(ctx, "a"); !errors.As(err, &damaged) {
			t.Fatalf("%s: Get gives %v", name, err)
		}
		if !strings.Contains(damaged.Error(), "/srv/profile") || !strings.Contains(damaged.Hint(), "huis link") {
			t.Errorf("%s: error %q, hint %q", name, damaged, damaged.Hint())
		}
		if _, err := s.List(ctx, "", "", 0); !errors.As(err, &damaged) {
			t.Fatalf("%s: List gives %v", name, err)
		}
	}
	for bit := range len(raw) * 8 {
		flipped := bytes.Clone(raw)
		flipped[bit/8] ^= 1 << (bit % 8)
		refuse("bit flip", s, store.Batch{Put: []store.Record{{Key: "a", Value: flipped}}})
	}
	for n := range len(raw) {
		refuse("truncation", s, store.Batch{Put: []store.Record{{Key: "a", Value: raw[:n]}}})
	}
	other, _ := inner.Get(ctx, "b")
	refuse("value of another key", s, store.Batch{Put: []store.Record{{Key: "a", Value: other}}})
	refuse("another device key", store.Sealed(inner, store.NewDeviceKey(), "/srv/profile"),
		store.Batch{Put: []store.Record{{Key: "a", Value: raw}}})
}

func TestDeviceKeyIsRedacted(t *testing.T) {
	key := store.NewDeviceKey()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, key); got != "[redacted]" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

func TestFaultyFailsOnceAndStaysDead(t *testing.T) {
	ctx := context.Background()
	for outcome, kept := range map[storetest.Outcome]bool{storetest.Failed: false, storetest.FailedButKept: true} {
		f := storetest.NewFaulty(mem.New())
		f.FailAt(2, outcome)
		base, err := f.Commit(ctx, store.Batch{Put: []store.Record{{Key: "1"}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Commit(ctx, store.Batch{Base: base, Put: []store.Record{{Key: "2"}}}); !errors.Is(err, storetest.ErrInjected) {
			t.Fatalf("second commit: %v", err)
		}
		if _, err := f.Get(ctx, "1"); !errors.Is(err, storetest.ErrInjected) {
			t.Fatalf("a dead store answered: %v", err)
		}
		f.Revive()
		if _, err := f.Get(ctx, "2"); (err == nil) != kept {
			t.Errorf("outcome %d: after revival %v", outcome, err)
		}
	}
}
