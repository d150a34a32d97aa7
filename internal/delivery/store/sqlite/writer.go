package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// Bounds of one batch. 256 requests bring the share of the fsync below that of
// the work itself; 1 MiB keeps the wait of the last one short.
const (
	maxBatch      = 256
	maxBatchBytes = 1 << 20
	idle          = 2 * time.Second // then the write-ahead log is emptied
	// rewritten is the size of a database, in bytes, up to which truncate also
	// rewrites it: that takes twice its size of memory for a second or two.
	rewritten = 32 << 20
)

// point is where a test may cut the writer off.
type point string

const (
	beforeCommit point = "before commit"
	afterCommit  point = "after commit"
)

// errCut is what a hook returns to play a crash: nothing more is written and
// nobody is answered but with an error.
var errCut = errors.New("cut off")

var errClosed = errors.New("the store is closed")

// writer is the group commit: it takes what waits, runs it in one transaction
// with one fsync, then answers all.
//
//	submit ──▶ queue ──▶ [take ≤ 256 requests, 1 MiB] ──▶ BEGIN … COMMIT ──▶ answer each
//	                                    │ one failed after it wrote
//	                                    └─▶ ROLLBACK, then each in a transaction of its own
//
// A request that is refused has written nothing and spoils nothing.
type writer struct {
	path  string
	db    *sql.DB
	hook  func(point) error // nil but in tests
	queue chan *job
	quit  chan struct{} // closed by close
	done  chan struct{} // closed when run has ended
	once  sync.Once
	syncs atomic.Int64 // commits that wrote: each is one fsync of the log

	// used by run only
	conn  *tx
	dirty bool // the write-ahead log may hold something
	mixed bool // written since the last rewrite
	cut   error
}

type job struct {
	size     int
	run      func(*tx) error
	truncate bool // not a transaction: empty the log
	answer   chan error
	err      error
}

func newWriter(path string, db *sql.DB, hook func(point) error) *writer {
	w := &writer{path: path, db: db, hook: hook, queue: make(chan *job, 4*maxBatch), quit: make(chan struct{}),
		done: make(chan struct{}), dirty: true, mixed: true}
	go w.run()
	return w
}

// submit runs f in a transaction, durable when it returns nil. size is what it
// will write, about, in bytes. f may run more than once, and must set its
// results anew each time. A context that ends while f waits leaves the outcome
// unknown.
func (w *writer) submit(ctx context.Context, size int, f func(*tx) error) error {
	return w.enqueue(ctx, &job{size: size, run: f, answer: make(chan error, 1)})
}

func (w *writer) truncate(ctx context.Context) error {
	return w.enqueue(ctx, &job{truncate: true, answer: make(chan error, 1)})
}

func (w *writer) enqueue(ctx context.Context, j *job) error {
	select {
	case w.queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.done:
		return errClosed
	}
	select {
	case err := <-j.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-w.done:
		// run answers all it took before it ends.
		select {
		case err := <-j.answer:
			return err
		default:
			return errClosed
		}
	}
}

func (w *writer) close() error {
	w.once.Do(func() { close(w.quit) })
	<-w.done
	return w.cut
}

func (w *writer) run() {
	defer close(w.done)
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		select {
		case j := <-w.queue:
			w.serve(j)
			timer.Reset(idle)
		case <-timer.C:
			w.emptyLog()
		case <-w.quit:
			w.finish()
			return
		}
	}
}

// finish serves what is queued already, then closes the database.
func (w *writer) finish() {
	for {
		select {
		case j := <-w.queue:
			w.serve(j)
			continue
		default:
		}
		break
	}
	w.emptyLog()
	w.drop()
	if err := w.db.Close(); err != nil && w.cut == nil {
		w.cut = err
	}
	if errors.Is(w.cut, errCut) {
		w.cut = nil
	}
}

// serve runs a batch that begins with first.
func (w *writer) serve(first *job) {
	for j := first; j != nil; {
		if j.truncate {
			err := w.rewrite()
			j.answer <- errors.Join(err, w.emptyLog())
			return
		}
		batch, next := w.take(j)
		w.commit(batch)
		for _, b := range batch {
			b.answer <- b.err
		}
		j = next
	}
}

// take adds what waits to j, without waiting. next is a job taken that does
// not belong to the batch.
func (w *writer) take(j *job) (batch []*job, next *job) {
	batch = []*job{j}
	for size := j.size; len(batch) < maxBatch && size < maxBatchBytes; {
		select {
		case j := <-w.queue:
			if j.truncate {
				return batch, j
			}
			batch = append(batch, j)
			size += j.size
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// commit sets the outcome of each job of the batch.
func (w *writer) commit(batch []*job) {
	err := w.transact(batch)
	if err == nil {
		return
	}
	if len(batch) > 1 && w.cut == nil {
		for i := range batch {
			w.commit(batch[i : i+1])
		}
		return
	}
	for _, j := range batch {
		j.err = explain(w.path, err)
	}
}

// transact runs the batch in one transaction. On error nothing of it is kept,
// unless the error is that of the commit itself: then the outcome is unknown.
func (w *writer) transact(batch []*job) error {
	t, err := w.begin()
	if err != nil {
		return err
	}
	for _, j := range batch {
		before := t.writes
		j.err = j.run(t)
		if j.err != nil && (!refused(j.err) || t.writes != before) {
			return w.rollback(j.err)
		}
	}
	if err := w.pass(beforeCommit); err != nil {
		return w.rollback(err)
	}
	w.dirty, w.mixed = w.dirty || t.writes > 0, w.mixed || t.writes > 0
	if err := t.control("COMMIT"); err != nil {
		return w.rollback(err)
	}
	if t.writes > 0 {
		w.syncs.Add(1)
	}
	return w.pass(afterCommit)
}

func refused(err error) bool {
	var e *proto.Error
	return errors.As(err, &e)
}

// pass lets a test cut the writer off.
func (w *writer) pass(p point) error {
	if w.hook == nil {
		return nil
	}
	if err := w.hook(p); err != nil {
		w.cut = err
	}
	return w.cut
}

func (w *writer) begin() (*tx, error) {
	if err := w.connect(); err != nil {
		return nil, err
	}
	w.conn.writes = 0
	if err := w.conn.control("BEGIN IMMEDIATE"); err != nil {
		w.drop()
		return nil, err
	}
	return w.conn, nil
}

// connect takes the connection, if it was dropped or not taken yet.
func (w *writer) connect() error {
	if w.cut != nil || w.conn != nil {
		return w.cut
	}
	conn, err := w.db.Conn(context.Background())
	if err == nil {
		w.conn = &tx{conn: conn, statements: map[string]*sql.Stmt{}}
	}
	return err
}

// rollback undoes the transaction and returns why. If even that fails the
// connection is closed, which undoes it too.
func (w *writer) rollback(why error) error {
	if err := w.conn.control("ROLLBACK"); err != nil {
		w.drop()
	}
	return why
}

func (w *writer) drop() {
	if w.conn != nil {
		w.conn.close()
		w.conn = nil
	}
}

// rewrite puts the pages of each table together in the order of its keys.
// Until then a commit's entry and the inbox items it delivered lie side by side,
// which joins an account to a conversation.
func (w *writer) rewrite() error {
	info, err := os.Stat(w.path)
	if err != nil || !w.mixed || info.Size() > rewritten || w.connect() != nil {
		return err
	}
	if err := w.conn.control("VACUUM"); err != nil {
		return explain(w.path, err)
	}
	w.dirty, w.mixed = true, false
	return nil
}

// emptyLog moves the write-ahead log into the database and truncates it, so
// that nothing deleted is left in it.
func (w *writer) emptyLog() error {
	if w.cut != nil {
		return w.cut
	}
	if !w.dirty {
		return nil
	}
	if err := w.connect(); err != nil {
		return explain(w.path, err)
	}
	var busy, log, moved int
	row := w.conn.conn.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := row.Scan(&busy, &log, &moved); err != nil {
		return explain(w.path, err)
	}
	w.dirty = busy != 0
	return nil
}
