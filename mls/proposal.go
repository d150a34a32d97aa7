package mls

import "codeberg.org/huis/huis/internal/wire"

// ProposalType names a proposal (RFC 9420, Section 17.4).
type ProposalType uint16

// Proposal types of RFC 9420. Any other is custom: see Proposal.Custom.
const (
	ProposalAdd                    ProposalType = 1
	ProposalUpdate                 ProposalType = 2
	ProposalRemove                 ProposalType = 3
	ProposalPSK                    ProposalType = 4
	ProposalReInit                 ProposalType = 5
	ProposalExternalInit           ProposalType = 6
	ProposalGroupContextExtensions ProposalType = 7
)

// Proposal is a change to the group that a commit may apply
// (RFC 9420, Section 12.1). Exactly the field named by Type is set.
type Proposal struct {
	Type                   ProposalType
	Add                    *Add
	Update                 *Update
	Remove                 *Remove
	PreSharedKey           *PreSharedKey
	ReInit                 *ReInit
	ExternalInit           *ExternalInit
	GroupContextExtensions *GroupContextExtensions
	// Custom is the body of a type RFC 9420 does not define. It travels as
	// opaque<V>; its meaning is the application's.
	Custom []byte
}

func (p *Proposal) wire(c *wire.Codec) {
	wire.Uint16(c, &p.Type)
	switch p.Type {
	case 0:
		c.Fail("proposal type 0 is reserved")
	case ProposalAdd:
		wirePointer(c, &p.Add, (*Add).wire)
	case ProposalUpdate:
		wirePointer(c, &p.Update, (*Update).wire)
	case ProposalRemove:
		wirePointer(c, &p.Remove, (*Remove).wire)
	case ProposalPSK:
		wirePointer(c, &p.PreSharedKey, (*PreSharedKey).wire)
	case ProposalReInit:
		wirePointer(c, &p.ReInit, (*ReInit).wire)
	case ProposalExternalInit:
		wirePointer(c, &p.ExternalInit, (*ExternalInit).wire)
	case ProposalGroupContextExtensions:
		wirePointer(c, &p.GroupContextExtensions, (*GroupContextExtensions).wire)
	default:
		wire.Opaque(c, &p.Custom)
	}
}

// ProposalRef identifies a proposal by the hash of the message that carried it
// (RFC 9420, Section 5.2).
type ProposalRef []byte

// Add brings in the owner of a key package (RFC 9420, Section 12.1.1).
type Add struct{ KeyPackage KeyPackage }

func (p *Add) wire(c *wire.Codec) { p.KeyPackage.wire(c) }

// Update replaces the sender's leaf (RFC 9420, Section 12.1.2).
type Update struct{ LeafNode LeafNode }

func (p *Update) wire(c *wire.Codec) { p.LeafNode.wire(c) }

// Remove blanks a leaf (RFC 9420, Section 12.1.3).
type Remove struct{ Removed LeafIndex }

func (p *Remove) wire(c *wire.Codec) { wire.Uint32(c, &p.Removed) }

// PreSharedKey mixes a key into the key schedule (RFC 9420, Section 12.1.4).
type PreSharedKey struct{ PSK PreSharedKeyID }

func (p *PreSharedKey) wire(c *wire.Codec) { p.PSK.wire(c) }

// ReInit ends the group in favour of a new one (RFC 9420, Section 12.1.5).
type ReInit struct {
	GroupID     []byte
	Version     ProtocolVersion
	CipherSuite CipherSuite
	Extensions  []Extension
}

func (p *ReInit) wire(c *wire.Codec) {
	wire.Opaque(c, &p.GroupID)
	wire.Uint16(c, &p.Version)
	wire.Uint16(c, &p.CipherSuite)
	wire.Vector(c, &p.Extensions, (*Extension).wire)
}

// ExternalInit carries an external joiner's init secret
// (RFC 9420, Section 12.1.6).
type ExternalInit struct{ KEMOutput []byte }

func (p *ExternalInit) wire(c *wire.Codec) { wire.Opaque(c, &p.KEMOutput) }

// GroupContextExtensions replaces the group's extensions
// (RFC 9420, Section 12.1.7).
type GroupContextExtensions struct{ Extensions []Extension }

func (p *GroupContextExtensions) wire(c *wire.Codec) {
	wire.Vector(c, &p.Extensions, (*Extension).wire)
}
