package mls

import (
	"bytes"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
)

// The fuzzers of this file play a member, or somebody who may invite, who signs
// and seals whatever bytes it likes: the input gets past signatures, tags and
// encryption to what is behind them.

// forgeProposal is forge for a proposal that travels alone.
func (g *trio) forgeProposal(p *Proposal) ([]byte, error) {
	d := g.alice.group
	a := &AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: d.content(ContentProposal, nil)}
	a.Content.Proposal = p
	if err := a.sign(d.suite(), d.epoch.signer, d.epoch.encodedContext()); err != nil {
		return nil, err
	}
	m, err := a.protectPublic(d.suite(), d.epoch.secrets.MembershipKey, d.epoch.encodedContext())
	if err != nil {
		return nil, err
	}
	return (&MLSMessage{Version: MLS10, WireFormat: WireFormatPublicMessage, PublicMessage: m}).Encode()
}

// restored returns bob's group anew from its store.
func (g *trio) restored() *Group {
	return must(Restore(func(k string) ([]byte, error) { return g.bob.store[k], nil }, g.bob.opt))
}

// FuzzProcess: nothing a member sends makes another panic, and what is refused
// leaves it in its epoch.
func FuzzProcess(f *testing.F) {
	g := newTrio(f)
	commit, tag := g.genuine(remove(2))
	const raw, commits, proposals = 0, 1, 2
	f.Add(uint8(raw), g.forge(commit, tag))
	f.Add(uint8(raw), g.alice.protect("text"))
	f.Add(uint8(commits), wire.MustEncode(commit.wire))
	f.Add(uint8(commits), wire.MustEncode(exampleCommit().wire))
	for _, p := range append(exampleProposals(), &Proposal{Type: ProposalAdd, Add: &Add{*g.dave(nil)}}) {
		f.Add(uint8(proposals), wire.MustEncode(p.wire))
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		g.TB = t
		message := b
		switch kind % 3 {
		case commits:
			c, err := parse(b, (*Commit).wire)
			if err != nil {
				return
			}
			message = g.forge(c, tag)
		case proposals:
			p, err := parse(b, (*Proposal).wire)
			if err != nil {
				return
			}
			if message, err = g.forgeProposal(p); err != nil {
				return
			}
		}
		bob := g.restored()
		before := bob.EpochAuthenticator()
		p, err := bob.Process(testTime, message)
		if err == nil && p.Commit != nil {
			if _, err := bob.Merge(testTime, p.Commit); err != nil {
				t.Fatalf("merge after process: %v", err)
			}
			return
		}
		if !bytes.Equal(before, bob.EpochAuthenticator()) || bob.Removed() {
			t.Fatal("a message that is no accepted commit changed the epoch")
		}
	})
}

// FuzzPrivateContent: nothing a member encrypts makes another panic, and it uses
// up no key before its signature is checked.
func FuzzPrivateContent(f *testing.F) {
	e := newTestEpoch(f, 1)
	f.Add(wire.MustEncode(e.application(1, "text").privateMessageContent))
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e.TB = t
		receiver := e.member(0)
		_, _ = receiver.unprotect(e.reseal(b))
		if len(receiver.tree.ratchets) != 0 {
			t.Fatalf("%x used up a key", b)
		}
	})
}

// FuzzJoin: nothing that somebody who may invite puts into a Welcome or a tree
// makes the invited one panic.
func FuzzJoin(f *testing.F) {
	i := newInvitation(f, CommitOptions{})
	tree := i.alice.group.RatchetTree()
	const raw, secrets, infos, trees = 0, 1, 2, 3
	f.Add(uint8(raw), must(i.welcome.Encode()))
	f.Add(uint8(secrets), wire.MustEncode(i.secrets.wire))
	f.Add(uint8(infos), must(i.info.Encode()))
	f.Add(uint8(trees), tree)
	genuine, info := *i.secrets, *i.info
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		i.TB = t
		secret, described, w := genuine, info, (*Welcome)(nil)
		i.secrets, i.info = &secret, &described
		var err error
		switch kind % 4 {
		case raw:
			w, err = ParseWelcome(b)
		case secrets:
			i.secrets, err = parse(b, (*GroupSecrets).wire)
		case infos:
			i.info, err = ParseGroupInfo(b)
		case trees:
			var parsed *RatchetTree
			if parsed, err = ParseRatchetTree(b); err == nil {
				described.GroupContext.TreeHash = parsed.tree(i.alice.group.suite()).treeHash()
				described.Extensions = []Extension{{ExtensionRatchetTree, b}}
			}
		}
		if err != nil {
			return
		}
		if w == nil {
			w = i.close(i.alice, i.dave.bundle.KeyPackage)
		}
		_, _, _ = Join(w, i.dave.bundle, JoinOptions{}, Options{})
	})
}
