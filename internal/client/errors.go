package client

import (
	"errors"
	"fmt"
	"strings"

	"codeberg.org/huis/huis/internal/client/store"
)

// Errors a caller branches on; they come wrapped. The server's refusals are
// *proto.Error.
var (
	// ErrNoProfile: the store holds no device yet.
	ErrNoProfile = store.ErrNoProfile
	// ErrUnreachable: no answer from the server; a request may have had its
	// effect all the same.
	ErrUnreachable = errors.New("the server cannot be reached")
	// ErrUnknownChat: no conversation of that name is on this device.
	ErrUnknownChat = errors.New("no such conversation")
	// ErrUnknownPerson: the server knows no account of that handle.
	ErrUnknownPerson = errors.New("no such person")
	// ErrNotMember: this device is no longer in the conversation.
	ErrNotMember = errors.New("not a member of this conversation")
	// ErrRevoked: the account's other devices have revoked this one, or the
	// server says so: it is not let in any more.
	ErrRevoked = errors.New("this device was revoked")
	// ErrTooLarge: the message or file exceeds a limit.
	ErrTooLarge = errors.New("too large")
	// ErrForbidden: the conversation's policy does not let this account do it.
	ErrForbidden = errors.New("the conversation's rules do not allow it")
	// ErrExists: a conversation of that name is on this device already.
	ErrExists = errors.New("a conversation of this name exists already")
)

// PinError says that another server than the pinned one answered.
type PinError struct {
	Want, Got string // fingerprints
}

func (e *PinError) Error() string {
	return fmt.Sprintf("the server's certificate is not the pinned one: expected %s, got %s", e.Want, e.Got)
}

// Hint returns what the person can do.
func (e *PinError) Hint() string {
	return "somebody may be between you and the server: ask its operator, by another way, for the fingerprint"
}

// SafetyError says that something could not be verified and this client stopped
// there. It is not retried.
type SafetyError struct {
	Reason   string // what was found
	Fix      string // what the person can do
	Evidence string // where the proof was kept, or a report of what was seen; "" if neither
	cause    error  // a sentinel of this package, or nil
}

// Unwrap returns what callers branch on.
func (e *SafetyError) Unwrap() error { return e.cause }

func (e *SafetyError) Error() string { return "stopped for safety: " + e.Reason }

// Hint returns what the person can do.
func (e *SafetyError) Hint() string {
	if e.Evidence == "" {
		return e.Fix
	}
	if strings.HasSuffix(e.Evidence, ".txt") {
		return e.Fix + "; what this device saw stands in " + e.Evidence
	}
	return e.Fix + "; the proof is in " + e.Evidence + " (huis verify FILE checks it)"
}
