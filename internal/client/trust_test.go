package client

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// TestARevokedDeviceIsRemovedByAnyMember: the device that revokes does nothing
// more; bob, who is no admin, does not write to a tree with the revoked leaf.
func TestARevokedDeviceIsRemovedByAnyMember(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	phone := w.further(alice, "phone")
	w.agree("plan", alice, bob, phone)
	alice.net.set(func(n *wireTo) {
		n.before = func(m proto.Method) error {
			if m == proto.Commit || m == proto.Append {
				return errCut
			}
			return nil
		}
	})
	if err := alice.Revoke(t.Context(), phone.must().Device.Hex()); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(25 * time.Hour) // bob looks at chains once a day at least
	bob.send("plan", "not for the phone")
	if n := len(bob.inspect1("plan").Leaves); n != 2 {
		t.Fatalf("%d devices in the conversation", n)
	}
	_ = phone.Sync(t.Context())
	if got := phone.held("plan"); slices.Contains(got, "bob: not for the phone") {
		t.Fatalf("the phone has %q", got)
	}
	alice.net.set(func(n *wireTo) { n.before = nil })
	w.agree("plan", alice, bob)
}

// TestAnUnprovenLeafStopsSending: the chain that vouches for a leaf is taken
// away; nothing is sent, and what the leaf says is not shown.
func TestAnUnprovenLeafStopsSending(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	alice.send("plan", "one")
	bob.expect("plan", "alice: one")
	w.agree("plan", alice, bob)
	phone := w.further(alice, "phone")
	w.agree("plan", alice, bob, phone)
	phone.send("plan", "from the phone")
	// Bob forgets the link that added the phone, and the server hides it.
	a := alice.must().Account
	hide := func(t *tx) error {
		r, err := t.chainRecord(a)
		if err != nil {
			return err
		}
		r.Links = r.Links[:1]
		delete(t.c.chains, a)
		return t.save("chain/"+a.Hex(), r.wire)
	}
	if err := bob.step(t.Context(), hide); err != nil {
		t.Fatal(err)
	}
	lie(bob, func(_ proto.Method, resp proto.Message) {
		if r, ok := resp.(*proto.ChainProofResponse); ok {
			r.Links, r.Proof.Openings = r.Links[:1], r.Proof.Openings[:1]
		}
	})
	var safety *SafetyError
	if _, err := bob.Send(t.Context(), "plan", Draft{Text: "secret"}); !errors.As(err, &safety) {
		t.Fatalf("send gives %v", err)
	}
	var last error
	for m, err := range bob.Messages(t.Context(), "plan", 0) {
		if m.Body == "from the phone" {
			t.Error("an unproven leaf's message is shown")
		}
		last = err
	}
	if !errors.As(last, &safety) {
		t.Fatalf("read ends with %v", last)
	}
	wantSafety := bob.AddMembers(t.Context(), "plan", []string{"alice"})
	if !errors.As(wantSafety, &safety) {
		t.Fatalf("adding gives %v", wantSafety)
	}
	lie(bob, nil)
	bob.sync()
	if got := bob.read("plan"); !slices.Contains(got, "alice: from the phone") {
		t.Fatalf("bob has %q", got)
	}
}

// TestAnUnprovenMemberCanBeRemoved by an admin, who is told why.
func TestAnUnprovenMemberCanBeRemoved(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob", "carol")
	w.agree("plan", alice, bob, carol)
	b := bob.must().Account
	err := alice.step(t.Context(), func(t *tx) error {
		delete(t.c.chains, b)
		t.del("chain/" + b.Hex())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lie(alice, func(_ proto.Method, resp proto.Message) {
		if r, ok := resp.(*proto.ChainProofResponse); ok {
			r.Links, r.Proof.Openings = r.Links[:1], r.Proof.Openings[:1]
		}
	})
	var safety *SafetyError
	if _, err := alice.Send(t.Context(), "plan", Draft{Text: "secret"}); !errors.As(err, &safety) {
		t.Fatalf("send gives %v", err)
	}
	if err := alice.RemoveMembers(t.Context(), "plan", []string{"bob"}); err != nil {
		t.Fatal(err)
	}
	alice.send("plan", "without bob")
	carol.sync()
	if got := carol.read("plan"); !slices.Contains(got, "alice: without bob") {
		t.Fatalf("carol has %q", got)
	}
}

// TestSomebodyElsesSubmission: a message that another member's key submitted is
// not shown.
func TestSomebodyElsesSubmission(t *testing.T) {
	w := newWorld(t)
	alice, bob, mallory := w.person("alice"), w.person("bob"), w.person("mallory")
	alice.newChat("plan", "bob", "mallory")
	w.agree("plan", alice, bob, mallory)
	stolen := alice.sealed("plan", "for me to send")
	mallory.at("plan", func(_ *tx, cv *conversation) error { return stolen.Sign(cv.meta.Seed.key()) })
	if err := mallory.call(t.Context(), Conversations, proto.Append, &proto.AppendRequest{Entry: stolen}, &proto.AppendResponse{}); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	if got := bob.read("plan"); len(got) != 0 {
		t.Fatalf("bob has %q", got)
	}
	s, err := bob.Status(t.Context())
	if err != nil || len(s.Warnings) == 0 {
		t.Fatalf("no warning: %v", err)
	}
	alice.send("plan", "mine")
	bob.expect("plan", "alice: mine")
}

// TestMessageKeysOfPastEpochsDie: what a message of an ended epoch can still
// come of is known; after that its keys are gone.
func TestMessageKeysOfPastEpochsDie(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob", "carol")
	w.agree("plan", alice, bob, carol)
	past := func() (n int) {
		bob.at("plan", func(_ *tx, cv *conversation) error { n = len(cv.group.PastEpochs()); return nil })
		return n
	}
	if err := alice.SetExpiry(t.Context(), "plan", time.Hour); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	if past() == 0 {
		t.Fatal("an epoch that ended this minute is forgotten")
	}
	w.clock.advance(3 * time.Minute)
	alice.send("plan", "later")
	bob.sync()
	if n := past(); n != 0 {
		t.Fatalf("keys of %d epochs are kept after their time", n)
	}
	if err := alice.SetExpiry(t.Context(), "plan", 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := alice.RemoveMembers(t.Context(), "plan", []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	if n := past(); n != 0 {
		t.Fatalf("keys of %d epochs outlive a removal", n)
	}
}

// TestFollowShowsWhatArrives over the push connection, and goes on when the
// server was away.
func TestFollowShowsWhatArrives(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	bob.sync()
	bob.cfg.Clock = SystemClock{}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	news := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		last := uint64(0)
		done <- bob.Follow(ctx, func() {
			for m, err := range bob.Messages(ctx, "@alice", last) {
				if err == nil {
					last = m.Seq
					news <- m.Body
				}
			}
		})
	}()
	want := func(text string) {
		t.Helper()
		select {
		case got := <-news:
			if got != text {
				t.Fatalf("%q arrived, want %q", got, text)
			}
		case <-ctx.Done():
			t.Fatalf("%q did not arrive", text)
		}
	}
	want("one")
	alice.send("@bob", "two")
	want("two")
	bob.net.set(func(n *wireTo) { n.before = func(proto.Method) error { return errCut } })
	alice.send("@bob", "three")
	time.Sleep(100 * time.Millisecond)
	bob.net.set(func(n *wireTo) { n.before = nil })
	alice.send("@bob", "four")
	want("three")
	want("four")
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("follow ends with %v", err)
	}
}

// TestAClockThatIsWrongByADay: messages go both ways; times shown are the
// server's.
func TestAClockThatIsWrongByADay(t *testing.T) {
	for _, off := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		w := newWorld(t)
		alice := w.person("alice")
		late := w.newDevice("bob")
		cfg := w.config(late)
		cfg.Clock = offClock{w.clock, off}
		c, _, err := Join(t.Context(), cfg, w.invitation(), "bob")
		if err != nil {
			t.Fatalf("off by %v: %v", off, err)
		}
		late.Client = c
		late.send("@alice", "hello")
		alice.expect("@bob", "bob: hello")
		alice.send("@bob", "hello too")
		late.expect("@alice", "bob: hello", "alice: hello too")
		for m := range late.Messages(t.Context(), "@alice", 0) {
			if d := m.Time.Sub(w.clock.Now()).Abs(); d > 2*time.Minute {
				t.Errorf("off by %v: a time of %v", off, m.Time)
			}
		}
	}
}

type offClock struct {
	*testClock
	off time.Duration
}

func (c offClock) Now() time.Time { return c.testClock.Now().Add(c.off) }

// TestADamagedStoreIsAnError, never a panic: each stored record in turn is cut
// short.
func TestADamagedStoreIsAnError(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	bob.sync()
	bob.send("@alice", "two")
	alice.sync()
	records, err := alice.store.List(t.Context(), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	damage := func(k string, v []byte) {
		err := alice.step(t.Context(), func(tx *tx) error { tx.put(k, v); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range records {
		if len(r.Value) == 0 || len(r.Key) > 3 && r.Key[:3] == "kp/" {
			continue
		}
		damage(r.Key, r.Value[:len(r.Value)-1])
		if c, err := Open(t.Context(), w.config(alice)); err == nil {
			_ = c.Sync(t.Context())
			for range c.Messages(t.Context(), "@bob", 0) {
			}
			_, _ = c.Chats(t.Context())
			_, _ = c.Status(t.Context())
		}
		damage(r.Key, r.Value)
	}
}
