package sqlite

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"codeberg.org/huis/huis/internal/client/store"
)

const (
	keyFile   = "device.key"
	stateFile = "state.db"
	// ownRecord is written when the profile is made. That it opens shows that
	// device.key belongs to state.db.
	ownRecord = "profile"
)

// OpenProfile opens the profile in the folder dir, and makes one if create is
// set and there is none. The folder holds state.db (records sealed under the
// device key), state.db.lock, state.db.mark and device.key (mode 0600). It returns store.ErrNoProfile if there is none otherwise,
// *store.DamagedError if one is there but not whole.
func OpenProfile(ctx context.Context, dir string, create bool) (store.Store, error) {
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	key, err := readKey(dir)
	hasKey, hasState := !errors.Is(err, fs.ErrNotExist), exists(filepath.Join(dir, stateFile))
	switch {
	case hasKey && err != nil:
		return nil, err
	case !hasKey && hasState:
		return nil, &store.DamagedError{Where: dir, Reason: "its file " + keyFile + " is missing"}
	case !create && !(hasKey && hasState):
		return nil, fmt.Errorf("%w in %s", store.ErrNoProfile, dir)
	case !hasKey:
		if key, err = makeKey(dir); err != nil {
			return nil, err
		}
	}
	db, err := Open(ctx, filepath.Join(dir, stateFile), create)
	if err != nil {
		return nil, err
	}
	s := store.Sealed(db, key, dir)
	if err := own(ctx, s, dir); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// own writes the first record of a new profile, or checks that it opens.
func own(ctx context.Context, s store.Store, dir string) error {
	_, err := s.Get(ctx, ownRecord)
	var damaged *store.DamagedError
	if errors.As(err, &damaged) {
		return &store.DamagedError{Where: dir, Reason: keyFile + " is not the key of " + stateFile + ", or one of them was altered"}
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if base, err := s.Base(ctx); err != nil || base > 0 {
		return errors.Join(err, &store.DamagedError{Where: dir, Reason: "its first record is missing"})
	}
	_, err = s.Commit(ctx, store.Batch{Put: []store.Record{{Key: ownRecord, Value: []byte("1")}}})
	if errors.Is(err, store.ErrConflict) { // another process made it at the same time
		return nil
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readKey returns an error with fs.ErrNotExist in its chain if there is no key.
func readKey(dir string) (store.DeviceKey, error) {
	var key store.DeviceKey
	text, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return key, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != len(key) {
		return key, &store.DamagedError{Where: dir, Reason: "its file " + keyFile + " does not hold a key"}
	}
	copy(key[:], b)
	return key, nil
}

// makeKey writes a new key, whole and durable or not at all. If another
// process was faster it returns that one's.
func makeKey(dir string) (store.DeviceKey, error) {
	key := store.NewDeviceKey()
	f, err := os.CreateTemp(dir, keyFile+".*") // mode 0600
	if err != nil {
		return key, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(key[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return key, err
	}
	// A link, unlike a rename, does not replace.
	err = os.Link(f.Name(), filepath.Join(dir, keyFile))
	if errors.Is(err, fs.ErrExist) {
		return readKey(dir)
	}
	if err != nil { // not every file system has links
		err = os.Rename(f.Name(), filepath.Join(dir, keyFile))
	}
	return key, errors.Join(err, syncDir(dir))
}

// syncDir makes a new name durable, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	d.Sync() // refused by some systems, which then need none
	return nil
}
