package store

import (
	"context"
	"encoding/binary"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// SettingRestored holds, in a database that was put back from a backup, what a
// server still has to do about it; empty or not there: nothing.
const SettingRestored = "restored"

// SettingLog holds the name of a log that was begun in place of the first one;
// empty or not there: it is the first.
const SettingLog = "log"

// Restores is what a server needs that was put back from a backup.
type Restores interface {
	// Head returns the end of a conversation's log; seq 0 if there is none.
	Head(ctx context.Context, id proto.ConversationID) (seq uint64, chain proto.Hash, err error)

	// ForgetPromises deletes what may have been used since the backup and must
	// not be used twice: key packages, tickets, tokens, invitations.
	ForgetPromises(ctx context.Context) error

	// AccountIDs returns all accounts.
	AccountIDs(ctx context.Context) ([]proto.AccountID, error)

	// LeftNames counts the lookups that accounts left.
	LeftNames(ctx context.Context) (int, error)

	// GiveBackRename is Rename of an account that the backup has under an older
	// name, without links and values: GiveBackAccount gives those. no_account,
	// name_taken.
	GiveBackRename(ctx context.Context, a Account, today Day) error

	// BeginLog begins a log of this name: it stores that as SettingLog, takes the
	// epochs away and makes all values pending, for the new log to take them in;
	// those of a kind belong to the old one and are deleted.
	BeginLog(ctx context.Context, name string, without uint8) error

	// GiveBackLeft keeps a lookup for the account that left it. One that an
	// account has, or that was left already, stays as it is.
	GiveBackLeft(ctx context.Context, lookup proto.Hash, id proto.AccountID, today Day) error

	// GiveBackValues stores values, of no account, that are missing; they stand
	// in the epochs given.
	GiveBackValues(ctx context.Context, values []LogValue, epochs []uint64) error

	// GiveBackAccount stores what is missing of an account: its record, if it
	// is not there, and links from the first one on with their values, which
	// stand in the epochs given. Links and values that are there stay.
	// conflict if the account there has another lookup or chain; name_taken.
	GiveBackAccount(ctx context.Context, a Account, links [][]byte, values []LogValue, epochs []uint64, revoked []proto.DeviceID) error
}

// Restored is the value of SettingRestored.
type Restored struct {
	Begun bool          // the new generation is there
	Ended bool          // the operator waits no longer for devices
	Hold  time.Duration // how long to wait for them after the first one came
}

// Encode returns the setting's value.
func (r Restored) Encode() []byte {
	flags := byte(1)
	if r.Begun {
		flags |= 2
	}
	if r.Ended {
		flags |= 4
	}
	return binary.BigEndian.AppendUint64([]byte{flags}, uint64(r.Hold/time.Second))
}

// ParseRestored reads the setting; ok false if nothing is to be done.
func ParseRestored(b []byte) (r Restored, ok bool) {
	if len(b) != 9 || b[0]&1 == 0 {
		return r, false
	}
	r.Begun, r.Ended = b[0]&2 != 0, b[0]&4 != 0
	r.Hold = time.Duration(min(binary.BigEndian.Uint64(b[1:]), 1<<31)) * time.Second
	return r, true
}
