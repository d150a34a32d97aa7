package mls

import (
	"time"
)

// KeyPackageBundle is a key package with its private keys. Store it until a
// Welcome names it, then delete it unless it is a last resort.
type KeyPackageBundle struct {
	KeyPackage    *KeyPackage
	InitKey       HPKEPrivateKey
	EncryptionKey HPKEPrivateKey
	SignatureKey  SignaturePrivateKey
}

// KeyPackageOptions describe a key package; the zero value is usable but for
// Lifetime.
type KeyPackageOptions struct {
	Lifetime   Lifetime
	Leaf       LeafOptions
	Extensions []Extension
	LastResort bool
}

var errNotImplemented = invalid("0", "not implemented")

// NewKeyPackage makes a key package for signer, with fresh keys.
func NewKeyPackage(suite CipherSuite, signer SignaturePrivateKey, cred Credential, opt KeyPackageOptions) (*KeyPackageBundle, error) {
	return nil, errNotImplemented
}

// Verify checks a key package on its own: signatures, keys and, unless now is
// the zero time, its lifetime (RFC 9420, Section 10.1).
func (k *KeyPackage) Verify(now time.Time) error { return errNotImplemented }

// LastResort tells whether the package may be used more than once.
func (k *KeyPackage) LastResort() bool {
	_, found := FindExtension(k.Extensions, ExtensionLastResort)
	return found
}

// MarshalBinary encodes the bundle with its private keys.
func (b *KeyPackageBundle) MarshalBinary() ([]byte, error) { return nil, errNotImplemented }

// UnmarshalBinary reads what MarshalBinary returned.
func (b *KeyPackageBundle) UnmarshalBinary(data []byte) error { return errNotImplemented }
