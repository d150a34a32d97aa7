package mls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"

	"codeberg.org/huis/huis/internal/wire"
	"golang.org/x/crypto/chacha20poly1305"
)

// labelPrefix separates this protocol's labels from others'
// (RFC 9420, Section 5.1.2).
const labelPrefix = "MLS 1.0 "

// digest hashes the parts, one after the other, with the suite's hash.
func (a *algorithms) digest(parts ...[]byte) []byte {
	h := a.hash.New()
	for _, b := range parts {
		h.Write(b)
	}
	return h.Sum(nil)
}

// mac computes the suite's MAC, HMAC (RFC 9420, Section 5.1).
func (a *algorithms) mac(key Secret, b []byte) []byte {
	h := hmac.New(a.hash.New, key)
	h.Write(b)
	return h.Sum(nil)
}

// verifyMAC compares in constant time.
func (a *algorithms) verifyMAC(key Secret, b, tag []byte) bool {
	return hmac.Equal(a.mac(key, b), tag)
}

// extract is KDF.Extract.
func (a *algorithms) extract(salt, ikm Secret) Secret {
	return must(hkdf.Extract(a.hash.New, ikm, salt))
}

// expandWithLabel is ExpandWithLabel (RFC 9420, Section 8). length is in bytes
// and bounded by the callers to what HKDF gives.
func (a *algorithms) expandWithLabel(secret Secret, label string, context []byte, length int) Secret {
	b := make([]byte, 0, 2+2+len(labelPrefix)+len(label)+4+len(context))
	b = append(b, byte(length>>8), byte(length))
	b = wire.AppendLength(b, len(labelPrefix)+len(label))
	b = append(append(b, labelPrefix...), label...)
	b = wire.AppendLength(b, len(context))
	b = append(b, context...)
	return must(hkdf.Expand(a.hash.New, secret, string(b), length))
}

// maxExpand is the most bytes one expansion can give.
func (a *algorithms) maxExpand() int { return 255 * a.hashSize() }

// deriveSecret is DeriveSecret (RFC 9420, Section 8).
func (a *algorithms) deriveSecret(secret Secret, label string) Secret {
	return a.expandWithLabel(secret, label, nil, a.hashSize())
}

// deriveTreeSecret is DeriveTreeSecret (RFC 9420, Section 9).
func (a *algorithms) deriveTreeSecret(secret Secret, label string, generation uint32, length int) Secret {
	g := [4]byte{byte(generation >> 24), byte(generation >> 16), byte(generation >> 8), byte(generation)}
	return a.expandWithLabel(secret, label, g[:], length)
}

// refHash is RefHash (RFC 9420, Section 5.2).
func (a *algorithms) refHash(label string, value []byte) []byte {
	l := []byte(label)
	return a.digest(wire.MustEncode(func(c *wire.Codec) {
		wire.Opaque(c, &l)
		wire.Opaque(c, &value)
	}))
}

// RefHash names a value by hash (RFC 9420, Section 5.2). label is complete:
// nothing is put before it.
func RefHash(suite CipherSuite, label string, value []byte) ([]byte, error) {
	a, err := suite.algorithms()
	if err != nil {
		return nil, err
	}
	return a.refHash(label, value), nil
}

// labeled encodes {label<V>, content<V>} with the protocol's prefix, as
// SignWithLabel and EncryptWithLabel want it.
func labeled(label string, content []byte) []byte {
	return must(labeledFields(label, func(c *wire.Codec) { wire.Fixed(c, content) }))
}

// labeledFields is labeled for content that is not encoded yet: a commit to many
// is megabytes, which are then written once.
func labeledFields(label string, content func(*wire.Codec)) ([]byte, error) {
	l := []byte(labelPrefix + label)
	return wire.Encode(func(c *wire.Codec) {
		wire.Opaque(c, &l)
		wire.Struct(c, content)
	})
}

// EncryptWithLabel seals plaintext to pub; label and context must be repeated to
// open it (RFC 9420, Section 5.1.3).
func EncryptWithLabel(suite CipherSuite, pub HPKEPublicKey, label string, context, plaintext []byte) (*HPKECiphertext, error) {
	a, err := suite.algorithms()
	if err != nil {
		return nil, err
	}
	return a.encryptWithLabel(pub, label, context, plaintext)
}

func (a *algorithms) encryptWithLabel(pub HPKEPublicKey, label string, context, plaintext []byte) (*HPKECiphertext, error) {
	key, err := a.kem.NewPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("mls: HPKE public key: %v", err)
	}
	enc, sender, err := hpke.NewSender(key, a.kdf, a.aead, labeled(label, context))
	if err != nil {
		return nil, fmt.Errorf("mls: HPKE encapsulation: %v", err)
	}
	ct, err := sender.Seal(nil, plaintext)
	if err != nil {
		return nil, fmt.Errorf("mls: HPKE seal: %v", err)
	}
	return &HPKECiphertext{KEMOutput: enc, Ciphertext: ct}, nil
}

// errDecrypt says no more than that it failed: an attacker learns nothing else.
var errDecrypt = errors.New("mls: ciphertext does not open")

// DecryptWithLabel opens what EncryptWithLabel sealed
// (RFC 9420, Section 5.1.3).
func DecryptWithLabel(suite CipherSuite, key HPKEPrivateKey, label string, context []byte, ct *HPKECiphertext) ([]byte, error) {
	a, err := suite.algorithms()
	if err != nil {
		return nil, err
	}
	return a.decryptWithLabel(key, label, context, ct)
}

func (a *algorithms) decryptWithLabel(key HPKEPrivateKey, label string, context []byte, ct *HPKECiphertext) ([]byte, error) {
	parsed, err := key.parsed(a)
	if err != nil {
		return nil, err
	}
	recipient, err := hpke.NewRecipient(ct.KEMOutput, parsed, a.kdf, a.aead, labeled(label, context))
	if err != nil {
		return nil, errDecrypt
	}
	plaintext, err := recipient.Open(nil, ct.Ciphertext)
	if err != nil {
		return nil, errDecrypt
	}
	return plaintext, nil
}

// newAEAD makes an AEAD of a key of the right length.
type newAEAD func(key []byte) (cipher.AEAD, error)

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func newChaCha(key []byte) (cipher.AEAD, error) { return chacha20poly1305.New(key) }

var sealObserver atomic.Pointer[func(key, nonce, ciphertext []byte)]

// SetSealObserver lets f see the key, the nonce and the result of every symmetric
// seal from now on; nil ends it. It exists for tests that prove no pair is ever
// used twice, and no key for two ciphertexts that leave the device.
// HPKE seals are not seen: each has a fresh key that never leaves crypto/hpke.
func SetSealObserver(f func(key, nonce, ciphertext []byte)) {
	if f == nil {
		sealObserver.Store(nil)
		return
	}
	sealObserver.Store(&f)
}

// seal encrypts with the suite's AEAD.
func (a *algorithms) seal(key, nonce Secret, aad, plaintext []byte) []byte {
	ciphertext := must(a.newAEAD(key)).Seal(nil, nonce, plaintext, aad)
	if f := sealObserver.Load(); f != nil {
		(*f)(key, nonce, ciphertext)
	}
	return ciphertext
}

// open decrypts with the suite's AEAD.
func (a *algorithms) open(key, nonce Secret, aad, ciphertext []byte) ([]byte, error) {
	plaintext, err := must(a.newAEAD(key)).Open(nil, nonce, ciphertext, aad)
	if err != nil {
		return nil, errDecrypt
	}
	return plaintext, nil
}

// randomBytes returns n fresh random bytes.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	return b
}
