package epochs

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

// Run writes epochs until ctx ends: when values wait, at the first moment of a
// new UTC day, and it has the newest checkpoint cosigned anew from time to time.
// A store that fails is tried again after a while; nothing pending is lost.
func (l *Log) Run(ctx context.Context) {
	l.running.Store(true)
	defer l.running.Store(false)
	l.writing.Lock()
	if !l.held.Load() {
		l.cosign(ctx)
	}
	l.writing.Unlock()
	l.Wake() // what was pending when the server stopped
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			l.pause(ctx, l.Gather)
		case <-time.After(l.untilNext()):
			if l.retryFailing(ctx) {
				continue
			}
		}
		if err := l.Step(ctx); err != nil && ctx.Err() == nil {
			l.Log.Error("the log could not be written", "error", err)
			l.pause(ctx, time.Second)
			l.Wake()
		}
	}
}

func (l *Log) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// untilNext is how long nothing has to be done if nothing is pending.
func (l *Log) untilNext() time.Duration {
	l.writing.Lock() // who waited before Run was called may still be writing
	defer l.writing.Unlock()
	now := l.Now().UTC()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	wait := min(l.Refresh-now.Sub(l.asked), midnight.Sub(now))
	if l.anyFailing() {
		wait = min(wait, l.Retry<<min(l.retries, 4))
	}
	return max(wait, 0)
}

// settle finds out, after a write that failed, whether the store has it.
func (l *Log) settle(ctx context.Context) error {
	if !l.doubt {
		return nil
	}
	before := l.current.Size()
	if err := l.reread(ctx); err != nil {
		return err
	}
	l.doubt = false
	if err := l.writeFiles(before); err != nil {
		l.Log.Error("the log's static files could not be written", "error", err)
	}
	return nil
}

// Step writes epochs until nothing is pending, at least one on a new day, and
// has the newest checkpoint cosigned.
func (l *Log) Step(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.held.Load() {
		l.asked = l.Now()
		return nil
	}
	if err := l.settle(ctx); err != nil {
		return err
	}
	for {
		pending, err := l.Store.Pending(ctx, MaxBatch)
		if err != nil {
			return err
		}
		if len(pending) == 0 && !l.newDay() {
			break
		}
		if err := l.write(ctx, pending); err != nil {
			return err
		}
	}
	l.cosign(ctx)
	return nil
}

// Daily writes the first epoch of a new UTC day where nobody called Run.
func (l *Log) Daily(ctx context.Context) error {
	if l.running.Load() {
		return nil
	}
	return l.Step(ctx)
}

func (l *Log) newDay() bool {
	last, _ := l.current.Last()
	next := kt.EpochRecord{N: last.N + 1, Time: l.time()}
	return next.Distinguished(last.Time)
}

// time is the clock's, but never before the last epoch's: a clock that was set
// back must not stop the log.
func (l *Log) time() uint64 {
	last, _ := l.current.Last()
	return max(uint64(max(l.Now().Unix(), 0)), last.Time)
}

// write puts values into the next epoch.
func (l *Log) write(ctx context.Context, values []Pending) error {
	e, err := l.next(values)
	if err != nil {
		return err
	}
	next, err := l.current.Apply(e.Record, e.Batch)
	if err != nil {
		return err // ours: next makes what Apply accepts
	}
	if err := l.Store.AddEpoch(ctx, e); err != nil {
		l.doubt = true
		return err
	}
	before := l.current.Size()
	if err := l.advance(next); err != nil {
		return err
	}
	if err := l.writeFiles(before); err != nil {
		l.Log.Error("the log's static files could not be written", "error", err)
	}
	return nil
}

// next makes the epoch of some values, in the order of their indexes, so that
// the order in which they came is in no batch.
func (l *Log) next(values []Pending) (Epoch, error) {
	values = slices.Clone(values)
	slices.SortStableFunc(values, func(a, b Pending) int { return bytes.Compare(a.Index[:], b.Index[:]) })
	r := l.current
	edit := r.Map().Edit()
	e := Epoch{Record: kt.EpochRecord{N: r.Size(), Time: l.time(), VRFKeyHash: kt.HashVRFKey(l.VRF.Public())}}
	for _, v := range values {
		entry := kt.BatchEntry{Kind: v.Kind, Index: v.Index}
		if leaf, ok := edit.Get(v.Index); ok {
			entry.Seq, entry.PrevHead = leaf.Seq+1, leaf.Head
		}
		if entry.Seq != v.Seq {
			return Epoch{}, errors.New("a pending value is out of its order")
		}
		entry.NewHead = kt.NextHead(entry.PrevHead, v.Commitment)
		edit.Put(kt.MapLeaf{Index: v.Index, Seq: v.Seq, Head: entry.NewHead})
		e.Batch = append(e.Batch, entry)
	}
	m := edit.Done()
	e.Record.MapRoot, e.Record.MapCount = m.Root(), uint64(m.Len())
	e.Record.BatchRoot, e.Record.BatchCount = kt.BatchRoot(e.Batch), uint32(len(e.Batch))
	last, _ := r.Last()
	e.Record.LastDistinguished = last.LastDistinguished
	if e.Record.Distinguished(last.Time) {
		e.Record.LastDistinguished = e.Record.N
	}
	return e, nil
}

// consistency proves that the log of size n continues that of size m.
func (l *Log) consistency(m, n uint64) ([]kt.Hash, error) {
	if m > n {
		return nil, errors.New("the log is shorter than that")
	}
	if m == 0 || m == n {
		return nil, nil
	}
	l.mu.RLock()
	h := l.hashes
	l.mu.RUnlock()
	p, err := tlog.ProveTree(int64(n), int64(m), h)
	return ktHashes(p), err
}

func ktHashes(p []tlog.Hash) []kt.Hash {
	out := make([]kt.Hash, len(p))
	for i := range p {
		out[i] = kt.Hash(p[i])
	}
	return out
}
