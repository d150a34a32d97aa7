// Package sqlite keeps the server's store in one SQLite file: write-ahead log
// with full sync, deleted rows overwritten, one writer that commits what waits
// together. Begin with [Open].
//
// The SQL keeps to what PostgreSQL also runs, with $1 for arguments.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

//go:embed migrations/*.sql
var migrations embed.FS

// checkedAtOpen is the size of a database, in bytes, up to which Open reads all
// of it for damage; a larger one would keep the server from starting in time.
const checkedAtOpen = 512 << 20

// Store is a store.Store in one file.
type Store struct {
	path   string
	reader *sql.DB
	writer *writer
}

var _ store.Store = (*Store)(nil)

// Open opens the database, makes it if it is not there and brings its schema up
// to date. A damaged one is store.ErrDamaged.
func Open(ctx context.Context, path string) (*Store, error) { return open(ctx, path, nil) }

func open(ctx context.Context, path string, hook func(point) error) (*Store, error) {
	size, err := prepare(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(path, false))
	if err != nil {
		return nil, explain(path, err)
	}
	db.SetMaxOpenConns(1)
	if size > 0 && size <= checkedAtOpen {
		err = check(ctx, db, path, "PRAGMA quick_check(1)")
	}
	if err == nil {
		err = explain(path, migrate(ctx, db))
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return start(path, db, hook)
}

func start(path string, db *sql.DB, hook func(point) error) (*Store, error) {
	reader, err := sql.Open("sqlite", dsn(path, true))
	if err != nil {
		db.Close()
		return nil, explain(path, err)
	}
	reader.SetMaxOpenConns(4)
	reader.SetMaxIdleConns(4)
	return &Store{path: path, reader: reader, writer: newWriter(path, db, hook)}, nil
}

// prepare makes an empty file only its owner can read, unless there is one.
func prepare(path string) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return 0, fmt.Errorf("the database: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("the database: %w", err)
	}
	return info.Size(), syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func dsn(path string, readOnly bool) string {
	q := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)", "temp_store(MEMORY)"}}
	if readOnly {
		q["_pragma"] = []string{"busy_timeout(10000)", "query_only(ON)", "temp_store(MEMORY)", "cache_size(-4096)"}
	} else {
		q["_pragma"] = append(q["_pragma"], "cache_size(-16384)")
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return err
	}
	there, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; there > newest {
		return fmt.Errorf("the database was made by a later version of huis (schema %d, this one knows %d): use that version", there, newest)
	}
	_, err = p.Up(ctx)
	return err
}

// check runs one of SQLite's checks, which answer with one row "ok".
func check(ctx context.Context, db *sql.DB, path, pragma string) error {
	var answer string
	if err := db.QueryRowContext(ctx, pragma).Scan(&answer); err != nil {
		return explain(path, err)
	}
	if answer != "ok" {
		return damaged(path, errors.New(answer))
	}
	return nil
}

// damaged says what to do about a damaged database.
func damaged(path string, cause error) error {
	return fmt.Errorf("%w: %s: %v; stop the server, keep a copy of the data folder, check the disk, then restore the newest backup", store.ErrDamaged, filepath.Base(path), cause)
}

// Result codes of SQLite (sqlite3.h); the extended ones have these low bytes.
const (
	codeIOError = 10
	codeCorrupt = 11
	codeFull    = 13
	codeNotADB  = 26
)

// explain turns the driver's errors into what callers can act on. Refusals and
// nil stay as they are.
func explain(path string, err error) error {
	if err == errSum {
		return damaged(path, errors.New("a record does not have its sum"))
	}
	var e *driver.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case codeFull:
		return proto.Refuse(proto.Full)
	case codeCorrupt, codeNotADB:
		return damaged(path, errors.New("SQLite result "+strconv.Itoa(e.Code())))
	}
	return err
}

// Truncate empties the write-ahead log.
func (s *Store) Truncate(ctx context.Context) error { return s.writer.truncate(ctx) }

// Syncs counts the commits that were synced to the disk since Open.
func (s *Store) Syncs() int64 { return s.writer.syncs.Load() }

// Check reads the whole database.
func (s *Store) Check(ctx context.Context) error {
	return check(ctx, s.reader, s.path, "PRAGMA integrity_check(1)")
}

// Close waits for what is being written, empties the write-ahead log and closes.
func (s *Store) Close() error {
	err := s.reader.Close()
	return errors.Join(err, s.writer.close())
}
