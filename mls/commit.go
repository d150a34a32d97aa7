package mls

import (
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// ProposalOrRefType says how a commit names a proposal
// (RFC 9420, Section 12.4).
type ProposalOrRefType uint8

// Ways to name a proposal.
const (
	ProposalByValue     ProposalOrRefType = 1
	ProposalByReference ProposalOrRefType = 2
)

// ProposalOrRef is a proposal, or the reference of one sent before
// (RFC 9420, Section 12.4). Reference is used when Proposal is nil.
type ProposalOrRef struct {
	Proposal  *Proposal
	Reference ProposalRef
}

func (p *ProposalOrRef) wire(c *wire.Codec) {
	t := ProposalByReference
	if p.Proposal != nil {
		t = ProposalByValue
	}
	wire.Uint8(c, &t)
	switch t {
	case ProposalByValue:
		wirePointer(c, &p.Proposal, (*Proposal).wire)
	case ProposalByReference:
		wire.Opaque(c, &p.Reference)
	default:
		c.Fail(fmt.Sprintf("proposal or reference type %d", t))
	}
}

// Commit applies proposals and starts an epoch (RFC 9420, Section 12.4).
type Commit struct {
	Proposals []ProposalOrRef
	Path      *UpdatePath // nil: no path
}

func (m *Commit) wire(c *wire.Codec) {
	wire.Vector(c, &m.Proposals, (*ProposalOrRef).wire)
	wire.Optional(c, &m.Path, (*UpdatePath).wire)
}

// UpdatePath gives new keys to the committer's leaf and its direct path
// (RFC 9420, Section 7.6).
type UpdatePath struct {
	LeafNode LeafNode
	Nodes    []UpdatePathNode // filtered direct path, leaf to root
}

func (p *UpdatePath) wire(c *wire.Codec) {
	p.LeafNode.wire(c)
	wire.Vector(c, &p.Nodes, (*UpdatePathNode).wire)
}

// UpdatePathNode is a new parent key and its path secret, sealed to each node in
// the resolution of the copath child (RFC 9420, Section 7.6).
type UpdatePathNode struct {
	EncryptionKey       HPKEPublicKey
	EncryptedPathSecret []HPKECiphertext
}

func (n *UpdatePathNode) wire(c *wire.Codec) {
	wire.Opaque(c, &n.EncryptionKey)
	wire.Vector(c, &n.EncryptedPathSecret, (*HPKECiphertext).wire)
}

// HPKECiphertext is a path or group secret sealed to one public key
// (RFC 9420, Section 7.6).
type HPKECiphertext struct {
	KEMOutput  []byte // encapsulated key
	Ciphertext []byte
}

func (h *HPKECiphertext) wire(c *wire.Codec) {
	wire.Opaque(c, &h.KEMOutput)
	wire.Opaque(c, &h.Ciphertext)
}
