package mls

import (
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Options are a client's limits and hooks; the zero value is usable. They are
// not part of a group's stored state.
type Options struct {
	// MaxPastEpochs is how many ended epochs messages can still be read of; 0
	// means 5, negative none.
	MaxPastEpochs int
	// PastEpochAge is how long after its end; 0 means 10 minutes.
	PastEpochAge time.Duration
	// MaxResumptionEpochs is how many ended epochs' resumption PSKs are kept
	// for commits of others; 0 means none but the current one's.
	MaxResumptionEpochs int
	// MaxForward bounds how many generations a message may be ahead of the last
	// one read from its sender; 0 means 1,000.
	MaxForward uint32
	// MaxSkipped bounds the keys kept for messages of a sender that were
	// overtaken, per epoch; 0 means 256.
	MaxSkipped uint32
	// Padding returns how many zero bytes to add to a content of n bytes; nil
	// pads to the next multiple of 64.
	Padding func(n int) int
	// Validator decides whether to believe a credential; nil believes all.
	// What it answers must follow from its arguments alone: members that
	// disagree about it end up in different groups.
	Validator CredentialValidator
	// ValidateCommit is the application's policy, asked for every commit made,
	// processed or, for current == nil, joined by. An error refuses it.
	ValidateCommit func(current, next *GroupView, c *StagedCommit) error
	// CustomProposals are the proposal types outside RFC 9420 that this
	// application understands; a commit with any other is refused. The value
	// tells whether a commit with this proposal needs a path.
	CustomProposals map[ProposalType]bool
	// PSKs finds pre-shared keys; nil has none. Resumption PSKs of the group
	// itself need not come from here.
	PSKs PSKSource
	// Pause, if not nil, is called between the verifications of a joiner, every 64
	// leaves: where nothing else can run meanwhile it lets others run.
	Pause func()

	meter *treeMeter // counts work in tests
}

func (o *Options) maxPastEpochs() int {
	if o.MaxPastEpochs == 0 {
		return 5
	}
	return max(o.MaxPastEpochs, 0)
}

func (o *Options) pastEpochAge() time.Duration {
	if o.PastEpochAge == 0 {
		return 10 * time.Minute
	}
	return o.PastEpochAge
}

func (o *Options) limits() ratchetLimits {
	l := ratchetLimits{forward: o.MaxForward, skipped: o.MaxSkipped}
	if l.forward == 0 {
		l.forward = 1000
	}
	if l.skipped == 0 {
		l.skipped = 256
	}
	return l
}

// padding is how many zero bytes to add to the plaintext of a.
func (o *Options) padding(a *AuthenticatedContent) int {
	b, err := wire.Encode(a.privateMessageContent)
	if err != nil {
		return 0 // the caller meets the same error
	}
	if o.Padding != nil {
		return o.Padding(len(b))
	}
	return -len(b) & 63
}

// CredentialValidator refuses, by an error, a credential or its binding to key.
type CredentialValidator func(c *Credential, key SignaturePublicKey) error

// PSKSource returns the pre-shared key an id names, or an error if there is
// none.
type PSKSource func(id *PreSharedKeyID) (Secret, error)

// GroupOptions describe a new group.
type GroupOptions struct {
	Extensions []Extension // of the GroupContext
	Leaf       LeafOptions // of the creator
}

// LeafOptions are the parts of a leaf its owner chooses. nil fields mean the
// default capabilities, or, where a leaf is replaced, those of the old one.
type LeafOptions struct {
	Capabilities *Capabilities
	Extensions   []Extension
}

// JoinOptions are what a joiner has besides the Welcome.
type JoinOptions struct {
	RatchetTree *RatchetTree // nil: in the Welcome
	PSKs        PSKSource    // nil: Options.PSKs
	// Predecessor is the group this one re-initializes or branches from
	// (RFC 9420, Sections 11.2, 11.3); nil if it is neither.
	Predecessor *Group
}

// CommitOptions say what a commit does.
type CommitOptions struct {
	Proposals []Proposal    // by value
	ByRef     []ProposalRef // of proposals processed or sent in this epoch

	// NoPath leaves out the update path; allowed if all proposals are Adds,
	// PSKs, ReInits or custom ones that need none.
	NoPath            bool
	AuthenticatedData []byte
	Public            bool      // PublicMessage instead of PrivateMessage
	PSKs              PSKSource // nil: Options.PSKs

	// GroupInfoExtensions returns further extensions of the GroupInfo in the
	// Welcome. It is called once, when the next epoch's tree is known.
	GroupInfoExtensions func(next *GroupView) ([]Extension, error)
	// TreeInWelcome puts the ratchet_tree extension into the GroupInfo.
	TreeInWelcome bool

	// NewSigner replaces this member's signature key; NewCredential and Leaf
	// replace the other parts of its leaf. They need a path.
	NewSigner     *SignaturePrivateKey
	NewCredential *Credential
	Leaf          LeafOptions
}
