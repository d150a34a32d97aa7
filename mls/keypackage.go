package mls

import (
	"codeberg.org/huis/huis/internal/wire"
)

// KeyPackageRef identifies a key package by hash (RFC 9420, Section 5.2).
type KeyPackageRef []byte

// KeyPackage lets others add its owner to a group (RFC 9420, Section 10).
type KeyPackage struct {
	Version     ProtocolVersion
	CipherSuite CipherSuite
	InitKey     HPKEPublicKey
	LeafNode    LeafNode
	Extensions  []Extension
	Signature   []byte
}

func (k *KeyPackage) wire(c *wire.Codec) {
	k.wireUnsigned(c)
	wire.Opaque(c, &k.Signature)
}

func (k *KeyPackage) wireUnsigned(c *wire.Codec) {
	wire.Uint16(c, &k.Version)
	wire.Uint16(c, &k.CipherSuite)
	wire.Opaque(c, &k.InitKey)
	k.LeafNode.wire(c)
	wire.Vector(c, &k.Extensions, (*Extension).wire)
}

// Encode returns the bare structure, as ParseKeyPackage reads it.
func (k *KeyPackage) Encode() ([]byte, error) { return wire.Encode(k.wire) }

// ParseKeyPackage reads a bare KeyPackage; it verifies nothing.
func ParseKeyPackage(b []byte) (*KeyPackage, error) { return parse(b, (*KeyPackage).wire) }

// Ref returns the reference by which a Welcome names the package.
func (k *KeyPackage) Ref() (KeyPackageRef, error) {
	b, err := wire.Encode(k.wire)
	if err != nil {
		return nil, err
	}
	return RefHash(k.CipherSuite, "MLS 1.0 KeyPackage Reference", b)
}

// sign sets the signature (RFC 9420, Section 10).
func (k *KeyPackage) sign(key SignaturePrivateKey) error {
	tbs, err := wire.Encode(k.wireUnsigned)
	if err != nil {
		return err
	}
	k.Signature, err = SignWithLabel(k.CipherSuite, key, "KeyPackageTBS", tbs)
	return err
}

// verifySignature checks the signature alone (RFC 9420, Section 10.1).
func (k *KeyPackage) verifySignature() error {
	tbs, err := wire.Encode(k.wireUnsigned)
	if err != nil {
		return err
	}
	if err := VerifyWithLabel(k.CipherSuite, k.LeafNode.SignatureKey, "KeyPackageTBS", tbs, k.Signature); err != nil {
		return invalid("10.1", "signature of a key package does not verify")
	}
	return nil
}
