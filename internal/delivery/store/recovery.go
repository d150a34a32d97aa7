package store

import (
	"context"

	"codeberg.org/huis/huis/internal/proto"
)

// Recovery is what lets somebody in who has lost all devices: by which key an
// account is found, and where its sealed backup is.
type Recovery interface {
	// SetRecovery makes lookup (OperatorKey.Lookup of the recovery key) the one
	// by which the account is found; any before finds it no more. no_account →
	// exists if it is another account's. The same again changes nothing.
	SetRecovery(ctx context.Context, id proto.AccountID, lookup proto.Hash) error

	// RecoveryOf returns an account's lookup, zeros if none was set.
	RecoveryOf(ctx context.Context, id proto.AccountID) (proto.Hash, error)

	// AccountByRecovery returns the account a lookup leads to, or no_account.
	AccountByRecovery(ctx context.Context, lookup proto.Hash) (Account, error)

	// SetBackup replaces an account's pointer, and its pins by exactly pins,
	// without end. In order: no_account → the same pointer (again, nothing
	// changes) → conflict unless previous is stored (nil: none) → no_blob
	// unless all pins are done and an account's. today is the day from which
	// blobs no longer pinned are counted.
	SetBackup(ctx context.Context, id proto.AccountID, previous, pointer []byte, pins []proto.BlobID, today Day) error

	// Backup returns an account's pointer, nil if there is none.
	Backup(ctx context.Context, id proto.AccountID) ([]byte, error)
}
