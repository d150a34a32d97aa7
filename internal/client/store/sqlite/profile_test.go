package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/client/store/storetest"
)

func TestProfileIsAStore(t *testing.T) {
	// Run expects base 0, a profile starts at 1.
	ctx, dir := context.Background(), filepath.Join(t.TempDir(), "deep", "profile")
	s, err := OpenProfile(ctx, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	f := storetest.NewFaulty(s)
	if _, err := f.Commit(ctx, store.Batch{Base: 1, Put: []store.Record{{Key: "a", Value: []byte("1")}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, create := range []bool{false, true} {
		s, err := OpenProfile(ctx, dir, create)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := s.Get(ctx, "a"); err != nil || string(v) != "1" {
			t.Fatalf("Get = %q, %v", v, err)
		}
		s.Close()
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("device key: %v, %v", info.Mode(), err)
	}
}

func TestNoProfile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := OpenProfile(context.Background(), dir, false); !errors.Is(err, store.ErrNoProfile) {
		t.Fatal(err)
	}
	if exists(dir) {
		t.Error("opening made the folder")
	}
}

func TestInterruptedCreationContinues(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	if _, err := makeKey(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenProfile(ctx, dir, false); !errors.Is(err, store.ErrNoProfile) {
		t.Fatal(err)
	}
	s, err := OpenProfile(ctx, dir, true)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestDamagedProfile(t *testing.T) {
	ctx := context.Background()
	for name, damage := range map[string]func(t *testing.T, dir string) error{
		"key missing":   func(t *testing.T, dir string) error { return os.Remove(filepath.Join(dir, keyFile)) },
		"key truncated": func(t *testing.T, dir string) error { return os.Truncate(filepath.Join(dir, keyFile), 10) },
		"key of another profile": func(t *testing.T, dir string) error {
			if err := os.Remove(filepath.Join(dir, keyFile)); err != nil {
				return err
			}
			_, err := makeKey(dir)
			return err
		},
		"state emptied": func(t *testing.T, dir string) error { return os.Truncate(filepath.Join(dir, stateFile), 0) },
		"state is a text": func(t *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, stateFile), []byte("hello, I am not a database at all"), 0o600)
		},
		"state cut in two": func(t *testing.T, dir string) error { return os.Truncate(filepath.Join(dir, stateFile), 8192) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := OpenProfile(ctx, dir, true)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Commit(ctx, store.Batch{Base: 1, Put: []store.Record{{Key: "a", Value: make([]byte, 20000)}}}); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Close(), damage(t, dir)); err != nil {
				t.Fatal(err)
			}
			s, err = OpenProfile(ctx, dir, false)
			if err == nil {
				s.Close()
			}
			var damaged *store.DamagedError
			if !errors.As(err, &damaged) || damaged.Where != dir || damaged.Hint() == "" {
				t.Errorf("Open = %v", err)
			}
		})
	}
}
