package directory

import (
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// indexOf is where a name is in the log.
func (w *world) indexOf(handle string) kt.Index {
	x, _ := w.log.Index(kt.KindAccount, []byte(handle))
	return x
}

// renaming is the link by which p goes from one name to another.
func (w *world) renaming(p *person, from, to string) []byte {
	w.t.Helper()
	link, err := p.chain.Rename(w.clock.t, p.signer(), w.indexOf(from), w.indexOf(to))
	if err != nil {
		w.t.Fatal(err)
	}
	return link
}

func (w *world) rename(session proto.SessionID, to string, link []byte) error {
	_, err := w.Rename(w.t.Context(), &proto.RenameRequest{Session: session, Handle: to, Link: link})
	return err
}

// renamed changes the name of p, who sees it done.
func (w *world) renamed(p *person, session proto.SessionID, from, to string) {
	w.t.Helper()
	link := w.renaming(p, from, to)
	if err := w.rename(session, to, link); err != nil {
		w.t.Fatal(err)
	}
	p.extend(link, nil)(w.t)
}

func TestAnAccountIsRenamed(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	asking, _ := w.open(bob, bob.device)
	session, _ := w.open(alice, alice.device)

	got, err := w.NamePlace(t.Context(), &proto.NamePlaceRequest{Session: session, Handle: "alice.w"})
	if err != nil {
		t.Fatal(err)
	}
	_, vrf := w.LogKeys()
	out, err := vrf.Verify(kt.MapLabel(kt.KindAccount, []byte("alice.w")), got.VRF)
	if err != nil || kt.MapIndex(out) != w.indexOf("alice.w") {
		t.Fatalf("the place is not proved: %v", err)
	}

	link := w.renaming(alice, "alice", "alice.w")
	for range 2 { // the same again changes nothing
		if err := w.rename(session, "alice.w", link); err != nil {
			t.Fatal(err)
		}
	}
	alice.extend(link, nil)(t)
	w.lookupIs(asking, "alice.w", alice)
	w.lookupIs(asking, "alice", alice)
	if n := w.nameOf(alice, asking); n.Index != w.indexOf("alice.w") || n.Last().Chain.Left(n.Index) || n.Values != 2 {
		t.Errorf("the new name has %d values", n.Values)
	}
	if n := w.nameLeft(alice, asking, "alice"); n.Index != w.indexOf("alice") || !n.Last().Chain.Left(n.Index) {
		t.Error("the name that was left does not say so")
	}
	if err := w.append(session, alice.extend(alice.chain.Refresh(w.clock.t, alice.signer()))(t)); err != nil {
		t.Error("the chain does not go on:", err)
	}
	if n := w.nameOf(alice, asking); n.Last().Chain.Len() != 3 {
		t.Error("the next link is not under the new name")
	}
	w.renamed(alice, session, "alice.w", "alice")
	w.lookupIs(asking, "alice.w", alice)
	if n := w.nameOf(alice, asking); n.Index != w.indexOf("alice") || n.Last().Chain.Len() != 4 {
		t.Error("who comes back to a name does not have it")
	}
	w.checkNames(t)
}

func TestANameThatWasLeftIsNobodyElses(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	hers, _ := w.open(alice, alice.device)
	his, _ := w.open(bob, bob.device)
	w.renamed(alice, hers, "alice", "alice.w")

	token := w.invitation(1, time.Hour)
	wantCode(t, "joining under it", w.register(newPerson(t, w.clock.t), token, "alice"), proto.NameTaken)
	if left, err := w.InviteCheck(t.Context(), &proto.InviteCheckRequest{Invite: token}); err != nil || left.Uses != 1 {
		t.Errorf("the refusal consumed the invitation: %v", err)
	}
	wantCode(t, "a reset of it", w.reset(newPerson(t, w.clock.t), w.resetInvitation("alice", time.Hour), "alice"), proto.UnknownAccount)
	wantCode(t, "being renamed to it", w.rename(his, "alice", w.renaming(bob, "bob", "alice")), proto.NameTaken)
	_, err := w.NamePlace(t.Context(), &proto.NamePlaceRequest{Session: his, Handle: "alice"})
	wantCode(t, "asking for its place", err, proto.NameTaken)
	_, err = w.ChainProof(t.Context(), &proto.ChainProofRequest{Session: his, Account: bob.account(), Handle: "alice"})
	wantCode(t, "a proof of it for another account", err, proto.UnknownAccount)
	_, err = w.ChainProof(t.Context(), &proto.ChainProofRequest{Session: his, Account: bob.account(), Handle: "nobody"})
	wantCode(t, "a proof of a name that is not there", err, proto.UnknownAccount)
}

func TestRenamingsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	hers, _ := w.open(alice, alice.device)
	good := w.renaming(alice, "alice", "alice.w")
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	for what, c := range map[string]struct {
		session proto.SessionID
		to      string
		link    []byte
		want    proto.Code
	}{
		"without a session":            {proto.SessionID{}, "alice.w", good, proto.BadSession},
		"a name that is none":          {hers, "Alice", good, proto.BadName},
		"no link":                      {hers, "alice.w", []byte{1}, proto.BadChain},
		"another link":                 {hers, "alice.w", alice.links[0], proto.BadChain},
		"a forged signature":           {hers, "alice.w", forged, proto.BadChain},
		"somebody else's signature":    {hers, "alice.w", w.renaming(bob, "alice", "alice.w"), proto.BadChain},
		"to another name than it says": {hers, "alice.x", good, proto.BadChain},
		"from another name":            {hers, "alice.w", w.renaming(alice, "bob", "alice.w"), proto.BadChain},
		"to a name somebody has":       {hers, "bob", w.renaming(alice, "alice", "bob"), proto.NameTaken},
	} {
		wantCode(t, what, w.rename(c.session, c.to, c.link), c.want)
	}
	wantCode(t, "as any link", w.append(hers, good), proto.BadChain)
	w.lookupIs(hers, "alice", alice)
	if n := w.nameOf(alice, hers); n.Values != 1 {
		t.Error("a refused renaming is in the log")
	}
}

func TestNobodyIsRenamedAllTheTime(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	hers, _ := w.open(alice, alice.device)
	w.renamed(alice, hers, "alice", "alcie")
	w.renamed(alice, hers, "alcie", "alice.w")
	link := w.renaming(alice, "alice.w", "alice.x")
	wantCode(t, "a third name in a week", w.rename(hers, "alice.x", link), proto.TooSoon)
	w.clock.t = w.clock.t.Truncate(24 * time.Hour).Add(7*24*time.Hour - time.Second)
	hers, _ = w.open(alice, alice.device)
	wantCode(t, "a second too early", w.rename(hers, "alice.x", link), proto.TooSoon)
	w.clock.t = w.clock.t.Add(time.Second)
	if err := w.rename(hers, "alice.x", link); err != nil {
		t.Error("after a week:", err)
	}
}

func TestAResetAccountIsNotRenamedBeforeItCounts(t *testing.T) {
	w := newWorld(t)
	w.join("alice")
	bob := w.join("bob")
	old, _ := w.open(bob, bob.device)
	anew := newPerson(t, w.clock.t)
	if err := w.reset(anew, w.resetInvitation("bob", time.Hour), "bob"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "who lost the name", w.rename(old, "bob.x", w.renaming(bob, "bob", "bob.x")), proto.Forbidden)
	session, _ := w.open(anew, anew.device)
	link := w.renaming(anew, "bob", "bob.x")
	wantCode(t, "who is to have it", w.rename(session, "bob.x", link), proto.Forbidden)
	w.clock.t = w.clock.t.Truncate(24 * time.Hour)
	for range 2 {
		w.clock.t = w.clock.t.Add(24 * time.Hour)
		if _, err := w.LogHead(t.Context(), &proto.LogHeadRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	session, _ = w.open(anew, anew.device)
	if err := w.rename(session, "bob.x", link); err != nil {
		t.Error("once it counts:", err)
	}
}
