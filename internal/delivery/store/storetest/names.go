package storetest

import (
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

func testNames(w *World) {
	now := store.MinuteOf(w.Now)
	invite := store.Invite{Token: proto.Hash{8}, Uses: 2, Expires: now + 5}
	w.Must(w.Store.AddInvite(w.Ctx, invite))
	name, former, formerNew := proto.Hash{1}, proto.Hash{2}, proto.Hash{3}
	old := store.Account{ID: proto.AccountID{1}, Lookup: name, Handle: []byte("one")}
	_, err := w.Store.CreateAccount(w.Ctx, invite.Token, now, old, [][]byte{{1}}, []store.LogValue{{Index: [32]byte{9}}})
	w.Must(err)
	reset := func(a store.Account, of proto.AccountID, at store.Minute) (store.Account, error) {
		return w.Store.ResetAccount(w.Ctx, invite.Token, at, a, [][]byte{{2}}, []store.LogValue{{Index: [32]byte{9}, Seq: 1}}, of, former)
	}
	anew := store.Account{ID: proto.AccountID{2}, Lookup: name, Handle: []byte("two")}
	_, err = reset(anew, proto.AccountID{7}, now)
	w.Refused(err, proto.NoAccount)
	_, err = reset(store.Account{ID: proto.AccountID{2}, Lookup: proto.Hash{6}}, old.ID, now)
	w.Refused(err, proto.NoAccount)
	_, err = reset(old, old.ID, now)
	w.Refused(err, proto.Exists)
	_, err = reset(anew, old.ID, now+6)
	w.Refused(err, proto.InviteExpired)
	if i, err := w.Store.Invite(w.Ctx, invite.Token, now); err != nil || i.Uses != 1 {
		w.T.Errorf("%d uses left after refusals, %v", i.Uses, err)
	}
	got, err := reset(anew, old.ID, now)
	w.Must(err)
	if got.Admin || got.Links != 1 {
		w.T.Errorf("made %+v", got)
	}
	_, err = reset(anew, old.ID, now)
	w.Must(err)
	_, err = reset(store.Account{ID: proto.AccountID{3}, Lookup: name}, anew.ID, now)
	w.Refused(err, proto.InviteUsed)
	named := func(lookup proto.Hash, want proto.AccountID) {
		if a, err := w.Store.AccountByLookup(w.Ctx, lookup); err != nil || a.ID != want {
			w.T.Errorf("another account is found, %v", err)
		}
	}
	named(name, anew.ID)
	named(former, old.ID)
	if v, err := w.Store.Values(w.Ctx, [32]byte{9}, 0, 9); err != nil || len(v) != 2 {
		w.T.Errorf("%d values, %v", len(v), err)
	}
	back := store.LogValue{Index: [32]byte{9}, Seq: 2, Value: []byte("veto")}
	w.Refused(w.Store.MoveName(w.Ctx, anew.ID, proto.AccountID{7}, formerNew, back), proto.NoAccount)
	w.Refused(w.Store.MoveName(w.Ctx, proto.AccountID{7}, old.ID, formerNew, back), proto.NoAccount)
	w.Must(w.Store.MoveName(w.Ctx, anew.ID, old.ID, formerNew, back))
	named(name, old.ID)
	named(formerNew, anew.ID)
	if v, err := w.Store.PendingValues(w.Ctx, 9); err != nil || len(v) != 3 || string(v[2].Value) != "veto" {
		w.T.Errorf("%d values wait, %v", len(v), err)
	}
}
