package mls

import (
	"bytes"

	"codeberg.org/huis/huis/internal/wire"
)

// ExternalJoinOptions describe a join by external commit.
type ExternalJoinOptions struct {
	RatchetTree *RatchetTree // nil: in the GroupInfo
	// Replace is the old leaf of the joiner that the commit removes; nil: none.
	Replace           *LeafIndex
	PSKs              []PreSharedKeyID // to be mixed in
	Leaf              LeafOptions
	AuthenticatedData []byte
}

// JoinExternal enters the epoch after the one of info, by a commit of one's own
// (RFC 9420, Section 12.4.3.2). The message is for the members; until they have
// accepted it the group returned is only what would be.
func JoinExternal(info *GroupInfo, signer SignaturePrivateKey, cred Credential, join ExternalJoinOptions, opt Options) (*Group, []byte, Delta, error) {
	tree, err := info.verifiedTree(join.RatchetTree, &opt)
	if err != nil {
		return nil, nil, nil, err
	}
	j := &externalJoin{
		from: &GroupView{context: &info.GroupContext, tree: tree}, info: info,
		signer: signer, options: &join, opt: &opt, commit: &Commit{},
	}
	for _, step := range []func() error{j.propose, func() error { return j.makePath(cred) }, j.sign, j.derive} {
		if err := step(); err != nil {
			return nil, nil, nil, err
		}
	}
	msg, err := j.message()
	if err != nil {
		return nil, nil, nil, err
	}
	g, d, err := begin(j.next, j.t.tree, opt)
	return g, msg, d, err
}

// externalJoin is an external commit under construction.
type externalJoin struct {
	from    *GroupView
	info    *GroupInfo
	signer  SignaturePrivateKey
	options *ExternalJoinOptions
	opt     *Options

	init   Secret
	t      *transition
	path   *ownPath
	commit *Commit
	auth   *AuthenticatedContent
	next   *epoch
}

// propose makes the proposals: ExternalInit, maybe Remove, PSKs.
func (j *externalJoin) propose() error {
	data, found := FindExtension(j.info.Extensions, ExtensionExternalPub)
	if !found {
		return invalid("12.4.3.2", "GroupInfo has no external_pub extension: the group does not take external joiners")
	}
	pub, err := parse(data, (*externalPub).wire)
	if err != nil {
		return err
	}
	kemOutput, init, err := j.from.tree.suite.externalInit(pub.ExternalPub)
	if err != nil {
		return err
	}
	j.init = init
	list := []*Proposal{{Type: ProposalExternalInit, ExternalInit: &ExternalInit{kemOutput}}}
	if l := j.options.Replace; l != nil {
		list = append(list, &Proposal{Type: ProposalRemove, Remove: &Remove{*l}})
	}
	for _, id := range j.options.PSKs {
		list = append(list, &Proposal{Type: ProposalPSK, PreSharedKey: &PreSharedKey{id}})
	}
	sender := Sender{SenderType: SenderNewMemberCommit}
	var staged []StagedProposal
	for _, p := range list {
		j.commit.Proposals = append(j.commit.Proposals, ProposalOrRef{Proposal: p})
		staged = append(staged, StagedProposal{Proposal: p, Sender: sender})
	}
	j.t, err = newTransition(j.from, sender, staged, false, j.opt)
	return err
}

// makePath takes the leftmost free leaf and seals a path to the members.
func (j *externalJoin) makePath(cred Credential) error {
	tree := j.t.tree
	leaf, err := newLeaf(tree.suite.id, nil, j.signer, cred, j.options.Leaf)
	if err != nil {
		return err
	}
	own, err := tree.add(leaf)
	if err != nil {
		return err
	}
	var public HPKEPublicKey
	if j.path, public, err = tree.newPath(own); err != nil {
		return err
	}
	signed := *leaf
	signed.EncryptionKey, signed.Source = public, SourceCommit
	signed.ParentHash = tree.setPath(own, j.path.steps, j.path.keys)
	if err := signed.sign(tree.suite.id, j.signer, j.from.context.GroupID, own); err != nil {
		return err
	}
	tree.setLeaf(own, &signed)
	context := j.t.nextContext()
	nodes, err := j.path.seal(tree, nil, wire.MustEncode(context.wire))
	if err != nil {
		return err
	}
	j.t.committer, j.t.staged.Committer, j.t.staged.HasPath = own, own, true
	j.t.staged.Adds = []AddedMember{{Member: member(own, &signed)}}
	j.commit.Path = &UpdatePath{LeafNode: signed, Nodes: nodes}
	return tree.validateMembers(j.t.extensions)
}

func (j *externalJoin) sign() error {
	c := j.from.context
	j.auth = &AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: FramedContent{
		GroupID: c.GroupID, Epoch: c.Epoch, Sender: Sender{SenderType: SenderNewMemberCommit},
		AuthenticatedData: j.options.AuthenticatedData, ContentType: ContentCommit, Commit: j.commit,
	}}
	return j.auth.sign(j.from.tree.suite, j.signer, wire.MustEncode(c.wire))
}

func (j *externalJoin) derive() error {
	a := j.from.tree.suite
	psks, err := findPSKs(j.t.psks, j.opt.PSKs)
	if err != nil {
		return err
	}
	interim := a.interimTranscriptHash(j.info.GroupContext.ConfirmedTranscriptHash, j.info.ConfirmationTag)
	d, err := j.t.derive(j.auth, interim, j.init, j.path.commitSecret, a.pskSecret(psks))
	if err != nil {
		return err
	}
	j.next = d.epoch(j.t.committer, j.path.private, j.signer, nil)
	j.next.confirm(a)
	j.auth.Auth.ConfirmationTag = j.next.confirmationTag
	return j.t.finish(&GroupView{context: &j.next.context, tree: j.t.tree})
}

func (j *externalJoin) message() ([]byte, error) {
	return j.auth.publicMessage(j.from.tree.suite)
}

// publicMessage frames signed content of a sender that is no member.
func (a *AuthenticatedContent) publicMessage(suite *algorithms) ([]byte, error) {
	p, err := a.protectPublic(suite, nil, nil)
	if err != nil {
		return nil, err
	}
	m := MLSMessage{Version: MLS10, WireFormat: WireFormatPublicMessage, PublicMessage: p}
	return m.Encode()
}

// GroupInfo returns a signed GroupInfo of the current epoch, for others to join
// by an external commit (RFC 9420, Section 12.4.3.2). With withTree it holds the
// ratchet tree. Whoever has it can join: see the package's policy hooks.
func (g *Group) GroupInfo(withTree bool, extensions ...Extension) (*GroupInfo, error) {
	if err := g.sendable(); err != nil {
		return nil, err
	}
	key, err := g.epoch.secrets.externalPrivate(g.suite())
	if err != nil {
		return nil, err
	}
	public, err := key.public(g.suite())
	if err != nil {
		return nil, err
	}
	pub := externalPub{public}
	list := append([]Extension{{ExtensionExternalPub, wire.MustEncode(pub.wire)}}, extensions...)
	if withTree {
		list = append(list, Extension{ExtensionRatchetTree, g.RatchetTree()})
	}
	return g.epoch.groupInfo(list)
}

// ProposeOwnAdd is how somebody who is no member asks to be added: a message with
// an Add of its own key package (RFC 9420, Section 12.1.8).
func ProposeOwnAdd(groupID []byte, epoch uint64, b *KeyPackageBundle) ([]byte, error) {
	p := &Proposal{Type: ProposalAdd, Add: &Add{*b.KeyPackage}}
	return outsideProposal(b.KeyPackage.CipherSuite, groupID, epoch, Sender{SenderType: SenderNewMemberProposal}, b.SignatureKey, p)
}

// ProposeExternal makes a proposal as the external sender at index of the group's
// external_senders extension (RFC 9420, Section 12.1.8.1).
func ProposeExternal(suite CipherSuite, groupID []byte, epoch uint64, index uint32, signer SignaturePrivateKey, p Proposal) ([]byte, error) {
	return outsideProposal(suite, groupID, epoch, Sender{SenderType: SenderExternal, SenderIndex: index}, signer, &p)
}

func outsideProposal(suite CipherSuite, groupID []byte, epoch uint64, by Sender, signer SignaturePrivateKey, p *Proposal) ([]byte, error) {
	s, err := suite.algorithms()
	if err != nil {
		return nil, err
	}
	if err := validateProposer(p, by); err != nil {
		return nil, err
	}
	a := &AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: FramedContent{
		GroupID: bytes.Clone(groupID), Epoch: epoch, Sender: by, AuthenticatedData: []byte{},
		ContentType: ContentProposal, Proposal: p,
	}}
	if err := a.sign(s, signer, nil); err != nil {
		return nil, err
	}
	return a.publicMessage(s)
}
