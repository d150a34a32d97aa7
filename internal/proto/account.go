package proto

import "codeberg.org/huis/huis/internal/wire"

// AccountOpenRequest opens an account's session; Sig is the device's message
// key over SessionProof.
type AccountOpenRequest struct {
	Account AccountID
	Device  DeviceID
	Nonce   Nonce
	Sig     Signature
}

// Wire codes the request.
func (r *AccountOpenRequest) Wire(c *wire.Codec) {
	r.Account.Wire(c)
	r.Device.Wire(c)
	r.Nonce.Wire(c)
	r.Sig.Wire(c)
}

// AccountOpenResponse is the session, in the server's memory only.
type AccountOpenResponse struct {
	Session SessionID
	Admin   bool // may invite
}

// Wire codes the answer.
func (r *AccountOpenResponse) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.Bool(c, &r.Admin)
}

// InviteRequest makes an invitation whose token only the inviter knows.
type InviteRequest struct {
	Session   SessionID
	TokenHash Hash // Token.Hash
	Uses      uint16
	Expires   uint64 // Unix time in seconds
}

// Wire codes the request.
func (r *InviteRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.TokenHash.Wire(c)
	wire.Uint16(c, &r.Uses)
	wire.Uint64(c, &r.Expires)
}

// ChainAppendRequest adds one link to the session's account.
type ChainAppendRequest struct {
	Session SessionID
	Link    []byte
}

// Wire codes the request.
func (r *ChainAppendRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.OpaqueMax(c, &r.Link, MaxLink)
}

// VetoRequest objects to the account that took over the name of the session's.
type VetoRequest struct {
	Session   SessionID
	Statement []byte // kt.Statement
}

// Wire codes the request.
func (r *VetoRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.OpaqueMax(c, &r.Statement, MaxLink)
}

// LookupRequest asks for the account behind a handle.
type LookupRequest struct {
	Session SessionID
	Handle  string
}

// Wire codes the request.
func (r *LookupRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.String(c, &r.Handle, MaxHandle)
}

// LookupResponse is the account with its whole chain.
type LookupResponse struct {
	Account AccountID
	Links   [][]byte
}

// Wire codes the answer.
func (r *LookupResponse) Wire(c *wire.Codec) {
	r.Account.Wire(c)
	wire.Vector(c, &r.Links, bytesItem(MaxLink))
}

// PublishRequest replaces the pool of key packages of the session's device.
type PublishRequest struct {
	Session    SessionID
	Packages   [][]byte // MLS KeyPackages
	LastResort []byte   // empty: keep the one there is
}

// Wire codes the request.
func (r *PublishRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.Vector(c, &r.Packages, bytesItem(2*MaxKeyPackage))
	wire.OpaqueMax(c, &r.LastResort, 2*MaxKeyPackage)
}

// PackageCountRequest asks how many packages of the session's device are left.
type PackageCountRequest struct{ Session SessionID }

// Wire codes the request.
func (r *PackageCountRequest) Wire(c *wire.Codec) { r.Session.Wire(c) }

// PackageCountResponse counts without the last resort.
type PackageCountResponse struct {
	Count      uint32
	LastResort bool
}

// Wire codes the answer.
func (r *PackageCountResponse) Wire(c *wire.Codec) {
	wire.Uint32(c, &r.Count)
	wire.Bool(c, &r.LastResort)
}

// ClaimRequest takes one key package of every device of an account. With
// Device set, of that device only.
type ClaimRequest struct {
	Session SessionID
	Account AccountID
	Device  DeviceID // zeros: every device
}

// Wire codes the request.
func (r *ClaimRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.Account.Wire(c)
	r.Device.Wire(c)
}

// Claimed is one device's key package and the ticket into its inbox (7 days,
// one use).
type Claimed struct {
	Device     DeviceID
	KeyPackage []byte
	LastResort bool
	Ticket     Ticket
}

// Wire codes the item.
func (p *Claimed) Wire(c *wire.Codec) {
	p.Device.Wire(c)
	wire.OpaqueMax(c, &p.KeyPackage, MaxKeyPackage)
	wire.Bool(c, &p.LastResort)
	p.Ticket.Wire(c)
}

// ClaimResponse has one package per device that has any left.
type ClaimResponse struct{ Packages []Claimed }

// Wire codes the answer.
func (r *ClaimResponse) Wire(c *wire.Codec) {
	wire.Vector(c, &r.Packages, (*Claimed).Wire)
}

// InboxPostRequest puts a sealed item into an account's inbox, or one device's.
type InboxPostRequest struct {
	Session SessionID
	Account AccountID
	Device  DeviceID // zeros: any device of the account reads and acknowledges it
	Sealed  []byte
}

// Wire codes the request.
func (r *InboxPostRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.Account.Wire(c)
	r.Device.Wire(c)
	wire.OpaqueMax(c, &r.Sealed, 2*MaxInboxItem)
}

// InboxFetchRequest reads the items of the session's device and those of its
// account, ordered by their random ID, above After. It waits up to WaitMillis
// milliseconds for one.
type InboxFetchRequest struct {
	Session    SessionID
	After      InboxItemID // zeros: from the first
	WaitMillis uint32
}

// Wire codes the request.
func (r *InboxFetchRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.After.Wire(c)
	wire.Uint32(c, &r.WaitMillis)
}

// InboxItem is one sealed item.
type InboxItem struct {
	ID     InboxItemID
	Sealed []byte
}

// Wire codes the item.
func (i *InboxItem) Wire(c *wire.Codec) {
	i.ID.Wire(c)
	wire.OpaqueMax(c, &i.Sealed, MaxInboxItem)
}

// InboxFetchResponse holds some items; More says there are others above the last.
type InboxFetchResponse struct {
	Items []InboxItem
	More  bool
}

// Wire codes the answer.
func (r *InboxFetchResponse) Wire(c *wire.Codec) {
	wire.Vector(c, &r.Items, (*InboxItem).Wire)
	wire.Bool(c, &r.More)
}

// InboxAckRequest deletes items. The client stored what they say before.
// Unknown items are ignored.
type InboxAckRequest struct {
	Session SessionID
	IDs     []InboxItemID
}

// Wire codes the request.
func (r *InboxAckRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.Vector(c, &r.IDs, (*InboxItemID).Wire)
}

// CreateTokenRequest asks for a token that allows one create.
type CreateTokenRequest struct{ Session SessionID }

// Wire codes the request.
func (r *CreateTokenRequest) Wire(c *wire.Codec) { r.Session.Wire(c) }

// CreateTokenResponse is the token; the server keeps its hash and expiry day.
type CreateTokenResponse struct{ Token Token }

// Wire codes the answer.
func (r *CreateTokenResponse) Wire(c *wire.Codec) { r.Token.Wire(c) }
