package storetest

import (
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

func testRename(w *World) {
	now := store.MinuteOf(w.Now)
	invite := store.Invite{Token: proto.Hash{8}, Uses: 3, Expires: now + 5}
	w.Must(w.Store.AddInvite(w.Ctx, invite))
	first, second, third, taken := proto.Hash{1}, proto.Hash{2}, proto.Hash{3}, proto.Hash{4}
	join := func(id byte, lookup proto.Hash) error {
		_, err := w.Store.CreateAccount(w.Ctx, invite.Token, now, store.Account{ID: proto.AccountID{id}, Lookup: lookup, Handle: []byte("made")}, [][]byte{{id}}, []store.LogValue{{Index: [32]byte{id, 9}}})
		return err
	}
	w.Must(join(1, first))
	w.Must(join(2, taken))
	rename := func(id byte, to proto.Hash, n uint32, link byte, day store.Day) error {
		value := store.LogValue{Index: to, Seq: n - 1, Value: []byte{link}}
		return w.Store.Rename(w.Ctx, store.Account{ID: proto.AccountID{id}, Lookup: to, Handle: []byte{link}}, n, []byte{link}, day, []store.LogValue{value})
	}
	w.Refused(rename(7, second, 1, 10, 5), proto.NoAccount)
	w.Refused(rename(1, taken, 1, 10, 5), proto.NameTaken)
	w.Refused(rename(1, second, 2, 10, 5), proto.Conflict)
	w.Must(rename(1, second, 1, 10, 5))
	w.Must(rename(1, second, 1, 10, 6)) // again: nothing changes
	w.Refused(rename(1, third, 1, 11, 5), proto.Conflict)

	named := func(lookup proto.Hash, want byte) {
		w.T.Helper()
		if a, err := w.Store.AccountByLookup(w.Ctx, lookup); err != nil || a.ID != (proto.AccountID{want}) {
			w.T.Errorf("another account is found, %v", err)
		}
	}
	left := func(lookup proto.Hash, want byte) {
		w.T.Helper()
		_, err := w.Store.AccountByLookup(w.Ctx, lookup)
		w.Refused(err, proto.NoAccount)
		if id, err := w.Store.LeftName(w.Ctx, lookup); err != nil || id != (proto.AccountID{want}) {
			w.T.Errorf("left by %x, %v", id[:1], err)
		}
	}
	named(second, 1)
	left(first, 1)
	_, err := w.Store.LeftName(w.Ctx, second)
	w.Refused(err, proto.NoAccount)
	if a, err := w.Store.Account(w.Ctx, proto.AccountID{1}); err != nil || a.Links != 2 || len(a.Handle) != 1 || a.Handle[0] != 10 {
		w.T.Errorf("renamed to %+v, %v", a, err)
	}
	if v, err := w.Store.PendingValues(w.Ctx, 9); err != nil || len(v) != 3 {
		w.T.Errorf("%d values wait, %v", len(v), err)
	}

	w.Refused(join(3, first), proto.NameTaken)
	if i, err := w.Store.Invite(w.Ctx, invite.Token, now); err != nil || i.Uses != 1 {
		w.T.Errorf("%d uses left after a refusal, %v", i.Uses, err)
	}
	w.Refused(rename(2, first, 1, 12, 5), proto.NameTaken)
	w.Must(rename(1, first, 2, 13, 6)) // back again
	named(first, 1)
	left(second, 1)
	for day, want := range map[store.Day]int{6: 1, 7: 0} {
		if n, err := w.Store.LeftSince(w.Ctx, proto.AccountID{1}, day); err != nil || n != want {
			w.T.Errorf("%d names left since day %d, %v", n, day, err)
		}
	}
	testGiveBackRename(w, third, taken)
}

func testGiveBackRename(w *World, third, taken proto.Hash) {
	a := store.Account{ID: proto.AccountID{1}, Lookup: third, Handle: []byte("third")}
	w.Refused(w.Store.GiveBackRename(w.Ctx, store.Account{ID: proto.AccountID{7}, Lookup: third}, 8), proto.NoAccount)
	w.Refused(w.Store.GiveBackRename(w.Ctx, store.Account{ID: a.ID, Lookup: taken}, 8), proto.NameTaken)
	for range 2 {
		w.Must(w.Store.GiveBackRename(w.Ctx, a, 8))
	}
	if got, err := w.Store.AccountByLookup(w.Ctx, third); err != nil || got.ID != a.ID || string(got.Handle) != "third" || got.Links != 3 {
		w.T.Errorf("given back as %+v, %v", got, err)
	}
	if n, err := w.Store.LeftNames(w.Ctx); err != nil || n != 2 {
		w.T.Errorf("%d names are left, %v", n, err)
	}
	for range 2 {
		w.Must(w.Store.GiveBackLeft(w.Ctx, proto.Hash{9}, a.ID, 8))
		w.Must(w.Store.GiveBackLeft(w.Ctx, taken, a.ID, 8)) // somebody has it
		w.Must(w.Store.GiveBackLeft(w.Ctx, proto.Hash{1}, proto.AccountID{6}, 8))
	}
	if id, err := w.Store.LeftName(w.Ctx, proto.Hash{9}); err != nil || id != a.ID {
		w.T.Errorf("left by %x, %v", id[:1], err)
	}
	if id, err := w.Store.LeftName(w.Ctx, proto.Hash{1}); err != nil || id != a.ID {
		w.T.Errorf("a name left by %x is kept for another account, %v", id[:1], err)
	}
	_, err := w.Store.LeftName(w.Ctx, taken)
	w.Refused(err, proto.NoAccount)
	given := store.Account{ID: proto.AccountID{5}, Lookup: proto.Hash{1}}
	w.Refused(w.Store.GiveBackAccount(w.Ctx, given, [][]byte{{5}}, nil, nil, nil), proto.NameTaken)
}
