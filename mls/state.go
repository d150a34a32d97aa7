package mls

import "time"

// Record is one keyed value of a group's durable state. Keys are relative to the
// group: the caller prefixes them. A nil Value deletes the key.
type Record struct {
	Key   string
	Value []byte
}

// Delta is what one operation changed. The caller writes all of it in one
// transaction; when that fails it throws the Group away and restores it.
type Delta []Record

// Restore returns the group as its deltas left it. get returns nil, nil for a
// key that is not there.
func Restore(get func(key string) ([]byte, error), opt Options) (*Group, error) {
	return nil, errNotImplemented
}

// MarshalBinary encodes a staged commit, with the secrets of the next epoch, so
// that it can be stored before its message is sent.
func (c *StagedCommit) MarshalBinary() ([]byte, error) { return nil, errNotImplemented }

// ParseStagedCommit reads what MarshalBinary returned for a commit on the
// current epoch; ErrStaleEpoch or ErrFork if it is on another.
func (g *Group) ParseStagedCommit(b []byte) (*StagedCommit, error) { return nil, errNotImplemented }

// ForgetPast deletes what is kept of the epochs before the given one, and of
// those too old for the options at now.
func (g *Group) ForgetPast(now time.Time, before uint64) Delta { return nil }

// PastEpoch is an ended epoch whose messages can still be read.
type PastEpoch struct {
	Epoch   uint64
	EndedAt time.Time
}

// PastEpochs lists them, oldest first.
func (g *Group) PastEpochs() []PastEpoch { return nil }
