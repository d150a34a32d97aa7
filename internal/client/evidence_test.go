package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// stampKey is what the operator of a world stamps with.
func (w *world) stampKey() ed25519.PrivateKey {
	w.t.Helper()
	keys, err := w.store.StampKeys(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	last := keys[len(keys)-1]
	seed, err := w.key.Open("stamp key", last.KID[:], last.Sealed)
	if err != nil {
		w.t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// TestWhatAServerStampedIsProvedToOthers lies to bob with the server's own
// stamp key. What he keeps convinces a third person, without a server.
func TestWhatAServerStampedIsProvedToOthers(t *testing.T) {
	for name, c := range map[string]struct {
		kind string // "": a report
		lie  func(r *proto.ReadResponse, key ed25519.PrivateKey)
	}{
		"bytes nobody signed": {evidence.KindStampForged, func(r *proto.ReadResponse, key ed25519.PrivateKey) {
			e := &r.Entries[0]
			e.Entry.Bytes = slices.Clone(e.Entry.Bytes)
			e.Entry.Bytes[len(e.Entry.Bytes)-1] ^= 1
			_, _ = e.Receipt.Sign(&e.Entry, key)
		}},
		"another member's entry": {evidence.KindStampForged, func(r *proto.ReadResponse, key ed25519.PrivateKey) {
			e := &r.Entries[0]
			e.Entry.MK[0] ^= 1
			_, _ = e.Receipt.Sign(&e.Entry, key)
		}},
		"another version of the log": {evidence.KindStampConflict, func(r *proto.ReadResponse, key ed25519.PrivateKey) {
			e := &r.Entries[0]
			e.Receipt.ChainPrev[0] ^= 1
			_, _ = e.Receipt.Sign(&e.Entry, key)
		}},
		"a log that went back and grew again": {evidence.KindStampConflict, func(r *proto.ReadResponse, key ed25519.PrivateKey) {
			r.HeadSeq = 2
			e := &r.Entries[0]
			e.Receipt.Seq = 2
			_, _ = e.Receipt.Sign(&e.Entry, key)
		}},
		"a message left out":                          {"", func(r *proto.ReadResponse, _ ed25519.PrivateKey) { r.Entries = r.Entries[1:] }},
		"bytes not stamped":                           {"", func(r *proto.ReadResponse, _ ed25519.PrivateKey) { b := r.Entries[0].Entry.Bytes; b[len(b)-1] ^= 1 }},
		"an honest entry whose signature was damaged": {"", func(r *proto.ReadResponse, _ ed25519.PrivateKey) { r.Entries[0].Entry.Sig[7] ^= 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.person("alice"), w.person("bob")
			alice.newChat("plan", "bob")
			alice.send("plan", "one")
			w.agree("plan", alice, bob)
			alice.send("plan", "two")
			alice.send("plan", "three")
			key := w.stampKey()
			given := 0
			lie(bob, func(_ proto.Method, m proto.Message) {
				r, ok := m.(*proto.ReadResponse)
				if !ok || len(r.Entries) == 0 {
					return
				}
				if given++; name == "a log that went back and grew again" && given == 1 {
					r.Entries, r.HeadSeq = nil, 2
					return
				}
				c.lie(r, key)
			})
			wantLogAlarm(t, bob.Sync(t.Context()), "")
			file := proofOf(t, bob)
			f, err := evidence.Verify(file)
			if c.kind == "" {
				if err != evidence.ErrReport {
					t.Fatalf("a report is taken for %v", err)
				}
				return
			}
			if err != nil || f.Kind != c.kind || f.Log.Name != "test" || f.Proves == "" {
				t.Fatalf("the evidence: %+v, %v", f, err)
			}
			damaged := bytes.Clone(file)
			for i := bytes.Index(file, []byte("\n\n")) + 20; i < len(damaged)-60; i += 101 {
				damaged[i] ^= 1
				if _, err := evidence.Verify(damaged); err == nil {
					t.Fatalf("byte %d does not matter", i)
				}
				damaged[i] ^= 1
			}
		})
	}
}

// TestAStampKeyOutsideTheLogIsAnAlarm: a key that is in no log would let the
// operator deny what it stamped.
func TestAStampKeyOutsideTheLogIsAnAlarm(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	alice.sync()
	forget := func(d *device) {
		t.Helper()
		if err := d.step(t.Context(), func(tx *tx) error { return tx.delAll(stampInPrefix) }); err != nil {
			t.Fatal(err)
		}
	}
	forget(alice)
	lie(alice, func(_ proto.Method, m proto.Message) {
		if r, ok := m.(*proto.LogEntryResponse); ok {
			r.Proof.Openings[0][0] ^= 1
		}
	})
	wantLogAlarm(t, alice.Sync(t.Context()), "does not stand in its log")

	bob := w.person("bob")
	bob.sync()
	forget(bob)
	bob.net.set(func(n *wireTo) {
		n.before = func(m proto.Method) error {
			if m == proto.LogEntry {
				return proto.Refuse(proto.Forbidden)
			}
			return nil
		}
	})
	bob.sync() // it has a day
	w.clock.advance(25 * time.Hour)
	wantLogAlarm(t, bob.Sync(t.Context()), "has not shown for a day")
}

// TestHonestServersCannotBeFramed: no two entries of an honest log contradict
// each other.
func TestHonestServersCannotBeFramed(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	alice.send("plan", "one")
	bob.sync()
	bob.send("plan", "two")
	w.agree("plan", alice, bob)
	id := alice.inspect1("plan").Conversation
	err := alice.step(t.Context(), func(tx *tx) error { return framed(tx, id) })
	if err != nil {
		t.Fatal(err)
	}
}

func framed(tx *tx, id proto.ConversationID) error {
	var k logKeys
	if err := tx.load("translog/keys", k.wire); err != nil {
		return err
	}
	cv, err := tx.conv(id)
	if err != nil {
		return err
	}
	for n := uint64(1); n <= cv.head.Seq; n++ {
		r, err := tx.logged(cv, n)
		if err != nil || r == nil {
			return err
		}
		file, err := tx.conflict(id, &evidence.Placed{Entry: *r.skeleton(id), Receipt: r.Receipt}, k.Log)
		if err != nil || file != nil {
			return kt.ErrEvidence
		}
	}
	return nil
}

// TestOneFileForOneFinding: an alarm that comes again and again does not fill
// the disk.
func TestOneFileForOneFinding(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	files := map[string]int{}
	alice.cfg.Evidence = func(name string, _ []byte) (string, error) { files[name]++; return name, nil }
	lie(alice, func(_ proto.Method, m proto.Message) {
		if h, ok := m.(*proto.LogHeadResponse); ok {
			h.Checkpoint = []byte("nothing\n")
		}
	})
	for range 3 {
		w.clock.advance(time.Hour)
		wantLogAlarm(t, alice.syncTranslog(context.Background()), "not signed")
	}
	if len(files) != 1 {
		t.Errorf("%d files", len(files))
	}
}

// publicNet also shows what anybody sees.
type publicNet struct {
	*wireTo
	note  []byte
	asked int
}

func (n *publicNet) Public(context.Context, string) ([]byte, error) {
	n.asked++
	return n.note, nil
}

// TestTheLogIsLookedAtFromOutside: once a day a device compares what anybody is
// shown with what it was shown.
func TestTheLogIsLookedAtFromOutside(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	if err := alice.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	outside := &publicNet{wireTo: alice.net}
	alice.Client.net = outside
	var head proto.LogHeadResponse
	if err := alice.callAnon(t.Context(), proto.LogHead, &proto.LogHeadRequest{}, &head); err != nil {
		t.Fatal(err)
	}
	outside.note = head.Checkpoint
	alice.sync()
	alice.sync()
	if outside.asked != 1 {
		t.Fatalf("looked %d times", outside.asked)
	}
	other := newWorldOf(t, w.key) // the same keys, another history
	mallory := other.person("mallory")
	if err := mallory.callAnon(t.Context(), proto.LogHead, &proto.LogHeadRequest{}, &head); err != nil {
		t.Fatal(err)
	}
	outside.note = head.Checkpoint
	w.clock.advance(25 * time.Hour)
	alarm := wantLogAlarm(t, alice.Sync(t.Context()), "anybody was shown")
	if alarm.Evidence != "" {
		t.Error("a place where no file is")
	}
	if f, err := evidence.Verify(proofOf(t, alice)); err != nil || f.Kind != kt.EvidenceSplitView {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestALieIsProvedOnceTheTruthIsTold: what was stamped for bob alone is in no
// other log; as soon as the server shows him the real one both are there.
func TestALieIsProvedOnceTheTruthIsTold(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	alice.send("plan", "one")
	key := w.stampKey()
	lie(bob, func(_ proto.Method, m proto.Message) {
		if r, ok := m.(*proto.ReadResponse); ok && len(r.Entries) > 0 {
			e := &r.Entries[len(r.Entries)-1]
			e.Receipt.Minute = 1
			_, _ = e.Receipt.Sign(&e.Entry, key)
		}
	})
	wantLogAlarm(t, bob.Sync(t.Context()), "stamped earlier")
	if !evidence.IsReport(proofOf(t, bob)) {
		t.Fatal("proof of what nothing contradicts")
	}
	lie(bob, nil)
	wantLogAlarm(t, bob.Sync(t.Context()), "stamped earlier") // not looked at again so soon
	w.clock.advance(2 * time.Hour)
	alarm := wantLogAlarm(t, bob.Sync(t.Context()), "stamped earlier")
	var proved int
	err := bob.step(t.Context(), func(tx *tx) error {
		all, err := tx.list("evidence/", "", 0)
		for _, r := range all {
			if f, err := evidence.Verify(r.Value); err == nil && f.Kind == evidence.KindStampConflict {
				proved++
			}
		}
		return err
	})
	if err != nil || proved != 1 {
		t.Errorf("%d proofs, %v; %v", proved, err, alarm)
	}
	if got := bob.held("plan"); len(got) != 0 {
		t.Errorf("bob reads on: %q", got)
	}
}

// TestAMembersWordAloneLapses: a member who says that it was shown another log,
// and never shows the server's signature for it, stops the others for a day.
func TestAMembersWordAloneLapses(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	alice.sync()
	may := func() error { return alice.step(t.Context(), func(tx *tx) error { return tx.mayAcceptKeys() }) }
	say := func(by byte) {
		t.Helper()
		err := alice.step(t.Context(), func(tx *tx) error {
			b, err := tx.logGossip()
			if err != nil {
				return err
			}
			b[20] ^= 1
			return tx.hearGossip(proto.ConversationID{9}, member{Account: proto.AccountID{by}}, &content.Opened{Envelope: content.Envelope{Checkpoint: b}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	say(1)
	wantLogAlarm(t, may(), "their word alone")
	wantLogAlarm(t, alice.Sync(t.Context()), "their word alone")
	w.clock.advance(25 * time.Hour)
	alice.sync()
	if err := may(); err != nil {
		t.Error("after a day:", err)
	}
	say(1)
	if err := may(); err != nil {
		t.Error("believed again:", err)
	}
	say(2)
	wantLogAlarm(t, may(), "their word alone")
}

// TestALogThatIsWithheldIsAnAlarm: the server signed more of its log for
// somebody else than it shows this device within a day.
func TestALogThatIsWithheldIsAnAlarm(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	alice.sync()
	seed := w.key.Seed("log")
	signer, err := kt.NewNoteSigner("test", seed[:])
	if err != nil {
		t.Fatal(err)
	}
	hear := func(size uint64) {
		t.Helper()
		err := alice.step(t.Context(), func(tx *tx) error {
			w := &word{Note: signer.SignCheckpoint(size, kt.Hash{1})}
			return tx.hearNote(proto.ConversationID{9}, proto.AccountID{3}, w, kt.TreeHead{Origin: "test", Size: size, Root: kt.Hash{1}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(2 * maxNotes) { // bounded, whatever is heard
		hear(1000 + i)
	}
	alice.sync()
	var notes int
	err = alice.step(t.Context(), func(tx *tx) error {
		all, err := tx.list("translog/note/", "", 0)
		notes = len(all)
		return err
	})
	if err != nil || notes != maxNotes {
		t.Errorf("%d notes are kept, %v", notes, err)
	}
	w.clock.advance(25 * time.Hour)
	wantLogAlarm(t, alice.Sync(t.Context()), "withholds its log")
	s, err := alice.Status(t.Context())
	if err != nil || len(s.Warnings) == 0 {
		t.Errorf("status does not say so: %+v, %v", s, err)
	}
}
