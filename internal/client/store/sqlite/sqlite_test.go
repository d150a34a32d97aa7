package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/client/store/storetest"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, true)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, filepath.Join(t.TempDir(), "state ?#%.db"))
	})
}

func fill(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		b := store.Batch{Base: uint64(i), Put: []store.Record{
			{Key: fmt.Sprintf("k/%04d", i), Value: bytes.Repeat([]byte{byte(i)}, 300)},
			{Key: "state", Value: []byte(fmt.Sprint(i))},
		}}
		if _, err := s.Commit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReopenKeepsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	fill(t, s, 10)
	// A second handle, as of another process, sees and continues the first.
	other := open(t, path)
	if _, err := other.Commit(context.Background(), store.Batch{Base: 10, Delete: []string{"k/0003"}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		t.Errorf("the WAL has %d bytes after Close", wal.Size())
	}
	s = open(t, path)
	defer s.Close()
	records, err := s.List(context.Background(), "k/", "", 0)
	if err != nil || len(records) != 9 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	info, _ := os.Stat(path)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestLockExcludesOtherHandles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	a, b := open(t, path), open(t, path)
	defer a.Close()
	defer b.Close()
	unlock, err := a.Lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error, 1)
	go func() { _, err := b.Lock(ctx); got <- err }()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Fatalf("second handle got the lock: %v", err)
	}
	unlock()
	again, err := b.Lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestMissing(t *testing.T) {
	_, err := Open(context.Background(), filepath.Join(t.TempDir(), "state.db"), false)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestNewerFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	if _, err := s.db.Exec("PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(context.Background(), path, true); err == nil {
		t.Fatal("a newer format was opened")
	}
}

// copyFiles takes the files as kill -9 would leave them.
func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", ".mark"} {
		b, err := os.ReadFile(from + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// readAll returns the state, or the error of the first call that gives one.
func readAll(path string) (string, error) {
	ctx := context.Background()
	s, err := Open(ctx, path, false)
	if err != nil {
		return "", err
	}
	defer s.Close()
	records, err := s.List(ctx, "", "", 0)
	return fmt.Sprint(records), err
}

// TestDamage: whatever is altered or cut off, the answer is the full state or
// an error, never a panic and never less than was committed.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := open(t, path)
	defer s.Close()
	fill(t, s, 40)
	whole, err := s.List(context.Background(), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	s.truncateWAL(context.Background())
	for i := range uint64(5) {
		if _, err := s.Commit(context.Background(), store.Batch{Base: 40 + i, Put: []store.Record{{Key: "state", Value: []byte("39")}}}); err != nil {
			t.Fatal(err)
		}
	}
	want := fmt.Sprint(whole)
	for _, suffix := range []string{"", "-wal"} {
		original, err := os.ReadFile(path + suffix)
		if err != nil || len(original) < 4096 {
			t.Fatalf("%s: %d bytes, %v", suffix, len(original), err)
		}
		found := 0
		try := func(name string, altered []byte) {
			t.Helper()
			to := filepath.Join(t.TempDir(), "state.db")
			copyFiles(t, path, to)
			if err := os.WriteFile(to+suffix, altered, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := readAll(to)
			if err != nil {
				found++
			} else if got != want {
				t.Errorf("state.db%s, %s: silently another state", suffix, name)
			}
		}
		for i := 0; i < len(original); i += len(original)/40 + 1 {
			flipped := bytes.Clone(original)
			flipped[i] ^= 0x10
			try(fmt.Sprintf("bit flip at %d", i), flipped)
			try(fmt.Sprintf("cut at %d", i), original[:i])
		}
		if found == 0 {
			t.Errorf("state.db%s: no damage was noticed", suffix)
		}
	}
}

func TestDiskFull(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "state.db")
	s := open(t, path)
	fill(t, s, 3)
	if _, err := s.db.Exec("PRAGMA max_page_count = 40"); err != nil {
		t.Fatal(err)
	}
	large := store.Batch{Base: 3, Put: []store.Record{{Key: "large", Value: make([]byte, 1<<20)}, {Key: "state", Value: nil}}}
	if _, err := s.Commit(ctx, large); !errors.Is(err, store.ErrFull) {
		t.Fatalf("commit: %v", err)
	}
	// Nothing of it was kept, and what fits goes on.
	if v, err := s.Get(ctx, "state"); err != nil || string(v) != "2" {
		t.Errorf("state is %q, %v", v, err)
	}
	if _, err := s.Commit(ctx, store.Batch{Base: 3, Put: []store.Record{{Key: "small"}}}); err != nil {
		t.Error(err)
	}
	s.Close()
	s = open(t, path)
	defer s.Close()
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
}

func TestReplacedValuesAreErased(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "state.db"))
	ctx := context.Background()
	secret := []byte("canary-4b1f6d0e-must-vanish")
	b := store.Batch{Put: []store.Record{{Key: "a", Value: secret}, {Key: "b", Value: secret}}}
	if _, err := s.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
	seen := func() (n int) {
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, f := range files {
			content, _ := os.ReadFile(f)
			n += bytes.Count(content, secret)
		}
		return n
	}
	if seen() == 0 {
		t.Fatal("the test cannot see the planted value")
	}
	b = store.Batch{Base: 1, Put: []store.Record{{Key: "a", Value: []byte("new")}}, Delete: []string{"b"}}
	if _, err := s.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := seen(); n > 0 {
		t.Errorf("the deleted value is still %d times on disk", n)
	}
}
