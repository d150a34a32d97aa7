package mls

import (
	"bytes"
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// PublicGroup follows a group without being in it, from its public messages: who
// the members are, and that each commit is one they may accept. It holds no
// secret, so it cannot check membership and confirmation tags: a member can send
// a commit that passes here and that the others refuse. It is not safe for
// concurrent use.
type PublicGroup struct {
	GroupView // of the current epoch

	opt       Options
	interim   []byte // interim transcript hash
	proposals proposalCache
}

// NewPublicGroup starts at the epoch of a GroupInfo, whose signature and tree it
// verifies. tree nil: in the GroupInfo.
func NewPublicGroup(info *GroupInfo, tree *RatchetTree, opt Options) (*PublicGroup, error) {
	t, err := info.verifiedTree(tree, &opt)
	if err != nil {
		return nil, err
	}
	context := info.GroupContext
	return &PublicGroup{
		GroupView: GroupView{context: &context, tree: t},
		opt:       opt,
		interim:   t.suite.interimTranscriptHash(context.ConfirmedTranscriptHash, info.ConfirmationTag),
		proposals: proposalCache{suite: context.CipherSuite},
	}, nil
}

// Process verifies a PublicMessage of the current epoch. A proposal is kept for
// the commit that names it; a commit changes nothing before it is merged.
func (g *PublicGroup) Process(msg []byte) (*Processed, error) {
	m, err := ParseMLSMessage(msg)
	if err != nil {
		return nil, err
	}
	if m.PublicMessage == nil {
		return nil, invalid("6", "an observer reads PublicMessages only")
	}
	a, err := m.PublicMessage.authenticatedContent()
	if err != nil {
		return nil, err
	}
	c := &a.Content
	if err := g.checkHeader(c.GroupID, c.Epoch); err != nil {
		return nil, err
	}
	view := &GroupView{context: g.context, tree: g.tree}
	if err := view.verifyContent(a, wire.MustEncode(g.context.wire)); err != nil {
		return nil, err
	}
	p := &Processed{Kind: c.ContentType, Sender: c.Sender, Epoch: c.Epoch, AuthenticatedData: c.AuthenticatedData}
	if c.Sender.SenderType == SenderMember {
		p.SenderMember, _ = view.Member(c.Sender.LeafIndex)
	}
	if c.ContentType == ContentProposal {
		_, err = g.proposals.accept(a, view.tree.suite, c.Epoch, p)
		return p, err
	}
	p.Commit, err = g.stage(a, view)
	return p, err
}

func (g *PublicGroup) checkHeader(groupID []byte, epoch uint64) error {
	switch now := g.context.Epoch; {
	case !bytes.Equal(groupID, g.context.GroupID):
		return invalid("6", "message is of another group")
	case epoch > now:
		return fmt.Errorf("%w: %d, this is %d", ErrFutureEpoch, epoch, now)
	case epoch < now:
		return fmt.Errorf("%w: %d, this is %d", ErrStaleEpoch, epoch, now)
	}
	return nil
}

// stage verifies a commit as far as it is public.
func (g *PublicGroup) stage(a *AuthenticatedContent, view *GroupView) (*StagedCommit, error) {
	list, err := g.proposals.resolve(a.Content.Commit.Proposals, a.Content.Sender)
	if err != nil {
		return nil, err
	}
	t, err := newTransition(view, a.Content.Sender, list, false, &g.opt)
	if err != nil {
		return nil, err
	}
	t.staged.AuthenticatedData = a.Content.AuthenticatedData
	if err := t.takePath(a.Content.Commit.Path); err != nil {
		return nil, err
	}
	context := t.nextContext()
	if context.ConfirmedTranscriptHash, err = t.tree.suite.confirmedTranscriptHash(g.interim, a); err != nil {
		return nil, err
	}
	t.staged.interim = t.tree.suite.interimTranscriptHash(context.ConfirmedTranscriptHash, a.Auth.ConfirmationTag)
	return t.staged, t.finish(&GroupView{context: &context, tree: t.tree})
}

// Merge makes the staged commit's next epoch the current one. It fails only, with
// ErrStaleEpoch or ErrFork, if the commit is not one on the current epoch.
func (g *PublicGroup) Merge(c *StagedCommit) error {
	if err := onCurrent(c.current, g.context); err != nil {
		return err
	}
	if c.interim == nil {
		return errForeignStage
	}
	g.GroupView, g.interim = *c.nextView, c.interim
	g.proposals = proposalCache{suite: g.Suite()}
	return nil
}

func (g *PublicGroup) wire(c *wire.Codec) {
	version := stateVersion
	tree := &RatchetTree{}
	if !c.Decoding() {
		tree = g.tree.export()
	}
	wire.Uint16(c, &version)
	if version != stateVersion {
		c.Fail(fmt.Sprintf("state of version %d, this program knows %d", version, stateVersion))
		return
	}
	wirePointer(c, &g.context, (*GroupContext).wire)
	wire.Opaque(c, &g.interim)
	tree.wire(c)
	if !c.Decoding() || c.Err() != nil {
		return
	}
	a, err := g.context.CipherSuite.algorithms()
	if err != nil {
		c.Fail(err.Error())
		return
	}
	g.tree = tree.tree(a)
}

// MarshalBinary encodes the current epoch, without proposals.
func (g *PublicGroup) MarshalBinary() ([]byte, error) { return wire.Encode(g.wire) }

// RestorePublicGroup reads what MarshalBinary returned.
func RestorePublicGroup(b []byte, opt Options) (*PublicGroup, error) {
	g, err := parse(b, (*PublicGroup).wire)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(g.tree.treeHash(), g.context.TreeHash) {
		return nil, invalid("7.8", "stored ratchet tree does not have the hash of its epoch")
	}
	g.opt, g.proposals = opt, proposalCache{suite: g.Suite()}
	return g, nil
}
