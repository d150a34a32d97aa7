package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/client/store/mem"
	"codeberg.org/huis/huis/internal/client/store/storetest"
)

func TestCachedStore(t *testing.T) {
	for _, size := range []int{0, 600, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			storetest.Run(t, func(*testing.T) store.Store { return store.Cached(mem.New(), size) })
		})
	}
}

// TestCachedAnswersAsTheStoreBeneath: whatever is read and written, in whatever
// order, nobody can tell the two apart.
func TestCachedAnswersAsTheStoreBeneath(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		inner := mem.New()
		c := store.Cached(inner, 200+int(seed)*150)
		key := func() string {
			return []string{"a/", "a/b/", "c/", "d"}[r.IntN(4)] + fmt.Sprint(r.IntN(12))
		}
		for i := range 600 {
			switch r.IntN(4) {
			case 0:
				k := key()
				got, err := c.Get(ctx, k)
				want, wantErr := inner.Get(ctx, k)
				if string(got) != string(want) || !errors.Is(err, wantErr) {
					t.Fatalf("seed %d, %d: Get(%s) = %q, %v; want %q, %v", seed, i, k, got, err, want, wantErr)
				}
			case 1:
				prefix, after, n := []string{"a/", "a/b/", "c/", "", "d", "none/"}[r.IntN(6)], "", r.IntN(6)-1
				if r.IntN(2) == 0 {
					after = key()
				}
				got, err := c.List(ctx, prefix, after, n)
				want, wantErr := inner.List(ctx, prefix, after, n)
				if err != nil || wantErr != nil || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("seed %d, %d: List(%q, %q, %d) = %v, %v; want %v", seed, i, prefix, after, n, got, err, want)
				}
			default:
				b := batchOf(r, key)
				if b.Base, _ = c.Base(ctx); r.IntN(20) == 0 {
					b.Base++ // refused, as if another process had been faster
				}
				_, err := c.Commit(ctx, b)
				if want, _ := inner.Base(ctx); err == nil && want != b.Base+1 {
					t.Fatalf("seed %d, %d: base %d after a commit on %d", seed, i, want, b.Base)
				}
			}
		}
	}
}

func batchOf(r *rand.Rand, key func() string) (b store.Batch) {
	values := map[string]bool{}
	for range 1 + r.IntN(4) {
		values[key()] = r.IntN(3) > 0
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		if values[k] {
			b.Put = append(b.Put, store.Record{Key: k, Value: make([]byte, r.IntN(90))})
		} else {
			b.Delete = append(b.Delete, k)
		}
	}
	return b
}

// TestCachedIsFoundOutByAConflict: after another process has written, the next
// Commit fails, and from then on the new state is read.
func TestCachedIsFoundOutByAConflict(t *testing.T) {
	ctx := context.Background()
	inner := mem.New()
	c := store.Cached(inner, 1<<20)
	put := func(s store.Store, base uint64, value string) error {
		_, err := s.Commit(ctx, store.Batch{Base: base, Put: []store.Record{{Key: "k", Value: []byte(value)}}})
		return err
	}
	if err := errors.Join(put(c, 0, "own"), put(inner, 1, "another's")); err != nil {
		t.Fatal(err)
	}
	if err := put(c, 1, "late"); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("a commit on a base that has passed: %v", err)
	}
	base, err := c.Base(ctx)
	v, err2 := c.Get(ctx, "k")
	if err != nil || err2 != nil || base != 2 || string(v) != "another's" {
		t.Fatalf("base %d, %q, %v, %v", base, v, err, err2)
	}
}

// counting counts what is asked of the store beneath.
type counting struct {
	store.Store
	asked int
}

func (c *counting) Get(ctx context.Context, key string) ([]byte, error) {
	c.asked++
	return c.Store.Get(ctx, key)
}

func (c *counting) List(ctx context.Context, prefix, after string, n int) ([]store.Record, error) {
	c.asked++
	return c.Store.List(ctx, prefix, after, n)
}

func TestCachedAsksOnce(t *testing.T) {
	ctx := context.Background()
	inner := &counting{Store: mem.New()}
	c := store.Cached(inner, 1<<20)
	if _, err := c.Commit(ctx, store.Batch{Put: []store.Record{{Key: "p/1", Value: []byte("1")}}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if all, err := c.List(ctx, "p/", "", 0); err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		if _, err := c.Get(ctx, "p/none"); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if inner.asked != 1 {
		t.Fatalf("the store beneath was asked %d times", inner.asked)
	}
}

// TestCachedKeepsNoMoreThanItMay reads far more than there is room for.
func TestCachedKeepsNoMoreThanItMay(t *testing.T) {
	ctx := context.Background()
	inner := &counting{Store: mem.New()}
	const size, n = 64 << 10, 400
	b := store.Batch{}
	for i := range n {
		b.Put = append(b.Put, store.Record{Key: fmt.Sprintf("big/%03d", i), Value: make([]byte, 1<<10)})
	}
	c := store.Cached(inner, size)
	if _, err := c.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, r := range b.Put {
		before := inner.asked
		if _, err := c.Get(ctx, r.Key); err != nil {
			t.Fatal(err)
		}
		if inner.asked == before {
			kept++
		}
	}
	if kept > size>>10 {
		t.Fatalf("%d of %d values of 1 KiB are kept in %d bytes", kept, n, size)
	}
}
