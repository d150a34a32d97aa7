package mls

import (
	"errors"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Commit makes a commit on the current epoch, which stays as it is
// (RFC 9420, Section 12.4.1). now is compared with the lifetimes of the key
// packages it adds.
func (g *Group) Commit(now time.Time, opt CommitOptions) (*StagedCommit, error) {
	if err := g.sendable(); err != nil {
		return nil, err
	}
	list, refs, err := g.collect(&opt)
	if err != nil {
		return nil, err
	}
	sender := Sender{SenderType: SenderMember, LeafIndex: g.epoch.own}
	founding := g.epoch.context.Epoch == 0
	t, err := newTransition(g.View(), sender, list, founding, &g.opt)
	if err != nil {
		return nil, err
	}
	for i := range t.staged.Adds {
		if err := validateLifetime(&t.staged.Adds[i].KeyPackage.LeafNode, now); err != nil {
			return nil, err
		}
	}
	m := &making{t: t, g: g, opt: &opt, commit: &Commit{Proposals: refs}}
	return m.run()
}

// collect returns the commit's proposals and how it names them.
func (g *Group) collect(opt *CommitOptions) ([]StagedProposal, []ProposalOrRef, error) {
	var list []StagedProposal
	var refs []ProposalOrRef
	for _, ref := range opt.ByRef {
		p := g.proposals.find(ref)
		if p == nil {
			return nil, nil, errors.New("mls: no proposal of this epoch has the reference given")
		}
		list = append(list, StagedProposal{p.proposal, p.sender, ref})
		refs = append(refs, ProposalOrRef{Reference: ref})
	}
	own := Sender{SenderType: SenderMember, LeafIndex: g.epoch.own}
	for i := range opt.Proposals {
		p := &opt.Proposals[i]
		list = append(list, StagedProposal{Proposal: p, Sender: own})
		refs = append(refs, ProposalOrRef{Proposal: p})
	}
	return list, refs, nil
}

// making is a commit under construction by its committer.
type making struct {
	t      *transition
	g      *Group
	opt    *CommitOptions
	commit *Commit

	signer SignaturePrivateKey // in the next epoch
	path   *ownPath            // nil: none
	next   *epoch
	member Secret // between joiner_secret and epoch_secret
	joiner Secret
	psks   []pskInput
	auth   *AuthenticatedContent
}

func (m *making) run() (*StagedCommit, error) {
	m.signer = m.g.epoch.signer
	if m.opt.NewSigner != nil {
		m.signer = *m.opt.NewSigner
	}
	for _, step := range []func() error{m.makePath, m.validate, m.sign, m.derive, m.welcome, m.frame} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return m.t.staged, nil
}

// makePath puts an update path into the tree and seals it to the others.
func (m *making) makePath() error {
	if m.opt.NoPath {
		if m.t.needsPath {
			return errors.New("mls: a commit with these proposals needs a path")
		}
		if m.opt.replacesLeaf() {
			return errors.New("mls: a new leaf needs a path")
		}
		return nil
	}
	tree, own := m.t.tree, m.t.committer
	path, public, err := tree.newPath(own)
	if err != nil {
		return err
	}
	leaf, err := m.newLeaf(public)
	if err != nil {
		return err
	}
	leaf.Source, leaf.ParentHash = SourceCommit, tree.setPath(own, path.steps, path.keys)
	if err := leaf.sign(tree.suite.id, m.signer, m.g.context.GroupID, own); err != nil {
		return err
	}
	tree.setLeaf(own, leaf)
	context := m.t.nextContext()
	nodes, err := path.seal(tree, m.t.joined, wire.MustEncode(context.wire))
	if err != nil {
		return err
	}
	m.path, m.commit.Path = path, &UpdatePath{LeafNode: *leaf, Nodes: nodes}
	m.t.staged.HasPath = true
	m.t.staged.CommitterChanged = m.opt.NewSigner != nil || m.opt.NewCredential != nil
	return validateLeafExtensions(leaf)
}

// validate checks the tree the commit leads to, as those who process it will.
func (m *making) validate() error { return m.t.tree.validateMembers(m.t.extensions) }

// newLeaf is this member's leaf with what the options change.
func (m *making) newLeaf(public HPKEPublicKey) (*LeafNode, error) {
	old := m.g.tree.leaf(m.g.epoch.own)
	return replaceLeaf(old, public, m.signer, m.opt.NewCredential, m.opt.Leaf)
}

// sign builds the commit's content. The signature is the current epoch's leaf's.
func (m *making) sign() error {
	g := m.g
	m.auth = &AuthenticatedContent{WireFormat: WireFormatPrivateMessage}
	if m.opt.Public {
		m.auth.WireFormat = WireFormatPublicMessage
	}
	m.auth.Content = g.content(ContentCommit, m.opt.AuthenticatedData)
	m.auth.Content.Commit = m.commit
	m.t.staged.AuthenticatedData = m.opt.AuthenticatedData
	return m.auth.sign(g.suite(), g.epoch.signer, g.epoch.encodedContext())
}

// derive computes the next epoch and its confirmation tag.
func (m *making) derive() error {
	g, a := m.g, m.g.suite()
	var err error
	if m.psks, err = g.findPSKs(m.t.psks, m.opt.PSKs); err != nil {
		return err
	}
	var commitSecret Secret
	if m.path != nil {
		commitSecret = m.path.commitSecret
	}
	private := g.epoch.private.keep(g.tree, m.t.tree)
	if m.path != nil {
		for x, key := range m.path.private {
			private[x] = key
		}
	}
	d, err := m.t.derive(m.auth, g.epoch.interim, g.epoch.secrets.Init, commitSecret, a.pskSecret(m.psks))
	if err != nil {
		return err
	}
	m.joiner, m.member = d.joiner, d.member
	m.next = d.epoch(g.epoch.own, private, m.signer, m.t.staged.ReInit)
	m.next.confirm(a)
	m.auth.Auth.ConfirmationTag = m.next.confirmationTag
	m.t.staged.next = m.next
	return m.t.finish(&GroupView{context: &m.next.context, tree: m.t.tree})
}

// welcome seals the way into the next epoch for those the commit adds
// (Section 12.4.3.1). The GroupInfo is encrypted once: its key follows from the
// joiner secret alone.
func (m *making) welcome() error {
	if len(m.t.staged.Adds) == 0 {
		return nil
	}
	info, err := m.groupInfo()
	if err != nil {
		return err
	}
	a := m.g.suite()
	encrypted, err := a.sealGroupInfo(a.welcomeSecret(m.member), info)
	if err != nil {
		return err
	}
	w := &Welcome{CipherSuite: a.id, EncryptedGroupInfo: encrypted}
	for i := range m.t.staged.Adds {
		added := &m.t.staged.Adds[i]
		entry, err := a.sealGroupSecrets(added.KeyPackage, encrypted, m.secretsFor(added.Leaf))
		if err != nil {
			return err
		}
		w.Secrets = append(w.Secrets, *entry)
	}
	m.t.staged.welcome = w
	return nil
}

func (m *making) groupInfo() (*GroupInfo, error) {
	var list []Extension
	if m.opt.GroupInfoExtensions != nil {
		more, err := m.opt.GroupInfoExtensions(m.t.staged.nextView)
		if err != nil {
			return nil, err
		}
		list = slices.Clone(more)
	}
	if m.opt.TreeInWelcome {
		list = append(list, Extension{ExtensionRatchetTree, m.t.staged.nextView.RatchetTree()})
	}
	return m.next.groupInfo(list)
}

// groupInfo signs a GroupInfo of the epoch.
func (e *epoch) groupInfo(extensions []Extension) (*GroupInfo, error) {
	if err := validateExtensionList(extensions); err != nil {
		return nil, err
	}
	info := &GroupInfo{GroupContext: e.context, Extensions: extensions, ConfirmationTag: e.confirmationTag, Signer: e.own}
	a, err := e.context.CipherSuite.algorithms()
	if err != nil {
		return nil, err
	}
	return info, info.sign(a, e.signer)
}

// secretsFor is what the new member at l needs.
func (m *making) secretsFor(l LeafIndex) *GroupSecrets {
	s := &GroupSecrets{JoinerSecret: m.joiner, PSKs: m.t.psks}
	if m.path != nil {
		if secret := m.path.secretFor(l); secret != nil {
			s.PathSecret = &PathSecret{secret}
		}
	}
	return s
}

// frame makes the message; from here on a ratchet step has been taken.
func (m *making) frame() (err error) {
	s := m.t.staged
	s.message, s.Delta, err = m.g.protect(m.auth)
	return err
}

// derived is the next epoch as the key schedule gives it.
type derived struct {
	context GroupContext
	joiner  Secret
	member  Secret
	secrets *epochSecrets
}

// derive runs the key schedule for the commit in auth, whose signature is set.
// commit nil: the commit has no path.
func (t *transition) derive(auth *AuthenticatedContent, interim []byte, init, commit, psk Secret) (*derived, error) {
	a := t.tree.suite
	if commit == nil {
		commit = make(Secret, a.hashSize())
	}
	d := &derived{context: t.nextContext()}
	var err error
	if d.context.ConfirmedTranscriptHash, err = a.confirmedTranscriptHash(interim, auth); err != nil {
		return nil, err
	}
	context := wire.MustEncode(d.context.wire)
	d.joiner = a.joinerSecret(init, commit, context)
	d.member = a.memberSecret(d.joiner, psk)
	d.secrets = a.epochSecrets(d.member, context)
	return d, nil
}

func (d *derived) epoch(own LeafIndex, private privateKeys, signer SignaturePrivateKey, reinit *ReInit) *epoch {
	return &epoch{context: d.context, secrets: d.secrets, own: own, private: private, signer: signer, reinit: reinit}
}
