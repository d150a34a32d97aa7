package mls

import (
	"bytes"
	"strings"
	"testing"
)

// TestMembersReplaceTheirLeaves: another signature key, credential and leaf, by
// path and by Update.
func TestMembersReplaceTheirLeaves(t *testing.T) {
	w := newWorld(t)
	signer, public, err := GenerateSignatureKey(testSuite)
	w.alice.must(err)
	cred := BasicCredential([]byte("alice, renewed"))
	capabilities := DefaultCapabilities(testSuite)
	capabilities.Extensions = append(capabilities.Extensions, 0xF321)
	opt := CommitOptions{NewSigner: &signer, NewCredential: &cred, Leaf: LeafOptions{
		Capabilities: &capabilities, Extensions: []Extension{{0xF321, []byte("x")}},
	}}
	opt.NoPath = true
	opt.Proposals = []Proposal{add(w.spare.bundle.KeyPackage)}
	if _, err := w.alice.group.Commit(testTime, opt); err == nil {
		t.Fatal("a leaf was replaced without a path")
	}
	opt.NoPath, opt.Proposals = false, nil
	c := w.alice.commit(opt)
	if !c.CommitterChanged {
		t.Error("the committer does not see that it changed")
	}
	p := w.bob.receive(c.Message())
	if !p.Commit.CommitterChanged {
		t.Error("bob does not see that alice changed")
	}
	m, _ := w.bob.group.Member(1)
	if !bytes.Equal(m.SignatureKey, public) || !m.Credential.Equal(&cred) || len(m.Extensions) != 1 {
		t.Errorf("bob sees %+v", m)
	}
	if got := w.bob.receive(w.alice.protect("signed with the new key")); got.SenderMember.Leaf != 1 {
		t.Errorf("message of leaf %d", got.SenderMember.Leaf)
	}

	w.carol.receive(c.Message())
	signer, public, err = GenerateSignatureKey(testSuite)
	w.bob.must(err)
	msg, ref, delta, err := w.bob.group.ProposeUpdate(UpdateOptions{NewSigner: &signer}, nil, false)
	w.bob.must(err)
	w.bob.write(delta)
	w.carol.receive(msg)
	w.alice.receive(msg)
	c = w.alice.commit(CommitOptions{ByRef: []ProposalRef{ref}})
	w.bob.receive(c.Message())
	p = w.carol.receive(c.Message())
	if len(p.Commit.Updates) != 1 || !bytes.Equal(p.Commit.Updates[0].SignatureKey, public) || p.Commit.CommitterChanged {
		t.Errorf("carol sees the updates %+v", p.Commit.Updates)
	}
	sameEpoch(t, w.alice, w.bob, w.carol)
	w.carol.receive(w.bob.protect("signed with the new key"))
}

// TestGroupInfoIsMadeAndSealedOnce: its extensions are asked for once, with the
// next epoch at hand, and every joiner gets the same ciphertext.
func TestGroupInfoIsMadeAndSealedOnce(t *testing.T) {
	w := newWorld(t)
	seals := map[string]int{}
	SetSealObserver(func(key, nonce, _ []byte) { seals[string(key)+string(nonce)]++ })
	defer SetSealObserver(nil)
	asked := 0
	other := newDevice(t, testSuite, "other")
	c := w.alice.commit(CommitOptions{
		Proposals: []Proposal{add(w.spare.bundle.KeyPackage), add(other.keyPackage())},
		GroupInfoExtensions: func(next *GroupView) ([]Extension, error) {
			asked++
			if _, there := next.Member(5); next.Epoch() != w.alice.group.Epoch()+1 || !there {
				t.Error("not the next epoch's view")
			}
			return []Extension{{0xF1A2, []byte("where the tree is")}}, nil
		},
	})
	list := c.Welcomes()
	if asked != 1 || len(list) != 2 || !bytes.Equal(list[0].EncryptedGroupInfo, list[1].EncryptedGroupInfo) {
		t.Fatalf("asked %d times for %d Welcomes", asked, len(list))
	}
	for pair, n := range seals {
		if n > 1 {
			t.Errorf("key and nonce %x were used %d times", pair, n)
		}
	}
	for i, d := range []*device{w.spare, other} {
		info, err := OpenGroupInfo(list[i], d.bundle, nil)
		d.must(err)
		if data, found := FindExtension(info.Extensions, 0xF1A2); !found || string(data) != "where the tree is" {
			t.Errorf("extension is %q", data)
		}
		d.join(list[i], w.alice.group.RatchetTree())
		_, err = OpenGroupInfo(list[1-i], d.bundle, nil)
		wantRefused(t, err, "12.4.3.1", "not for this key package")
	}
	sameEpoch(t, w.alice, w.spare, other)
}

// TestCommitsOfOneEpochUseNoKeyTwice: a commit that is thrown away has used its
// message key up, also after a restart.
func TestCommitsOfOneEpochUseNoKeyTwice(t *testing.T) {
	w := newWorld(t)
	generations := map[uint32]bool{}
	for range 3 {
		c, err := w.alice.group.Commit(testTime, CommitOptions{})
		w.alice.must(err)
		w.alice.write(c.Delta) // and restart
		p, err := w.bob.group.Process(testTime, c.Message())
		w.bob.must(err)
		if generations[p.Generation] {
			t.Fatalf("generation %d was used again", p.Generation)
		}
		generations[p.Generation] = true
	}
}

// TestResumptionSecretsOfPastEpochsAreBounded: they serve as PSKs as long as
// they are kept, and are deleted with their record.
func TestResumptionSecretsOfPastEpochsAreBounded(t *testing.T) {
	w := newWorld(t)
	for _, d := range []*device{w.alice, w.bob} {
		d.opt.MaxResumptionEpochs = 2
		d.group.opt = d.opt
	}
	for range 3 {
		w.bob.receive(w.alice.commit(CommitOptions{}).Message())
	}
	with := func(epoch uint64) (*StagedCommit, error) {
		id, err := ResumptionPSK(testSuite, []byte("group"), epoch)
		w.alice.must(err)
		return w.alice.group.Commit(testTime, CommitOptions{Proposals: []Proposal{{Type: ProposalPSK, PreSharedKey: &PreSharedKey{id}}}})
	}
	now := w.alice.group.Epoch()
	for _, n := range []uint64{now, now - 1, now - 2} {
		c, err := with(n)
		w.alice.must(err)
		if _, err := w.bob.group.Process(testTime, c.Message()); err != nil {
			t.Errorf("resumption PSK of epoch %d at %d: %v", n, now, err)
		}
	}
	if _, err := with(now - 3); err == nil {
		t.Error("the resumption secret of three epochs ago is still there")
	}
	for key := range w.alice.store {
		if strings.HasPrefix(key, "resumption/") && key != resumptionKey(now-1) && key != resumptionKey(now-2) {
			t.Errorf("%s is still stored", key)
		}
	}
}

// TestPaddingHidesLengths: by default to multiples of 64, or as the caller says.
func TestPaddingHidesLengths(t *testing.T) {
	w := newWorld(t)
	size := func(text string) int {
		m, err := ParseMLSMessage(w.alice.protect(text))
		w.alice.must(err)
		return len(m.PrivateMessage.Ciphertext)
	}
	if size("a") != size("a little longer") || size("a") == size(strings.Repeat("a", 100)) {
		t.Error("default padding")
	}
	w.alice.opt.Padding = func(n int) int { return 1000 - n }
	w.alice.group.opt = w.alice.opt
	if size("a") != 1000+16 {
		t.Errorf("padded to %d", size("a"))
	}
}
