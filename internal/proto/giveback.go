package proto

import "codeberg.org/huis/huis/internal/wire"

// Bounds of what one request gives back to a restored server, in bytes.
const (
	MaxGiveLog     = 8 << 20 // an epoch has about 500 KiB at most, the chain of policies 2 MiB
	GiveLogPage    = 1 << 20 // how much of the log a client puts into one request, unless an epoch has more
	MaxGiveEntries = 4 << 20 // a commit has at most 2 MiB
	MaxGiveCount   = 256     // entries of one request, whose signatures have to be verified
)

// GiveLogRequest gives a restored server the end of its own log back: the epochs
// from the size it has up to the one of a checkpoint it signed, or some of them
// with the proof that the checkpoint continues them; and the chain of its witness
// policies, which the log vouches for.
type GiveLogRequest struct {
	Checkpoint  []byte // signed note
	Epochs      []LogEpoch
	Consistency []Hash   // from the size after Epochs to the checkpoint's; empty if they are the same
	Policies    [][]byte // kt.SignedPolicy, all from the first on
}

// Wire codes the request.
func (r *GiveLogRequest) Wire(c *wire.Codec) {
	wire.OpaqueMax(c, &r.Checkpoint, MaxCheckpoint)
	wire.Vector(c, &r.Epochs, (*LogEpoch).Wire)
	wire.Vector(c, &r.Consistency, (*Hash).Wire)
	wire.Vector(c, &r.Policies, bytesItem(MaxPolicy))
}

// GiveAccountRequest gives an account's chain back, or more of it than the
// server has. The log, which has to be there before, vouches for it.
type GiveAccountRequest struct {
	Handle string
	Links  [][]byte
}

// Wire codes the request.
func (r *GiveAccountRequest) Wire(c *wire.Codec) {
	wire.String(c, &r.Handle, MaxHandle)
	wire.Vector(c, &r.Links, bytesItem(MaxLink))
}

// GiveEntriesRequest gives the end of a conversation's log back: entries with
// the receipts they had, following the server's head. Without entries it asks
// for that head.
type GiveEntriesRequest struct {
	Conversation ConversationID
	Entries      []Stamped
}

// Wire codes the request.
func (r *GiveEntriesRequest) Wire(c *wire.Codec) {
	r.Conversation.Wire(c)
	wire.Vector(c, &r.Entries, (*Stamped).Wire)
}

// GiveEntriesResponse is the head now; Seq is 0 if the conversation is not there.
type GiveEntriesResponse struct {
	Seq   uint64
	Chain Hash
}

// Wire codes the answer.
func (r *GiveEntriesResponse) Wire(c *wire.Codec) {
	wire.Uint64(c, &r.Seq)
	r.Chain.Wire(c)
}

// GiveDoneRequest says that this device has given back all it has.
type GiveDoneRequest struct{ Session SessionID }

// Wire codes the request.
func (r *GiveDoneRequest) Wire(c *wire.Codec) { r.Session.Wire(c) }

// GiveDoneResponse tells whether the server still waits for other devices.
type GiveDoneResponse struct{ Waiting bool }

// Wire codes the answer.
func (r *GiveDoneResponse) Wire(c *wire.Codec) { wire.Bool(c, &r.Waiting) }
