package sim

import (
	"context"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// ledger is the server's store with faults at its writes. Reads pass.
type ledger struct {
	store.Store
	fault func(n int) WriteFault // nil = all fine
	die   func()                 // the server's process is killed
	dead  bool
	n     int // writes tried
}

// write runs one writing verb under the fault drawn for it.
func write[T any](l *ledger, verb func() (T, error)) (T, error) {
	var none T
	if l.dead {
		return none, errDead
	}
	l.n++
	fault := WriteFine
	if l.fault != nil {
		fault = l.fault(l.n)
	}
	switch fault {
	case WriteFails:
		return none, errDisk
	case KilledBeforeWrite:
		l.kill()
		return none, errDead
	}
	v, err := verb()
	switch {
	case fault == KilledAfterWrite:
		l.kill()
		return none, errDead
	case fault == WriteFailsButKept && err == nil:
		return none, errDisk
	}
	return v, err
}

func (l *ledger) kill() {
	l.dead = true
	l.die()
}

// only is write for verbs that return nothing but an error.
func only(l *ledger, verb func() error) error {
	_, err := write(l, func() (struct{}, error) { return struct{}{}, verb() })
	return err
}

func (l *ledger) Create(ctx context.Context, token proto.Hash, members []proto.MemberKey, s store.Submission, a store.Attached, reform *store.Submission) (store.Accepted, error) {
	return write(l, func() (store.Accepted, error) { return l.Store.Create(ctx, token, members, s, a, reform) })
}

func (l *ledger) Append(ctx context.Context, s store.Submission) (store.Accepted, error) {
	return write(l, func() (store.Accepted, error) { return l.Store.Append(ctx, s) })
}

func (l *ledger) Commit(ctx context.Context, s store.Submission, d proto.KeyDelta, a store.Attached) (store.Accepted, error) {
	return write(l, func() (store.Accepted, error) { return l.Store.Commit(ctx, s, d, a) })
}

func (l *ledger) AddToken(ctx context.Context, token proto.Hash, expires store.Day) error {
	return only(l, func() error { return l.Store.AddToken(ctx, token, expires) })
}

func (l *ledger) Publish(ctx context.Context, device store.Inbox, pool []store.KeyPackage, lastResort *store.KeyPackage) error {
	return only(l, func() error { return l.Store.Publish(ctx, device, pool, lastResort) })
}

func (l *ledger) Claim(ctx context.Context, account proto.AccountID, device proto.DeviceID, today, ticketUntil store.Day) ([]proto.Claimed, error) {
	return write(l, func() ([]proto.Claimed, error) { return l.Store.Claim(ctx, account, device, today, ticketUntil) })
}

func (l *ledger) Post(ctx context.Context, to store.Inbox, id proto.InboxItemID, sealed []byte, today store.Day, max int) error {
	return only(l, func() error { return l.Store.Post(ctx, to, id, sealed, today, max) })
}

func (l *ledger) Ack(ctx context.Context, device store.Inbox, ids []proto.InboxItemID) error {
	return only(l, func() error { return l.Store.Ack(ctx, device, ids) })
}

func (l *ledger) BeginBlob(ctx context.Context, b store.Blob, today store.Day, maxBytes uint64) error {
	return only(l, func() error { return l.Store.BeginBlob(ctx, b, today, maxBytes) })
}

func (l *ledger) FinishBlob(ctx context.Context, id proto.BlobID) error {
	return only(l, func() error { return l.Store.FinishBlob(ctx, id) })
}

func (l *ledger) DropBlob(ctx context.Context, id proto.BlobID) error {
	return only(l, func() error { return l.Store.DropBlob(ctx, id) })
}

func (l *ledger) Pin(ctx context.Context, by store.Owner, ids []proto.BlobID, until store.Day) error {
	return only(l, func() error { return l.Store.Pin(ctx, by, ids, until) })
}

func (l *ledger) Unpin(ctx context.Context, by store.Owner, ids []proto.BlobID, today store.Day) error {
	return only(l, func() error { return l.Store.Unpin(ctx, by, ids, today) })
}

func (l *ledger) CreateAccount(ctx context.Context, invite proto.Hash, now store.Minute, a store.Account, links [][]byte, values []store.LogValue) (store.Account, error) {
	return write(l, func() (store.Account, error) { return l.Store.CreateAccount(ctx, invite, now, a, links, values) })
}

func (l *ledger) AppendLink(ctx context.Context, id proto.AccountID, n uint32, link []byte, revoked []proto.DeviceID, value store.LogValue) error {
	return only(l, func() error { return l.Store.AppendLink(ctx, id, n, link, revoked, value) })
}

func (l *ledger) AddEpoch(ctx context.Context, e store.LogEpoch) error {
	return only(l, func() error { return l.Store.AddEpoch(ctx, e) })
}

func (l *ledger) ResetAccount(ctx context.Context, invite proto.Hash, now store.Minute, a store.Account, links [][]byte, values []store.LogValue, old proto.AccountID, former proto.Hash) (store.Account, error) {
	return write(l, func() (store.Account, error) {
		return l.Store.ResetAccount(ctx, invite, now, a, links, values, old, former)
	})
}

func (l *ledger) MoveName(ctx context.Context, from, to proto.AccountID, former proto.Hash, value store.LogValue) error {
	return only(l, func() error { return l.Store.MoveName(ctx, from, to, former, value) })
}

func (l *ledger) Rename(ctx context.Context, a store.Account, n uint32, link []byte, today store.Day, values []store.LogValue) error {
	return only(l, func() error { return l.Store.Rename(ctx, a, n, link, today, values) })
}

func (l *ledger) AddValue(ctx context.Context, v store.LogValue) error {
	return only(l, func() error { return l.Store.AddValue(ctx, v) })
}

func (l *ledger) AddInvite(ctx context.Context, i store.Invite) error {
	return only(l, func() error { return l.Store.AddInvite(ctx, i) })
}

func (l *ledger) Clean(ctx context.Context, now time.Time, r store.Retention) error {
	return only(l, func() error { return l.Store.Clean(ctx, now, r) })
}
