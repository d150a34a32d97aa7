package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"codeberg.org/huis/huis/internal/proto"
)

// Blob is what the server must be told before it takes a file.
type Blob struct {
	Size uint64     // bytes
	Hash proto.Hash // SHA-256 of all bytes
}

// Seal reads size bytes from src, writes the blob to dst and returns its Ref
// under the given blob id and key. src must end there: ErrChanged.
func Seal(dst io.Writer, src io.Reader, size int64, id proto.BlobID, key Key) (Ref, Blob, error) {
	if size < 0 || size > MaxFile {
		return Ref{}, Blob{}, ErrTooLarge
	}
	s := newSealer(key, uint64(size))
	ref := Ref{Blob: id, Size: uint64(size), Alg: ChaCha20Poly1305, Key: key}
	blobHash, plainHash := sha256.New(), sha256.New()
	dst = io.MultiWriter(dst, blobHash)
	var plainTree, cipherTree tree
	trailer := make([]byte, 0, s.n*sha256.Size)
	padded, stored := make([]byte, ChunkSize), make([]byte, 0, ChunkSize+overhead)
	for i := range s.n {
		n := s.content(i)
		if _, err := io.ReadFull(src, padded[:n]); err != nil {
			return Ref{}, Blob{}, shortRead(err)
		}
		clear(padded[n:])
		chunk := padded[:s.plain(i)]
		leaf := leafHash(chunk)
		if n > 0 {
			plainHash.Write(chunk[:n])
			plainTree.add(s.contentLeaf(i, chunk, leaf))
		}
		stored = s.seal(stored, i, chunk, leaf)
		leaf = leafHash(stored)
		cipherTree.add(leaf)
		trailer = append(trailer, leaf[:]...)
		if _, err := dst.Write(stored); err != nil {
			return Ref{}, Blob{}, err
		}
	}
	if _, err := dst.Write(trailer); err != nil {
		return Ref{}, Blob{}, err
	}
	if n, err := src.Read(padded[:1]); n > 0 || (err != nil && err != io.EOF) {
		return Ref{}, Blob{}, shortRead(err)
	}
	ref.PlainRoot, ref.CipherRoot = plainTree.root(), cipherTree.root()
	ref.SHA256 = proto.Hash(plainHash.Sum(nil))
	return ref, Blob{Size: BlobSize(ref.Size), Hash: proto.Hash(blobHash.Sum(nil))}, nil
}

// shortRead tells a file of another size from one that cannot be read.
func shortRead(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrChanged
	}
	return fmt.Errorf("files: %w", err)
}

// Measure is Seal into nothing: it reads src once and returns what the message
// and the server must know, with fresh identifiers.
func Measure(src io.Reader, size int64) (Ref, Blob, error) {
	return Seal(io.Discard, src, size, proto.New[proto.BlobID](), NewKey())
}

// Parts is the server's side of an upload.
type Parts interface {
	// Has tells whether the server holds part n already.
	Has(n uint32) bool
	// Put sends part n, of PartSize bytes but for the last. b is valid during
	// the call.
	Put(ctx context.Context, n uint32, b []byte) error
}

// Upload seals src again as ref says and puts the parts that are missing. It
// may be called again after any error, also with a new process. If the file is
// no longer the one that ref was made of, it returns ErrChanged; parts of the
// new content may be on the server then, and the blob must be given up. sent,
// if not nil, is told the bytes of the blob that are behind.
func Upload(ctx context.Context, src io.Reader, ref Ref, to Parts, sent func(int64)) error {
	if err := ref.Check(); err != nil {
		return err
	}
	w := &partWriter{ctx: ctx, to: to, sent: sent, buf: make([]byte, 0, PartSize)}
	again, _, err := Seal(w, src, int64(ref.Size), ref.Blob, ref.Key)
	if err != nil {
		return err
	}
	if again != ref {
		return ErrChanged
	}
	return w.flush()
}

// partWriter cuts what is written into parts.
type partWriter struct {
	ctx  context.Context
	to   Parts
	sent func(int64)
	buf  []byte
	n    uint32
	done int64
}

func (w *partWriter) Write(b []byte) (int, error) {
	written := 0
	for len(b) > 0 {
		n := min(len(b), PartSize-len(w.buf))
		w.buf, b = append(w.buf, b[:n]...), b[n:]
		written += n
		if len(w.buf) == PartSize {
			if err := w.flush(); err != nil {
				return written, err
			}
		}
	}
	return written, nil
}

func (w *partWriter) flush() error {
	if err := w.ctx.Err(); err != nil || len(w.buf) == 0 {
		return err
	}
	if !w.to.Has(w.n) {
		if err := w.to.Put(w.ctx, w.n, w.buf); err != nil {
			return err
		}
	}
	w.done += int64(len(w.buf))
	w.n, w.buf = w.n+1, w.buf[:0]
	if w.sent != nil {
		w.sent(w.done)
	}
	return nil
}
