package mls

import "fmt"

// StagedCommit is a commit that was made or verified and not merged. It changes
// nothing until [Group.Merge].
type StagedCommit struct {
	Sender            Sender
	Committer         LeafIndex // where the committer is in the next epoch
	AuthenticatedData []byte
	Adds              []AddedMember
	Removes           []Member // as they were
	Updates           []Member // as they are now, by Update proposals
	CommitterChanged  bool     // the path gave the committer another credential or signature key
	Proposals         []StagedProposal
	HasPath           bool
	SelfRemoved       bool    // Merge ends this member's part
	ReInit            *ReInit // nil: none; otherwise the group ends with the next epoch

	// Delta, for a commit made here, is the ratchet step its encryption took. It
	// has to be durable, with the staged commit, before the message leaves.
	Delta Delta

	message  []byte
	welcome  *Welcome
	current  *GroupView
	next     *epoch // nil: SelfRemoved, or an observer's
	nextView *GroupView
	interim  []byte // an observer's: interim transcript hash of the next epoch
}

// Format keeps every verb from printing the secrets inside.
func (c StagedCommit) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "mls.StagedCommit{by leaf %d, %d proposals}", c.Committer, len(c.Proposals))
}

// AddedMember is a new member and the package it was added by; nil for an
// external joiner.
type AddedMember struct {
	Member
	KeyPackage *KeyPackage
}

// StagedProposal is a proposal that a commit covers.
type StagedProposal struct {
	Proposal *Proposal
	Sender   Sender
	ByRef    ProposalRef // nil: by value
}

// Message returns the encoded MLSMessage.
func (c *StagedCommit) Message() []byte { return c.message }

// Welcome returns the Welcome for all joiners, nil if there are none or the
// commit was made by another.
func (c *StagedCommit) Welcome() *Welcome { return c.welcome }

// Welcomes returns one Welcome for each Add, in their order. All have the same
// EncryptedGroupInfo and only their own entry of Secrets.
func (c *StagedCommit) Welcomes() []*Welcome {
	if c.welcome == nil {
		return nil
	}
	list := make([]*Welcome, len(c.welcome.Secrets))
	for i := range list {
		w := *c.welcome
		w.Secrets = c.welcome.Secrets[i : i+1 : i+1]
		list[i] = &w
	}
	return list
}

// Next returns the epoch after the commit.
func (c *StagedCommit) Next() *GroupView { return c.nextView }
