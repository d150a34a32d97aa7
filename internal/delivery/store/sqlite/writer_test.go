package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

// crash is a disk as a killed process leaves it: everything written so far,
// copied at one point of the writer.
type crash struct {
	path string // of the database that is running
	copy string // where the copy goes
	at   point
	left int // passes of that point before the crash

	mu     sync.Mutex // guards copied
	copied bool
}

func (c *crash) hook(p point) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p != c.at {
		return nil
	}
	if c.left--; c.left >= 0 {
		return nil
	}
	if !c.copied {
		c.copied = true
		for _, suffix := range []string{"", "-wal"} {
			if err := copyFile(c.path+suffix, c.copy+suffix); err != nil {
				panic(err)
			}
		}
	}
	return errCut
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, in)
	return err
}

// sender is one member of one conversation with what it was told.
type sender struct {
	conversation storetest.Conversation
	answered     map[proto.Hash]proto.Receipt
	sent         map[proto.Hash]bool
}

// send appends n entries, one after the other, some of them refused.
func (s *sender) send(w *storetest.World, n int) {
	for i := range n {
		e := storetest.Application(s.conversation.ID, s.conversation.Keys[0], 1, make([]byte, 10*i))
		if i%4 == 3 {
			e = storetest.Application(s.conversation.ID, s.conversation.Keys[0], 2, nil) // an epoch to come
		}
		s.sent[e.Hash()] = true
		a, err := w.Append(e)
		switch {
		case err == nil:
			s.answered[e.Hash()] = a.Receipt
		case !errors.Is(err, proto.Future):
			return // the crash
		}
	}
}

// What was answered is there after a crash at any point of the writer, at the
// place that was answered; what was refused is not; no log has a gap.
func TestAnsweredIsThereAfterACrash(t *testing.T) {
	crashes := 0
	defer func() {
		if crashes == 0 {
			t.Error("no run crashed")
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		folder, err := os.MkdirTemp("", "huis-crash")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(folder)
		c := &crash{path: filepath.Join(folder, "huis.db"), copy: filepath.Join(folder, "copy.db"),
			at: rapid.SampledFrom([]point{beforeCommit, afterCommit}).Draw(rt, "point"), left: 1 << 30}
		s, err := open(context.Background(), c.path, c.hook)
		if err != nil {
			rt.Fatal(err)
		}
		w := storetest.NewWorld(t, s)
		senders := make([]*sender, rapid.IntRange(1, 12).Draw(rt, "senders"))
		shared := w.NewConversation(1)
		for i := range senders {
			senders[i] = &sender{shared, map[proto.Hash]proto.Receipt{}, map[proto.Hash]bool{}}
			if i%2 == 1 {
				senders[i].conversation = w.NewConversation(1)
			}
		}
		c.mu.Lock()
		c.left = rapid.IntRange(0, 15).Draw(rt, "batches")
		c.mu.Unlock()
		sendAll(w, senders, rapid.IntRange(1, 12).Draw(rt, "entries"))
		s.Close()
		path := c.path // no crash happened: a clean stop must keep it all too
		if c.copied {
			crashes++
			path = c.copy
		}
		verify(t, w, path, senders)
	})
}

func sendAll(w *storetest.World, senders []*sender, n int) {
	var all sync.WaitGroup
	for _, s := range senders {
		all.Go(func() { s.send(w, n) })
	}
	all.Wait()
}

func verify(t *testing.T, w *storetest.World, path string, senders []*sender) {
	t.Helper()
	s, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w.Store = s
	for _, one := range senders {
		there := map[proto.Hash]proto.Receipt{}
		for _, e := range w.ReadAll(one.conversation.ID, one.conversation.Keys[0].MK(), 0) {
			there[e.Entry.Hash()] = e.Receipt
		}
		for hash, receipt := range one.answered {
			if there[hash] != receipt {
				t.Fatalf("answered seq %d, after the crash it is %d", receipt.Seq, there[hash].Seq)
			}
		}
		// Again: the first receipt, or a new place, and no gap.
		if _, err := w.Append(storetest.Application(one.conversation.ID, one.conversation.Keys[0], 1, nil)); err != nil {
			t.Fatal(err)
		}
		w.ReadAll(one.conversation.ID, one.conversation.Keys[0].MK(), 0)
	}
}

func TestCrashTestNoticesALoss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	w := storetest.NewWorld(t, openTest(t, path))
	c := w.NewConversation(1)
	s := &sender{c, map[proto.Hash]proto.Receipt{}, map[proto.Hash]bool{}}
	s.send(w, 3)
	if len(s.answered) != 3 {
		t.Fatalf("%d answered", len(s.answered))
	}
	for hash := range s.answered {
		if _, ok, err := w.Store.Known(w.Ctx, c.ID, hash); !ok || err != nil {
			t.Fatal("not there", err)
		}
	}
	if _, ok, _ := w.Store.Known(w.Ctx, c.ID, proto.Hash{1}); ok {
		t.Fatal("what was never sent is there")
	}
}

// The writer is held in its first commit until many wait.
func TestWaitingRequestsShareOneCommit(t *testing.T) {
	var commits atomic.Int32
	hold := make(chan struct{})
	s, err := open(context.Background(), filepath.Join(t.TempDir(), "huis.db"), func(p point) error {
		if p == beforeCommit {
			if commits.Add(1) == 1 {
				<-hold
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all sync.WaitGroup
	put := func(name string) {
		all.Go(func() {
			if err := s.PutSetting(context.Background(), name, []byte(name)); err != nil {
				t.Error(err)
			}
		})
	}
	put("first")
	for len(s.writer.queue) > 0 || commits.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for i := range 300 {
		put(fmt.Sprint(i))
	}
	for len(s.writer.queue) < 300 {
		time.Sleep(time.Millisecond)
	}
	close(hold)
	all.Wait()
	if n := commits.Load(); n != 3 { // the first, 256, 44
		t.Errorf("301 requests took %d commits", n)
	}
}

// One request of a batch that fails after it wrote is undone alone.
func TestOneFailureSpoilsNoOther(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "huis.db"))
	boom := errors.New("boom")
	put := func(name string, err error) *job {
		return &job{run: func(t *tx) error {
			if e := t.run("INSERT INTO setting (name, value) VALUES ($1, $2)", name, []byte(name)); e != nil {
				return e
			}
			return err
		}, answer: make(chan error, 1)}
	}
	late := &job{run: func(t *tx) error {
		if err := t.run("INSERT INTO setting (name, value) VALUES ('late', $1)", []byte{}); err != nil {
			return err
		}
		return proto.Refuse(proto.Quota)
	}, answer: make(chan error, 1)}
	refused := &job{run: func(*tx) error { return proto.Refuse(proto.Future) }, answer: make(chan error, 1)}
	batch := []*job{put("a", nil), put("b", boom), refused, put("a", nil), late, put("c", nil)}
	for _, j := range batch {
		s.writer.queue <- j
	}
	var errs []error
	for _, j := range batch {
		errs = append(errs, <-j.answer)
	}
	if errs[0] != nil || errs[1] != boom || !errors.Is(errs[2], proto.Future) || errs[3] == nil || !errors.Is(errs[4], proto.Quota) || errs[5] != nil {
		t.Errorf("answers: %v", errs)
	}
	for name, want := range map[string]bool{"a": true, "b": false, "late": false, "c": true} {
		if v, err := s.Setting(context.Background(), name); err != nil || (v != nil) != want {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
}

func TestClosedStoreAnswers(t *testing.T) {
	s := openTest(t, filepath.Join(t.TempDir(), "huis.db"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.PutSetting(context.Background(), "x", nil); err == nil {
		t.Error("a closed store takes a request")
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	hold := make(chan struct{})
	s, err := open(context.Background(), filepath.Join(t.TempDir(), "huis.db"), func(p point) error {
		if p == beforeCommit {
			<-hold
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := s.PutSetting(ctx, "x", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(hold)
	s.Close()
}

func TestFullDiskSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	s := openTest(t, path)
	w := storetest.NewWorld(t, s)
	c := w.NewConversation(1)
	kept, err := w.Append(storetest.Application(c.ID, c.Keys[0], 1, make([]byte, 1000)))
	w.Must(err)
	limit := func(pages int) {
		w.Must(s.writer.submit(w.Ctx, 1, func(t *tx) error { return nil }))
		db := s.writer.conn.conn
		if _, err := db.ExecContext(w.Ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite takes the present size
	var last error
	n := 0
	for range 50 {
		if _, last = w.Append(storetest.Application(c.ID, c.Keys[0], 1, make([]byte, 20_000))); last != nil {
			break
		}
		n++
	}
	w.Refused(last, proto.Full)
	if got := w.ReadAll(c.ID, c.Keys[0].MK(), 0); len(got) != 2+n || got[1].Receipt != kept.Receipt {
		t.Errorf("%d entries after the disk was full", len(got))
	}
	limit(1 << 20)
	_, err = w.Append(storetest.Application(c.ID, c.Keys[0], 1, make([]byte, 20_000)))
	w.Must(err)
	w.ReadAll(c.ID, c.Keys[0].MK(), 0)
}

func TestDeletedIsGoneFromTheFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	s := openTest(t, path)
	w := storetest.NewWorld(t, s)
	to := w.Account()
	secret := []byte("the sealed bytes that must be gone")
	for i := range 50 {
		w.Must(s.Post(w.Ctx, to, proto.InboxItemID{byte(i + 1)}, secret, store.DayOf(w.Now), 99))
	}
	if !contains(t, path, secret) {
		t.Fatal("what was stored cannot be found: the search is of no use")
	}
	items, _, err := s.Fetch(w.Ctx, to, proto.InboxItemID{}, 99)
	w.Must(err)
	var ids []proto.InboxItemID
	for _, i := range items {
		ids = append(ids, i.ID)
	}
	w.Must(s.Ack(w.Ctx, to, ids))
	w.Must(s.Truncate(w.Ctx))
	if contains(t, path, secret) {
		t.Error("an acknowledged item is still in the files")
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() != 0 {
		t.Errorf("the write-ahead log has %d bytes", info.Size())
	}
}

func TestIdleEmptiesTheLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	s := openTest(t, path)
	if err := s.PutSetting(context.Background(), "x", []byte("y")); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if info, err := os.Stat(path + "-wal"); err == nil && info.Size() == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the write-ahead log is not empty 5 s after the last write")
}

func contains(t *testing.T, path string, what []byte) bool {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(path + suffix)
		if err == nil && bytes.Contains(b, what) {
			return true
		}
	}
	return false
}
