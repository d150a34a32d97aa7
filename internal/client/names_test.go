package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// reset makes the account of a handle anew, as an admin and the person do it.
func (w *world) reset(admin *device, handle string) *device {
	w.t.Helper()
	inv, err := admin.InviteReset(w.t.Context(), handle, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	d := w.newDevice(handle)
	c, _, err := Join(w.t.Context(), w.config(d), inv, handle)
	if err != nil {
		w.t.Fatalf("%s joins again: %v", handle, err)
	}
	d.Client = c
	return d
}

// aDayPasses goes to the next midnight, and some devices look at the log then.
func (w *world) aDayPasses(all ...*device) {
	w.t.Helper()
	now := w.clock.Now()
	w.clock.advance(now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now))
	for _, d := range all {
		if err := d.Sync(w.t.Context()); err != nil {
			d.w.t.Logf("%s: %v", d.name, err)
		}
	}
}

// wantStop checks that err stops for safety with these words and a way out.
func wantStop(t *testing.T, err error, words string) *SafetyError {
	t.Helper()
	var safety *SafetyError
	if !errors.As(err, &safety) || !strings.Contains(safety.Reason, words) || safety.Fix == "" {
		t.Fatalf("got %v, want a stop with %q", err, words)
	}
	return safety
}

func TestAResetIsPendingAndThenCounts(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob", "carol")
	w.agree("plan", alice, bob, carol)
	anew := w.reset(alice, "bob")

	for _, d := range []*device{alice, carol} {
		d.sync()
		_, err := d.NewChat(t.Context(), "second", []string{"bob"})
		stop := wantStop(t, err, "@bob has a new account")
		if !strings.Contains(stop.Fix, "huis verify @bob") {
			t.Errorf("the way out is %q", stop.Fix)
		}
	}
	alice.send("plan", "to the devices that are in it") // the old ones still count
	bob.must()
	w.aDayPasses(alice, carol)
	_, err := alice.NewChat(t.Context(), "second", []string{"bob"})
	wantStop(t, err, "2026-11-24 00:00:00 UTC")
	if n := len(alice.inspect1("plan").Leaves); n != 3 {
		t.Errorf("%d devices while the reset is pending", n)
	}
	w.aDayPasses(alice, carol)
	w.agree("plan", alice, carol)
	if n := len(alice.inspect1("plan").Leaves); n != 2 {
		t.Fatalf("%d devices after the reset counts, want the old account's gone", n)
	}
	if err := alice.AddMembers(t.Context(), "plan", []string{"bob"}); err != nil {
		t.Fatal(err)
	}
	w.agree("plan", alice, carol, anew)
	members, err := carol.Members(t.Context(), "plan")
	if err != nil || !slices.ContainsFunc(members, func(m Member) bool {
		return m.Handle == "bob" && m.Account == anew.must().Account.Hex()
	}) {
		t.Fatalf("the new account is not a member: %v, %v", members, err)
	}
	anew.send("plan", "here I am")
	carol.sync()
	if got := carol.read("plan"); !slices.Contains(got, "bob: here I am") {
		t.Errorf("carol has %q", got)
	}
	carol.send("@bob", "hello again")
	anew.expect("@carol", "carol: hello again")
}

func TestAStrictPersonWaitsForThreeDays(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	w.person("bob")
	if err := alice.SetStrict(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	w.reset(alice, "bob")
	for day := range 4 {
		if _, err := alice.NewChat(t.Context(), "x", []string{"bob"}); err == nil {
			t.Fatalf("accepted after %d days", day)
		}
		w.aDayPasses(alice)
	}
	if _, err := alice.NewChat(t.Context(), "x", []string{"bob"}); err != nil {
		t.Fatal(err)
	}
}

// TestEveryLiveDeviceIsAlarmedAndOneObjects: an admin was fooled, or lies.
func TestEveryLiveDeviceIsAlarmedAndOneObjects(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	phone := w.further(bob, "phone")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob, phone)
	thief := w.reset(alice, "bob")
	w.clock.advance(ownChainAge)
	for _, d := range []*device{bob, phone} {
		stop := wantStop(t, d.Sync(t.Context()), "made your account @bob anew")
		if stop.Evidence != "" || !strings.Contains(stop.Fix, "huis veto") {
			t.Errorf("%s: %+v", d.name, stop)
		}
		kind, log, err := kt.VerifyEvidence(proofOf(t, d))
		if err != nil || kind != kt.EvidenceTakeover || log.Name != "test" {
			t.Fatalf("the evidence: %s, %v", kind, err)
		}
		wantStop(t, d.Sync(t.Context()), "made your account @bob anew") // it stays
	}
	w.aDayPasses(alice)
	refused, err := phone.Veto(t.Context())
	if err != nil || refused != thief.must().Account.Hex() {
		t.Fatalf("veto: %s, %v", refused, err)
	}
	for _, d := range []*device{bob, phone} {
		d.sync() // no alarm any more
	}
	_, err = bob.Veto(t.Context())
	wantIs(t, err, ErrNothingToRefuse)
	wantStop(t, thief.Sync(t.Context()), "refused this account")
	for range 3 {
		w.aDayPasses(alice, bob, phone)
	}
	if _, err := alice.NewChat(t.Context(), "second", []string{"bob"}); err != nil {
		t.Fatal(err)
	}
	w.agree("second", alice, bob, phone)
	if n := len(alice.inspect1("plan").Leaves); n != 3 {
		t.Errorf("%d devices in the first conversation", n)
	}
}

// TestAVetoTooLateSaysSo: the device was away for too long.
func TestAVetoTooLateSaysSo(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	w.reset(alice, "bob")
	w.aDayPasses(alice)
	w.aDayPasses(alice)
	wantStop(t, bob.Sync(t.Context()), "was made anew on")
	_, err := bob.Veto(t.Context())
	wantStop(t, err, "too late")
}

// TestNobodyElseMakesAnAccountAnew: members are no admins, and oneself is alive.
func TestNobodyElseMakesAnAccountAnew(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	_, err := bob.InviteReset(t.Context(), "alice", time.Hour)
	wantIs(t, err, proto.Forbidden)
	_, err = alice.InviteReset(t.Context(), "@alice", time.Hour)
	wantIs(t, err, ErrForbidden)
	_, err = alice.InviteReset(t.Context(), "nobody", time.Hour)
	wantIs(t, err, ErrUnknownPerson)
}

// TestAResetThatIsNotLoggedIsNotFollowed: the server names another account and
// its log does not have it.
func TestAResetThatIsNotLoggedIsNotFollowed(t *testing.T) {
	w := newWorld(t)
	alice, carol := w.person("alice"), w.person("carol")
	w.person("bob")
	mallory := w.person("mallory").must().Account
	for _, d := range []*device{alice, carol} {
		lie(d, func(_ proto.Method, r proto.Message) {
			switch r := r.(type) {
			case *proto.LookupResponse:
				r.Account = mallory
			case *proto.ChainProofResponse:
				r.Handle = "bob"
			}
		})
	}
	_, err := carol.NewChat(t.Context(), "plan", []string{"bob"})
	wantStop(t, err, "do not stand in its log")
	lie(carol, func(_ proto.Method, r proto.Message) {
		if l, ok := r.(*proto.LookupResponse); ok {
			l.Account = mallory
		}
	})
	_, err = carol.NewChat(t.Context(), "plan", []string{"bob"})
	wantStop(t, err, "has another name in its log")
}

// TestWhatTheLogShowedIsComparedWithTheNextDay: show, then roll back.
func TestWhatTheLogShowedIsComparedWithTheNextDay(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	confirmed := func() (yes bool) {
		err := alice.step(t.Context(), func(tx *tx) error {
			r, err := tx.nameRecord("bob")
			yes = r.Confirmed
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	phone := w.further(bob, "phone")
	w.agree("plan", alice, bob, phone) // accepted at once
	if confirmed() {
		t.Error("confirmed by no distinguished epoch")
	}
	w.clock.advance(24 * time.Hour)
	alice.sync()
	if !confirmed() {
		t.Error("not confirmed by the next distinguished epoch")
	}
	// What this device was shown is more than the log has.
	err := alice.step(t.Context(), func(tx *tx) error {
		r, err := tx.nameRecord("bob")
		r.Seq, r.Confirmed = r.Seq+1, false
		return errors.Join(err, tx.save(labelKey("bob"), r.wire))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantStop(t, alice.Sync(t.Context()), "no longer has what it showed of @bob")
	_, err = alice.NewChat(t.Context(), "x", []string{"bob"})
	wantStop(t, err, "no longer has")
}

// TestALogBehindWhatIsKnownStops: somebody's newest link is kept out of the log.
func TestALogBehindWhatIsKnownStops(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	b := bob.must()
	err := alice.step(t.Context(), func(tx *tx) error {
		chain, _, err := tx.chain(b.Account)
		if err != nil {
			return err
		}
		link, err := chain.Refresh(w.clock.Now(), b.signer())
		if err != nil {
			return err
		}
		links, err := tx.links(b.Account)
		return errors.Join(err, tx.keepChain(b.Account, append(slices.Clone(links), link)))
	})
	if err != nil {
		t.Fatal(err)
	}
	wantStop(t, alice.refreshChain(t.Context(), b.Account), "lacks device keys")
}

// TestAnAdderTakesNoKeyTheLogDoesNotVouchFor: every way in asks the same
// question first.
func TestAnAdderTakesNoKeyTheLogDoesNotVouchFor(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	if _, err := alice.lookup(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	id := alice.id("plan")
	_ = carol
	ways := map[string]func() error{
		"chat new":     func() error { _, err := alice.NewChat(t.Context(), "other", []string{"carol"}); return err },
		"chat add":     func() error { return alice.AddMembers(t.Context(), "plan", []string{"carol"}) },
		"first letter": func() error { _, err := alice.Send(t.Context(), "@carol", Draft{Text: "x"}); return err },
		"rejoin": func() error {
			i := alice.inspect1("plan")
			return alice.answer(t.Context(), id, i.Leaves[1].MK, member{bob.must().Account, bob.must().Device})
		},
		"own device, later": func() error {
			return alice.addOwn(t.Context(), job{Kind: jobAdd, Device: alice.must().Device, Conversation: id})
		},
		"link": func() error {
			kp := alice.keyPackage(t)
			_, err := alice.handOver(t.Context(), id, kp)
			return err
		},
	}
	err := alice.step(t.Context(), func(tx *tx) error {
		tx.put("translog/alarm", []byte("the log was forked"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) { wantStop(t, way(), "forked") })
	}
	if n := len(alice.inspect1("plan").Leaves); n != 2 {
		t.Errorf("%d devices", n)
	}
}

// keyPackage makes one of the device's own.
func (d *device) keyPackage(t *testing.T) (kp *mls.KeyPackage) {
	t.Helper()
	err := d.step(t.Context(), func(tx *tx) (err error) { kp, err = tx.newKeyPackage(false); return err })
	if err != nil {
		t.Fatal(err)
	}
	return kp
}

// TestDaysThatWereMadeUpShortenNothing: the server writes the days a contact
// was away afterwards, and a reset into the first of them.
func TestDaysThatWereMadeUpShortenNothing(t *testing.T) {
	w := newWorld(t)
	alice, carol := w.person("alice"), w.person("carol")
	w.person("bob")
	if _, err := carol.lookup(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	w.reset(alice, "bob")
	for range 3 {
		w.aDayPasses(alice) // who was there, and did see them
	}
	if got := alice.trust("bob"); got.State == TrustStop {
		t.Errorf("to alice bob is %s: %s", got.State, got.Reason)
	}
	_ = carol.Sync(t.Context())
	if got := carol.trust("bob"); got.State != TrustStop {
		t.Errorf("carol, who was away, takes the new account at once: %s", got.State)
	}
	dave := w.person("dave") // who never knew another one
	if got := dave.trust("bob"); got.State == TrustStop {
		t.Errorf("to dave bob is %s: %s", got.State, got.Reason)
	}
	for range 2 {
		w.aDayPasses(carol)
	}
	if got := carol.trust("bob"); got.State == TrustStop {
		t.Errorf("to carol bob is %s: %s", got.State, got.Reason)
	}
}

// TestAnyMemberRemovesWhoWasMadeAnew: the only admin lost everything, and in a
// conversation of two nobody has that role.
func TestAnyMemberRemovesWhoWasMadeAnew(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	bob.newChat("plan", "alice", "carol")
	carol.send("@bob", "between us")
	w.agree("plan", alice, bob, carol)
	w.reset(alice, "bob")
	for range 3 {
		w.aDayPasses(carol)
	}
	carol.send("plan", "without the old devices")
	w.clock.advance(time.Hour)
	alice.sync()
	if got := alice.read("plan"); !slices.Contains(got, "carol: without the old devices") {
		t.Errorf("alice has %q", got)
	}
	w.agree("plan", alice, carol)
	if n := len(alice.inspect1("plan").Leaves); n != 2 {
		t.Errorf("%d devices", n)
	}
	_ = bob.Sync(t.Context())
	if got := bob.held("plan"); slices.Contains(got, "carol: without the old devices") {
		t.Error("the old device reads on")
	}
	carol.send("@bob", "to the new one")
}

// TestARemovalByAFalseSuccessionIsRefused by every member.
func TestARemovalByAFalseSuccessionIsRefused(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	bob.newChat("plan", "alice", "carol")
	w.agree("plan", alice, bob, carol)
	w.reset(alice, "bob")
	for range 3 {
		w.aDayPasses(carol)
	}
	carol.send("plan", "makes the proof")
	a, old, id := alice.must(), bob.must().Account, carol.id("plan")
	err := carol.step(t.Context(), func(tx *tx) error {
		cv, err := tx.conv(id)
		if err != nil {
			return err
		}
		b, err := tx.get(successionKey(old))
		if err != nil || b == nil {
			t.Errorf("no proof was kept, %v", err)
		}
		leaf := cv.leavesOf(member{a.Account, a.Device})[0]
		changed := slices.Clone(b)
		changed[len(changed)/2] ^= 1
		for what, false := range map[string][]byte{"of somebody else": b, "changed": changed, "cut off": b[:len(b)-1]} {
			if tx.proves(cv, &reason{Leaf: leaf, Succession: false}) {
				t.Errorf("a proof %s removes alice", what)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestANameThatWasHeldBeforeIsAnAlarm: the server had an account of its own
// under a name, and gives it to the person by a reset that nobody asked for.
func TestANameThatWasHeldBeforeIsAnAlarm(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	w.person("bob") // is not him
	inv, err := alice.InviteReset(t.Context(), "bob", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	inv.Reset = "" // an invitation like any other
	bob := w.newDevice("bob")
	var asked *proto.RegisterRequest
	bob.net.set(func(n *wireTo) {
		n.deny = func(m proto.Message) error {
			if r, ok := m.(*proto.RegisterRequest); ok {
				asked, r.Reset = r, true
			}
			return nil
		}
	})
	lie(bob, func(proto.Method, proto.Message) { asked.Reset = false }) // the client did not ask for it
	if bob.Client, _, err = Join(t.Context(), w.config(bob), inv, "bob"); err != nil {
		t.Fatal(err)
	}
	lie(bob, nil)
	w.clock.advance(ownChainAge)
	stop := wantStop(t, bob.Sync(t.Context()), "had your name @bob for another account before yours")
	if kind, _, err := kt.VerifyEvidence(proofOf(t, bob)); err != nil || kind != kt.EvidenceTakeover {
		t.Errorf("the evidence: %s, %v, %+v", kind, err, stop)
	}
	_, err = bob.Veto(t.Context())
	wantIs(t, err, ErrNothingToRefuse)
	for range 3 {
		w.aDayPasses(alice)
	}
	bob.sync() // the log's days make him the one
}
