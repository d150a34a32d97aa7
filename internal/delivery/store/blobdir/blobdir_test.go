package blobdir

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
)

func files(t *testing.T, d *Dir) (n int) {
	t.Helper()
	err := filepath.WalkDir(d.path, func(_ string, e fs.DirEntry, err error) error {
		if !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func open(t *testing.T) *Dir {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func bytesOf(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(3)).Read(b)
	return b
}

func part(b []byte, n int) []byte {
	return b[n*proto.MaxBlobPart : min(len(b), (n+1)*proto.MaxBlobPart)]
}

func TestPartsInAnyOrderMakeTheBlob(t *testing.T) {
	d, id, b := open(t), proto.New[proto.BlobID](), bytesOf(2*proto.MaxBlobPart+77)
	size, hash := uint64(len(b)), proto.Hash(sha256.Sum256(b))
	for i, n := range []int{2, 0, 0} {
		if err := d.PutPart(id, size, uint32(n), part(b, n)); err != nil {
			t.Fatal(err)
		}
		if err := d.Finish(id, size, hash); !errors.Is(err, proto.BadHash) {
			t.Fatalf("finished after %d parts: %v", i+1, err)
		}
	}
	again, err := Open(d.path) // after a restart
	if err != nil {
		t.Fatal(err)
	}
	if bits, err := again.Parts(id, size); err != nil || !bytes.Equal(bits, []byte{5}) {
		t.Fatalf("parts %08b, %v", bits, err)
	}
	if _, err := again.ReadAt(id, make([]byte, 1), 0); !errors.Is(err, proto.NoBlob) {
		t.Fatalf("an upload is read: %v", err)
	}
	if err := again.PutPart(id, size, 1, part(b, 1)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := again.Finish(id, size, hash); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(d.name(id, "")); err != nil || info.ModTime().Unix()%86400 != 0 {
		t.Errorf("the file tells the time of its coming: %v, %v", info.ModTime(), err)
	}
	got := make([]byte, len(b)+10)
	n, err := again.ReadAt(id, got, 0)
	if err != nil || !bytes.Equal(got[:n], b) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if n, err := again.ReadAt(id, got[:5], size-2); n != 2 || err != nil {
		t.Errorf("%d bytes at the end, %v", n, err)
	}
	if err := again.PutPart(id, size, 1, make([]byte, proto.MaxBlobPart)); err != nil {
		t.Error(err)
	}
	if n, _ := again.ReadAt(id, got, 0); !bytes.Equal(got[:n], b) {
		t.Error("a part came into a finished blob")
	}
}

func TestWrongBytesAreRefused(t *testing.T) {
	d, id := open(t), proto.New[proto.BlobID]()
	if err := d.PutPart(id, 4, 0, []byte("true")); err != nil {
		t.Fatal(err)
	}
	if err := d.Finish(id, 4, sha256.Sum256([]byte("fals"))); !errors.Is(err, proto.BadHash) {
		t.Errorf("got %v", err)
	}
	for _, c := range []struct {
		size uint64
		n    uint32
		b    int
	}{{4, 1, 1}, {4, 0, 5}, {0, 0, 0}, {proto.MaxBlobPart + 4, 1, 5}} {
		if err := d.PutPart(proto.BlobID{1}, c.size, c.n, make([]byte, c.b)); !errors.Is(err, proto.Malformed) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestRemoveAndSweepLeaveNothing(t *testing.T) {
	d := open(t)
	done, upload, alive := proto.New[proto.BlobID](), proto.New[proto.BlobID](), proto.New[proto.BlobID]()
	for _, id := range []proto.BlobID{done, upload, alive} {
		if err := d.PutPart(id, 1, 0, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Finish(done, 1, sha256.Sum256([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(d.path, "README")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Sweep(func(id proto.BlobID) bool { return id == alive }); err != nil {
		t.Fatal(err)
	}
	if n := files(t, d); n != 3 { // part and map of one, and the file of somebody else
		t.Errorf("%d files left", n)
	}
	for range 2 {
		if err := d.Remove(alive); err != nil {
			t.Fatal(err)
		}
	}
	if n := files(t, d); n != 1 {
		t.Errorf("%d files left", n)
	}
}

func TestMemoryDoesNotGrowWithTheBlob(t *testing.T) {
	d, id := open(t), proto.New[proto.BlobID]()
	b := bytesOf(proto.MaxBlobPart)
	const n = 48
	h := sha256.New()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		h.Write(b)
		if err := d.PutPart(id, n*proto.MaxBlobPart, uint32(i), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Finish(id, n*proto.MaxBlobPart, proto.Hash(h.Sum(nil))); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 2<<20 {
		t.Errorf("%d bytes allocated for a blob of %d", used, n*proto.MaxBlobPart)
	}
}

func TestFullDiskIsTold(t *testing.T) {
	if full(&fs.PathError{Err: os.ErrPermission}) == nil || errors.Is(full(&fs.PathError{Err: os.ErrPermission}), proto.Full) {
		t.Error("every error is a full disk")
	}
	d := open(t)
	id := proto.New[proto.BlobID]()
	if err := d.folder(id); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", d.name(id, ".part")); err != nil {
		t.Skip(err)
	}
	if err := d.PutPart(id, 4, 0, []byte("four")); !errors.Is(err, proto.Full) {
		t.Errorf("got %v", err)
	}
	if bits, err := d.Parts(id, 4); err != nil || bits[0] != 0 {
		t.Errorf("the part that did not fit is noted: %v, %v", bits, err)
	}
}
