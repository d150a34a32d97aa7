// Package blobdir keeps the bytes of blobs as files in one folder:
//
//	ab/abcd….part    an upload: its bytes at their places
//	ab/abcd….map     which parts of it are on the disk, one bit each
//	ab/abcd…         a finished blob, whose hash was compared
//
// A part's bytes are synced before its bit is written and synced, a finished
// blob is renamed after it was synced: a crash at any point loses only parts
// nobody was told are there.
package blobdir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Dir is a store.Files in a folder. It may be used concurrently.
type Dir struct {
	path string

	mu    sync.Mutex // guards locks
	locks map[proto.BlobID]*lock
}

var _ store.Files = (*Dir)(nil)

// lock is held by who changes one upload; n counts who wants it.
type lock struct {
	sync.Mutex
	n int
}

// Open makes the folder if it is not there.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("the folder of blobs: %w", err)
	}
	return &Dir{path: path, locks: map[proto.BlobID]*lock{}}, nil
}

func (d *Dir) lock(id proto.BlobID) (unlock func()) {
	d.mu.Lock()
	l := d.locks[id]
	if l == nil {
		l = &lock{}
		d.locks[id] = l
	}
	l.n++
	d.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		d.mu.Lock()
		defer d.mu.Unlock()
		if l.n--; l.n == 0 {
			delete(d.locks, id)
		}
	}
}

func (d *Dir) name(id proto.BlobID, suffix string) string {
	h := id.Hex()
	return filepath.Join(d.path, h[:2], h+suffix)
}

// full turns "no space left" into a refusal.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return proto.Refuse(proto.Full)
	}
	return err
}

// parts is the number of parts of a blob.
func parts(size uint64) uint64 { return (size + proto.MaxBlobPart - 1) / proto.MaxBlobPart }

// PutPart implements store.Files.
func (d *Dir) PutPart(id proto.BlobID, size uint64, n uint32, b []byte) error {
	if uint64(n) >= parts(size) || uint64(n)*proto.MaxBlobPart+uint64(len(b)) > size {
		return proto.Refuse(proto.Malformed)
	}
	defer d.lock(id)()
	if _, err := os.Stat(d.name(id, "")); err == nil {
		return nil // finished meanwhile
	}
	if err := d.folder(id); err != nil {
		return full(err)
	}
	if err := writeAt(d.name(id, ".part"), b, int64(n)*proto.MaxBlobPart); err != nil {
		return full(err)
	}
	return full(d.setBit(id, size, n))
}

// folder makes the blob's folder, durable.
func (d *Dir) folder(id proto.BlobID) error {
	folder := filepath.Dir(d.name(id, ""))
	if err := os.Mkdir(folder, 0o700); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	return syncFolder(d.path)
}

// writeAt writes b at offset of a file and syncs it, and its folder too if the
// file is new.
func writeAt(path string, b []byte, offset int64) error {
	_, statErr := os.Stat(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, offset)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil && statErr != nil {
		err = syncFolder(filepath.Dir(path))
	}
	return err
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (d *Dir) setBit(id proto.BlobID, size uint64, n uint32) error {
	bits, err := d.bitmap(id, size)
	if err != nil {
		return err
	}
	return writeAt(d.name(id, ".map"), []byte{bits[n/8] | 1<<(n%8)}, int64(n/8))
}

// bitmap reads the map, zeros where nothing was written.
func (d *Dir) bitmap(id proto.BlobID, size uint64) ([]byte, error) {
	bits := make([]byte, (parts(size)+7)/8)
	b, err := os.ReadFile(d.name(id, ".map"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	copy(bits, b)
	return bits, nil
}

// Parts implements store.Files.
func (d *Dir) Parts(id proto.BlobID, size uint64) ([]byte, error) {
	defer d.lock(id)()
	return d.bitmap(id, size)
}

// Finish implements store.Files.
func (d *Dir) Finish(id proto.BlobID, size uint64, hash proto.Hash) error {
	defer d.lock(id)()
	if info, err := os.Stat(d.name(id, "")); err != nil || uint64(info.Size()) != size {
		if err := d.complete(id, size, hash); err != nil {
			return err
		}
	}
	// Also when it was renamed before: perhaps by a process that died here.
	if err := remove(d.name(id, ".map")); err != nil {
		return err
	}
	return full(syncFolder(filepath.Dir(d.name(id, ""))))
}

// complete compares the hash of an upload and gives it its final name.
func (d *Dir) complete(id proto.BlobID, size uint64, hash proto.Hash) error {
	bits, err := d.bitmap(id, size)
	if err != nil {
		return err
	}
	for n := range parts(size) {
		if bits[n/8]>>(n%8)&1 == 0 {
			return proto.Refuse(proto.BadHash)
		}
	}
	if err := compare(d.name(id, ".part"), size, hash); err != nil {
		return err
	}
	// The file shall not tell the second it came.
	day := time.Now().UTC().Truncate(24 * time.Hour)
	if err := os.Chtimes(d.name(id, ".part"), day, day); err != nil {
		return err
	}
	return full(os.Rename(d.name(id, ".part"), d.name(id, "")))
}

func compare(path string, size uint64, hash proto.Hash) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return proto.Refuse(proto.BadHash)
	} else if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if uint64(n) != size || proto.Hash(h.Sum(nil)) != hash {
		return proto.Refuse(proto.BadHash)
	}
	return nil
}

// ReadAt implements store.Files.
func (d *Dir) ReadAt(id proto.BlobID, b []byte, offset uint64) (int, error) {
	f, err := os.Open(d.name(id, ""))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, proto.Refuse(proto.NoBlob)
	} else if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err := f.ReadAt(b, int64(offset))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Remove implements store.Files.
func (d *Dir) Remove(id proto.BlobID) error {
	defer d.lock(id)()
	for _, suffix := range []string{"", ".part", ".map"} {
		if err := remove(d.name(id, suffix)); err != nil {
			return err
		}
	}
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Sweep implements store.Files. Files that are no blob's are left alone.
func (d *Dir) Sweep(alive func(proto.BlobID) bool) error {
	folders, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, folder := range folders {
		files, err := os.ReadDir(filepath.Join(d.path, folder.Name()))
		if err != nil {
			continue // not a folder
		}
		for _, f := range files {
			id, ok := parseName(f.Name())
			if !ok || alive(id) {
				continue
			}
			if err := d.Remove(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func parseName(name string) (id proto.BlobID, ok bool) {
	base, _, _ := strings.Cut(name, ".")
	b, err := hex.DecodeString(base)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	return proto.BlobID(b), true
}
