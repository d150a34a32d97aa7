// Package store is what the server keeps: conversations, inboxes, key packages,
// blobs' records, accounts and the server's own keys, as the domain's verbs.
//
// Each verb is one transaction: all of it is durable when it returns nil, none
// of it is there when it returns a refusal. A refusal is a *proto.Error of the
// closed list; any other error says nothing about the outcome of a write, and
// the same request may be made again. Verbs check in the order their comment
// gives and before they write. All may be called concurrently.
//
// No verb joins an account to a conversation, and no implementation may keep
// rows in an order that does (protocol.md, 15). What each stored field is for,
// how long it lives and what an order could obtain of it stands in [Annotations].
package store

import (
	"context"
	"errors"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// ErrDamaged is in the chain of every error that says the database itself is
// damaged; the text says what to do.
var ErrDamaged = errors.New("the database is damaged")

// Day counts whole days, Minute whole minutes, since the Unix epoch. Nothing
// finer is stored.
type (
	Day    uint32
	Minute uint64
)

// DayOf and MinuteOf round down. Times before 1970 count as 1970.
func DayOf(t time.Time) Day       { return Day(max(t.Unix(), 0) / 86400) }
func MinuteOf(t time.Time) Minute { return Minute(max(t.Unix(), 0) / 60) }

// Store holds everything. Its parts are named for who calls them.
type Store interface {
	Conversations
	Packages
	Inboxes
	Blobs
	Accounts
	Names
	Recovery
	Epochs
	Restores
	Server
}

// Stamp completes r for e: Generation, KID and Stamp, from the Seq, Minute and
// ChainPrev set by the store; it returns the chain value. It runs inside the
// transaction, must be pure and not block.
type Stamp func(e *proto.Entry, r *proto.Receipt) (proto.Hash, error)

// Submission is an entry that the service verified, ready to be stored.
type Submission struct {
	Entry *proto.Entry
	Hash  proto.Hash // Entry.Hash
	Tag   proto.Hash // Entry.Tag; zeros unless an application
	Leave bool       // a notice that closes the submitter's key
	Now   Minute
	Stamp Stamp
	// Recent is the oldest epoch known to have ended less than 60 s ago, 0 if
	// none is. The store knows minutes only: an epoch that ended in this very
	// minute counts anyway, one that ended in the minute before only so.
	Recent uint64
	// MaxBytes bounds the sum of the conversation's entries, in bytes.
	MaxBytes uint64
}

// Delivery is a join package on its way into the inbox its ticket stands for.
type Delivery struct {
	Ticket proto.Hash // Ticket.Hash
	ID     proto.InboxItemID
	Sealed []byte
}

// Attached is what a create or commit carries beside its entry.
type Attached struct {
	Deliveries []Delivery
	Pins       []proto.BlobID
	PinUntil   Day
	Today      Day // tickets of earlier days are expired
	MaxInbox   int // items an inbox may hold
}

// Accepted is the outcome of a submission.
type Accepted struct {
	Receipt proto.Receipt
	Reform  *proto.Receipt // of a create with a reform notice
	Known   bool           // it was in the log before; nothing changed
	Inboxes []Inbox        // that got a join package
}

// Reading is a page of a conversation's log.
type Reading struct {
	Entries []proto.Stamped
	Head    uint64 // last seq the key may read
	Epoch   uint64 // see proto.ReadResponse
}

// Member is one member key's standing.
type Member struct {
	From  uint64 // first seq it may read
	Until uint64 // last seq it may read, 0 while the key is live
}

// Conversations are the logs and their member keys.
type Conversations interface {
	// Create begins a conversation at epoch 1 with one entry, seq 1. In order:
	// entry's hash known in that conversation (the first receipts again) →
	// exists → bad_token → reform as Append → tickets and pins as Commit.
	Create(ctx context.Context, token proto.Hash, members []proto.MemberKey, s Submission, a Attached, reform *Submission) (Accepted, error)

	// Append adds an application entry or notice. In order: not_member → hash
	// known (the first receipt again) → duplicate tag → epoch (stale, future;
	// of a notice only future) → full.
	Append(ctx context.Context, s Submission) (Accepted, error)

	// Commit ends the epoch. In order: hash known → not_member → epoch
	// (conflict, future) → bad_delta → bad_ticket → inbox_full → no_blob → full.
	Commit(ctx context.Context, s Submission, d proto.KeyDelta, a Attached) (Accepted, error)

	// Known returns the receipt of an entry by its hash; ok false if there is none.
	Known(ctx context.Context, id proto.ConversationID, hash proto.Hash) (r proto.Receipt, ok bool, err error)

	// Member returns a key's standing, live or closed, or not_member.
	Member(ctx context.Context, id proto.ConversationID, mk proto.MemberKey) (Member, error)

	// Read returns at most max entries above after that mk may read, and at
	// least one of those there are even if it alone exceeds maxBytes. In
	// order: not_member → closed_key (nothing left for it) → gone.
	Read(ctx context.Context, id proto.ConversationID, mk proto.MemberKey, after uint64, max, maxBytes int) (Reading, error)

	// AddToken allows one create until the end of the day given. CheckToken
	// refuses with bad_token what a create would; it uses nothing up.
	AddToken(ctx context.Context, token proto.Hash, expires Day) error
	CheckToken(ctx context.Context, token proto.Hash, today Day) error
}

// Inbox is a device's, or with Device zero its account's.
type Inbox struct {
	Account proto.AccountID
	Device  proto.DeviceID
}

// KeyPackage is one published package. Expires is the last day it may be given.
type KeyPackage struct {
	Bytes   []byte
	Expires Day
}

// Packages are the published key packages and the tickets given out with them.
type Packages interface {
	// Publish replaces the pool of one device; lastResort nil keeps the one
	// there is. no_account if the account is not here.
	Publish(ctx context.Context, device Inbox, pool []KeyPackage, lastResort *KeyPackage) error

	// PackageCount counts one device's pool without the last resort.
	PackageCount(ctx context.Context, device Inbox) (n int, lastResort bool, err error)

	// Claim takes one package of every device of the account, or of one device
	// if it is set; the last resort stays. It writes one ticket each, good
	// until the end of the day ticketUntil; the claimer is not told and not
	// stored. unknown_account → none_left.
	Claim(ctx context.Context, account proto.AccountID, device proto.DeviceID, today, ticketUntil Day) ([]proto.Claimed, error)
}

// Inboxes hold sealed items until their device acknowledges them.
type Inboxes interface {
	// Post adds an item. unknown_account → inbox_full at max items.
	Post(ctx context.Context, to Inbox, id proto.InboxItemID, sealed []byte, today Day, max int) error

	// Fetch returns at most max items of the device and of its account, in
	// order of their ID, above after.
	Fetch(ctx context.Context, device Inbox, after proto.InboxItemID, max int) (items []proto.InboxItem, more bool, err error)

	// Ack deletes items of the device and of its account; unknown ones are ignored.
	Ack(ctx context.Context, device Inbox, ids []proto.InboxItemID) error
}

// Owner is who a blob belongs to or who pins it: exactly one field is set. Of
// an account that owns a blob only the fact is stored, not which one it is.
type Owner struct {
	Conversation *proto.ConversationID
	Account      *proto.AccountID
}

// Blob is the record of a blob; its bytes are in a Files.
type Blob struct {
	ID    proto.BlobID
	Owner *proto.ConversationID // nil: an account's backup
	Size  uint64
	Hash  proto.Hash
	Done  bool // all bytes are there and have that hash
}

// Blobs are the records of blobs and pins.
type Blobs interface {
	// BeginBlob records an upload. The same again has no effect; exists if ID
	// is taken with other fields; quota if the sum of the owner's sizes would
	// exceed maxBytes (conversations only).
	BeginBlob(ctx context.Context, b Blob, today Day, maxBytes uint64) error

	// Blob returns a record or no_blob.
	Blob(ctx context.Context, id proto.BlobID) (Blob, error)

	// FinishBlob marks it done; the bytes are durable before. no_blob.
	FinishBlob(ctx context.Context, id proto.BlobID) error

	// DropBlob forgets an upload that is not done, e.g. one with a bad hash.
	DropBlob(ctx context.Context, id proto.BlobID) error

	// Pin keeps done blobs of its own kind of owner until the end of the day
	// given, 0 for no end; again sets the day anew. All or none: no_blob.
	Pin(ctx context.Context, by Owner, ids []proto.BlobID, until Day) error

	// Unpin removes pins; unknown ones are ignored. today is the day from
	// which blobs no longer pinned are counted.
	Unpin(ctx context.Context, by Owner, ids []proto.BlobID, today Day) error
}

// Account is an account's record. The handle is kept sealed under the
// operator's key, and found by a keyed hash of it.
type Account struct {
	ID     proto.AccountID
	Lookup proto.Hash // OperatorKey.Lookup of the handle
	Handle []byte     // OperatorKey.Seal of the handle
	Admin  bool       // may invite; the first account made is one
	Links  uint32     // number of links of its chain
}

// Invite is an invitation. Expires is the last minute it may be used in.
type Invite struct {
	Token   proto.Hash // Token.Hash
	Uses    uint16     // left
	Expires Minute
}

// Accounts are the accounts, their chains and the invitations.
type Accounts interface {
	// CreateAccount uses an invitation once and stores the account with its
	// first links; Admin and Links of a are ignored. In order: the same
	// account with the same lookup and links (again, nothing changes) →
	// invite_unknown → invite_expired → invite_used → name_taken → exists.
	// The values go into the log's next epoch; of the same account again they
	// are not stored.
	CreateAccount(ctx context.Context, invite proto.Hash, now Minute, a Account, links [][]byte, values []LogValue) (Account, error)

	// Account and AccountByLookup return a record, or no_account.
	Account(ctx context.Context, id proto.AccountID) (Account, error)
	AccountByLookup(ctx context.Context, lookup proto.Hash) (Account, error)

	// Links returns at most max links from number from on; no_account.
	Links(ctx context.Context, id proto.AccountID, from uint32, max int) ([][]byte, error)

	// AppendLink stores link number n, if n links are there: conflict{seq: the
	// number there} if not; the same link again at its place changes nothing.
	// Packages, tickets and inboxes of the devices revoked by it are deleted.
	// value goes into the log's next epoch, if the link is new.
	AppendLink(ctx context.Context, id proto.AccountID, n uint32, link []byte, revoked []proto.DeviceID, value LogValue) error

	// HasAccounts tells whether anybody joined yet.
	HasAccounts(ctx context.Context) (bool, error)

	// AddInvite stores an invitation; exists if its token is there already.
	AddInvite(ctx context.Context, i Invite) error

	// Invite returns an invitation that can be used now: invite_unknown →
	// invite_expired → invite_used.
	Invite(ctx context.Context, token proto.Hash, now Minute) (Invite, error)
}

// StampKey is a key the server stamps with; Sealed is its private half under
// the operator's key.
type StampKey struct {
	proto.StampKey
	Sealed []byte
}

// Retention are the bounds the clean-up keeps, in days.
type Retention struct {
	Entries Day // entries of conversations
}

// Server is what the server keeps for itself, and its upkeep.
type Server interface {
	// StampKeys returns every key ever used, oldest first; AddStampKey adds the
	// one to use from now on, exists if its KID is there already.
	StampKeys(ctx context.Context) ([]StampKey, error)
	AddStampKey(ctx context.Context, k StampKey) error

	// Setting returns a value by name, nil if there is none; PutSetting stores it.
	Setting(ctx context.Context, name string) ([]byte, error)
	PutSetting(ctx context.Context, name string, value []byte) error

	// Clean deletes what its retention (see Annotations) no longer covers, in
	// steps small enough for other verbs to run between them.
	Clean(ctx context.Context, now time.Time, r Retention) error

	// BlobIDs returns every blob's ID, for the sweep of files without record.
	BlobIDs(ctx context.Context) (map[proto.BlobID]bool, error)

	// Truncate shrinks the write-ahead log to nothing, so that deleted rows
	// are gone from it too, and undoes what the order of pages tells of the
	// order of writes, where the size of the database allows.
	Truncate(ctx context.Context) error

	// Check reads the whole database for damage; the error is ErrDamaged.
	Check(ctx context.Context) error

	Close() error
}

// Files holds the bytes of blobs, by part of proto.MaxBlobPart bytes.
type Files interface {
	// PutPart stores part n of a blob of size bytes, durable on return. full
	// if the disk is.
	PutPart(id proto.BlobID, size uint64, n uint32, b []byte) error

	// Parts returns the bitmap of durable parts (see proto.BlobStatResponse),
	// empty if nothing was put.
	Parts(id proto.BlobID, size uint64) ([]byte, error)

	// Finish checks that all size bytes are there and have the hash, and makes
	// the blob readable, durable on return; again changes nothing. bad_hash
	// if not. Memory use does not depend on size.
	Finish(id proto.BlobID, size uint64, hash proto.Hash) error

	// ReadAt fills b from offset of a finished blob, fewer bytes at its end;
	// no_blob if there is none.
	ReadAt(id proto.BlobID, b []byte, offset uint64) (int, error)

	// Remove deletes all of a blob; none there is no error.
	Remove(id proto.BlobID) error

	// Sweep removes the files of every blob that is not alive.
	Sweep(alive func(proto.BlobID) bool) error
}
