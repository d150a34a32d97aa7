package mls

import (
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/wire"
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
	// LastResort marks the package as one that may be used more than once, for
	// when no other is left (ExtensionLastResort).
	LastResort bool
}

// DefaultCapabilities are those of a client that uses one suite, basic
// credentials and nothing beyond RFC 9420.
func DefaultCapabilities(suite CipherSuite) Capabilities {
	return Capabilities{
		Versions:     []ProtocolVersion{MLS10},
		CipherSuites: []CipherSuite{suite},
		Credentials:  []CredentialType{CredentialBasic},
	}
}

// NewKeyPackage makes a key package for signer, with fresh keys.
func NewKeyPackage(suite CipherSuite, signer SignaturePrivateKey, cred Credential, opt KeyPackageOptions) (*KeyPackageBundle, error) {
	a, err := suite.algorithms()
	if err != nil {
		return nil, err
	}
	b := &KeyPackageBundle{SignatureKey: signer}
	k := &KeyPackage{Version: MLS10, CipherSuite: suite, Extensions: slices.Clone(opt.Extensions)}
	if b.InitKey, k.InitKey, err = a.keyPair(a.kem.GenerateKey()); err != nil {
		return nil, err
	}
	k.LeafNode = LeafNode{
		SignatureKey: signer.PublicKey(), Credential: cred, Capabilities: DefaultCapabilities(suite),
		Source: SourceKeyPackage, Lifetime: opt.Lifetime, Extensions: slices.Clone(opt.Leaf.Extensions),
	}
	if b.EncryptionKey, k.LeafNode.EncryptionKey, err = a.keyPair(a.kem.GenerateKey()); err != nil {
		return nil, err
	}
	if opt.Leaf.Capabilities != nil {
		k.LeafNode.Capabilities = *opt.Leaf.Capabilities
	}
	if opt.LastResort {
		k.markLastResort()
	}
	if err := k.LeafNode.sign(suite, signer, nil, 0); err != nil {
		return nil, err
	}
	b.KeyPackage = k
	return b, k.sign(signer)
}

func (k *KeyPackage) markLastResort() {
	k.Extensions = append(k.Extensions, Extension{ExtensionType: ExtensionLastResort, ExtensionData: []byte{}})
	types := k.LeafNode.Capabilities.Extensions
	if !slices.Contains(types, ExtensionLastResort) {
		k.LeafNode.Capabilities.Extensions = append(slices.Clone(types), ExtensionLastResort)
	}
}

// LastResort tells whether the package may be used more than once: by the
// extension of its own or as a component of the application data dictionary,
// which later drafts use.
func (k *KeyPackage) LastResort() bool {
	if _, found := FindExtension(k.Extensions, ExtensionLastResort); found {
		return true
	}
	data, found := FindExtension(k.Extensions, ExtensionAppDataDictionary)
	if !found {
		return false
	}
	dictionary, err := ParseAppDataDictionary(data)
	return err == nil && slices.ContainsFunc(dictionary, func(d ComponentData) bool {
		return d.ComponentID == ComponentLastResort
	})
}

// Verify checks a key package on its own: signatures, keys and, unless now is
// the zero time, its lifetime (RFC 9420, Section 10.1).
func (k *KeyPackage) Verify(now time.Time) error {
	a, err := k.CipherSuite.algorithms()
	if err != nil {
		return err
	}
	if err := newRatchetTree(a, nil).validateKeyPackage(k, &Options{}); err != nil {
		return err
	}
	if now.IsZero() {
		return nil
	}
	return validateLifetime(&k.LeafNode, now)
}

// bundleVersion begins a stored bundle.
const bundleVersion = 1

func (b *KeyPackageBundle) wire(c *wire.Codec) {
	version := uint8(bundleVersion)
	initKey, encryptionKey, signatureKey := b.InitKey.Bytes(), b.EncryptionKey.Bytes(), b.SignatureKey.Bytes()
	wire.Uint8(c, &version)
	if version != bundleVersion {
		c.Fail(fmt.Sprintf("stored key package of version %d", version))
		return
	}
	wirePointer(c, &b.KeyPackage, (*KeyPackage).wire)
	wire.Opaque(c, &initKey)
	wire.Opaque(c, &encryptionKey)
	wire.Opaque(c, &signatureKey)
	if c.Decoding() && c.Err() == nil {
		b.InitKey, b.EncryptionKey = NewHPKEPrivateKey(initKey), NewHPKEPrivateKey(encryptionKey)
		key, err := ParseSignaturePrivateKey(b.KeyPackage.CipherSuite, signatureKey)
		if err != nil {
			c.Fail(err.Error())
		}
		b.SignatureKey = key
	}
}

// MarshalBinary encodes the bundle with its private keys.
func (b *KeyPackageBundle) MarshalBinary() ([]byte, error) { return wire.Encode(b.wire) }

// UnmarshalBinary reads what MarshalBinary returned.
func (b *KeyPackageBundle) UnmarshalBinary(data []byte) error {
	var v KeyPackageBundle
	if err := decode(data, v.wire); err != nil {
		return err
	}
	*b = v
	return nil
}
