// Package mem is a store.Store in memory, for tests and simulation. Clone
// gives the state a crashed device would find again.
package mem

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"

	"codeberg.org/huis/huis/internal/client/store"
)

// Store is a store.Store without a file. The zero value is not usable; New.
type Store struct {
	mu     sync.Mutex // guards base and values: a batch is seen whole or not at all
	base   uint64
	values map[string][]byte
	lock   chan struct{} // one token: whoever has taken it holds Lock
}

// New returns an empty store at base 0.
func New() *Store {
	return &Store{values: make(map[string][]byte), lock: make(chan struct{}, 1)}
}

// Clone returns an independent copy of the present state, unlocked.
func (s *Store) Clone() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := New()
	c.base = s.base
	for k, v := range s.values {
		c.values[k] = bytes.Clone(v)
	}
	return c
}

// Base implements store.Store.
func (s *Store) Base(ctx context.Context) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base, ctx.Err()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v, ok := s.values[key]
	if !ok {
		return nil, store.ErrNotFound
	}
	return bytes.Clone(v), nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix, after string, n int) ([]store.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var keys []string
	for k := range s.values {
		if strings.HasPrefix(k, prefix) && k > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if n > 0 && len(keys) > n {
		keys = keys[:n]
	}
	records := make([]store.Record, len(keys))
	for i, k := range keys {
		records[i] = store.Record{Key: k, Value: bytes.Clone(s.values[k])}
	}
	return records, nil
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if err := store.ValidateBatch(b); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if b.Base != s.base {
		return 0, store.ErrConflict
	}
	for _, r := range b.Put {
		s.values[r.Key] = append([]byte{}, r.Value...)
	}
	for _, key := range b.Delete {
		delete(s.values, key)
	}
	s.base++
	return s.base, nil
}

// Lock implements store.Store.
func (s *Store) Lock(ctx context.Context) (func(), error) {
	select {
	case s.lock <- struct{}{}:
		return sync.OnceFunc(func() { <-s.lock }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close implements store.Store; the values stay readable.
func (s *Store) Close() error { return nil }
