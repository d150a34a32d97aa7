package delivery

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/mls"
)

// keyPackage makes an MLS key package.
func (r *rig) keyPackage(d session.Device, suite mls.CipherSuite, life time.Duration) []byte {
	r.t.Helper()
	key, _, err := mls.GenerateSignatureKey(suite)
	r.must(err)
	now := uint64(r.clock.t.Unix())
	b, err := mls.NewKeyPackage(suite, key, mls.BasicCredential(append(append([]byte{}, d.Account[:]...), d.Device[:]...)),
		mls.KeyPackageOptions{Lifetime: mls.Lifetime{NotBefore: now - 3600, NotAfter: now + uint64(life/time.Second)}})
	r.must(err)
	encoded, err := b.KeyPackage.Encode()
	r.must(err)
	return encoded
}

const day = 24 * time.Hour

func TestPublishChecksSuiteCredentialAndLifetime(t *testing.T) {
	r := newRig(t)
	d, s := r.device()
	other, _ := r.device()
	suite := mls.XWingChaChaSHA384Ed25519
	good := r.keyPackage(d, suite, 29*day)
	for name, x := range map[string]struct {
		b    []byte
		want proto.Code
	}{
		"another suite":   {r.keyPackage(d, mls.X25519ChaChaSHA256Ed25519, 29*day), proto.Forbidden},
		"another account": {r.keyPackage(other, suite, 29*day), proto.Forbidden},
		"a long lifetime": {r.keyPackage(d, suite, 40*day), proto.Forbidden},
		"expired":         {r.keyPackage(d, suite, -time.Minute), proto.Forbidden},
		"no package":      {[]byte("x"), proto.Malformed},
		"too large":       {make([]byte, proto.MaxKeyPackage+1), proto.TooLarge},
	} {
		for _, req := range []proto.PublishRequest{{Packages: [][]byte{good, x.b}}, {LastResort: x.b}} {
			req.Session = s
			if _, err := r.Publish(r.ctx, &req); !errors.Is(err, x.want) {
				t.Errorf("%s: got %v, want %v", name, err, x.want)
			}
		}
	}
	_, err := r.Publish(r.ctx, &proto.PublishRequest{Session: s, Packages: make([][]byte, proto.MaxKeyPackages+1)})
	r.refused(err, proto.TooLarge)
	_, err = r.Publish(r.ctx, &proto.PublishRequest{Session: s, Packages: [][]byte{good}, LastResort: good})
	r.must(err)
	n, err := r.PackageCount(r.ctx, &proto.PackageCountRequest{Session: s})
	r.must(err)
	if n.Count != 1 || !n.LastResort {
		t.Errorf("%+v", n)
	}
}

// A commit delivers a join package by its ticket; the joiner is hinted, fetches
// and acknowledges it.
func TestJoinPackageReachesItsInbox(t *testing.T) {
	r := newRig(t)
	c := r.chat(1)
	d, joiner := r.device()
	_, adder := r.device()
	_, err := r.Publish(r.ctx, &proto.PublishRequest{Session: joiner, Packages: [][]byte{r.keyPackage(d, mls.XWingChaChaSHA384Ed25519, day)}})
	r.must(err)
	claimed, err := r.Claim(r.ctx, &proto.ClaimRequest{Session: adder, Account: d.Account})
	r.must(err)
	u := r.Subscribe()
	defer u.Close()
	r.must(u.Set(r.ctx, &proto.Subscribe{Sessions: []proto.SessionID{joiner}}))
	if h := r.next(u); h.Session != joiner {
		t.Fatal("no first hint")
	}
	mk := storetest.NewKey()
	x := proto.Extra{Packages: []proto.JoinPackage{{Ticket: claimed.Packages[0].Ticket, Sealed: []byte("join package")}}}
	receipt, err := r.commit(c, c.Keys[0], 1, proto.KeyDelta{Adds: []proto.MemberKey{mk.MK()}}, x)
	r.must(err)
	if h := r.next(u); h.Session != joiner || h.Ended {
		t.Errorf("hint %+v", h)
	}
	got, err := r.InboxFetch(r.ctx, &proto.InboxFetchRequest{Session: joiner})
	r.must(err)
	if len(got.Items) != 1 || string(got.Items[0].Sealed) != "join package" {
		t.Fatalf("%d items", len(got.Items))
	}
	_, err = r.InboxAck(r.ctx, &proto.InboxAckRequest{Session: joiner, IDs: []proto.InboxItemID{got.Items[0].ID}})
	r.must(err)
	if got, err = r.InboxFetch(r.ctx, &proto.InboxFetchRequest{Session: joiner}); err != nil || len(got.Items) != 0 {
		t.Errorf("%d items after the acknowledgement, %v", len(got.Items), err)
	}
	read, err := r.Read(r.ctx, &proto.ReadRequest{Session: r.session(c, mk)})
	r.must(err)
	if len(read.Entries) != 1 || read.Entries[0].Receipt != receipt {
		t.Errorf("the joiner reads %d entries", len(read.Entries))
	}
	_, err = r.Claim(r.ctx, &proto.ClaimRequest{Session: adder, Account: d.Account})
	r.refused(err, proto.NoneLeft)
	_, err = r.Claim(r.ctx, &proto.ClaimRequest{Session: adder, Account: proto.AccountID{1}})
	r.refused(err, proto.UnknownAccount)
}

func (r *rig) next(u *Subscription) proto.Hint {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 5*time.Second)
	defer cancel()
	h, err := u.Next(ctx)
	r.must(err)
	return h
}

func TestInboxFetchWaits(t *testing.T) {
	r := newRig(t)
	d, s := r.device()
	_, from := r.device()
	if got, err := r.InboxFetch(r.ctx, &proto.InboxFetchRequest{Session: s, WaitMillis: 20}); err != nil || len(got.Items) != 0 {
		t.Fatalf("a wait in vain: %v", err)
	}
	posted := make(chan error, 1)
	go func() {
		time.Sleep(20 * time.Millisecond)
		_, err := r.InboxPost(r.ctx, &proto.InboxPostRequest{Session: from, Account: d.Account, Sealed: []byte("guest")})
		posted <- err
	}()
	got, err := r.InboxFetch(r.ctx, &proto.InboxFetchRequest{Session: s, WaitMillis: 5000})
	r.must(err)
	r.must(<-posted)
	if len(got.Items) != 1 {
		t.Errorf("%d items", len(got.Items))
	}
	ctx, cancel := context.WithCancel(r.ctx)
	cancel()
	if _, err := r.InboxFetch(ctx, &proto.InboxFetchRequest{Session: from, WaitMillis: 5000}); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait cut off: %v", err)
	}
}

func TestInboxIsBounded(t *testing.T) {
	r := newRig(t)
	d, s := r.device()
	post := func(sealed []byte) error {
		_, err := r.InboxPost(r.ctx, &proto.InboxPostRequest{Session: s, Account: d.Account, Device: d.Device, Sealed: sealed})
		return err
	}
	r.refused(post(make([]byte, proto.MaxInboxItem+1)), proto.TooLarge)
	for range r.MaxInboxItems {
		r.must(post(nil))
	}
	r.refused(post(nil), proto.InboxFull)
}

func TestAccountRequestsNeedAnAccountsSession(t *testing.T) {
	r := newRig(t)
	c := r.chat(1)
	for _, s := range []proto.SessionID{{}, r.session(c, c.Keys[0])} {
		for name, err := range map[string]error{
			"publish":       second(r.Publish(r.ctx, &proto.PublishRequest{Session: s})),
			"package_count": second(r.PackageCount(r.ctx, &proto.PackageCountRequest{Session: s})),
			"claim":         second(r.Claim(r.ctx, &proto.ClaimRequest{Session: s})),
			"inbox_post":    second(r.InboxPost(r.ctx, &proto.InboxPostRequest{Session: s})),
			"inbox_fetch":   second(r.InboxFetch(r.ctx, &proto.InboxFetchRequest{Session: s})),
			"inbox_ack":     second(r.InboxAck(r.ctx, &proto.InboxAckRequest{Session: s})),
			"create_token":  second(r.CreateToken(r.ctx, &proto.CreateTokenRequest{Session: s})),
		} {
			if !errors.Is(err, proto.BadSession) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	_, account := r.device()
	_, err := r.Read(r.ctx, &proto.ReadRequest{Session: account})
	r.refused(err, proto.BadSession)
}

func second[T any](_ T, err error) error { return err }

func TestCreateTokensHaveADailyLimit(t *testing.T) {
	r := newRig(t)
	_, s := r.device()
	for range r.MaxCreatesPerDay {
		_, err := r.CreateToken(r.ctx, &proto.CreateTokenRequest{Session: s})
		r.must(err)
	}
	_, err := r.CreateToken(r.ctx, &proto.CreateTokenRequest{Session: s})
	if e := r.refused(err, proto.Throttled); e.Wait <= 0 {
		t.Error("no time to wait is told")
	}
}

func TestHints(t *testing.T) {
	r := newRig(t)
	c := r.chat(3)
	s := []proto.SessionID{r.session(c, c.Keys[0]), r.session(c, c.Keys[1]), r.session(c, c.Keys[2])}
	u := r.Subscribe()
	defer u.Close()
	r.must(u.Set(r.ctx, &proto.Subscribe{Sessions: append(s[1:], proto.SessionID{9})}))
	ended := 0
	for range 3 {
		if r.next(u).Ended {
			ended++
		}
	}
	if ended != 1 {
		t.Errorf("%d of 3 sessions ended", ended)
	}
	for range 5 { // nobody takes them: one hint each
		_, err := r.send(c, c.Keys[0], 1)
		r.must(err)
	}
	for range 2 {
		if h := r.next(u); h.Seq != 6 || h.Ended {
			t.Errorf("hint %+v", h)
		}
	}
	_, err := r.commit(c, c.Keys[0], 1, proto.KeyDelta{Removes: []proto.MemberKey{c.Keys[2].MK()}}, proto.Extra{})
	r.must(err)
	_, err = r.send(c, c.Keys[0], 2)
	r.must(err)
	for range 2 {
		h := r.next(u)
		if removed := h.Session == s[2]; h.Ended != removed || removed && h.Seq > 7 {
			t.Errorf("hint %+v, removed %v", h, removed)
		}
	}
	_, err = r.send(c, c.Keys[0], 2)
	r.must(err)
	if h := r.next(u); h.Session != s[1] || h.Seq != 9 {
		t.Errorf("hint %+v", h)
	}
	r.must(u.Set(r.ctx, &proto.Subscribe{Sessions: s[2:]})) // closed: told at once
	if h := r.next(u); !h.Ended {
		t.Errorf("hint %+v", h)
	}
	r.must(u.Set(r.ctx, &proto.Subscribe{Sessions: s[1:2]}))
	r.next(u)
	for range 3 { // hints keep a session in use
		r.clock.t = r.clock.t.Add(20 * time.Minute)
		_, err = r.send(c, c.Keys[0], 2)
		r.must(err)
		if h := r.next(u); h.Ended {
			t.Error("a session in use has ended")
		}
	}
	r.clock.t = r.clock.t.Add(25 * time.Hour)
	_, err = r.send(c, c.Keys[0], 2)
	r.must(err)
	if h := r.next(u); !h.Ended {
		t.Error("an old session is hinted as if it were not")
	}
	r.refused(u.Set(r.ctx, &proto.Subscribe{Sessions: make([]proto.SessionID, proto.MaxSubscribe+1)}), proto.TooLarge)
	u.Close()
	if n := len(r.hub.conversations) + len(r.hub.inboxes); n != 0 {
		t.Errorf("%d listeners left", n)
	}
}

func blobOf(n int) ([]byte, proto.Hash) {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b, sha256.Sum256(b)
}

// upload sends a blob as far as the server lets it.
func (r *rig) upload(s proto.SessionID, id proto.BlobID, b []byte, hash proto.Hash) error {
	_, err := r.BlobBegin(r.ctx, &proto.BlobBeginRequest{Session: s, ID: id, Size: uint64(len(b)), Hash: hash})
	for n := 0; err == nil && n*proto.MaxBlobPart < len(b); n++ {
		_, err = r.BlobPut(r.ctx, &proto.BlobPutRequest{Session: s, ID: id, Part: uint32(n), Bytes: b[n*proto.MaxBlobPart : min(len(b), (n+1)*proto.MaxBlobPart)]})
	}
	if err == nil {
		_, err = r.BlobFinish(r.ctx, &proto.BlobFinishRequest{Session: s, ID: id})
	}
	return err
}

func TestBlobsAreUploadedResumedAndRead(t *testing.T) {
	r := newRig(t)
	c := r.chat(1)
	s, id := r.session(c, c.Keys[0]), proto.New[proto.BlobID]()
	b, hash := blobOf(proto.MaxBlobPart + 500)
	_, err := r.BlobBegin(r.ctx, &proto.BlobBeginRequest{Session: s, ID: id, Size: uint64(len(b)), Hash: hash})
	r.must(err)
	_, err = r.BlobPut(r.ctx, &proto.BlobPutRequest{Session: s, ID: id, Part: 1, Bytes: b[proto.MaxBlobPart:]})
	r.must(err)
	for _, bad := range []*proto.BlobPutRequest{{Part: 0, Bytes: b[:10]}, {Part: 1, Bytes: b[:501]}, {Part: 2, Bytes: b[:1]}} {
		bad.Session, bad.ID = s, id
		_, err := r.BlobPut(r.ctx, bad)
		r.refused(err, proto.Malformed)
	}
	stat, err := r.BlobStat(r.ctx, &proto.BlobStatRequest{Session: s, ID: id})
	r.must(err)
	if stat.Has(0) || !stat.Has(1) || stat.Has(2) || stat.Done {
		t.Errorf("%+v", stat)
	}
	_, err = r.BlobGet(r.ctx, &proto.BlobGetRequest{ID: id, Length: 1})
	r.refused(err, proto.NoBlob)
	r.must(r.upload(s, id, b, hash))
	got, err := r.BlobGet(r.ctx, &proto.BlobGetRequest{ID: id, Offset: proto.MaxBlobPart, Length: proto.MaxBlobPart})
	r.must(err)
	if got.Size != uint64(len(b)) || string(got.Bytes) != string(b[proto.MaxBlobPart:]) {
		t.Errorf("%d bytes of %d", len(got.Bytes), got.Size)
	}
	for _, bad := range []*proto.BlobGetRequest{{ID: id, Offset: got.Size + 1}, {ID: id, Length: proto.MaxBlobPart + 1}} {
		_, err := r.BlobGet(r.ctx, bad)
		r.refused(err, proto.Malformed)
	}
	_, err = r.Pin(r.ctx, &proto.PinRequest{Session: s, IDs: []proto.BlobID{id}, Days: 3})
	r.must(err)
	for range 3 {
		r.clock.t = r.clock.t.Add(day)
		r.must(r.Upkeep(r.ctx))
		_, err = r.BlobGet(r.ctx, &proto.BlobGetRequest{ID: id})
		r.must(err)
	}
	r.clock.t = r.clock.t.Add(day)
	r.must(r.Upkeep(r.ctx))
	_, err = r.BlobGet(r.ctx, &proto.BlobGetRequest{ID: id})
	r.refused(err, proto.NoBlob)
	if _, err := r.Files.ReadAt(id, make([]byte, 1), 0); !errors.Is(err, proto.NoBlob) {
		t.Error("the file of a deleted blob is there:", err)
	}
}

func TestBlobsOfOthersAreLeftAlone(t *testing.T) {
	r := newRig(t)
	c, other := r.chat(1), r.chat(1)
	s, theirs, id := r.session(c, c.Keys[0]), r.session(other, other.Keys[0]), proto.New[proto.BlobID]()
	_, account := r.device()
	b, hash := blobOf(100)
	_, err := r.BlobBegin(r.ctx, &proto.BlobBeginRequest{Session: s, ID: id, Size: 100, Hash: hash})
	r.must(err)
	for _, x := range []proto.SessionID{theirs, account} {
		r.refused(r.upload(x, id, b, hash), proto.Exists)
		_, err = r.BlobPut(r.ctx, &proto.BlobPutRequest{Session: x, ID: id, Bytes: b})
		r.refused(err, proto.NoBlob)
		_, err = r.BlobFinish(r.ctx, &proto.BlobFinishRequest{Session: x, ID: id})
		r.refused(err, proto.NoBlob)
	}
	r.refused(r.upload(s, proto.BlobID{5}, b, proto.Hash{1}), proto.BadHash)
	r.must(r.upload(s, proto.BlobID{5}, b, hash)) // begins anew
	r.refused(r.upload(s, proto.BlobID{6}, make([]byte, 11<<20), hash), proto.Quota)
	_, err = r.BlobBegin(r.ctx, &proto.BlobBeginRequest{Session: s, ID: proto.BlobID{7}})
	r.refused(err, proto.TooLarge)
	r.must(r.upload(account, proto.BlobID{8}, b, hash))
	_, err = r.Pin(r.ctx, &proto.PinRequest{Session: s, IDs: []proto.BlobID{{8}}})
	r.refused(err, proto.NoBlob)
	_, err = r.Pin(r.ctx, &proto.PinRequest{Session: account, IDs: []proto.BlobID{{8}}})
	r.must(err)
	_, err = r.Unpin(r.ctx, &proto.UnpinRequest{Session: account, IDs: []proto.BlobID{{8}}})
	r.must(err)
	r.MaxBackupBytesPerDay = 150
	r.refused(r.upload(account, proto.BlobID{9}, b, hash), proto.Quota)
	r.clock.t = r.clock.t.Add(25 * time.Hour)
	account, err = r.Sessions.OpenDevice(session.Device{})
	r.must(err)
	r.must(r.upload(account, proto.BlobID{9}, b, hash))
}

// The blobs a create pins are uploaded before it, with its token.
func TestBlobsOfACreateToCome(t *testing.T) {
	r := newRig(t)
	k, id, token := storetest.NewKey(), proto.New[proto.ConversationID](), r.token()
	open := func(token proto.Token) (*proto.OpenResponse, error) {
		n, err := r.Nonce(r.ctx, &proto.NonceRequest{})
		r.must(err)
		req := openRequest(id, k, n.Nonce, origin)
		req.Token = &token
		return r.Open(r.ctx, req)
	}
	_, err := open(proto.Token{1})
	r.refused(err, proto.BadToken)
	got, err := open(token)
	r.must(err)
	_, err = r.Read(r.ctx, &proto.ReadRequest{Session: got.Session})
	r.refused(err, proto.BadSession)
	b, hash := blobOf(300)
	r.must(r.upload(got.Session, proto.BlobID{1}, b, hash))
	x := proto.Extra{Pins: []proto.BlobID{{1}}}
	_, err = r.Create(r.ctx, &proto.CreateRequest{Token: token, Entry: *storetest.CreateEntry(id, k, []proto.MemberKey{k.MK()}, &x), Extra: x})
	r.must(err)
	r.clock.t = r.clock.t.Add(5 * day)
	r.must(r.Upkeep(r.ctx))
	_, err = r.BlobGet(r.ctx, &proto.BlobGetRequest{ID: proto.BlobID{1}, Length: 1})
	r.must(err)
	_, err = open(token)
	r.refused(err, proto.BadToken)
}

func TestAFullDiskLosesNoBlobSilently(t *testing.T) {
	r := newRig(t)
	c := r.chat(1)
	s := r.session(c, c.Keys[0])
	b, hash := blobOf(100)
	_, err := r.BlobBegin(r.ctx, &proto.BlobBeginRequest{Session: s, ID: proto.BlobID{1}, Size: 100, Hash: hash})
	r.must(err)
	_, err = r.BlobPut(r.ctx, &proto.BlobPutRequest{Session: s, ID: proto.BlobID{1}, Bytes: b})
	r.must(err)
	for _, f := range []storetest.Fault{storetest.DiskFull, storetest.Failed, storetest.FailedKept} {
		r.fault = f
		if _, err := r.BlobFinish(r.ctx, &proto.BlobFinishRequest{Session: s, ID: proto.BlobID{1}}); err == nil {
			t.Fatalf("fault %d: finished", f)
		}
	}
	_, err = r.BlobFinish(r.ctx, &proto.BlobFinishRequest{Session: s, ID: proto.BlobID{1}})
	r.must(err)
	got, err := r.BlobGet(r.ctx, &proto.BlobGetRequest{ID: proto.BlobID{1}, Length: 100})
	r.must(err)
	if string(got.Bytes) != string(b) {
		t.Error("other bytes")
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	cancel()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("still running")
	}
}

// Who is no member, a removed one perhaps, does not use up a conversation's share.
func TestStrangersCannotThrottleAConversation(t *testing.T) {
	r := newRig(t)
	c := r.chat(1)
	for range 4100 {
		_, err := r.send(c, storetest.NewKey(), 1)
		r.refused(err, proto.NotMember)
	}
	_, err := r.send(c, c.Keys[0], 1)
	r.must(err)
	busy := false
	for range 1100 {
		_, err := r.send(c, c.Keys[0], 1)
		busy = busy || errors.Is(err, proto.Busy)
	}
	if !busy {
		t.Error("one member may send without end")
	}
}
