// Package storetest is what every store.Store must do (Run), and a Faulty
// store that fails where a test wants it to.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
)

// Run tests the stores that open makes, each empty at base 0.
func Run(t *testing.T, open func(*testing.T) store.Store) {
	for name, test := range map[string]func(*testing.T, store.Store){
		"put, get, replace, delete":   testValues,
		"a stale base is a conflict":  testConflict,
		"a bad batch changes nothing": testBadBatch,
		"list pages in byte order":    testList,
		"values are copies":           testCopies,
		"lock excludes":               testLock,
		"concurrent commits":          testConcurrent,
		"a cancelled context":         testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test(t, s)
		})
	}
}

func put(t *testing.T, s store.Store, base uint64, kv ...string) uint64 {
	t.Helper()
	b := store.Batch{Base: base}
	for i := 0; i < len(kv); i += 2 {
		b.Put = append(b.Put, store.Record{Key: kv[i], Value: []byte(kv[i+1])})
	}
	next, err := s.Commit(context.Background(), b)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	if next != base+1 {
		t.Fatalf("base %d after a commit on %d", next, base)
	}
	return next
}

func want(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	v, err := s.Get(context.Background(), key)
	if err != nil || string(v) != value {
		t.Fatalf("Get(%q) = %q, %v; want %q", key, v, err, value)
	}
}

func wantNone(t *testing.T, s store.Store, key string) {
	t.Helper()
	if v, err := s.Get(context.Background(), key); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("Get(%q) = %q, %v; want ErrNotFound", key, v, err)
	}
}

func testValues(t *testing.T, s store.Store) {
	ctx := context.Background()
	wantNone(t, s, "a")
	base := put(t, s, 0, "a", "1", "b", "", "c", "3")
	want(t, s, "a", "1")
	want(t, s, "b", "")
	next, err := s.Commit(ctx, store.Batch{
		Base: base, Put: []store.Record{{Key: "a", Value: []byte("2")}}, Delete: []string{"c", "never was"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, s, "a", "2")
	wantNone(t, s, "c")
	if got, err := s.Base(ctx); err != nil || got != next {
		t.Fatalf("Base = %d, %v; want %d", got, err, next)
	}
}

func testConflict(t *testing.T, s store.Store) {
	ctx := context.Background()
	put(t, s, 0, "a", "1")
	for _, base := range []uint64{0, 2} {
		_, err := s.Commit(ctx, store.Batch{Base: base, Put: []store.Record{{Key: "a", Value: []byte("x")}, {Key: "z", Value: nil}}})
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("Commit on base %d: %v", base, err)
		}
	}
	want(t, s, "a", "1")
	wantNone(t, s, "z")
	put(t, s, 1, "a", "2")
}

func testBadBatch(t *testing.T, s store.Store) {
	ctx := context.Background()
	for _, b := range []store.Batch{
		{Put: []store.Record{{Key: "a"}, {Key: "a"}}},
		{Put: []store.Record{{Key: "a"}}, Delete: []string{"a"}},
		{Put: []store.Record{{Key: ""}}},
		{Delete: []string{""}},
	} {
		if _, err := s.Commit(ctx, b); err == nil {
			t.Errorf("%v was accepted", b)
		}
	}
	wantNone(t, s, "a")
	put(t, s, 0, "a", "1")
}

func testList(t *testing.T, s store.Store) {
	put(t, s, 0, "m/1", "1", "m/2", "2", "m/\xff", "f", "m", "m", "m0", "0", "l/9", "9", "\xff\xff", "end", "m/10", "10")
	for _, c := range []struct {
		prefix, after string
		n             int
		want          string
	}{
		{"m/", "", 0, "[m/1 m/10 m/2 m/\xff]"},
		{"m/", "", 2, "[m/1 m/10]"},
		{"m/", "m/10", 2, "[m/2 m/\xff]"},
		{"m/", "m/\xff", 2, "[]"},
		{"m/", "a", 1, "[m/1]"},
		{"m/", "z", 1, "[]"},
		{"\xff", "", 0, "[\xff\xff]"},
		{"", "m/2", 0, "[m/\xff m0 \xff\xff]"},
		{"none", "", 0, "[]"},
	} {
		records, err := s.List(context.Background(), c.prefix, c.after, c.n)
		if err != nil {
			t.Fatal(err)
		}
		keys := []string{}
		for _, r := range records {
			keys = append(keys, r.Key)
		}
		if fmt.Sprint(keys) != c.want {
			t.Errorf("List(%q, %q, %d) = %q, want %q", c.prefix, c.after, c.n, fmt.Sprint(keys), c.want)
		}
	}
	records, _ := s.List(context.Background(), "m/2", "", 0)
	if len(records) != 1 || string(records[0].Value) != "2" {
		t.Errorf("List gives %q", records)
	}
}

func testCopies(t *testing.T, s store.Store) {
	v := []byte("value")
	if _, err := s.Commit(context.Background(), store.Batch{Put: []store.Record{{Key: "a", Value: v}}}); err != nil {
		t.Fatal(err)
	}
	v[0] = 'X'
	got, _ := s.Get(context.Background(), "a")
	if string(got) != "value" {
		t.Fatalf("the caller's slice was kept: %q", got)
	}
	got[0] = 'Y'
	want(t, s, "a", "value")
}

func testLock(t *testing.T, s store.Store) {
	ctx := context.Background()
	unlock, err := s.Lock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("second Lock: %v", err)
	}
	unlock()
	unlock() // letting go twice is harmless
	again, err := s.Lock(ctx)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

// testConcurrent: of commits on one base exactly one wins, none is lost.
func testConcurrent(t *testing.T, s store.Store) {
	ctx := context.Background()
	const writers, each = 4, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; i < each; {
				base, err := s.Base(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.Commit(ctx, store.Batch{Base: base, Put: []store.Record{{Key: fmt.Sprintf("%d/%d", w, i)}}})
				if err == nil {
					i++
				} else if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	base, _ := s.Base(ctx)
	records, err := s.List(ctx, "", "", 0)
	if err != nil || base != writers*each || len(records) != writers*each {
		t.Fatalf("base %d, %d records, %v", base, len(records), err)
	}
}

func testCancelled(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Commit(ctx, store.Batch{Put: []store.Record{{Key: "a"}}}); err == nil {
		t.Fatal("commit under a cancelled context succeeded")
	}
	put(t, s, 0, "b", "1")
}
