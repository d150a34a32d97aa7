package mls

import (
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// maxProposals bounds the proposals kept for one epoch.
const maxProposals = 4096

// keptProposal is a proposal that travelled alone.
type keptProposal struct {
	ref      ProposalRef
	sender   Sender
	proposal *Proposal
	key      HPKEPrivateKey      // own Update: of the new leaf
	signer   SignaturePrivateKey // own Update: of the new leaf
}

func (p *keptProposal) wire(c *wire.Codec, suite CipherSuite) {
	wire.Opaque(c, &p.ref)
	p.sender.wire(c)
	wirePointer(c, &p.proposal, (*Proposal).wire)
	own := !p.key.IsZero()
	wire.Bool(c, &own)
	if own {
		wireHPKEKey(c, &p.key)
		wireSigner(c, &p.signer, suite)
	}
}

// proposalCache holds the proposals of the current epoch.
type proposalCache struct {
	suite CipherSuite
	list  []*keptProposal
	byRef map[string]*keptProposal
}

func (pc *proposalCache) find(ref ProposalRef) *keptProposal { return pc.byRef[string(ref)] }

// accept keeps a verified proposal for the commit that names it.
func (pc *proposalCache) accept(a *AuthenticatedContent, suite *algorithms, epoch uint64, p *Processed) (Delta, error) {
	if err := validateProposer(a.Content.Proposal, a.Content.Sender); err != nil {
		return nil, err
	}
	ref, err := a.ref(suite)
	if err != nil {
		return nil, err
	}
	if pc.find(ref) != nil {
		return nil, fmt.Errorf("%w: the proposal is known", ErrDuplicate)
	}
	p.Proposal, p.Ref = a.Content.Proposal, ref
	return pc.add(epoch, &keptProposal{ref: ref, sender: a.Content.Sender, proposal: p.Proposal})
}

// add keeps a proposal and returns its record.
func (pc *proposalCache) add(epoch uint64, p *keptProposal) (Delta, error) {
	if len(pc.list) >= maxProposals {
		return nil, invalid("12.1.8", "more than %d proposals in one epoch", maxProposals)
	}
	b, err := wire.Encode(func(c *wire.Codec) { p.wire(c, pc.suite) })
	if err != nil {
		return nil, err
	}
	d := Delta{{proposalKey(epoch, len(pc.list)), b}}
	pc.keep(p)
	return d, nil
}

func (pc *proposalCache) keep(p *keptProposal) {
	if pc.byRef == nil {
		pc.byRef = map[string]*keptProposal{}
	}
	pc.list = append(pc.list, p)
	pc.byRef[string(p.ref)] = p
}

func proposalKey(epoch uint64, i int) string { return fmt.Sprintf("proposal/%d/%d", epoch, i) }

// forget deletes the records of an epoch's proposals.
func (pc *proposalCache) forget(epoch uint64) Delta {
	var d Delta
	for i := range pc.list {
		d = append(d, Record{Key: proposalKey(epoch, i)})
	}
	return d
}

// resolve returns a commit's proposals with their senders.
func (pc *proposalCache) resolve(list []ProposalOrRef, committer Sender) ([]StagedProposal, error) {
	resolved := make([]StagedProposal, len(list))
	for i := range list {
		if p := list[i].Proposal; p != nil {
			resolved[i] = StagedProposal{Proposal: p, Sender: committer}
			continue
		}
		kept := pc.find(list[i].Reference)
		if kept == nil {
			return nil, invalid("12.4.2", "commit names a proposal that is not known")
		}
		resolved[i] = StagedProposal{kept.proposal, kept.sender, list[i].Reference}
	}
	return resolved, nil
}
