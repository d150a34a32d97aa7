package mls

import "codeberg.org/huis/huis/internal/wire"

// GroupInfo describes an epoch to one who is not in it
// (RFC 9420, Section 12.4.3).
type GroupInfo struct {
	GroupContext    GroupContext
	Extensions      []Extension
	ConfirmationTag []byte
	Signer          LeafIndex
	Signature       []byte
}

func (g *GroupInfo) wire(c *wire.Codec) {
	g.wireUnsigned(c)
	wire.Opaque(c, &g.Signature)
}

func (g *GroupInfo) wireUnsigned(c *wire.Codec) {
	g.GroupContext.wire(c)
	wire.Vector(c, &g.Extensions, (*Extension).wire)
	wire.Opaque(c, &g.ConfirmationTag)
	wire.Uint32(c, &g.Signer)
}

// Encode returns the bare structure, as ParseGroupInfo reads it.
func (g *GroupInfo) Encode() ([]byte, error) { return wire.Encode(g.wire) }

// ParseGroupInfo reads a bare GroupInfo; it verifies nothing.
func ParseGroupInfo(b []byte) (*GroupInfo, error) { return parse(b, (*GroupInfo).wire) }

// PathSecret is the secret of the lowest node a new member shares with the
// committer (RFC 9420, Section 12.4.3.1).
type PathSecret struct{ PathSecret Secret }

func (p *PathSecret) wire(c *wire.Codec) { wire.Opaque(c, &p.PathSecret) }

// GroupSecrets is what a Welcome seals to one new member
// (RFC 9420, Section 12.4.3.1).
type GroupSecrets struct {
	JoinerSecret Secret
	PathSecret   *PathSecret // nil: the commit had no path
	PSKs         []PreSharedKeyID
}

func (s *GroupSecrets) wire(c *wire.Codec) {
	wire.Opaque(c, &s.JoinerSecret)
	wire.Optional(c, &s.PathSecret, (*PathSecret).wire)
	wire.Vector(c, &s.PSKs, (*PreSharedKeyID).wire)
}

// EncryptedGroupSecrets is GroupSecrets sealed to the init key of one key
// package (RFC 9420, Section 12.4.3.1).
type EncryptedGroupSecrets struct {
	NewMember             KeyPackageRef
	EncryptedGroupSecrets HPKECiphertext
}

func (s *EncryptedGroupSecrets) wire(c *wire.Codec) {
	wire.Opaque(c, &s.NewMember)
	s.EncryptedGroupSecrets.wire(c)
}

// Welcome lets new members enter the epoch their Add began
// (RFC 9420, Section 12.4.3.1).
type Welcome struct {
	CipherSuite        CipherSuite
	Secrets            []EncryptedGroupSecrets
	EncryptedGroupInfo []byte
}

func (w *Welcome) wire(c *wire.Codec) {
	wire.Uint16(c, &w.CipherSuite)
	wire.Vector(c, &w.Secrets, (*EncryptedGroupSecrets).wire)
	wire.Opaque(c, &w.EncryptedGroupInfo)
}

// Encode returns the bare structure, as ParseWelcome reads it.
func (w *Welcome) Encode() ([]byte, error) { return wire.Encode(w.wire) }

// ParseWelcome reads a bare Welcome; it verifies nothing.
func ParseWelcome(b []byte) (*Welcome, error) { return parse(b, (*Welcome).wire) }
