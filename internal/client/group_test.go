package client

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

func (d *device) newChat(name string, people ...string) {
	d.w.t.Helper()
	if _, err := d.NewChat(d.w.t.Context(), name, people); err != nil {
		d.w.t.Fatalf("%s makes %s: %v", d.name, name, err)
	}
}

func TestAGroupTalksAndChanges(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol, dave := w.person("alice"), w.person("bob"), w.person("carol"), w.person("dave")
	alice.newChat("plan", "@bob", "carol")
	alice.send("plan", "one")
	bob.expect("plan", "alice: one")
	bob.send("plan", "two")
	carol.expect("plan", "alice: one", "bob: two")
	w.agree("plan", alice, bob, carol)

	if err := bob.AddMembers(t.Context(), "plan", []string{"dave"}); err != nil {
		t.Fatal(err)
	}
	alice.send("plan", "three")
	dave.expect("plan", "alice: three")
	carol.expect("plan", "alice: one", "bob: two", "alice: three")
	w.agree("plan", alice, bob, carol, dave)

	if err := alice.RemoveMembers(t.Context(), "plan", []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	bob.send("plan", "four")
	dave.expect("plan", "alice: three", "bob: four")
	carol.expect("plan", "alice: one", "bob: two", "alice: three")
	if _, err := carol.Send(t.Context(), "plan", Draft{Text: "still here?"}); !errors.Is(err, ErrNotMember) {
		t.Fatalf("a removed member sends: %v", err)
	}
	w.agree("plan", alice, bob, dave)
}

func TestOnlyAdminsRemoveOthers(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob", "carol")
	bob.sync()
	carol.sync()
	err := bob.RemoveMembers(t.Context(), "plan", []string{"carol"})
	wantIs(t, err, ErrForbidden)
	w.agree("plan", alice, bob, carol)
}

func TestWhoLeavesIsRemovedByTheOthers(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob", "carol")
	bob.sync()
	carol.sync()
	if err := carol.Leave(t.Context(), "plan"); err != nil {
		t.Fatal(err)
	}
	bob.sync() // not an admin: the leave notice justifies it
	bob.send("plan", "carol has left")
	w.agree("plan", alice, bob)
	if n := len(alice.inspect1("plan").Leaves); n != 2 {
		t.Fatalf("%d devices in the conversation, want 2", n)
	}
	if _, err := carol.Send(t.Context(), "plan", Draft{Text: "hello?"}); !errors.Is(err, ErrNotMember) {
		t.Fatalf("one who left sends: %v", err)
	}
	alice.expect("plan", "bob: carol has left")
}

func TestJoinersReplaceTheirMemberKeys(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "hello")
	bob.sync()
	bob.sync()
	err := bob.step(t.Context(), func(tx *tx) error {
		ids, err := tx.conversations()
		if err != nil {
			return err
		}
		cv, err := tx.conv(ids[0])
		if err == nil && cv.meta.Given {
			err = errors.New("bob still uses the key that alice gave him")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.agree("@bob", alice)
	bob.send("@alice", "with my own key")
	alice.expect("@bob", "alice: hello", "bob: with my own key")
}

func TestBothWriteFirst(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.net.set(func(n *wireTo) {
		n.before = func(m proto.Method) error {
			if m == proto.Create { // bob's first message comes in between
				return errCut
			}
			return nil
		}
	})
	alice.cfg.SendFor = time.Second
	if s := alice.send("@bob", "from alice"); s.Seq == nil {
		t.Log("alice is in the outbox")
	}
	bob.send("@alice", "from bob")
	alice.net.set(func(n *wireTo) { n.before = nil })
	for range 3 {
		alice.sync()
		bob.sync()
	}
	alice.send("@bob", "more from alice")
	bob.sync()
	bob.send("@alice", "more from bob")
	alice.sync()
	a, b := fmt.Sprint(alice.read("@bob")), fmt.Sprint(bob.read("@alice"))
	if a != b || len(alice.read("@bob")) != 4 {
		t.Fatalf("alice has %s, bob %s", a, b)
	}
}

func TestSendWhileTheServerIsAway(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	alice.net.set(func(n *wireTo) { n.before = func(proto.Method) error { return errCut } })
	if s := alice.send("@bob", "two"); s.Seq != nil {
		t.Fatal("a receipt without a server")
	}
	if s, err := alice.Status(t.Context()); err != nil || s.Outbox != 1 {
		t.Fatalf("outbox of %d, %v", s.Outbox, err)
	}
	if _, err := alice.Send(t.Context(), "@nobody", Draft{Text: "x"}); err == nil {
		t.Fatal("sent to somebody unknown")
	}
	alice.restart()
	alice.net.set(func(n *wireTo) { n.before = nil })
	alice.sync()
	bob.expect("@alice", "alice: one", "alice: two")
	alice.expect("@bob", "alice: one", "alice: two")
}

// TestAnswersGetLost cuts the answer of every append and commit once: what the
// server did stands, and happens once.
func TestAnswersGetLost(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	for _, d := range []*device{alice, bob} {
		lost := map[proto.Method]int{}
		d.net.set(func(n *wireTo) {
			n.after = func(m proto.Method) error {
				if lost[m]++; lost[m]%2 == 1 && (m == proto.Append || m == proto.Commit || m == proto.Create || m == proto.InboxAck) {
					return errCut
				}
				return nil
			}
		})
	}
	alice.send("@bob", "one")
	alice.send("@bob", "two")
	for range 4 {
		_ = bob.Sync(context.Background())
	}
	bob.send("@alice", "three")
	for range 4 {
		_ = alice.Sync(context.Background())
	}
	want := "[alice: one alice: two bob: three]"
	if a, b := fmt.Sprint(alice.read("@bob")), fmt.Sprint(bob.read("@alice")); a != want || b != want {
		t.Fatalf("alice has %s, bob %s", a, b)
	}
}

// TestADirectConversationThatWasLeft: writing again begins another one.
func TestADirectConversationThatWasLeft(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	bob.sync()
	if err := alice.Leave(t.Context(), "@bob"); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	alice.send("@bob", "two")
	bob.sync()
	if got := bob.read("@alice"); len(got) != 2 || got[0] != "alice: one" && got[1] != "alice: one" {
		t.Fatalf("bob has %q", got)
	}
	bob.send("@alice", "three")
	alice.sync()
	if got := alice.read("@bob"); len(got) != 3 {
		t.Fatalf("alice has %q", got)
	}
}

func TestReadReceiptsComeTogether(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	readBy := func() (n int) {
		alice.sync()
		for m := range alice.Messages(t.Context(), "@bob", 0) {
			n += len(m.ReadBy)
		}
		return n
	}
	alice.send("@bob", "one")
	alice.send("@bob", "two")
	bob.sync()
	bob.sync()
	before := bob.inspect1("@alice").Head.Seq
	if readBy() != 0 {
		t.Fatal("read before bob has read")
	}
	bob.read("@alice")
	bob.sync()
	if n := readBy(); n != 2 {
		t.Fatalf("%d receipts, want 2", n)
	}
	if after := bob.inspect1("@alice").Head.Seq; after != before+1 {
		t.Fatalf("%d entries for two receipts", after-before)
	}
	alice.send("@bob", "three")
	bob.sync()
	bob.read("@alice")
	bob.sync() // too soon for another
	if n := readBy(); n != 2 {
		t.Fatalf("%d receipts, want 2", n)
	}
	w.clock.advance(time.Minute)
	bob.sync()
	if n := readBy(); n != 3 {
		t.Fatalf("%d receipts, want 3", n)
	}
	if got := bob.read("@alice"); len(got) != 3 {
		t.Fatalf("bob sees %q", got)
	}
}

// TestTicketsThatRanOut: the server refuses a joiner's ticket, once in a create
// and once in a commit; another package is taken.
func TestTicketsThatRanOut(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	spoil := func() {
		spoiled := false
		lie(alice, func(_ proto.Method, resp proto.Message) {
			if r, ok := resp.(*proto.ClaimResponse); ok && !spoiled && len(r.Packages) > 0 {
				spoiled = true
				r.Packages[0].Ticket[0] ^= 1
			}
		})
	}
	spoil()
	alice.newChat("plan", "bob")
	alice.send("plan", "one")
	bob.expect("plan", "alice: one")
	spoil()
	if err := alice.AddMembers(t.Context(), "plan", []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	alice.send("plan", "two")
	carol.expect("plan", "alice: two")
	w.agree("plan", alice, bob, carol)
	if n := len(alice.inspect1("plan").Leaves); n != 3 {
		t.Fatalf("%d devices", n)
	}
}

// TestSomebodyWithoutKeyPackages is added as soon as there is one.
func TestSomebodyWithoutKeyPackages(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	lie(alice, func(_ proto.Method, resp proto.Message) {
		if r, ok := resp.(*proto.ClaimResponse); ok && len(r.Packages) > 0 && r.Packages[0].Device == carol.must().Device {
			r.Packages = nil
		}
	})
	alice.newChat("plan", "bob", "carol")
	alice.send("plan", "one")
	bob.expect("plan", "alice: one")
	if s, err := alice.Status(t.Context()); err != nil || len(s.Warnings) == 0 {
		t.Fatalf("nobody is told that carol is missing: %v", err)
	}
	lie(alice, nil)
	alice.sync()
	alice.send("plan", "two")
	carol.expect("plan", "alice: two")
	w.agree("plan", alice, bob, carol)
}
