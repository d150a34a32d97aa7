package sim

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
)

// memFiles is a store.Files in memory: the bytes of blobs outlive the server's
// process, and nothing else is tested by it.
type memFiles struct{ blobs map[proto.BlobID]*memBlob }

type memBlob struct {
	parts map[uint32][]byte
	whole []byte // once finished
}

func newMemFiles() *memFiles { return &memFiles{blobs: make(map[proto.BlobID]*memBlob)} }

func (f *memFiles) blob(id proto.BlobID) *memBlob {
	if f.blobs[id] == nil {
		f.blobs[id] = &memBlob{parts: make(map[uint32][]byte)}
	}
	return f.blobs[id]
}

// PutPart implements store.Files.
func (f *memFiles) PutPart(id proto.BlobID, _ uint64, n uint32, b []byte) error {
	if blob := f.blob(id); blob.whole == nil {
		blob.parts[n] = slices.Clone(b)
	}
	return nil
}

// Parts implements store.Files.
func (f *memFiles) Parts(id proto.BlobID, size uint64) ([]byte, error) {
	b := f.blobs[id]
	if b == nil {
		return nil, nil
	}
	bits := make([]byte, (size/proto.MaxBlobPart+8)/8)
	if b.whole != nil {
		return bytes.Repeat([]byte{0xff}, len(bits)), nil
	}
	for n := range b.parts {
		bits[n/8] |= 1 << (n % 8)
	}
	return bits, nil
}

// Finish implements store.Files.
func (f *memFiles) Finish(id proto.BlobID, size uint64, hash proto.Hash) error {
	b := f.blob(id)
	if b.whole != nil {
		return nil
	}
	var whole []byte
	for n := uint32(0); uint64(len(whole)) < size; n++ {
		if b.parts[n] == nil {
			return proto.Refuse(proto.BadHash)
		}
		whole = append(whole, b.parts[n]...)
	}
	if sha256.Sum256(whole) != hash {
		return proto.Refuse(proto.BadHash)
	}
	b.whole, b.parts = append([]byte{}, whole...), nil
	return nil
}

// ReadAt implements store.Files.
func (f *memFiles) ReadAt(id proto.BlobID, b []byte, offset uint64) (int, error) {
	blob := f.blobs[id]
	if blob == nil || blob.whole == nil {
		return 0, proto.Refuse(proto.NoBlob)
	}
	if offset >= uint64(len(blob.whole)) {
		return 0, nil
	}
	return copy(b, blob.whole[offset:]), nil
}

// Remove implements store.Files.
func (f *memFiles) Remove(id proto.BlobID) error {
	delete(f.blobs, id)
	return nil
}

// Sweep implements store.Files.
func (f *memFiles) Sweep(alive func(proto.BlobID) bool) error {
	for id := range f.blobs {
		if !alive(id) {
			delete(f.blobs, id)
		}
	}
	return nil
}
