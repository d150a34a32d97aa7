package proto

import "codeberg.org/huis/huis/internal/wire"

// Bounds of what one answer about the log carries.
const (
	MaxCheckpoint = 64 << 10 // bytes of a signed note
	MaxProof      = 64       // hashes of a consistency or inclusion proof
	MaxLogEpochs  = 500      // epochs of one answer
	MaxLogBytes   = 4 << 20  // batches of one answer, beyond the first
)

// LogHeadRequest asks for the newest checkpoint. From is the size of the log
// the caller knows, 0: nothing.
type LogHeadRequest struct{ From uint64 }

// Wire codes the request.
func (r *LogHeadRequest) Wire(c *wire.Codec) { wire.Uint64(c, &r.From) }

// LogHeadResponse is what kt.VerifyCheckpoint, kt.CheckConsistency and
// kt.CheckInclusion take.
type LogHeadResponse struct {
	Checkpoint  []byte // signed note with cosignatures
	Consistency []Hash
	Record      []byte // kt.EpochRecord of the last epoch
	Inclusion   []Hash // of Record
}

// Wire codes the answer.
func (r *LogHeadResponse) Wire(c *wire.Codec) {
	wire.OpaqueMax(c, &r.Checkpoint, MaxCheckpoint)
	wire.Vector(c, &r.Consistency, (*Hash).Wire)
	wire.OpaqueMax(c, &r.Record, 1<<10)
	wire.Vector(c, &r.Inclusion, (*Hash).Wire)
}

// LogEpochsRequest asks for epochs, for replaying them: members only.
type LogEpochsRequest struct {
	Session SessionID
	From    uint64
}

// Wire codes the request.
func (r *LogEpochsRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.Uint64(c, &r.From)
}

// LogEpoch is one epoch: a kt.EpochRecord and the encoded list of its
// kt.BatchEntry.
type LogEpoch struct {
	Record []byte
	Batch  []byte
}

// Wire codes the epoch.
func (e *LogEpoch) Wire(c *wire.Codec) {
	wire.OpaqueMax(c, &e.Record, 1<<10)
	wire.OpaqueMax(c, &e.Batch, 16<<20)
}

// LogEpochsResponse holds epochs in order, none if From is the log's size.
type LogEpochsResponse struct{ Epochs []LogEpoch }

// Wire codes the answer.
func (r *LogEpochsResponse) Wire(c *wire.Codec) { wire.Vector(c, &r.Epochs, (*LogEpoch).Wire) }

// LogProof proves all values of a label in the map of one epoch.
type LogProof struct {
	VRF      [80]byte // kt.VRFProof of the label
	Openings [][16]byte
	Map      []byte // kt.MapProof
	Epoch    uint64 // whose map
}

// Wire codes the proof.
func (p *LogProof) Wire(c *wire.Codec) {
	wire.Fixed(c, p.VRF[:])
	wire.Vector(c, &p.Openings, func(o *[16]byte, c *wire.Codec) { wire.Fixed(c, o[:]) })
	wire.OpaqueMax(c, &p.Map, 16<<10)
	wire.Uint64(c, &p.Epoch)
}

// ChainProofRequest asks for what the log says of an account. At is the number
// of a distinguished epoch of the last 90 days, 0: the newest epoch. Handle is a
// name that the account left, "" the one it has.
type ChainProofRequest struct {
	Session SessionID
	Account AccountID
	At      uint64
	Handle  string
}

// Wire codes the request.
func (r *ChainProofRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.Account.Wire(c)
	wire.Uint64(c, &r.At)
	wire.String(c, &r.Handle, MaxHandle)
}

// ChainProofResponse has the handle, which is the label, all links in the map
// and their proof.
type ChainProofResponse struct {
	Handle string
	Links  [][]byte
	Proof  LogProof
}

// Wire codes the answer.
func (r *ChainProofResponse) Wire(c *wire.Codec) {
	wire.String(c, &r.Handle, MaxHandle)
	wire.Vector(c, &r.Links, bytesItem(MaxLink))
	r.Proof.Wire(c)
}

// LogEntryRequest asks for a label that is no account's: a stamp key, a
// release, another log's key.
type LogEntryRequest struct {
	Kind  uint8
	Label []byte
}

// Wire codes the request.
func (r *LogEntryRequest) Wire(c *wire.Codec) {
	wire.Uint8(c, &r.Kind)
	wire.OpaqueMax(c, &r.Label, 1<<10)
}

// LogEntryResponse has the label's values, none if the map does not have it,
// which the proof then proves.
type LogEntryResponse struct {
	Values [][]byte
	Proof  LogProof
}

// Wire codes the answer.
func (r *LogEntryResponse) Wire(c *wire.Codec) {
	wire.Vector(c, &r.Values, bytesItem(64<<10))
	r.Proof.Wire(c)
}
