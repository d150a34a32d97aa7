package store

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/crypto/chacha20poly1305"

	"codeberg.org/huis/huis/internal/proto"
)

// OperatorKey seals the few fields that would tell a thief of the database
// something by themselves: handles and the server's own private keys. It lives
// outside the database.
type OperatorKey [32]byte

// NewOperatorKey draws a key.
func NewOperatorKey() (k OperatorKey) {
	rand.Read(k[:])
	return k
}

const redacted = "[redacted]"

func (OperatorKey) String() string             { return redacted }
func (OperatorKey) GoString() string           { return redacted }
func (OperatorKey) LogValue() slog.Value       { return slog.StringValue(redacted) }
func (OperatorKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }
func (k OperatorKey) derive(label string) []byte {
	d, err := hkdf.Key(sha256.New, k[:], nil, "huis/operator/1 "+label, 32)
	if err != nil {
		panic(err) // 32 bytes are always to be had
	}
	return d
}

func (k OperatorKey) aead(purpose string) cipher.AEAD {
	a, err := chacha20poly1305.NewX(k.derive("seal " + purpose))
	if err != nil {
		panic(err) // the key is 32 bytes long
	}
	return a
}

// Seal encrypts for one purpose; id, the row's key, is authenticated with it.
func (k OperatorKey) Seal(purpose string, id, plaintext []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	return k.aead(purpose).Seal(nonce, nonce, plaintext, id)
}

// ErrOperatorKey means the key is not the one the field was sealed with, or
// the field was changed.
var ErrOperatorKey = errors.New("not sealed with this operator key")

// Open is the inverse of Seal, or ErrOperatorKey.
func (k OperatorKey) Open(purpose string, id, sealed []byte) ([]byte, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, ErrOperatorKey
	}
	nonce, box := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	b, err := k.aead(purpose).Open(nil, nonce, box, id)
	if err != nil {
		return nil, ErrOperatorKey
	}
	return b, nil
}

// Seed derives the seed of one of the server's own long-lived keys.
func (k OperatorKey) Seed(purpose string) [32]byte { return [32]byte(k.derive("seed " + purpose)) }

// Lookup is the keyed hash by which a sealed value is found.
func (k OperatorKey) Lookup(purpose, value string) (h proto.Hash) {
	m := hmac.New(sha256.New, k.derive("lookup "+purpose))
	m.Write([]byte(value))
	m.Sum(h[:0])
	return h
}
