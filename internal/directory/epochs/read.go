package epochs

import (
	"errors"
	"slices"

	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

// Head is the newest checkpoint, and what convinces somebody who knew an older
// one.
type Head struct {
	Checkpoint  []byte    // signed note with cosignatures
	Consistency []kt.Hash // from the size asked from
	Record      kt.EpochRecord
	Inclusion   []kt.Hash // of Record, the log's last leaf
}

// ErrAhead is returned to somebody who knows more of the log than there is.
var ErrAhead = errors.New("the log is shorter than that")

// ErrNotKept is returned for a version of the map that is not kept.
var ErrNotKept = errors.New("this version of the map is not kept")

// Head answers somebody who knows the log at size from, 0: nothing.
func (l *Log) Head(from uint64) (Head, error) {
	l.mu.RLock()
	v := l.published
	l.mu.RUnlock()
	size := v.replay.Size()
	if from > size {
		return Head{}, ErrAhead
	}
	h := Head{Checkpoint: v.checkpoint}
	h.Record, _ = v.replay.Last()
	var err error
	if h.Consistency, err = l.consistency(from, size); err != nil {
		return Head{}, err
	}
	h.Inclusion, err = l.Inclusion(h.Record.N, size)
	return h, err
}

// Inclusion proves leaf n in the log of the given size.
func (l *Log) Inclusion(n, size uint64) ([]kt.Hash, error) {
	l.mu.RLock()
	h, current := l.hashes, l.published.replay.Size()
	l.mu.RUnlock()
	if n >= size || size > current {
		return nil, ErrAhead
	}
	p, err := tlog.ProveRecord(int64(size), int64(n), h)
	return ktHashes(p), err
}

// Prove returns what the newest version of the map says of an index, and the
// number of the epoch that is.
func (l *Log) Prove(x kt.Index) (kt.MapProof, uint64) {
	l.mu.RLock()
	v := l.published
	l.mu.RUnlock()
	return v.replay.Map().Prove(x), v.replay.Size() - 1
}

// ProveAt is Prove for a distinguished epoch of the last days.
func (l *Log) ProveAt(x kt.Index, n uint64) (kt.MapProof, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, v := range l.days {
		if v.Size()-1 == n && v.Size() <= l.published.replay.Size() {
			return v.Map().Prove(x), nil
		}
	}
	return kt.MapProof{}, ErrNotKept
}

// Days returns the distinguished versions of the map that are published.
func (l *Log) Days() kt.Days {
	l.mu.RLock()
	defer l.mu.RUnlock()
	days := slices.Clone(l.days)
	for n := len(days); n > 0 && days[n-1].Size() > l.published.replay.Size(); n-- {
		days = days[:n-1]
	}
	return days
}
