package mls

import (
	"errors"
	"fmt"
)

// Results a caller acts on. Each comes wrapped: test with errors.Is.
var (
	// ErrUnsupportedSuite: the cipher suite is not implemented or not known.
	ErrUnsupportedSuite = errors.New("mls: cipher suite not supported")
	// ErrOwnMessage: the message is an echo of one this member sent.
	ErrOwnMessage = errors.New("mls: own message")
	// ErrStaleEpoch: the message is of an epoch whose keys are gone.
	ErrStaleEpoch = errors.New("mls: message of a past epoch")
	// ErrFutureEpoch: commits are missing between this epoch and the message's.
	ErrFutureEpoch = errors.New("mls: message of an epoch not reached yet")
	// ErrFork: the commit belongs to another history of the same group.
	ErrFork = errors.New("mls: commit of another history of the group")
	// ErrDuplicate: the message's key was used already; it was seen before.
	ErrDuplicate = errors.New("mls: message key already used")
	// ErrTooFar: the message's generation is further ahead than allowed.
	ErrTooFar = errors.New("mls: generation too far ahead")
	// ErrRemoved: this member is no longer in the group.
	ErrRemoved = errors.New("mls: member was removed from the group")
)

// InvalidError says which rule of RFC 9420 a message broke.
type InvalidError struct {
	Section string // of RFC 9420, such as "7.3"
	Reason  string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("mls: %s (RFC 9420, Section %s)", e.Reason, e.Section)
}

func invalid(section, format string, args ...any) error {
	return &InvalidError{Section: section, Reason: fmt.Sprintf(format, args...)}
}
