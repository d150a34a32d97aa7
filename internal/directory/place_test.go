package directory

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// asked is a store that notes which places were asked for, and answers what it
// is told.
type asked struct {
	Store
	names  []proto.Hash
	answer func([]byte) []byte
}

func (a *asked) Place(ctx context.Context, label proto.Hash) ([]byte, error) {
	a.names = append(a.names, label)
	b, err := a.Store.Place(ctx, label)
	if a.answer != nil {
		b = a.answer(slices.Clone(b))
	}
	return b, err
}

// TestLookupsAnswerWithTheStoredProof: it is what the VRF gives, lies sealed, is
// that label's alone, and a database without it answers too.
func TestLookupsAnswerWithTheStoredProof(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	session, _ := w.open(alice, alice.device)
	w.checkLogged(bob, session, "bob")
	ask := &asked{Store: w.Store}
	w.Service.Store = ask
	w.checkLogged(bob, session, "bob")
	if len(ask.names) != 1 {
		t.Fatalf("%d places were asked for", len(ask.names))
	}
	sealed, err := w.store.Place(t.Context(), ask.names[0])
	if err != nil || sealed == nil {
		t.Fatal("no place was stored with the name", err)
	}
	if _, pi := w.log.Index(kt.KindAccount, []byte("bob")); bytes.Contains(sealed, pi[:32]) {
		t.Error("with the disk names could be tried")
	}
	chainProof := func() error {
		_, err := w.ChainProof(t.Context(), &proto.ChainProofRequest{Session: session, Account: bob.account()})
		return err
	}
	others, err := w.store.Place(t.Context(), w.placeName(kt.KindAccount, []byte("alice")))
	if err != nil || others == nil {
		t.Fatal("no place of alice", err)
	}
	for what, answer := range map[string]func([]byte) []byte{
		"a flipped bit":   func(b []byte) []byte { b[40] ^= 1; return b },
		"cut":             func(b []byte) []byte { return b[:30] },
		"another label's": func([]byte) []byte { return others },
	} {
		ask.answer = answer
		if err := chainProof(); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	ask.answer = func([]byte) []byte { return nil } // from before places were stored
	w.checkLogged(bob, session, "bob")
}

// TestQuestionsStoreNoPlace: how long an answer takes must not tell what was
// asked before.
func TestQuestionsStoreNoPlace(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	session, _ := w.open(alice, alice.device)
	ask := &asked{Store: w.Store}
	w.Service.Store = ask
	for range 2 {
		if r, err := w.LogEntry(t.Context(), &proto.LogEntryRequest{Kind: uint8(kt.KindRelease), Label: []byte("none")}); err != nil || len(r.Values) != 0 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	if len(ask.names) != 2 {
		t.Fatalf("%d places were asked for", len(ask.names))
	}
	if b, err := w.store.Place(t.Context(), ask.names[0]); b != nil || err != nil {
		t.Error("a question left a trace", err)
	}
	// Names and accounts that are not there are refused before there is anything
	// to look for, with and without a session.
	ask.names = nil
	for _, s := range []proto.SessionID{session, {}} {
		_, err := w.Lookup(t.Context(), &proto.LookupRequest{Session: s, Handle: "nobody"})
		_, err2 := w.ChainProof(t.Context(), &proto.ChainProofRequest{Session: s, Account: proto.AccountID{9}})
		want := proto.UnknownAccount
		if s == (proto.SessionID{}) {
			want = proto.BadSession
		}
		wantCode(t, "a name", err, want)
		wantCode(t, "an account", err2, want)
	}
	_, err := w.ChainProof(t.Context(), &proto.ChainProofRequest{Account: alice.account()})
	wantCode(t, "a known account without a session", err, proto.BadSession)
	if len(ask.names) != 0 {
		t.Error("the time of a refusal depends on what is there")
	}
}
