// Package sqlite is a store.Store in one SQLite file: WAL, full
// synchronisation, secure deletion. Programs open a user's folder by
// OpenProfile, which also seals the values; Open is the bare file.
//
// SQLite alone would take some damage for an older or smaller but valid state,
// such as a flipped bit in the WAL. For a ratchet that would mean using a key
// twice, so the file carries a digest over all rows, and a small file beside it
// the number of the last commit; Open compares both.
package sqlite

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"codeberg.org/huis/huis/internal/client/store"
)

// schemaVersion is PRAGMA user_version of what this package reads and writes.
const schemaVersion = 1

const schema = `
CREATE TABLE record (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), base INTEGER NOT NULL, digest BLOB NOT NULL);
INSERT INTO meta VALUES (1, 0, zeroblob(32));
PRAGMA user_version = 1;`

// checkLimit is the file size up to which Open reads everything, in bytes: a
// few tenths of a second. Larger files are checked by Check.
const checkLimit = 64 << 20

// Store is an open file. Its methods may be called concurrently.
type Store struct {
	db    *sql.DB // one connection: calls queue up on it
	path  string
	dir   string // what damage is reported on
	mark  *os.File
	flock *fileLock

	mu    sync.Mutex // guards erase
	erase int        // commits since the WAL was last emptied
}

// Open opens the database at path, and makes it if create is set and there is
// none. fs.ErrNotExist is in the chain if there is none otherwise; a file that
// is not what was written gives a *store.DamagedError.
func Open(ctx context.Context, path string, create bool) (*Store, error) {
	s := &Store{path: path, dir: filepath.Dir(path)}
	if err := s.open(ctx, create); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, create bool) error {
	if err := s.touch(create); err != nil {
		return err
	}
	var err error
	if s.flock, err = newFileLock(s.path + ".lock"); err != nil {
		return err
	}
	if s.mark, err = os.OpenFile(s.path+".mark", os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	pragmas := url.Values{"_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)", "temp_store(MEMORY)",
	}}
	name := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(s.path), RawQuery: pragmas.Encode()}
	if s.db, err = sql.Open("sqlite", name.String()); err != nil {
		return err
	}
	s.db.SetMaxOpenConns(1)
	if err := s.prepare(ctx, create); err != nil {
		return s.explain(err)
	}
	return s.verify(ctx)
}

// touch makes the file readable by its owner only, before SQLite opens it.
func (s *Store) touch(create bool) error {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(s.path, flags, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// prepare makes the schema in an empty file, and refuses any other.
func (s *Store) prepare(ctx context.Context, create bool) error {
	return s.transact(ctx, "BEGIN IMMEDIATE", func(tx *sql.Conn) error {
		var version, tables int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
			return err
		}
		switch {
		case version == schemaVersion:
			return nil
		case version > schemaVersion:
			return fmt.Errorf("%s was written by a newer huis (format %d, this one knows %d)", s.path, version, schemaVersion)
		case tables > 0 || !create:
			return s.damaged("its database is empty or not of huis")
		}
		_, err := tx.ExecContext(ctx, schema)
		return err
	})
}

// transact runs f between begin and COMMIT, or ROLLBACK if f fails.
func (s *Store) transact(ctx context.Context, begin string, f func(*sql.Conn) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, begin); err != nil {
		return err
	}
	err = f(conn)
	if err == nil {
		_, err = conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		// The context may be the reason; the connection must be left clean.
		conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	}
	return err
}

// Base implements store.Store.
func (s *Store) Base(ctx context.Context) (uint64, error) {
	var base int64
	err := s.db.QueryRowContext(ctx, "SELECT base FROM meta").Scan(&base)
	return uint64(base), s.explain(err)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	value, err := get(ctx, s.db, key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, store.ErrNotFound
	}
	return value, s.explain(err)
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func get(ctx context.Context, q querier, key string) ([]byte, error) {
	var value []byte
	err := q.QueryRowContext(ctx, "SELECT value FROM record WHERE key = ?", []byte(key)).Scan(&value)
	return value, err
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix, after string, n int) ([]store.Record, error) {
	query, args := "SELECT key, value FROM record WHERE key >= ? AND key > ?", []any{[]byte(prefix), []byte(after)}
	if end := prefixEnd(prefix); end != nil {
		query, args = query+" AND key < ?", append(args, end)
	}
	query += " ORDER BY key"
	if n > 0 {
		query, args = query+" LIMIT ?", append(args, n)
	}
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain(err)
	}
	defer rows.Close()
	var records []store.Record
	for rows.Next() {
		var key, value []byte
		if err := rows.Scan(&key, &value); err != nil {
			return nil, s.explain(err)
		}
		records = append(records, store.Record{Key: string(key), Value: value})
	}
	return records, s.explain(rows.Err())
}

// prefixEnd returns the smallest key after all keys with the prefix, nil if
// there is none.
func prefixEnd(prefix string) []byte {
	end := []byte(prefix)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) == 0 {
		return nil
	}
	end[len(end)-1]++
	return end
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if err := store.ValidateBatch(b); err != nil {
		return 0, err
	}
	err := s.transact(ctx, "BEGIN IMMEDIATE", func(tx *sql.Conn) error { return apply(ctx, tx, b) })
	if err != nil {
		return 0, s.explain(err)
	}
	next := b.Base + 1
	s.writeMark(next)
	s.eraseOld(ctx)
	return next, nil
}

func apply(ctx context.Context, tx *sql.Conn, b store.Batch) error {
	var base int64
	var digest []byte
	if err := tx.QueryRowContext(ctx, "SELECT base, digest FROM meta").Scan(&base, &digest); err != nil {
		return err
	}
	if uint64(base) != b.Base {
		return store.ErrConflict
	}
	forget := func(key string) error {
		old, err := get(ctx, tx, key)
		if err == nil {
			xorRow(digest, []byte(key), old)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	}
	for _, r := range b.Put {
		if err := forget(r.Key); err != nil {
			return err
		}
		xorRow(digest, []byte(r.Key), r.Value)
		const put = "INSERT INTO record VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
		if _, err := tx.ExecContext(ctx, put, []byte(r.Key), append([]byte{}, r.Value...)); err != nil {
			return err
		}
	}
	for _, key := range b.Delete {
		if err := forget(key); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM record WHERE key = ?", []byte(key)); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "UPDATE meta SET base = ?, digest = ?", base+1, digest)
	return err
}

// xorRow adds a row to the digest or takes it away. It finds accidents; an
// attacker is kept out by the sealing of the values.
func xorRow(digest, key, value []byte) {
	h := sha256.New()
	binary.Write(h, binary.BigEndian, uint64(len(key)))
	h.Write(key)
	h.Write(value)
	if len(digest) == sha256.Size {
		subtle.XORBytes(digest, digest, h.Sum(nil))
	}
}

// eraseEvery is how many commits may pass until the WAL, which keeps replaced
// values, is emptied. Each time costs two more synchronisations.
const eraseEvery = 64

func (s *Store) eraseOld(ctx context.Context) {
	s.mu.Lock()
	s.erase++
	due := s.erase >= eraseEvery
	if due {
		s.erase = 0
	}
	s.mu.Unlock()
	if due {
		s.truncateWAL(ctx)
	}
}

// truncateWAL empties the WAL if no other process reads; else a later one does.
func (s *Store) truncateWAL(ctx context.Context) {
	var busy, log, moved int
	s.db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &moved)
}

// Lock implements store.Store by a lock on the file PATH.lock.
func (s *Store) Lock(ctx context.Context) (func(), error) { return s.flock.lock(ctx) }

// Close implements store.Store.
func (s *Store) Close() error {
	var errs []error
	if s.db != nil {
		s.truncateWAL(context.Background())
		errs = append(errs, s.db.Close())
	}
	if s.mark != nil {
		errs = append(errs, s.mark.Close())
	}
	if s.flock != nil {
		errs = append(errs, s.flock.file.Close())
	}
	return errors.Join(errs...)
}

func (s *Store) damaged(reason string) error {
	return &store.DamagedError{Where: s.dir, Reason: reason}
}

// explain turns SQLite's codes into the errors of package store.
func (s *Store) explain(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_ERROR:
		return s.damaged(e.Error())
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %s", store.ErrFull, s.dir)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return fmt.Errorf("%s: %w", s.path, fs.ErrPermission)
	}
	return fmt.Errorf("%s: %w", s.path, err)
}
