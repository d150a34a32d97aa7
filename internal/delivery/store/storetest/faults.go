package storetest

import (
	"context"
	"errors"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Fault is what happens to a write.
type Fault int

const (
	None       Fault = iota
	Failed           // nothing was kept, and an error is returned
	FailedKept       // all was kept, and an error is returned
	DiskFull         // nothing was kept, and full is returned
)

// ErrFault is returned by a write that failed.
var ErrFault = errors.New("fault")

// Faulty is a store whose writes fail as Next says. Reads do not fail.
type Faulty struct {
	store.Store
	Next func() Fault // called for every write
}

func (f *Faulty) write(do func() error) error {
	switch f.Next() {
	case Failed:
		return ErrFault
	case DiskFull:
		return proto.Refuse(proto.Full)
	case FailedKept:
		return errors.Join(ErrFault, do())
	}
	return do()
}

// accepted is write for verbs with an outcome, which is lost with the answer.
func (f *Faulty) accepted(do func() (store.Accepted, error)) (a store.Accepted, err error) {
	err = f.write(func() (err error) {
		a, err = do()
		return err
	})
	if err != nil {
		return store.Accepted{}, err
	}
	return a, nil
}

// Create implements store.Conversations.
func (f *Faulty) Create(ctx context.Context, token proto.Hash, members []proto.MemberKey, s store.Submission, a store.Attached, reform *store.Submission) (store.Accepted, error) {
	return f.accepted(func() (store.Accepted, error) { return f.Store.Create(ctx, token, members, s, a, reform) })
}

// Append implements store.Conversations.
func (f *Faulty) Append(ctx context.Context, s store.Submission) (store.Accepted, error) {
	return f.accepted(func() (store.Accepted, error) { return f.Store.Append(ctx, s) })
}

// Commit implements store.Conversations.
func (f *Faulty) Commit(ctx context.Context, s store.Submission, d proto.KeyDelta, a store.Attached) (store.Accepted, error) {
	return f.accepted(func() (store.Accepted, error) { return f.Store.Commit(ctx, s, d, a) })
}

// Post implements store.Inboxes.
func (f *Faulty) Post(ctx context.Context, to store.Inbox, id proto.InboxItemID, sealed []byte, today store.Day, max int) error {
	return f.write(func() error { return f.Store.Post(ctx, to, id, sealed, today, max) })
}

// Ack implements store.Inboxes.
func (f *Faulty) Ack(ctx context.Context, device store.Inbox, ids []proto.InboxItemID) error {
	return f.write(func() error { return f.Store.Ack(ctx, device, ids) })
}

// BeginBlob implements store.Blobs.
func (f *Faulty) BeginBlob(ctx context.Context, b store.Blob, today store.Day, maxBytes uint64) error {
	return f.write(func() error { return f.Store.BeginBlob(ctx, b, today, maxBytes) })
}

// FinishBlob implements store.Blobs.
func (f *Faulty) FinishBlob(ctx context.Context, id proto.BlobID) error {
	return f.write(func() error { return f.Store.FinishBlob(ctx, id) })
}

// Pin implements store.Blobs.
func (f *Faulty) Pin(ctx context.Context, by store.Owner, ids []proto.BlobID, until store.Day) error {
	return f.write(func() error { return f.Store.Pin(ctx, by, ids, until) })
}
