package storetest

import (
	"bytes"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// ticket publishes a package of a new account and claims it.
func (w *World) ticket() (store.Inbox, proto.Hash) {
	to := w.Account()
	w.Must(w.Store.Publish(w.Ctx, to, []store.KeyPackage{{Bytes: []byte("package"), Expires: store.DayOf(w.Now) + 5}}, nil))
	c, err := w.Store.Claim(w.Ctx, to.Account, proto.DeviceID{}, store.DayOf(w.Now), store.DayOf(w.Now)+7)
	w.Must(err)
	return to, c[0].Ticket.Hash()
}

func delivery(ticket proto.Hash) store.Delivery {
	return store.Delivery{Ticket: ticket, ID: proto.New[proto.InboxItemID](), Sealed: []byte("sealed")}
}

func testTickets(w *World) {
	c := w.NewConversation(1)
	to, ticket := w.ticket()
	epoch := uint64(1)
	commit := func(all ...store.Delivery) error {
		at := w.Attached()
		at.Deliveries = all
		a, err := w.Store.Commit(w.Ctx, w.Submission(CommitEntry(c.ID, c.Keys[0], epoch, proto.KeyDelta{}, &proto.Extra{})), proto.KeyDelta{}, at)
		if err == nil {
			epoch++
			if len(a.Inboxes) != len(all) {
				w.T.Errorf("%d inboxes hinted", len(a.Inboxes))
			}
		}
		return err
	}
	if e := w.Refused(commit(delivery(ticket), delivery(proto.Hash{7})), proto.BadTicket); e.Index != 1 {
		w.T.Errorf("bad ticket %d", e.Index)
	}
	w.Refused(commit(delivery(ticket), delivery(ticket)), proto.BadTicket)
	if items, _, err := w.Store.Fetch(w.Ctx, to, proto.InboxItemID{}, 10); err != nil || len(items) != 0 {
		w.T.Fatalf("a refused commit delivered %d items, %v", len(items), err)
	}
	w.Must(commit(delivery(ticket)))
	w.Refused(commit(delivery(ticket)), proto.BadTicket)
	items, _, err := w.Store.Fetch(w.Ctx, to, proto.InboxItemID{}, 10)
	if err != nil || len(items) != 1 || string(items[0].Sealed) != "sealed" {
		w.T.Fatalf("%d items, %v", len(items), err)
	}
	_, late := w.ticket()
	w.Now = w.Now.Add(8 * 24 * time.Hour)
	w.Refused(commit(delivery(late)), proto.BadTicket)
}

func testRefusedCommit(w *World) {
	c := w.NewConversation(2)
	full, ticket := w.ticket()
	for range 100 {
		w.Must(w.Store.Post(w.Ctx, full, proto.New[proto.InboxItemID](), nil, store.DayOf(w.Now), 100))
	}
	try := func(change func(*store.Attached)) error {
		at := w.Attached()
		change(&at)
		d := proto.KeyDelta{Removes: []proto.MemberKey{c.Keys[1].MK()}}
		_, err := w.Store.Commit(w.Ctx, w.Submission(CommitEntry(c.ID, c.Keys[0], 1, d, &proto.Extra{})), d, at)
		return err
	}
	w.Refused(try(func(a *store.Attached) { a.Deliveries = []store.Delivery{delivery(ticket)} }), proto.InboxFull)
	w.Refused(try(func(a *store.Attached) { a.Pins = []proto.BlobID{{1}} }), proto.NoBlob)
	if all := w.ReadAll(c.ID, c.Keys[1].MK(), 0); len(all) != 1 {
		w.T.Fatalf("%d entries", len(all))
	}
	_, err := w.Append(Application(c.ID, c.Keys[1], 1, nil))
	w.Must(err)
}

func testPackages(w *World) {
	to, today := w.Account(), store.DayOf(w.Now)
	pool := []store.KeyPackage{{Bytes: []byte("a"), Expires: today + 1}, {Bytes: []byte("b"), Expires: today + 1}, {Bytes: []byte("old"), Expires: today - 1}}
	w.Must(w.Store.Publish(w.Ctx, to, pool, &store.KeyPackage{Bytes: []byte("last"), Expires: today + 9}))
	second := store.Inbox{Account: to.Account, Device: proto.DeviceID{5}}
	w.Must(w.Store.Publish(w.Ctx, second, pool[:1], nil))
	claim := func(device proto.DeviceID) []proto.Claimed {
		all, err := w.Store.Claim(w.Ctx, to.Account, device, today, today+7)
		w.Must(err)
		return all
	}
	if all := claim(proto.DeviceID{}); len(all) != 2 {
		w.T.Fatalf("%d packages of 2 devices", len(all))
	}
	got := map[string]int{}
	for range 3 {
		c := claim(to.Device)
		got[string(c[0].KeyPackage)]++
		if c[0].LastResort != (string(c[0].KeyPackage) == "last") {
			w.T.Error("the last resort is not told")
		}
	}
	if got["last"] != 2 || got["a"]+got["b"] != 1 {
		w.T.Errorf("given %v", got)
	}
	if n, last, err := w.Store.PackageCount(w.Ctx, to); err != nil || n > 1 || !last {
		w.T.Errorf("%d left, %v, %v", n, last, err)
	}
	w.Must(w.Store.Publish(w.Ctx, to, pool[:2], nil))
	if n, last, err := w.Store.PackageCount(w.Ctx, to); err != nil || n != 2 || !last {
		w.T.Errorf("after publishing %d left, %v, %v", n, last, err)
	}
	_, err := w.Store.Claim(w.Ctx, to.Account, second.Device, today, today+7)
	w.Refused(err, proto.NoneLeft)
	_, err = w.Store.Claim(w.Ctx, proto.AccountID{1}, proto.DeviceID{}, today, today+7)
	w.Refused(err, proto.UnknownAccount)
	w.Refused(w.Store.Publish(w.Ctx, store.Inbox{}, pool, nil), proto.NoAccount)
}

func testInbox(w *World) {
	to, today := w.Account(), store.DayOf(w.Now)
	whole := store.Inbox{Account: to.Account}
	other := store.Inbox{Account: to.Account, Device: proto.DeviceID{9}}
	w.Must(w.Store.Post(w.Ctx, to, proto.InboxItemID{3}, []byte("device"), today, 2))
	w.Must(w.Store.Post(w.Ctx, whole, proto.InboxItemID{1}, []byte("account"), today, 2))
	w.Must(w.Store.Post(w.Ctx, other, proto.InboxItemID{2}, []byte("other"), today, 2))
	items, more, err := w.Store.Fetch(w.Ctx, to, proto.InboxItemID{}, 1)
	if err != nil || len(items) != 1 || !more || string(items[0].Sealed) != "account" {
		w.T.Fatalf("%d items, more %v, %v", len(items), more, err)
	}
	items, more, err = w.Store.Fetch(w.Ctx, to, items[0].ID, 1)
	if err != nil || len(items) != 1 || more || string(items[0].Sealed) != "device" {
		w.T.Fatalf("%d items, more %v, %v", len(items), more, err)
	}
	w.Must(w.Store.Post(w.Ctx, to, proto.InboxItemID{4}, nil, today, 2))
	w.Refused(w.Store.Post(w.Ctx, to, proto.InboxItemID{5}, nil, today, 2), proto.InboxFull)
	w.Refused(w.Store.Post(w.Ctx, store.Inbox{}, proto.InboxItemID{6}, nil, today, 2), proto.UnknownAccount)
	w.Must(w.Store.Ack(w.Ctx, to, []proto.InboxItemID{{1}, {2}, {3}, {7}}))
	items, _, _ = w.Store.Fetch(w.Ctx, to, proto.InboxItemID{}, 9)
	if len(items) != 1 || items[0].ID != (proto.InboxItemID{4}) {
		w.T.Errorf("%d items left", len(items))
	}
	if items, _, _ = w.Store.Fetch(w.Ctx, other, proto.InboxItemID{}, 9); len(items) != 1 {
		w.T.Error("another device's item was acknowledged away")
	}
}

func testBlobs(w *World) {
	c, a, today := w.NewConversation(1), w.Account(), store.DayOf(w.Now)
	b := store.Blob{ID: proto.BlobID{1}, Owner: &c.ID, Size: 10, Hash: proto.Hash{2}}
	w.Must(w.Store.BeginBlob(w.Ctx, b, today, 15))
	w.Must(w.Store.BeginBlob(w.Ctx, b, today, 15))
	changed := b
	changed.Size = 11
	w.Refused(w.Store.BeginBlob(w.Ctx, changed, today, 15), proto.Exists)
	changed.ID = proto.BlobID{2}
	w.Refused(w.Store.BeginBlob(w.Ctx, changed, today, 15), proto.Quota)
	conversation, account := store.Owner{Conversation: &c.ID}, store.Owner{Account: &a.Account}
	w.Refused(w.Store.Pin(w.Ctx, conversation, []proto.BlobID{b.ID}, 0), proto.NoBlob) // not done
	w.Must(w.Store.FinishBlob(w.Ctx, b.ID))
	if got, err := w.Store.Blob(w.Ctx, b.ID); err != nil || !got.Done || got.Size != 10 || *got.Owner != c.ID || got.Hash != b.Hash {
		w.T.Errorf("%+v, %v", got, err)
	}
	w.Refused(w.Store.Pin(w.Ctx, account, []proto.BlobID{b.ID}, 0), proto.NoBlob)
	w.Refused(w.Store.Pin(w.Ctx, conversation, []proto.BlobID{b.ID, {9}}, 0), proto.NoBlob)
	backup := store.Blob{ID: proto.BlobID{3}, Size: 99, Hash: proto.Hash{3}}
	w.Must(w.Store.BeginBlob(w.Ctx, backup, today, 15))
	w.Must(w.Store.FinishBlob(w.Ctx, backup.ID))
	w.Refused(w.Store.Pin(w.Ctx, conversation, []proto.BlobID{backup.ID}, 0), proto.NoBlob)
	w.Must(w.Store.Pin(w.Ctx, account, []proto.BlobID{backup.ID}, 0))
	w.Must(w.Store.DropBlob(w.Ctx, backup.ID)) // done: stays
	if ids, err := w.Store.BlobIDs(w.Ctx); err != nil || len(ids) != 2 {
		w.T.Errorf("%d blobs, %v", len(ids), err)
	}
	w.Refused(w.Store.FinishBlob(w.Ctx, proto.BlobID{8}), proto.NoBlob)
	open := store.Blob{ID: proto.BlobID{4}, Size: 1}
	w.Must(w.Store.BeginBlob(w.Ctx, open, today, 15))
	w.Must(w.Store.DropBlob(w.Ctx, open.ID))
	_, err := w.Store.Blob(w.Ctx, open.ID)
	w.Refused(err, proto.NoBlob)
}

func testAccounts(w *World) {
	now := store.MinuteOf(w.Now)
	if any, err := w.Store.HasAccounts(w.Ctx); any || err != nil {
		w.T.Fatal("an empty store has accounts", err)
	}
	invite := store.Invite{Token: proto.Hash{1}, Uses: 2, Expires: now + 5}
	w.Must(w.Store.AddInvite(w.Ctx, invite))
	w.Refused(w.Store.AddInvite(w.Ctx, invite), proto.Exists)
	first := store.Account{ID: proto.AccountID{1}, Lookup: proto.Hash{1}, Handle: []byte("one")}
	make := func(a store.Account, at store.Minute) (store.Account, error) {
		return w.Store.CreateAccount(w.Ctx, invite.Token, at, a, [][]byte{a.ID[:], []byte("second")}, nil)
	}
	a, err := make(first, now)
	w.Must(err)
	if !a.Admin || a.Links != 2 {
		w.T.Error("the first account is no admin")
	}
	if again, err := make(first, now); err != nil || !again.Admin {
		w.T.Error("the same registration again:", err)
	}
	taken := store.Account{ID: proto.AccountID{2}, Lookup: proto.Hash{1}}
	_, err = make(taken, now)
	w.Refused(err, proto.NameTaken)
	stolen := store.Account{ID: proto.AccountID{1}, Lookup: proto.Hash{5}}
	_, err = make(stolen, now)
	w.Refused(err, proto.Exists)
	second := store.Account{ID: proto.AccountID{2}, Lookup: proto.Hash{2}}
	_, err = make(second, now+6)
	w.Refused(err, proto.InviteExpired)
	if i, err := w.Store.Invite(w.Ctx, invite.Token, now); err != nil || i.Uses != 1 {
		w.T.Errorf("%d uses left after refusals, %v", i.Uses, err)
	}
	if a, err = make(second, now+5); err != nil || a.Admin {
		w.T.Errorf("the second account: admin %v, %v", a.Admin, err)
	}
	_, err = make(store.Account{ID: proto.AccountID{3}, Lookup: proto.Hash{3}}, now)
	w.Refused(err, proto.InviteUsed)
	_, err = w.Store.Invite(w.Ctx, proto.Hash{7}, now)
	w.Refused(err, proto.InviteUnknown)
	if got, err := w.Store.AccountByLookup(w.Ctx, proto.Hash{1}); err != nil || got.ID != first.ID || string(got.Handle) != "one" {
		w.T.Errorf("found %v, %v", got.ID, err)
	}
	_, err = w.Store.AccountByLookup(w.Ctx, proto.Hash{9})
	w.Refused(err, proto.NoAccount)
}

func testLinks(w *World) {
	to := w.Account()
	revoked := store.Inbox{Account: to.Account, Device: proto.DeviceID{4}}
	for _, d := range []store.Inbox{to, revoked} {
		w.Must(w.Store.Publish(w.Ctx, d, []store.KeyPackage{{Bytes: []byte("p"), Expires: store.DayOf(w.Now)}}, nil))
		w.Must(w.Store.Post(w.Ctx, d, proto.New[proto.InboxItemID](), nil, store.DayOf(w.Now), 9))
	}
	w.Must(w.Store.AppendLink(w.Ctx, to.Account, 1, []byte("two"), nil, store.LogValue{Index: to.Account, Seq: 1}))
	w.Must(w.Store.AppendLink(w.Ctx, to.Account, 1, []byte("two"), nil, store.LogValue{Index: to.Account, Seq: 1}))
	if e := w.Refused(w.Store.AppendLink(w.Ctx, to.Account, 1, []byte("other"), nil, store.LogValue{Index: to.Account, Seq: 1}), proto.Conflict); e.Seq != 2 {
		w.T.Errorf("conflict names %d", e.Seq)
	}
	w.Refused(w.Store.AppendLink(w.Ctx, to.Account, 3, []byte("gap"), nil, store.LogValue{Index: to.Account, Seq: 3}), proto.Conflict)
	w.Must(w.Store.AppendLink(w.Ctx, to.Account, 2, []byte("three"), []proto.DeviceID{revoked.Device}, store.LogValue{Index: to.Account, Seq: 2}))
	links, err := w.Store.Links(w.Ctx, to.Account, 1, 9)
	if err != nil || len(links) != 2 || !bytes.Equal(links[1], []byte("three")) {
		w.T.Errorf("%d links, %v", len(links), err)
	}
	for d, want := range map[store.Inbox]int{to: 1, revoked: 0} {
		n, _, _ := w.Store.PackageCount(w.Ctx, d)
		items, _, _ := w.Store.Fetch(w.Ctx, d, proto.InboxItemID{}, 9)
		if n != want || len(items) != want {
			w.T.Errorf("%d packages and %d items, want %d", n, len(items), want)
		}
	}
	_, err = w.Store.Links(w.Ctx, proto.AccountID{}, 0, 1)
	w.Refused(err, proto.NoAccount)
	w.Refused(w.Store.AppendLink(w.Ctx, proto.AccountID{}, 0, nil, nil, store.LogValue{}), proto.NoAccount)
}

func testServer(w *World) {
	first, second := NewStamp().Public(), NewStamp().Public()
	for _, k := range []proto.StampKey{first, second} {
		w.Must(w.Store.AddStampKey(w.Ctx, store.StampKey{StampKey: k, Sealed: k.KID[:]}))
	}
	w.Refused(w.Store.AddStampKey(w.Ctx, store.StampKey{StampKey: first}), proto.Exists)
	all, err := w.Store.StampKeys(w.Ctx)
	if err != nil || len(all) != 2 || all[0].StampKey != first || all[1].StampKey != second || !bytes.Equal(all[1].Sealed, second.KID[:]) {
		w.T.Errorf("%d keys, %v", len(all), err)
	}
	if v, err := w.Store.Setting(w.Ctx, "origin"); v != nil || err != nil {
		w.T.Errorf("a setting never made is %q, %v", v, err)
	}
	for _, v := range []string{"one", "two"} {
		w.Must(w.Store.PutSetting(w.Ctx, "origin", []byte(v)))
	}
	if v, err := w.Store.Setting(w.Ctx, "origin"); string(v) != "two" || err != nil {
		w.T.Errorf("the setting is %q, %v", v, err)
	}
	w.Must(w.Store.Check(w.Ctx))
	w.Must(w.Store.Truncate(w.Ctx))
}
