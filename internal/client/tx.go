package client

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/evidence"
)

// tx is one step of the protocol: it reads the store as the step has changed it
// so far and becomes one Commit.
type tx struct {
	c       *Client
	ctx     context.Context
	changes map[string][]byte // nil value: deleted
	told    *evidence.Placed  // the place of an entry as its sender was shown it, if this device was shown another
}

// get returns the value of key, nil if there is none.
func (t *tx) get(key string) ([]byte, error) {
	if v, ok := t.changes[key]; ok {
		return v, nil
	}
	v, err := t.c.cfg.Store.Get(t.ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err == nil && v == nil {
		v = []byte{}
	}
	return v, err
}

// put sets key; an empty value is kept as one.
func (t *tx) put(key string, value []byte) {
	if value == nil {
		value = []byte{}
	}
	t.changes[key] = value
}

func (t *tx) del(key string) { t.changes[key] = nil }

// list returns the records under prefix after the key after, in order, at most
// n (n ≤ 0: all).
func (t *tx) list(prefix, after string, n int) ([]store.Record, error) {
	limit := 0
	if n > 0 {
		limit = n + len(t.changes) // each change takes at most one of them away
	}
	stored, err := t.c.cfg.Store.List(t.ctx, prefix, after, limit)
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte, len(stored))
	for _, r := range stored {
		all[r.Key] = r.Value
	}
	for k, v := range t.changes {
		switch {
		case !strings.HasPrefix(k, prefix) || k <= after:
		case v == nil:
			delete(all, k)
		default:
			all[k] = v
		}
	}
	keys := slices.Sorted(maps.Keys(all))
	if n > 0 && len(keys) > n {
		keys = keys[:n]
	}
	out := make([]store.Record, len(keys))
	for i, k := range keys {
		out[i] = store.Record{Key: k, Value: all[k]}
	}
	return out, nil
}

// delAll deletes every record under prefix.
func (t *tx) delAll(prefix string) error {
	all, err := t.list(prefix, "", 0)
	for _, r := range all {
		t.del(r.Key)
	}
	return err
}

func (t *tx) batch(base uint64) store.Batch {
	b := store.Batch{Base: base}
	for _, k := range slices.Sorted(maps.Keys(t.changes)) {
		if v := t.changes[k]; v == nil {
			b.Delete = append(b.Delete, k)
		} else {
			b.Put = append(b.Put, store.Record{Key: k, Value: v})
		}
	}
	return b
}

// step runs fn and commits what it changed, all or nothing. fn does no network
// I/O; it runs again if another process was faster. After any error this
// client's memory is dropped and read anew from the store by the next step.
func (c *Client) step(ctx context.Context, fn func(*tx) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		err := c.tryStep(ctx, fn)
		if err == nil {
			return nil
		}
		c.forget()
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (c *Client) tryStep(ctx context.Context, fn func(*tx) error) error {
	unlock, err := c.cfg.Store.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	base, err := c.cfg.Store.Base(ctx)
	if err != nil {
		return err
	}
	if base != c.base {
		c.tell(Change{Everything: c.base != 0})
		c.forget()
		c.base = base
	}
	t := &tx{c: c, ctx: ctx, changes: map[string][]byte{}}
	if err := fn(t); err != nil {
		return err
	}
	if len(t.changes) == 0 {
		return nil
	}
	var seen Change
	if c.cfg.Changed != nil {
		seen = t.change()
	}
	if c.base, err = c.cfg.Store.Commit(ctx, t.batch(base)); err == nil {
		c.tell(seen)
	}
	return err
}
