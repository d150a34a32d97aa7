package epochs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/witness"
	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

// memory is a Store that can be told to fail.
type memory struct {
	mu      sync.Mutex
	epochs  []Epoch
	pending []Pending
	fail    int  // so many AddEpoch fail
	kept    bool // those that fail take effect all the same
}

func (m *memory) Epochs(_ context.Context, from uint64, max int) ([]Epoch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if from > uint64(len(m.epochs)) {
		return nil, nil
	}
	return slices.Clone(m.epochs[from:min(len(m.epochs), int(from)+max)]), nil
}

func (m *memory) Pending(_ context.Context, max int) ([]Pending, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.pending[:min(max, len(m.pending))]), nil
}

func (m *memory) AddEpoch(_ context.Context, e Epoch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var failed error
	if m.fail > 0 {
		m.fail--
		if failed = errors.New("disk trouble"); !m.kept {
			return failed
		}
	}
	if e.Record.N != uint64(len(m.epochs)) {
		return errors.New("not the next epoch")
	}
	m.epochs = append(m.epochs, e)
	m.pending = slices.DeleteFunc(m.pending, func(p Pending) bool {
		return slices.ContainsFunc(e.Batch, func(b kt.BatchEntry) bool { return b.Index == p.Index && b.Seq == p.Seq })
	})
	return failed
}

func (m *memory) put(p Pending) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending = append(m.pending, p)
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func seed(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func noteSigner(t testing.TB, name string, b byte) *kt.NoteSigner {
	t.Helper()
	s, err := kt.NewNoteSigner(name, seed(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// local asks a witness in the same process.
type local struct {
	w    *witness.Witness
	gone atomic.Bool // it refuses at once
	hung atomic.Bool // it never answers
}

func (l *local) Key() kt.NoteKey { return l.w.Signer.Public() }

func (l *local) Cosign(ctx context.Context, _ kt.NoteKey, old uint64, proof []kt.Hash, checkpoint []byte) ([]byte, error) {
	if l.gone.Load() {
		return nil, errors.New("gone")
	}
	if l.hung.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	line, err := l.w.AddCheckpoint(ctx, old, proof, checkpoint)
	var conflict *witness.ConflictError
	if errors.As(err, &conflict) {
		return nil, &StandsAt{Size: conflict.Size}
	}
	return line, err
}

func newWitness(t testing.TB, name string, b byte, c *clock, logKey kt.NoteKey) *local {
	t.Helper()
	w, err := witness.New(witness.Config{Dir: t.TempDir(), Signer: noteSigner(t, name, b), Now: c.now, Logs: []kt.NoteKey{logKey}})
	if err != nil {
		t.Fatal(err)
	}
	return &local{w: w}
}

func config(t testing.TB, store Store, c *clock, dir string, witnesses ...Witness) Config {
	return Config{Store: store, Signer: noteSigner(t, "example.org/huis", 1), VRF: kt.NewVRFKey([32]byte(seed(2))), Now: c.now,
		Witnesses: witnesses, Patience: 20 * time.Second, Refresh: time.Hour, Dir: dir, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

func open(t testing.TB, c Config) *Log {
	t.Helper()
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// submit makes value seq of a label pending.
func submit(l *Log, m *memory, label string, seq uint32) (kt.Index, kt.Opening) {
	x, _ := l.Index(kt.KindAccount, []byte(label))
	o := kt.NewOpening()
	m.put(Pending{Kind: kt.KindAccount, Index: x, Seq: seq, Commitment: kt.Commit(o, kt.MapLabel(kt.KindAccount, []byte(label)), seq, value(label, seq))})
	return x, o
}

func value(label string, seq uint32) []byte { return fmt.Appendf(nil, "link %d of %s", seq, label) }

func step(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// reader is a client of the log: it verifies all it is told.
type reader struct {
	log       kt.NoteKey
	witnesses []kt.NoteKey
	head      kt.TreeHead
	replay    kt.Replay
}

func (r *reader) sync(t testing.TB, l *Log, m *memory) kt.Signed {
	t.Helper()
	h, err := l.Head(r.head.Size)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := kt.VerifyCheckpoint(h.Checkpoint, r.log, r.witnesses)
	if err != nil {
		t.Fatal(err)
	}
	if r.head.Size == 0 {
		r.head.Root = kt.Frontier{}.Root()
	}
	if err := kt.CheckConsistency(h.Consistency, r.head.Size, r.head.Root, signed.Size, signed.Root); err != nil {
		t.Fatal(err)
	}
	if err := kt.CheckInclusion(h.Inclusion, signed.Size, signed.Root, h.Record.N, h.Record.LeafHash()); err != nil {
		t.Fatal(err)
	}
	for r.replay.Size() < signed.Size {
		page, err := m.Epochs(t.Context(), r.replay.Size(), 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page[:min(len(page), int(signed.Size-r.replay.Size()))] {
			if r.replay, err = r.replay.Apply(e.Record, e.Batch); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r.replay.Root() != signed.Root {
		t.Fatal("the log replayed has another root than its checkpoint")
	}
	r.head = signed.TreeHead
	return signed
}

func TestChangesAreProvedWitnessedAndReplayed(t *testing.T) {
	c := &clock{t: time.Unix(1700000000, 0)}
	m := &memory{}
	key := noteSigner(t, "example.org/huis", 1).Public()
	w1, w2 := newWitness(t, "w1.example", 3, c, key), newWitness(t, "w2.example", 4, c, key)
	l := open(t, config(t, m, c, t.TempDir(), w1, w2))
	r := &reader{log: key, witnesses: []kt.NoteKey{w1.Key(), w2.Key()}}
	r.sync(t, l, m)

	openings := map[string][]kt.Opening{}
	for i := range 30 {
		for j := range i % 4 {
			label := fmt.Sprintf("person%d", (i+j)%9)
			_, o := submit(l, m, label, uint32(len(openings[label])))
			openings[label] = append(openings[label], o)
		}
		w2.gone.Store(i%7 == 3)
		c.add(5 * time.Hour)
		step(t, l)
		signed := r.sync(t, l, m)
		if want := 2 - map[bool]int{true: 1}[w2.gone.Load()]; len(signed.Cosignatures) != want {
			t.Fatalf("step %d: %d cosignatures, want %d", i, len(signed.Cosignatures), want)
		}
	}
	for label, o := range openings {
		x, pi := l.Index(kt.KindAccount, []byte(label))
		out, err := l.VRF.Public().Verify(kt.MapLabel(kt.KindAccount, []byte(label)), pi)
		if err != nil || kt.MapIndex(out) != x {
			t.Fatal("the index is not proved")
		}
		var values [][]byte
		for i := range o {
			values = append(values, value(label, uint32(i)))
		}
		want, err := kt.LabelHead(kt.MapLabel(kt.KindAccount, []byte(label)), o, values)
		if err != nil {
			t.Fatal(err)
		}
		proof, n := l.Prove(x)
		last, _ := r.replay.Last()
		leaf, err := proof.Verify(last.MapRoot, x)
		if err != nil || leaf == nil || leaf.Head != want || leaf.Seq != uint32(len(o)-1) || n != last.N {
			t.Fatalf("%s: %v, %v", label, leaf, err)
		}
	}
	nobody, _ := l.Index(kt.KindAccount, []byte("nobody"))
	last, _ := r.replay.Last()
	if p, _ := l.Prove(nobody); len(m.pending) != 0 {
		t.Error("values still pending")
	} else if leaf, err := p.Verify(last.MapRoot, nobody); err != nil || leaf != nil {
		t.Error("absence is not proved")
	}
	if last.LastDistinguished == 0 {
		t.Error("no day began")
	}
	old, err := l.ProveAt(nobody, last.LastDistinguished)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err := old.Verify(m.epochs[last.LastDistinguished].Record.MapRoot, nobody); err != nil || leaf != nil {
		t.Error("absence at a distinguished epoch is not proved")
	}
	if _, err := l.ProveAt(nobody, last.N+1); !errors.Is(err, ErrNotKept) {
		t.Error(err)
	}
}

func TestRestartGivesTheSameLog(t *testing.T) {
	c := &clock{t: time.Unix(1700000000, 0)}
	m := &memory{}
	l := open(t, config(t, m, c, ""))
	r := &reader{log: l.Signer.Public()}
	for i := range 12 {
		submit(l, m, fmt.Sprint("p", i), 0)
		step(t, l)
		r.sync(t, l, m)
		if i%3 == 0 {
			submit(l, m, fmt.Sprint("late", i), 0) // pending while the server stops
			l = open(t, config(t, m, c, ""))
			c.add(-36 * time.Hour) // and a clock set back
		}
	}
	if _, err := l.Head(1000); !errors.Is(err, ErrAhead) {
		t.Error(err)
	}
	m.epochs[4].Batch = nil
	if _, err := Open(t.Context(), config(t, m, c, "")); err == nil {
		t.Error("a log whose epoch lost its batch opens")
	}
	m.epochs = m.epochs[:4]
	other := config(t, m, c, "")
	other.VRF = kt.GenerateVRFKey()
	if _, err := Open(t.Context(), other); err == nil {
		t.Error("a log opens with another VRF key")
	}
}

func TestFailingStoreLosesNothing(t *testing.T) {
	c := &clock{t: time.Unix(1700000000, 0)}
	m := &memory{}
	l := open(t, config(t, m, c, ""))
	r := &reader{log: l.Signer.Public()}
	x, _ := submit(l, m, "alice", 0)
	m.fail = 1
	if err := l.Step(t.Context()); err == nil {
		t.Fatal("the trouble is hidden")
	}
	if p, _ := l.Prove(x); p.Leaf != nil {
		t.Error("a value shown that is not durable")
	}
	step(t, l)
	r.sync(t, l, m)
	if p, _ := l.Prove(x); p.Leaf == nil || p.Leaf.Index != x {
		t.Error("the value is lost")
	}
}

// TestAnEpochThatFailedAndWasKeptIsTheNextOne: a store that fails may have the
// epoch all the same, and then it has no place for another.
func TestAnEpochThatFailedAndWasKeptIsTheNextOne(t *testing.T) {
	c := &clock{t: time.Unix(1700000000, 0)}
	m := &memory{kept: true}
	l := open(t, config(t, m, c, t.TempDir()))
	r := &reader{log: l.Signer.Public()}
	x, _ := submit(l, m, "alice", 0)
	m.fail = 1
	if err := l.Step(t.Context()); err == nil {
		t.Fatal("the trouble is hidden")
	}
	c.add(time.Minute)
	later, _ := submit(l, m, "bob", 0)
	for _, want := range []kt.Index{x, later} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := l.Wait(ctx, want, 0); err != nil {
			t.Fatal(err)
		}
	}
	r.sync(t, l, m)
	if again := open(t, config(t, m, c, "")); again.current.Root() != l.current.Root() {
		t.Error("the store has another log")
	}
}

func TestWaitReturnsWhenTheValueIsShown(t *testing.T) {
	m := &memory{}
	now := &clock{t: time.Now()}
	key := noteSigner(t, "example.org/huis", 1).Public()
	w := newWitness(t, "w1.example", 3, now, key)
	l := open(t, config(t, m, now, "", w))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			x, _ := submit(l, m, fmt.Sprint("p", i), 0)
			n, err := l.Wait(ctx, x, 0)
			if err != nil || n != 1 {
				t.Errorf("witnessed by %d, %v", n, err)
			}
			if p, _ := l.Prove(x); p.Leaf == nil || p.Leaf.Index != x {
				t.Error("not shown")
			}
		})
	}
	all.Wait()
	cancel()
	<-done
	if n := len(m.epochs); n > 51 {
		t.Errorf("%d epochs for 50 values", n)
	}
}

// fileTiles reads the static files as a mirror would.
type fileTiles struct {
	t   testing.TB
	dir string
}

func (f fileTiles) Height() int                     { return tileHeight }
func (f fileTiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (f fileTiles) ReadTiles(tiles []tlog.Tile) (out [][]byte, err error) {
	for _, t := range tiles {
		b, err := os.ReadFile(filepath.Join(f.dir, filepath.FromSlash(tilePath(t))))
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func TestStaticFilesAreTheLog(t *testing.T) {
	c := &clock{t: time.Unix(1700000000, 0)}
	m := &memory{}
	dir := t.TempDir()
	l := open(t, config(t, m, c, dir))
	for i := range 300 { // more than one tile
		submit(l, m, fmt.Sprint("p", i), 0)
		step(t, l)
	}
	b, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := kt.VerifyCheckpoint(b, l.Signer.Public(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := tlog.TileHashReader(tlog.Tree{N: int64(signed.Size), Hash: tlog.Hash(signed.Root)}, fileTiles{t, dir})
	for _, n := range []int64{0, 255, 256, int64(signed.Size) - 1} {
		if _, err := tlog.ProveRecord(int64(signed.Size), n, r); err != nil {
			t.Errorf("epoch %d: %v", n, err)
		}
	}
	bundle, err := os.ReadFile(filepath.Join(dir, "tile/entries/000"))
	if err != nil {
		t.Fatal(err)
	}
	first := m.epochs[0].Record.Encode()
	if len(bundle) != 256*(2+len(first)) || !bytes.Equal(bundle[2:2+len(first)], first) {
		t.Error("the bundle does not begin with the first epoch")
	}
}

func TestAWitnessThatComesBackIsCaughtUp(t *testing.T) {
	m := &memory{}
	now := &clock{t: time.Unix(1700000000, 0)}
	key := noteSigner(t, "example.org/huis", 1).Public()
	w1, w2 := newWitness(t, "w1.example", 3, now, key), newWitness(t, "w2.example", 4, now, key)
	conf := config(t, m, now, t.TempDir(), w1, w2)
	conf.Retry = 5 * time.Millisecond
	l := open(t, conf)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	defer func() { cancel(); <-done }()
	w2.gone.Store(true)
	for i := range 5 {
		x, _ := submit(l, m, fmt.Sprint("p", i), 0)
		if n, err := l.Wait(ctx, x, 0); err != nil || n != 1 {
			t.Fatalf("witnessed by %d, %v", n, err)
		}
	}
	w2.gone.Store(false)
	both := func() bool {
		h, err := l.Head(0)
		if err != nil {
			t.Fatal(err)
		}
		s, err := kt.VerifyCheckpoint(h.Checkpoint, key, []kt.NoteKey{w1.Key(), w2.Key()})
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(filepath.Join(conf.Dir, "checkpoint"))
		return err == nil && len(s.Cosignatures) == 2 && bytes.Equal(file, h.Checkpoint)
	}
	for !both() { // without another change
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the witness that came back is not asked again")
		}
	}
}

func TestCosignaturesAreRenewed(t *testing.T) {
	m := &memory{}
	now := &clock{t: time.Unix(1700000000, 0)}
	key := noteSigner(t, "example.org/huis", 1).Public()
	w := newWitness(t, "w1.example", 3, now, key)
	conf := config(t, m, now, "", w)
	conf.Refresh = 5 * time.Millisecond
	l := open(t, conf)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	defer func() { cancel(); <-done }()
	var first time.Time
	for {
		h, err := l.Head(0)
		if err != nil {
			t.Fatal(err)
		}
		s, err := kt.VerifyCheckpoint(h.Checkpoint, key, []kt.NoteKey{w.Key()})
		if err != nil || s.Size != 1 {
			t.Fatalf("size %d: %v", s.Size, err)
		}
		if len(s.Cosignatures) == 1 {
			switch seen := s.Cosignatures[0].Time; {
			case first.IsZero():
				first = seen
				now.add(time.Minute)
			case !seen.Equal(first):
				return // cosigned anew, and no epoch was made for it
			}
		}
		time.Sleep(time.Millisecond)
	}
}

func TestAWitnessThatHangsHoldsUpNothing(t *testing.T) {
	m := &memory{}
	c := &clock{t: time.Unix(1700000000, 0)}
	key := noteSigner(t, "example.org/huis", 1).Public()
	w1, w2 := newWitness(t, "w1.example", 3, c, key), newWitness(t, "w2.example", 4, c, key)
	conf := config(t, m, c, "", w1, w2)
	conf.Patience, conf.AskFor = time.Second, time.Hour
	conf.Enough = func(k []kt.NoteKey) bool { return len(k) > 0 && k[0] == w1.Key() }
	l := open(t, conf)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w2.hung.Store(true)
	for i := range 10 {
		submit(l, m, fmt.Sprint("p", i), 0)
		if err := l.Step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if size := l.current.Size(); size != 11 {
		t.Errorf("%d epochs", size)
	}
	h, err := l.Head(0)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := kt.VerifyCheckpoint(h.Checkpoint, key, []kt.NoteKey{w1.Key(), w2.Key()}); err != nil || len(s.Cosignatures) != 1 {
		t.Errorf("%d cosignatures, %v", len(s.Cosignatures), err)
	}
}
