package session

import (
	"errors"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

type clock struct{ t time.Time }

func (c *clock) Now() time.Time { return c.t }

func TestNonceIsGoodOnceAndForAMinute(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	s := New(c)
	n, _ := s.Nonce()
	if !s.TakeNonce(n) || s.TakeNonce(n) {
		t.Error("a nonce is not good exactly once")
	}
	n, _ = s.Nonce()
	c.t = c.t.Add(61 * time.Second)
	if s.TakeNonce(n) {
		t.Error("a nonce of 61 s ago is taken")
	}
	n, _ = s.Nonce()
	n[9] ^= 1
	if s.TakeNonce(proto.Nonce{}) || s.TakeNonce(n) {
		t.Error("a nonce never given is taken")
	}
	n, _ = s.Nonce()
	if New(c).TakeNonce(n) {
		t.Error("a nonce outlives the process")
	}
}

func TestSessionsAreOfOneKind(t *testing.T) {
	s := New(&clock{time.Unix(1e9, 0)})
	m, _ := s.OpenMember(Member{MK: proto.MemberKey{1}})
	d, _ := s.OpenDevice(Device{Account: proto.AccountID{2}})
	if got, err := s.Member(m); err != nil || got.MK != (proto.MemberKey{1}) {
		t.Error(err)
	}
	for _, err := range []error{second(s.Member(d)), second(s.Device(m)), second(s.Device(proto.SessionID{}))} {
		if !errors.Is(err, proto.BadSession) {
			t.Errorf("got %v", err)
		}
	}
	s.EndDevice(proto.AccountID{2}, proto.DeviceID{})
	if _, err := s.Member(m); err != nil {
		t.Error("the end of a device's sessions ended another's")
	}
	if _, err := s.Device(d); err == nil {
		t.Error("the session of a revoked device goes on")
	}
}

func second[T any](_ T, err error) error { return err }

func TestSessionsEnd(t *testing.T) {
	c := &clock{time.Unix(1e9, 0)}
	s := New(c)
	id, _ := s.OpenMember(Member{})
	for range 50 {
		c.t = c.t.Add(29 * time.Minute)
		if _, err := s.Member(id); (err == nil) != (c.t.Sub(time.Unix(1e9, 0)) <= sessionLife) {
			t.Fatalf("after %v: %v", c.t.Sub(time.Unix(1e9, 0)), err)
		}
	}
	id, _ = s.OpenMember(Member{})
	c.t = c.t.Add(31 * time.Minute)
	if _, err := s.Member(id); err == nil {
		t.Error("an idle session goes on")
	}
	s.OpenMember(Member{})
	n, _ := s.Nonce()
	s.TakeNonce(n)
	c.t = c.t.Add(-25 * time.Hour)
	s.Purge()
	if len(s.sessions)+len(s.nonces.spent) != 0 {
		t.Error("sessions of a wrong clock are kept")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s := New(&clock{time.Unix(1e9, 0)})
	first, _ := s.OpenDevice(Device{Account: proto.AccountID{1}})
	other, _ := s.OpenDevice(Device{Account: proto.AccountID{2}})
	for range maxPerOwner {
		s.OpenDevice(Device{Account: proto.AccountID{1}})
	}
	if len(s.sessions) != maxPerOwner+1 || s.Use(first) || !s.Use(other) {
		t.Errorf("%d sessions", len(s.sessions))
	}
	for i := range maxSessions + 10 {
		m := Member{Conversation: proto.ConversationID{byte(i), byte(i >> 8), byte(i >> 16)}}
		if id, err := s.OpenMember(m); err != nil || !s.Use(id) {
			t.Fatal("a table that is full takes no more", err)
		}
	}
	owned := 0
	for _, ids := range s.owned {
		owned += len(ids)
	}
	if len(s.sessions) > maxSessions || owned != len(s.sessions) {
		t.Errorf("%d sessions, %d owned", len(s.sessions), owned)
	}
}
