package storetest

import (
	"context"
	"errors"
	"sync"

	"codeberg.org/huis/huis/internal/client/store"
)

// ErrInjected is the error of a commit that Faulty let fail.
var ErrInjected = errors.New("storetest: injected write failure")

// Outcome is what a failing Commit does to the store.
type Outcome uint8

// The two ways a write can fail.
const (
	Failed        Outcome = iota // nothing was written
	FailedButKept                // all was written, the caller hears an error
)

// Faulty passes everything to the store inside and lets one commit fail. After
// it has failed every further call fails too until Revive: the process is dead
// and must start again from what the store holds.
type Faulty struct {
	store.Store

	mu      sync.Mutex // guards what follows
	writes  int
	failAt  int // number of the commit that fails, from 1; 0 none
	outcome Outcome
	dead    bool
}

// NewFaulty wraps inner; it fails nowhere yet.
func NewFaulty(inner store.Store) *Faulty { return &Faulty{Store: inner} }

// FailAt lets the k-th commit from now (from 1) fail.
func (f *Faulty) FailAt(k int, outcome Outcome) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failAt, f.outcome = f.writes+k, outcome
}

// Revive lets calls through again.
func (f *Faulty) Revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead, f.failAt = false, 0
}

// Writes returns how many commits were tried.
func (f *Faulty) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// Dead tells whether the failure has happened.
func (f *Faulty) Dead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// Commit implements store.Store.
func (f *Faulty) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	f.mu.Lock()
	if f.dead {
		f.mu.Unlock()
		return 0, ErrInjected
	}
	f.writes++
	fails, outcome := f.writes == f.failAt, f.outcome
	f.dead = fails
	f.mu.Unlock()
	if !fails {
		return f.Store.Commit(ctx, b)
	}
	if outcome == FailedButKept {
		if _, err := f.Store.Commit(ctx, b); err != nil {
			return 0, err
		}
	}
	return 0, ErrInjected
}

// Get implements store.Store.
func (f *Faulty) Get(ctx context.Context, key string) ([]byte, error) {
	if f.Dead() {
		return nil, ErrInjected
	}
	return f.Store.Get(ctx, key)
}

// List implements store.Store.
func (f *Faulty) List(ctx context.Context, prefix, after string, n int) ([]store.Record, error) {
	if f.Dead() {
		return nil, ErrInjected
	}
	return f.Store.List(ctx, prefix, after, n)
}

// Base implements store.Store.
func (f *Faulty) Base(ctx context.Context) (uint64, error) {
	if f.Dead() {
		return 0, ErrInjected
	}
	return f.Store.Base(ctx)
}

// Lock implements store.Store.
func (f *Faulty) Lock(ctx context.Context) (func(), error) {
	if f.Dead() {
		return nil, ErrInjected
	}
	return f.Store.Lock(ctx)
}
