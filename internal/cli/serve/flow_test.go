package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve/servetest"
	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

// couple is alice, who is admin, and bob, on a running server.
func couple(t *testing.T, r *running) (alice, bob *servetest.Peer) {
	t.Helper()
	i := r.invitation()
	alice = servetest.NewPeer(t, r.dial(i.Server))
	alice.Join(i.Token, "alice")
	bob = servetest.NewPeer(t, r.dial(i.Server))
	bob.Join(alice.Invitation(), "bob")
	return alice, bob
}

func TestPeopleTalkThroughTheServer(t *testing.T) {
	r := start(t, Config{Data: t.TempDir()})
	alice, bob := couple(t, r)
	if !alice.Open() || bob.Open() {
		t.Error("the admin is not the first who joined")
	}
	bob.Publish(3)

	var found proto.LookupResponse
	alice.Call(client.Account, proto.Lookup, &proto.LookupRequest{Session: alice.Session, Handle: "bob"}, &found)
	if found.Account != bob.Account || len(found.Links) != 1 || !bytes.Equal(found.Links[0], bob.Links[0]) {
		t.Fatal("bob is not found")
	}
	claimed := alice.Claim(bob.Account)
	key, mk := servetest.NewKey()
	mine := alice.Create([]proto.Ticket{claimed[0].Ticket}, mk)

	var inbox proto.InboxFetchResponse
	bob.Call(client.Account, proto.InboxFetch, &proto.InboxFetchRequest{Session: bob.Session, WaitMillis: 5000}, &inbox)
	if len(inbox.Items) != 1 {
		t.Fatalf("%d items in the inbox", len(inbox.Items))
	}
	bob.Call(client.Account, proto.InboxAck, &proto.InboxAckRequest{Session: bob.Session, IDs: []proto.InboxItemID{inbox.Items[0].ID}}, &proto.Empty{})
	its := bob.Sit(mine.ID, key, 1)

	first := mine.Entry(100)
	receipt := mine.Append(first)
	if again := mine.Append(first); again != receipt {
		t.Error("the same entry again has another receipt")
	}
	its.Append(its.Entry(2000))
	if _, err := mine.Commit(proto.KeyDelta{Removes: []proto.MemberKey{mk}}); err != nil {
		t.Fatal(err)
	}
	mine.Append(mine.Entry(10))
	all, err := mine.Read(0)
	if err != nil || len(all) != 5 || all[1].Receipt != receipt {
		t.Fatalf("alice reads %d entries, %v", len(all), err)
	}
	seen, err := its.Read(0)
	if err != nil || len(seen) != 4 {
		t.Errorf("bob, removed, reads %d entries, %v", len(seen), err)
	}
	wantCode(t, "bob writes after his removal", its.Try(client.Conversations, proto.Append, &proto.AppendRequest{Entry: its.Entry(1)}, &proto.AppendResponse{}), proto.NotMember)
}

func wantCode(t *testing.T, what string, err error, code proto.Code) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("%s: got %v, want %v", what, err, code)
	}
}

func TestFilesGoUpAndDownInParts(t *testing.T) {
	r := start(t, Config{Data: t.TempDir()})
	alice, _ := couple(t, r)
	s := alice.Create(nil)
	whole := servetest.Random(proto.MaxBlobPart + 1000)
	id := proto.New[proto.BlobID]()
	s.Call(client.Conversations, proto.BlobBegin, &proto.BlobBeginRequest{Session: s.Session, ID: id, Size: uint64(len(whole)), Hash: sha256.Sum256(whole)}, &proto.Empty{})
	s.Call(client.Conversations, proto.BlobPut, &proto.BlobPutRequest{Session: s.Session, ID: id, Part: 1, Bytes: whole[proto.MaxBlobPart:]}, &proto.Empty{})
	var stat proto.BlobStatResponse
	s.Call(client.Conversations, proto.BlobStat, &proto.BlobStatRequest{Session: s.Session, ID: id}, &stat)
	if stat.Has(0) || !stat.Has(1) {
		t.Errorf("parts %x", stat.Parts)
	}
	s.Call(client.Conversations, proto.BlobPut, &proto.BlobPutRequest{Session: s.Session, ID: id, Part: 0, Bytes: whole[:proto.MaxBlobPart]}, &proto.Empty{})
	s.Call(client.Conversations, proto.BlobFinish, &proto.BlobFinishRequest{Session: s.Session, ID: id}, &proto.Empty{})
	var got []byte
	for len(got) < len(whole) {
		var part proto.BlobGetResponse
		s.Call(client.Conversations, proto.BlobGet, &proto.BlobGetRequest{ID: id, Offset: uint64(len(got)), Length: proto.MaxBlobPart}, &part)
		got = append(got, part.Bytes...)
	}
	if !bytes.Equal(got, whole) {
		t.Error("another file came back")
	}
}

func TestHintsArriveOnTheirLane(t *testing.T) {
	r := start(t, Config{Data: t.TempDir()})
	alice, bob := couple(t, r)
	bob.Publish(1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	hints := make(chan proto.Hint, 16)
	go bob.Net.Listen(ctx, client.Account, proto.Subscribe{Sessions: []proto.SessionID{bob.Session}}, func(h proto.Hint) { hints <- h })
	<-hints // the one at the start
	key, mk := servetest.NewKey()
	mine := alice.Create([]proto.Ticket{alice.Claim(bob.Account)[0].Ticket}, mk)
	if h := <-hints; h.Session != bob.Session || h.Ended {
		t.Errorf("inbox: %+v", h)
	}
	its := bob.Sit(mine.ID, key, 1)
	go bob.Net.Listen(ctx, client.Conversations, proto.Subscribe{Sessions: []proto.SessionID{its.Session, {9}}}, func(h proto.Hint) { hints <- h })
	for range 2 {
		if h := <-hints; h.Ended != (h.Session == proto.SessionID{9}) {
			t.Errorf("at the start: %+v", h)
		}
	}
	mine.Append(mine.Entry(10))
	if h := <-hints; h.Session != its.Session || h.Seq != 2 {
		t.Errorf("conversation: %+v", h)
	}
	both := proto.Subscribe{Sessions: []proto.SessionID{bob.Session, its.Session}}
	if err := bob.Net.Listen(ctx, client.Account, both, func(proto.Hint) {}); err == nil || ctx.Err() != nil {
		t.Error("one connection may listen to an account and a conversation")
	}
}

func TestWhatWasAcknowledgedOutlivesAStop(t *testing.T) {
	dir := t.TempDir()
	r := start(t, Config{Data: dir})
	alice, _ := couple(t, r)
	s := alice.Create(nil)
	receipt := s.Append(s.Entry(50))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Try(client.Conversations, proto.Read, &proto.ReadRequest{Session: s.Session}, &proto.ReadResponse{}); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("a stopped server: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, databaseFile+"-wal")); err == nil && info.Size() > 0 {
		t.Errorf("%d bytes are left in the write-ahead log", info.Size())
	}
	again := start(t, Config{Data: dir})
	if again.ready.Invite != "" {
		t.Error("a server somebody joined still shows its first invitation")
	}
	wantCode(t, "a session of before", s.Try(client.Conversations, proto.Read, &proto.ReadRequest{Session: s.Session}, &proto.ReadResponse{}), proto.BadSession)
	s.Open()
	all, err := s.Read(0)
	if err != nil || len(all) != 2 || all[1].Receipt != receipt {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

func TestARevokedDevicesConnectionFallsSilent(t *testing.T) {
	r := start(t, Config{Data: t.TempDir()})
	alice, bob := couple(t, r)
	second := alice.AddDevice(r.dial(r.invitation().Server))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	hints := make(chan proto.Hint, 16)
	go second.Net.Listen(ctx, client.Account, proto.Subscribe{Sessions: []proto.SessionID{second.Session}}, func(h proto.Hint) { hints <- h })
	<-hints // the one at the start
	alice.Revoke(second)
	wantCode(t, "its session", second.Try(client.Account, proto.PackageCount, &proto.PackageCountRequest{Session: second.Session}, &proto.PackageCountResponse{}), proto.BadSession)
	bob.Call(client.Account, proto.InboxPost, &proto.InboxPostRequest{Session: bob.Session, Account: alice.Account, Sealed: servetest.Random(100)}, &proto.Empty{})
	if h := <-hints; !h.Ended {
		t.Error("a revoked device is told that the account got something")
	}
}

func TestAStopWaitsForNobodyWhoWaits(t *testing.T) {
	r := start(t, Config{Data: t.TempDir()})
	alice, bob := couple(t, r)
	ended := make(chan error, 2)
	go func() {
		ended <- alice.Try(client.Account, proto.InboxFetch, &proto.InboxFetchRequest{Session: alice.Session, WaitMillis: 50000}, &proto.InboxFetchResponse{})
	}()
	go func() {
		ended <- bob.Net.Listen(context.Background(), client.Account, proto.Subscribe{Sessions: []proto.SessionID{bob.Session}}, func(proto.Hint) {})
	}()
	time.Sleep(200 * time.Millisecond)
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > stopTime/2 {
		t.Errorf("the stop took %v", took)
	}
	for range 2 {
		if err := <-ended; !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("who waited: %v", err)
		}
	}
}

func TestALinkingMailbox(t *testing.T) {
	r := start(t, Config{Data: t.TempDir()})
	alice, bob := couple(t, r)
	id := proto.New[proto.MailboxID]()
	got := make(chan proto.MailboxFetchResponse)
	go func() {
		var m proto.MailboxFetchResponse
		bob.Call(client.Anonymous, proto.MailboxFetch, &proto.MailboxFetchRequest{ID: id, WaitMillis: 10000}, &m)
		got <- m
	}()
	alice.Call(client.Anonymous, proto.MailboxPost, &proto.MailboxPostRequest{ID: id, Sealed: servetest.Random(1000)}, &proto.Empty{})
	if m := <-got; len(m.Items) != 1 || len(m.Items[0]) != 1000 {
		t.Errorf("%d items", len(m.Items))
	}
}
