// Package kt is key transparency: what an account's devices signed, and the
// proof that everybody is shown the same.
//
// An account is a chain of signed links (docs/protocol.md, Section 7). Verify
// replays one from its first link and gives a Chain; Chain.Append takes one
// more link. A link is made by Genesis and by the Chain's methods AddDevice,
// Revoke, Rotate, SetRecovery, Refresh, Rename, Reset and Tombstone.
//
// The heads of all chains stand in a Map under indexes that only the server's
// VRFKey can compute and prove; MapProof.Verify gives the one answer a root has.
// Each version of the map is an EpochRecord in an append-only log whose signed,
// witnessed head VerifyCheckpoint reads (C2SP tlog-checkpoint and
// tlog-cosignature). Replay recomputes the map from the log alone.
//
// Everything is pure: no clock, no storage, no network; a Chain, a Map and a
// Replay never change.
package kt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// Version is the only version of a link.
const Version = 1

// MaxLink is the largest encoding of a link, in bytes. The largest one made
// today (ADD_DEVICE) has about 360.
const MaxLink = 1024

// Type says what a link does.
type Type uint8

// The types of links. RESET ends a chain in favour of another account;
// TOMBSTONE ends it. RENAME gives the account another name.
const (
	TypeGenesis Type = iota + 1
	TypeAddDevice
	TypeRevoke
	TypeRotate
	TypeSetRecovery
	TypeRefresh
	TypeReset
	TypeTombstone
	TypeRename
)

var typeNames = [...]string{"", "GENESIS", "ADD_DEVICE", "REVOKE", "ROTATE", "SET_RECOVERY", "REFRESH", "RESET", "TOMBSTONE", "RENAME"}

func (t Type) String() string {
	if t == 0 || int(t) >= len(typeNames) {
		return fmt.Sprintf("link type %d", uint8(t))
	}
	return typeNames[t]
}

// Hash is a SHA-256 value.
type Hash [sha256.Size]byte

// Hex returns h in lower-case hexadecimal.
func (h Hash) Hex() string { return hex.EncodeToString(h[:]) }

// Checkpoint is the log's head the signer had seen last. All zero until the
// server keeps a log.
type Checkpoint struct {
	Size uint64
	Root Hash
}

// Link is one signed change of an account.
type Link struct {
	Version    uint8
	Seq        uint32 // 0 for GENESIS
	Prev       Hash   // LinkHash of the link before; zeros for GENESIS
	Type       Type
	Time       uint64 // seconds since 1970, the signer's clock
	Body       []byte // by Type: Enrolment, RevokeBody, …
	Checkpoint Checkpoint
	Signer     DeviceID // zeros: the recovery key
	Signature  [ed25519.SignatureSize]byte
}

// Wire codes the link.
func (l *Link) Wire(c *wire.Codec) {
	l.content(c)
	wire.Fixed(c, l.Signature[:])
}

func (l *Link) content(c *wire.Codec) {
	wire.Uint8(c, &l.Version)
	if l.Version != Version {
		c.Fail("link of an unknown version")
	}
	wire.Uint32(c, &l.Seq)
	wire.Fixed(c, l.Prev[:])
	wire.Uint8(c, &l.Type)
	wire.Uint64(c, &l.Time)
	wire.OpaqueMax(c, &l.Body, MaxLink)
	wire.Uint64(c, &l.Checkpoint.Size)
	wire.Fixed(c, l.Checkpoint.Root[:])
	wire.Fixed(c, l.Signer[:])
}

// Bytes returns the encoding.
func (l *Link) Bytes() []byte { return wire.MustEncode(l.Wire) }

// ParseLink decodes one link. That it is well-formed says nothing about its
// truth: Chain.Append verifies.
func ParseLink(b []byte) (*Link, error) {
	if len(b) > MaxLink {
		return nil, fmt.Errorf("kt: link of %d bytes, at most %d allowed", len(b), MaxLink)
	}
	var l Link
	if err := wire.Decode(b, l.Wire); err != nil {
		return nil, fmt.Errorf("kt: link: %w", err)
	}
	return &l, nil
}

// LinkHash returns what the next link names as Prev.
func LinkHash(link []byte) Hash {
	return sha256.Sum256(labelled("huis/link/1", link))
}

// signed returns the bytes under the link's signature.
func (l *Link) signed() []byte {
	return labelled("huis/link-sign/1", wire.MustEncode(l.content))
}

// labelled returns label ‖ parts, each with its length before it.
func labelled(label string, parts ...[]byte) []byte {
	return wire.MustEncode(func(c *wire.Codec) {
		wire.String(c, &label, wire.MaxVector)
		for _, p := range parts {
			wire.Opaque(c, &p)
		}
	})
}

// Enrolment is a device's own statement of its keys: the body of GENESIS and
// of ADD_DEVICE. Both keys sign it, so that nobody enrols another's keys.
type Enrolment struct {
	ID     DeviceID
	D      ChainPublicKey
	M      MessagePublicKey
	ProofD [ed25519.SignatureSize]byte
	ProofM [ed25519.SignatureSize]byte
}

// Wire codes the statement.
func (e *Enrolment) Wire(c *wire.Codec) {
	wire.Fixed(c, e.ID[:])
	wire.Fixed(c, e.D[:])
	wire.Fixed(c, e.M[:])
	wire.Fixed(c, e.ProofD[:])
	wire.Fixed(c, e.ProofM[:])
}

// proven returns the bytes both keys sign. account is zero in a GENESIS, which
// comes before the account has an identifier.
func (e *Enrolment) proven(account AccountID) []byte {
	return labelled("huis/device/1", account[:], e.ID[:], e.D[:], e.M[:])
}

// NewEnrolment states the keys of a device that is to join account (zeros: a
// new one). sign signs with the private key of m.
func NewEnrolment(account AccountID, id DeviceID, d ChainKey, m MessagePublicKey, sign SignFunc) (Enrolment, error) {
	e := Enrolment{ID: id, D: d.Public(), M: m}
	copy(e.ProofD[:], ed25519.Sign(d.private(), e.proven(account)))
	proof, err := sign(e.proven(account))
	if err != nil {
		return Enrolment{}, err
	}
	if copy(e.ProofM[:], proof) != len(e.ProofM) {
		return Enrolment{}, invalid("proof", "the message key's signature has %d bytes", len(proof))
	}
	return e, e.Verify(account)
}

// Verify checks that both keys signed the statement for account.
func (e *Enrolment) Verify(account AccountID) error {
	content := e.proven(account)
	if !ed25519.Verify(e.D[:], content, e.ProofD[:]) {
		return invalid("proof", "the chain key did not sign the device's enrolment")
	}
	if !ed25519.Verify(e.M[:], content, e.ProofM[:]) {
		return invalid("proof", "the message key did not sign the device's enrolment")
	}
	return nil
}

// revokeBody names the device to revoke.
type revokeBody struct{ Device DeviceID }

func (b *revokeBody) wire(c *wire.Codec) { wire.Fixed(c, b.Device[:]) }

// rotateBody is the signer's new message key, which signs that it follows.
type rotateBody struct {
	M      MessagePublicKey
	ProofM [ed25519.SignatureSize]byte
}

func (b *rotateBody) wire(c *wire.Codec) {
	wire.Fixed(c, b.M[:])
	wire.Fixed(c, b.ProofM[:])
}

func (b *rotateBody) proven(account AccountID, device DeviceID) []byte {
	return labelled("huis/rotate/1", account[:], device[:], b.M[:])
}

// recoveryBody is the public half of the account's recovery key.
type recoveryBody struct{ Key RecoveryPublicKey }

func (b *recoveryBody) wire(c *wire.Codec) { wire.Fixed(c, b.Key[:]) }

// resetBody names the account that follows.
type resetBody struct{ Successor AccountID }

func (b *resetBody) wire(c *wire.Codec) { wire.Fixed(c, b.Successor[:]) }

// renameBody says from which place of the map to which the account's name
// moves: a name's Index tells it to nobody who cannot have it proved.
type renameBody struct{ From, To Index }

func (b *renameBody) wire(c *wire.Codec) {
	wire.Fixed(c, b.From[:])
	wire.Fixed(c, b.To[:])
}
