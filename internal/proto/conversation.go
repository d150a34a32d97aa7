package proto

import "codeberg.org/huis/huis/internal/wire"

// CreateRequest begins a conversation's log at epoch 1. Entry is of kind
// create; its Bytes list the member keys, the creator's (its MK) among them.
type CreateRequest struct {
	Token Token
	Entry Entry
	Extra Extra
}

// Wire codes the request.
func (r *CreateRequest) Wire(c *wire.Codec) {
	r.Token.Wire(c)
	r.Entry.Wire(c)
	r.Extra.Wire(c)
}

// CreateResponse is the receipt of entry 1, and that of the reform notice in
// the predecessor's log if there was one.
type CreateResponse struct {
	Receipt Receipt
	Reform  *Receipt
}

// Wire codes the answer.
func (r *CreateResponse) Wire(c *wire.Codec) {
	r.Receipt.Wire(c)
	wire.Optional(c, &r.Reform, (*Receipt).Wire)
}

// AppendRequest submits an application entry or a notice.
type AppendRequest struct{ Entry Entry }

// Wire codes the request.
func (r *AppendRequest) Wire(c *wire.Codec) { r.Entry.Wire(c) }

// AppendResponse is the receipt; the same again for the same entry.
type AppendResponse struct{ Receipt Receipt }

// Wire codes the answer.
func (r *AppendResponse) Wire(c *wire.Codec) { r.Receipt.Wire(c) }

// CommitRequest submits a commit with its joiners' packages and blob pins, all
// or nothing. Extra.Reform must be absent.
type CommitRequest struct {
	Entry Entry
	Extra Extra
}

// Wire codes the request.
func (r *CommitRequest) Wire(c *wire.Codec) {
	r.Entry.Wire(c)
	r.Extra.Wire(c)
}

// CommitResponse is the receipt; the same again for the same entry.
type CommitResponse struct{ Receipt Receipt }

// Wire codes the answer.
func (r *CommitResponse) Wire(c *wire.Codec) { r.Receipt.Wire(c) }

// OpenRequest opens a member key's session; Sig is by MK over OpenProof. Before
// its create, a conversation's session is opened with the token of that create;
// it serves to upload the blobs the create will pin, and nothing else.
type OpenRequest struct {
	Conversation ConversationID
	MK           MemberKey
	Nonce        Nonce
	Sig          Signature
	Token        *Token // only before the create; it is not used up
}

// Wire codes the request.
func (r *OpenRequest) Wire(c *wire.Codec) {
	r.Conversation.Wire(c)
	r.MK.Wire(c)
	r.Nonce.Wire(c)
	r.Sig.Wire(c)
	wire.Optional(c, &r.Token, (*Token).Wire)
}

// OpenResponse is the session, in the server's memory only.
type OpenResponse struct {
	Session SessionID
	From    uint64 // the first seq this key may read
	Until   uint64 // the last; 0 while the key is live
}

// Wire codes the answer.
func (r *OpenResponse) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.Uint64(c, &r.From)
	wire.Uint64(c, &r.Until)
}

// ReadRequest asks for entries with seq > After. After 0 begins at the first
// this key may read. Max 0 means as many as the server gives at once.
type ReadRequest struct {
	Session SessionID
	After   uint64
	Max     uint32
}

// Wire codes the request.
func (r *ReadRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.Uint64(c, &r.After)
	wire.Uint32(c, &r.Max)
}

// ReadResponse holds entries in seq order without a gap. Fewer than there are
// may come: read on until the last one's seq is HeadSeq.
type ReadResponse struct {
	Entries []Stamped
	HeadSeq uint64 // the last entry this key may read
	Epoch   uint64 // the conversation's; of a closed key that of the last entry it may read
}

// Wire codes the answer.
func (r *ReadResponse) Wire(c *wire.Codec) {
	wire.Vector(c, &r.Entries, (*Stamped).Wire)
	wire.Uint64(c, &r.HeadSeq)
	wire.Uint64(c, &r.Epoch)
}

// Blob requests: Session is a member key's, or an account's for its backup.

// BlobBeginRequest announces a blob. Again with the same fields: no effect.
type BlobBeginRequest struct {
	Session SessionID
	ID      BlobID
	Size    uint64 // bytes, at most MaxBlob
	Hash    Hash   // SHA-256 of all bytes
}

// Wire codes the request.
func (r *BlobBeginRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.ID.Wire(c)
	wire.Uint64(c, &r.Size)
	r.Hash.Wire(c)
}

// BlobPutRequest uploads part Part: bytes Part × MaxBlobPart on. Every part but
// the last is MaxBlobPart long. Parts may come in any order and again.
type BlobPutRequest struct {
	Session SessionID
	ID      BlobID
	Part    uint32
	Bytes   []byte
}

// Wire codes the request.
func (r *BlobPutRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.ID.Wire(c)
	wire.Uint32(c, &r.Part)
	wire.OpaqueMax(c, &r.Bytes, MaxBlobPart)
}

// BlobStatRequest asks which parts have arrived.
type BlobStatRequest struct {
	Session SessionID
	ID      BlobID
}

// Wire codes the request.
func (r *BlobStatRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.ID.Wire(c)
}

// BlobStatResponse tells the state of an upload.
type BlobStatResponse struct {
	Size  uint64
	Done  bool   // finished; Parts is empty then
	Parts []byte // bit n%8 of byte n/8 is set when part n is on disk
}

// Wire codes the answer.
func (r *BlobStatResponse) Wire(c *wire.Codec) {
	wire.Uint64(c, &r.Size)
	wire.Bool(c, &r.Done)
	wire.OpaqueMax(c, &r.Parts, MaxBlob/MaxBlobPart/8+1)
}

// Has tells whether part n is on disk.
func (r *BlobStatResponse) Has(n uint32) bool {
	return r.Done || uint64(n/8) < uint64(len(r.Parts)) && r.Parts[n/8]>>(n%8)&1 == 1
}

// BlobFinishRequest ends an upload; the server compares the hash.
type BlobFinishRequest struct {
	Session SessionID
	ID      BlobID
}

// Wire codes the request.
func (r *BlobFinishRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	r.ID.Wire(c)
}

// BlobGetRequest reads part of a finished blob. Knowing the ID is the right to.
type BlobGetRequest struct {
	ID     BlobID
	Offset uint64
	Length uint32 // at most MaxBlobPart
}

// Wire codes the request.
func (r *BlobGetRequest) Wire(c *wire.Codec) {
	r.ID.Wire(c)
	wire.Uint64(c, &r.Offset)
	wire.Uint32(c, &r.Length)
}

// BlobGetResponse has fewer bytes than asked only at the blob's end.
type BlobGetResponse struct {
	Size  uint64 // of the whole blob
	Bytes []byte
}

// Wire codes the answer.
func (r *BlobGetResponse) Wire(c *wire.Codec) {
	wire.Uint64(c, &r.Size)
	wire.OpaqueMax(c, &r.Bytes, MaxBlobPart)
}

// PinRequest keeps finished blobs: for Days days, or until unpinned when Days
// is 0. Pinning again sets Days anew. A blob of a conversation is pinned by
// conversations only, one of an account by that account only.
type PinRequest struct {
	Session SessionID
	IDs     []BlobID
	Days    uint16
}

// Wire codes the request.
func (r *PinRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.Vector(c, &r.IDs, (*BlobID).Wire)
	wire.Uint16(c, &r.Days)
}

// UnpinRequest ends the session's pins. A blob nobody pins dies after 24 h.
type UnpinRequest struct {
	Session SessionID
	IDs     []BlobID
}

// Wire codes the request.
func (r *UnpinRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.Vector(c, &r.IDs, (*BlobID).Wire)
}

// Subscribe is what a client sends over /v1/push: the sessions of its lane it
// wants hints for. A later one replaces an earlier one.
type Subscribe struct{ Sessions []SessionID }

// Wire codes the message.
func (s *Subscribe) Wire(c *wire.Codec) {
	wire.Vector(c, &s.Sessions, (*SessionID).Wire)
}

// Hint is what the server sends over /v1/push: there may be something new.
// Hints may be lost. An ended session is hinted with Ended.
type Hint struct {
	Session SessionID
	Seq     uint64 // the conversation's head; 0 for an inbox
	Ended   bool   // the session is unknown: open it again
}

// Wire codes the message.
func (h *Hint) Wire(c *wire.Codec) {
	h.Session.Wire(c)
	wire.Uint64(c, &h.Seq)
	wire.Bool(c, &h.Ended)
}
