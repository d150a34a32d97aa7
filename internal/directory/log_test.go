package directory

import (
	"testing"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// labelProof reads an answer as a client does.
func labelProof(t *testing.T, p *proto.LogProof) *kt.LabelProof {
	t.Helper()
	l := &kt.LabelProof{VRF: p.VRF}
	for _, o := range p.Openings {
		l.Openings = append(l.Openings, o)
	}
	if err := wire.Decode(p.Map, l.Map.Wire); err != nil {
		t.Fatal(err)
	}
	return l
}

// root is the root of the map in epoch n, out of the log itself.
func (w *world) root(session proto.SessionID, n uint64) kt.Hash {
	w.t.Helper()
	var r kt.Replay
	for r.Size() <= n {
		page, err := w.LogEpochs(w.t.Context(), &proto.LogEpochsRequest{Session: session, From: r.Size()})
		if err != nil || len(page.Epochs) == 0 {
			w.t.Fatal("the log ends", err)
		}
		for _, e := range page.Epochs {
			record, err := kt.ParseEpochRecord(e.Record)
			if err != nil {
				w.t.Fatal(err)
			}
			var batch []kt.BatchEntry
			if err := wire.Decode(e.Batch, batchWire(&batch)); err != nil {
				w.t.Fatal(err)
			}
			if r, err = r.Apply(record, batch); err != nil {
				w.t.Fatal(err)
			}
			if record.N == n {
				return record.MapRoot
			}
		}
	}
	return kt.Hash{}
}

// logged checks that the log has exactly the person's links.
func (w *world) checkLogged(p *person, session proto.SessionID, handle string) {
	w.t.Helper()
	got, err := w.ChainProof(w.t.Context(), &proto.ChainProofRequest{Session: session, Account: p.account()})
	if err != nil {
		w.t.Fatal(err)
	}
	if got.Handle != handle || len(got.Links) != len(p.links) {
		w.t.Fatalf("%d links of %q", len(got.Links), got.Handle)
	}
	_, vrf := w.LogKeys()
	proof := labelProof(w.t, &got.Proof)
	root := w.root(session, got.Proof.Epoch)
	if leaf, err := proof.Verify(vrf, kt.KindAccount, []byte(handle), root, p.links); err != nil || leaf == nil {
		w.t.Fatalf("not in the log: %v", err)
	}
	if _, err := proof.Verify(vrf, kt.KindAccount, []byte(handle), root, p.links[:len(p.links)-1]); err == nil {
		w.t.Error("the log proves less than all links")
	}
	if _, err := proof.Verify(vrf, kt.KindAccount, []byte("other"), root, p.links); err == nil {
		w.t.Error("the log proves the links for another name")
	}
}

func TestEveryLinkIsInTheLogWhenItIsAnswered(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.join("alice"), w.join("bob")
	session, _ := w.open(alice, alice.device)
	w.checkLogged(alice, session, "alice")
	w.checkLogged(bob, session, "bob")

	link := alice.extend(alice.chain.Refresh(w.clock.t, alice.signer()))(t)
	if err := w.append(session, link); err != nil {
		t.Fatal(err)
	}
	w.checkLogged(alice, session, "alice")
	before := w.log
	if err := w.append(session, link); err != nil {
		t.Errorf("the same link again: %v", err)
	}
	w.checkLogged(alice, session, "alice")

	again, err := Open(t.Context(), w.Config)
	if err != nil {
		t.Fatal(err)
	}
	old, _ := before.Head(0)
	now, _ := again.log.Head(0)
	if string(old.Checkpoint) != string(now.Checkpoint) {
		t.Error("another log after a restart")
	}
}

func TestLogAnswersOnlyWhomItShould(t *testing.T) {
	w := newWorld(t)
	alice := w.join("alice")
	_, err := w.LogEpochs(t.Context(), &proto.LogEpochsRequest{})
	wantCode(t, "batches without a session", err, proto.BadSession)
	_, err = w.ChainProof(t.Context(), &proto.ChainProofRequest{Account: alice.account()})
	wantCode(t, "a proof without a session", err, proto.BadSession)
	_, err = w.LogEntry(t.Context(), &proto.LogEntryRequest{Kind: uint8(kt.KindAccount), Label: []byte("alice")})
	wantCode(t, "an account by the way of other labels", err, proto.Forbidden)
	session, _ := w.open(alice, alice.device)
	_, err = w.ChainProof(t.Context(), &proto.ChainProofRequest{Session: session, Account: proto.AccountID{9}})
	wantCode(t, "nobody", err, proto.UnknownAccount)
	_, err = w.ChainProof(t.Context(), &proto.ChainProofRequest{Session: session, Account: alice.account(), At: 77})
	wantCode(t, "a version that is not kept", err, proto.Gone)
	_, err = w.LogHead(t.Context(), &proto.LogHeadRequest{From: 77})
	wantCode(t, "a log that is not there yet", err, proto.Future)
}

func TestServersOwnLabels(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		if err := w.AddToLog(t.Context(), kt.KindStampKey, []byte("kid"), []byte("key")); err != nil {
			t.Fatal(err)
		}
	}
	alice := w.join("alice")
	session, _ := w.open(alice, alice.device)
	_, vrf := w.LogKeys()
	for label, want := range map[string]bool{"kid": true, "other": false} {
		got, err := w.LogEntry(t.Context(), &proto.LogEntryRequest{Kind: uint8(kt.KindStampKey), Label: []byte(label)})
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := labelProof(t, &got.Proof).Verify(vrf, kt.KindStampKey, []byte(label), w.root(session, got.Proof.Epoch), got.Values)
		if err != nil || (leaf != nil) != want || want && string(got.Values[0]) != "key" {
			t.Errorf("%s: %v, %v", label, leaf, err)
		}
	}
}

func TestRunningLogAnswersEveryChange(t *testing.T) {
	w := newWorld(t)
	go w.RunLog(t.Context())
	alice := w.join("alice")
	session, _ := w.open(alice, alice.device)
	w.checkLogged(alice, session, "alice")
}
