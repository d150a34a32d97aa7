package mls

import (
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// Capabilities is what a member's client supports besides what RFC 9420 makes
// mandatory (RFC 9420, Section 7.2).
type Capabilities struct {
	Versions     []ProtocolVersion
	CipherSuites []CipherSuite
	Extensions   []ExtensionType
	Proposals    []ProposalType
	Credentials  []CredentialType
}

func (k *Capabilities) wire(c *wire.Codec) {
	wire.Vector(c, &k.Versions, number16[ProtocolVersion])
	wire.Vector(c, &k.CipherSuites, number16[CipherSuite])
	wire.Vector(c, &k.Extensions, number16[ExtensionType])
	wire.Vector(c, &k.Proposals, number16[ProposalType])
	wire.Vector(c, &k.Credentials, number16[CredentialType])
}

// Lifetime is when a leaf from a key package may be used, in seconds since the
// Unix epoch, both ends included (RFC 9420, Section 7.2).
type Lifetime struct {
	NotBefore uint64
	NotAfter  uint64
}

func (l *Lifetime) wire(c *wire.Codec) {
	wire.Uint64(c, &l.NotBefore)
	wire.Uint64(c, &l.NotAfter)
}

// LeafNodeSource says how a leaf came into the tree (RFC 9420, Section 7.2).
type LeafNodeSource uint8

// Sources of a leaf.
const (
	SourceKeyPackage LeafNodeSource = 1
	SourceUpdate     LeafNodeSource = 2
	SourceCommit     LeafNodeSource = 3
)

// LeafNode is a member: its keys, credential and capabilities, signed by itself
// (RFC 9420, Section 7.2).
type LeafNode struct {
	EncryptionKey HPKEPublicKey
	SignatureKey  SignaturePublicKey
	Credential    Credential
	Capabilities  Capabilities
	Source        LeafNodeSource
	Lifetime      Lifetime // source key_package
	ParentHash    []byte   // source commit
	Extensions    []Extension
	Signature     []byte
}

func (n *LeafNode) wire(c *wire.Codec) {
	n.wireUnsigned(c)
	wire.Opaque(c, &n.Signature)
}

// Encode returns the bare structure.
func (n *LeafNode) Encode() ([]byte, error) { return wire.Encode(n.wire) }

func (n *LeafNode) wireUnsigned(c *wire.Codec) {
	wire.Opaque(c, &n.EncryptionKey)
	wire.Opaque(c, &n.SignatureKey)
	n.Credential.wire(c)
	n.Capabilities.wire(c)
	wire.Uint8(c, &n.Source)
	switch n.Source {
	case SourceKeyPackage:
		n.Lifetime.wire(c)
	case SourceUpdate:
	case SourceCommit:
		wire.Opaque(c, &n.ParentHash)
	default:
		c.Fail(fmt.Sprintf("leaf node source %d", n.Source))
	}
	wire.Vector(c, &n.Extensions, (*Extension).wire)
}

// leafNodeTBS returns what the leaf's signature covers. groupID and leaf are
// part of it unless the source is key_package.
func (n *LeafNode) leafNodeTBS(groupID []byte, leaf LeafIndex) ([]byte, error) {
	return wire.Encode(func(c *wire.Codec) {
		n.wireUnsigned(c)
		if n.Source != SourceKeyPackage {
			wire.Opaque(c, &groupID)
			wire.Uint32(c, &leaf)
		}
	})
}

// sign sets the signature (RFC 9420, Section 7.2).
func (n *LeafNode) sign(suite CipherSuite, key SignaturePrivateKey, groupID []byte, leaf LeafIndex) error {
	tbs, err := n.leafNodeTBS(groupID, leaf)
	if err != nil {
		return err
	}
	n.Signature, err = SignWithLabel(suite, key, "LeafNodeTBS", tbs)
	return err
}

// verifySignature checks the signature alone (RFC 9420, Section 7.3).
func (n *LeafNode) verifySignature(suite CipherSuite, groupID []byte, leaf LeafIndex) error {
	tbs, err := n.leafNodeTBS(groupID, leaf)
	if err != nil {
		return err
	}
	if err := VerifyWithLabel(suite, n.SignatureKey, "LeafNodeTBS", tbs, n.Signature); err != nil {
		return invalid("7.3", "signature of a leaf node does not verify")
	}
	return nil
}

// ParentNode holds the key pair shared by the members below it
// (RFC 9420, Section 7.1).
type ParentNode struct {
	EncryptionKey  HPKEPublicKey
	ParentHash     []byte
	UnmergedLeaves []LeafIndex // ascending
}

func (n *ParentNode) wire(c *wire.Codec) {
	wire.Opaque(c, &n.EncryptionKey)
	wire.Opaque(c, &n.ParentHash)
	wire.Vector(c, &n.UnmergedLeaves, number32[LeafIndex])
}

// NodeType says which kind of tree node follows (RFC 9420, Section 12.4.3.3).
type NodeType uint8

// Kinds of tree node.
const (
	NodeTypeLeaf   NodeType = 1
	NodeTypeParent NodeType = 2
)

// Node is one node of the ratchet tree that is not blank
// (RFC 9420, Section 12.4.3.3). Exactly one of Leaf and Parent is set.
type Node struct {
	Leaf   *LeafNode
	Parent *ParentNode
}

func (n *Node) wire(c *wire.Codec) {
	t := NodeTypeParent
	if n.Leaf != nil {
		t = NodeTypeLeaf
	}
	wire.Uint8(c, &t)
	switch t {
	case NodeTypeLeaf:
		wirePointer(c, &n.Leaf, (*LeafNode).wire)
	case NodeTypeParent:
		wirePointer(c, &n.Parent, (*ParentNode).wire)
	default:
		c.Fail(fmt.Sprintf("tree node type %d", t))
	}
}

// wirePointer codes *v without a presence byte, for the arms of a select. A nil
// pointer fails when encoding.
func wirePointer[T any](c *wire.Codec, v **T, fields func(*T, *wire.Codec)) {
	if c.Decoding() {
		*v = new(T)
	}
	if *v == nil {
		c.Fail("the body that the type asks for is missing")
		return
	}
	fields(*v, c)
}
