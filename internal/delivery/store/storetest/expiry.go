package storetest

import (
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

const day = 24 * time.Hour

func (w *World) clean() {
	w.T.Helper()
	w.Must(w.Store.Clean(w.Ctx, w.Now, store.Retention{Entries: 30}))
}

func testRetention(w *World) {
	c := w.NewConversation(2)
	w.Now = w.Now.Add(2 * day)
	for range 3 {
		_, err := w.Append(Application(c.ID, c.Keys[0], 1, make([]byte, 1000)))
		w.Must(err)
	}
	w.Now = w.Now.Add(29 * day)
	w.clean()
	_, err := w.Store.Read(w.Ctx, c.ID, c.Keys[1].MK(), 0, 10, 1<<20)
	if e := w.Refused(err, proto.Gone); e.Seq != 2 {
		w.T.Fatalf("gone until %d, want 2", e.Seq)
	}
	if all := w.ReadAll(c.ID, c.Keys[1].MK(), 1); len(all) != 3 {
		w.T.Fatalf("%d entries left", len(all))
	}
	w.Now = w.Now.Add(2 * day)
	w.clean()
	_, err = w.Store.Read(w.Ctx, c.ID, c.Keys[1].MK(), 1, 10, 1<<20)
	if e := w.Refused(err, proto.Gone); e.Seq != 5 {
		w.T.Fatalf("gone until %d, want 5", e.Seq)
	}
	if r, err := w.Store.Read(w.Ctx, c.ID, c.Keys[1].MK(), 4, 10, 1<<20); err != nil || len(r.Entries) != 0 || r.Head != 4 {
		w.T.Fatalf("%d entries, head %d, %v", len(r.Entries), r.Head, err)
	}
	a, err := w.Append(Application(c.ID, c.Keys[0], 1, nil))
	w.Must(err)
	if a.Receipt.Seq != 5 {
		w.T.Fatalf("the log goes on at %d", a.Receipt.Seq)
	}
}

func testClean(w *World) {
	c, today := w.NewConversation(2), store.DayOf(w.Now)
	to, ticket := w.ticket()
	w.Must(w.Store.Publish(w.Ctx, to, []store.KeyPackage{{Bytes: []byte("p"), Expires: today + 3}}, nil))
	w.Must(w.Store.Post(w.Ctx, to, proto.InboxItemID{1}, nil, today, 9))
	blob := func(id byte) proto.BlobID {
		b := store.Blob{ID: proto.BlobID{id}, Owner: &c.ID, Size: 1}
		w.Must(w.Store.BeginBlob(w.Ctx, b, today, 100))
		w.Must(w.Store.FinishBlob(w.Ctx, b.ID))
		return b.ID
	}
	owner := store.Owner{Conversation: &c.ID}
	loose, kept, timed, dropped := blob(1), blob(2), blob(3), blob(4)
	w.Must(w.Store.Pin(w.Ctx, owner, []proto.BlobID{kept, dropped}, 0))
	w.Must(w.Store.Pin(w.Ctx, owner, []proto.BlobID{timed}, today+10))
	there := func(id proto.BlobID) bool { _, err := w.Store.Blob(w.Ctx, id); return err == nil }

	w.Now = w.Now.Add(day)
	w.clean()
	if !there(loose) {
		w.T.Error("an unpinned blob died within 24 h")
	}
	w.Now = w.Now.Add(day)
	w.Must(w.Store.Unpin(w.Ctx, owner, []proto.BlobID{dropped, {99}}, store.DayOf(w.Now)))
	w.clean()
	if there(loose) || !there(kept) || !there(timed) || !there(dropped) {
		w.T.Error("blobs after two days: ", there(loose), there(kept), there(timed), there(dropped))
	}
	w.Now = w.Now.Add(8*day + time.Hour)
	w.clean()
	if there(dropped) || !there(timed) {
		w.T.Error("blobs after ten days: ", there(dropped), there(timed))
	}
	at := w.Attached()
	at.Deliveries, at.Today = []store.Delivery{delivery(ticket)}, 0
	_, err := w.Store.Commit(w.Ctx, w.Submission(CommitEntry(c.ID, c.Keys[0], 1, proto.KeyDelta{}, &proto.Extra{})), proto.KeyDelta{}, at)
	w.Refused(err, proto.BadTicket)
	if n, _, _ := w.Store.PackageCount(w.Ctx, to); n != 0 {
		w.T.Error("an expired package is there")
	}
	w.Now = w.Now.Add(2 * day)
	w.clean()
	if there(timed) {
		w.T.Error("a blob outlived its pin")
	}
	w.Now = w.Now.Add(20 * day)
	w.clean()
	if items, _, _ := w.Store.Fetch(w.Ctx, to, proto.InboxItemID{}, 9); len(items) != 0 {
		w.T.Error("an inbox item is there after 32 days")
	}
	w.endConversation(c, kept)
}

// endConversation: when everybody left and the entries are gone, so is the log.
func (w *World) endConversation(c Conversation, kept proto.BlobID) {
	for _, k := range c.Keys {
		s := w.Submission(NoticeEntry(c.ID, k, 1, proto.Notice{Type: proto.NoticeLeave}))
		s.Leave = true
		_, err := w.Store.Append(w.Ctx, s)
		w.Must(err)
	}
	w.clean()
	_, err := w.Store.Member(w.Ctx, c.ID, c.Keys[0].MK())
	w.Must(err)
	for range 3 {
		w.Now = w.Now.Add(31 * day)
		w.clean()
	}
	_, err = w.Store.Member(w.Ctx, c.ID, c.Keys[0].MK())
	w.Refused(err, proto.NotMember)
	_, err = w.Store.Blob(w.Ctx, kept)
	w.Refused(err, proto.NoBlob)
}

func testPages(w *World) {
	c := w.NewConversation(1)
	for range 6 {
		_, err := w.Append(Application(c.ID, c.Keys[0], 1, make([]byte, 3000)))
		w.Must(err)
	}
	for _, bound := range []struct{ max, bytes, want int }{{3, 1 << 20, 3}, {100, 8000, 2}, {100, 1, 1}} {
		r, err := w.Store.Read(w.Ctx, c.ID, c.Keys[0].MK(), 1, bound.max, bound.bytes)
		if err != nil || len(r.Entries) != bound.want || r.Head != 7 || r.Epoch != 1 {
			w.T.Errorf("%+v: %d entries, head %d, epoch %d, %v", bound, len(r.Entries), r.Head, r.Epoch, err)
		}
	}
}

func testFull(w *World) {
	c := w.NewConversation(1)
	s := w.Submission(Application(c.ID, c.Keys[0], 1, make([]byte, 3000)))
	s.MaxBytes = 2000
	_, err := w.Store.Append(w.Ctx, s)
	w.Refused(err, proto.Full)
	if all := w.ReadAll(c.ID, c.Keys[0].MK(), 0); len(all) != 1 {
		w.T.Errorf("%d entries", len(all))
	}
}
