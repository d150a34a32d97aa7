package directory

import (
	"bytes"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

func TestPoliciesAreLoggedAsTheirSignersMadeThem(t *testing.T) {
	w := newWorld(t)
	admin, bob := w.join("admin"), w.join("bob")
	session, isAdmin := w.open(admin, admin.device)
	bobs, _ := w.open(bob, bob.device)
	if !isAdmin {
		t.Fatal("the first is no admin")
	}
	log, vrf := w.LogKeys()
	key := kt.GeneratePolicyKey()
	sign := func(p kt.Policy, k kt.PolicyKey) *kt.SignedPolicy {
		return &kt.SignedPolicy{Policy: p, Signatures: []kt.PolicySignature{k.Sign(&p, 0)}}
	}
	put := func(s proto.SessionID, p *kt.SignedPolicy) error {
		_, err := w.PolicyPut(t.Context(), &proto.PolicyPutRequest{Session: s, Policy: p.Encode()})
		return err
	}
	first := kt.Policy{
		Origin: log.Name, LogKey: log.Key, VRFKey: vrf, Quorum: kt.QuorumNone,
		Signers: []kt.PolicySigner{{Account: kt.AccountID(admin.account()), Key: key.Public()}}, M: 1,
	}
	other := first
	other.LogKey[0] ^= 1
	wantCode(t, "of another log", put(session, sign(other, key)), proto.BadChain)
	wantCode(t, "signed by nobody", put(session, sign(first, kt.GeneratePolicyKey())), proto.BadChain)
	wantCode(t, "from who is no admin", put(bobs, sign(first, key)), proto.Forbidden)
	stranger := first
	stranger.Signers = []kt.PolicySigner{{Account: kt.AccountID(bob.account()), Key: key.Public()}}
	wantCode(t, "with another signer", put(session, sign(stranger, key)), proto.Forbidden)
	_, err := w.PolicyPut(t.Context(), &proto.PolicyPutRequest{Policy: sign(first, key).Encode()})
	wantCode(t, "without a session", err, proto.BadSession)
	_, err = w.PolicyPut(t.Context(), &proto.PolicyPutRequest{Session: session, Policy: []byte{1, 2}})
	wantCode(t, "that is none", err, proto.BadChain)

	second := first.Next(first.Set())
	wantCode(t, "before the first", put(session, sign(second, key)), proto.Conflict)
	for range 2 { // the same again changes nothing
		if err := put(session, sign(first, key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(bobs, sign(second, key)); err != nil { // who sends it does not matter
		t.Fatal(err)
	}
	wantCode(t, "a second one", put(session, sign(first.Next(kt.WitnessSet{Witnesses: []kt.NoteKey{log}, Quorum: log.Name}), key)), proto.Conflict)
	wantCode(t, "not signed by the one before", put(session, sign(second.Next(second.Set()), kt.GeneratePolicyKey())), proto.BadChain)

	got, err := w.LogEntry(t.Context(), &proto.LogEntryRequest{Kind: uint8(kt.KindPolicy), Label: []byte(kt.PolicyLabel)})
	if err != nil || len(got.Values) != 2 || !bytes.Equal(got.Values[0], sign(first, key).Encode()) {
		t.Fatalf("%d values, %v", len(got.Values), err)
	}
	root := w.root(session, got.Proof.Epoch)
	if leaf, err := labelProof(t, &got.Proof).Verify(vrf, kt.KindPolicy, []byte(kt.PolicyLabel), root, got.Values); err != nil || leaf == nil {
		t.Errorf("not in the log: %v", err)
	}
}

func TestEnoughWitnessesAreThoseOfBothPolicies(t *testing.T) {
	key := func(b byte) kt.NoteKey { return kt.NoteKey{Name: string('a' + rune(b)), Key: [32]byte{b}} }
	asks := func(k ...kt.NoteKey) *kt.Policy {
		g := kt.WitnessGroup{Name: "all", Threshold: uint8(len(k))}
		for _, w := range k {
			g.Members = append(g.Members, w.Name)
		}
		return &kt.Policy{Witnesses: k, Groups: []kt.WitnessGroup{g}, Quorum: "all"}
	}
	var l lastPolicies
	if l.enough([]kt.NoteKey{key(1)}) {
		t.Error("enough for nobody knows whom")
	}
	l.add(&kt.Policy{Quorum: kt.QuorumNone})
	if l.enough(nil) {
		t.Error("enough where nobody is asked for")
	}
	l.add(asks(key(1)))
	if !l.enough([]kt.NoteKey{key(1)}) || l.enough([]kt.NoteKey{key(2)}) {
		t.Error("one policy")
	}
	l.add(asks(key(2), key(3)))
	if l.enough([]kt.NoteKey{key(2), key(3)}) || l.enough([]kt.NoteKey{key(1), key(2)}) || !l.enough([]kt.NoteKey{key(1), key(2), key(3)}) {
		t.Error("two policies")
	}
}
