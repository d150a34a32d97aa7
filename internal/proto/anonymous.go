package proto

import "codeberg.org/huis/huis/internal/wire"

// InfoRequest asks what server this is.
type InfoRequest = Empty

// InfoResponse describes the server. Clients check Origin, Generation and
// StampKeys against what they know; Now is a hint only.
type InfoResponse struct {
	Origin        string // host[:port] the proofs of a session are made for
	Version       uint16
	Generation    Generation
	StampKeys     []StampKey // every key ever used, oldest first
	Now           uint64     // Unix time in seconds
	RetentionDays uint16     // entries live that long
	PackagePool   uint16     // key packages to publish per device
	LogKey        [32]byte   // verifies the log's checkpoints under Origin
	VRFKey        [32]byte   // verifies where the log's map keeps a label
}

// Wire codes the answer.
func (r *InfoResponse) Wire(c *wire.Codec) {
	wire.String(c, &r.Origin, 300)
	wire.Uint16(c, &r.Version)
	r.Generation.Wire(c)
	wire.Vector(c, &r.StampKeys, (*StampKey).Wire)
	wire.Uint64(c, &r.Now)
	wire.Uint16(c, &r.RetentionDays)
	wire.Uint16(c, &r.PackagePool)
	wire.Fixed(c, r.LogKey[:])
	wire.Fixed(c, r.VRFKey[:])
}

// NonceRequest asks for a nonce to sign over.
type NonceRequest = Empty

// NonceResponse is good for one signature within 60 s.
type NonceResponse struct{ Nonce Nonce }

// Wire codes the answer.
func (r *NonceResponse) Wire(c *wire.Codec) { r.Nonce.Wire(c) }

// InviteCheckRequest asks whether an invitation still holds; it consumes nothing.
type InviteCheckRequest struct{ Invite Token }

// Wire codes the request.
func (r *InviteCheckRequest) Wire(c *wire.Codec) { r.Invite.Wire(c) }

// InviteCheckResponse says how long it holds.
type InviteCheckResponse struct {
	Expires uint64 // Unix time in seconds
	Uses    uint16 // left
}

// Wire codes the answer.
func (r *InviteCheckResponse) Wire(c *wire.Codec) {
	wire.Uint64(c, &r.Expires)
	wire.Uint16(c, &r.Uses)
}

// RegisterRequest makes an account. Links is its chain from GENESIS on. A
// refusal consumes nothing; the same request again has the same answer. With
// Reset the account takes over the handle of another, for which the invitation
// was made (Token.ResetHash).
type RegisterRequest struct {
	Invite Token
	Handle string
	Links  [][]byte
	Reset  bool
}

// Wire codes the request.
func (r *RegisterRequest) Wire(c *wire.Codec) {
	r.Invite.Wire(c)
	wire.String(c, &r.Handle, MaxHandle)
	wire.Vector(c, &r.Links, bytesItem(MaxLink))
	wire.Bool(c, &r.Reset)
}

// RegisterResponse names the account made.
type RegisterResponse struct{ Account AccountID }

// Wire codes the answer.
func (r *RegisterResponse) Wire(c *wire.Codec) { r.Account.Wire(c) }

// MailboxPostRequest puts one sealed item into a side of a linking mailbox.
// The mailbox lives in the server's memory for 15 minutes.
type MailboxPostRequest struct {
	ID     MailboxID
	Side   uint8  // 0: the new device writes, 1: the old one
	Index  uint32 // counts from 0; posting an index again replaces nothing
	Sealed []byte
}

// Wire codes the request.
func (r *MailboxPostRequest) Wire(c *wire.Codec) {
	r.ID.Wire(c)
	wire.Uint8(c, &r.Side)
	wire.Uint32(c, &r.Index)
	wire.OpaqueMax(c, &r.Sealed, MaxMailboxItem)
}

// MailboxFetchRequest reads the items of a side from index From on, waiting up
// to WaitMillis milliseconds for one.
type MailboxFetchRequest struct {
	ID         MailboxID
	Side       uint8
	From       uint32
	WaitMillis uint32
}

// Wire codes the request.
func (r *MailboxFetchRequest) Wire(c *wire.Codec) {
	r.ID.Wire(c)
	wire.Uint8(c, &r.Side)
	wire.Uint32(c, &r.From)
	wire.Uint32(c, &r.WaitMillis)
}

// MailboxFetchResponse holds the items From, From+1, …; none after a wait in vain.
type MailboxFetchResponse struct{ Items [][]byte }

// Wire codes the answer.
func (r *MailboxFetchResponse) Wire(c *wire.Codec) {
	wire.Vector(c, &r.Items, bytesItem(MaxMailboxItem))
}
