package backup

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/kt"
)

// Restored is what came out of a backup.
type Restored struct {
	Data        string  `json:"data,omitempty"`
	Made        string  `json:"made"`    // when the backup was, RFC 3339
	Version     string  `json:"version"` // of the program that made it
	Blobs       int     `json:"blobs"`
	OperatorKey bool    `json:"operator_key"`
	Seconds     float64 `json:"seconds"`
}

// unpackPrefix names the folder in which things lie until all of them are there.
const unpackPrefix = ".restore-"

// Restore puts a backup into data, which is empty or not there, and marks it as
// restored: the server's next start begins a new generation and first takes back
// from the clients what the backup does not have, for at most hold after the
// first of them. It leaves nothing behind if it fails.
func Restore(ctx context.Context, from, data string, s Secret, hold time.Duration) (r Restored, err error) {
	began := time.Now()
	if err := emptyFolder(data); err != nil {
		return r, err
	}
	temp, err := os.MkdirTemp(data, unpackPrefix)
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(temp)
	if err := unpack(ctx, from, temp, s, &r); err != nil {
		return r, err
	}
	if err := mark(ctx, temp, hold); err != nil {
		return r, err
	}
	r.Data, r.Seconds = data, time.Since(began).Seconds()
	return r, moveAll(temp, data)
}

func emptyFolder(data string) error {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return hinted("choose a folder this user may write to: --data DIR", "the data folder cannot be made: %w", err)
	}
	held, err := os.ReadDir(data)
	if err != nil {
		return err
	}
	if len(held) > 0 {
		return hinted("move what is there away and keep it, or choose another folder: --data DIR", "%s is not empty", data)
	}
	return os.Chmod(data, 0o700)
}

// mark says in the database that it was put back from a backup.
func mark(ctx context.Context, data string, hold time.Duration) error {
	db, err := sqlite.Open(ctx, filepath.Join(data, databaseFile))
	if err != nil {
		return err
	}
	return errors.Join(db.PutSetting(ctx, store.SettingRestored, store.Restored{Hold: hold}.Encode()), db.Close())
}

// Finish ends the wait of a restored server for further devices, also while it
// runs.
func Finish(ctx context.Context, data string) error {
	path := filepath.Join(data, databaseFile)
	if _, err := os.Stat(path); err != nil {
		return hinted("name the folder a server keeps: --data DIR", "there is no server's data in %s", data)
	}
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	b, err := db.Setting(ctx, store.SettingRestored)
	r, waiting := store.ParseRestored(b)
	switch {
	case err != nil:
	case !waiting:
		err = hinted("nothing is to be done", "this server waits for nobody")
	default:
		r.Ended = true
		err = db.PutSetting(ctx, store.SettingRestored, r.Encode())
	}
	return errors.Join(err, db.Close())
}

// NewLog begins another log in place of that of a stopped server, and ends the
// wait of a restored one: the end of its log is lost. The new one has all that
// this server still knows of everybody's devices; clients take it over only when
// their people say so. It returns the log's name.
func NewLog(ctx context.Context, data string) (name string, err error) {
	path := filepath.Join(data, databaseFile)
	if _, err := os.Stat(path); err != nil {
		return "", hinted("name the folder a server keeps: --data DIR", "there is no server's data in %s", data)
	}
	// The static files follow from the database; those of the old log would
	// stand beside the new one's.
	if err := os.RemoveAll(filepath.Join(data, logFolder)); err != nil {
		return "", err
	}
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	name = newLogName()
	if err := db.BeginLog(ctx, name, uint8(kt.KindPolicy)); err != nil {
		return "", err
	}
	b, err := db.Setting(ctx, store.SettingRestored)
	if r, waiting := store.ParseRestored(b); err == nil && waiting {
		r.Ended = true
		err = db.PutSetting(ctx, store.SettingRestored, r.Encode())
	}
	return name, err
}

// newLogName draws a name that no log of this server had: an older backup may be
// put back, and begin another one.
func newLogName() string {
	var b [4]byte
	rand.Read(b[:])
	return "log-" + hex.EncodeToString(b[:])
}

// moveAll moves everything from temp into data, the database last: without it a
// server takes the folder for a broken one, not for a new one.
func moveAll(temp, data string) error {
	held, err := os.ReadDir(temp)
	if err != nil {
		return err
	}
	for _, e := range held {
		if e.Name() != databaseFile {
			err = errors.Join(err, os.Rename(filepath.Join(temp, e.Name()), filepath.Join(data, e.Name())))
		}
	}
	if err == nil {
		err = os.Rename(filepath.Join(temp, databaseFile), filepath.Join(data, databaseFile))
	}
	return errors.Join(err, syncDir(data))
}

// unpack writes a backup's items below dir, each synced. It is an error if the
// database is not among them.
func unpack(ctx context.Context, from, dir string, s Secret, r *Restored) error {
	f, err := os.Open(from)
	if err != nil {
		return hinted("name the file that huis backup wrote", "the backup cannot be read: %w", err)
	}
	defer f.Close()
	o, err := open(f, s)
	if err != nil {
		return explain(err)
	}
	t := tar.NewReader(&interruptible{ctx, o})
	database := false
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return explain(err)
		}
		if h.Typeflag != tar.TypeReg || !names.MatchString(h.Name) {
			return explain(ErrDamaged)
		}
		if err := extract(t, h.Name, dir, r); err != nil {
			return explain(err)
		}
		database = database || h.Name == databaseFile
	}
	// What is behind the archive's end belongs to the sealed file as well.
	if _, err := io.Copy(io.Discard, o); err != nil {
		return explain(err)
	}
	if !database {
		return explain(ErrDamaged)
	}
	return nil
}

func extract(t io.Reader, name, dir string, r *Restored) error {
	if name == manifestFile {
		var m manifest
		if err := json.NewDecoder(io.LimitReader(t, maxSmall)).Decode(&m); err != nil || m.Format != 1 {
			return hinted("use the version of huis that made it, or a later one", "the backup was made by a version of huis this one does not know")
		}
		r.Made, r.Version = m.Time, m.Version
		return nil
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, t)
	if name == operatorFile {
		r.OperatorKey = true
	}
	if filepath.Dir(filepath.Dir(name)) == blobsFolder {
		r.Blobs++
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// explain gives the errors of reading a backup their way out.
func explain(err error) error {
	var known *Error
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, ErrNotBackup):
		return hinted("name the file that huis backup wrote", "%w", err)
	case errors.Is(err, ErrSecret):
		return hinted("give what it was made with: --key FILE, or --passphrase-file FILE", "%w", err)
	case errors.Is(err, ErrSecretKind):
		return hinted("a backup made with --key needs that file, one made with a passphrase needs that", "%w", err)
	case errors.Is(err, ErrDamaged), errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF):
		return hinted("nothing of it was used; take another copy of it, or an older backup", "%w", ErrDamaged)
	}
	return err
}
