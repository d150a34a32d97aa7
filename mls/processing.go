package mls

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// checkHeader compares what a message says it belongs to with this group.
func (g *Group) checkHeader(groupID []byte, epoch uint64) error {
	if !bytes.Equal(groupID, g.epoch.context.GroupID) {
		return invalid("6", "message is of another group")
	}
	if epoch > g.epoch.context.Epoch {
		return fmt.Errorf("%w: %d, this is %d", ErrFutureEpoch, epoch, g.epoch.context.Epoch)
	}
	return nil
}

// processPublic handles a PublicMessage, of the current epoch only: older ones'
// membership keys are deleted.
func (g *Group) processPublic(m *PublicMessage, msg []byte) (*Processed, error) {
	c := &m.Content
	if err := g.checkHeader(c.GroupID, c.Epoch); err != nil {
		return nil, err
	}
	if c.Epoch < g.epoch.context.Epoch {
		return nil, g.pastCommitOutcome(c.Epoch, msg)
	}
	a, err := unprotectPublic(m, g.suite(), g.epoch.secrets.MembershipKey, g.epoch.encodedContext())
	if err != nil {
		return nil, err
	}
	if err := g.verifyContent(a, g.epoch.encodedContext()); err != nil {
		return nil, err
	}
	if c.Sender.SenderType == SenderMember && c.Sender.LeafIndex == g.epoch.own {
		return nil, ErrOwnMessage
	}
	return g.accept(a, g.View())
}

// processPrivate handles a PrivateMessage of the current or a past epoch.
func (g *Group) processPrivate(now time.Time, m *PrivateMessage, msg []byte) (*Processed, error) {
	if err := g.checkHeader(m.GroupID, m.Epoch); err != nil {
		return nil, err
	}
	keys, view, past := g.keys, g.View(), (*pastEpoch)(nil)
	if m.Epoch < g.epoch.context.Epoch {
		if past = g.pastEpoch(m.Epoch, now); past == nil {
			return nil, g.pastCommitOutcome(m.Epoch, msg)
		}
		keys, view = past.keys, past.view
		if bytes.Equal(past.endedBy, g.suite().digest(msg)) {
			return nil, past.echo()
		}
	}
	o, err := keys.unprotect(m)
	if err != nil {
		return nil, err
	}
	if err := view.verifyContent(o.content, wire.MustEncode(view.context.wire)); err != nil {
		return nil, err
	}
	if past != nil && m.ContentType == ContentCommit {
		return nil, fmt.Errorf("%w: it ends epoch %d", ErrFork, m.Epoch)
	}
	if past != nil && m.ContentType == ContentProposal {
		return nil, fmt.Errorf("%w: proposal of epoch %d", ErrStaleEpoch, m.Epoch)
	}
	p, err := g.accept(o.content, view)
	if err != nil {
		return nil, err
	}
	p.Generation = o.step.Generation
	if p.Kind != ContentCommit {
		p.Delta = append(p.Delta, keys.tree.take(o.step)...)
	}
	return p, nil
}

// pastCommitOutcome is the result for a message of a past epoch that cannot be
// opened any more.
func (g *Group) pastCommitOutcome(epoch uint64, msg []byte) error {
	for _, p := range g.past {
		if p.view.context.Epoch == epoch && bytes.Equal(p.endedBy, g.suite().digest(msg)) {
			return p.echo()
		}
	}
	return fmt.Errorf("%w: %d, this is %d", ErrStaleEpoch, epoch, g.epoch.context.Epoch)
}

// verifyContent finds the sender's signature key and checks the signature
// (RFC 9420, Section 6.1).
func (v *GroupView) verifyContent(a *AuthenticatedContent, context []byte) error {
	if err := a.Content.checkSenderContent(); err != nil {
		return err
	}
	key, err := v.senderKey(&a.Content)
	if err != nil {
		return err
	}
	return a.verifySignature(v.tree.suite, key, context)
}

// senderKey returns the key that must have signed a content.
func (v *GroupView) senderKey(f *FramedContent) (SignaturePublicKey, error) {
	switch f.Sender.SenderType {
	case SenderMember:
		if n := v.tree.leaf(f.Sender.LeafIndex); n != nil {
			return n.SignatureKey, nil
		}
		return nil, invalid("6.1", "sender's leaf %d is blank", f.Sender.LeafIndex)
	case SenderExternal:
		return v.externalSenderKey(f.Sender.SenderIndex)
	case SenderNewMemberProposal:
		if f.Proposal == nil || f.Proposal.Type != ProposalAdd {
			return nil, invalid("12.1.8", "a new member proposes something other than its own Add")
		}
		return f.Proposal.Add.KeyPackage.LeafNode.SignatureKey, nil
	default: // SenderNewMemberCommit; the codec knows no other
		if f.Commit == nil || f.Commit.Path == nil {
			return nil, invalid("12.4.3.2", "external commit without a path")
		}
		return f.Commit.Path.LeafNode.SignatureKey, nil
	}
}

func (v *GroupView) externalSenderKey(index uint32) (SignaturePublicKey, error) {
	data, _ := FindExtension(v.context.Extensions, ExtensionExternalSenders)
	senders, err := ParseExternalSenders(data)
	if data == nil || err != nil || uint64(index) >= uint64(len(senders)) {
		return nil, invalid("12.1.8.1", "external sender %d is not listed", index)
	}
	return senders[index].SignatureKey, nil
}

// accept acts on verified content.
func (g *Group) accept(a *AuthenticatedContent, view *GroupView) (*Processed, error) {
	c := &a.Content
	p := &Processed{Kind: c.ContentType, Sender: c.Sender, Epoch: c.Epoch, AuthenticatedData: c.AuthenticatedData}
	if c.Sender.SenderType == SenderMember {
		p.SenderMember, _ = view.Member(c.Sender.LeafIndex)
	}
	switch c.ContentType {
	case ContentApplication:
		p.Data = c.ApplicationData
		return p, nil
	case ContentProposal:
		return p, g.acceptProposal(a, p)
	}
	var err error
	p.Commit, err = g.stage(a)
	return p, err
}

// acceptProposal keeps a proposal for the commit that names it.
func (g *Group) acceptProposal(a *AuthenticatedContent, p *Processed) error {
	if g.epoch.reinit != nil {
		return invalid("11.2", "proposal after the group was re-initialized")
	}
	var err error
	p.Delta, err = g.proposals.accept(a, g.suite(), g.epoch.context.Epoch, p)
	return err
}

// stage verifies a commit on the current epoch (RFC 9420, Section 12.4.2).
func (g *Group) stage(a *AuthenticatedContent) (*StagedCommit, error) {
	if g.epoch.reinit != nil {
		return nil, invalid("11.2", "commit after the group was re-initialized")
	}
	list, err := g.proposals.resolve(a.Content.Commit.Proposals, a.Content.Sender)
	if err != nil {
		return nil, err
	}
	t, err := newTransition(g.View(), a.Content.Sender, list, false, &g.opt)
	if err != nil {
		return nil, err
	}
	t.staged.AuthenticatedData = a.Content.AuthenticatedData
	path := a.Content.Commit.Path
	if err := t.takePath(path); err != nil {
		return nil, err
	}
	for i := range t.staged.Removes {
		t.staged.SelfRemoved = t.staged.SelfRemoved || t.staged.Removes[i].Leaf == g.epoch.own
	}
	if t.staged.SelfRemoved {
		context := t.nextContext()
		return t.staged, t.finish(&GroupView{context: &context, tree: t.tree})
	}
	return t.staged, g.deriveStaged(t, a, path)
}

// takePath applies the commit's path, if it has one, and checks the tree the
// commit leads to.
func (t *transition) takePath(path *UpdatePath) error {
	if path == nil && t.needsPath {
		return invalid("12.4.2", "commit with these proposals has no path")
	}
	if path != nil {
		if err := t.applyPath(path); err != nil {
			return err
		}
	}
	return t.tree.validateMembers(t.extensions)
}

// deriveStaged computes the next epoch from a verified commit and compares the
// confirmation tags.
func (g *Group) deriveStaged(t *transition, a *AuthenticatedContent, path *UpdatePath) error {
	private, signer := g.nextKeys(t)
	var commitSecret Secret
	if path != nil {
		context := t.nextContext()
		var err error
		commitSecret, err = t.tree.openPath(g.epoch.own, t.committer, path, t.joined, wire.MustEncode(context.wire), private)
		if err != nil {
			return err
		}
	}
	psks, err := g.findPSKs(t.psks, nil)
	if err != nil {
		return err
	}
	init, err := g.initSecret(t)
	if err != nil {
		return err
	}
	d, err := t.derive(a, g.epoch.interim, init, commitSecret, g.suite().pskSecret(psks))
	if err != nil {
		return err
	}
	if err := g.suite().verifyConfirmationTag(d.secrets.ConfirmationKey, d.context.ConfirmedTranscriptHash, a.Auth.ConfirmationTag); err != nil {
		return err
	}
	next := d.epoch(g.epoch.own, private, signer, t.staged.ReInit)
	next.confirm(g.suite())
	t.staged.next = next
	return t.finish(&GroupView{context: &next.context, tree: t.tree})
}

// nextKeys are the private keys this member keeps, with those of its own Update
// if the commit covers it.
func (g *Group) nextKeys(t *transition) (privateKeys, SignaturePrivateKey) {
	private, signer := g.epoch.private.keep(g.tree, t.tree), g.epoch.signer
	for i := range t.staged.Proposals {
		p := &t.staged.Proposals[i]
		if p.Proposal.Type != ProposalUpdate || p.Sender.LeafIndex != g.epoch.own {
			continue
		}
		if kept := g.proposals.find(p.ByRef); kept != nil && !kept.key.IsZero() {
			private[g.epoch.own.node()] = kept.key
			signer = kept.signer
		}
	}
	return private, signer
}

// initSecret is the current epoch's, or the one an external joiner made
// (RFC 9420, Section 8.3).
func (g *Group) initSecret(t *transition) (Secret, error) {
	if t.external == nil {
		return g.epoch.secrets.Init, nil
	}
	key, err := g.epoch.secrets.externalPrivate(g.suite())
	if err != nil {
		return nil, err
	}
	return g.suite().externalInitSecret(key, t.external.KEMOutput)
}

// findPSKs looks up pre-shared keys: this group's resumption secrets, then the
// source.
func (g *Group) findPSKs(ids []PreSharedKeyID, source PSKSource) ([]pskInput, error) {
	if source == nil {
		source = g.opt.PSKs
	}
	return findPSKs(ids, func(id *PreSharedKeyID) (Secret, error) {
		if id.PSKType == PSKResumption && bytes.Equal(id.PSKGroupID, g.epoch.context.GroupID) {
			if id.PSKEpoch == g.epoch.context.Epoch {
				return g.epoch.secrets.ResumptionPSK, nil
			}
			if s := g.resumption[id.PSKEpoch]; s != nil {
				return s, nil
			}
		}
		if source == nil {
			return nil, errNoPSK
		}
		return source(id)
	})
}

var errNoPSK = errors.New("mls: pre-shared key is not known")

func findPSKs(ids []PreSharedKeyID, source PSKSource) ([]pskInput, error) {
	psks := make([]pskInput, len(ids))
	for i := range ids {
		if source == nil {
			return nil, errNoPSK
		}
		secret, err := source(&ids[i])
		if err != nil {
			return nil, err
		}
		psks[i] = pskInput{ids[i], secret}
	}
	return psks, nil
}
