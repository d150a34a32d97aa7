// Package files seals a file of up to 16 GiB into one blob and reads it back,
// streaming, in constant memory (the hashes of its chunks: at most 8 MiB).
//
// Sending: Seal once into nothing, which gives the Ref and what the server must
// know of the blob; then Upload, as often as it takes, which seals again and
// passes on the parts that are missing. Receiving: NewReader, then WriteTo for
// the whole or ReadAt for a piece; every chunk is verified before its bytes are
// given out.
//
// The blob (docs/protocol.md, Section 10):
//
//	chunk 0 ‖ chunk 1 ‖ … ‖ leaf hashes of the chunks as stored, 32 bytes each
//	chunk i = nonce[12] ‖ ChaCha20-Poly1305(seal key, nonce, label ‖ padded size ‖ i, 64 KiB of padded plaintext)
//	nonce   = first 12 bytes of HMAC-SHA-256(nonce key, i ‖ plaintext leaf hash)
//
// A nonce depends on what it seals: a file that changes while it is being sent
// never has two contents sealed under one nonce. The plaintext is padded with
// zeros to one of few sizes (Bucket).
package files

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"

	"codeberg.org/huis/huis/internal/client/cbor"
	"codeberg.org/huis/huis/internal/proto"
)

// Sizes in bytes.
const (
	MaxFile   = 16 << 30 // plaintext of one file
	ChunkSize = 64 << 10 // plaintext of one chunk
	PartSize  = proto.MaxBlobPart
	overhead  = nonceSize + tagSize // of one chunk
	nonceSize = 12
	tagSize   = 16
)

// Alg names how chunks are sealed.
type Alg uint8

// ChaCha20Poly1305 is the only algorithm of this version.
const ChaCha20Poly1305 Alg = 1

// Key is the random secret of one version of one file.
type Key [32]byte

// NewKey returns a random key.
func NewKey() Key {
	var k Key
	rand.Read(k[:])
	return k
}

func (Key) String() string             { return "[redacted]" }
func (Key) GoString() string           { return "[redacted]" }
func (Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }
func (k Key) derive(purpose string) []byte {
	b, err := hkdf.Key(sha256.New, k[:], nil, "huis/file/1 "+purpose, 32)
	if err != nil {
		panic("files: " + err.Error()) // only for lengths beyond 8 KiB
	}
	return b
}

// Ref names a sealed file and is all that is needed to open it. Whoever has it
// can read the file; it travels inside encrypted messages only.
type Ref struct {
	Blob       proto.BlobID `cbor:"1,keyasint"`
	Size       uint64       `cbor:"2,keyasint"` // of the plaintext, bytes
	Alg        Alg          `cbor:"3,keyasint"`
	Key        Key          `cbor:"4,keyasint"`
	PlainRoot  proto.Hash   `cbor:"5,keyasint"` // Merkle root over the plaintext's chunks, without padding
	CipherRoot proto.Hash   `cbor:"6,keyasint"` // Merkle root over the chunks as stored
	SHA256     proto.Hash   `cbor:"7,keyasint"` // of the plaintext
}

// CBOR codes the Ref.
func (r *Ref) CBOR(c *cbor.Coder) {
	cbor.Fixed(c, 1, r.Blob[:])
	cbor.Uint(c, 2, &r.Size, false)
	cbor.Uint(c, 3, &r.Alg, false)
	cbor.Fixed(c, 4, r.Key[:])
	cbor.Fixed(c, 5, r.PlainRoot[:])
	cbor.Fixed(c, 6, r.CipherRoot[:])
	cbor.Fixed(c, 7, r.SHA256[:])
}

// Check refuses a Ref this package cannot open.
func (r *Ref) Check() error {
	switch {
	case r.Alg != ChaCha20Poly1305:
		return fmt.Errorf("files: unknown algorithm %d", r.Alg)
	case r.Size > MaxFile:
		return ErrTooLarge
	case r.Blob == proto.BlobID{}:
		return errors.New("files: no blob named")
	}
	return nil
}

var (
	// ErrTooLarge: the file has more than MaxFile bytes.
	ErrTooLarge = errors.New("files: larger than 16 GiB")
	// ErrChanged: the file has not the size or content it had before.
	ErrChanged = errors.New("files: the file changed while it was read")
	// ErrDamaged is in the chain when what the server gave is not what was
	// sealed: altered, cut off, in another order or of another file.
	ErrDamaged = errors.New("files: the received file is not the one that was sent")
)

// smallBuckets are the padded sizes below 64 KiB.
var smallBuckets = [...]uint64{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10}

// Bucket returns the size to which n bytes are padded. Above 64 KiB it follows
// Padmé: the size keeps as many leading bits as its exponent has, which reveals
// O(log log n) bits and costs at most 12 %.
func Bucket(n uint64) uint64 {
	for _, b := range smallBuckets {
		if n <= b {
			return b
		}
	}
	exponent := bits.Len64(n) - 1
	low := exponent - bits.Len(uint(exponent))
	mask := uint64(1)<<low - 1
	return (n + mask) &^ mask
}

// chunks returns how many chunks hold n bytes.
func chunks(n uint64) uint64 { return (n + ChunkSize - 1) / ChunkSize }

// BlobSize returns the size of the blob of a file of n bytes.
func BlobSize(n uint64) uint64 {
	padded := Bucket(n)
	return padded + chunks(padded)*(overhead+sha256.Size)
}
