//go:build js

package idb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"syscall/js"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/jsport"
)

// The parts of a database: records by key, both as bytes so that they sort as
// such, and a few values by name.
const (
	recordsPart = "records"
	metaPart    = "meta"
	baseName    = "base"
)

// Store is one database.
type Store struct {
	name string
	db   js.Value
	lock chan struct{} // holds one token while nobody has the lock
}

// locks are the tokens of the databases that are open, by name.
var (
	locksMu sync.Mutex
	locks   = map[string]chan struct{}{}
)

func lockOf(name string) chan struct{} {
	locksMu.Lock()
	defer locksMu.Unlock()
	if locks[name] == nil {
		locks[name] = make(chan struct{}, 1)
		locks[name] <- struct{}{}
	}
	return locks[name]
}

// Open opens the database of that name, made if there is none.
func Open(ctx context.Context, name string) (*Store, error) {
	factory := js.Global().Get("indexedDB")
	if factory.IsUndefined() || factory.IsNull() {
		return nil, errors.New("this browser keeps nothing for pages (no IndexedDB)")
	}
	request, err := jsport.Catch(func() js.Value { return factory.Call("open", name, 1) })
	if err != nil {
		return nil, explain(err)
	}
	upgrade := js.FuncOf(func(js.Value, []js.Value) any {
		db := request.Get("result")
		db.Call("createObjectStore", recordsPart)
		db.Call("createObjectStore", metaPart)
		return nil
	})
	defer upgrade.Release()
	request.Set("onupgradeneeded", upgrade)
	db, err := await(ctx, request)
	if err != nil {
		return nil, err
	}
	return &Store{name: name, db: db, lock: lockOf(name)}, nil
}

// Remove deletes a database for good.
func Remove(ctx context.Context, name string) error {
	request, err := jsport.Catch(func() js.Value { return js.Global().Get("indexedDB").Call("deleteDatabase", name) })
	if err != nil {
		return explain(err)
	}
	_, err = await(ctx, request)
	return err
}

// explain gives what the browser says its meaning for a store.
func explain(err error) error {
	if jsport.Is(err, "QuotaExceededError") {
		return fmt.Errorf("%w: %v", store.ErrFull, err)
	}
	return err
}

// await waits for a request of IndexedDB.
func await(ctx context.Context, request js.Value) (js.Value, error) {
	return settle(ctx, request, "onsuccess", "onerror", "onblocked", func() js.Value { return request.Get("result") })
}

// settle waits for one of the events that end something.
func settle(ctx context.Context, target js.Value, good, bad, bad2 string, result func() js.Value) (js.Value, error) {
	type outcome struct {
		v   js.Value
		err error
	}
	if err := ctx.Err(); err != nil {
		return js.Undefined(), err
	}
	done := make(chan outcome, 2)
	ok := js.FuncOf(func(js.Value, []js.Value) any {
		done <- outcome{v: result()}
		return nil
	})
	failed := js.FuncOf(func(js.Value, []js.Value) any {
		done <- outcome{err: explain(failure(target))}
		return nil
	})
	defer func() {
		for _, event := range []string{good, bad, bad2} {
			target.Set(event, js.Null())
		}
		ok.Release()
		failed.Release()
	}()
	target.Set(good, ok)
	target.Set(bad, failed)
	target.Set(bad2, failed)
	// What was begun ends soon and by itself: waiting for it, whatever ctx does,
	// leaves no doubt about its outcome.
	o := <-done
	return o.v, o.err
}

func failure(target js.Value) error {
	if e := target.Get("error"); e.Truthy() {
		return jsport.ErrorOf(e)
	}
	return errors.New("the browser's storage gave up")
}

// read begins a transaction that changes nothing.
func (s *Store) read(part string) (js.Value, error) {
	v, err := jsport.Catch(func() js.Value { return s.db.Call("transaction", part, "readonly").Call("objectStore", part) })
	return v, explain(err)
}

// Base implements store.Store.
func (s *Store) Base(ctx context.Context) (uint64, error) {
	part, err := s.read(metaPart)
	if err != nil {
		return 0, err
	}
	v, err := await(ctx, part.Call("get", baseName))
	return number(v), err
}

func number(v js.Value) uint64 {
	if v.Type() != js.TypeNumber {
		return 0
	}
	return uint64(v.Float())
}

// A record is stored as its key's length in four bytes, its key and its value,
// so that a list needs one request.
func pack(r store.Record) js.Value {
	b := make([]byte, 0, 4+len(r.Key)+len(r.Value))
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Key)))
	b = append(append(b, r.Key...), r.Value...)
	return jsport.ToJS(b)
}

func (s *Store) unpack(v js.Value) (store.Record, error) {
	b := jsport.ToGo(v)
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return store.Record{}, &store.DamagedError{Where: s.name, Reason: "a record is cut off"}
	}
	n := 4 + int(binary.BigEndian.Uint32(b))
	return store.Record{Key: string(b[4:n]), Value: b[n:]}, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	part, err := s.read(recordsPart)
	if err != nil {
		return nil, err
	}
	v, err := await(ctx, part.Call("get", jsport.ToJS([]byte(key))))
	if err != nil {
		return nil, err
	}
	if v.IsUndefined() {
		return nil, store.ErrNotFound
	}
	r, err := s.unpack(v)
	return r.Value, err
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix, after string, n int) ([]store.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	span, ok := span(prefix, after)
	if !ok {
		return nil, nil
	}
	part, err := s.read(recordsPart)
	if err != nil {
		return nil, err
	}
	limit := any(js.Undefined())
	if n > 0 {
		limit = n
	}
	v, err := await(ctx, part.Call("getAll", span, limit))
	if err != nil {
		return nil, err
	}
	all := make([]store.Record, v.Length())
	for i := range all {
		if all[i], err = s.unpack(v.Index(i)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// span is the range of keys with a prefix and greater than after; false if
// there can be none.
func span(prefix, after string) (v js.Value, ok bool) {
	lower, open := prefix, false
	if after >= prefix {
		lower, open = after, true
	}
	ranges := js.Global().Get("IDBKeyRange")
	end, bounded := successor(prefix)
	if !bounded {
		return ranges.Call("lowerBound", jsport.ToJS([]byte(lower)), open), true
	}
	if lower >= end {
		return v, false
	}
	return ranges.Call("bound", jsport.ToJS([]byte(lower)), jsport.ToJS([]byte(end)), open, true), true
}

// successor is the smallest text greater than all with the prefix; false if
// there is none.
func successor(prefix string) (string, bool) {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1]), true
		}
	}
	return "", false
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if err := store.ValidateBatch(b); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	parts := js.ValueOf([]any{recordsPart, metaPart})
	t, err := jsport.Catch(func() js.Value {
		return s.db.Call("transaction", parts, "readwrite", jsport.Object("durability", "strict"))
	})
	if err != nil {
		return 0, explain(err)
	}
	records, meta := t.Call("objectStore", recordsPart), t.Call("objectStore", metaPart)
	conflict := false
	request := meta.Call("get", baseName)
	// A transaction ends when it has nothing to do: what follows is asked for
	// within the event.
	write := js.FuncOf(func(js.Value, []js.Value) any {
		if number(request.Get("result")) != b.Base {
			conflict = true
			t.Call("abort")
			return nil
		}
		for _, r := range b.Put {
			records.Call("put", pack(r), jsport.ToJS([]byte(r.Key)))
		}
		for _, key := range b.Delete {
			records.Call("delete", jsport.ToJS([]byte(key)))
		}
		meta.Call("put", float64(b.Base+1), baseName)
		return nil
	})
	defer write.Release()
	request.Set("onsuccess", write)
	_, err = settle(ctx, t, "oncomplete", "onabort", "onerror", js.Undefined)
	if conflict {
		return 0, store.ErrConflict
	}
	if err != nil {
		return 0, err
	}
	return b.Base + 1, nil
}

// Lock implements store.Store, among what runs in this worker. That there is
// one worker alone is the page's to see to.
func (s *Store) Lock(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.lock:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var once sync.Once
	return func() { once.Do(func() { s.lock <- struct{}{} }) }, nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.db.Call("close")
	return nil
}
