package mls

import "codeberg.org/huis/huis/internal/wire"

// GroupContext is what the members of an epoch agree on
// (RFC 9420, Section 8.1).
type GroupContext struct {
	Version                 ProtocolVersion
	CipherSuite             CipherSuite
	GroupID                 []byte
	Epoch                   uint64
	TreeHash                []byte
	ConfirmedTranscriptHash []byte
	Extensions              []Extension
}

func (g *GroupContext) wire(c *wire.Codec) {
	wire.Uint16(c, &g.Version)
	wire.Uint16(c, &g.CipherSuite)
	wire.Opaque(c, &g.GroupID)
	wire.Uint64(c, &g.Epoch)
	wire.Opaque(c, &g.TreeHash)
	wire.Opaque(c, &g.ConfirmedTranscriptHash)
	wire.Vector(c, &g.Extensions, (*Extension).wire)
}

// Encode returns the serialized context, which every key of the epoch depends on.
func (g *GroupContext) Encode() ([]byte, error) { return wire.Encode(g.wire) }
