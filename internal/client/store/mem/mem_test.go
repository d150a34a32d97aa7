package mem

import (
	"context"
	"testing"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/client/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return New() })
}

func TestCloneIsIndependent(t *testing.T) {
	ctx := context.Background()
	a := New()
	if _, err := a.Commit(ctx, store.Batch{Put: []store.Record{{Key: "k", Value: []byte("old")}}}); err != nil {
		t.Fatal(err)
	}
	b := a.Clone()
	if _, err := a.Commit(ctx, store.Batch{Base: 1, Put: []store.Record{{Key: "k", Value: []byte("new")}}}); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Get(ctx, "k"); err != nil || string(v) != "old" {
		t.Fatalf("clone has %q, %v", v, err)
	}
}
