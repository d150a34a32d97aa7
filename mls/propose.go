package mls

// UpdateOptions say how an Update changes this member's leaf.
type UpdateOptions struct {
	NewSigner     *SignaturePrivateKey
	NewCredential *Credential
	Leaf          LeafOptions
}

// Propose makes a standalone proposal, PublicMessage or PrivateMessage, that a
// commit may name by the reference returned. The delta has to be durable before
// the message leaves. For an Update use [Group.ProposeUpdate].
func (g *Group) Propose(p Proposal, aad []byte, public bool) ([]byte, ProposalRef, Delta, error) {
	return g.propose(&keptProposal{proposal: &p}, aad, public)
}

// ProposeUpdate proposes fresh keys for this member's leaf
// (RFC 9420, Section 12.1.2).
func (g *Group) ProposeUpdate(opt UpdateOptions, aad []byte, public bool) ([]byte, ProposalRef, Delta, error) {
	if err := g.sendable(); err != nil {
		return nil, nil, nil, err
	}
	signer := g.epoch.signer
	if opt.NewSigner != nil {
		signer = *opt.NewSigner
	}
	key, pub, err := GenerateHPKEKey(g.Suite())
	if err != nil {
		return nil, nil, nil, err
	}
	leaf, err := replaceLeaf(g.tree.leaf(g.epoch.own), pub, signer, opt.NewCredential, opt.Leaf)
	if err != nil {
		return nil, nil, nil, err
	}
	leaf.Source = SourceUpdate
	if err := leaf.sign(g.Suite(), signer, g.context.GroupID, g.epoch.own); err != nil {
		return nil, nil, nil, err
	}
	p := &Proposal{Type: ProposalUpdate, Update: &Update{*leaf}}
	return g.propose(&keptProposal{proposal: p, key: key, signer: signer}, aad, public)
}

func (g *Group) propose(p *keptProposal, aad []byte, public bool) ([]byte, ProposalRef, Delta, error) {
	if err := g.sendable(); err != nil {
		return nil, nil, nil, err
	}
	p.sender = Sender{SenderType: SenderMember, LeafIndex: g.epoch.own}
	if err := validateProposer(p.proposal, p.sender); err != nil {
		return nil, nil, nil, err
	}
	a := &AuthenticatedContent{WireFormat: WireFormatPrivateMessage, Content: g.content(ContentProposal, aad)}
	if public {
		a.WireFormat = WireFormatPublicMessage
	}
	a.Content.Proposal = p.proposal
	if err := a.sign(g.suite(), g.epoch.signer, g.epoch.encodedContext()); err != nil {
		return nil, nil, nil, err
	}
	var err error
	if p.ref, err = a.ref(g.suite()); err != nil {
		return nil, nil, nil, err
	}
	d, err := g.proposals.add(g.epoch.context.Epoch, p)
	if err != nil {
		return nil, nil, nil, err
	}
	msg, step, err := g.protect(a)
	return msg, p.ref, append(d, step...), err
}

// ExternalPSK names a pre-shared key the application gave all members, with a
// fresh nonce, for a PreSharedKey proposal.
func ExternalPSK(suite CipherSuite, id []byte) (PreSharedKeyID, error) {
	a, err := suite.algorithms()
	if err != nil {
		return PreSharedKeyID{}, err
	}
	return PreSharedKeyID{PSKType: PSKExternal, PSKID: id, PSKNonce: randomBytes(a.hashSize())}, nil
}

// ResumptionPSK names the resumption secret of an epoch of a group, with a fresh
// nonce, for a PreSharedKey proposal (RFC 9420, Section 8.6).
func ResumptionPSK(suite CipherSuite, groupID []byte, epoch uint64) (PreSharedKeyID, error) {
	a, err := suite.algorithms()
	if err != nil {
		return PreSharedKeyID{}, err
	}
	return PreSharedKeyID{
		PSKType: PSKResumption, Usage: UsageApplication, PSKGroupID: groupID, PSKEpoch: epoch,
		PSKNonce: randomBytes(a.hashSize()),
	}, nil
}
