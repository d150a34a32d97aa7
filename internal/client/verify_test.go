package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

func (d *device) trust(who string) Trust {
	d.w.t.Helper()
	got, err := d.Trust(d.w.t.Context(), who)
	if err != nil {
		d.w.t.Fatalf("%s on @%s: %v", d.name, who, err)
	}
	return got
}

func (d *device) wantTrust(who, state string) Trust {
	d.w.t.Helper()
	got := d.trust(who)
	if got.State != state {
		d.w.t.Errorf("%s is %s to %s (%s), want %s", who, got.State, d.name, got.Reason, state)
	}
	return got
}

func kinds(tr Trust) (all []string) {
	for _, ev := range tr.Events {
		all = append(all, ev.Kind)
	}
	return all
}

func TestTheFourStatesOfTrust(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	a, b := alice.wantTrust("bob", TrustChecked), bob.wantTrust("@alice", TrustChecked)
	if !slices.Equal(a.Code.Words, b.Code.Words) || a.Checked.IsZero() || !a.Verified.IsZero() {
		t.Errorf("alice sees %v, bob %v", a, b)
	}
	_, err := alice.SetVerified(t.Context(), "bob", "other words", true)
	wantIs(t, err, ErrOtherWords)
	w.clock.advance(time.Hour)
	if _, err := alice.SetVerified(t.Context(), "bob", strings.Join(b.Code.Words, "  "), true); err != nil {
		t.Fatal(err)
	}
	if got := alice.wantTrust("bob", TrustVerified); !got.Verified.Equal(w.clock.Now()) {
		t.Errorf("verified at %v", got.Verified)
	}
	w.clock.advance(time.Hour)
	phone := w.further(bob, "phone")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob, phone)
	got := alice.wantTrust("bob", TrustChanged)
	if want := []string{"began", "recovery", "verified", "added"}; !slices.Equal(kinds(got), want) || !got.Events[3].Signed || got.Events[3].Device != phone.must().Device.Hex() {
		t.Errorf("the history is %v", got.Events)
	}
	notes, err := alice.Notes(t.Context(), "plan")
	if err != nil || len(notes) != 1 && len(notes) != 0 {
		t.Errorf("notes: %v, %v", notes, err)
	}
	if _, err := alice.SetVerified(t.Context(), "bob", "", true); err != nil {
		t.Fatal(err)
	}
	alice.wantTrust("bob", TrustVerified)
	if _, err := alice.SetVerified(t.Context(), "bob", "", false); err != nil {
		t.Fatal(err)
	}
	alice.wantTrust("bob", TrustChanged) // a device was added this week
	w.clock.advance(lately)
	alice.sync()
	alice.wantTrust("bob", TrustChecked)
	for _, d := range []*device{alice, bob} {
		_, err := d.Trust(t.Context(), d.must().Handle)
		wantIs(t, err, ErrForbidden)
	}
	_, err = alice.Trust(t.Context(), "nobody")
	wantIs(t, err, ErrUnknownPerson)

	w.reset(alice, "bob")
	w.clock.advance(time.Hour)
	_ = alice.Sync(t.Context())
	if got := alice.wantTrust("bob", TrustStop); !strings.Contains(got.Reason, "new account") || got.Fix == "" || !slices.Contains(kinds(got), "reset") {
		t.Errorf("a reset shows as %+v", got)
	}
}

// TestWhatWasVerifiedIsKnownOnAllOwnDevices, also on one that comes later.
func TestWhatWasVerifiedIsKnownOnAllOwnDevices(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	w.person("bob")
	w.person("carol")
	phone := w.further(alice, "phone")
	if err := alice.SetStrict(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.SetVerified(t.Context(), "bob", "", true); err != nil {
		t.Fatal(err)
	}
	alice.sync()
	phone.sync()
	phone.wantTrust("bob", TrustVerified)
	phone.wantTrust("carol", TrustChecked)
	w.clock.advance(time.Hour)
	tablet := w.further(phone, "tablet")
	for range 2 {
		phone.sync()
		tablet.sync()
	}
	tablet.wantTrust("bob", TrustVerified)
	err := tablet.step(t.Context(), func(tx *tx) error {
		if cool, err := tx.coolDown(); err != nil || cool.Hours() != 72 {
			t.Errorf("the tablet waits for %v, %v", cool, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestComparedWordsAcceptANewAccountAtOnce, and one that was refused.
func TestComparedWordsAcceptANewAccountAtOnce(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	phone := w.further(carol, "phone")
	alice.newChat("plan", "bob", "carol")
	w.agree("plan", alice, bob, carol, phone)
	if _, err := carol.SetVerified(t.Context(), "bob", "", true); err != nil {
		t.Fatal(err)
	}
	anew := w.reset(alice, "bob")
	w.clock.advance(time.Hour)
	for _, d := range []*device{alice, carol, phone} {
		_ = d.Sync(t.Context())
	}
	said := anew.trust("carol").Code.Digits
	if got := carol.wantTrust("bob", TrustStop); got.Code.Digits != said || !got.Verified.IsZero() {
		t.Error("the words shown are not those of the new account, or it is verified by those of the old")
	}
	if _, err := bob.Veto(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*device{alice, carol, phone} {
		w.clock.advance(time.Hour)
		_ = d.Sync(t.Context())
	}
	if got, err := carol.SetVerified(t.Context(), "bob", said, true); err != nil || got.Account != anew.must().Account.Hex() || got.State != TrustVerified {
		t.Fatalf("%+v, %v", got, err)
	}
	for range 2 {
		_ = carol.Sync(t.Context())
		_ = phone.Sync(t.Context())
	}
	for _, d := range []*device{carol, phone} {
		if got := d.trust("bob"); got.Account != anew.must().Account.Hex() {
			t.Errorf("%s takes another account for bob", d.name)
		}
	}
	alice.sync()
	if got := alice.trust("bob"); got.Account != bob.must().Account.Hex() {
		t.Error("alice, who compared nothing, takes another account for bob")
	}
}

// TestWhatIsWrongInOneConversationConcernsItAlone
func TestWhatIsWrongInOneConversationConcernsItAlone(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	alice.newChat("other", "bob")
	w.agree("plan", alice, bob)
	if err := bob.raise(t.Context(), bob.id("plan"), "a test says so"); err == nil {
		t.Fatal("no alarm")
	}
	err := bob.Sync(t.Context())
	wantStop(t, err, "a test says so")
	if left := Concerning(err); left != nil {
		t.Errorf("it concerns the account: %v", left)
	}
	if left := Concerning(err, "other"); left != nil {
		t.Errorf("it concerns another conversation: %v", left)
	}
	wantStop(t, Concerning(err, "plan"), "a test says so")
	if left := Concerning(nil); left != nil {
		t.Error("nothing concerns somebody")
	}
	wantIs(t, Concerning(errors.Join(err, ErrUnreachable)), ErrUnreachable)
	if _, err := bob.NewChat(t.Context(), "third", []string{"alice"}); err != nil {
		t.Errorf("a new conversation: %v", err)
	}
	s, err := bob.Status(t.Context())
	if err != nil || !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, "a test says so") }) {
		t.Errorf("the warnings are %q, %v", s.Warnings, err)
	}
	lie(bob, func(m proto.Method, r proto.Message) {
		if h, ok := r.(*proto.LogHeadResponse); ok {
			h.Checkpoint[len(h.Checkpoint)-10] ^= 1
		}
	})
	w.clock.advance(logInterval)
	wantStop(t, Concerning(bob.Sync(t.Context())), "not signed")
}
