package client

import (
	"context"
	"errors"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
)

// lie lets the server's answers to one device be altered.
func lie(d *device, f func(proto.Method, proto.Message)) {
	d.net.set(func(n *wireTo) { n.tamper = f })
}

// TestALyingServerIsCaught alters what one device reads; it must stop with a
// SafetyError, keep evidence and send nothing more.
func TestALyingServerIsCaught(t *testing.T) {
	for name, alter := range map[string]func(*proto.ReadResponse){
		"a message is left out":      func(r *proto.ReadResponse) { r.Entries = r.Entries[1:] },
		"two messages change places": func(r *proto.ReadResponse) { r.Entries[0], r.Entries[1] = r.Entries[1], r.Entries[0] },
		"a message comes again":      func(r *proto.ReadResponse) { r.Entries[1] = r.Entries[0] },
		"another submitter":          func(r *proto.ReadResponse) { r.Entries[0].Entry.MK[0] ^= 1 },
		"other bytes":                func(r *proto.ReadResponse) { r.Entries[0].Entry.Bytes[80] ^= 1 },
		"another time":               func(r *proto.ReadResponse) { r.Entries[0].Receipt.Minute++ },
		"another generation":         func(r *proto.ReadResponse) { r.Entries[0].Receipt.Generation[0] ^= 1 },
		"another stamp":              func(r *proto.ReadResponse) { r.Entries[0].Receipt.Stamp[0] ^= 1 },
		"another stamp key":          func(r *proto.ReadResponse) { r.Entries[0].Receipt.KID[0] ^= 1 },
		"a log that goes back":       func(r *proto.ReadResponse) { r.Entries, r.HeadSeq = nil, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.person("alice"), w.person("bob")
			alice.send("@bob", "hello")
			bob.sync()
			bob.sync()
			alice.send("@bob", "one")
			alice.send("@bob", "two")
			var kept []byte
			bob.cfg.Evidence = func(_ string, b []byte) (string, error) { kept = b; return "evidence.huis", nil }
			lied := false
			lie(bob, func(m proto.Method, resp proto.Message) {
				if r, ok := resp.(*proto.ReadResponse); ok && len(r.Entries) > 1 && !lied {
					lied = true
					alter(r)
				}
			})
			var safety *SafetyError
			if err := bob.Sync(t.Context()); !errors.As(err, &safety) {
				t.Fatalf("sync gives %v", err)
			}
			if !lied || len(kept) == 0 || safety.Evidence != "evidence.huis" {
				t.Fatalf("lied %v, %d bytes of evidence, %+v", lied, len(kept), safety)
			}
			if _, err := bob.Send(context.Background(), "@alice", Draft{Text: "x"}); !errors.As(err, &safety) {
				t.Fatalf("send gives %v", err)
			}
		})
	}
}

// TestTwoVersionsOfALogMeetInGossip gives bob another log than carol: who reads
// a message whose sender saw the other one stops.
func TestTwoVersionsOfALogMeetInGossip(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "hello")
	bob.sync()
	bob.sync()
	alice.send("@bob", "one")
	bob.sync()
	// Bob's memory of the log is made to differ, as if he had been shown
	// another entry; what he sends then says so.
	err := bob.step(t.Context(), func(tx *tx) error {
		ids, err := tx.conversations()
		if err != nil {
			return err
		}
		cv, err := tx.conv(ids[0])
		if err != nil {
			return err
		}
		cv.head.Chain[0] ^= 1
		return tx.saveHead(cv)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = bob.step(t.Context(), func(tx *tx) error {
		ids, _ := tx.conversations()
		m, err := newMessage(w.clock.Now(), Draft{Text: "from the other side"})
		if err != nil {
			return err
		}
		_, err = tx.queue(ids[0], m)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	id := bob.inspect1("@alice").Conversation
	_, entry, err := bob.nextToSend(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := bob.call(t.Context(), Conversations, proto.Append, &proto.AppendRequest{Entry: *entry}, &proto.AppendResponse{}); err != nil {
		t.Fatal(err)
	}
	var safety *SafetyError
	if err := alice.Sync(t.Context()); !errors.As(err, &safety) {
		t.Fatalf("sync gives %v", err)
	}
}

// TestAMessageOfAnEpochNeverShownStops: with every entry before it applied, a
// message of a later epoch means that a change was left out.
func TestAMessageOfAnEpochNeverShownStops(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	id := bob.inspect1("plan").Conversation
	for later, want := range map[uint64]bool{0: false, 1: true} {
		err := bob.step(t.Context(), func(tx *tx) error {
			cv, err := tx.conv(id)
			if err != nil {
				return err
			}
			s := proto.Stamped{Entry: proto.Entry{Kind: proto.KindApplication, Conversation: id, Epoch: cv.group.Epoch() + later}}
			err = tx.applyApplication(cv, &s, proto.Hash{})
			if stopped := cv.meta.Alarm != ""; stopped != want {
				t.Errorf("%d epochs later: alarm %q", later, cv.meta.Alarm)
			}
			return errors.Join(err, errCut) // nothing of it stays
		})
		wantIs(t, err, errCut)
	}
}
