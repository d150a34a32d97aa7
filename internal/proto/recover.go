package proto

import (
	"crypto/sha256"
	"encoding/binary"

	"codeberg.org/huis/huis/internal/wire"
)

// RecoverRequest lets in who has lost all devices. It names no account: the
// recovery key does, by its public half, and Sig proves that the caller has the
// other (RecoverProof). With a Link, an ADD_DEVICE signed by that key, the
// account's chain is extended first; the same again changes nothing.
type RecoverRequest struct {
	Key   [32]byte // kt.RecoveryPublicKey
	Nonce Nonce
	Link  []byte // empty: only tell
	From  uint32 // first link to return
	Sig   Signature
}

// Wire codes the request.
func (r *RecoverRequest) Wire(c *wire.Codec) {
	wire.Fixed(c, r.Key[:])
	r.Nonce.Wire(c)
	wire.OpaqueMax(c, &r.Link, MaxLink)
	wire.Uint32(c, &r.From)
	r.Sig.Wire(c)
}

// RecoverProof is what the recovery key signs.
func RecoverProof(origin string, r *RecoverRequest) []byte {
	link := sha256.Sum256(r.Link)
	from := binary.BigEndian.AppendUint32(nil, r.From)
	return concat([]byte("huis/recover/1"), r.Nonce[:], []byte(origin), r.Key[:], link[:], from)
}

// RecoverResponse is the account of the recovery key: its links from the asked
// one on, at most MaxLinks, and the pointer to its backup.
type RecoverResponse struct {
	Account AccountID
	Handle  string
	Links   [][]byte
	Backup  []byte // as BackupSet stored it, empty: none
}

// Wire codes the answer.
func (r *RecoverResponse) Wire(c *wire.Codec) {
	r.Account.Wire(c)
	wire.String(c, &r.Handle, MaxHandle)
	wire.Vector(c, &r.Links, bytesItem(MaxLink))
	wire.OpaqueMax(c, &r.Backup, MaxBackupPointer)
}

// BackupGetRequest asks where the account's backup is.
type BackupGetRequest struct{ Session SessionID }

// Wire codes the request.
func (r *BackupGetRequest) Wire(c *wire.Codec) { r.Session.Wire(c) }

// BackupGetResponse is what the account's devices stored last.
type BackupGetResponse struct{ Pointer []byte } // empty: none

// Wire codes the answer.
func (r *BackupGetResponse) Wire(c *wire.Codec) {
	wire.OpaqueMax(c, &r.Pointer, MaxBackupPointer)
}

// BackupSetRequest replaces the pointer to the account's backup, if Previous is
// the one that is stored, and the blobs kept for the account by exactly Blobs.
// The same again changes nothing.
type BackupSetRequest struct {
	Session  SessionID
	Previous []byte // empty: none
	Pointer  []byte // for the account's devices to read
	Blobs    []BlobID
}

// Wire codes the request.
func (r *BackupSetRequest) Wire(c *wire.Codec) {
	r.Session.Wire(c)
	wire.OpaqueMax(c, &r.Previous, MaxBackupPointer)
	wire.OpaqueMax(c, &r.Pointer, MaxBackupPointer)
	wire.Vector(c, &r.Blobs, (*BlobID).Wire)
}
