package proto

import (
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Code is one of the closed list of refusals (protocol.md, 14). A code this
// program does not know is a refusal too.
type Code uint8

const (
	Malformed Code = iota + 1
	Forbidden
	Unavailable
	BadSession
	BadToken
	Exists
	BadTicket // Index
	TooLarge
	NotMember
	Stale // Epoch, Seq
	Future
	Duplicate
	Busy // Wait
	Full
	Conflict // Seq
	BadDelta
	InboxFull // Index
	NoBlob
	Throttled // Wait
	Gone      // Seq: the first entry still there
	ClosedKey // Seq: the last entry this key may read
	UnknownAccount
	NoneLeft
	Quota
	BadHash
	InviteUnknown
	InviteExpired
	InviteUsed
	NameTaken
	BadName
	BadChain
	NoAccount
	Restoring
	TooSoon // Wait
	codes   // one more than the last
)

var codeTexts = [codes]struct{ name, text string }{
	Malformed:      {"malformed", "the server could not read the request"},
	Forbidden:      {"forbidden", "the signature or role does not allow this request"},
	Unavailable:    {"unavailable", "the server cannot do this now"},
	BadSession:     {"bad_session", "the session has ended; open a new one"},
	BadToken:       {"bad_token", "the token is unknown, used or expired"},
	Exists:         {"exists", "there is one already"},
	BadTicket:      {"bad_ticket", "a joiner's ticket is unknown, used or expired"},
	TooLarge:       {"too_large", "larger than the server's limit"},
	NotMember:      {"not_member", "not a member of this conversation"},
	Stale:          {"stale", "the conversation has moved on to a later epoch"},
	Future:         {"future", "the epoch has not begun"},
	Duplicate:      {"duplicate", "this message is in the log already"},
	Busy:           {"busy", "the server is busy; the same request may be sent again"},
	Full:           {"full", "the server's disk is full"},
	Conflict:       {"conflict", "another change of the conversation came first"},
	BadDelta:       {"bad_delta", "the change of member keys does not fit the conversation"},
	InboxFull:      {"inbox_full", "the receiver's inbox is full"},
	NoBlob:         {"no_blob", "there is no such blob"},
	Throttled:      {"throttled", "too many requests; the same request may be sent again later"},
	Gone:           {"gone", "older entries are no longer on the server"},
	ClosedKey:      {"closed_key", "this key was removed from the conversation"},
	UnknownAccount: {"unknown_account", "there is no such account"},
	NoneLeft:       {"none_left", "the account has no key package to give"},
	Quota:          {"quota", "the storage quota is used up"},
	BadHash:        {"bad_hash", "the bytes received are not those announced"},
	InviteUnknown:  {"invite_unknown", "the invitation is not known here"},
	InviteExpired:  {"invite_expired", "the invitation has expired"},
	InviteUsed:     {"invite_used", "the invitation has been used"},
	NameTaken:      {"name_taken", "the name is taken"},
	BadName:        {"bad_name", "a name has 2 to 32 of the letters a to z, digits, dots and dashes"},
	BadChain:       {"bad_chain", "the chain of device keys does not verify"},
	NoAccount:      {"no_account", "this account does not exist here"},
	Restoring:      {"restoring", "the server was restored from a backup and waits for its clients to give back what came after it"},
	TooSoon:        {"too_soon", "the name has been changed too often of late"},
}

func (c Code) String() string {
	if c == 0 || c >= codes {
		return fmt.Sprintf("code_%d", uint8(c))
	}
	return codeTexts[c].name
}

// Codes lists every code, in order.
func Codes() []Code {
	all := make([]Code, 0, codes-1)
	for c := Code(1); c < codes; c++ {
		all = append(all, c)
	}
	return all
}

// Error is a definite refusal by the server. It carries no identifiers. Only
// the fields noted at its code travel; the others are zero. Match it with
// errors.As, or errors.Is(err, proto.Stale).
type Error struct {
	Code  Code
	Epoch uint64 // the conversation's present epoch
	Seq   uint64
	Index uint32        // position in the request's packages, from 0
	Wait  time.Duration // before the same bytes are sent again; whole milliseconds

	unknown []byte // the fields of a code this program does not know
}

func (e *Error) Error() string {
	switch {
	case e.Code == 0 || e.Code >= codes:
		return "server: refused with the unknown " + e.Code.String()
	case e.Wait > 0:
		return fmt.Sprintf("server: %s: %s (in %v)", e.Code.String(), codeTexts[e.Code].text, e.Wait)
	}
	return fmt.Sprintf("server: %s: %s", e.Code.String(), codeTexts[e.Code].text)
}

// Error lets a bare code be an error: a refusal without fields.
func (c Code) Error() string { return (&Error{Code: c}).Error() }

// Is makes errors.Is(err, proto.Stale) true for an *Error of that code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// Refuse returns a refusal without fields.
func Refuse(c Code) *Error { return &Error{Code: c} }

// RefuseWait returns Busy or Throttled with the time to wait, rounded up to a
// whole millisecond.
func RefuseWait(c Code, wait time.Duration) *Error {
	return &Error{Code: c, Wait: max(wait, time.Millisecond).Round(time.Millisecond)}
}

// Retriable tells that the same bytes may be sent again after Wait.
func (e *Error) Retriable() bool { return e.Code == Busy || e.Code == Throttled }

// Wire codes the code and the fields that belong to it. An unknown code is
// decoded without its fields.
func (e *Error) Wire(c *wire.Codec) {
	wire.Uint8(c, &e.Code)
	fields := func(c *wire.Codec) {
		switch e.Code {
		case Stale:
			wire.Uint64(c, &e.Epoch)
			wire.Uint64(c, &e.Seq)
		case Conflict, Gone, ClosedKey:
			wire.Uint64(c, &e.Seq)
		case BadTicket, InboxFull:
			wire.Uint32(c, &e.Index)
		case Busy, Throttled, TooSoon:
			ms := uint32(min(e.Wait.Milliseconds(), 1<<32-1))
			wire.Uint32(c, &ms)
			e.Wait = time.Duration(ms) * time.Millisecond
		}
	}
	if e.Code == 0 || e.Code >= codes {
		wire.OpaqueMax(c, &e.unknown, 256)
		return
	}
	wire.Struct(c, fields)
}
