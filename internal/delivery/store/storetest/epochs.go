package storetest

import (
	"slices"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

func testEpochs(w *World) {
	x := [32]byte{7}
	value := func(seq uint32, text string) store.LogValue {
		return store.LogValue{Kind: 2, Index: x, Seq: seq, Opening: [16]byte{byte(seq), 1}, Commitment: [32]byte{byte(seq), 2}, Value: []byte(text)}
	}
	w.Must(w.Store.AddValue(w.Ctx, value(0, "first")))
	w.Must(w.Store.AddValue(w.Ctx, value(0, "first")))
	if e := w.Refused(w.Store.AddValue(w.Ctx, value(0, "other")), proto.Conflict); e.Seq != 1 {
		w.T.Errorf("conflict names %d", e.Seq)
	}
	w.Refused(w.Store.AddValue(w.Ctx, value(2, "gap")), proto.Conflict)
	w.Must(w.Store.AddValue(w.Ctx, value(1, "second")))
	to := w.Account() // with a value of its own

	pending, err := w.Store.PendingValues(w.Ctx, 9)
	w.Must(err)
	mine := slices.DeleteFunc(slices.Clone(pending), func(v store.LogValue) bool { return v.Index != x })
	if len(pending) != 3 || len(mine) != 2 || mine[0].Seq != 0 || string(mine[1].Value) != "second" || mine[1].Opening != value(1, "").Opening || mine[1].Commitment != value(1, "").Commitment {
		w.T.Fatalf("%d pending: %v", len(pending), pending)
	}
	if few, _ := w.Store.PendingValues(w.Ctx, 2); len(few) != 2 {
		w.T.Errorf("%d of at most 2", len(few))
	}
	if e := w.Refused(w.Store.AddEpoch(w.Ctx, store.LogEpoch{N: 1}), proto.Conflict); e.Seq != 0 {
		w.T.Errorf("conflict names epoch %d", e.Seq)
	}
	first := store.LogEpoch{N: 0, Record: []byte("record"), Batch: []byte("batch"), Taken: []store.LogKey{{Index: x, Seq: 0}, {Index: to.Account, Seq: 0}}}
	w.Must(w.Store.AddEpoch(w.Ctx, first))
	w.Must(w.Store.AddEpoch(w.Ctx, first))
	w.Refused(w.Store.AddEpoch(w.Ctx, store.LogEpoch{N: 0, Record: []byte("another")}), proto.Conflict)
	if rest, _ := w.Store.PendingValues(w.Ctx, 9); len(rest) != 1 || rest[0].Seq != 1 {
		w.T.Errorf("still pending: %v", rest)
	}
	w.Must(w.Store.AppendLink(w.Ctx, to.Account, 1, []byte("two"), nil, store.LogValue{Index: to.Account, Seq: 1}))
	w.Must(w.Store.AppendLink(w.Ctx, to.Account, 1, []byte("two"), nil, store.LogValue{Index: to.Account, Seq: 1}))
	if v, err := w.Store.Values(w.Ctx, to.Account, 0, 9); err != nil || len(v) != 2 {
		w.T.Errorf("%d values of the account, %v", len(v), err)
	}
	w.Must(w.Store.AddEpoch(w.Ctx, store.LogEpoch{N: 1, Record: []byte("r1"), Batch: nil}))
	all, err := w.Store.Epochs(w.Ctx, 0, 9)
	if err != nil || len(all) != 2 || all[1].N != 1 || string(all[0].Record) != "record" || string(all[0].Batch) != "batch" {
		w.T.Errorf("%v, %v", all, err)
	}
	if one, _ := w.Store.Epochs(w.Ctx, 1, 9); len(one) != 1 {
		w.T.Errorf("%d epochs from 1", len(one))
	}
	testPlaces(w)
	if v, err := w.Store.Values(w.Ctx, x, 1, 9); err != nil || len(v) != 1 || string(v[0].Value) != "second" {
		w.T.Errorf("%v, %v", v, err)
	}
}

func testPlaces(w *World) {
	want := func(label byte, want string) {
		w.T.Helper()
		if p, err := w.Store.Place(w.Ctx, proto.Hash{label}); err != nil || string(p) != want {
			w.T.Errorf("place %q, want %q, %v", p, want, err)
		}
	}
	v := store.LogValue{Index: [32]byte{11}, Value: []byte("first"), Label: proto.Hash{1}, Place: []byte("sealed")}
	want(1, "")
	w.Must(w.Store.AddValue(w.Ctx, v))
	want(1, "sealed")
	second := v
	second.Seq, second.Value, second.Place = 1, []byte("second"), []byte("sealed again")
	w.Must(w.Store.AddValue(w.Ctx, second))
	want(1, "sealed") // kept once
	second.Label, second.Value = proto.Hash{2}, []byte("other")
	w.Refused(w.Store.AddValue(w.Ctx, second), proto.Conflict)
	want(2, "") // of what was refused nothing
	back := store.LogValue{Index: [32]byte{12}, Label: proto.Hash{3}, Place: []byte("given back")}
	for range 2 {
		w.Must(w.Store.GiveBackValues(w.Ctx, []store.LogValue{back}, []uint64{0}))
	}
	want(3, "given back")
	if all, err := w.Store.Values(w.Ctx, v.Index, 0, 9); err != nil || len(all) != 2 || all[0].Place != nil || all[0].Label != (proto.Hash{}) {
		w.T.Errorf("%v, %v", all, err)
	}
}
