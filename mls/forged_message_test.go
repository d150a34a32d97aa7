package mls

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// wantRefused fails unless err refuses under section for reason.
func wantRefused(t testing.TB, err error, section, reason string) {
	t.Helper()
	var e *InvalidError
	if !errors.As(err, &e) || e.Section != section || !strings.Contains(e.Reason, reason) {
		t.Errorf("got %v, want section %s: %s", err, section, reason)
	}
}

// forgeProposal frames a proposal of mallory's, or of another sender.
func (w *world) forgeProposal(p Proposal, f forgery) []byte {
	content := w.mallory.group.content(ContentProposal, nil)
	content.Proposal = &p
	return w.public(&AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: content}, f)
}

// update is an Update by mallory, altered and signed again.
func (w *world) update(alter func(*LeafNode)) Proposal {
	key, public, err := GenerateHPKEKey(testSuite)
	w.mallory.must(err)
	same(key)
	n, err := replaceLeaf(w.mallory.group.tree.leaf(0), public, w.mallory.signer, nil, LeafOptions{})
	w.mallory.must(err)
	n.Source = SourceUpdate
	alter(n)
	w.mallory.must(n.sign(testSuite, w.mallory.signer, w.mallory.group.GroupID(), 0))
	return Proposal{Type: ProposalUpdate, Update: &Update{*n}}
}

// TestForgedUpdatesAreRefused: alice commits an Update of mallory's; the
// proposal comes to bob as well.
func TestForgedUpdatesAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, section, reason string
		alter                 func(w *world, n *LeafNode)
		more                  []Proposal
	}{
		{"with the encryption key it had", "12.1.2", "keeps the encryption key", func(w *world, n *LeafNode) {
			n.EncryptionKey = w.mallory.group.tree.leaf(0).EncryptionKey
		}, nil},
		{"with a leaf of a key package", "7.3", "source 1, want 2", func(_ *world, n *LeafNode) { n.Source = SourceKeyPackage }, nil},
		{"with the removal of its leaf", "12.2", "two proposals change leaf 0", func(*world, *LeafNode) {}, []Proposal{remove(0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			msg := w.forgeProposal(w.update(func(n *LeafNode) { c.alter(w, n) }), forgery{})
			ref := w.alice.receive(msg).Ref
			_, err := w.alice.group.Commit(testTime, CommitOptions{ByRef: []ProposalRef{ref}, Proposals: c.more})
			wantRefused(t, err, c.section, c.reason)

			w.bob.receive(msg)
			w.mallory, w.alice = w.alice, w.mallory // alice forges the commit of it
			w.mallory.signer = w.mallory.group.epoch.signer
			w.refused(w.forge(forgery{refs: []ProposalRef{ref}, list: c.more}), c.section, c.reason)
		})
	}
}

func TestSendersProposeOnlyWhatTheyMay(t *testing.T) {
	ds := newDevice(t, testSuite, "ds")
	w := newWorld(t, ExternalSendersExtension([]ExternalSender{{ds.signer.PublicKey(), BasicCredential([]byte("ds"))}}))
	external := forgery{sender: &Sender{SenderType: SenderExternal}, signer: ds.signer}
	w.refused(w.forgeProposal(w.update(same), external), "12.1.8", "type 2 may not make a proposal of type 0x0002")
	w.refused(w.forgeProposal(remove(3), forgery{sender: &Sender{SenderType: SenderExternal, SenderIndex: 7}, signer: ds.signer}), "12.1.8.1", "external sender 7 is not listed")
	w.refused(w.forgeProposal(remove(3), forgery{sender: external.sender, signer: w.spare.signer}), "6.1", "signature")
	newMember := forgery{sender: &Sender{SenderType: SenderNewMemberProposal}, signer: w.spare.signer}
	w.refused(w.forgeProposal(remove(3), newMember), "12.1.8", "other than its own Add")
	w.refused(w.forgeProposal(remove(3), forgery{sender: &Sender{SenderType: SenderMember, LeafIndex: 9}}), "6.1", "leaf 9 is blank")
	if _, err := ProposeExternal(testSuite, []byte("group"), 1, 0, ds.signer, w.update(same)); !isInvalid(err, "12.1.8") {
		t.Errorf("external Update: %v", err)
	}
	if p := w.bob.receive(w.forgeProposal(remove(3), external)); p.Sender.SenderType != SenderExternal {
		t.Errorf("a good external proposal comes from %+v", p.Sender)
	}
}

func TestMessagesOfOtherGroupsAndEpochsAreTold(t *testing.T) {
	w := newWorld(t)
	other := newDevice(t, testSuite, "other")
	other.create("another group")
	w.refused(other.protect("x"), "6", "another group")
	welcome := MLSMessage{Version: MLS10, WireFormat: WireFormatKeyPackage, KeyPackage: w.spare.bundle.KeyPackage}
	b, err := welcome.Encode()
	w.spare.must(err)
	w.refused(b, "6", "neither public nor private")
	if _, err := Peek(b); !isInvalid(err, "6") {
		t.Errorf("header of a key package: %v", err)
	}
	w.refused(w.forge(forgery{refs: nil, after: func(c *Commit) {
		c.Proposals = []ProposalOrRef{{Reference: []byte("unknown")}}
	}}), "12.4.2", "not known")
	w.refused(w.forge(forgery{sender: &Sender{SenderType: SenderNewMemberCommit}}), "12.4.3.2", "without a path")
}

// TestOutcomesOfOldAndOwnMessages: echo, repetition, stale, future and fork are
// told apart.
func TestOutcomesOfOldAndOwnMessages(t *testing.T) {
	for _, public := range []bool{false, true} {
		w := newWorld(t)
		want := func(d *device, msg []byte, want error) {
			t.Helper()
			if _, err := d.group.Process(testTime, msg); !errors.Is(err, want) {
				t.Errorf("public %v: got %v, want %v", public, err, want)
			}
		}
		rival, err := w.carol.group.Commit(testTime, CommitOptions{Public: public})
		w.carol.must(err)
		pending, err := w.alice.group.Commit(testTime, CommitOptions{Public: public})
		w.alice.must(err)
		want(w.alice, pending.Message(), ErrOwnMessage)
		hello := w.alice.protect("hello")
		want(w.alice, hello, ErrOwnMessage)
		w.bob.receive(hello)
		want(w.bob, hello, ErrDuplicate)

		before := *w.bob.group
		p, err := w.bob.group.Process(testTime, pending.Message())
		w.bob.must(err)
		if _, err := w.carol.group.Merge(testTime, p.Commit); err != nil {
			t.Errorf("a commit staged by another member on the same epoch: %v", err)
		}
		if before.epoch != w.bob.group.epoch {
			t.Error("processing a commit changed the epoch")
		}
		b := w.bob.receive(pending.Message())
		if _, err := w.bob.group.Merge(testTime, b.Commit); !errors.Is(err, ErrStaleEpoch) {
			t.Errorf("merged twice: %v", err)
		}
		d, err := w.alice.group.Merge(testTime, pending)
		w.alice.must(err)
		w.alice.write(d)
		sameEpoch(t, w.alice, w.bob)

		want(w.bob, pending.Message(), ErrDuplicate)
		want(w.alice, pending.Message(), ErrOwnMessage)
		if public {
			want(w.bob, rival.Message(), ErrStaleEpoch) // its keys are gone: nothing can be told of it
		} else {
			want(w.bob, rival.Message(), ErrFork)
		}
		want(w.mallory, w.bob.commit(CommitOptions{Public: public}).Message(), ErrFutureEpoch)
	}
}

func TestForkIsToldAtMerge(t *testing.T) {
	w := newWorld(t)
	a, err := w.alice.group.Commit(testTime, CommitOptions{})
	w.alice.must(err)
	b, err := w.bob.group.Commit(testTime, CommitOptions{})
	w.bob.must(err)
	_, err = w.alice.group.Merge(testTime, a)
	w.alice.must(err)
	_, err = w.bob.group.Merge(testTime, b)
	w.bob.must(err)
	c, err := w.bob.group.Commit(testTime, CommitOptions{})
	w.bob.must(err)
	if _, err := w.alice.group.Merge(testTime, c); !errors.Is(err, ErrFork) {
		t.Fatalf("merged a commit of another history: %v", err)
	}
	stored, err := c.MarshalBinary()
	w.bob.must(err)
	if _, err := w.alice.group.ParseStagedCommit(stored); !errors.Is(err, ErrFork) {
		t.Fatalf("parsed a commit of another history: %v", err)
	}
	observed := &StagedCommit{current: w.alice.group.View()}
	if _, err := w.alice.group.Merge(testTime, observed); !errors.Is(err, errForeignStage) {
		t.Fatalf("merged an observer's: %v", err)
	}
}

func TestPastEpochsAreBoundedByCountAndTime(t *testing.T) {
	w := newWorld(t)
	w.alice.opt.MaxPastEpochs, w.alice.opt.PastEpochAge = 2, time.Minute
	w.alice.group.opt = w.alice.opt
	var old [][]byte
	for range 4 {
		old = append(old, w.bob.protect("old"))
		w.alice.receive(w.bob.commit(CommitOptions{}).Message())
	}
	if n := len(w.alice.group.PastEpochs()); n != 2 {
		t.Fatalf("%d past epochs", n)
	}
	if _, err := w.alice.group.Process(testTime, old[1]); !errors.Is(err, ErrStaleEpoch) {
		t.Fatalf("message three epochs old: %v", err)
	}
	w.alice.receive(old[2])
	if _, err := w.alice.group.Process(testTime.Add(2*time.Minute), old[3]); !errors.Is(err, ErrStaleEpoch) {
		t.Fatalf("message of an epoch that ended two minutes ago: %v", err)
	}
	w.alice.write(w.alice.group.ForgetPast(testTime.Add(2*time.Minute), 0))
	for key := range w.alice.store {
		if strings.HasPrefix(key, "past/") || strings.HasPrefix(key, "keys/") && !strings.HasPrefix(key, "keys/"+itoa(w.alice.group.Epoch())+"/") {
			t.Errorf("%s is still stored", key)
		}
	}
}

func itoa(n uint64) string { return strings.TrimPrefix(epochKey(n), "epoch/") }

// TestLateMessagesResolveTheirSenderInTheirOwnEpoch: leaf indices are used again.
func TestLateMessagesResolveTheirSenderInTheirOwnEpoch(t *testing.T) {
	w := newWorld(t)
	late := w.carol.protect("late")
	c := w.alice.commit(CommitOptions{Proposals: []Proposal{remove(3), add(w.spare.bundle.KeyPackage)}, TreeInWelcome: true})
	w.bob.receive(c.Message())
	w.spare.join(c.Welcome(), nil)
	if w.spare.group.OwnLeaf() != 3 {
		t.Fatalf("spare is at leaf %d", w.spare.group.OwnLeaf())
	}
	if p := w.bob.receive(late); string(p.SenderMember.Credential.Identity) != "carol" {
		t.Fatalf("late message is of %q", p.SenderMember.Credential.Identity)
	}
}

func TestApplicationPolicyRefusesCommits(t *testing.T) {
	w := newWorld(t)
	w.bob.group.opt.ValidateCommit = func(current, next *GroupView, c *StagedCommit) error {
		if len(c.Removes) > 0 && c.Committer == 1 {
			return errors.New("alice may not remove")
		}
		if len(next.Members()) != len(current.Members())-len(c.Removes)+len(c.Adds) {
			return errors.New("views are wrong")
		}
		return nil
	}
	c, err := w.alice.group.Commit(testTime, CommitOptions{Proposals: []Proposal{remove(3)}})
	w.alice.must(err)
	w.refused(c.Message(), "12.4.2", "alice may not remove")
	_, _, err = Join(w.welcome(same, same), w.spare.bundle, JoinOptions{}, Options{ValidateCommit: func(current, next *GroupView, c *StagedCommit) error {
		return errors.New("not this one")
	}})
	wantRefused(t, err, "12.4.3.1", "not this one")
}

func TestKeyPackagesOutsideTheirLifetimeAreNotAdded(t *testing.T) {
	w := newWorld(t)
	opt := CommitOptions{Proposals: []Proposal{add(w.spare.bundle.KeyPackage)}}
	for _, at := range []time.Time{testTime.Add(-time.Hour), testTime.Add(time.Hour)} {
		_, err := w.alice.group.Commit(at, opt)
		wantRefused(t, err, "7.3", "not valid at this time")
		wantRefused(t, w.spare.bundle.KeyPackage.Verify(at), "7.3", "not valid at this time")
	}
	c, err := w.alice.group.Commit(testTime, opt)
	w.alice.must(err)
	// Who processes it does not look at its clock: clocks must not split a group.
	if _, err := w.bob.group.Process(testTime.Add(1000*time.Hour), c.Message()); err != nil {
		t.Error(err)
	}
}

func TestProposalsOfAnEpochAreBounded(t *testing.T) {
	w := newWorld(t)
	for range maxProposals {
		w.bob.group.proposals.keep(&keptProposal{ref: randomBytes(8)})
	}
	msg, _, _, err := w.alice.group.Propose(remove(3), nil, true)
	w.alice.must(err)
	_, err = w.bob.group.Process(testTime, msg)
	wantRefused(t, err, "12.1.8", "more than")
}

func TestProposalIsKeptOnce(t *testing.T) {
	w := newWorld(t)
	msg := w.forgeProposal(remove(3), forgery{})
	w.bob.receive(msg)
	if _, err := w.bob.group.Process(testTime, msg); !errors.Is(err, ErrDuplicate) {
		t.Fatalf("proposal again: %v", err)
	}
}

func TestNothingGoesOnAfterReInit(t *testing.T) {
	w := newWorld(t)
	stale := w.forgeProposal(remove(3), forgery{})
	same(stale)
	c := w.alice.commit(CommitOptions{Proposals: []Proposal{reinitTo(1)}})
	w.bob.receive(c.Message())
	w.mallory.receive(c.Message())
	if w.bob.group.PendingReInit() == nil {
		t.Fatal("group goes on")
	}
	_, err := w.bob.group.Commit(testTime, CommitOptions{})
	wantRefused(t, err, "11.2", "group has ended")
	_, _, err = w.bob.group.Protect(nil, nil)
	wantRefused(t, err, "11.2", "group has ended")
	_, err = w.bob.group.Process(testTime, w.forgeProposal(remove(3), forgery{}))
	wantRefused(t, err, "11.2", "after the group was re-initialized")
	_, err = w.bob.group.Process(testTime, w.forge(forgery{}))
	wantRefused(t, err, "11.2", "after the group was re-initialized")
}

// forgeExternal is an external commit by spare, altered and signed again.
func (w *world) forgeExternal(alter func(*Commit)) []byte {
	w.t.Helper()
	info, err := w.alice.group.GroupInfo(true)
	w.alice.must(err)
	_, msg, _, err := JoinExternal(info, w.spare.signer, BasicCredential([]byte("spare")), ExternalJoinOptions{}, Options{})
	w.alice.must(err)
	m, err := ParseMLSMessage(msg)
	w.alice.must(err)
	content := m.PublicMessage.Content
	alter(content.Commit)
	return w.public(&AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: content}, forgery{
		sender: &Sender{SenderType: SenderNewMemberCommit}, signer: w.spare.signer,
	})
}

func TestForgedExternalCommitsAreRefused(t *testing.T) {
	value := func(p Proposal) ProposalOrRef { return ProposalOrRef{Proposal: &p} }
	for _, c := range []struct {
		name, section, reason string
		alter                 func(w *world, c *Commit)
	}{
		{"by reference", "12.4.3.2", "by reference", func(w *world, c *Commit) {
			ref := w.bob.receive(w.forgeProposal(remove(3), forgery{})).Ref
			c.Proposals = append(c.Proposals, ProposalOrRef{Reference: ref})
		}},
		{"with an Add", "12.2", "type 0x0001", func(w *world, c *Commit) { c.Proposals = append(c.Proposals, value(w.altered(same))) }},
		{"with two inits", "12.2", "2 ExternalInit", func(w *world, c *Commit) { c.Proposals = append(c.Proposals, c.Proposals[0]) }},
		{"without an init", "12.2", "0 ExternalInit", func(w *world, c *Commit) { c.Proposals = nil }},
		{"with two removals", "12.2", "2 Remove", func(w *world, c *Commit) { c.Proposals = append(c.Proposals, value(remove(1)), value(remove(3))) }},
		{"with a KEM output that is none", "8.3", "does not decapsulate", func(w *world, c *Commit) {
			c.Proposals = slices.Clone(c.Proposals)
			c.Proposals[0] = value(Proposal{Type: ProposalExternalInit, ExternalInit: &ExternalInit{[]byte{1}}})
		}},
		{"with another init", "6.1", "confirmation tag", func(w *world, c *Commit) {
			k := bytes.Clone(c.Proposals[0].Proposal.ExternalInit.KEMOutput)
			k[0] ^= 1
			c.Proposals[0].Proposal.ExternalInit.KEMOutput = k
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.refused(w.forgeExternal(func(k *Commit) { c.alter(w, k) }), c.section, c.reason)
		})
	}
	w := newWorld(t)
	info, err := w.alice.group.GroupInfo(true)
	w.alice.must(err)
	info.Extensions = info.Extensions[1:]
	w.alice.must(info.sign(w.alice.group.suite(), w.alice.signer))
	_, _, _, err = JoinExternal(info, w.spare.signer, BasicCredential([]byte("spare")), ExternalJoinOptions{}, Options{})
	wantRefused(t, err, "12.4.3.2", "no external_pub")
}
