package store

import (
	"context"

	"codeberg.org/huis/huis/internal/proto"
)

// Names are the changes of whose a name is that no chain of links makes. An
// account that lost its name keeps everything else; it is found under the
// lookup given as former.
type Names interface {
	// ResetAccount is CreateAccount of an account that takes the lookup of the
	// account old over. In order: the same account with the same lookup and
	// links (again, nothing changes) → invite_unknown → invite_expired →
	// invite_used → no_account if the lookup is not old's → exists.
	ResetAccount(ctx context.Context, invite proto.Hash, now Minute, a Account, links [][]byte, values []LogValue, old proto.AccountID, former proto.Hash) (Account, error)

	// MoveName gives the lookup of from to the account to, and adds the value
	// that says so to the log. no_account if one of them is not here.
	MoveName(ctx context.Context, from, to proto.AccountID, former proto.Hash, value LogValue) error

	// Rename adds link n of the account a.ID, gives it lookup and handle of a
	// and keeps the lookup it had for it, with the day; the values say so in the
	// log. In order: no_account → the same link is there (again, nothing
	// changes) → conflict{seq: number of links} → name_taken if the lookup is
	// another account's, or was left by another one.
	Rename(ctx context.Context, a Account, n uint32, link []byte, today Day, values []LogValue) error

	// LeftName returns the account that left a lookup; no_account.
	LeftName(ctx context.Context, lookup proto.Hash) (proto.AccountID, error)

	// LeftSince counts the lookups that an account left on a day or later.
	LeftSince(ctx context.Context, id proto.AccountID, day Day) (int, error)
}
