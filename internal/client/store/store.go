// Package store is what the client core keeps: a flat map from names to sealed,
// opaque bytes that changes only in atomic, durable batches.
//
// Start with Store. Implementations are mem (tests, simulation) and sqlite (a
// file; its OpenProfile is what programs use). Sealed encrypts the values of any Store under the device key. All
// implementations pass storetest.Run.
//
// One protocol step is one Commit, made before anything is sent. After an
// error of Commit the caller does not know whether the batch was kept: it
// throws its memory away and reads again. The package does not defend against
// someone who puts back an older copy of the whole folder.
package store

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrNotFound is what Get returns for a key that has no value.
	ErrNotFound = errors.New("store: not found")
	// ErrConflict is what Commit returns when somebody else committed since
	// Batch.Base was read. Nothing was written.
	ErrConflict = errors.New("store: changed by another process")
	// ErrFull is in the chain when the disk has no room for the batch. Nothing
	// was written.
	ErrFull = errors.New("store: disk full")
	// ErrNoProfile is what opening a profile returns where none has been made.
	ErrNoProfile = errors.New("store: no profile")
)

// Record is one named value.
type Record struct {
	Key   string
	Value []byte
}

// Batch is one atomic change. A key is at most once in Put and Delete together.
type Batch struct {
	Base   uint64 // the state it was computed from
	Put    []Record
	Delete []string // deleting a key without value is no error
}

// Store is one device's state. Its methods may be called concurrently, also by
// several processes on one file.
type Store interface {
	// Base returns the number of batches committed so far.
	Base(ctx context.Context) (uint64, error)
	// Get returns the value of key, a copy the caller may keep; ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// List returns the records whose key has the prefix and is greater than
	// after, in the order of the keys' bytes, at most n; n ≤ 0 is all of them.
	List(ctx context.Context, prefix, after string, n int) ([]Record, error)
	// Commit applies all of b or nothing and returns the new base. On return
	// without error the batch is durable, and what it deleted or replaced is
	// not readable any more through the Store. ErrConflict if b.Base is not
	// the present base.
	Commit(ctx context.Context, b Batch) (uint64, error)
	// Lock waits until this caller alone holds the store, against other
	// processes too, and returns what lets go of it. It is held for one step,
	// so that steps do not have to be computed twice; Commit is safe without.
	// It is not reentrant.
	Lock(ctx context.Context) (unlock func(), err error)
	// Close lets go of files. A Store is not used afterwards.
	Close() error
}

// DamagedError says that what is stored is not what was written: a truncated
// or altered file, a missing part, an older state than was acknowledged.
type DamagedError struct {
	Where  string // the profile folder or file
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("profile %s is damaged: %s", e.Where, e.Reason)
}

// Hint returns what the person can do.
func (e *DamagedError) Hint() string {
	return "move the folder " + e.Where + " away, keep it, and link this device anew from another one: huis link; " +
		"an older copy of the folder does not help, its keys are used"
}

// ValidateBatch returns an error if b names a key twice or not at all.
// Implementations call it first.
func ValidateBatch(b Batch) error {
	seen := make(map[string]bool, len(b.Put)+len(b.Delete))
	check := func(key string) error {
		if key == "" {
			return errors.New("store: batch has an empty key")
		}
		if seen[key] {
			return fmt.Errorf("store: batch has key %q twice", key)
		}
		seen[key] = true
		return nil
	}
	for _, r := range b.Put {
		if err := check(r.Key); err != nil {
			return err
		}
	}
	for _, key := range b.Delete {
		if err := check(key); err != nil {
			return err
		}
	}
	return nil
}
