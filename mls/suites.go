package mls

import (
	"crypto"
	"crypto/hpke"
	_ "crypto/sha256" // linked for crypto.SHA256
	_ "crypto/sha512" // linked for crypto.SHA384 and crypto.SHA512
	"fmt"
	"slices"
	"sync/atomic"
)

// CipherSuite names the primitives of a group (RFC 9420, Section 5.1).
type CipherSuite uint16

// Cipher suites of RFC 9420, Section 17.1, and this package's own.
const (
	X25519AES128SHA256Ed25519 CipherSuite = 0x0001
	P256AES128SHA256P256      CipherSuite = 0x0002
	X25519ChaChaSHA256Ed25519 CipherSuite = 0x0003
	X448AES256SHA512Ed448     CipherSuite = 0x0004 // not supported
	P521AES256SHA512P521      CipherSuite = 0x0005
	X448ChaChaSHA512Ed448     CipherSuite = 0x0006 // not supported
	P384AES256SHA384P384      CipherSuite = 0x0007

	// XWingChaChaSHA384Ed25519 is hybrid post-quantum: ML-KEM-768 with X25519,
	// HKDF-SHA384, ChaCha20-Poly1305, Ed25519. Its number is for private use; no
	// assigned suite has these primitives. ChaCha20 because AES in WebAssembly
	// does not run in constant time.
	XWingChaChaSHA384Ed25519 CipherSuite = 0xF1A1
)

// algorithms are the primitives of one suite.
type algorithms struct {
	id        CipherSuite
	kem       hpke.KEM
	kdf       hpke.KDF
	aead      hpke.AEAD
	newAEAD   newAEAD
	keySize   int // AEAD.Nk, bytes
	nonceSize int // AEAD.Nn, bytes
	hash      crypto.Hash
	signature signatureScheme
}

// hashSize is KDF.Nh, in bytes; every suite's KDF is HKDF with its hash.
func (a *algorithms) hashSize() int { return a.hash.Size() }

// newAlgorithms makes a suite. The AEAD's key has 16 bytes for AES-128, else 32.
func newAlgorithms(id CipherSuite, kem hpke.KEM, aead sealing, hash crypto.Hash, sig signatureScheme) *algorithms {
	a := &algorithms{
		id: id, kem: kem, aead: aead.hpke, newAEAD: aead.make, keySize: aead.key, nonceSize: 12, hash: hash, signature: sig,
	}
	switch hash {
	case crypto.SHA256:
		a.kdf = hpke.HKDFSHA256()
	case crypto.SHA384:
		a.kdf = hpke.HKDFSHA384()
	case crypto.SHA512:
		a.kdf = hpke.HKDFSHA512()
	}
	return a
}

// sealing is one AEAD, in HPKE and by itself.
type sealing struct {
	hpke hpke.AEAD
	make newAEAD
	key  int // bytes
}

var chaCha = sealing{hpke.ChaCha20Poly1305(), newChaCha, 32}

// ed25519Scheme is the signature scheme without a curve of its own.
var ed25519Scheme = signatureScheme{}

// must is for what cannot fail with the arguments it is given: a failure is a
// mistake of this package.
func must[T any](v T, err error) T {
	if err != nil {
		panic("mls: " + err.Error())
	}
	return v
}

// suiteTable is replaced as a whole, never changed: readers need no lock.
var suiteTable atomic.Pointer[map[CipherSuite]*algorithms]

func init() {
	table := map[CipherSuite]*algorithms{
		XWingChaChaSHA384Ed25519: newAlgorithms(XWingChaChaSHA384Ed25519, hpke.MLKEM768X25519(), chaCha, crypto.SHA384, ed25519Scheme),
	}
	addStandardSuites(table)
	suiteTable.Store(&table)
}

// algorithms returns the suite's primitives, or ErrUnsupportedSuite.
func (s CipherSuite) algorithms() (*algorithms, error) {
	if a := (*suiteTable.Load())[s]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w: %#04x", ErrUnsupportedSuite, uint16(s))
}

// Supported tells whether this package can use the suite.
func (s CipherSuite) Supported() bool {
	_, err := s.algorithms()
	return err == nil
}

// SupportedSuites lists what this package can use, in ascending order.
func SupportedSuites() []CipherSuite {
	var list []CipherSuite
	for s := range *suiteTable.Load() {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}
