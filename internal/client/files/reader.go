package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"codeberg.org/huis/huis/internal/proto"
)

// Source gives pieces of a blob: at least one byte of it from offset on, at
// most length. The caller repeats what failed for a while by itself.
type Source func(ctx context.Context, offset uint64, length int) ([]byte, error)

// Reader opens one sealed file. It is not safe for concurrent use.
type Reader struct {
	s     *sealer
	ref   Ref
	from  Source
	piece []byte       // bytes of the blob from pos on, not yet used
	pos   uint64       // where piece begins
	leafs []proto.Hash // verified hashes of the stored chunks, nil until needed
	plain []byte       // the last chunk opened, with its padding
	which uint64       // its number, if plain is not empty
}

// NewReader returns a Reader of the file that ref names.
func NewReader(ref Ref, from Source) (*Reader, error) {
	if err := ref.Check(); err != nil {
		return nil, err
	}
	return &Reader{s: newSealer(ref.Key, ref.Size), ref: ref, from: from}, nil
}

// WriteTo writes the whole file to w and tells written, if not nil, how many
// bytes are behind. Each chunk is opened before it is written; that they are
// all of this file, and nothing else, is known when WriteTo returns without
// error. After an error what w got is to be thrown away, or continued by
// Continue.
func (r *Reader) WriteTo(ctx context.Context, w io.Writer, written func(int64)) error {
	var plainTree, cipherTree tree
	plainHash := sha256.New()
	for i := range r.s.n {
		stored, err := r.stored(ctx, i)
		if err != nil {
			return err
		}
		cipherTree.add(leafHash(stored))
		padded, leaf, err := r.s.open(r.plain, i, stored)
		if err != nil {
			return err
		}
		r.plain = padded
		content := r.plain[:r.s.content(i)]
		if len(content) > 0 {
			plainTree.add(r.s.contentLeaf(i, padded, leaf))
			plainHash.Write(content)
		}
		r.which = i
		if err := write(w, content, written, int64(i*ChunkSize)+int64(len(content))); err != nil {
			return err
		}
	}
	sum := proto.Hash(plainHash.Sum(nil))
	if cipherTree.root() != r.ref.CipherRoot || plainTree.root() != r.ref.PlainRoot || sum != r.ref.SHA256 {
		return damaged("its hashes are not those announced")
	}
	return nil
}

// Continue writes the file from byte offset on, a multiple of ChunkSize, each
// chunk verified against the file's root before it is written. What was written
// before offset is the caller's to check, by Ref.SHA256.
func (r *Reader) Continue(ctx context.Context, w io.Writer, offset int64, written func(int64)) error {
	if offset < 0 || offset%ChunkSize != 0 {
		return errors.New("files: a download continues at a multiple of 64 KiB")
	}
	for i := uint64(offset) / ChunkSize; i < chunks(r.ref.Size); i++ {
		if err := r.load(ctx, i); err != nil {
			return err
		}
		content := r.plain[:r.s.content(i)]
		if err := write(w, content, written, int64(i*ChunkSize)+int64(len(content))); err != nil {
			return err
		}
	}
	return nil
}

func write(w io.Writer, b []byte, written func(int64), total int64) error {
	if _, err := w.Write(b); err != nil {
		return err
	}
	if written != nil && len(b) > 0 {
		written(total)
	}
	return nil
}

// ReadAt reads len(b) bytes from offset on, fewer with io.EOF at the end. Each
// chunk is verified against the file's root.
func (r *Reader) ReadAt(ctx context.Context, b []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errors.New("files: negative offset")
	}
	n := 0
	for n < len(b) && uint64(offset) < r.ref.Size {
		i := uint64(offset) / ChunkSize
		if err := r.load(ctx, i); err != nil {
			return n, err
		}
		k := copy(b[n:], r.plain[uint64(offset)-i*ChunkSize:r.s.content(i)])
		n, offset = n+k, offset+int64(k)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// load makes plain hold chunk i, verified by itself.
func (r *Reader) load(ctx context.Context, i uint64) error {
	if len(r.plain) > 0 && r.which == i && r.leafs != nil {
		return nil
	}
	if err := r.loadLeafs(ctx); err != nil {
		return err
	}
	stored, err := r.stored(ctx, i)
	if err != nil {
		return err
	}
	if leafHash(stored) != r.leafs[i] {
		return damaged("chunk %d is not of this file", i)
	}
	if r.plain, _, err = r.s.open(r.plain, i, stored); err != nil {
		r.plain = r.plain[:0]
		return err
	}
	r.which = i
	return nil
}

// loadLeafs reads the trailer and checks that it makes the file's root.
func (r *Reader) loadLeafs(ctx context.Context) error {
	if r.leafs != nil {
		return nil
	}
	leafs, t := make([]proto.Hash, r.s.n), tree{}
	for i := range leafs {
		b, err := r.take(ctx, r.s.trailer()+uint64(i)*sha256.Size, sha256.Size)
		if err != nil {
			return err
		}
		copy(leafs[i][:], b)
		t.add(leafs[i])
	}
	if t.root() != r.ref.CipherRoot {
		return damaged("its hashes are not those announced")
	}
	r.leafs = leafs
	return nil
}

// stored returns chunk i as the server gives it; valid until the next call.
func (r *Reader) stored(ctx context.Context, i uint64) ([]byte, error) {
	offset, length := r.s.at(i)
	return r.take(ctx, offset, length)
}

// take returns length bytes of the blob from offset on, valid until the next
// call. It fetches whole parts.
func (r *Reader) take(ctx context.Context, offset uint64, length int) ([]byte, error) {
	end := r.s.trailer() + r.s.n*sha256.Size
	if offset < r.pos || offset > r.pos+uint64(len(r.piece)) {
		r.piece, r.pos = r.piece[:0], offset
	}
	r.piece = r.piece[offset-r.pos:]
	r.pos = offset
	for len(r.piece) < length {
		from := r.pos + uint64(len(r.piece))
		want := int(min(PartSize, end-from))
		b, err := r.from(ctx, from, want)
		if err != nil {
			return nil, fmt.Errorf("files: download: %w", err)
		}
		if len(b) == 0 || len(b) > want {
			return nil, damaged("%d bytes came where %d were asked", len(b), want)
		}
		r.piece = append(r.piece[:len(r.piece):len(r.piece)], b...)
	}
	return r.piece[:length], nil
}
