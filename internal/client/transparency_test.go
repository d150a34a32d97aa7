package client

import (
	"errors"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// lookAtLog makes a device look at the log anew, as after an hour.
func (d *device) lookAtLog() error { return d.syncTranslog(d.w.t.Context()) }

func wantLogAlarm(t *testing.T, err error, words string) *SafetyError {
	t.Helper()
	var safety *SafetyError
	if !errors.As(err, &safety) || !strings.Contains(safety.Reason, words) {
		t.Fatalf("got %v, want an alarm of %q", err, words)
	}
	return safety
}

// proofOf reads the only evidence file a device has kept.
func proofOf(t *testing.T, d *device) []byte {
	t.Helper()
	var file []byte
	err := d.step(t.Context(), func(tx *tx) error {
		all, err := tx.list("evidence/", "", 0)
		if len(all) == 1 {
			file = all[0].Value
		}
		return err
	})
	if err != nil || file == nil {
		t.Fatalf("no evidence, or more than one file: %v", err)
	}
	return file
}

func TestEveryDeviceHasTheWholeLog(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	w.clock.advance(50 * time.Hour)
	w.agree("plan", alice, bob)
	var roots []kt.Hash
	for _, d := range []*device{alice, bob} {
		if err := d.lookAtLog(); err != nil {
			t.Fatal(err)
		}
		err := d.step(t.Context(), func(tx *tx) error {
			tx.c.replay = kt.Replay{} // from the store alone
			r, err := tx.replayed()
			roots = append(roots, r.Root())
			if r.Map().Len() < 2 {
				t.Errorf("%d labels in the map", r.Map().Len())
			}
			return errors.Join(err, tx.mayAcceptKeys())
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if roots[0] != roots[1] {
		t.Error("two logs")
	}
}

func TestALogThatCannotBeTrustedStopsNewKeys(t *testing.T) {
	for name, c := range map[string]struct {
		words string
		lie   func(*device)
	}{
		"shorter than before": {"shorter", func(d *device) {
			d.net.set(func(n *wireTo) {
				n.before = func(m proto.Method) error {
					if m == proto.LogHead {
						return proto.Refuse(proto.Future)
					}
					return nil
				}
			})
		}},
		"not signed": {"not signed", func(d *device) {
			lie(d, func(_ proto.Method, r proto.Message) {
				if h, ok := r.(*proto.LogHeadResponse); ok {
					h.Checkpoint[len(h.Checkpoint)-10] ^= 1
				}
			})
		}},
		"another batch": {"rules", func(d *device) {
			lie(d, func(_ proto.Method, r proto.Message) {
				if e, ok := r.(*proto.LogEpochsResponse); ok {
					b := e.Epochs[len(e.Epochs)-1].Batch
					b[len(b)-1] ^= 1
				}
			})
		}},
		"epochs held back": {"whole log", func(d *device) {
			lie(d, func(_ proto.Method, r proto.Message) {
				if e, ok := r.(*proto.LogEpochsResponse); ok {
					e.Epochs = nil
				}
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.person("alice"), w.person("bob")
			alice.newChat("plan", "bob")
			w.agree("plan", alice, bob)
			w.person("carol")
			c.lie(bob)
			wantLogAlarm(t, bob.lookAtLog(), c.words)
			wantLogAlarm(t, bob.AddMembers(t.Context(), "plan", []string{"carol"}), "")
			alice.send("plan", "old conversations go on")
			_ = bob.Sync(t.Context())
			if got := bob.held("plan"); len(got) == 0 || got[len(got)-1] != "alice: old conversations go on" {
				t.Errorf("bob has %q", got)
			}
		})
	}
}

func TestARewrittenLogLeavesProof(t *testing.T) {
	w := newWorld(t)
	w.person("alice")
	bob := w.person("bob")
	if err := bob.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	other := newWorldOf(t, w.key) // the same server, restored from nothing
	other.person("mallory")
	other.person("bob")
	bob.net.set(func(n *wireTo) { n.w = other })
	wantLogAlarm(t, bob.lookAtLog(), "rewritten")
	kind, log, err := kt.VerifyEvidence(proofOf(t, bob))
	if err != nil || kind != kt.EvidenceSplitView || log.Name != "test" {
		t.Fatalf("the evidence: %s, %v", kind, err)
	}
}

func TestTwoLogsAreFoundByTheFirstMessage(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	if err := errors.Join(alice.lookAtLog(), bob.lookAtLog()); err != nil {
		t.Fatal(err)
	}
	alice.send("plan", "same log")
	bob.sync()
	// What bob holds is what a server showed him that has another log for alice.
	err := bob.step(t.Context(), func(tx *tx) error {
		h, err := tx.logHead()
		if err != nil {
			return err
		}
		for n := range h.Size {
			e, _, err := tx.logEpochAt(n)
			if err != nil {
				return err
			}
			e.Root[0] ^= 1
			if err := tx.save(epochKey(n), e.wire); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	alice.send("plan", "another log")
	wantLogAlarm(t, bob.Sync(t.Context()), "two logs")
	if got := bob.held("plan"); got[len(got)-1] != "alice: another log" {
		t.Errorf("bob has %q", got)
	}
}

func TestGossipOfWhatIsNotSeenYetIsSettledLater(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	hear := func(root byte) {
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
			own[11], own[12] = byte(h.Size+1), own[12]^root
			return tx.hearGossip(proto.ConversationID{}, member{}, &content.Opened{Envelope: content.Envelope{Checkpoint: own}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := bob.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	hear(1) // certainly not the next root
	bob.sync()
	w.person("carol")
	if err := bob.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	wantLogAlarm(t, bob.Sync(t.Context()), "two logs")
}

func TestALogThatStandsStillVouchesForNothingNew(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	if err := alice.lookAtLog(); err != nil {
		t.Fatal(err)
	}
	may := func() error { return alice.step(t.Context(), func(tx *tx) error { return tx.mayAcceptKeys() }) }
	if err := may(); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(48 * time.Hour)
	wantLogAlarm(t, may(), "stood still")
	if err := errors.Join(alice.lookAtLog(), may()); err != nil {
		t.Errorf("after the log went on: %v", err)
	}
}
