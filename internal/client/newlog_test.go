package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	serverstore "codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// beginLog is huis restore --new-log, and the server's next start. It returns the
// fingerprint the server prints.
func (w *world) beginLog(name string) string {
	w.t.Helper()
	ctx := w.t.Context()
	if err := w.store.BeginLog(ctx, name, uint8(kt.KindPolicy)); err != nil {
		w.t.Fatal(err)
	}
	b, err := w.store.Setting(ctx, serverstore.SettingRestored)
	if r, on := serverstore.ParseRestored(b); err == nil && on {
		r.Ended = true
		err = w.store.PutSetting(ctx, serverstore.SettingRestored, r.Encode())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.restartServer("test/" + name)
	log, vrf := w.accounts.LogKeys()
	return kt.Fingerprint(log, vrf)
}

func wantNewLog(t *testing.T, err error) {
	t.Helper()
	wantLogAlarm(t, err, "shows a new log, test/")
}

// loseEnd begins a new log that has nothing of the end of the one before, which
// the devices are told not to give, and has all take it over.
func (w *world) loseEnd(name string, all ...*device) {
	w.t.Helper()
	ctx := w.t.Context()
	for _, d := range all {
		d.net.set(func(n *wireTo) {
			n.before = func(m proto.Method) error {
				if m == proto.GiveLog {
					return proto.Refuse(proto.Forbidden)
				}
				return nil
			}
		})
		_ = d.Sync(ctx)
		d.net.set(func(n *wireTo) { n.before = nil })
	}
	fingerprint := w.beginLog(name)
	for _, d := range all {
		wantNewLog(w.t, d.Sync(ctx))
	}
	for _, d := range all {
		if err := d.AcceptLog(ctx, fingerprint); err != nil {
			w.t.Fatalf("%s: %v", d.name, err)
		}
	}
}

// Nobody has the end of the log any more: everybody stops taking keys and says
// so, talks on, and goes over to the new log by the fingerprint alone.
func TestANewLogIsTakenOverByItsFingerprint(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	carol := w.person("carol")
	for _, d := range []*device{alice, bob} {
		if err := d.lookAtLog(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := alice.SetVerified(ctx, "@bob", "", true); err != nil {
		t.Fatal(err)
	}
	fingerprint := w.beginLog("log-1")

	wantNewLog(t, alice.Sync(ctx))
	wantNewLog(t, alice.AddMembers(ctx, "plan", []string{"carol"}))
	if s, err := alice.Status(ctx); err != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "new log") {
		t.Errorf("alice's status says %q, %v", s.Warnings, err)
	}
	for day := range 3 { // longer than chains stay fresh
		if _, err := alice.Send(ctx, "plan", Draft{Text: "we talk on"}); err != nil {
			t.Fatalf("day %d: %v", day, err)
		}
		wantNewLog(t, bob.Sync(ctx))
		if got := bob.held("plan"); len(got) != day+1 || got[day] != "alice: we talk on" {
			t.Fatalf("day %d: bob has %q", day, got)
		}
		w.clock.advance(25 * time.Hour)
	}

	var safety *SafetyError
	if err := alice.AcceptLog(ctx, "0000"+fingerprint[4:]); !errors.As(err, &safety) || !strings.Contains(safety.Reason, "fingerprint") {
		t.Fatalf("another fingerprint: %v", err)
	}
	wantNewLog(t, alice.Sync(ctx))
	for _, d := range []*device{alice, bob} {
		if err := d.AcceptLog(ctx, strings.ToUpper(fingerprint)); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		d.sync()
		if err := d.AcceptLog(ctx, fingerprint); !errors.Is(err, ErrNoNewLog) {
			t.Errorf("once more: %v", err)
		}
	}
	if trust, err := alice.Trust(ctx, "@bob"); err != nil || trust.State != TrustChanged || !strings.Contains(trust.Reason, "new log") {
		t.Errorf("bob is %s (%s), %v", trust.State, trust.Reason, err)
	}
	if s, err := alice.Status(ctx); err != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "@bob") {
		t.Errorf("alice's status says %q, %v", s.Warnings, err)
	}
	if trust, err := alice.SetVerified(ctx, "@bob", "", true); err != nil || trust.State != TrustVerified {
		t.Errorf("compared again: %s, %v", trust.State, err)
	}
	if s, err := alice.Status(ctx); err != nil || len(s.Warnings) != 0 {
		t.Errorf("alice's status says %q, %v", s.Warnings, err)
	}
	carol.forgetInfo()
	if err := carol.AcceptLog(ctx, fingerprint); err != nil {
		t.Fatal(err)
	}
	if err := alice.AddMembers(ctx, "plan", []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	carol.sync()
	carol.send("plan", "here I am")
	bob.expect("plan", "alice: we talk on", "alice: we talk on", "alice: we talk on", "carol: here I am")
	info, err := alice.Log(ctx)
	if err != nil || info.Fingerprint != fingerprint || !slices.Equal(info.Former, []string{"test"}) || info.Claimed != "" {
		t.Errorf("%+v, %v", info, err)
	}
	w.person("dave") // the new log goes on
}

// What the restored server lost of an account its own devices bring into the new
// log, and nobody takes anybody's chain over shorter than it was.
func TestAChainGoesOnInANewLog(t *testing.T) {
	ctx := t.Context()
	w := newOnDisk(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	restore := w.backUp()
	phone := w.further(alice, "phone")
	for range 2 {
		alice.sync()
		phone.sync()
		bob.sync()
	}
	if _, err := bob.freshChain(ctx, alice.must().Account, 0); err != nil {
		t.Fatal(err)
	}
	restore()
	w.loseEnd("log-2", alice, phone, bob)
	for _, d := range []*device{alice, phone, bob} {
		d.sync()
	}
	phone.send("plan", "from the phone")
	bob.sync()
	if got := bob.read("plan"); len(got) == 0 || got[len(got)-1] != "alice: from the phone" {
		t.Errorf("bob has %q", got)
	}
}

// A name that was changed in the lost end is the account's in the new log too.
func TestANameGoesOnInANewLog(t *testing.T) {
	w := newOnDisk(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	restore := w.backUp()
	alice.rename("alice.w")
	bob.sync()
	restore()
	w.loseEnd("log-2", alice, bob)
	for range 2 {
		alice.sync()
		bob.sync()
	}
	carol := w.person("carol")
	carol.send("@alice.w", "by the new name")
	alice.expect("@carol", "carol: by the new name")
	bob.send("@alice", "by the old one")
	alice.expect("@bob", "bob: by the old one")
	if trust, err := bob.Trust(t.Context(), "alice"); err != nil || trust.Handle != "alice.w" {
		t.Errorf("bob knows @%s, %v", trust.Handle, err)
	}
}

// The operator ends the wait before the only device that has the end of the log
// came: what that finds is a fork, and it says what happened and what to do, with
// the proof. A new log is the way out.
func TestALongerLogAfterTheWaitIsAForkAndSaysSo(t *testing.T) {
	ctx := t.Context()
	w := newOnDisk(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	restore := w.backUp()
	w.person("carol")
	if err := bob.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	restore()
	w.goOn(alice)
	w.person("dave")
	w.person("erin")
	alice.send("plan", "without carol")
	w.clock.advance(2 * logInterval)
	err := bob.Sync(ctx)
	safety := wantLogAlarm(t, err, "was restored from a backup, as it says")
	if !strings.Contains(safety.Fix, "restore --new-log") {
		t.Errorf("what to do: %s", safety.Fix)
	}
	if proof := proofOf(t, bob); len(proof) == 0 {
		t.Error("no proof is kept")
	}
	if got := bob.held("plan"); len(got) != 1 || got[0] != "alice: without carol" {
		t.Errorf("bob has %q", got)
	}
	fingerprint := w.beginLog("log-3")
	wantNewLog(t, bob.Sync(ctx))
	for _, d := range []*device{alice, bob} {
		if err := d.AcceptLog(ctx, fingerprint); err != nil {
			t.Fatalf("%s: %v", d.name, err)
		}
		d.sync()
	}
	bob.send("plan", "and on it goes")
	alice.expect("plan", "alice: without carol", "bob: and on it goes")
}
