// Package backup writes a server's backup, puts one back and drills it. Start
// with Make, Restore and Drill.
//
// A backup has the database as one consistent state, the blobs that state names,
// and the server's own keys; it can be made while the server runs. The log's
// static files are not in it, being made from the database, nor is the state of
// a witness: put back, a witness would forget what it signed.
package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
)

// The names in a data folder (internal/cli/serve has the whole list), and the
// first item of a backup, which is in none.
const (
	databaseFile = "huis.db"
	blobsFolder  = "blobs"
	operatorFile = "operator.key"
	manifestFile = "manifest.json"
	logFolder    = "log"
	tempPrefix   = ".backup-"
)

// small are the files and folders that are taken as they are.
var small = []string{operatorFile, "address.json", "web.json", "first-invitation", "tls", "acme"}

// left are those that are in no backup: made anew, or nobody else's memory.
var left = []string{logFolder, "witness", "lock", databaseFile + "-wal", databaseFile + "-shm"}

// maxSmall bounds one of them, in bytes.
const maxSmall = 1 << 20

// Error is what went wrong, with the way out.
type Error struct {
	err  error
	hint string
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Hint says what to do.
func (e *Error) Hint() string { return e.hint }

func hinted(hint, format string, args ...any) error {
	return &Error{fmt.Errorf(format, args...), hint}
}

// manifest is the first item of a backup.
type manifest struct {
	Format  int    `json:"format"`
	Version string `json:"version"` // of the program
	Time    string `json:"time"`    // RFC 3339, UTC
}

// Config says what to back up.
type Config struct {
	Data    string // the data folder
	To      string // the file to write; replaced whole if it is there
	Secret  Secret
	Version string
	Now     func() time.Time
}

// Made is what a backup has.
type Made struct {
	File        string  `json:"file"`
	Bytes       int64   `json:"bytes"`
	Blobs       int     `json:"blobs"`
	OperatorKey bool    `json:"operator_key"` // it is in the backup; else it is kept elsewhere
	Seconds     float64 `json:"seconds"`
}

// Make writes a backup, durable on return, or nothing. The server may run.
func Make(ctx context.Context, c Config) (m Made, err error) {
	began := time.Now()
	if _, err := os.Stat(filepath.Join(c.Data, databaseFile)); err != nil {
		return m, hinted("name the folder a server keeps: --data DIR", "there is no server's data in %s", c.Data)
	}
	sweep(c.Data, c.Now())
	sweep(filepath.Dir(c.To), c.Now())
	temp, err := os.MkdirTemp(filepath.Dir(c.To), tempPrefix)
	if err != nil {
		return m, hinted("choose a file in a folder this user may write to: --to FILE", "the backup cannot be written: %w", err)
	}
	defer os.RemoveAll(temp)
	path := filepath.Join(temp, "new")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return m, err
	}
	err = write(ctx, f, c, &m)
	err = errors.Join(err, f.Sync())
	if info, serr := f.Stat(); serr == nil {
		m.Bytes = info.Size()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return m, err
	}
	if err := os.Rename(path, c.To); err != nil {
		return m, err
	}
	m.File, m.Seconds = c.To, time.Since(began).Seconds()
	return m, syncDir(filepath.Dir(c.To))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// write seals everything into w.
func write(ctx context.Context, w io.Writer, c Config, m *Made) error {
	s, err := seal(w, c.Secret)
	if err != nil {
		return err
	}
	t := tar.NewWriter(s)
	now := c.Now().UTC()
	about, err := json.Marshal(manifest{Format: 1, Version: c.Version, Time: now.Format(time.RFC3339)})
	if err != nil {
		return err
	}
	if err := item(t, manifestFile, about); err != nil {
		return err
	}
	for _, name := range small {
		if err := tree(t, c.Data, name, m); err != nil {
			return err
		}
	}
	if err := content(ctx, t, c.Data, m); err != nil {
		return err
	}
	return errors.Join(t.Close(), s.Close())
}

// tree adds a small file, or all in a folder.
func tree(t *tar.Writer, data, name string, m *Made) error {
	err := filepath.WalkDir(filepath.Join(data, name), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		b, err := readSmall(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(data, path)
		if err != nil {
			return err
		}
		m.OperatorKey = m.OperatorKey || rel == operatorFile
		return item(t, filepath.ToSlash(rel), b)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err == nil && len(b) > maxSmall {
		err = fmt.Errorf("%s is larger than any file of that kind", filepath.Base(path))
	}
	return b, err
}

func item(t *tar.Writer, name string, b []byte) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b)), Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := t.Write(b)
	return err
}

// content adds the blobs of one state of the database, and then that state. A
// blob that the clean-up removed meanwhile is taken out of it. The copy lies in
// the data folder while it is needed, which is where such data may lie.
func content(ctx context.Context, t *tar.Writer, data string, m *Made) error {
	temp, err := os.MkdirTemp(data, tempPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	path := filepath.Join(temp, databaseFile)
	if err := sqlite.Snapshot(ctx, filepath.Join(data, databaseFile), path); err != nil {
		return err
	}
	if err := blobs(ctx, t, data, path, m); err != nil {
		return err
	}
	there, err := file(ctx, t, databaseFile, path)
	if err == nil && !there {
		err = errors.New("the copy of the database has disappeared")
	}
	return err
}

// sweep removes what backups that were killed left, after a day.
func sweep(dir string, now time.Time) {
	held, _ := os.ReadDir(dir)
	for _, e := range held {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), tempPrefix) && now.Sub(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

func blobs(ctx context.Context, t *tar.Writer, data, database string, m *Made) (err error) {
	db, err := sqlite.Open(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var gone []store.Blob
	err = db.EachBlob(ctx, func(b store.Blob) error {
		h := b.ID.Hex()
		there, err := file(ctx, t, blobsFolder+"/"+h[:2]+"/"+h, filepath.Join(data, blobsFolder, h[:2], h))
		if err == nil && there {
			m.Blobs++
		} else if err == nil {
			gone = append(gone, b)
		}
		return err
	})
	for _, b := range gone {
		if err == nil {
			err = db.ForgetBlob(ctx, b.ID)
		}
	}
	return err
}

// file adds a file of any size, if it is there.
func file(ctx context.Context, t *tar.Writer, name, path string) (there bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), Format: tar.FormatPAX}); err != nil {
		return false, err
	}
	_, err = io.Copy(t, &interruptible{ctx, f})
	return true, err
}

// interruptible ends reading when its context does.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(b []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(b)
}

// names are the items a backup may have: nothing else is ever written.
var names = regexp.MustCompile(`^(manifest\.json|huis\.db|operator\.key|address\.json|web\.json|first-invitation|tls/(key|cert)\.pem|blobs/[0-9a-f]{2}/[0-9a-f]{64}|acme(/[A-Za-z0-9@_+-][A-Za-z0-9@._+-]*)+)$`)
