package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	serverstore "codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/directory/epochs"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/witness"
	"codeberg.org/huis/huis/kt"
)

// testWitness is a real witness that may be away.
type testWitness struct {
	*witness.Witness
	away bool
}

func (w *testWitness) Key() kt.NoteKey { return w.Signer.Public() }

func (w *testWitness) Cosign(ctx context.Context, _ kt.NoteKey, old uint64, proof []kt.Hash, checkpoint []byte) ([]byte, error) {
	if w.away {
		return nil, errors.New("away")
	}
	line, err := w.AddCheckpoint(ctx, old, proof, checkpoint)
	var conflict *witness.ConflictError
	if errors.As(err, &conflict) {
		return nil, &epochs.StandsAt{Size: conflict.Size}
	}
	return line, err
}

// watched is a world whose server asks witnesses.
type watched struct {
	*world
	witnesses []*testWitness
}

func newWatched(t *testing.T, names ...string) *watched {
	t.Helper()
	w := new(watched)
	now := func() time.Time {
		if w.world == nil { // while it is being made
			return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		}
		return w.clock.Now()
	}
	key := serverstore.NewOperatorKey()
	seed := key.Seed("log")
	log, err := kt.NewNoteSigner("test", seed[:])
	if err != nil {
		t.Fatal(err)
	}
	var asked []epochs.Witness
	for i, name := range names {
		signer, err := kt.NewNoteSigner(name, []byte(strings.Repeat(string(rune('a'+i)), 32)))
		if err != nil {
			t.Fatal(err)
		}
		one, err := witness.New(witness.Config{Dir: t.TempDir(), Signer: signer, Now: now, Logs: []kt.NoteKey{log.Public()}})
		if err != nil {
			t.Fatal(err)
		}
		w.witnesses = append(w.witnesses, &testWitness{Witness: one})
		asked = append(asked, w.witnesses[i])
	}
	w.world = newWorldOf(t, key, asked...)
	return w
}

func (w *watched) away(which ...bool) {
	for i, away := range which {
		w.witnesses[i].away = away
	}
}

// set asks for n of the witnesses given by number.
func (w *watched) set(n uint8, which ...int) kt.WitnessSet {
	s := kt.WitnessSet{Quorum: "enough", Groups: []kt.WitnessGroup{{Name: "enough", Threshold: n}}}
	for _, i := range which {
		k := w.witnesses[i].Key()
		s.Witnesses = append(s.Witnesses, k)
		s.Groups[0].Members = append(s.Groups[0].Members, k.Name)
	}
	return s
}

// admin is the first to join, with witnesses.
func (w *watched) admin(set kt.WitnessSet) *device {
	w.t.Helper()
	d := w.newDevice("alice")
	cfg := w.config(d)
	cfg.Witnesses = set
	c, _, err := Join(w.t.Context(), cfg, w.invitation(), "alice")
	if err != nil {
		w.t.Fatal(err)
	}
	d.Client = c
	return d
}

// invited joins by d's invitation.
func (w *watched) invited(d *device, handle string) *device {
	w.t.Helper()
	inv, err := d.Invite(w.t.Context(), 1, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	if inv, err = ParseInvitation(inv.String()); err != nil {
		w.t.Fatal(err)
	}
	n := w.newDevice(handle)
	if n.Client, _, err = Join(w.t.Context(), w.config(n), inv, handle); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (d *device) logStatus() LogStatus {
	d.w.t.Helper()
	s, err := d.Status(d.w.t.Context())
	if err != nil {
		d.w.t.Fatal(err)
	}
	return s.Log
}

func (d *device) policies() []PolicyInfo {
	d.w.t.Helper()
	all, err := d.Policies(d.w.t.Context())
	if err != nil {
		d.w.t.Fatal(err)
	}
	return all
}

func (d *device) inForce() uint64 {
	d.w.t.Helper()
	for _, p := range d.policies() {
		if p.InForce {
			return p.N
		}
	}
	d.w.t.Fatal("no policy is in force")
	return 0
}

func TestTheFirstAdminMakesThePolicy(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	bob.sync()
	for _, d := range []*device{alice, bob} {
		all := d.policies()
		if len(all) != 1 || !all[0].InForce || all[0].Set.Quorum != kt.QuorumNone || all[0].Signers[0] != "alice" && d == alice {
			t.Fatalf("%s has %+v", d.name, all)
		}
		if s := d.logStatus(); s.Policy != "none" || s.Witnessed || len(s.Witnesses) != 0 {
			t.Errorf("%s: %+v", d.name, s)
		}
	}
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
}

func TestNewKeysNeedAQuorum(t *testing.T) {
	w := newWatched(t, "w1", "w2", "w3")
	alice := w.admin(w.set(2, 0, 1, 2))
	bob := w.invited(alice, "bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	if s := bob.logStatus(); !s.Witnessed || len(s.Witnesses) != 3 || s.Policy != "2 of 3" {
		t.Fatalf("bob: %+v", s)
	}

	w.away(true) // a quorum lives
	carol := w.invited(alice, "carol")
	if err := alice.AddMembers(t.Context(), "plan", []string{"carol"}); err != nil {
		t.Fatalf("with two of three: %v", err)
	}
	w.agree("plan", alice, bob, carol)

	w.away(true, true)
	dave := w.invited(alice, "dave")
	err := alice.AddMembers(t.Context(), "plan", []string{"dave"})
	safety := wantLogAlarm(t, err, "witnesses")
	if !strings.Contains(safety.Reason, "of the 3 witnesses of the server's log 2 have to vouch for it; now only 1 can: w3") || !strings.Contains(safety.Fix, "your conversations go on") {
		t.Errorf("said: %s; %s", safety.Reason, safety.Fix)
	}
	if _, err := alice.Approve(t.Context(), "ABCD-EFGH-JKMN", nil); err == nil {
		t.Error("a device is approved without a quorum")
	}
	alice.send("plan", "old conversations go on")
	bob.expect("plan", "alice: old conversations go on")
	bob.send("plan", "they do")
	alice.expect("plan", "alice: old conversations go on", "bob: they do")
	if s, err := alice.Status(t.Context()); err != nil || s.Log.Witnessed != true || len(s.Warnings) != 0 {
		t.Errorf("within a day of the last quorum: %+v, %v", s, err)
	}
	w.clock.advance(25 * time.Hour)
	alice.sync()
	if err := alice.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	if s, err := alice.Status(t.Context()); err != nil || s.Log.Witnessed || len(s.Warnings) != 1 {
		t.Errorf("after a day: %+v, %v", s, err)
	}

	w.away(false, false, false)
	if err := alice.AddMembers(t.Context(), "plan", []string{"dave"}); err != nil {
		t.Fatalf("with the quorum back: %v", err)
	}
	w.agree("plan", alice, bob, carol, dave)
}

func TestADeviceAddedWithoutAQuorumWaits(t *testing.T) {
	w := newWatched(t, "w1", "w2")
	alice := w.admin(w.set(2, 0, 1))
	bob := w.invited(alice, "bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	w.away(true)
	e, err := newIdentity("alice")
	if err != nil {
		t.Fatal(err)
	}
	e.Account = alice.must().Account
	enrolment, err := e.enrolment()
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.enrol(t.Context(), enrolment); !errors.Is(err, errUnvouched) {
		t.Fatalf("enrolled: %v", err)
	}
	devices := func() int {
		w.clock.advance(chainAge)
		bob.send("plan", "on")
		n := 0
		err := bob.step(t.Context(), func(t *tx) error {
			c, _, err := t.chain(alice.must().Account)
			n = len(c.Devices())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := devices(); n != 1 {
		t.Errorf("bob takes over %d devices without a quorum", n)
	}
	w.away(false)
	if n := devices(); n != 2 {
		t.Errorf("bob has %d devices with the quorum back", n)
	}
}

func TestARevocationNeedsNoQuorum(t *testing.T) {
	w := newWatched(t, "w1", "w2")
	alice := w.admin(w.set(2, 0, 1))
	bob := w.invited(alice, "bob")
	phone := w.further(alice, "phone")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob, phone)
	w.away(true)
	if err := alice.Revoke(t.Context(), phone.must().Device.Hex()); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(chainAge)
	_ = bob.Sync(t.Context())
	live := 0
	err := bob.step(t.Context(), func(t *tx) error {
		c, _, err := t.chain(alice.must().Account)
		live = len(c.Live())
		return err
	})
	if err != nil || live != 1 {
		t.Errorf("%d devices live for bob, %v", live, err)
	}
}

func TestWitnessesThatDoNotVouchCannotBeAskedFor(t *testing.T) {
	w := newWatched(t, "w1", "w2")
	stranger, err := kt.NewNoteSigner("w3", []byte(strings.Repeat("x", 32)))
	if err != nil {
		t.Fatal(err)
	}
	set := w.set(2, 0, 1)
	set.Witnesses = append(set.Witnesses, stranger.Public())
	set.Groups[0].Members, set.Groups[0].Threshold = append(set.Groups[0].Members, "w3"), 3
	d := w.newDevice("alice")
	cfg := w.config(d)
	cfg.Witnesses = set
	inv := w.invitation()
	if _, _, err := Join(t.Context(), cfg, inv, "alice"); err == nil || !strings.Contains(err.Error(), "only w1, w2 can vouch") {
		t.Fatalf("joined: %v", err)
	}
	cfg.Witnesses = w.set(1, 0)
	if _, _, err := Join(t.Context(), cfg, inv, "alice"); err != nil { // the refused join consumed nothing
		t.Fatal(err)
	}
}

func TestWhenANewPolicyCounts(t *testing.T) {
	ctx := t.Context()
	w := newWatched(t, "w1", "w2", "w3")
	alice := w.admin(kt.WitnessSet{})
	bob := w.invited(alice, "bob")
	set := func(s kt.WitnessSet) {
		t.Helper()
		if _, err := alice.SetPolicy(ctx, s, nil, 0); err != nil {
			t.Fatal(err)
		}
		if err := bob.lookAtLog(); err != nil {
			t.Fatal(err)
		}
	}
	// Witnesses where there were none only add to what is asked for.
	set(w.set(1, 0, 1))
	if alice.inForce() != 1 || bob.inForce() != 1 {
		t.Fatal("the first witnesses have to wait")
	}
	// More witnesses wait, and every client says so.
	set(w.set(2, 0, 1, 2))
	if alice.inForce() != 2 || bob.inForce() != 1 {
		t.Fatalf("alice has %d, bob %d", alice.inForce(), bob.inForce())
	}
	if s, _ := bob.Status(ctx); len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "new witness policy") {
		t.Errorf("bob is told %q", s.Warnings)
	}
	w.clock.advance(71 * time.Hour)
	if err := bob.lookAtLog(); err != nil || bob.inForce() != 1 {
		t.Errorf("too early: %d, %v", bob.inForce(), err)
	}
	w.clock.advance(30 * time.Hour) // the first epoch of a day after 72 h
	w.away(true, true)              // without the old quorum nothing counts
	if err := bob.lookAtLog(); err != nil || bob.inForce() != 1 {
		t.Errorf("without quorum: %d, %v", bob.inForce(), err)
	}
	w.away(false, false)
	if err := bob.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	if s, _ := bob.Status(ctx); len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "witness policy changed") {
		t.Errorf("bob is told %q", s.Warnings)
	}
	if bob.inForce() != 2 {
		t.Errorf("after 72 h: %d", bob.inForce())
	}
	// A weaker one never counts by itself.
	set(w.set(1, 0, 1, 2))
	w.clock.advance(200 * time.Hour)
	if err := bob.lookAtLog(); err != nil || bob.inForce() != 2 {
		t.Errorf("a weaker one counts: %d, %v", bob.inForce(), err)
	}
	all := bob.policies()
	if len(all) != 4 || !strings.Contains(all[3].Waits, "lower quorum") {
		t.Fatalf("%+v", all)
	}
	if err := bob.AcceptPolicy(ctx, strings.Repeat("0", 16)); err == nil {
		t.Error("a hash that is not there is accepted")
	}
	if err := bob.AcceptPolicy(ctx, all[3].Hash[:8]); err == nil {
		t.Error("half a hash is accepted")
	}
	if err := bob.AcceptPolicy(ctx, all[3].Hash[:16]); err != nil || bob.inForce() != 3 {
		t.Errorf("accepted: %d, %v", bob.inForce(), err)
	}
	// Whom alice invites begins with what counts for her.
	if carol := w.invited(alice, "carol"); carol.inForce() != 3 {
		t.Errorf("carol has %d", carol.inForce())
	}
	if _, err := bob.SetPolicy(ctx, w.set(1, 0), nil, 0); !errors.Is(err, errNoSigner) {
		t.Errorf("bob sets a policy: %v", err)
	}
}

func TestTwoPeopleSignAPolicy(t *testing.T) {
	ctx := t.Context()
	w := newWatched(t, "w1", "w2")
	alice := w.admin(kt.WitnessSet{})
	bob := w.invited(alice, "bob")
	var signers []kt.PolicySigner
	for _, d := range []*device{alice, bob} {
		text, err := d.PolicySignerText(ctx)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParsePolicySigner(text)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, s)
	}
	if _, err := alice.SetPolicy(ctx, kt.WitnessSet{Quorum: kt.QuorumNone}, signers, 2); err != nil {
		t.Fatal(err)
	}
	if err := bob.lookAtLog(); err != nil || bob.inForce() != 0 {
		t.Fatalf("new signers count without bob's word: %v", err)
	}
	if err := bob.AcceptPolicy(ctx, bob.policies()[1].Hash); err != nil {
		t.Fatal(err)
	}
	change, err := alice.SetPolicy(ctx, w.set(2, 0, 1), nil, 0)
	if err != nil || change.Missing != 1 {
		t.Fatalf("%+v, %v", change, err)
	}
	if again, err := alice.SignPolicy(ctx, change.Proposal, nil); err != nil || again.Missing != 1 {
		t.Fatalf("one person twice: %+v, %v", again, err)
	}
	carol := w.invited(alice, "carol")
	if _, err := carol.SignPolicy(ctx, change.Proposal, nil); !errors.Is(err, errNoSigner) {
		t.Fatalf("carol signs: %v", err)
	}
	if _, err := bob.SignPolicy(ctx, change.Proposal, func(string) bool { return false }); err == nil {
		t.Fatal("signed without a yes")
	}
	if done, err := bob.SignPolicy(ctx, change.Proposal, nil); err != nil || done.Missing != 0 || bob.inForce() != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	if err := alice.lookAtLog(); err != nil || alice.inForce() != 2 {
		t.Fatalf("alice: %v", err)
	}
}

func TestAFurtherDeviceHasTheKeyAndThePolicy(t *testing.T) {
	w := newWatched(t, "w1")
	alice := w.admin(kt.WitnessSet{})
	phone := w.further(alice, "phone")
	for range 3 {
		alice.sync()
		phone.sync()
	}
	if _, err := phone.SetPolicy(t.Context(), w.set(1, 0), nil, 0); err != nil {
		t.Fatal(err)
	}
	alice.sync()
	if err := alice.lookAtLog(); err != nil || alice.inForce() != 1 {
		t.Fatalf("%v", err)
	}
}

func TestTheServerCannotChangeThePolicy(t *testing.T) {
	w := newWatched(t, "w1", "w2")
	alice := w.admin(w.set(2, 0, 1))
	inv, err := alice.Invite(t.Context(), 9, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	join := func(inv Invitation, handle string, change func(*proto.LogEntryResponse)) *device {
		d := w.newDevice(handle)
		if change != nil {
			lie(d, func(_ proto.Method, r proto.Message) {
				if e, ok := r.(*proto.LogEntryResponse); ok {
					change(e)
				}
			})
		}
		c, _, err := Join(t.Context(), w.config(d), inv, handle)
		if err != nil {
			t.Fatal(err)
		}
		d.Client = c
		return d
	}
	may := func(d *device) error {
		return d.step(t.Context(), func(tx *tx) error { return tx.mayAcceptKeys() })
	}
	bob := join(inv, "bob", nil)
	if err := may(bob); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.SetPolicy(t.Context(), w.set(1, 0, 1), nil, 0); err != nil {
		t.Fatal(err)
	}
	lie(bob, func(_ proto.Method, r proto.Message) { // it shows the old chain on
		if e, ok := r.(*proto.LogEntryResponse); ok {
			e.Values = e.Values[:1]
		}
	})
	wantLogAlarm(t, bob.lookAtLog(), "does not stand in its log")
	wantLogAlarm(t, may(bob), "a witness policy that the server does not show")
	bob.net.set(func(n *wireTo) { n.tamper = nil })
	if err := bob.vouchedNow(t.Context()); err != nil {
		t.Fatalf("once it is shown: %v", err)
	}
	for i, change := range []func(*proto.LogEntryResponse){
		func(e *proto.LogEntryResponse) { e.Values = nil },
		func(e *proto.LogEntryResponse) { e.Values[0][len(e.Values[0])-1] ^= 1 },
		func(e *proto.LogEntryResponse) { e.Proof.Epoch = 0 },
		func(e *proto.LogEntryResponse) { e.Proof.Openings = nil },
	} {
		d := join(inv, "x"+string(rune('a'+i)), change)
		wantLogAlarm(t, d.lookAtLog(), "does not stand in its log")
		wantLogAlarm(t, may(d), "does not hold the witness policy that you were invited with")
	}
	other := inv
	other.Policy.Hash[0] ^= 1 // as by another inviter, of another log
	wantLogAlarm(t, may(join(other, "carol", nil)), "does not hold the witness policy")
	forged := inv
	forged.Policy.Sig[0] ^= 1
	wantLogAlarm(t, may(join(forged, "dave", nil)), "was not signed by who invited you")
}

func TestAForkShownToOneOfTwoHasNoQuorum(t *testing.T) {
	ctx := t.Context()
	w := newWatched(t, "w1", "w2", "w3")
	alice := w.admin(w.set(2, 0, 1, 2))
	inv, err := alice.Invite(ctx, 2, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	// The same server, with the same keys and witnesses, shows somebody else a
	// log in which other accounts are made. It has to have the policy too.
	var asked []epochs.Witness
	for _, one := range w.witnesses {
		asked = append(asked, one)
	}
	fork := newWorldOf(t, w.key, asked...)
	var policy []byte
	err = alice.step(ctx, func(t *tx) error {
		p, err := t.policyChain()
		policy = p.Signed[0]
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fork.accounts.AddToLog(ctx, kt.KindPolicy, []byte(kt.PolicyLabel), policy); err != nil {
		t.Fatal(err)
	}
	fork.person("mallory")
	err = fork.store.AddInvite(ctx, serverstore.Invite{Token: inv.Token.Hash(), Uses: 1, Expires: serverstore.MinuteOf(fork.clock.Now().Add(time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	join := func(on *world, handle string) *device {
		d := on.newDevice(handle)
		c, _, err := Join(ctx, on.config(d), inv, handle)
		if err != nil {
			t.Fatal(err)
		}
		d.Client = c
		return d
	}
	may := func(d *device) error { return d.vouchedNow(ctx) }
	if err := may(join(w.world, "bob")); err != nil {
		t.Fatal("who is shown what the witnesses saw:", err)
	}
	carol := join(fork, "carol")
	if carol.inForce() != 0 {
		t.Fatal("carol has another policy")
	}
	wantLogAlarm(t, may(carol), "2 have to vouch for it; none of them does now")
	_, err = carol.NewChat(ctx, "plan", []string{"mallory"})
	wantLogAlarm(t, err, "none of them does now")
}

// The only one who may change the policy loses every device: the recovery key
// brings back what they sign with, and which policy counts.
func TestTheOnlySignerComesBackFromNothing(t *testing.T) {
	w := newWatched(t, "w1", "w2", "w3")
	alice := w.admin(w.set(2, 0, 1, 2))
	text, err := alice.RecoveryKeyToShow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key, err := kt.ParseRecoveryKey(text)
	if err != nil {
		t.Fatal(err)
	}
	bob := w.invited(alice, "bob")
	bob.sync()
	if _, err := alice.SetPolicy(t.Context(), w.set(2, 0, 1), nil, 0); err != nil {
		t.Fatal(err)
	}
	before := alice.inForce()
	w.clock.advance(backupEvery)
	alice.sync()
	alice = w.recover("alice", key, RecoverOptions{})
	alice.sync()
	if err := alice.lookAtLog(); err != nil || alice.inForce() != before {
		t.Fatalf("policy %d is in force, %v; it was %d", alice.inForce(), err, before)
	}
	if _, err := bob.SetPolicy(t.Context(), w.set(2, 0, 1, 2), nil, 0); !errors.Is(err, errNoSigner) {
		t.Fatalf("bob changes the policy: %v", err)
	}
	if _, err := alice.SetPolicy(t.Context(), w.set(2, 0, 1, 2), nil, 0); err != nil {
		t.Fatal("the signer cannot go on:", err)
	}
	if all := alice.policies(); len(all) != 3 || !all[2].Counts {
		t.Errorf("%d policies, the last %+v", len(all), all[len(all)-1])
	}
}
