//go:build js

package idb

import (
	"context"
	"errors"
	"fmt"
	"syscall/js"
	"testing"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/client/store/storetest"
)

// These run in a browser: scripts/browser-test. Node has no IndexedDB.

var opened int

func fresh(t *testing.T) (*Store, string) {
	t.Helper()
	if js.Global().Get("indexedDB").IsUndefined() {
		t.Skip("not a browser")
	}
	opened++
	name := fmt.Sprintf("test-%d", opened)
	if err := Remove(context.Background(), name); err != nil {
		t.Fatal(err)
	}
	s, err := Open(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s, name
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s, _ := fresh(t)
		return s
	})
}

func TestSealedStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s, name := fresh(t)
		return store.Sealed(s, store.NewDeviceKey(), name)
	})
}

func TestProfileIsFoundAgain(t *testing.T) {
	ctx := context.Background()
	s, name := fresh(t)
	s.Close()
	if _, err := OpenProfile(ctx, name, false); !errors.Is(err, store.ErrNoProfile) {
		t.Fatalf("a profile that was never made: %v", err)
	}
	p, err := OpenProfile(ctx, name, true)
	if err != nil {
		t.Fatal(err)
	}
	base, err := p.Base(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(ctx, store.Batch{Base: base, Put: []store.Record{{Key: "k", Value: []byte("kept")}}}); err != nil {
		t.Fatal(err)
	}
	p.Close()
	p, err = OpenProfile(ctx, name, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if v, err := p.Get(ctx, "k"); err != nil || string(v) != "kept" {
		t.Fatalf("got %q, %v", v, err)
	}
}

func TestRecordsAreSealedInTheBrowser(t *testing.T) {
	ctx := context.Background()
	s, name := fresh(t)
	s.Close()
	p, err := OpenProfile(ctx, name, true)
	if err != nil {
		t.Fatal(err)
	}
	base, _ := p.Base(ctx)
	if _, err := p.Commit(ctx, store.Batch{Base: base, Put: []store.Record{{Key: "k", Value: []byte("plain words")}}}); err != nil {
		t.Fatal(err)
	}
	p.Close()
	raw, err := Open(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	v, err := raw.Get(ctx, "k")
	if err != nil || len(v) != len("plain words")+40 {
		t.Fatalf("%d bytes, %v", len(v), err)
	}
}
