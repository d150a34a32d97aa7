package delivery

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

func TestWhatIsAppendedIsRead(t *testing.T) {
	r := newRig(t)
	c := r.chat(2)
	first, err := r.send(c, c.Keys[0], 1)
	r.must(err)
	_, err = r.commit(c, c.Keys[1], 1, proto.KeyDelta{}, proto.Extra{})
	r.must(err)
	got, err := r.Read(r.ctx, &proto.ReadRequest{Session: r.session(c, c.Keys[1])})
	r.must(err)
	if len(got.Entries) != 3 || got.HeadSeq != 3 || got.Epoch != 2 || got.Entries[1].Receipt != first {
		t.Fatalf("%d entries, head %d, epoch %d", len(got.Entries), got.HeadSeq, got.Epoch)
	}
	info, err := r.Info(r.ctx, &proto.InfoRequest{})
	r.must(err)
	storetest.CheckChain(t, got.Entries, info.StampKeys[0])
	if info.Origin != origin || info.Generation != first.Generation || info.RetentionDays != 30 {
		t.Errorf("info %+v", info)
	}
	if got, err := r.Read(r.ctx, &proto.ReadRequest{Session: r.session(c, c.Keys[1]), After: 1, Max: 1}); err != nil || len(got.Entries) != 1 {
		t.Errorf("asked for one, got %v", err)
	}
}

func TestStampKeyStaysAndNeedsItsOperatorKey(t *testing.T) {
	s := mem.New()
	r := newRigOn(t, s)
	config := r.Config
	again, err := Open(r.ctx, config)
	r.must(err)
	if again.stamp.current != r.stamp.current || len(again.stamp.all) != 1 {
		t.Error("another stamp key after a restart")
	}
	config.Key = store.NewOperatorKey()
	if _, err := Open(r.ctx, config); !errors.Is(err, store.ErrOperatorKey) {
		t.Errorf("with another operator key: %v", err)
	}
}

func TestForgedAndMalformedEntriesAreRefused(t *testing.T) {
	r := newRig(t)
	c := r.chat(1)
	good := storetest.Application(c.ID, c.Keys[0], 1, nil)
	for name, x := range map[string]struct {
		change func(e *proto.Entry)
		want   proto.Code
	}{
		"forged signature": {func(e *proto.Entry) { e.Sig[0] ^= 1 }, proto.Forbidden},
		"another's name":   {func(e *proto.Entry) { e.MK = storetest.NewKey().MK() }, proto.Forbidden},
		"create":           {func(e *proto.Entry) { e.Kind = proto.KindCreate }, proto.Malformed},
		"commit":           {func(e *proto.Entry) { e.Kind = proto.KindCommit }, proto.Malformed},
		"extra":            {func(e *proto.Entry) { e.ExtraHash = proto.Hash{1}; r.must(e.Sign(c.Keys[0].PrivateKey)) }, proto.Malformed},
		"other epoch":      {func(e *proto.Entry) { e.Epoch = 2 }, proto.Malformed},
		"no message":       {func(e *proto.Entry) { e.Bytes = []byte("x") }, proto.Malformed},
		"too large": {func(e *proto.Entry) {
			*e = *storetest.Application(c.ID, c.Keys[0], 1, make([]byte, proto.MaxApplication))
		}, proto.TooLarge},
		"reform notice": {func(e *proto.Entry) {
			*e = *storetest.NoticeEntry(c.ID, c.Keys[0], 1, proto.Notice{Type: proto.NoticeReform})
		}, proto.Forbidden},
		"no member": {func(e *proto.Entry) { *e = *storetest.Application(c.ID, storetest.NewKey(), 1, nil) }, proto.NotMember},
		"future":    {func(e *proto.Entry) { *e = *storetest.Application(c.ID, c.Keys[0], 2, nil) }, proto.Future},
	} {
		e := *good
		x.change(&e)
		_, err := r.Append(r.ctx, &proto.AppendRequest{Entry: e})
		if !errors.Is(err, x.want) {
			t.Errorf("%s: got %v, want %v", name, err, x.want)
		}
	}
	if _, err := r.Append(r.ctx, &proto.AppendRequest{Entry: *good}); err != nil {
		t.Error(err)
	}
}

func TestSameBytesSameReceiptAlsoInALaterEpoch(t *testing.T) {
	r := newRig(t)
	c := r.chat(2)
	e := storetest.Application(c.ID, c.Keys[0], 1, nil)
	first, err := r.Append(r.ctx, &proto.AppendRequest{Entry: *e})
	r.must(err)
	_, err = r.commit(c, c.Keys[1], 1, proto.KeyDelta{}, proto.Extra{})
	r.must(err)
	r.clock.t = r.clock.t.Add(time.Hour)
	again, err := r.Append(r.ctx, &proto.AppendRequest{Entry: *e})
	r.must(err)
	if again.Receipt != first.Receipt {
		t.Error("another receipt")
	}
	_, err = r.send(c, c.Keys[0], 1)
	if e := r.refused(err, proto.Stale); e.Epoch != 2 || e.Seq != 3 {
		t.Errorf("stale says %+v", e)
	}
}

func TestAnEndedEpochIsOpenForSixtySeconds(t *testing.T) {
	for _, offset := range []time.Duration{0, 30 * time.Second, 59 * time.Second} {
		r := newRig(t)
		r.clock.t = r.clock.t.Add(offset)
		c := r.chat(2)
		_, err := r.commit(c, c.Keys[0], 1, proto.KeyDelta{}, proto.Extra{})
		r.must(err)
		r.clock.t = r.clock.t.Add(59 * time.Second)
		if _, err := r.send(c, c.Keys[1], 1); err != nil {
			t.Errorf("59 s after the commit at second %v: %v", offset, err)
		}
		r.clock.t = r.clock.t.Add(time.Second)
		_, err = r.send(c, c.Keys[1], 1)
		r.refused(err, proto.Stale)
	}
}

func TestNothingAfterARemovalIsReadByTheRemoved(t *testing.T) {
	r := newRig(t)
	c := r.chat(3)
	before := r.session(c, c.Keys[2])
	removal, err := r.commit(c, c.Keys[0], 1, proto.KeyDelta{Removes: []proto.MemberKey{c.Keys[2].MK()}}, proto.Extra{})
	r.must(err)
	_, err = r.send(c, c.Keys[1], 1)
	r.refused(err, proto.Stale) // the epoch it could still read
	_, err = r.send(c, c.Keys[1], 2)
	r.must(err)
	for _, s := range []proto.SessionID{before, r.session(c, c.Keys[2])} {
		got, err := r.Read(r.ctx, &proto.ReadRequest{Session: s})
		r.must(err)
		if last := got.Entries[len(got.Entries)-1].Receipt.Seq; last != removal.Seq || got.HeadSeq != removal.Seq {
			t.Errorf("the removed reads until %d, head %d", last, got.HeadSeq)
		}
		_, err = r.Read(r.ctx, &proto.ReadRequest{Session: s, After: removal.Seq})
		if e := r.refused(err, proto.ClosedKey); e.Seq != removal.Seq {
			t.Errorf("closed at %d", e.Seq)
		}
		_, err = r.BlobBegin(r.ctx, &proto.BlobBeginRequest{Session: s, ID: proto.BlobID{1}, Size: 1})
		r.refused(err, proto.ClosedKey)
	}
	_, err = r.send(c, c.Keys[2], 2)
	r.refused(err, proto.NotMember)
}

func TestCommitsAreBoundToWhatTheyCarry(t *testing.T) {
	r := newRig(t)
	c := r.chat(2)
	many := make([]proto.MemberKey, proto.MaxAdds+1)
	for i := range many {
		many[i] = storetest.NewKey().MK()
	}
	for name, x := range map[string]struct {
		delta proto.KeyDelta
		extra proto.Extra
		want  proto.Code
	}{
		"too many adds":   {proto.KeyDelta{Adds: many}, proto.Extra{}, proto.TooLarge},
		"itself removed":  {proto.KeyDelta{Removes: []proto.MemberKey{c.Keys[0].MK()}}, proto.Extra{}, proto.BadDelta},
		"twice the same":  {proto.KeyDelta{Adds: []proto.MemberKey{many[0], many[0]}}, proto.Extra{}, proto.BadDelta},
		"idle package":    {proto.KeyDelta{}, proto.Extra{Packages: []proto.JoinPackage{{}}}, proto.BadDelta},
		"unknown ticket":  {proto.KeyDelta{Adds: many[:1]}, proto.Extra{Packages: []proto.JoinPackage{{}}}, proto.BadTicket},
		"large package":   {proto.KeyDelta{Adds: many[:1]}, proto.Extra{Packages: []proto.JoinPackage{{Sealed: make([]byte, proto.MaxJoinPackage+1)}}}, proto.TooLarge},
		"blob of nobody":  {proto.KeyDelta{}, proto.Extra{Pins: []proto.BlobID{{1}}}, proto.NoBlob},
		"reform":          {proto.KeyDelta{}, proto.Extra{Reform: storetest.NoticeEntry(c.ID, c.Keys[0], 1, proto.Notice{Type: proto.NoticeReform})}, proto.Malformed},
		"replaced by old": {proto.KeyDelta{Replace: ptr(c.Keys[1].MK())}, proto.Extra{}, proto.BadDelta},
	} {
		if _, err := r.commit(c, c.Keys[0], 1, x.delta, x.extra); !errors.Is(err, x.want) {
			t.Errorf("%s: got %v, want %v", name, err, x.want)
		}
	}
	swapped := &proto.CommitRequest{Entry: *storetest.CommitEntry(c.ID, c.Keys[0], 1, proto.KeyDelta{}, &proto.Extra{}), Extra: proto.Extra{Pins: []proto.BlobID{{1}}}}
	_, err := r.Commit(r.ctx, swapped)
	r.refused(err, proto.Forbidden)
}

func ptr[T any](v T) *T { return &v }

func TestCreateRules(t *testing.T) {
	r := newRig(t)
	k, id := storetest.NewKey(), proto.New[proto.ConversationID]()
	create := func(members []proto.MemberKey, x proto.Extra, change func(*proto.Entry)) error {
		e := storetest.CreateEntry(id, k, members, &x)
		if change != nil {
			change(e)
			r.must(e.Sign(k.PrivateKey))
		}
		_, err := r.Create(r.ctx, &proto.CreateRequest{Token: r.token(), Entry: *e, Extra: x})
		return err
	}
	mine := []proto.MemberKey{k.MK()}
	r.refused(create(nil, proto.Extra{}, nil), proto.BadDelta)
	r.refused(create([]proto.MemberKey{k.MK(), k.MK()}, proto.Extra{}, nil), proto.BadDelta)
	r.refused(create(mine, proto.Extra{}, func(e *proto.Entry) { e.Epoch = 0 }), proto.BadDelta)
	r.refused(create(mine, proto.Extra{}, func(e *proto.Entry) { e.ExtraHash = proto.Hash{} }), proto.Forbidden)
	r.refused(create(mine, proto.Extra{Packages: make([]proto.JoinPackage, proto.MaxJoinPackages+1)}, nil), proto.TooLarge)
	old := r.chat(1)
	for _, n := range []proto.Notice{{Type: proto.NoticeLeave}, {Type: proto.NoticeReform, Successor: old.ID}} {
		r.refused(create(mine, proto.Extra{Reform: storetest.NoticeEntry(old.ID, old.Keys[0], 1, n)}, nil), proto.Malformed)
	}
	r.must(create(mine, proto.Extra{Reform: storetest.NoticeEntry(old.ID, old.Keys[0], 1, proto.Notice{Type: proto.NoticeReform, Successor: id})}, nil))
	k = storetest.NewKey()
	r.refused(create([]proto.MemberKey{k.MK()}, proto.Extra{}, nil), proto.Exists)
}

func TestCommitThrottle(t *testing.T) {
	r := newRig(t)
	c := r.chat(9)
	epoch := uint64(1)
	commit := func(k int) error {
		_, err := r.commit(c, c.Keys[k], epoch, proto.KeyDelta{}, proto.Extra{})
		if err == nil {
			epoch++
		}
		return err
	}
	for range 3 {
		r.must(commit(0))
	}
	if e := r.refused(commit(0), proto.Throttled); e.Wait <= 0 || e.Wait > 10*time.Second {
		t.Errorf("one member: wait %v", e.Wait)
	}
	r.must(commit(1))
	r.must(commit(2))
	if e := r.refused(commit(3), proto.Throttled); e.Wait <= 0 || e.Wait > 2*time.Second {
		t.Errorf("one conversation: wait %v", e.Wait)
	}
	r.clock.t = r.clock.t.Add(2 * time.Second)
	_, err := r.commit(c, c.Keys[3], 1, proto.KeyDelta{}, proto.Extra{})
	r.refused(err, proto.Conflict) // a lost race gives its share back
	entry := proto.CommitRequest{Entry: *storetest.CommitEntry(c.ID, c.Keys[4], epoch, proto.KeyDelta{}, &proto.Extra{})}
	first, err := r.Commit(r.ctx, &entry)
	r.must(err)
	for range 20 { // the same bytes are not throttled
		again, err := r.Commit(r.ctx, &entry)
		r.must(err)
		if again.Receipt != first.Receipt {
			t.Fatal("another receipt")
		}
	}
}

func TestNotices(t *testing.T) {
	r := newRig(t)
	c := r.chat(2)
	notice := func(k int, n proto.Notice) (*proto.AppendResponse, proto.Entry, error) {
		e := storetest.NoticeEntry(c.ID, c.Keys[k], 1, n)
		got, err := r.Append(r.ctx, &proto.AppendRequest{Entry: *e})
		return got, *e, err
	}
	first, e, err := notice(1, proto.Notice{Type: proto.NoticeBroken, Seq: 1})
	r.must(err)
	again, err := r.Append(r.ctx, &proto.AppendRequest{Entry: e})
	r.must(err)
	if again.Receipt != first.Receipt {
		t.Error("another receipt")
	}
	_, _, err = notice(1, proto.Notice{Type: proto.NoticeLeave})
	if e := r.refused(err, proto.Throttled); e.Wait <= 0 || e.Wait > time.Minute {
		t.Errorf("wait %v", e.Wait)
	}
	r.clock.t = r.clock.t.Add(time.Minute)
	_, _, err = notice(1, proto.Notice{Type: proto.NoticeLeave})
	r.must(err)
	_, err = r.send(c, c.Keys[1], 1)
	r.refused(err, proto.NotMember)
}

func TestOpenNeedsAFreshNonceForThisServer(t *testing.T) {
	r := newRig(t)
	c := r.chat(1)
	n, err := r.Nonce(r.ctx, &proto.NonceRequest{})
	r.must(err)
	_, err = r.Open(r.ctx, openRequest(c.ID, c.Keys[0], n.Nonce, "another.server"))
	r.refused(err, proto.Forbidden)
	_, err = r.Open(r.ctx, openRequest(c.ID, storetest.NewKey(), n.Nonce, origin))
	r.refused(err, proto.NotMember)
	_, err = r.Open(r.ctx, openRequest(c.ID, c.Keys[0], n.Nonce, origin))
	r.refused(err, proto.BadSession) // used up
	n, _ = r.Nonce(r.ctx, &proto.NonceRequest{})
	got, err := r.Open(r.ctx, openRequest(c.ID, c.Keys[0], n.Nonce, origin))
	r.must(err)
	if got.From != 1 || got.Until != 0 {
		t.Errorf("%+v", got)
	}
	r.clock.t = r.clock.t.Add(25 * time.Hour)
	_, err = r.Read(r.ctx, &proto.ReadRequest{Session: got.Session})
	r.refused(err, proto.BadSession)
}

func TestFailedWritesTellNoLies(t *testing.T) {
	r := newRig(t)
	c := r.chat(1)
	e := storetest.Application(c.ID, c.Keys[0], 1, nil)
	for _, f := range []storetest.Fault{storetest.Failed, storetest.DiskFull, storetest.FailedKept} {
		r.fault = f
		if got, err := r.Append(r.ctx, &proto.AppendRequest{Entry: *e}); err == nil {
			t.Fatalf("fault %d: acknowledged seq %d", f, got.Receipt.Seq)
		} else if f == storetest.DiskFull {
			r.refused(err, proto.Full)
		}
	}
	got, err := r.Append(r.ctx, &proto.AppendRequest{Entry: *e})
	r.must(err)
	if got.Receipt.Seq != 2 {
		t.Errorf("the entry stands at %d after three failed writes", got.Receipt.Seq)
	}
	commit := &proto.CommitRequest{Entry: *storetest.CommitEntry(c.ID, c.Keys[0], 1, proto.KeyDelta{}, &proto.Extra{})}
	for _, f := range []storetest.Fault{storetest.Failed, storetest.FailedKept} {
		r.fault = f
		if _, err := r.Commit(r.ctx, commit); !errors.Is(err, storetest.ErrFault) {
			t.Fatal(err)
		}
	}
	committed, err := r.Commit(r.ctx, commit)
	r.must(err)
	if committed.Receipt.Seq != 3 {
		t.Errorf("the commit stands at %d", committed.Receipt.Seq)
	}
}

func TestAClockOffByADayHarmsNothing(t *testing.T) {
	r := newRig(t)
	c := r.chat(2)
	for i, step := range []time.Duration{24 * time.Hour, -48 * time.Hour, 24 * time.Hour} {
		r.clock.t = r.clock.t.Add(step)
		_, err := r.send(c, c.Keys[0], uint64(i+1))
		r.must(err)
		_, err = r.commit(c, c.Keys[1], uint64(i+1), proto.KeyDelta{}, proto.Extra{})
		r.must(err)
		r.must(r.Upkeep(r.ctx))
	}
	got, err := r.Read(r.ctx, &proto.ReadRequest{Session: r.session(c, c.Keys[0])})
	r.must(err)
	storetest.CheckChain(t, got.Entries, r.stamp.current)
	if len(got.Entries) != 7 {
		t.Errorf("%d entries", len(got.Entries))
	}
}

func TestRetentionIsToldToWhoWasAway(t *testing.T) {
	r := newRig(t)
	c := r.chat(1)
	r.clock.t = r.clock.t.Add(31 * 24 * time.Hour)
	_, err := r.send(c, c.Keys[0], 1)
	r.must(err)
	r.must(r.Upkeep(r.ctx))
	_, err = r.Read(r.ctx, &proto.ReadRequest{Session: r.session(c, c.Keys[0])})
	if e := r.refused(err, proto.Gone); e.Seq != 2 {
		t.Errorf("gone until %d", e.Seq)
	}
}

func TestOnSQLite(t *testing.T) {
	s, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "huis.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := newRigOn(t, s)
	c := r.chat(2)
	for i := range 10 {
		_, err := r.send(c, c.Keys[i%2], 1)
		r.must(err)
	}
	r.must(r.Upkeep(r.ctx))
	got, err := r.Read(r.ctx, &proto.ReadRequest{Session: r.session(c, c.Keys[1])})
	r.must(err)
	storetest.CheckChain(t, got.Entries, r.stamp.current)
	if len(got.Entries) != 11 {
		t.Errorf("%d entries", len(got.Entries))
	}
}

func ExampleService_Append() {
	c := &clock{storetest.Now}
	s, err := Open(context.Background(), Config{Store: mem.New(), Sessions: session.New(c), Clock: c, Key: store.NewOperatorKey(), Origin: origin})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = s.Append(context.Background(), &proto.AppendRequest{Entry: *storetest.Application(proto.ConversationID{1}, storetest.NewKey(), 1, nil)})
	fmt.Println(err)
	// Output: server: not_member: not a member of this conversation
}
