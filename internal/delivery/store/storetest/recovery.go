package storetest

import (
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

func testRecovery(w *World) {
	a, b := w.Account().Account, w.Account().Account
	first, second := proto.Hash{1, 1}, proto.Hash{1, 2}
	find := func(lookup proto.Hash) proto.AccountID {
		got, err := w.Store.AccountByRecovery(w.Ctx, lookup)
		w.Must(err)
		return got.ID
	}
	missing := func(lookup proto.Hash) {
		_, err := w.Store.AccountByRecovery(w.Ctx, lookup)
		w.Refused(err, proto.NoAccount)
	}
	missing(proto.Hash{})
	w.Refused(w.Store.SetRecovery(w.Ctx, proto.AccountID{9}, first), proto.NoAccount)
	w.Must(w.Store.SetRecovery(w.Ctx, a, first))
	w.Must(w.Store.SetRecovery(w.Ctx, a, first))
	w.Refused(w.Store.SetRecovery(w.Ctx, b, first), proto.Exists)
	if find(first) != a {
		w.T.Error("another account")
	}
	w.Must(w.Store.SetRecovery(w.Ctx, a, second))
	missing(first)
	if got, err := w.Store.RecoveryOf(w.Ctx, a); err != nil || got != second || find(second) != a {
		w.T.Error("the newest key does not find the account", err)
	}
	if got, err := w.Store.RecoveryOf(w.Ctx, b); err != nil || got != (proto.Hash{}) {
		w.T.Error("an account without recovery key has one", err)
	}
}

func testBackup(w *World) {
	a, c, today := w.Account().Account, w.NewConversation(1), store.DayOf(w.Now)
	blob := func(n byte, owner *proto.ConversationID) proto.BlobID {
		b := store.Blob{ID: proto.BlobID{0xb, n}, Owner: owner, Size: 1, Hash: proto.Hash{n}}
		w.Must(w.Store.BeginBlob(w.Ctx, b, today, 10))
		w.Must(w.Store.FinishBlob(w.Ctx, b.ID))
		return b.ID
	}
	one, two, foreign := blob(1, nil), blob(2, nil), blob(3, &c.ID)
	set := func(previous, pointer string, pins ...proto.BlobID) error {
		var before []byte
		if previous != "" {
			before = []byte(previous)
		}
		return w.Store.SetBackup(w.Ctx, a, before, []byte(pointer), pins, store.DayOf(w.Now))
	}
	pointer := func(want string) {
		w.T.Helper()
		if got, err := w.Store.Backup(w.Ctx, a); err != nil || string(got) != want {
			w.T.Errorf("the pointer is %q, %v, want %q", got, err, want)
		}
	}
	pointer("")
	w.Refused(w.Store.SetBackup(w.Ctx, proto.AccountID{9}, nil, []byte("x"), nil, today), proto.NoAccount)
	w.Refused(set("other", "first", one), proto.Conflict)
	w.Refused(set("", "first", one, foreign), proto.NoBlob)
	pointer("")
	w.Must(set("", "first", one))
	w.Must(set("", "first", one))
	w.Refused(set("", "second", two), proto.Conflict)
	pointer("first")
	w.Must(set("first", "second", two))
	pointer("second")
	w.Now = w.Now.Add(3 * 24 * time.Hour)
	w.Must(w.Store.Clean(w.Ctx, w.Now, store.Retention{Entries: 30}))
	_, err := w.Store.Blob(w.Ctx, one)
	w.Refused(err, proto.NoBlob)
	_, err = w.Store.Blob(w.Ctx, two)
	w.Must(err)
}
