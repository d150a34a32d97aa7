package mls

import (
	"bytes"
	"slices"
	"time"
)

// This file holds what makes a leaf, key package, extension list or tree
// allowed; proposals.go what makes a list of proposals allowed. Each check stands
// under its section; docs/validation.md numbers them.

// defaultExtension tells types every client supports without listing them
// (RFC 9420, Section 7.2).
func defaultExtension(t ExtensionType) bool {
	return t >= ExtensionApplicationID && t <= ExtensionExternalSenders
}

// defaultProposal is the same for proposal types.
func defaultProposal(t ProposalType) bool {
	return t >= ProposalAdd && t <= ProposalGroupContextExtensions
}

// validateExtensionList refuses two extensions of a type (Section 13.4).
func validateExtensionList(list []Extension) error {
	seen := make(map[ExtensionType]bool, len(list))
	for i := range list {
		if seen[list[i].ExtensionType] {
			return invalid("13.4", "extension %#04x occurs twice", uint16(list[i].ExtensionType))
		}
		seen[list[i].ExtensionType] = true
	}
	return nil
}

// validateLeaf checks a leaf that enters a tree at l, but for what depends on
// the other leaves (Section 7.3).
func (t *ratchetTree) validateLeaf(n *LeafNode, source LeafNodeSource, groupID []byte, l LeafIndex, opt *Options) error {
	if n.Source != source {
		return invalid("7.3", "leaf node has source %d, want %d", n.Source, source)
	}
	if err := t.suite.checkPublicKey(n.EncryptionKey); err != nil {
		return invalid("7.3", "leaf node has no usable encryption key: %v", err)
	}
	return t.validateLeafContent(n, groupID, l, opt)
}

// validateLeafContent is validateLeaf for a leaf that is in a tree already,
// however it came there.
func (t *ratchetTree) validateLeafContent(n *LeafNode, groupID []byte, l LeafIndex, opt *Options) error {
	if err := validateLeafExtensions(n); err != nil {
		return err
	}
	t.meter.signature()
	if err := n.verifySignature(t.suite.id, groupID, l); err != nil {
		return err
	}
	if opt.Validator == nil {
		return nil
	}
	if err := opt.Validator(&n.Credential, n.SignatureKey); err != nil {
		return invalid("7.3", "credential of leaf %d refused: %v", l, err)
	}
	return nil
}

func validateLeafExtensions(n *LeafNode) error {
	if err := validateExtensionList(n.Extensions); err != nil {
		return err
	}
	for i := range n.Extensions {
		e := n.Extensions[i].ExtensionType
		if !defaultExtension(e) && !slices.Contains(n.Capabilities.Extensions, e) {
			return invalid("7.3", "leaf node has extension %#04x but does not list it", uint16(e))
		}
	}
	return nil
}

// validateLifetime checks the lifetime of a leaf from a key package. Only who
// is about to use it asks (Section 7.3): members that read the clock differently
// must not judge a commit differently.
func validateLifetime(n *LeafNode, now time.Time) error {
	at := uint64(max(now.Unix(), 0))
	if n.Source == SourceKeyPackage && (at < n.Lifetime.NotBefore || at > n.Lifetime.NotAfter) {
		return invalid("7.3", "key package is not valid at this time")
	}
	return nil
}

// validateKeyPackage checks a key package for a group of the tree's suite
// (Section 10.1), but for its lifetime.
func (t *ratchetTree) validateKeyPackage(k *KeyPackage, opt *Options) error {
	if k.Version != MLS10 || k.CipherSuite != t.suite.id {
		return invalid("10.1", "key package is of another version or cipher suite")
	}
	if bytes.Equal(k.InitKey, k.LeafNode.EncryptionKey) {
		return invalid("10.1", "init key and encryption key of a key package are the same")
	}
	if err := t.suite.checkPublicKey(k.InitKey); err != nil {
		return invalid("10.1", "key package has no usable init key: %v", err)
	}
	if err := validateExtensionList(k.Extensions); err != nil {
		return err
	}
	t.meter.signature()
	if err := k.verifySignature(); err != nil {
		return err
	}
	return t.validateLeaf(&k.LeafNode, SourceKeyPackage, nil, 0, opt)
}

// validateMembers checks what the members of a tree must agree on, with the
// extensions of the GroupContext they are to share. Its cost does not depend on
// their number.
func (t *ratchetTree) validateMembers(extensions []Extension) error {
	ix := t.counts()
	if ix.signatureKeys.clashes > 0 {
		return invalid("7.3", "two members have the same signature key")
	}
	if ix.publicKeys.clashes > 0 {
		return invalid("7.3", "two nodes have the same encryption key")
	}
	for k := range ix.credentials.all {
		if !ix.allSupport(capability{capabilityCredential, uint16(k)}) {
			return invalid("7.3", "not all members support credential type %d, which is in use", k)
		}
	}
	return t.validateGroupExtensions(extensions)
}

// validateGroupExtensions checks that all members support the extensions of a
// GroupContext and what these require (Sections 7.2, 11.1, 12.1.7).
func (t *ratchetTree) validateGroupExtensions(extensions []Extension) error {
	if err := validateExtensionList(extensions); err != nil {
		return err
	}
	for i := range extensions {
		e := extensions[i].ExtensionType
		if !defaultExtension(e) && !t.counts().allSupport(capability{capabilityExtension, uint16(e)}) {
			return invalid("7.2", "not all members support extension %#04x", uint16(e))
		}
	}
	if data, found := FindExtension(extensions, ExtensionExternalSenders); found {
		if _, err := ParseExternalSenders(data); err != nil {
			return invalid("12.1.8.1", "external_senders: %v", err)
		}
	}
	data, found := FindExtension(extensions, ExtensionRequiredCapabilities)
	if !found {
		return nil
	}
	r, err := ParseRequiredCapabilities(data)
	if err != nil {
		return invalid("11.1", "required_capabilities: %v", err)
	}
	return t.validateRequired(r)
}

func (t *ratchetTree) validateRequired(r *RequiredCapabilities) error {
	for _, e := range r.ExtensionTypes {
		if !defaultExtension(e) && !t.counts().allSupport(capability{capabilityExtension, uint16(e)}) {
			return invalid("11.1", "not all members support the required extension %#04x", uint16(e))
		}
	}
	for _, p := range r.ProposalTypes {
		if !defaultProposal(p) && !t.counts().allSupport(capability{capabilityProposal, uint16(p)}) {
			return invalid("11.1", "not all members support the required proposal %#04x", uint16(p))
		}
	}
	for _, k := range r.CredentialTypes {
		if !t.counts().allSupport(capability{capabilityCredential, uint16(k)}) {
			return invalid("11.1", "not all members support the required credential %#04x", uint16(k))
		}
	}
	return nil
}
