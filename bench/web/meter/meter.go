// Package meter measures a client core from where it touches the world: it stands
// between the core and its Store and Transport, so that the core that is measured is
// the one people use. Start with Meter.Wrap.
//
// A step of the core holds the store's lock from its beginning to its Commit. What
// of that time the store did not take, the core computed: that is the time of
// parsing, verifying and decrypting. In a browser it is exact, since nothing else
// runs in the Worker while the core computes.
package meter

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
)

// kept is how many records a Meter has between two calls of Take.
const kept = 8192

// idle is up to how long a step that changes nothing may compute to be counted only.
const idle = 2 * time.Millisecond

// Step is one step of the core that changed something, or computed for longer than
// idle. Times are in ms.
type Step struct {
	At       float64        `json:"at"`       // when it ended, since the Meter began
	Computed float64        `json:"computed"` // by the core
	Stored   float64        `json:"stored"`   // in the store, sealing included
	Put      map[string]int `json:"put"`      // records by the first part of their key
}

// Call is one request to the server. Times are in ms.
type Call struct {
	At     float64 `json:"at"` // when the answer was there, since the Meter began
	Method string  `json:"method"`
	Took   float64 `json:"took"`
}

// Taken is what a Meter has seen.
type Taken struct {
	Steps []Step  `json:"steps"`
	Calls []Call  `json:"calls"`
	Lost  int     `json:"lost"`  // records there was no room for
	Reads int     `json:"reads"` // short steps that changed nothing
	Read  float64 `json:"read"`  // ms they computed
	Waits float64 `json:"waits"` // ms they waited for the store
}

// Meter collects. Its methods may be called concurrently.
type Meter struct {
	began time.Time

	mu sync.Mutex // guards what follows
	t  Taken
}

// New returns a Meter that begins now.
func New() *Meter { return &Meter{began: time.Now()} }

// Take returns what was seen since the last time.
func (m *Meter) Take() Taken {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.t
	m.t = Taken{}
	return t
}

// Wrap puts the Meter into what a client stands on.
func (m *Meter) Wrap(c client.Config) client.Config {
	if c.Store != nil {
		c.Store = &metered{Store: c.Store, m: m}
	}
	if dial := c.Dial; dial != nil {
		c.Dial = func(r client.ServerRef) (client.Transport, error) {
			t, err := dial(r)
			return &transport{t, m}, err
		}
	}
	return c
}

func (m *Meter) since() float64 { return ms(time.Since(m.began)) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// metered is a Store under one Meter. What belongs to the step that holds the lock is
// changed by that step alone.
type metered struct {
	store.Store
	m *Meter

	begun  atomic.Bool   // a step has begun and not asked for the base yet
	stored time.Duration // of the step that runs
	put    map[string]int
}

// Lock implements store.Store: a step begins.
func (s *metered) Lock(ctx context.Context) (func(), error) {
	unlock, err := s.Store.Lock(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	s.stored, s.put = 0, nil
	s.begun.Store(true)
	return func() {
		s.m.step(time.Since(began), s.stored, s.put)
		unlock()
	}, nil
}

func (m *Meter) step(took, stored time.Duration, put map[string]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case put == nil && took-stored < idle:
		m.t.Reads++
		m.t.Read += ms(took - stored)
		m.t.Waits += ms(stored)
	case len(m.t.Steps) == kept:
		m.t.Lost++
	default:
		m.t.Steps = append(m.t.Steps, Step{At: m.since(), Computed: ms(took - stored), Stored: ms(stored), Put: put})
	}
}

func (s *metered) timed(f func()) {
	began := time.Now()
	f()
	s.stored += time.Since(began)
}

// Base implements store.Store. Asked outside of a step it belongs to none.
func (s *metered) Base(ctx context.Context) (n uint64, err error) {
	if !s.begun.CompareAndSwap(true, false) {
		return s.Store.Base(ctx)
	}
	s.timed(func() { n, err = s.Store.Base(ctx) })
	return n, err
}

// Get implements store.Store.
func (s *metered) Get(ctx context.Context, key string) (v []byte, err error) {
	s.timed(func() { v, err = s.Store.Get(ctx, key) })
	return v, err
}

// List implements store.Store.
func (s *metered) List(ctx context.Context, prefix, after string, n int) (r []store.Record, err error) {
	s.timed(func() { r, err = s.Store.List(ctx, prefix, after, n) })
	return r, err
}

// Commit implements store.Store.
func (s *metered) Commit(ctx context.Context, b store.Batch) (n uint64, err error) {
	s.timed(func() { n, err = s.Store.Commit(ctx, b) })
	s.put = map[string]int{}
	for _, r := range b.Put {
		kind, _, _ := strings.Cut(r.Key, "/")
		s.put[kind]++
	}
	return n, err
}

type transport struct {
	client.Transport
	m *Meter
}

// Call implements client.Transport.
func (t *transport) Call(ctx context.Context, lane client.Lane, method proto.Method, req, resp proto.Message) error {
	began := time.Now()
	err := t.Transport.Call(ctx, lane, method, req, resp)
	t.m.mu.Lock()
	defer t.m.mu.Unlock()
	if len(t.m.t.Calls) == kept {
		t.m.t.Lost++
		return err
	}
	t.m.t.Calls = append(t.m.t.Calls, Call{At: t.m.since(), Method: string(method), Took: ms(time.Since(began))})
	return err
}
