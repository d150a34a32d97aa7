package store

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// DeviceKey seals the records of one profile. It never leaves the device.
type DeviceKey [chacha20poly1305.KeySize]byte

// NewDeviceKey returns a random key.
func NewDeviceKey() DeviceKey {
	var k DeviceKey
	rand.Read(k[:])
	return k
}

func (DeviceKey) String() string   { return "[redacted]" }
func (DeviceKey) GoString() string { return "[redacted]" }

// sealLabel starts the associated data; the record's key follows, so a value
// moved to another key does not open.
const sealLabel = "huis/store/1\x00"

// Sealed returns inner with every value sealed by XChaCha20-Poly1305 under key
// with a random nonce. Keys stay readable. A value that does not open gives a
// *DamagedError naming where, the profile folder.
func Sealed(inner Store, key DeviceKey, where string) Store {
	aead, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("store: " + err.Error()) // only for a key of another length
	}
	return &sealed{Store: inner, aead: aead, where: where}
}

type sealed struct {
	Store
	aead  cipher.AEAD
	where string
}

func (s *sealed) Get(ctx context.Context, key string) ([]byte, error) {
	v, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return s.open(key, v)
}

func (s *sealed) List(ctx context.Context, prefix, after string, n int) ([]Record, error) {
	records, err := s.Store.List(ctx, prefix, after, n)
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		if records[i].Value, err = s.open(r.Key, r.Value); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (s *sealed) Commit(ctx context.Context, b Batch) (uint64, error) {
	put := make([]Record, len(b.Put))
	for i, r := range b.Put {
		put[i] = Record{Key: r.Key, Value: s.seal(r.Key, r.Value)}
	}
	b.Put = put
	return s.Store.Commit(ctx, b)
}

func (s *sealed) seal(key string, value []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(value)+s.aead.Overhead())
	rand.Read(nonce)
	return s.aead.Seal(nonce, nonce, value, []byte(sealLabel+key))
}

func (s *sealed) open(key string, b []byte) ([]byte, error) {
	if len(b) < chacha20poly1305.NonceSizeX {
		return nil, s.damaged(key)
	}
	nonce, ct := b[:chacha20poly1305.NonceSizeX], b[chacha20poly1305.NonceSizeX:]
	value, err := s.aead.Open(nil, nonce, ct, []byte(sealLabel+key))
	if err != nil {
		return nil, s.damaged(key)
	}
	if value == nil {
		value = []byte{}
	}
	return value, nil
}

func (s *sealed) damaged(key string) error {
	return &DamagedError{Where: s.where, Reason: fmt.Sprintf("record %q does not open under this profile's device key", key)}
}
