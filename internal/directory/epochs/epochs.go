// Package epochs writes the server's log: it puts the changes of the map into
// epochs, signs each, has it cosigned and proves what stands in it (docs/
// protocol.md, Section 13; the rules are kt.Replay's).
//
// Open rebuilds everything from the store. A change is first made durable as a
// pending value by whoever changes the account, in the same transaction; Run
// takes all pending values into the next epoch; Wait returns when a value is in
// an epoch that is signed and cosigned, or when the witnesses took too long.
// Head and Prove answer from memory.
package epochs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

// Epoch is one epoch as it is kept.
type Epoch struct {
	Record kt.EpochRecord
	Batch  []kt.BatchEntry
}

// Pending is a value that is durable and in no epoch yet.
type Pending struct {
	Kind       kt.MapKind
	Index      kt.Index
	Seq        uint32
	Commitment kt.Commitment
}

// Store keeps the log.
type Store interface {
	// Epochs returns at most max epochs in order, from number from on.
	Epochs(ctx context.Context, from uint64, max int) ([]Epoch, error)
	// Pending returns at most max pending values, those of one index in the
	// order of their seq.
	Pending(ctx context.Context, max int) ([]Pending, error)
	// AddEpoch stores the next epoch and marks the values of its batch as in
	// it, in one transaction, durable on return.
	AddEpoch(ctx context.Context, e Epoch) error
}

// Witness is asked for cosignatures; *witness.Client is one.
type Witness interface {
	// Cosign returns the line for a checkpoint that continues the log of size
	// old, or a *StandsAt error.
	Cosign(ctx context.Context, log kt.NoteKey, old uint64, proof []kt.Hash, checkpoint []byte) ([]byte, error)
	Key() kt.NoteKey
}

// StandsAt says that a witness has seen the log at another size.
type StandsAt struct{ Size uint64 }

func (e *StandsAt) Error() string { return fmt.Sprintf("the witness stands at size %d", e.Size) }

// Config is what a Log stands on.
type Config struct {
	Store     Store
	Signer    *kt.NoteSigner
	VRF       *kt.VRFKey
	Now       func() time.Time
	Witnesses []Witness
	Gather    time.Duration // how long changes wait for others, e.g. 100 ms
	Patience  time.Duration // how long witnesses may take before a change is answered without them, e.g. 2 s
	// Enough tells whether cosignatures of these keys are what clients ask for;
	// nil: nobody knows.
	Enough  func([]kt.NoteKey) bool
	AskFor  time.Duration // how long one request to a witness may take, e.g. 10 s; at least Patience
	Refresh time.Duration // how often the newest checkpoint is cosigned anew, e.g. 1 h
	Retry   time.Duration // when those who gave nothing are asked again, e.g. 2 s, then up to 16 times that; 0: Refresh
	Dir     string        // where the static files are kept; "": nowhere
	Log     *slog.Logger
	// Held keeps the log as it is until Resume: a server put back from a backup
	// must not go on from where its backup ends.
	Held bool
}

// distinguishedKept is how many daily versions of the map can be asked for.
const distinguishedKept = 90

// MaxBatch is how many values one epoch takes; the rest waits for the next.
const MaxBatch = 4096

// Log is the running log. Its methods may be called concurrently; Run by one.
type Log struct {
	Config
	wake chan struct{}

	// writing orders the writers: Run, or while it does not run, everybody who
	// waits for a value. current is the newest epoch, which only they know;
	// doubt says that the store may have one more, for it failed to say so.
	writing sync.Mutex
	current kt.Replay
	doubt   bool
	asked   time.Time // when all witnesses were asked last
	retries int       // how often those who gave nothing were since
	running atomic.Bool
	held    atomic.Bool

	// mu guards what follows. Versions are immutable, so that readers hold it
	// only to pick one.
	mu        sync.RWMutex
	published version
	days      []kt.Replay   // distinguished epochs, oldest first, at most distinguishedKept
	hashes    hashes        // of all epochs
	asking    []asking      // of each witness
	changed   chan struct{} // closed and replaced at each publication

	files sync.Mutex // orders the writers of the file checkpoint
}

// version is one epoch with the checkpoint that shows it.
type version struct {
	replay     kt.Replay
	note       []byte   // signed by the log
	lines      [][]byte // cosignatures by witness, nil where there is none
	checkpoint []byte   // note and lines
	witnessed  int      // how many lines
}

// hashes are the stored hashes of the tree (tlog.StoredHashIndex). Appending
// never changes what a copy of the slice sees.
type hashes []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		if x >= int64(len(h)) {
			return nil, errors.New("a hash that is not in the tree")
		}
		out[i] = h[x]
	}
	return out, nil
}

// Open rebuilds the log from the store, checking every epoch by the rules. An
// empty store gets its first epoch, so that there is always a checkpoint.
func Open(ctx context.Context, c Config) (*Log, error) {
	l := &Log{Config: c, wake: make(chan struct{}, 1), changed: make(chan struct{}), asking: make([]asking, len(c.Witnesses))}
	l.AskFor = max(l.AskFor, l.Patience)
	if l.Retry == 0 {
		l.Retry = l.Refresh
	}
	if err := l.reread(ctx); err != nil {
		return nil, err
	}
	l.held.Store(c.Held)
	if l.current.Size() == 0 && !c.Held {
		if err := l.write(ctx, nil); err != nil {
			return nil, err
		}
	}
	l.publish(l.signed())
	return l, l.writeFiles(0)
}

// reread takes what the store has beyond the current epoch.
func (l *Log) reread(ctx context.Context) error {
	for {
		page, err := l.Store.Epochs(ctx, l.current.Size(), 1000)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if err := l.restore(&page[i]); err != nil {
				return fmt.Errorf("the log is damaged: %w", err)
			}
		}
	}
}

func (l *Log) restore(e *Epoch) error {
	if e.Record.VRFKeyHash != kt.HashVRFKey(l.VRF.Public()) {
		return errors.New("it was made with another VRF key")
	}
	next, err := l.current.Apply(e.Record, e.Batch)
	if err != nil {
		return err
	}
	return l.advance(next)
}

// advance makes next the current epoch.
func (l *Log) advance(next kt.Replay) error {
	record, _ := next.Last()
	stored, err := tlog.StoredHashesForRecordHash(int64(record.N), tlog.Hash(record.LeafHash()), l.hashes)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = next
	l.hashes = append(l.hashes, stored...)
	if record.LastDistinguished == record.N {
		l.days = append(l.days, next)
		if len(l.days) > distinguishedKept {
			l.days = l.days[1:]
		}
	}
	return nil
}

// publish shows a version to everybody who asks from now on.
func (l *Log) publish(v version) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published = v
	close(l.changed)
	l.changed = make(chan struct{})
}

// Index returns where a label stands, and the proof of it.
func (l *Log) Index(kind kt.MapKind, label []byte) (kt.Index, kt.VRFProof) {
	pi, out := l.VRF.Prove(kt.MapLabel(kind, label))
	return kt.MapIndex(out), pi
}

// Wake tells Run that something is pending.
func (l *Log) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Wait returns when the value seq of an index is in an epoch and the witnesses
// had their time; witnessed is how many cosigned. It wakes Run; where nobody
// called Run, it writes the epoch itself.
func (l *Log) Wait(ctx context.Context, x kt.Index, seq uint32) (witnessed int, err error) {
	if l.running.Load() {
		l.Wake()
	} else if err := l.Step(ctx); err != nil {
		return 0, err
	}
	for {
		l.mu.RLock()
		v, changed := l.published, l.changed
		l.mu.RUnlock()
		if leaf, ok := v.replay.Map().Get(x); ok && leaf.Seq >= seq {
			return v.witnessed, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
