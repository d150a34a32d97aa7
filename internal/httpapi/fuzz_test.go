package httpapi

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/blobdir"
	"codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/proto"
)

// whole is a handler on stores of its own, its log, and two sessions that are
// open: of an account's device, and of a member key.
func whole(t testing.TB, c *testClock) (h *Handler, log *strings.Builder, device, member proto.SessionID) {
	t.Helper()
	s, key, sessions := mem.New(), store.NewOperatorKey(), session.New(c)
	files, err := blobdir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log = new(strings.Builder)
	logger := slog.New(slog.NewTextHandler(log, nil))
	deliveries, err := delivery.Open(context.Background(), delivery.Config{
		Store: s, Files: files, Sessions: sessions, Clock: c, Key: key, Origin: "huis.example", Log: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := directory.Open(context.Background(), directory.Config{Store: s, Key: key, Clock: c, Sessions: sessions, Origin: "huis.example"})
	if err != nil {
		t.Fatal(err)
	}
	device, _ = sessions.OpenDevice(session.Device{Account: proto.AccountID{1}, Device: proto.DeviceID{2}, Admin: true})
	member, _ = sessions.OpenMember(session.Member{Conversation: proto.ConversationID{3}, MK: proto.MemberKey{4}})
	return NewHandler(Config{Directory: accounts, Delivery: deliveries, Sessions: sessions, Clock: c, Log: logger}), log, device, member
}

// FuzzCall sends any body to any method, in an open session where it has one:
// no panic, an answer that decodes or a refusal, and no error of the server's own.
func FuzzCall(f *testing.F) {
	calls := proto.Calls()
	for i, c := range calls {
		b, err := proto.Encode(c.Request())
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), false, b)
		f.Add(uint8(i), true, append(b, 1))
	}
	clock := &testClock{time.Unix(1_800_000_000, 0)}
	h, log, device, member := whole(f, clock)
	f.Fuzz(func(t *testing.T, method uint8, asMember bool, body []byte) {
		c := calls[int(method)%len(calls)]
		session := device
		if asMember {
			session = member
		}
		body = bytes.Clone(body)
		req := c.Request()
		if proto.Decode(body, req) == nil && wait(req) > 0 {
			return // a long poll
		}
		copy(body, session[:])
		clock.t = clock.t.Add(5 * time.Millisecond) // or everything would be throttled soon
		answer, err := h.Call(t.Context(), near, c.Method, body)
		if err == nil {
			err = proto.Decode(answer, c.Response())
		} else if e := (*proto.Error)(nil); errors.As(err, &e) {
			err = nil
		}
		if err != nil || log.Len() > 0 {
			t.Fatalf("%s: %v, log %q", c.Method, err, log)
		}
	})
}

// wait is how long a request asks the server to wait, in milliseconds.
func wait(req proto.Message) uint32 {
	switch r := req.(type) {
	case *proto.InboxFetchRequest:
		return r.WaitMillis
	case *proto.MailboxFetchRequest:
		return r.WaitMillis
	}
	return 0
}

func TestNothingThatIsLoggedNamesAnybody(t *testing.T) {
	h, log, _, _ := whole(t, &testClock{time.Unix(1_800_000_000, 0)})
	r := &proto.RegisterRequest{Invite: proto.New[proto.Token](), Handle: "alice"}
	h.Call(t.Context(), far, proto.Register, mustEncode(r))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.Call(ctx, far, proto.Register, mustEncode(r))
	if log.Len() > 0 {
		t.Errorf("refusals are logged: %q", log)
	}
}

func TestLimitsByAccountLeaveOthersAlone(t *testing.T) {
	clock := &testClock{time.Unix(1_800_000_000, 0)}
	h, _, device, _ := whole(t, clock)
	other, _ := h.Sessions.OpenDevice(session.Device{Account: proto.AccountID{9}, Device: proto.DeviceID{9}})
	lookup := func(s proto.SessionID) error {
		_, err := h.Call(t.Context(), near, proto.Lookup, mustEncode(&proto.LookupRequest{Session: s, Handle: "nobody"}))
		return err
	}
	var err error
	for n := 0; n < 5000 && !errors.Is(err, proto.Throttled); n++ {
		err = lookup(device)
	}
	var e *proto.Error
	if !errors.As(err, &e) || e.Code != proto.Throttled || e.Wait <= 0 {
		t.Fatalf("5000 lookups at once: %v", err)
	}
	if err := lookup(other); !errors.Is(err, proto.UnknownAccount) {
		t.Errorf("another account: %v", err)
	}
	clock.t = clock.t.Add(e.Wait)
	if err := lookup(device); !errors.Is(err, proto.UnknownAccount) {
		t.Errorf("after the wait: %v", err)
	}
}
