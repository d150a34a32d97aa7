package mls

import (
	"crypto"
	"crypto/elliptic"
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

// HPKE identifiers (RFC 9180, Section 7; draft-ietf-hpke-pq).
const (
	kemP256       = 0x0010
	kemP384       = 0x0011
	kemP521       = 0x0012
	kemX25519     = 0x0020
	kemMLKEM768   = 0x0041
	kemMLKEM1024  = 0x0042
	kem768P256    = 0x0050
	kem1024P384   = 0x0051
	kemXWing      = 0x647a
	aeadAES128GCM = 0x0001
	aeadAES256GCM = 0x0002
	aeadChaCha    = 0x0003
)

func newAlgorithms(id CipherSuite, kem, aead uint16, hash crypto.Hash, sig signatureScheme) *algorithms {
	a := &algorithms{id: id, hash: hash, signature: sig, nonceSize: 12}
	a.kem = must(hpke.NewKEM(kem))
	a.aead = must(hpke.NewAEAD(aead))
	switch hash {
	case crypto.SHA256:
		a.kdf = hpke.HKDFSHA256()
	case crypto.SHA384:
		a.kdf = hpke.HKDFSHA384()
	case crypto.SHA512:
		a.kdf = hpke.HKDFSHA512()
	}
	switch aead {
	case aeadAES128GCM:
		a.newAEAD, a.keySize = newGCM, 16
	case aeadAES256GCM:
		a.newAEAD, a.keySize = newGCM, 32
	case aeadChaCha:
		a.newAEAD, a.keySize = newChaCha, 32
	}
	return a
}

// must is for the fixed tables below: a failure is a mistake in them.
func must[T any](v T, err error) T {
	if err != nil {
		panic("mls: " + err.Error())
	}
	return v
}

var (
	ed25519Scheme = signatureScheme{}
	p256Scheme    = signatureScheme{elliptic.P256(), crypto.SHA256}
	p384Scheme    = signatureScheme{elliptic.P384(), crypto.SHA384}
	p521Scheme    = signatureScheme{elliptic.P521(), crypto.SHA512}
)

// suiteTable is replaced as a whole, never changed: readers need no lock.
var suiteTable atomic.Pointer[map[CipherSuite]*algorithms]

func init() {
	table := map[CipherSuite]*algorithms{}
	for _, a := range []*algorithms{
		newAlgorithms(X25519AES128SHA256Ed25519, kemX25519, aeadAES128GCM, crypto.SHA256, ed25519Scheme),
		newAlgorithms(P256AES128SHA256P256, kemP256, aeadAES128GCM, crypto.SHA256, p256Scheme),
		newAlgorithms(X25519ChaChaSHA256Ed25519, kemX25519, aeadChaCha, crypto.SHA256, ed25519Scheme),
		newAlgorithms(P521AES256SHA512P521, kemP521, aeadAES256GCM, crypto.SHA512, p521Scheme),
		newAlgorithms(P384AES256SHA384P384, kemP384, aeadAES256GCM, crypto.SHA384, p384Scheme),
		newAlgorithms(XWingChaChaSHA384Ed25519, kemXWing, aeadChaCha, crypto.SHA384, ed25519Scheme),
	} {
		table[a.id] = a
	}
	addDraftSuites(table, defaultDraftIDs())
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
