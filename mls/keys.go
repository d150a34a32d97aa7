package mls

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/hpke"
	"errors"
	"fmt"
	"sync"
)

// HPKEPublicKey is a serialized HPKE public key (RFC 9420, Section 5.1.1).
type HPKEPublicKey []byte

// HPKEPrivateKey is an HPKE private key. The zero value is no key. Copies share
// one parsed form; it may be used concurrently.
type HPKEPrivateKey struct {
	redact
	key *hpkeKey
}

type hpkeKey struct {
	raw   Secret
	once  sync.Once // guards parse and err: parsing costs as much as opening
	parse hpke.PrivateKey
	err   error
}

// NewHPKEPrivateKey takes a serialized private key (RFC 9180, Section 7.1). It is
// parsed when first used.
func NewHPKEPrivateKey(raw []byte) HPKEPrivateKey {
	return HPKEPrivateKey{key: &hpkeKey{raw: bytes.Clone(raw)}}
}

func ofHPKE(k hpke.PrivateKey) (HPKEPrivateKey, error) {
	raw, err := k.Bytes()
	if err != nil {
		return HPKEPrivateKey{}, fmt.Errorf("mls: HPKE private key: %v", err)
	}
	own := &hpkeKey{raw: raw, parse: k}
	own.once.Do(func() {})
	return HPKEPrivateKey{key: own}, nil
}

// IsZero tells whether there is no key.
func (k HPKEPrivateKey) IsZero() bool { return k.key == nil }

// Bytes returns the serialized key, for storing. nil if there is none.
func (k HPKEPrivateKey) Bytes() Secret {
	if k.key == nil {
		return nil
	}
	return k.key.raw
}

// PublicKey returns the key's public half.
func (k HPKEPrivateKey) PublicKey(suite CipherSuite) (HPKEPublicKey, error) {
	a, err := suite.algorithms()
	if err != nil {
		return nil, err
	}
	return k.public(a)
}

func (k HPKEPrivateKey) public(a *algorithms) (HPKEPublicKey, error) {
	parsed, err := k.parsed(a)
	if err != nil {
		return nil, err
	}
	return parsed.PublicKey().Bytes(), nil
}

func (k HPKEPrivateKey) parsed(a *algorithms) (hpke.PrivateKey, error) {
	if k.key == nil {
		return nil, errors.New("mls: HPKE private key is missing")
	}
	k.key.once.Do(func() { k.key.parse, k.key.err = a.kem.NewPrivateKey(k.key.raw) })
	if k.key.err != nil {
		return nil, fmt.Errorf("mls: HPKE private key: %v", k.key.err)
	}
	if k.key.parse.KEM().ID() != a.kem.ID() {
		return nil, errors.New("mls: HPKE private key is of another cipher suite")
	}
	return k.key.parse, nil
}

// GenerateHPKEKey makes a fresh key pair.
func GenerateHPKEKey(suite CipherSuite) (HPKEPrivateKey, HPKEPublicKey, error) {
	a, err := suite.algorithms()
	if err != nil {
		return HPKEPrivateKey{}, nil, err
	}
	return a.keyPair(a.kem.GenerateKey())
}

// deriveKeyPair is KEM.DeriveKeyPair (RFC 9420, Section 7.4).
func (a *algorithms) deriveKeyPair(ikm Secret) (HPKEPrivateKey, HPKEPublicKey, error) {
	return a.keyPair(a.kem.DeriveKeyPair(ikm))
}

func (a *algorithms) keyPair(k hpke.PrivateKey, err error) (HPKEPrivateKey, HPKEPublicKey, error) {
	if err != nil {
		return HPKEPrivateKey{}, nil, fmt.Errorf("mls: HPKE key pair: %v", err)
	}
	private, err := ofHPKE(k)
	if err != nil {
		return HPKEPrivateKey{}, nil, err
	}
	return private, k.PublicKey().Bytes(), nil
}

// checkPublicKey tells whether pub is a key of the suite's KEM.
func (a *algorithms) checkPublicKey(pub HPKEPublicKey) error {
	_, err := a.kem.NewPublicKey(pub)
	return err
}

// SignaturePublicKey is a serialized signature key: 32 bytes for Ed25519, an
// uncompressed point for ECDSA (RFC 9420, Section 5.1.1).
type SignaturePublicKey []byte

// SignaturePrivateKey is a signature key: an Ed25519 seed or an ECDSA scalar. The
// zero value is no key. It may be used concurrently.
type SignaturePrivateKey struct {
	redact
	raw    Secret
	signer crypto.Signer
}

// signatureScheme is Ed25519 if curve is nil, else that.
type signatureScheme struct{ curve curveScheme }

// curveScheme signs by another curve. Signers of different ones are told apart by
// the scheme they are of.
type curveScheme interface {
	generate() (raw []byte, err error)
	parse(raw []byte) (Secret, crypto.Signer, error)
	verify(pub SignaturePublicKey, b, signature []byte) bool
}

// curveSigner is a private key of a curveScheme.
type curveSigner interface {
	crypto.Signer
	scheme() curveScheme
	public() SignaturePublicKey
	sign(b []byte) ([]byte, error)
}

// IsZero tells whether there is no key.
func (k SignaturePrivateKey) IsZero() bool { return k.signer == nil }

// Bytes returns the key for storing: the Ed25519 seed or the ECDSA scalar in
// big-endian form of fixed length. nil if there is none.
func (k SignaturePrivateKey) Bytes() Secret { return k.raw }

// PublicKey returns the key's public half, nil if there is no key.
func (k SignaturePrivateKey) PublicKey() SignaturePublicKey {
	switch key := k.signer.(type) {
	case ed25519.PrivateKey:
		return SignaturePublicKey(key.Public().(ed25519.PublicKey))
	case curveSigner:
		return key.public()
	}
	return nil
}

// GenerateSignatureKey makes a fresh key pair.
func GenerateSignatureKey(suite CipherSuite) (SignaturePrivateKey, SignaturePublicKey, error) {
	a, err := suite.algorithms()
	if err != nil {
		return SignaturePrivateKey{}, nil, err
	}
	raw := randomBytes(ed25519.SeedSize)
	if curve := a.signature.curve; curve != nil {
		if raw, err = curve.generate(); err != nil {
			return SignaturePrivateKey{}, nil, fmt.Errorf("mls: signature key: %v", err)
		}
	}
	key, err := ParseSignaturePrivateKey(suite, raw)
	return key, key.PublicKey(), err
}

// ParseSignaturePrivateKey reads what SignaturePrivateKey.Bytes returns.
func ParseSignaturePrivateKey(suite CipherSuite, raw []byte) (SignaturePrivateKey, error) {
	a, err := suite.algorithms()
	if err != nil {
		return SignaturePrivateKey{}, err
	}
	k := SignaturePrivateKey{raw: bytes.Clone(raw)}
	if curve := a.signature.curve; curve != nil {
		if k.raw, k.signer, err = curve.parse(k.raw); err != nil {
			return SignaturePrivateKey{}, fmt.Errorf("mls: signature key: %v", err)
		}
		return k, nil
	}
	if len(raw) != ed25519.SeedSize {
		return SignaturePrivateKey{}, fmt.Errorf("mls: signature key of %d bytes, want %d", len(raw), ed25519.SeedSize)
	}
	k.signer = ed25519.NewKeyFromSeed(raw)
	return k, nil
}

// SignWithLabel signs content under a label of this protocol
// (RFC 9420, Section 5.1.2).
func SignWithLabel(suite CipherSuite, key SignaturePrivateKey, label string, content []byte) ([]byte, error) {
	a, err := suite.algorithms()
	if err != nil {
		return nil, err
	}
	return a.signWithLabel(key, label, content)
}

var errSignatureKey = errors.New("mls: signature key is missing or of another cipher suite")

func (a *algorithms) signWithLabel(key SignaturePrivateKey, label string, content []byte) ([]byte, error) {
	return a.sign(key, labeled(label, content))
}

// sign signs what labeled or labeledFields returned.
func (a *algorithms) sign(key SignaturePrivateKey, b []byte) ([]byte, error) {
	switch signer := key.signer.(type) {
	case ed25519.PrivateKey:
		if a.signature.curve == nil {
			return ed25519.Sign(signer, b), nil
		}
	case curveSigner:
		if a.signature.curve == signer.scheme() {
			return signer.sign(b)
		}
	}
	return nil, errSignatureKey
}

var errSignature = errors.New("mls: signature does not verify")

// VerifyWithLabel checks what SignWithLabel signed (RFC 9420, Section 5.1.2).
func VerifyWithLabel(suite CipherSuite, pub SignaturePublicKey, label string, content, signature []byte) error {
	a, err := suite.algorithms()
	if err != nil {
		return err
	}
	return a.verifyWithLabel(pub, label, content, signature)
}

func (a *algorithms) verifyWithLabel(pub SignaturePublicKey, label string, content, signature []byte) error {
	return a.verify(pub, labeled(label, content), signature)
}

// verify checks a signature over what labeled or labeledFields returned.
func (a *algorithms) verify(pub SignaturePublicKey, b, signature []byte) error {
	if a.signature.curve == nil {
		if len(pub) != ed25519.PublicKeySize || !ed25519.Verify(ed25519.PublicKey(pub), b, signature) {
			return errSignature
		}
		return nil
	}
	if !a.signature.curve.verify(pub, b, signature) {
		return errSignature
	}
	return nil
}
