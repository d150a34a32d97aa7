//go:build evil

package evil

import (
	"context"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// perInvitation is how many accounts one invitation is for.
const perInvitation = math.MaxUint16

// populate writes accounts into the first house's database, one for each name,
// as joining does and without the people; the server puts them into its log when
// it starts again.
func (o *Operator) populate(ctx context.Context, names []string) error {
	return o.OnDisk(ctx, func(db store.Store) error {
		var tokens []proto.Hash
		for range len(names)/perInvitation + 1 {
			i := store.Invite{Token: proto.New[proto.Token]().Hash(), Uses: perInvitation, Expires: math.MaxInt32}
			if err := db.AddInvite(ctx, i); err != nil {
				return err
			}
			tokens = append(tokens, i.Token)
		}
		// So many at a time that one flush of the disk is for many of them.
		var failed atomic.Pointer[error]
		var all sync.WaitGroup
		next := atomic.Int64{}
		for range 128 * runtime.NumCPU() {
			all.Go(func() {
				for n := int(next.Add(1)) - 1; n < len(names) && failed.Load() == nil; n = int(next.Add(1)) - 1 {
					if err := o.settle(ctx, db, tokens[n/perInvitation], names[n]); err != nil {
						failed.CompareAndSwap(nil, &err)
					}
				}
			})
		}
		all.Wait()
		if err := failed.Load(); err != nil {
			return *err
		}
		return o.writeLog(ctx, db)
	})
}

// writeLog puts what waits for it into the log.
func (o *Operator) writeLog(ctx context.Context, db store.Store) error {
	d, err := directory.Open(ctx, directory.Config{Store: db, Key: o.keys.operator, Clock: wallClock{}, Sessions: session.New(wallClock{}), Origin: o.origin})
	if err != nil {
		return err
	}
	_, err = d.LogHead(ctx, &proto.LogHeadRequest{})
	return err
}

// settle makes one account.
func (o *Operator) settle(ctx context.Context, db store.Store, token proto.Hash, name string) error {
	p, err := newStranger()
	if err != nil {
		return err
	}
	chain, err := kt.Verify(p.links)
	if err != nil {
		return err
	}
	label := kt.MapLabel(kt.KindAccount, []byte(name))
	proof, out := o.keys.vrf.Prove(label)
	x, opening := kt.MapIndex(out), kt.NewOpening()
	place := o.keys.operator.Lookup("label", string(label))
	id := proto.AccountID(chain.Account())
	a := store.Account{ID: id, Lookup: o.keys.operator.Lookup("handle", name), Handle: o.keys.operator.Seal("handle", id[:], []byte(name))}
	_, err = db.CreateAccount(ctx, token, 0, a, p.links, []store.LogValue{{
		Kind: uint8(kt.KindAccount), Index: x, Opening: opening, Value: p.links[0], Commitment: kt.Commit(opening, label, 0, p.links[0]),
		Label: place, Place: o.keys.operator.Seal("label", place[:], append(x[:], proof[:]...)),
	}})
	return err
}
