package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// heal lets time pass until a device that came late is a member again.
func (w *world) heal(d *device, others ...*device) {
	w.t.Helper()
	for range 20 {
		if err := d.Sync(w.t.Context()); err != nil && !isSafety(err) {
			w.t.Fatalf("%s: %v", d.name, err)
		}
		if s, err := d.stateOf(w.t.Context(), d.found("plan")); err != nil || s == stateLive {
			if err != nil {
				w.t.Fatal(err)
			}
			return
		}
		w.clock.advance(10 * time.Second)
		for _, o := range others {
			_ = o.Sync(w.t.Context())
		}
	}
	w.t.Fatalf("%s is not added again", d.name)
}

// found is the conversation to write in.
func (d *device) found(chat string) proto.ConversationID {
	d.w.t.Helper()
	id, err := d.find(d.w.t.Context(), chat)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return id
}

// handles are the members of a conversation.
func (d *device) handles(chat string) (all []string) {
	d.w.t.Helper()
	id := d.found(chat)
	err := d.step(d.w.t.Context(), func(t *tx) error {
		cv, err := t.conv(id)
		if err == nil {
			for _, a := range cv.accounts() {
				all = append(all, t.handleOf(a))
			}
		}
		return err
	})
	if err != nil {
		d.w.t.Fatal(err)
	}
	return all
}

// count is how often a text is among what a device holds.
func (d *device) count(chat, text string) (n int) {
	for _, s := range d.all(chat) {
		if s == text {
			n++
		}
	}
	return n
}

// all is what a person is shown of a chat, whatever is wrong with it.
func (d *device) all(chat string) (all []string) {
	for m, err := range d.Messages(d.w.t.Context(), chat, 0) {
		if err == nil {
			all = append(all, m.From+": "+m.Body)
		}
	}
	return all
}

// A device that comes when others went on without what only it has keeps what it
// has, offers again what it had sent, and goes on. Nobody acts.
func TestWhoComesTooLateGoesOn(t *testing.T) {
	w := newOnDisk(t)
	alice, bob, carol, dave := w.person("alice"), w.person("bob"), w.person("carol"), w.person("dave")
	alice.newChat("plan", "bob", "carol", "dave")
	w.agree("plan", alice, bob, carol, dave)
	alice.send("plan", "before")
	for _, d := range []*device{bob, carol, dave} {
		d.expect("plan", "alice: before")
	}
	restore := w.backUp()
	carol.send("plan", "lost one")
	dave.sync()
	dave.send("plan", "lost from dave")
	carol.sync()
	carol.send("plan", "lost two")
	carol.sync()
	carol.read("plan")
	dave.sync()
	restore()
	w.goOn(alice, bob)
	alice.send("plan", "meanwhile")
	bob.send("plan", "indeed")

	w.heal(carol, alice, bob)
	carol.sync()
	for _, d := range []*device{alice, bob} {
		d.sync()
		if got := d.read("plan"); !slices.Equal(got[len(got)-2:], []string{"carol: lost one", "carol: lost two"}) {
			t.Errorf("%s has %q", d.name, got)
		}
	}
	for _, text := range []string{"alice: before", "carol: lost one", "carol: lost two", "dave: lost from dave", "alice: meanwhile", "bob: indeed"} {
		if carol.count("plan", text) != 1 {
			t.Errorf("carol holds %q", carol.all("plan"))
		}
	}
	if s, err := carol.Status(t.Context()); err != nil || !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, "restored from a backup") }) {
		t.Errorf("carol is told %q, %v", s.Warnings, err)
	}

	// The next to come late offers what is its own; what it has of others that they
	// have offered again it shows once.
	w.heal(dave, alice, bob, carol)
	dave.sync()
	for _, d := range []*device{alice, bob, carol} {
		d.sync()
		if d.count("plan", "dave: lost from dave") != 1 {
			t.Errorf("%s holds %q", d.name, d.all("plan"))
		}
	}
	for _, text := range []string{"alice: before", "carol: lost one", "carol: lost two", "dave: lost from dave", "alice: meanwhile", "bob: indeed"} {
		if dave.count("plan", text) != 1 {
			t.Errorf("dave holds %q", dave.all("plan"))
		}
	}
	w.agree("plan", alice, bob, carol, dave)
	carol.send("plan", "all is well")
	dave.sync()
	if dave.count("plan", "carol: all is well") != 1 {
		t.Error("it does not go on")
	}
}

// Who was removed in the end that was lost reads nothing that was written after
// it: an admin's device removes them again, another one sends nothing before that,
// unless its person wants it so.
func TestWhoWasRemovedInTheLostEndIsRemovedAgain(t *testing.T) {
	w := newOnDisk(t)
	ctx := t.Context()
	alice, bob, carol, mallory := w.person("alice"), w.person("bob"), w.person("carol"), w.person("mallory")
	alice.newChat("plan", "bob", "carol", "mallory")
	w.agree("plan", alice, bob, carol, mallory)
	restore := w.backUp()
	if err := alice.RemoveMembers(ctx, "plan", []string{"mallory"}); err != nil {
		t.Fatal(err)
	}
	carol.sync()
	alice.send("plan", "now that mallory is gone")
	carol.sync()
	carol.send("plan", "at last")
	carol.sync()
	restore()
	w.goOn(bob, mallory)
	bob.send("plan", "meanwhile")

	w.heal(carol, bob, mallory)
	var safety *SafetyError
	if err := carol.Sync(ctx); !errors.As(err, &safety) || !strings.Contains(safety.Reason, "@mallory was removed") {
		t.Fatalf("carol is not told: %v", err)
	}
	if sent, err := carol.Send(ctx, "plan", Draft{Text: "secret"}); err == nil && sent.Seq != nil {
		t.Fatal("carol's message goes to who was removed")
	}
	w.heal(alice, bob, carol, mallory)
	alice.sync()
	for range 2 {
		w.clock.advance(10 * time.Second)
		bob.sync()
		carol.sync()
		alice.sync()
	}
	for _, text := range []string{"alice: now that mallory is gone", "carol: at last", "carol: secret"} {
		if bob.count("plan", text) != 1 {
			t.Errorf("bob holds %q", bob.all("plan"))
		}
	}
	_ = mallory.Sync(ctx)
	for _, text := range mallory.all("plan") {
		if text != "bob: meanwhile" {
			t.Errorf("mallory reads %q", text)
		}
	}
	if slices.Contains(bob.handles("plan"), "mallory") {
		t.Error("mallory is a member")
	}
}

// A person may say that somebody is to stay.
func TestWhoIsAddedOnPurposeStays(t *testing.T) {
	w := newOnDisk(t)
	ctx := t.Context()
	alice, bob, carol, dave := w.person("alice"), w.person("bob"), w.person("carol"), w.person("dave")
	alice.newChat("plan", "bob", "carol", "dave")
	w.agree("plan", alice, bob, carol, dave)
	restore := w.backUp()
	if err := alice.RemoveMembers(ctx, "plan", []string{"dave"}); err != nil {
		t.Fatal(err)
	}
	carol.sync()
	restore()
	w.goOn(bob, dave)
	bob.send("plan", "meanwhile")
	w.heal(carol, bob, dave)
	if err := carol.Sync(ctx); !isSafety(err) {
		t.Fatalf("carol is not told: %v", err)
	}
	if err := carol.AddMembers(ctx, "plan", []string{"dave"}); err != nil {
		t.Fatal(err)
	}
	carol.send("plan", "dave stays")
	dave.sync()
	if dave.count("plan", "carol: dave stays") != 1 {
		t.Errorf("dave holds %q", dave.all("plan"))
	}
}

// A server that makes up such a fork in the generation of before, or in one that
// it does not declare, is a liar as ever.
func TestALateDeviceBelievesNoMadeUpFork(t *testing.T) {
	w := newOnDisk(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	restore := w.backUp()
	bob.send("plan", "lost")
	bob.sync()
	restore()
	w.goOn(alice)
	alice.send("plan", "meanwhile")
	lie(bob, func(_ proto.Method, r proto.Message) {
		if e, ok := r.(*proto.LogEntryResponse); ok && len(e.Values) > 0 {
			e.Values, e.Proof = nil, proto.LogProof{}
		}
	})
	var safety *SafetyError
	if err := bob.Sync(t.Context()); !errors.As(err, &safety) {
		t.Fatalf("bob is not told: %v", err)
	}
	if s, err := bob.stateOf(t.Context(), bob.found("plan")); err != nil || s != stateLive {
		t.Errorf("bob's conversation is %v, %v", s, err)
	}
}
