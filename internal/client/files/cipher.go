package files

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"codeberg.org/huis/huis/internal/proto"
)

// layout says where things stand in the blob of a file. All in bytes.
type layout struct {
	size   uint64 // of the plaintext
	padded uint64
	n      uint64 // chunks
}

func layoutOf(size uint64) layout {
	padded := Bucket(size)
	return layout{size: size, padded: padded, n: chunks(padded)}
}

// plain returns how many bytes of padded plaintext chunk i has.
func (l layout) plain(i uint64) int {
	return int(min(ChunkSize, l.padded-i*ChunkSize))
}

// contentLeaf returns the leaf hash of what chunk i has of the file, given that
// of its padded plaintext.
func (l layout) contentLeaf(i uint64, padded []byte, leaf proto.Hash) proto.Hash {
	if n := l.content(i); n < len(padded) {
		return leafHash(padded[:n])
	}
	return leaf
}

// content returns how many of them are of the file.
func (l layout) content(i uint64) int {
	start := i * ChunkSize
	if start >= l.size {
		return 0
	}
	return int(min(ChunkSize, l.size-start))
}

// at returns where chunk i is stored, and how long.
func (l layout) at(i uint64) (offset uint64, length int) {
	return i * (ChunkSize + overhead), l.plain(i) + overhead
}

// trailer returns where the leaf hashes stand.
func (l layout) trailer() uint64 { return l.padded + l.n*overhead }

// sealer seals and opens the chunks of one file.
type sealer struct {
	layout
	aead     cipher.AEAD
	nonceKey []byte
}

func newSealer(key Key, size uint64) *sealer {
	aead, err := chacha20poly1305.New(key.derive("seal"))
	if err != nil {
		panic("files: " + err.Error()) // only for a key of another length
	}
	return &sealer{layout: layoutOf(size), aead: aead, nonceKey: key.derive("nonce")}
}

// aad binds a chunk to its place in a file of this padded size.
func (s *sealer) aad(i uint64) []byte {
	b := []byte("huis/file-chunk/1")
	b = binary.BigEndian.AppendUint64(b, s.padded)
	return binary.BigEndian.AppendUint64(b, i)
}

func (s *sealer) nonce(i uint64, plain proto.Hash) []byte {
	mac := hmac.New(sha256.New, s.nonceKey)
	mac.Write(binary.BigEndian.AppendUint64(nil, i))
	mac.Write(plain[:])
	return mac.Sum(nil)[:nonceSize]
}

// seal appends chunk i, given its padded plaintext and that one's leaf hash, to
// dst[:0].
func (s *sealer) seal(dst []byte, i uint64, padded []byte, leaf proto.Hash) []byte {
	nonce := s.nonce(i, leaf)
	stored := s.aead.Seal(append(dst[:0], nonce...), nonce, padded, s.aad(i))
	if sealed != nil {
		sealed(s.nonceKey, nonce, stored)
	}
	return stored
}

// sealed, where a test has set it, sees every chunk sealed: a key that stands
// for the file's, the nonce and the result. Sealing a file again repeats all
// three; a nonce with two results would be a fault. Tests of other packages
// reach it by linkname.
var sealed func(key, nonce, stored []byte)

// open returns the padded plaintext of chunk i, appended to dst[:0], and its
// leaf hash.
func (s *sealer) open(dst []byte, i uint64, stored []byte) ([]byte, proto.Hash, error) {
	if len(stored) != s.plain(i)+overhead {
		return nil, proto.Hash{}, damaged("chunk %d has %d bytes", i, len(stored))
	}
	nonce := stored[:nonceSize]
	padded, err := s.aead.Open(dst[:0], nonce, stored[nonceSize:], s.aad(i))
	if err != nil {
		return nil, proto.Hash{}, damaged("chunk %d does not open", i)
	}
	leaf := leafHash(padded)
	if !hmac.Equal(nonce, s.nonce(i, leaf)) {
		return nil, leaf, damaged("chunk %d has a nonce of its own", i)
	}
	if len(bytes.Trim(padded[s.content(i):], "\x00")) > 0 {
		return nil, leaf, damaged("chunk %d has something in its padding", i)
	}
	return padded, leaf, nil
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}
