package client

import (
	"slices"
	"strings"
	"testing"

	serverstore "codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

func (d *device) rename(to string) {
	d.w.t.Helper()
	if _, err := d.ChangeName(d.w.t.Context(), to); err != nil {
		d.w.t.Fatalf("%s is renamed: %v", d.name, err)
	}
}

func TestARenamedAccountIsTheSame(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob", "carol")
	w.agree("plan", alice, bob, carol)
	bob.send("@alice", "before")
	alice.expect("@bob", "bob: before")
	if _, err := bob.SetVerified(t.Context(), "alice", "", true); err != nil {
		t.Fatal(err)
	}

	alice.rename("alice.w")
	if me := alice.must(); me.Handle != "alice.w" {
		t.Fatalf("alice is called %s", me.Handle)
	}
	bob.sync()
	bob.send("@alice", "by the old name")
	bob.send("@alice.w", "by the new one")
	alice.expect("@bob", "bob: before", "bob: by the old name", "bob: by the new one")
	alice.send("plan", "here")
	bob.sync()
	if got := bob.read("plan"); !slices.Contains(got, "alice.w: here") {
		t.Errorf("bob has %q", got)
	}
	for _, name := range []string{"alice", "alice.w"} {
		trust, err := bob.Trust(t.Context(), name)
		if err != nil || trust.State != TrustVerified || trust.Handle != "alice.w" {
			t.Errorf("@%s is %q, called @%s, %v", name, trust.State, trust.Handle, err)
		}
		i := slices.IndexFunc(trust.Events, func(ev TrustEvent) bool { return ev.Kind == "renamed" })
		if i < 0 || !trust.Events[i].Signed || trust.Events[i].Text != "@alice is called @alice.w now; a device of theirs signed that" {
			t.Errorf("the history has %+v", trust.Events)
		}
	}
	people, err := bob.People(t.Context())
	if err != nil || slices.ContainsFunc(people, func(p PersonInfo) bool { return p.Handle == "alice" }) ||
		!slices.ContainsFunc(people, func(p PersonInfo) bool { return p.Handle == "alice.w" && !p.Verified.IsZero() }) {
		t.Errorf("bob knows %+v, %v", people, err)
	}
	notes, err := bob.Notes(t.Context(), "plan")
	if err != nil || !slices.ContainsFunc(notes, func(n Note) bool { return strings.Contains(n.Text, "@alice is called @alice.w now") }) {
		t.Errorf("the notes are %+v, %v", notes, err)
	}
	// Whoever never met her finds her by both names, and adds her.
	dave := w.person("dave")
	if _, err := dave.NewChat(t.Context(), "old", []string{"alice"}); err != nil {
		t.Fatal(err)
	}
	alice.sync()
	dave.send("@alice", "hello")
	alice.expect("@dave", "dave: hello")
}

func TestAnotherDevicesRenamingIsAnEvent(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	phone := w.further(alice, "phone")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob, phone)
	bob.send("plan", "ask @alice about it")
	alice.rename("alice.w")
	w.clock.advance(ownChainAge)
	phone.sync()
	if me := phone.must(); me.Handle != "alice.w" {
		t.Fatalf("the phone is called %s", me.Handle)
	}
	warned := func(d *device) bool {
		s, err := d.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(s.Warnings, func(s string) bool { return strings.Contains(s, "changed your name from @alice to @alice.w") })
	}
	if warned(alice) || !warned(phone) {
		t.Error("only the device that did not sign it tells of it")
	}
	w.clock.advance(tellRenaming + 1)
	if warned(phone) {
		t.Error("it is told for ever")
	}
	for _, d := range []*device{alice, phone} {
		if err := d.step(t.Context(), func(tx *tx) error {
			old, err := tx.mentionsMe("ask @alice about it")
			now, err2 := tx.mentionsMe("and @alice.w")
			if !old || !now || err != nil || err2 != nil {
				t.Errorf("%s is not mentioned by both names", d.name)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	phone.send("plan", "from the phone")
	bob.sync()
	if got := bob.read("plan"); !slices.Contains(got, "alice.w: from the phone") {
		t.Errorf("bob has %q", got)
	}
}

func TestRenamingsFollowOneAnother(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	alice.rename("alice.w")
	alice.rename("alice.x") // bob sees neither
	bob.sync()
	bob.send("@alice", "hello")
	alice.expect("@bob", "bob: hello")
	if got := bob.read("@alice.x"); len(got) != 1 {
		t.Errorf("bob has %q", got)
	}
	_, err := alice.ChangeName(t.Context(), "alice.y")
	wantIs(t, err, proto.TooSoon)
	for range 8 {
		w.aDayPasses(alice, bob)
	}
	alice.rename("alice") // back to the first
	w.clock.advance(logInterval)
	w.agree("plan", alice, bob)
	if me := alice.must(); me.Handle != "alice" {
		t.Errorf("alice is called %s", me.Handle)
	}
	bob.send("@alice.x", "and back")
	alice.expect("@bob", "bob: hello", "bob: and back")
	if trust, err := bob.Trust(t.Context(), "alice.x"); err != nil || trust.Handle != "alice" {
		t.Errorf("called @%s, %v", trust.Handle, err)
	}
	w.aDayPasses(alice, bob)
	bob.sync()
}

func TestNamesThatCannotBeTaken(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.rename("alice.w")
	for name, want := range map[string]error{
		"alice": proto.NameTaken, "alice.w": proto.NameTaken, "Bob": proto.BadName, "bob": ErrExists,
	} {
		_, err := bob.ChangeName(t.Context(), name)
		wantIs(t, err, want)
	}
	if me := bob.must(); me.Handle != "bob" {
		t.Errorf("bob is called %s", me.Handle)
	}
	_, err := bob.ChangeName(t.Context(), "robert")
	if err != nil {
		t.Fatal(err)
	}
	_, err = alice.InviteReset(t.Context(), "bob", 1)
	wantIs(t, err, ErrUnknownPerson)
	if !strings.Contains(err.Error(), "@bob is called @robert now") {
		t.Errorf("the admin is told %q", err)
	}
}

// log adds a value to a name in the log, as whoever has the server can.
func (w *world) log(handle string, value []byte) {
	w.t.Helper()
	vrf := kt.NewVRFKey(w.key.Seed("vrf"))
	label := kt.MapLabel(kt.KindAccount, []byte(handle))
	_, out := vrf.Prove(label)
	x, o := kt.MapIndex(out), kt.NewOpening()
	there, err := w.store.Values(w.t.Context(), x, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	n := uint32(len(there))
	err = w.store.AddValue(w.t.Context(), serverstore.LogValue{
		Kind: uint8(kt.KindAccount), Index: x, Seq: n, Opening: o, Commitment: kt.Commit(o, label, n, value), Value: value,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.accounts.LogHead(w.t.Context(), &proto.LogHeadRequest{}); err != nil { // writes the epoch
		w.t.Fatal(err)
	}
}

// linksOf are the links of an account as the server has them.
func (w *world) linksOf(d *device) [][]byte {
	w.t.Helper()
	links, err := w.store.Links(w.t.Context(), d.must().Account, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return links
}

// wantFalseName checks that a device has the proof that the log gave a name away.
func wantFalseName(t *testing.T, d *device) {
	t.Helper()
	if kind, _, err := kt.VerifyEvidence(proofOf(t, d)); err != nil || kind != kt.EvidenceFalseName {
		t.Errorf("%s: the evidence is %s, %v", d.name, kind, err)
	}
	_, err := d.NewChat(t.Context(), "more", []string{"stranger"})
	wantStop(t, err, "breaks the rules of names")
}

func TestANameThatWasLeftIsGivenToNobody(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	alice.rename("alice.w")
	w.clock.advance(logInterval)
	bob.sync()
	bob.send("plan", "all is well") // the control
	mallory := w.person("mallory")
	w.person("stranger")
	w.log("alice", w.linksOf(mallory)[0])
	w.clock.advance(logInterval)
	for _, d := range []*device{alice, bob} {
		wantStop(t, d.Sync(t.Context()), "breaks the rules of names, for @alice")
		wantFalseName(t, d)
	}
	_, err := carol.lookup(t.Context(), "alice") // who never knew her
	wantStop(t, err, "breaks the rules of names, for @alice")
	wantFalseName(t, carol)
	bob.send("plan", "known devices talk on")
}

func TestAServerCannotRenameAnybody(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	for _, l := range w.linksOf(alice) {
		w.log("director", l)
	}
	account := alice.must().Account
	index := func(handle string) proto.Hash { return w.key.Lookup("handle", handle) }
	sealed := w.key.Seal("handle", account[:], []byte("director"))
	if err := w.store.GiveBackRename(t.Context(), serverstore.Account{ID: account, Lookup: index("director"), Handle: sealed}, 1); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(ownChainAge + chainAge)
	for _, d := range []*device{alice, bob} {
		err := d.refreshChain(t.Context(), account)
		wantStop(t, err, "the account of @alice under another name, @director, and none of its devices signed that")
	}
	wantStop(t, alice.Sync(t.Context()), "under another name, @director")
	if _, err := bob.Trust(t.Context(), "alice"); err == nil {
		if people, _ := bob.People(t.Context()); slices.ContainsFunc(people, func(p PersonInfo) bool { return p.Handle == "director" }) {
			t.Error("bob knows her as director")
		}
	}
}

func TestARenamedAccountUnderAThirdName(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	w.person("stranger")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	alice.rename("alice.w")
	for _, l := range w.linksOf(alice) {
		w.log("director", l)
	}
	account := alice.must().Account
	sealed := w.key.Seal("handle", account[:], []byte("director"))
	if err := w.store.GiveBackRename(t.Context(), serverstore.Account{ID: account, Lookup: w.key.Lookup("handle", "director"), Handle: sealed}, 1); err != nil {
		t.Fatal(err)
	}
	err := bob.refreshChain(t.Context(), account)
	wantStop(t, err, "breaks the rules of names, for @director")
	wantFalseName(t, bob)
}

// TestARenamingThatIsHiddenIsNoticed: the log has it, the server's answers not.
func TestARenamingThatIsHiddenIsNoticed(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob", "carol")
	w.agree("plan", alice, bob, carol)
	old := bob.shown(alice.must().Account)
	alice.rename("alice.w")
	w.clock.advance(logInterval)
	lie(bob, func(_ proto.Method, m proto.Message) {
		if r, ok := m.(*proto.ChainProofResponse); ok && strings.HasPrefix(r.Handle, "alice") {
			*r = *old
		}
	})
	wantStop(t, bob.Sync(t.Context()), "less of @alice than its log has")
	_, err := bob.NewChat(t.Context(), "more", []string{"alice"})
	wantStop(t, err, "less of @alice than its log has")

	// The new name is shown, and not that the old one was left.
	lie(carol, func(_ proto.Method, m proto.Message) {
		if r, ok := m.(*proto.ChainProofResponse); ok && r.Handle == "alice" {
			*r = *old
		}
	})
	if err := carol.Sync(t.Context()); err == nil {
		t.Error("carol takes a new name over while the old one is open")
	}
	if people, _ := carol.People(t.Context()); slices.ContainsFunc(people, func(p PersonInfo) bool { return p.Handle == "alice.w" }) {
		t.Error("carol knows her by the new name")
	}
	for _, d := range []*device{bob, carol} {
		lie(d, nil)
		d.sync()
		d.send("plan", "shown at last by "+d.name)
	}
}

func TestAPlaceThatIsNotProvedIsNotSigned(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	lie(alice, func(_ proto.Method, m proto.Message) {
		if r, ok := m.(*proto.NamePlaceResponse); ok {
			r.VRF = bob.shown(bob.must().Account).Proof.VRF // of another name
		}
	})
	_, err := alice.ChangeName(t.Context(), "alice.w")
	wantStop(t, err, "does not prove where in its log the name @alice.w is")
	if n := len(w.linksOf(alice)); n != 2 {
		t.Errorf("%d links", n)
	}
}

// A lost answer, or a crash between the
// request and its answer, loses nothing.
func TestALostAnswerToARenamingIsFoundInTheLog(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	cut := true
	alice.net.set(func(n *wireTo) {
		n.after = func(m proto.Method) error {
			if m == proto.Rename && cut {
				cut = false
				return errCut
			}
			return nil
		}
	})
	alice.rename("alice.w")
	if n := len(w.linksOf(alice)); n != 3 {
		t.Errorf("%d links, want the renaming once", n)
	}
	alice.restart()
	if me := alice.must(); me.Handle != "alice.w" {
		t.Errorf("alice is called %s", me.Handle)
	}
	if _, err := bob.lookup(t.Context(), "alice.w"); err != nil {
		t.Error(err)
	}
}
