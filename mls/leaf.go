package mls

import (
	"slices"

	"codeberg.org/huis/huis/internal/wire"
)

// newLeaf fills a leaf but for its source and signature.
func newLeaf(suite CipherSuite, public HPKEPublicKey, signer SignaturePrivateKey, cred Credential, opt LeafOptions) (*LeafNode, error) {
	if signer.IsZero() {
		return nil, errSignatureKey
	}
	k := DefaultCapabilities(suite)
	if opt.Capabilities != nil {
		k = *opt.Capabilities
	}
	n := &LeafNode{
		EncryptionKey: public, SignatureKey: signer.PublicKey(), Credential: cred,
		Capabilities: k, Extensions: slices.Clone(opt.Extensions),
	}
	return n, validateLeafExtensions(n)
}

// replaceLeaf is old with a new encryption key and what the options change.
func replaceLeaf(old *LeafNode, public HPKEPublicKey, signer SignaturePrivateKey, cred *Credential, opt LeafOptions) (*LeafNode, error) {
	if signer.IsZero() {
		return nil, errSignatureKey
	}
	n := &LeafNode{
		EncryptionKey: public, SignatureKey: signer.PublicKey(), Credential: old.Credential,
		Capabilities: old.Capabilities, Extensions: old.Extensions,
	}
	if cred != nil {
		n.Credential = *cred
	}
	if opt.Capabilities != nil {
		n.Capabilities = *opt.Capabilities
	}
	if opt.Extensions != nil {
		n.Extensions = slices.Clone(opt.Extensions)
	}
	return n, validateLeafExtensions(n)
}

func (o *CommitOptions) replacesLeaf() bool {
	return o.NewSigner != nil || o.NewCredential != nil || o.Leaf.Capabilities != nil || o.Leaf.Extensions != nil
}

// id is a string equal for credentials that say the same.
func (k *Credential) id() string { return string(wire.MustEncode(k.wire)) }
