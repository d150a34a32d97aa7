// Package proto is what client and server say to each other: identifiers,
// requests, answers, the closed list of errors, and the signed formats of the
// conversation log (entries, receipts, stamps, key deltas).
//
// Start with [Entry.Sign] and [Entry.Verify], then [Receipt.Verify]; the
// requests are listed in [Method]. Encodings are the TLS presentation language
// of package wire. The package has no I/O, no clock and no state, and knows
// nothing of MLS but the header of a PrivateMessage ([ParseFrame]).
package proto

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// Version of the protocol these types speak.
const Version = 1

// Identifiers print as [redacted], in logs too; Hex is the explicit way out.
type (
	// ConversationID names one conversation; drawn at random by its creator.
	ConversationID [32]byte
	// MemberKey is a leaf's public Ed25519 key towards the server.
	MemberKey [32]byte
	// BlobID names a blob; drawn at random by its uploader.
	BlobID [32]byte
	// AccountID is SHA-256("acct/v1" ‖ GENESIS link).
	AccountID [32]byte
	// DeviceID names a device within its account. Zeros mean no particular one.
	DeviceID [16]byte
	// Generation changes whenever a server's data was restored from a backup.
	Generation [16]byte
	// Ticket allows one join package into one device's inbox.
	Ticket [32]byte
	// Token allows one registration or one create.
	Token [32]byte
	// Hash is a SHA-256 value; zeros mean none.
	Hash [32]byte
	// Nonce is 32 random bytes of the server, good for one signature.
	Nonce [32]byte
	// SessionID names a session of one connection's lane, in memory only.
	SessionID [16]byte
	// MailboxID names a one-time mailbox between two devices being linked.
	MailboxID [16]byte
	// InboxItemID names an item of an inbox; random, so it tells no order.
	InboxItemID [16]byte
	// KID is the name of a stamp key, see StampKID.
	KID [8]byte
	// Signature is an Ed25519 signature.
	Signature [64]byte
)

const redacted = "[redacted]"

// Wire codes 32 bytes.
func (v *ConversationID) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hex returns the identifier in lower-case hexadecimal.
func (v ConversationID) Hex() string    { return hex.EncodeToString(v[:]) }
func (ConversationID) String() string   { return redacted }
func (ConversationID) GoString() string { return redacted }

// Format prints [redacted] for every verb.
func (ConversationID) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 32 bytes.
func (v *MemberKey) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hex returns the key in lower-case hexadecimal.
func (v MemberKey) Hex() string    { return hex.EncodeToString(v[:]) }
func (MemberKey) String() string   { return redacted }
func (MemberKey) GoString() string { return redacted }

// Format prints [redacted] for every verb.
func (MemberKey) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 32 bytes.
func (v *BlobID) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hex returns the identifier in lower-case hexadecimal.
func (v BlobID) Hex() string    { return hex.EncodeToString(v[:]) }
func (BlobID) String() string   { return redacted }
func (BlobID) GoString() string { return redacted }

// Format prints [redacted] for every verb.
func (BlobID) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 32 bytes.
func (v *AccountID) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hex returns the identifier in lower-case hexadecimal.
func (v AccountID) Hex() string    { return hex.EncodeToString(v[:]) }
func (AccountID) String() string   { return redacted }
func (AccountID) GoString() string { return redacted }

// Format prints [redacted] for every verb.
func (AccountID) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 16 bytes.
func (v *DeviceID) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hex returns the identifier in lower-case hexadecimal.
func (v DeviceID) Hex() string    { return hex.EncodeToString(v[:]) }
func (DeviceID) String() string   { return redacted }
func (DeviceID) GoString() string { return redacted }

// Format prints [redacted] for every verb.
func (DeviceID) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 16 bytes.
func (v *Generation) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hex returns the generation in lower-case hexadecimal.
func (v Generation) Hex() string { return hex.EncodeToString(v[:]) }

// Wire codes 32 bytes.
func (v *Ticket) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hash is what the server stores of a ticket.
func (v Ticket) Hash() Hash     { return sha256.Sum256(v[:]) }
func (Ticket) String() string   { return redacted }
func (Ticket) GoString() string { return redacted }

// Format prints [redacted] for every verb.
func (Ticket) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 32 bytes.
func (v *Token) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hash is what the server stores of a token.
func (v Token) Hash() Hash { return sha256.Sum256(v[:]) }

// ResetHash is what the server stores of an invitation by which the account
// called handle is made anew: without the token it tells nobody which.
func (v Token) ResetHash(handle string) Hash {
	b := append([]byte("huis/reset/1"), v[:]...)
	return sha256.Sum256(append(b, handle...))
}

func (Token) String() string   { return redacted }
func (Token) GoString() string { return redacted }

// Format prints [redacted] for every verb.
func (Token) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 32 bytes.
func (v *Hash) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hex returns the hash in lower-case hexadecimal.
func (v Hash) Hex() string    { return hex.EncodeToString(v[:]) }
func (Hash) String() string   { return redacted }
func (Hash) GoString() string { return redacted }

// Format prints [redacted] for every verb.
func (Hash) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 32 bytes.
func (v *Nonce) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Wire codes 16 bytes.
func (v *SessionID) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }
func (SessionID) String() string        { return redacted }
func (SessionID) GoString() string      { return redacted }

// Format prints [redacted] for every verb.
func (SessionID) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 16 bytes.
func (v *MailboxID) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }
func (MailboxID) String() string        { return redacted }
func (MailboxID) GoString() string      { return redacted }

// Format prints [redacted] for every verb.
func (MailboxID) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 16 bytes.
func (v *InboxItemID) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }
func (InboxItemID) String() string        { return redacted }
func (InboxItemID) GoString() string      { return redacted }

// Format prints [redacted] for every verb.
func (InboxItemID) Format(f fmt.State, _ rune) { printRedacted(f) }

// Wire codes 8 bytes.
func (v *KID) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

// Hex returns the name in lower-case hexadecimal.
func (v KID) Hex() string { return hex.EncodeToString(v[:]) }

// Wire codes 64 bytes.
func (v *Signature) Wire(c *wire.Codec) { wire.Fixed(c, v[:]) }

func printRedacted(f fmt.State) { fmt.Fprint(f, redacted) }

// identifier is every type above that is drawn at random.
type identifier interface {
	ConversationID | BlobID | DeviceID | Generation | Ticket | Token | Nonce | SessionID | MailboxID | InboxItemID
}

// New draws an identifier from crypto/rand: proto.New[proto.BlobID]().
func New[T identifier]() T {
	var v T
	switch p := any(&v).(type) {
	case *ConversationID:
		rand.Read(p[:])
	case *BlobID:
		rand.Read(p[:])
	case *DeviceID:
		rand.Read(p[:])
	case *Generation:
		rand.Read(p[:])
	case *Ticket:
		rand.Read(p[:])
	case *Token:
		rand.Read(p[:])
	case *Nonce:
		rand.Read(p[:])
	case *SessionID:
		rand.Read(p[:])
	case *MailboxID:
		rand.Read(p[:])
	case *InboxItemID:
		rand.Read(p[:])
	}
	return v
}
