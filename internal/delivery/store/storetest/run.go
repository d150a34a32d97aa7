package storetest

import (
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Run tests one implementation; open returns an empty store that is closed by
// the test.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*World)
	}{
		{"entries follow each other and verify", testLog},
		{"the same entry has the same receipt", testKnown},
		{"a tag is taken once, also after its entry is gone", testTags},
		{"who is no member appends nothing", testNotMember},
		{"a clock set back stamps nothing earlier than what is there", testClockSetBack},
		{"an ended epoch is open for a minute, never across a removal", testEpochWindow},
		{"one commit ends an epoch", testCommitRace},
		{"keys are added, removed and replaced by commits", testDelta},
		{"a delta that does not fit is refused", testBadDelta},
		{"who left writes no more and is still to be removed", testLeave},
		{"a create uses its token once", testCreate},
		{"a reform notice comes with its successor or not at all", testReform},
		{"tickets bring packages into inboxes, all or none", testTickets},
		{"a refused commit changes nothing", testRefusedCommit},
		{"key packages are given once, the last resort always", testPackages},
		{"inbox items stay until acknowledged", testInbox},
		{"blobs are kept by pins of their own kind", testBlobs},
		{"accounts are made by invitation", testAccounts},
		{"links are appended in order", testLinks},
		{"a name is given to another account, and back", testNames},
		{"an account is renamed, and nobody else gets the name it left", testRename},
		{"an account is found by its newest recovery key", testRecovery},
		{"a backup is replaced with its pins, or not at all", testBackup},
		{"what a restored server asks for and takes back", testRestores},
		{"the log takes values once and in order", testEpochs},
		{"stamp keys and settings are kept", testServer},
		{"entries expire and say so", testRetention},
		{"everything else expires too", testClean},
		{"a page is bounded and never empty", testPages},
		{"a full conversation says so", testFull},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			defer s.Close()
			c.test(NewWorld(t, s))
		})
	}
}

func testLog(w *World) {
	c := w.NewConversation(2)
	for i := range 5 {
		_, err := w.Append(Application(c.ID, c.Keys[i%2], 1, []byte{byte(i)}))
		w.Must(err)
	}
	all := w.ReadAll(c.ID, c.Keys[1].MK(), 0)
	if len(all) != 6 || all[0].Receipt.Seq != 1 || all[0].Entry.Kind != proto.KindCreate || all[0].Receipt.ChainPrev != (proto.Hash{}) {
		w.T.Fatalf("%d entries", len(all))
	}
	if rest := w.ReadAll(c.ID, c.Keys[1].MK(), 4); len(rest) != 2 {
		w.T.Fatalf("%d entries after seq 4", len(rest))
	}
}

func testKnown(w *World) {
	c := w.NewConversation(1)
	e := Application(c.ID, c.Keys[0], 1, nil)
	first, err := w.Append(e)
	w.Must(err)
	w.Now = w.Now.Add(time.Hour)
	again, err := w.Append(e)
	w.Must(err)
	if again.Receipt != first.Receipt || !again.Known || first.Known {
		w.T.Fatal("another receipt")
	}
	if r, ok, err := w.Store.Known(w.Ctx, c.ID, e.Hash()); err != nil || !ok || r != first.Receipt {
		w.T.Fatal("not known", err)
	}
	if _, ok, _ := w.Store.Known(w.Ctx, c.ID, proto.Hash{1}); ok {
		w.T.Fatal("an entry never sent is known")
	}
}

func testTags(w *World) {
	c := w.NewConversation(2)
	e := Application(c.ID, c.Keys[0], 1, nil)
	_, err := w.Append(e)
	w.Must(err)
	copied := *e
	w.Must(copied.Sign(c.Keys[1].PrivateKey))
	_, err = w.Append(&copied)
	w.Refused(err, proto.Duplicate)
	w.Now = w.Now.Add(40 * 24 * time.Hour)
	w.Must(w.Store.Clean(w.Ctx, w.Now, store.Retention{Entries: 30}))
	_, err = w.Append(e)
	w.Refused(err, proto.Duplicate)
}

func testNotMember(w *World) {
	c, other := w.NewConversation(1), w.NewConversation(1)
	_, err := w.Append(Application(c.ID, other.Keys[0], 1, nil))
	w.Refused(err, proto.NotMember)
	_, err = w.Append(Application(proto.ConversationID{1}, c.Keys[0], 1, nil))
	w.Refused(err, proto.NotMember)
	_, err = w.Commit(c, other.Keys[0], 1, proto.KeyDelta{})
	w.Refused(err, proto.NotMember)
	_, err = w.Store.Read(w.Ctx, c.ID, other.Keys[0].MK(), 0, 1, 1)
	w.Refused(err, proto.NotMember)
	_, err = w.Store.Member(w.Ctx, c.ID, other.Keys[0].MK())
	w.Refused(err, proto.NotMember)
}

func testClockSetBack(w *World) {
	c := w.NewConversation(2)
	before := uint64(store.MinuteOf(w.Now))
	w.Now = w.Now.Add(-24 * time.Hour)
	_, err := w.Append(Application(c.ID, c.Keys[1], 1, nil))
	w.Must(err)
	_, err = w.Commit(c, c.Keys[0], 1, proto.KeyDelta{})
	w.Must(err)
	_, err = w.Append(NoticeEntry(c.ID, c.Keys[1], 2, proto.Notice{Type: proto.NoticeRejoin}))
	w.Must(err)
	other := w.NewConversation(1) // has nothing to wait for
	n := w.Submission(NoticeEntry(c.ID, c.Keys[0], 2, proto.Notice{Type: proto.NoticeReform, Successor: proto.ConversationID{1}}))
	e := CreateEntry(proto.ConversationID{1}, c.Keys[0], []proto.MemberKey{c.Keys[0].MK()}, &proto.Extra{Reform: n.Entry})
	_, err = w.Store.Create(w.Ctx, w.Token(), []proto.MemberKey{c.Keys[0].MK()}, w.Submission(e), w.Attached(), &n)
	w.Must(err)
	for _, s := range w.ReadAll(c.ID, c.Keys[1].MK(), 0) {
		if s.Receipt.Minute != before {
			w.T.Errorf("entry %d: minute %d, the one before had %d", s.Receipt.Seq, s.Receipt.Minute, before)
		}
	}
	if all := w.ReadAll(other.ID, other.Keys[0].MK(), 0); all[0].Receipt.Minute != uint64(store.MinuteOf(w.Now)) {
		w.T.Error("a conversation has its minutes from another")
	}
	w.Now = w.Now.Add(25 * time.Hour)
	a, err := w.Append(Application(c.ID, c.Keys[1], 2, nil))
	w.Must(err)
	if a.Receipt.Minute != uint64(store.MinuteOf(w.Now)) {
		w.T.Error("the clock is not followed again")
	}
}

func testEpochWindow(w *World) {
	c := w.NewConversation(3)
	commit := func(epoch uint64, d proto.KeyDelta) {
		_, err := w.Commit(c, c.Keys[0], epoch, d)
		w.Must(err)
	}
	send := func(epoch, recent uint64) error {
		s := w.Submission(Application(c.ID, c.Keys[1], epoch, nil))
		s.Recent = recent
		_, err := w.Store.Append(w.Ctx, s)
		return err
	}
	w.Refused(send(2, 0), proto.Future)
	commit(1, proto.KeyDelta{})
	w.Must(send(1, 0)) // in the same minute
	w.Now = w.Now.Add(time.Minute)
	w.Must(send(1, 1)) // less than 60 s, says the clock
	if e := w.Refused(send(1, 0), proto.Stale); e.Epoch != 2 || e.Seq != 4 {
		w.T.Fatalf("stale says epoch %d, seq %d", e.Epoch, e.Seq)
	}
	w.Now = w.Now.Add(time.Minute)
	w.Refused(send(1, 1), proto.Stale)
	w.Must(send(2, 0))
	for epoch := uint64(2); epoch <= 5; epoch++ {
		commit(epoch, proto.KeyDelta{})
	}
	w.Refused(send(2, 1), proto.Stale) // four behind
	w.Must(send(3, 1))                 // three behind
	commit(6, proto.KeyDelta{Removes: []proto.MemberKey{c.Keys[2].MK()}})
	w.Refused(send(6, 1), proto.Stale)
	w.Must(send(7, 0))
	w.Now = w.Now.Add(-24 * time.Hour)
	commit(7, proto.KeyDelta{})
	w.Now = w.Now.Add(-time.Hour)
	w.Refused(send(7, 7), proto.Stale) // a clock that goes back opens nothing
	w.Must(send(8, 0))
	n, err := w.Append(NoticeEntry(c.ID, c.Keys[1], 1, proto.Notice{Type: proto.NoticeRejoin}))
	w.Must(err)
	if n.Receipt.Seq == 0 {
		w.T.Fatal("a notice of an old epoch has no place")
	}
	_, err = w.Append(NoticeEntry(c.ID, c.Keys[1], 9, proto.Notice{Type: proto.NoticeRejoin}))
	w.Refused(err, proto.Future)
}

func testCommitRace(w *World) {
	c := w.NewConversation(2)
	d := proto.KeyDelta{}
	mine := CommitEntry(c.ID, c.Keys[0], 1, d, &proto.Extra{})
	first, err := w.Store.Commit(w.Ctx, w.Submission(mine), d, w.Attached())
	w.Must(err)
	_, err = w.Commit(c, c.Keys[1], 1, d)
	if e := w.Refused(err, proto.Conflict); e.Seq != first.Receipt.Seq {
		w.T.Fatalf("conflict names seq %d", e.Seq)
	}
	again, err := w.Store.Commit(w.Ctx, w.Submission(mine), d, w.Attached())
	w.Must(err)
	if again.Receipt != first.Receipt || !again.Known {
		w.T.Fatal("the same commit has another receipt")
	}
	_, err = w.Commit(c, c.Keys[1], 3, d)
	w.Refused(err, proto.Future)
}

func testDelta(w *World) {
	c := w.NewConversation(3)
	added, replacement := NewKey(), NewKey()
	next := replacement.MK()
	a, err := w.Commit(c, c.Keys[0], 1, proto.KeyDelta{Adds: []proto.MemberKey{added.MK()}, Removes: []proto.MemberKey{c.Keys[2].MK()}, Replace: &next})
	w.Must(err)
	seq := a.Receipt.Seq
	for name, want := range map[proto.MemberKey]store.Member{
		added.MK(): {From: seq}, c.Keys[2].MK(): {From: 1, Until: seq}, c.Keys[0].MK(): {From: 1, Until: seq}, next: {From: 1}, c.Keys[1].MK(): {From: 1},
	} {
		if m, err := w.Store.Member(w.Ctx, c.ID, name); err != nil || m != want {
			w.T.Errorf("standing %+v, want %+v, %v", m, want, err)
		}
	}
	_, err = w.Append(Application(c.ID, added, 2, nil))
	w.Must(err)
	for _, k := range []Key{c.Keys[2], c.Keys[0]} {
		_, err = w.Append(Application(c.ID, k, 2, nil))
		w.Refused(err, proto.NotMember)
	}
	if all := w.ReadAll(c.ID, added.MK(), 0); len(all) != 2 || all[0].Receipt.Seq != seq {
		w.T.Errorf("the new member reads %d entries", len(all))
	}
	if all := w.ReadAll(c.ID, c.Keys[2].MK(), 0); len(all) != 2 || all[1].Receipt.Seq != seq {
		w.T.Errorf("the removed member reads %d entries", len(all))
	}
	_, err = w.Store.Read(w.Ctx, c.ID, c.Keys[2].MK(), seq, 10, 1<<20)
	if e := w.Refused(err, proto.ClosedKey); e.Seq != seq {
		w.T.Errorf("closed at %d", e.Seq)
	}
	// The commit that replaced the key is still answered to who signed it.
	if _, err := w.Commit(c, replacement, 2, proto.KeyDelta{}); err != nil {
		w.T.Error(err)
	}
}

func testBadDelta(w *World) {
	c := w.NewConversation(2)
	there, gone := c.Keys[1].MK(), NewKey().MK()
	for name, d := range map[string]proto.KeyDelta{
		"adds a key that is there":    {Adds: []proto.MemberKey{there}},
		"removes a key of nobody":     {Removes: []proto.MemberKey{gone}},
		"replaces by a key of others": {Replace: &there},
	} {
		if _, err := w.Commit(c, c.Keys[0], 1, d); err == nil {
			w.T.Errorf("%s: accepted", name)
		} else {
			w.Refused(err, proto.BadDelta)
		}
	}
	_, err := w.Commit(c, c.Keys[0], 1, proto.KeyDelta{Removes: []proto.MemberKey{there}})
	w.Must(err)
	_, err = w.Commit(c, c.Keys[0], 2, proto.KeyDelta{Adds: []proto.MemberKey{there}})
	w.Refused(err, proto.BadDelta) // a key never comes back
}

func testLeave(w *World) {
	c := w.NewConversation(2)
	s := w.Submission(NoticeEntry(c.ID, c.Keys[1], 1, proto.Notice{Type: proto.NoticeLeave}))
	s.Leave = true
	a, err := w.Store.Append(w.Ctx, s)
	w.Must(err)
	_, err = w.Append(Application(c.ID, c.Keys[1], 1, nil))
	w.Refused(err, proto.NotMember)
	_, err = w.Commit(c, c.Keys[0], 1, proto.KeyDelta{Removes: []proto.MemberKey{c.Keys[1].MK()}})
	w.Must(err)
	if m, err := w.Store.Member(w.Ctx, c.ID, c.Keys[1].MK()); err != nil || m.Until != a.Receipt.Seq {
		w.T.Errorf("reads until %d, left at %d, %v", m.Until, a.Receipt.Seq, err)
	}
}

func testCreate(w *World) {
	k, token := NewKey(), w.Token()
	make := func(id proto.ConversationID, token proto.Hash) (store.Accepted, error) {
		e := CreateEntry(id, k, []proto.MemberKey{k.MK()}, &proto.Extra{})
		return w.Store.Create(w.Ctx, token, []proto.MemberKey{k.MK()}, w.Submission(e), w.Attached(), nil)
	}
	id := proto.ConversationID{1}
	_, err := make(id, proto.Hash{9})
	w.Refused(err, proto.BadToken)
	w.Refused(w.Store.CheckToken(w.Ctx, proto.Hash{9}, store.DayOf(w.Now)), proto.BadToken)
	w.Must(w.Store.CheckToken(w.Ctx, token, store.DayOf(w.Now)))
	first, err := make(id, token)
	w.Must(err)
	again, err := make(id, token)
	w.Must(err)
	if again.Receipt != first.Receipt || first.Receipt.Seq != 1 {
		w.T.Error("the same create has another receipt")
	}
	_, err = make(proto.ConversationID{2}, token)
	w.Refused(err, proto.BadToken)
	k = NewKey()
	_, err = make(id, w.Token())
	w.Refused(err, proto.Exists)
	late := w.Token()
	w.Now = w.Now.Add(48 * time.Hour)
	_, err = make(proto.ConversationID{3}, late)
	w.Refused(err, proto.BadToken)
}

func testReform(w *World) {
	old, stranger := w.NewConversation(2), NewKey()
	id := proto.New[proto.ConversationID]()
	reform := func(k Key) (store.Accepted, error) {
		n := w.Submission(NoticeEntry(old.ID, k, 1, proto.Notice{Type: proto.NoticeReform, Successor: id}))
		e := CreateEntry(id, k, []proto.MemberKey{k.MK()}, &proto.Extra{Reform: n.Entry})
		return w.Store.Create(w.Ctx, w.Token(), []proto.MemberKey{k.MK()}, w.Submission(e), w.Attached(), &n)
	}
	_, err := reform(stranger)
	w.Refused(err, proto.NotMember)
	_, err = w.Store.Member(w.Ctx, id, stranger.MK())
	w.Refused(err, proto.NotMember)
	first, err := reform(old.Keys[0])
	w.Must(err)
	again, err := reform(old.Keys[0])
	w.Must(err)
	if first.Reform == nil || again.Reform == nil || *first.Reform != *again.Reform || first.Reform.Seq != 2 {
		w.T.Error("the notice has no receipt, or another one the second time")
	}
	if all := w.ReadAll(old.ID, old.Keys[1].MK(), 0); len(all) != 2 || all[1].Entry.Kind != proto.KindNotice {
		w.T.Errorf("%d entries in the predecessor", len(all))
	}
}
