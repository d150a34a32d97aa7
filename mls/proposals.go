package mls

import (
	"bytes"

	"codeberg.org/huis/huis/internal/wire"
)

// transition is the effect of a commit on the public state of an epoch. It works
// on a clone of the tree; members and observers go through the same one.
type transition struct {
	from *GroupView
	opt  *Options
	// founding allows the PSK usages of a re-initialized or branched group's
	// first commit.
	founding bool

	tree       *ratchetTree // next epoch's
	extensions []Extension  // next epoch's
	committer  LeafIndex    // in the next epoch's tree
	staged     *StagedCommit
	joined     leafSet
	psks       []PreSharedKeyID
	external   *ExternalInit // set in an external commit
	needsPath  bool
}

// newTransition validates a commit's proposals and applies them, in the order of
// Section 12.3: GroupContextExtensions, Updates, Removes, Adds.
func newTransition(from *GroupView, sender Sender, list []StagedProposal, founding bool, opt *Options) (*transition, error) {
	from.tree.counts() // so that the clones share it
	t := &transition{
		from: from, opt: opt, founding: founding,
		tree: from.tree.clone(), extensions: from.context.Extensions,
		committer: sender.LeafIndex, joined: leafSet{},
		staged:    &StagedCommit{Sender: sender, Committer: sender.LeafIndex, Proposals: list, current: from},
		needsPath: len(list) == 0,
	}
	if err := t.validateList(sender, list); err != nil {
		return nil, err
	}
	for _, kind := range []ProposalType{ProposalGroupContextExtensions, ProposalUpdate, ProposalRemove, ProposalAdd} {
		for i := range list {
			if list[i].Proposal.Type != kind {
				continue
			}
			if err := t.apply(&list[i]); err != nil {
				return nil, err
			}
		}
		if kind == ProposalRemove {
			if err := t.validateCustom(list); err != nil {
				return nil, err
			}
			t.tree.truncate()
		}
	}
	return t, nil
}

// validateList checks which proposals may stand together (Section 12.2).
func (t *transition) validateList(sender Sender, list []StagedProposal) error {
	if sender.SenderType == SenderNewMemberCommit {
		if err := t.validateExternalList(list); err != nil {
			return err
		}
	}
	u := used{leaves: map[LeafIndex]bool{}, psks: map[string]bool{}}
	for i := range list {
		p := list[i].Proposal
		if err := validateProposer(p, list[i].Sender); err != nil {
			return err
		}
		if p.Type == ProposalReInit && len(list) > 1 {
			return invalid("12.2", "ReInit stands with other proposals")
		}
		if err := t.validateOne(&list[i], sender, &u); err != nil {
			return err
		}
		t.needsPath = t.needsPath || t.requiresPath(p.Type)
	}
	return nil
}

// used is what the proposals before have taken.
type used struct {
	leaves     map[LeafIndex]bool // changed or removed
	psks       map[string]bool
	extensions bool
}

// validateOne checks a proposal beside those before it, and notes what it means
// for the whole commit.
func (t *transition) validateOne(s *StagedProposal, committer Sender, u *used) error {
	switch p := s.Proposal; p.Type {
	case ProposalUpdate:
		return u.takeLeaf(s.Sender.LeafIndex, committer, "updates")
	case ProposalRemove:
		return u.takeLeaf(p.Remove.Removed, committer, "removes")
	case ProposalPSK:
		id := string(wire.MustEncode(p.PreSharedKey.PSK.wire))
		if u.psks[id] {
			return invalid("12.2", "commit names a pre-shared key twice")
		}
		u.psks[id] = true
		return t.addPSK(&p.PreSharedKey.PSK)
	case ProposalGroupContextExtensions:
		if u.extensions {
			return invalid("12.2", "two GroupContextExtensions proposals")
		}
		u.extensions = true
	case ProposalReInit:
		t.staged.ReInit = p.ReInit
		return t.validateReInit(p.ReInit)
	case ProposalExternalInit: // validateProposer lets no member's through
		t.external = p.ExternalInit
	}
	return nil
}

// takeLeaf lets a commit change each leaf once, and its sender's not by proposal.
func (u *used) takeLeaf(l LeafIndex, committer Sender, what string) error {
	if committer.SenderType == SenderMember && l == committer.LeafIndex {
		return invalid("12.2", "commit %s its own sender", what)
	}
	if u.leaves[l] {
		return invalid("12.2", "two proposals change leaf %d", l)
	}
	u.leaves[l] = true
	return nil
}

// validateExternalList is for commits by which somebody joins (Section 12.2).
func (t *transition) validateExternalList(list []StagedProposal) error {
	inits, removes := 0, 0
	for i := range list {
		if list[i].ByRef != nil {
			return invalid("12.4.3.2", "external commit names a proposal by reference")
		}
		switch list[i].Proposal.Type {
		case ProposalExternalInit:
			inits++
		case ProposalRemove:
			removes++
		case ProposalPSK:
		default:
			return invalid("12.2", "external commit has a proposal of type %#04x", uint16(list[i].Proposal.Type))
		}
	}
	if inits != 1 || removes > 1 {
		return invalid("12.2", "external commit has %d ExternalInit and %d Remove proposals", inits, removes)
	}
	return nil
}

// validateProposer checks what kind of sender may propose what (Sections 12.1.8
// and 17.4).
func validateProposer(p *Proposal, by Sender) error {
	ok := true
	switch by.SenderType {
	case SenderMember:
		ok = p.Type != ProposalExternalInit
	case SenderExternal:
		ok = p.Type != ProposalUpdate && p.Type != ProposalExternalInit
	case SenderNewMemberProposal:
		ok = p.Type == ProposalAdd
	}
	if !ok {
		return invalid("12.1.8", "sender of type %d may not make a proposal of type %#04x", by.SenderType, uint16(p.Type))
	}
	return nil
}

// requiresPath tells whether a commit with such a proposal needs a path
// (Sections 12.4 and 17.4).
func (t *transition) requiresPath(p ProposalType) bool {
	switch p {
	case ProposalUpdate, ProposalRemove, ProposalExternalInit, ProposalGroupContextExtensions:
		return true
	case ProposalAdd, ProposalPSK, ProposalReInit:
		return false
	}
	return t.opt.CustomProposals[p]
}

// addPSK checks a pre-shared key id (Section 12.1.4).
func (t *transition) addPSK(id *PreSharedKeyID) error {
	if len(id.PSKNonce) != t.tree.suite.hashSize() {
		return invalid("12.1.4", "nonce of a pre-shared key has %d bytes", len(id.PSKNonce))
	}
	if id.PSKType == PSKResumption && id.Usage != UsageApplication && !t.founding {
		return invalid("12.1.4", "pre-shared key for re-initialization or branching in an ordinary commit")
	}
	t.psks = append(t.psks, *id)
	return nil
}

// validateReInit checks a re-initialization on its own (Section 12.1.5).
func (t *transition) validateReInit(p *ReInit) error {
	if p.Version < t.from.context.Version {
		return invalid("12.1.5", "ReInit goes back to an older version")
	}
	return validateExtensionList(p.Extensions)
}

// validateCustom checks that the application knows each proposal outside RFC 9420
// and that all members who stay support it (Section 12.2).
func (t *transition) validateCustom(list []StagedProposal) error {
	for i := range list {
		p := list[i].Proposal.Type
		if defaultProposal(p) {
			continue
		}
		if _, known := t.opt.CustomProposals[p]; !known {
			return invalid("12.2", "proposal type %#04x is not known", uint16(p))
		}
		if !t.tree.counts().allSupport(capability{capabilityProposal, uint16(p)}) {
			return invalid("12.2", "not all members support proposal type %#04x", uint16(p))
		}
	}
	return nil
}

// apply carries out one proposal.
func (t *transition) apply(p *StagedProposal) error {
	switch p.Proposal.Type {
	case ProposalGroupContextExtensions:
		t.extensions = p.Proposal.GroupContextExtensions.Extensions
	case ProposalUpdate:
		return t.applyUpdate(p.Sender.LeafIndex, &p.Proposal.Update.LeafNode)
	case ProposalRemove:
		return t.applyRemove(p.Proposal.Remove.Removed)
	case ProposalAdd:
		return t.applyAdd(&p.Proposal.Add.KeyPackage)
	}
	return nil
}

// applyUpdate is Section 12.1.2.
func (t *transition) applyUpdate(l LeafIndex, n *LeafNode) error {
	if old := t.tree.leaf(l); old == nil || bytes.Equal(old.EncryptionKey, n.EncryptionKey) {
		return invalid("12.1.2", "Update keeps the encryption key of leaf %d", l)
	}
	if err := t.tree.validateLeaf(n, SourceUpdate, t.from.context.GroupID, l, t.opt); err != nil {
		return err
	}
	t.tree.update(l, n)
	t.staged.Updates = append(t.staged.Updates, member(l, n))
	return nil
}

// applyRemove is Section 12.1.3.
func (t *transition) applyRemove(l LeafIndex) error {
	old := t.tree.leaf(l)
	if old == nil {
		return invalid("12.1.3", "Remove of the blank leaf %d", l)
	}
	t.tree.remove(l)
	t.staged.Removes = append(t.staged.Removes, member(l, old))
	return nil
}

// applyAdd is Section 12.1.1.
func (t *transition) applyAdd(k *KeyPackage) error {
	if err := t.tree.validateKeyPackage(k, t.opt); err != nil {
		return err
	}
	l, err := t.tree.add(&k.LeafNode)
	if err != nil {
		return err
	}
	t.joined[l] = true
	t.staged.Adds = append(t.staged.Adds, AddedMember{member(l, &k.LeafNode), k})
	return nil
}

// applyPath checks the committer's new leaf and the path's form and puts both
// into the tree (Section 12.4.2).
func (t *transition) applyPath(path *UpdatePath) error {
	groupID := t.from.context.GroupID
	n := &path.LeafNode
	if t.external != nil {
		l, err := t.tree.add(n)
		if err != nil {
			return err
		}
		t.committer, t.staged.Committer = l, l
		t.staged.Adds = append(t.staged.Adds, AddedMember{Member: member(l, n)})
	} else {
		old := t.tree.leaf(t.committer)
		if bytes.Equal(old.EncryptionKey, n.EncryptionKey) {
			return invalid("12.4.2", "path keeps the committer's encryption key")
		}
		t.staged.CommitterChanged = !old.Credential.Equal(&n.Credential) || !bytes.Equal(old.SignatureKey, n.SignatureKey)
	}
	if err := t.tree.validateLeaf(n, SourceCommit, groupID, t.committer, t.opt); err != nil {
		return err
	}
	for i := range path.Nodes {
		if err := t.tree.suite.checkPublicKey(path.Nodes[i].EncryptionKey); err != nil {
			return invalid("12.4.2", "path has an unusable public key: %v", err)
		}
	}
	t.staged.HasPath = true
	return t.tree.applyPath(t.committer, path, t.joined)
}

// nextContext returns the GroupContext of the next epoch but for the confirmed
// transcript hash, which is still this epoch's: the provisional one of
// Section 12.4.1. The tree is final.
func (t *transition) nextContext() GroupContext {
	c := *t.from.context
	c.Epoch++
	c.TreeHash = t.tree.treeHash()
	c.Extensions = t.extensions
	return c
}

// finish asks the application whether the commit may lead to next.
func (t *transition) finish(next *GroupView) error {
	t.staged.nextView = next
	if t.opt.ValidateCommit == nil {
		return nil
	}
	if err := t.opt.ValidateCommit(t.from, next, t.staged); err != nil {
		return invalid("12.4.2", "commit refused by the application: %v", err)
	}
	return nil
}
