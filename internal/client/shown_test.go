package client

import (
	"encoding/binary"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// shown returns what the server shows a device of an account now.
func (d *device) shown(a proto.AccountID) *proto.ChainProofResponse {
	d.w.t.Helper()
	got := new(proto.ChainProofResponse)
	err := d.callAccount(d.w.t.Context(), proto.ChainProof, func(s proto.SessionID) proto.Message {
		return &proto.ChainProofRequest{Session: s, Account: a}
	}, got)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return got
}

// showAlways has the server show a device the same of a name for ever.
func showAlways(d *device, old *proto.ChainProofResponse) {
	lie(d, func(_ proto.Method, m proto.Message) {
		if r, ok := m.(*proto.ChainProofResponse); ok && r.Handle == old.Handle {
			*r = *old
		}
	})
}

// TestAnAnswerOlderThanTheLogIsRefused: what the server shows of a person stands
// in its log, but that has more of them by now: a device was revoked.
func TestAnAnswerOlderThanTheLogIsRefused(t *testing.T) {
	w := newWorld(t)
	alice, bob, dave := w.person("alice"), w.person("bob"), w.person("dave")
	phone := w.further(bob, "phone")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob, phone)
	old := alice.shown(bob.must().Account)
	if err := bob.Revoke(t.Context(), phone.must().Device.Hex()); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * logInterval)
	for _, d := range []*device{alice, dave} { // who knows him, and who does not
		showAlways(d, old)
		if err := d.syncTranslog(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = d.Sync(t.Context())
		_, err := d.NewChat(t.Context(), "x", []string{"bob"})
		wantStop(t, err, "than its log has")
	}
	wantStop(t, alice.Sync(t.Context()), "less of @bob than its log has")
	lie(alice, nil)
	alice.sync()
	if _, err := alice.NewChat(t.Context(), "x", []string{"bob"}); err != nil {
		t.Error(err)
	}
}

// TestChangesThatAreNotShownStopSending after a day: the server says it does not
// know somebody whose keys changed by its log.
func TestChangesThatAreNotShownStopSending(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	err := bob.appendLink(t.Context(), func(c kt.Chain, me *identity, now time.Time) ([]byte, error) {
		return c.Refresh(now, me.signer())
	})
	if err != nil {
		t.Fatal(err)
	}
	him := bob.must().Account
	alice.net.set(func(n *wireTo) {
		n.deny = func(m proto.Message) error {
			if r, ok := m.(*proto.ChainProofRequest); ok && r.Account == him {
				return proto.Refuse(proto.UnknownAccount)
			}
			return nil
		}
	})
	w.clock.advance(2 * logInterval)
	_ = alice.Sync(t.Context())
	alice.send("plan", "known devices talk on")
	if _, err = alice.NewChat(t.Context(), "x", []string{"bob"}); err == nil {
		t.Error("keys that may be revoked are taken")
	}
	w.clock.advance(chainAge + time.Hour)
	_ = alice.Sync(t.Context())
	_, err = alice.Send(t.Context(), "plan", Draft{Text: "a day later"})
	wantStop(t, err, "has not shown for a day how the keys of @bob changed")
	alice.net.set(func(n *wireTo) { n.deny = nil })
	alice.sync()
	alice.send("plan", "shown at last")
}

// TestAResetIsNotHiddenFromItsOwner by an answer from before.
func TestAResetIsNotHiddenFromItsOwner(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	showAlways(bob, bob.shown(bob.must().Account))
	w.reset(alice, "bob")
	w.clock.advance(2 * logInterval)
	wantStop(t, bob.Sync(t.Context()), "less of @bob than its log has")
}

// TestAnAccountKeepsItsName: the server writes somebody's chain into its log
// under a second name, which then stands there.
func TestAnAccountKeepsItsName(t *testing.T) {
	w := newWorld(t)
	alice, mallory := w.person("alice"), w.person("mallory")
	alice.newChat("plan", "mallory")
	w.agree("plan", alice, mallory)
	m := mallory.must().Account
	err := alice.step(t.Context(), func(tx *tx) error {
		if err := tx.checkShown(m, "mallory"); err != nil {
			return err
		}
		return tx.checkShown(m, "director")
	})
	wantStop(t, err, "shows the account of @mallory under another name, @director")
}

// TestDaysMadeUpInFrontOfWitnessesShortenNothing: they cosign what the log says,
// not when it says that it was.
func TestDaysMadeUpInFrontOfWitnessesShortenNothing(t *testing.T) {
	w := newWatched(t, "w1", "w2", "w3")
	alice := w.admin(w.set(2, 0, 1, 2))
	carol := w.invited(alice, "carol")
	w.invited(alice, "bob")
	if _, err := carol.lookup(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	w.reset(alice, "bob")
	for range 3 {
		w.aDayPasses(alice)
	}
	_ = carol.Sync(t.Context())
	if got := carol.trust("bob"); got.State != TrustStop {
		t.Errorf("carol takes the new account at once: %s", got.State)
	}
}

// TestAMemberDoesNotSilenceTheOthersWords: somebody names sizes of the log that
// it will never have, until there is no room for what others say.
func TestAMemberDoesNotSilenceTheOthersWords(t *testing.T) {
	w := newWorld(t)
	bob := w.person("bob")
	if err := bob.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	hear := func(from byte, ahead uint64, root byte) {
		t.Helper()
		err := bob.step(t.Context(), func(tx *tx) error {
			h, err := tx.logHead()
			if err != nil {
				return err
			}
			own, err := tx.logGossip()
			if err != nil {
				return err
			}
			binary.BigEndian.PutUint64(own[4:], h.Size+ahead)
			own[12] ^= root
			who := member{Account: proto.AccountID{from}}
			return tx.hearGossip(proto.ConversationID{}, who, &content.Opened{Envelope: content.Envelope{Checkpoint: own}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(2 * maxHeard) {
		hear(1, 1<<40+i, 1)
	}
	hear(2, 1, 1) // certainly not the next root
	hear(2, 9, 2) // and what is said later does not replace it
	w.person("carol")
	if err := bob.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	wantStop(t, bob.Sync(t.Context()), "two logs")
}

// TestAnAlarmIsKeptBeforeItsProofIsAskedFor: a server that rewrote its log may
// answer that question slowly, or without end.
func TestAnAlarmIsKeptBeforeItsProofIsAskedFor(t *testing.T) {
	w := newWorld(t)
	w.person("alice")
	bob := w.person("bob")
	if err := bob.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	other := newWorldOf(t, w.key)
	other.person("mallory")
	other.person("bob")
	other.person("carol") // the two logs are of two sizes
	asked, kept := false, false
	bob.net.set(func(n *wireTo) {
		n.w = other
		n.deny = func(m proto.Message) error {
			if _, ok := m.(*proto.LogEpochsRequest); ok {
				asked = true
				b, err := bob.store.Get(t.Context(), "translog/alarm")
				kept = err == nil && b != nil
				return ErrUnreachable
			}
			return nil
		}
	})
	wantLogAlarm(t, bob.lookAtLog(), "rewritten")
	if asked && !kept {
		t.Error("the server is asked for the proof before the alarm is kept")
	}
	if !asked {
		t.Error("no proof was asked for")
	}
}
