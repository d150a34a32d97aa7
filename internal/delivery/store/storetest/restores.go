package storetest

import (
	"math"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

func testRestores(w *World) {
	c := w.NewConversation(1)
	seq, chain, err := w.Store.Head(w.Ctx, c.ID)
	w.Must(err)
	if all := w.ReadAll(c.ID, c.Keys[0].MK(), 0); seq != 1 || len(all) != 1 || chain == (proto.Hash{}) {
		w.T.Errorf("head %d", seq)
	}
	if seq, chain, err := w.Store.Head(w.Ctx, proto.New[proto.ConversationID]()); err != nil || seq != 0 || chain != (proto.Hash{}) {
		w.T.Errorf("head %d of no conversation, %v", seq, err)
	}

	inbox, ticket := w.ticket()
	token := w.Token()
	w.Must(w.Store.ForgetPromises(w.Ctx))
	w.Refused(w.Store.CheckToken(w.Ctx, token, 0), proto.BadToken)
	_, err = w.Store.Claim(w.Ctx, inbox.Account, proto.DeviceID{}, 0, 1)
	w.Refused(err, proto.NoneLeft)
	k, a := NewKey(), w.Attached()
	a.Deliveries = []store.Delivery{{Ticket: ticket, ID: proto.New[proto.InboxItemID](), Sealed: []byte{1}}}
	id := proto.New[proto.ConversationID]()
	_, err = w.Store.Create(w.Ctx, w.Token(), []proto.MemberKey{k.MK()}, w.Submission(CreateEntry(id, k, []proto.MemberKey{k.MK()}, &proto.Extra{})), a, nil)
	w.Refused(err, proto.BadTicket)
	testGiveBackAccount(w)
	testBeginLog(w)
}

// testBeginLog leaves a store whose log has all its values before it.
func testBeginLog(w *World) {
	x, y := [32]byte{20}, [32]byte{21}
	for _, v := range []store.LogValue{{Index: x, Kind: 1, Value: []byte("a")}, {Index: x, Kind: 1, Seq: 1, Value: []byte("b")}, {Index: y, Kind: 7, Value: []byte("c")}} {
		w.Must(w.Store.AddValue(w.Ctx, v))
	}
	before, err := w.Store.PendingValues(w.Ctx, math.MaxInt32)
	w.Must(err)
	there, err := w.Store.Epochs(w.Ctx, 0, math.MaxInt32)
	w.Must(err)
	taken := make([]store.LogKey, len(before))
	for i, v := range before {
		taken[i] = store.LogKey{Index: v.Index, Seq: v.Seq}
	}
	w.Must(w.Store.AddEpoch(w.Ctx, store.LogEpoch{N: uint64(len(there)), Record: []byte("r"), Batch: []byte("b"), Taken: taken}))
	for range 2 {
		w.Must(w.Store.BeginLog(w.Ctx, "another", 7))
	}
	if name, err := w.Store.Setting(w.Ctx, store.SettingLog); err != nil || string(name) != "another" {
		w.T.Errorf("the log is called %q, %v", name, err)
	}
	if all, err := w.Store.Epochs(w.Ctx, 0, 9); err != nil || len(all) != 0 {
		w.T.Errorf("%d epochs are left, %v", len(all), err)
	}
	all, err := w.Store.PendingValues(w.Ctx, math.MaxInt32)
	w.Must(err)
	own := 0
	for _, v := range all {
		if v.Index == y {
			w.T.Error("a value of the old log alone is left")
		}
		if v.Index == x && string(v.Value) == string(rune('a'+v.Seq)) {
			own++
		}
	}
	if own != 2 || len(all) < len(before)-1 {
		w.T.Errorf("%d values are pending, %d of them those", len(all), own)
	}
	if v, err := w.Store.Values(w.Ctx, y, 0, 9); err != nil || len(v) != 0 {
		w.T.Errorf("%d values, %v", len(v), err)
	}
	w.Must(w.Store.AddEpoch(w.Ctx, store.LogEpoch{Record: []byte("first"), Batch: []byte("b")}))
}

func testGiveBackAccount(w *World) {
	there := len(w.accountIDs())
	a := store.Account{ID: proto.AccountID{1}, Lookup: proto.Hash{1}, Handle: []byte("sealed"), Admin: true}
	values := []store.LogValue{{Index: [32]byte{9}}, {Index: [32]byte{9}, Seq: 1, Value: []byte("second")}}
	give := func(a store.Account, links ...[]byte) error {
		return w.Store.GiveBackAccount(w.Ctx, a, links, values[:len(links)], []uint64{3, 4}[:len(links)], nil)
	}
	w.Must(give(a, []byte{1}))
	w.Must(give(a, []byte{1}, []byte{2}))
	w.Must(give(a, []byte{1})) // fewer change nothing
	got, err := w.Store.Account(w.Ctx, a.ID)
	w.Must(err)
	if got.Links != 2 || !got.Admin || string(got.Handle) != "sealed" {
		w.T.Errorf("given back as %+v", got)
	}
	if links, err := w.Store.Links(w.Ctx, a.ID, 0, 9); err != nil || len(links) != 2 || links[1][0] != 2 {
		w.T.Errorf("links %v, %v", links, err)
	}
	w.Refused(give(a, []byte{7}), proto.Conflict)
	w.Refused(give(store.Account{ID: a.ID, Lookup: proto.Hash{2}}, []byte{1}), proto.Conflict)
	w.Refused(give(store.Account{ID: proto.AccountID{2}, Lookup: a.Lookup}, []byte{1}), proto.NameTaken)
	if v, err := w.Store.Values(w.Ctx, [32]byte{9}, 0, 9); err != nil || len(v) != 2 || string(v[1].Value) != "second" {
		w.T.Errorf("%d values, %v", len(v), err)
	}
	for range 2 {
		w.Must(w.Store.GiveBackValues(w.Ctx, []store.LogValue{{Index: [32]byte{9}, Seq: 2, Value: []byte("third")}}, []uint64{5}))
	}
	if v, err := w.Store.Values(w.Ctx, [32]byte{9}, 2, 9); err != nil || len(v) != 1 || string(v[0].Value) != "third" {
		w.T.Errorf("%d values, %v", len(v), err)
	}
	pending, err := w.Store.PendingValues(w.Ctx, math.MaxInt32)
	w.Must(err)
	for _, v := range pending {
		if v.Index == [32]byte{9} {
			w.T.Error("a value that the log has waits for it")
		}
	}
	if n := len(w.accountIDs()); n != there+1 {
		w.T.Errorf("%d accounts", n)
	}
}

func (w *World) accountIDs() []proto.AccountID {
	all, err := w.Store.AccountIDs(w.Ctx)
	w.Must(err)
	return all
}
