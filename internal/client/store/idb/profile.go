//go:build js

package idb

import (
	"context"
	"errors"
	"fmt"
	"syscall/js"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/jsport"
)

// Names in the meta part: the browser's own key, and the device key under it.
const (
	wrapName = "wrap"
	keyName  = "device"
	// ownRecord is written when the profile is made. That it opens shows that the
	// key belongs to the records.
	ownRecord = "profile"
)

// cacheSize is how much of the records is kept open in memory, in bytes: the people
// and keys of a group of a thousand.
const cacheSize = 8 << 20

// OpenProfile opens the profile of that name, and makes one if create is set
// and there is none. It returns store.ErrNoProfile if there is none otherwise,
// *store.DamagedError if one is there but not whole.
func OpenProfile(ctx context.Context, name string, create bool) (store.Store, error) {
	db, err := Open(ctx, name)
	if err != nil {
		return nil, err
	}
	key, err := db.deviceKey(ctx, create)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := store.Cached(store.Sealed(db, key, name), cacheSize)
	if err := own(ctx, s, name); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// own writes the first record of a new profile, or checks that it opens.
func own(ctx context.Context, s store.Store, name string) error {
	_, err := s.Get(ctx, ownRecord)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if base, err := s.Base(ctx); err != nil || base > 0 {
		return errors.Join(err, &store.DamagedError{Where: name, Reason: "its first record is missing"})
	}
	_, err = s.Commit(ctx, store.Batch{Put: []store.Record{{Key: ownRecord, Value: []byte("1")}}})
	return err
}

// deviceKey returns the key the records are sealed under, made if create is set
// and there is none.
func (s *Store) deviceKey(ctx context.Context, create bool) (key store.DeviceKey, err error) {
	wrap, err := s.meta(ctx, wrapName)
	if err != nil {
		return key, err
	}
	sealed, err := s.meta(ctx, keyName)
	if err != nil {
		return key, err
	}
	switch base, err := s.Base(ctx); {
	case err != nil:
		return key, err
	case wrap.Truthy() && sealed.Truthy():
		return unwrap(ctx, s.name, wrap, sealed)
	case base > 0:
		return key, &store.DamagedError{Where: s.name, Reason: "its key is missing"}
	case !create:
		return key, store.ErrNoProfile
	}
	return s.makeKey(ctx)
}

func (s *Store) meta(ctx context.Context, name string) (js.Value, error) {
	part, err := s.read(metaPart)
	if err != nil {
		return js.Undefined(), err
	}
	return await(ctx, part.Call("get", name))
}

func subtle() js.Value { return js.Global().Get("crypto").Get("subtle") }

// algorithm names AES-GCM with a nonce of zeros: each wrapping key wraps one
// key, once.
func algorithm() js.Value {
	return jsport.Object("name", "AES-GCM", "iv", jsport.ToJS(make([]byte, 12)))
}

// makeKey draws a device key and keeps it under a key of the browser.
func (s *Store) makeKey(ctx context.Context) (key store.DeviceKey, err error) {
	usages := js.ValueOf([]any{"encrypt", "decrypt"})
	wrap, err := jsport.Await(ctx, subtle().Call("generateKey", jsport.Object("name", "AES-GCM", "length", 256), false, usages))
	if err != nil {
		return key, fmt.Errorf("the browser makes no key: %w", err)
	}
	key = store.NewDeviceKey()
	sealed, err := jsport.Await(ctx, subtle().Call("encrypt", algorithm(), wrap, jsport.ToJS(key[:])))
	if err != nil {
		return key, fmt.Errorf("the browser wraps no key: %w", err)
	}
	t, err := jsport.Catch(func() js.Value {
		return s.db.Call("transaction", metaPart, "readwrite", jsport.Object("durability", "strict"))
	})
	if err != nil {
		return key, explain(err)
	}
	part := t.Call("objectStore", metaPart)
	part.Call("put", wrap, wrapName)
	part.Call("put", sealed, keyName)
	_, err = settle(ctx, t, "oncomplete", "onabort", "onerror", js.Undefined)
	return key, err
}

func unwrap(ctx context.Context, name string, wrap, sealed js.Value) (key store.DeviceKey, err error) {
	raw, err := jsport.Await(ctx, subtle().Call("decrypt", algorithm(), wrap, sealed))
	if err != nil {
		return key, &store.DamagedError{Where: name, Reason: "its key does not open"}
	}
	b := jsport.BufferToGo(raw)
	if len(b) != len(key) {
		return key, &store.DamagedError{Where: name, Reason: "its key has another length"}
	}
	copy(key[:], b)
	return key, nil
}
