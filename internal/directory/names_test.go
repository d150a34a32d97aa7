package directory

import (
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// resetInvitation is an admin's for making the account of a handle anew.
func (w *world) resetInvitation(handle string, life time.Duration) proto.Token {
	w.t.Helper()
	token := proto.New[proto.Token]()
	err := w.store.AddInvite(w.t.Context(), store.Invite{
		Token: token.ResetHash(handle), Uses: 1, Expires: store.MinuteOf(w.clock.t.Add(life)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) reset(p *person, token proto.Token, handle string) error {
	_, err := w.Register(w.t.Context(), &proto.RegisterRequest{Invite: token, Handle: handle, Links: p.links, Reset: true})
	return err
}

// values are all of a handle's values as the log proves them to somebody.
func (w *world) nameOf(p *person, session proto.SessionID) kt.Name {
	w.t.Helper()
	return w.nameLeft(p, session, "")
}

// nameLeft is nameOf of a name that was left.
func (w *world) nameLeft(p *person, session proto.SessionID, handle string) kt.Name {
	w.t.Helper()
	got, err := w.ChainProof(w.t.Context(), &proto.ChainProofRequest{Session: session, Account: p.account(), Handle: handle})
	if err != nil {
		w.t.Fatal(err)
	}
	_, vrf := w.LogKeys()
	leaf, err := labelProof(w.t, &got.Proof).Verify(vrf, kt.KindAccount, []byte(got.Handle), w.root(session, got.Proof.Epoch), got.Links)
	if err != nil || leaf == nil {
		w.t.Fatalf("the log does not prove its answer: %v", err)
	}
	n, err := kt.VerifyName(leaf.Index, got.Links)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) lookupIs(session proto.SessionID, handle string, want *person) {
	w.t.Helper()
	got, err := w.Lookup(w.t.Context(), &proto.LookupRequest{Session: session, Handle: handle})
	if err != nil || got.Account != want.account() {
		w.t.Errorf("another account has the name %s, %v", handle, err)
	}
}

func TestAResetNeedsAnInvitationForThatName(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	anew := newPerson(t, w.clock.t)
	wantCode(t, "an ordinary invitation", w.reset(anew, w.invitation(1, time.Hour), "bob"), proto.InviteUnknown)
	token := w.resetInvitation("bob", time.Hour)
	wantCode(t, "for another name", w.reset(anew, token, "alice"), proto.InviteUnknown)
	wantCode(t, "of a name nobody has", w.reset(anew, w.resetInvitation("carol", time.Hour), "carol"), proto.UnknownAccount)
	wantCode(t, "as a new account", w.register(anew, token, "carol"), proto.InviteUnknown)
	for range 2 {
		if err := w.reset(anew, token, "bob"); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "twice", w.reset(newPerson(t, w.clock.t), token, "bob"), proto.InviteUsed)

	session, _ := w.open(alice, alice.device)
	w.lookupIs(session, "bob", anew)
	for _, p := range []*person{bob, anew} {
		n := w.nameOf(p, session)
		if len(n.Holders) != 2 || proto.AccountID(n.Holders[0].Account()) != bob.account() || proto.AccountID(n.Last().Account()) != anew.account() {
			t.Error("the log does not say whose the name was and is")
		}
	}
	old, admin := w.open(bob, bob.device)
	if admin {
		t.Error("bob is an admin")
	}
	link := bob.extend(bob.chain.Refresh(w.clock.t, bob.signer()))(t)
	wantCode(t, "a link of the account that lost the name", w.append(old, link), proto.Forbidden)
	mine, _ := w.open(anew, anew.device)
	if err := w.append(mine, anew.extend(anew.chain.Refresh(w.clock.t, anew.signer()))(t)); err != nil {
		t.Error("the new account's chain does not go on:", err)
	}
	if n := w.nameOf(anew, session); n.Last().Chain.Len() != 2 {
		t.Error("the new account's link is not in the log")
	}
}

func (w *world) veto(session proto.SessionID, statement []byte) error {
	_, err := w.Veto(w.t.Context(), &proto.VetoRequest{Session: session, Statement: statement})
	return err
}

func TestAVetoGivesTheNameBack(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	session, _ := w.open(alice, alice.device)
	old, _ := w.open(bob, bob.device)
	anew := newPerson(t, w.clock.t)
	statement := func(p *person, against *person) []byte {
		b, _ := p.chain.Veto(w.clock.t, p.signer(), kt.AccountID(against.account()))
		return b
	}
	wantCode(t, "before anything happened", w.veto(old, statement(bob, anew)), proto.BadChain)
	if err := w.reset(anew, w.resetInvitation("bob", time.Hour), "bob"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "without a session", w.veto(proto.SessionID{}, statement(bob, anew)), proto.BadSession)
	wantCode(t, "by somebody else", w.veto(session, statement(bob, anew)), proto.BadChain)
	wantCode(t, "against somebody else", w.veto(old, statement(bob, alice)), proto.BadChain)
	wantCode(t, "no statement", w.veto(old, bob.links[0]), proto.BadChain)
	good := statement(bob, anew)
	for range 2 {
		if err := w.veto(old, good); err != nil {
			t.Fatal(err)
		}
	}
	w.lookupIs(session, "bob", bob)
	if n := w.nameOf(anew, session); proto.AccountID(n.Last().Account()) != bob.account() {
		t.Error("the log does not have the veto")
	}
	if err := w.append(old, bob.extend(bob.chain.Refresh(w.clock.t, bob.signer()))(t)); err != nil {
		t.Error("bob's chain does not go on:", err)
	}
	theirs, _ := w.open(anew, anew.device)
	wantCode(t, "a link of the refused account", w.append(theirs, anew.extend(anew.chain.Refresh(w.clock.t, anew.signer()))(t)), proto.Forbidden)
	w.checkNames(t)
}

// checkNames checks that the log can be opened again.
func (w *world) checkNames(t *testing.T) {
	t.Helper()
	if _, err := Open(t.Context(), w.Config); err != nil {
		t.Error(err)
	}
}

func TestAVetoIsRefusedOnceTheResetCounts(t *testing.T) {
	w := newWorld(t)
	w.join("alice")
	bob := w.join("bob")
	anew := newPerson(t, w.clock.t)
	if err := w.reset(anew, w.resetInvitation("bob", time.Hour), "bob"); err != nil {
		t.Fatal(err)
	}
	w.clock.t = w.clock.t.Truncate(24 * time.Hour)
	for range 2 {
		w.clock.t = w.clock.t.Add(24 * time.Hour)
		if _, err := w.LogHead(t.Context(), &proto.LogHeadRequest{}); err != nil { // writes the day's first epoch
			t.Fatal(err)
		}
	}
	old, _ := w.open(bob, bob.device)
	late, err := bob.chain.Veto(w.clock.t, bob.signer(), kt.AccountID(anew.account()))
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "too late", w.veto(old, late), proto.Forbidden)
}

// TestWhoMayNotJoinLearnsOfNoName: every request that takes a name and needs no
// session says the same of one that is there and of one that is not.
func TestWhoMayNotJoinLearnsOfNoName(t *testing.T) {
	w := newWorld(t)
	w.join("alice")
	anew, recovered := newPerson(t, w.clock.t), newPerson(t, w.clock.t)
	recovered.extend(recovered.chain.SetRecovery(w.clock.t, recovered.signer(), kt.GenerateRecoveryKey().Public()))(t)
	for _, handle := range []string{"alice", "nobody", "A", ""} {
		for _, p := range []*person{anew, recovered} {
			for what, token := range map[string]proto.Token{"made up": proto.New[proto.Token](), "none": {}, "too late": w.invitation(1, -time.Hour)} {
				for _, reset := range []bool{false, true} {
					r := &proto.RegisterRequest{Invite: token, Handle: handle, Links: p.links, Reset: reset}
					_, err := w.Register(t.Context(), r)
					want := proto.InviteUnknown
					switch {
					case !ValidHandle(handle):
						want = proto.BadName
					case what == "too late" && !reset:
						want = proto.InviteExpired
					}
					wantCode(t, what+" "+handle, err, want)
				}
			}
			want := proto.Forbidden
			if !ValidHandle(handle) {
				want = proto.BadName
			}
			wantCode(t, "give back "+handle, w.giveAccount(handle, p.links), want)
		}
	}
}

// TestAServerThatWasNeverRestoredTakesNoAccountBack and so tells of no name.
func TestAServerThatWasNeverRestoredTakesNoAccountBack(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	w.Whole = true
	for _, handle := range []string{"alice", "nobody"} {
		for _, p := range []*person{alice, newPerson(t, w.clock.t)} {
			if err := w.giveAccount(handle, p.links); err != nil {
				t.Errorf("%s: %v", handle, err)
			}
		}
	}
}
