package store

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
)

// Cached returns inner with what was read or written last kept in memory, at most
// about size bytes of it, for a Store that this process alone uses: where each read
// is a walk to another process, as in a browser, most of a step is waiting for it.
//
// What another process commits is not seen until a Commit here fails with
// ErrConflict; from then on everything is read anew. Values of inner are kept as
// they come out of it, so Cached goes around Sealed.
func Cached(inner Store, size int) Store {
	c := &cached{Store: inner, size: size}
	c.drop()
	return c
}

// cached keeps values in two generations: when the young one is full it becomes the
// old one, and what is not asked for until the next turn is forgotten.
type cached struct {
	Store
	size int

	mu         sync.Mutex // guards what follows
	young, old map[string][]byte
	held       int                 // bytes in young
	whole      map[string][]string // prefixes of which every key is known, with the keys in order
	commits    uint64              // begun or ended: what was read meanwhile may be of before
	base       uint64
	based      bool // base is known
}

// maxWhole bounds the prefixes of which every key is kept.
const maxWhole = 2048

// drop forgets everything; c.mu is held, or nobody else has c yet.
func (c *cached) drop() {
	c.young, c.old, c.whole = map[string][]byte{}, map[string][]byte{}, map[string][]string{}
	c.held, c.based = 0, false
}

// Base implements Store.
func (c *cached) Base(ctx context.Context) (uint64, error) {
	c.mu.Lock()
	base, known, then := c.base, c.based, c.commits
	c.mu.Unlock()
	if known {
		return base, nil
	}
	base, err := c.Store.Base(ctx)
	if err == nil {
		c.unless(then, func() { c.base, c.based = base, true })
	}
	return base, err
}

// unless runs f if nothing was committed since then.
func (c *cached) unless(then uint64, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.commits == then {
		f()
	}
}

// Get implements Store.
func (c *cached) Get(ctx context.Context, key string) ([]byte, error) {
	c.mu.Lock()
	v, known := c.find(key)
	known = known || c.covered(key)
	then := c.commits
	c.mu.Unlock()
	if known {
		if v == nil {
			return nil, ErrNotFound
		}
		return bytes.Clone(v), nil
	}
	v, err := c.Store.Get(ctx, key)
	switch err {
	case nil:
		c.unless(then, func() { c.keep(key, bytes.Clone(v)) })
	case ErrNotFound:
		c.unless(then, func() { c.keep(key, nil) })
	}
	return v, err
}

// find returns a value that is kept; nil stands for a key that has none.
func (c *cached) find(key string) (v []byte, known bool) {
	if v, known = c.young[key]; known {
		return v, true
	}
	if v, known = c.old[key]; known {
		delete(c.old, key)
		c.keep(key, v)
	}
	return v, known
}

// covered tells whether a key would be known if it had a value.
func (c *cached) covered(key string) bool {
	for _, p := range prefixes(key) {
		if _, ok := c.whole[p]; ok {
			return true
		}
	}
	return false
}

// prefixes are the beginnings of a key that end with a stroke.
func prefixes(key string) (all []string) {
	for i := range len(key) {
		if key[i] == '/' {
			all = append(all, key[:i+1])
		}
	}
	return all
}

// perKey is about what keeping a key takes beside its bytes.
const perKey = 96

// keep puts a value into the young generation.
func (c *cached) keep(key string, v []byte) {
	cost := len(key) + len(v) + perKey
	if cost > c.size/8 {
		delete(c.young, key)
		delete(c.old, key)
		c.forgetWhole(key)
		return
	}
	if c.held+cost > c.size/2 {
		c.young, c.old, c.held = map[string][]byte{}, c.young, 0
		clear(c.whole) // of which some was forgotten
	}
	if old, ok := c.young[key]; ok {
		c.held -= len(key) + len(old) + perKey
	}
	c.young[key] = v
	c.held += cost
}

func (c *cached) forgetWhole(key string) {
	for _, p := range prefixes(key) {
		delete(c.whole, p)
	}
}

// List implements Store.
func (c *cached) List(ctx context.Context, prefix, after string, n int) ([]Record, error) {
	c.mu.Lock()
	all, known := c.listed(prefix, after, n)
	then := c.commits
	c.mu.Unlock()
	if known {
		return all, nil
	}
	all, err := c.Store.List(ctx, prefix, after, n)
	if err == nil && strings.HasSuffix(prefix, "/") && after < prefix && (n <= 0 || len(all) < n) {
		c.unless(then, func() { c.keepAll(prefix, all) })
	}
	return all, err
}

// listed answers a List from memory, if every key of the prefix is known.
func (c *cached) listed(prefix, after string, n int) (all []Record, known bool) {
	keys, known := c.whole[prefix]
	if !known {
		return nil, false
	}
	from, found := slices.BinarySearch(keys, after)
	if found {
		from++
	}
	keys = keys[from:]
	if n > 0 && len(keys) > n {
		keys = keys[:n]
	}
	for _, k := range keys {
		v, ok := c.young[k]
		if !ok {
			v, ok = c.old[k]
		}
		if !ok { // forgotten
			delete(c.whole, prefix)
			return nil, false
		}
		all = append(all, Record{Key: k, Value: bytes.Clone(v)})
	}
	return all, true
}

// keepAll keeps all of a prefix, unless that would be much of what there is room
// for.
func (c *cached) keepAll(prefix string, all []Record) {
	cost := 0
	for _, r := range all {
		cost += len(r.Key) + len(r.Value) + perKey
		if cost > c.size/4 {
			return
		}
	}
	if c.held+cost > c.size/2 { // turn first: a prefix is kept whole or not at all
		c.young, c.old, c.held = map[string][]byte{}, c.young, 0
		clear(c.whole)
	}
	keys := make([]string, len(all))
	for i, r := range all {
		keys[i] = r.Key
		delete(c.old, r.Key)
		c.keep(r.Key, bytes.Clone(r.Value))
		if v, ok := c.young[r.Key]; !ok || v == nil {
			return // too large to be kept
		}
	}
	if len(c.whole) >= maxWhole {
		clear(c.whole)
	}
	c.whole[prefix] = keys
}

// Commit implements Store.
func (c *cached) Commit(ctx context.Context, b Batch) (uint64, error) {
	c.mu.Lock()
	c.commits++
	c.mu.Unlock()
	base, err := c.Store.Commit(ctx, b)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits++
	if err != nil { // nobody knows what is there
		c.drop()
		return base, err
	}
	c.base, c.based = base, true
	for _, r := range b.Put {
		c.listKey(r.Key)
		delete(c.old, r.Key)
		v := bytes.Clone(r.Value)
		if v == nil {
			v = []byte{}
		}
		c.keep(r.Key, v)
	}
	for _, k := range b.Delete {
		c.unlistKey(k)
		delete(c.old, k)
		c.keep(k, nil)
	}
	return base, nil
}

// listKey enters a key into the prefixes that are known whole.
func (c *cached) listKey(key string) {
	for _, p := range prefixes(key) {
		if keys, ok := c.whole[p]; ok {
			if i, found := slices.BinarySearch(keys, key); !found {
				c.whole[p] = slices.Insert(keys, i, key)
			}
		}
	}
}

func (c *cached) unlistKey(key string) {
	for _, p := range prefixes(key) {
		if keys, ok := c.whole[p]; ok {
			if i, found := slices.BinarySearch(keys, key); found {
				c.whole[p] = slices.Delete(keys, i, i+1)
			}
		}
	}
}
