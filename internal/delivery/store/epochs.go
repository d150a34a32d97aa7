package store

import (
	"context"

	"codeberg.org/huis/huis/internal/proto"
)

// LogValue is a new value of a label of the map, on its way into the log. The
// fields are those of package kt; this one keeps them.
type LogValue struct {
	Kind       uint8
	Index      [32]byte
	Seq        uint32 // number of values the index has before
	Opening    [16]byte
	Commitment [32]byte
	Value      []byte

	// Of the first value of a label: where in the map that label is, sealed, and
	// the keyed hash by which it is found. They are kept once, not read back.
	Label proto.Hash
	Place []byte
}

// LogEpoch is one epoch of the log: its record and its batch, encoded.
type LogEpoch struct {
	N      uint64
	Record []byte
	Batch  []byte
	Taken  []LogKey // by AddEpoch: the values in its batch; not read back
}

// LogKey names one value.
type LogKey struct {
	Index [32]byte
	Seq   uint32
}

// Epochs are the log's epochs and the values in them or waiting for one.
type Epochs interface {
	// Epochs returns at most max epochs in order, from number from on.
	Epochs(ctx context.Context, from uint64, max int) ([]LogEpoch, error)

	// PendingValues returns at most max values that are in no epoch, those of
	// one index in the order of their seq.
	PendingValues(ctx context.Context, max int) ([]LogValue, error)

	// AddEpoch stores an epoch and marks its values. conflict{seq: the number
	// that is next} if N is another; the same epoch again changes nothing.
	AddEpoch(ctx context.Context, e LogEpoch) error

	// AddValue stores a value that belongs to no account. The same again
	// changes nothing; conflict{seq: the number of values there} if Seq is not
	// the next.
	AddValue(ctx context.Context, v LogValue) error

	// Values returns at most max values of an index from seq from on, pending
	// ones too.
	Values(ctx context.Context, index [32]byte, from uint32, max int) ([]LogValue, error)

	// Place returns the Place that came with a label's first value, nil if none
	// did. Nothing is kept of the question.
	Place(ctx context.Context, label proto.Hash) ([]byte, error)
}
