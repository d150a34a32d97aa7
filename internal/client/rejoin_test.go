package client

import (
	"errors"
	"testing"
	"time"

	serverstore "codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// at runs f on the device's conversation in one step.
func (d *device) at(chat string, f func(*tx, *conversation) error) {
	d.w.t.Helper()
	id := d.inspect1(chat).Conversation
	err := d.step(d.w.t.Context(), func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil {
			return err
		}
		return f(t, cv)
	})
	if err != nil {
		d.w.t.Fatalf("%s: %v", d.name, err)
	}
}

func (d *device) state(chat string) string { return d.inspect1(chat).State }

// clean runs the server's retention.
func (w *world) clean() {
	w.t.Helper()
	err := w.store.Clean(w.t.Context(), w.clock.Now(), serverstore.Retention{Entries: 30})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestAwayLongerThanRetention: bob comes back after 40 days, finds the log gone
// and is added again.
func TestAwayLongerThanRetention(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	bob.expect("@alice", "alice: one")
	bob.sync()
	w.clock.advance(20 * 24 * time.Hour)
	alice.send("@bob", "two") // nobody will read this
	for range 4 {
		w.clock.advance(10 * 24 * time.Hour)
		alice.sync()
		alice.send("@bob", "news")
	}
	w.clean()
	bob.sync()
	if s := bob.state("@alice"); s != "rejoining" {
		t.Fatalf("bob's state is %q", s)
	}
	alice.sync()
	bob.sync()
	bob.sync()
	if s := bob.state("@alice"); s != "" {
		t.Fatalf("bob's state is %q", s)
	}
	alice.send("@bob", "three")
	bob.sync()
	got := bob.read("@alice")
	if len(got) < 2 || got[0] != "alice: one" || got[len(got)-1] != "alice: three" {
		t.Fatalf("bob has %q", got)
	}
	bob.send("@alice", "back again")
	w.agree("@bob", alice)
}

// TestACommitOneMemberCannotProcess: bob stops at a commit the others took, says
// so, and is added again by one of them.
func TestACommitOneMemberCannotProcess(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol, dave := w.person("alice"), w.person("bob"), w.person("carol"), w.person("dave")
	alice.newChat("plan", "bob", "carol")
	alice.send("plan", "one")
	bob.expect("plan", "alice: one")
	w.agree("plan", alice, bob, carol)
	bob.at("plan", func(tx *tx, cv *conversation) error {
		leaf, _ := cv.keys.leafOf(cv.meta.Seed.public())
		for i := range cv.keys {
			if cv.keys[i].Leaf != leaf {
				cv.keys[i].MK[0] ^= 1 // what bob believes of the others' keys is wrong
			}
		}
		return tx.saveKeys(cv)
	})
	if err := alice.RemoveMembers(t.Context(), "plan", []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	if s := bob.state("plan"); s != "broken" {
		t.Fatalf("bob's state is %q", s)
	}
	if s, err := bob.Send(t.Context(), "plan", Draft{Text: "kept"}); err != nil || s.Seq != nil {
		t.Fatalf("a broken device sends: %v, %v", s.Seq, err)
	}
	if err := alice.AddMembers(t.Context(), "plan", []string{"dave"}); err != nil {
		t.Fatal(err)
	}
	alice.sync()
	dave.sync()
	bob.sync()
	bob.sync()
	alice.send("plan", "two")
	bob.expect("plan", "alice: one", "bob: kept", "alice: two")
	dave.expect("plan", "bob: kept", "alice: two")
	w.agree("plan", alice, bob, dave)
}

// badCommit lets an insider send a commit that the server takes and the rules
// forbid: a member without a role removes another.
func (d *device) badCommit(chat, victim string) {
	d.w.t.Helper()
	var req proto.CommitRequest
	d.at(chat, func(tx *tx, cv *conversation) error {
		a, _, err := tx.accountOf(victim)
		if err != nil {
			return err
		}
		delta := proto.KeyDelta{}
		opt := mls.CommitOptions{}
		for leaf, who := range cv.roster() {
			if who.Account == a {
				k, _ := cv.keys.find(leaf)
				delta.Removes = append(delta.Removes, k.MK)
				opt.Proposals = append(opt.Proposals, mls.Proposal{Type: mls.ProposalRemove, Remove: &mls.Remove{Removed: leaf}})
			}
		}
		opt.AuthenticatedData = wire.MustEncode(delta.Wire)
		c, err := cv.group.Commit(tx.c.now(), opt)
		if err != nil {
			return err
		}
		req.Entry = proto.Entry{Kind: proto.KindCommit, Conversation: cv.id, Epoch: cv.group.Epoch(), Bytes: c.Message(), ExtraHash: req.Extra.Hash()}
		return req.Entry.Sign(cv.meta.Seed.key())
	})
	if err := d.call(d.w.t.Context(), Conversations, proto.Commit, &req, &proto.CommitResponse{}); err != nil {
		d.w.t.Fatal(err)
	}
}

// TestAnInsidersBadCommitLeadsToASuccessor: nobody honest can process mallory's
// commit; after ten minutes the conversation goes on without her.
func TestAnInsidersBadCommitLeadsToASuccessor(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol, dave, mallory := w.person("alice"), w.person("bob"), w.person("carol"), w.person("dave"), w.person("mallory")
	alice.newChat("plan", "bob", "carol", "dave", "mallory")
	alice.send("plan", "one")
	for _, d := range []*device{bob, carol, dave, mallory} {
		d.sync()
	}
	w.agree("plan", alice, bob, carol, dave, mallory)
	mallory.badCommit("plan", "dave")
	honest := []*device{bob, alice, carol}
	for _, d := range honest {
		d.sync()
		if s := d.state("plan"); s != "broken" {
			t.Fatalf("%s's state is %q", d.name, s)
		}
	}
	if s, err := bob.Send(t.Context(), "plan", Draft{Text: "kept"}); err != nil || s.Seq != nil {
		t.Fatalf("a broken device sends: %v, %v", s.Seq, err)
	}
	w.clock.advance(11 * time.Minute)
	for range 4 {
		for _, d := range honest {
			d.sync()
		}
	}
	alice.send("plan", "two")
	for _, d := range honest {
		d.sync()
		if s := d.state("plan"); s != "" {
			t.Fatalf("%s's state is %q", d.name, s)
		}
	}
	for _, d := range honest {
		d.expect("plan", "alice: one", "bob: kept", "alice: two")
	}
	w.agree("plan", honest...)
	mallory.sync()
	dave.sync()
	for _, leaf := range alice.inspect1("plan").Leaves {
		if a := mallory.must().Account.Hex(); leaf.Account == a {
			t.Fatal("mallory is in the successor")
		}
	}
	for m, err := range mallory.Messages(t.Context(), "plan", 0) {
		if err == nil && m.Body == "two" {
			t.Fatal("mallory reads the successor")
		}
	}
}

// TestTheServerAloneEndsNoMembership: a refusal without a removal in the log is
// an error, not an end.
func TestTheServerAloneEndsNoMembership(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	bob.sync()
	bob.sync()
	bob.closeConv(bob.inspect1("@alice").Conversation)
	bob.net.set(func(n *wireTo) {
		n.before = func(m proto.Method) error {
			if m == proto.Open {
				return proto.Refuse(proto.NotMember)
			}
			return nil
		}
	})
	if err := bob.syncConv(t.Context(), bob.inspect1("@alice").Conversation); !errors.Is(err, ErrNotMember) {
		t.Fatalf("%v", err)
	}
	bob.net.set(func(n *wireTo) { n.before = nil })
	alice.send("@bob", "two")
	bob.expect("@alice", "alice: one", "alice: two")
}

// confuse makes the device believe that some other leaf has the key mk, so that
// a commit that brings mk is against the rules for it.
func (d *device) confuse(chat string, mk proto.MemberKey) {
	d.at(chat, func(tx *tx, cv *conversation) error {
		for i := range cv.keys {
			if cv.keys[i].Leaf == 3 || cv.keys[i].Leaf == 0 && cv.group.OwnLeaf() == 3 {
				cv.keys[i].MK = mk
			}
		}
		return tx.saveKeys(cv)
	})
}

// TestWhoCouldProcessFollowsTheOthers: dave, away meanwhile, could process the
// commit that three others said they cannot; he goes on with them.
func TestWhoCouldProcessFollowsTheOthers(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol, dave, erin := w.person("alice"), w.person("bob"), w.person("carol"), w.person("dave"), w.person("erin")
	alice.newChat("plan", "bob", "carol", "dave", "erin")
	alice.send("plan", "one")
	w.agree("plan", alice, bob, carol, dave, erin)
	stuck, mk := []*device{alice, bob, carol}, newSeed().public()
	for _, d := range stuck {
		d.confuse("plan", mk)
	}
	erin.commitEvil("plan", func(_ *tx, e *evil) error {
		e.delta.Replace = &mk
		return nil
	})
	for _, d := range stuck {
		d.sync()
		if s := d.state("plan"); s != "broken" {
			t.Fatalf("%s's state is %q", d.name, s)
		}
	}
	w.clock.advance(11 * time.Minute)
	for range 3 {
		for _, d := range stuck {
			_ = d.Sync(t.Context())
		}
	}
	for range 3 {
		dave.sync()
	}
	went := []*device{alice, bob, carol, dave}
	for _, d := range went {
		if i := d.inspect1("plan"); i.Predecessor == (proto.ConversationID{}) || i.State != "" {
			t.Fatalf("%s did not go on: %+v", d.name, i)
		}
	}
	dave.send("plan", "two")
	w.agree("plan", went...)
	for _, d := range went {
		d.expect("plan", "alice: one", "dave: two")
	}
}

// TestASuccessorNobodyNeedsIsAnotherConversation: carol, no admin, re-forms a
// conversation that is well; the others stay.
func TestASuccessorNobodyNeedsIsAnotherConversation(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob", "carol")
	w.agree("plan", alice, bob, carol)
	if err := alice.SetExpiry(t.Context(), "plan", time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*device{bob, carol} {
		d.sync()
	}
	old := carol.inspect1("plan").Conversation
	carol.at("plan", func(tx *tx, cv *conversation) error {
		r, err := tx.logged(cv, cv.head.Seq)
		if err != nil {
			return err
		}
		cv.meta.State = stateBroken
		cv.meta.Broken = brokenAt{Seq: cv.head.Seq, Hash: r.Entry, By: r.MK, Told: true}
		return tx.saveMeta(cv)
	})
	if err := carol.reform(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	alice.sync()
	bob.sync()
	bob.sync()
	if i := bob.inspect1("plan~" + old.Hex()[:6]); i.Conversation != old || i.State != "" {
		t.Fatalf("bob's conversation is %+v", i)
	}
	bob.send("plan~"+old.Hex()[:6], "still here")
	w.agree("plan", alice)
	alice.sync()
	if got := alice.read("plan"); len(got) != 1 {
		t.Fatalf("alice has %q", got)
	}
}
