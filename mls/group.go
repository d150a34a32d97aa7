package mls

import (
	"bytes"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Group is one member's view of a group: the current epoch, which only
// [Group.Merge] replaces, and the message keys of a few ended ones. It is not
// safe for concurrent use.
//
//	        Commit                Merge
//	epoch ──────────► StagedCommit ──────► epoch + 1
//	   │    Process        │
//	   └───────────────────┘ dropped: nothing has changed
type Group struct {
	GroupView // of the current epoch

	opt   Options
	epoch *epoch

	keys       *messageKeys  // of the current epoch
	exporter   *exporterTree // of the current epoch
	past       []*pastEpoch  // oldest first
	resumption map[uint64]Secret
	proposals  proposalCache
	stored     treeRecords
	removed    bool
}

// epoch is what a member holds of one epoch, but for the tree and the message
// keys. It does not change.
type epoch struct {
	context         GroupContext
	interim         []byte // interim transcript hash
	confirmationTag []byte
	secrets         *epochSecrets
	own             LeafIndex
	private         privateKeys
	signer          SignaturePrivateKey
	reinit          *ReInit // the group has ended in favour of this
}

// NewGroup makes a group whose only member is the holder of signer
// (RFC 9420, Section 11).
func NewGroup(suite CipherSuite, groupID []byte, signer SignaturePrivateKey, cred Credential, create GroupOptions, opt Options) (*Group, Delta, error) {
	a, err := suite.algorithms()
	if err != nil {
		return nil, nil, err
	}
	key, public, err := a.keyPair(a.kem.GenerateKey())
	if err != nil {
		return nil, nil, err
	}
	leaf, err := newLeaf(suite, public, signer, cred, create.Leaf)
	if err != nil {
		return nil, nil, err
	}
	leaf.Source, leaf.Lifetime = SourceKeyPackage, Lifetime{NotAfter: 1<<64 - 1}
	if err := leaf.sign(suite, signer, nil, 0); err != nil {
		return nil, nil, err
	}
	tree := newRatchetTree(a, leaf)
	tree.meter = opt.meter
	if err := tree.validateLeafContent(leaf, groupID, 0, &opt); err != nil {
		return nil, nil, err
	}
	if err := tree.validateMembers(create.Extensions); err != nil {
		return nil, nil, err
	}
	e := &epoch{
		context: GroupContext{
			Version: MLS10, CipherSuite: suite, GroupID: bytes.Clone(groupID),
			TreeHash: tree.treeHash(), ConfirmedTranscriptHash: []byte{}, Extensions: create.Extensions,
		},
		secrets: a.fromEpochSecret(randomBytes(a.hashSize())),
		private: privateKeys{0: key},
		signer:  signer,
	}
	e.confirm(a)
	return begin(e, tree, opt)
}

// confirm sets the confirmation tag of an epoch made here, and what follows.
func (e *epoch) confirm(a *algorithms) {
	e.confirmationTag = a.confirmationTag(e.secrets.ConfirmationKey, e.context.ConfirmedTranscriptHash)
	e.interim = a.interimTranscriptHash(e.context.ConfirmedTranscriptHash, e.confirmationTag)
}

// begin makes a group of its first epoch.
func begin(e *epoch, tree *ratchetTree, opt Options) (*Group, Delta, error) {
	g := &Group{opt: opt, resumption: map[uint64]Secret{}}
	d := g.enter(e, tree)
	d = append(d, g.storeWholeTree()...)
	return g, append(d, g.storeEpoch(), g.storeHead()), nil
}

// enter makes e the current epoch and returns the records of its message keys.
// e itself is not changed: who could not store the delta may merge again.
func (g *Group) enter(e *epoch, tree *ratchetTree) Delta {
	a := tree.suite
	current, secrets := *e, *e.secrets
	keys, d := newSecretTree(a, keysPrefix(e.context.Epoch), tree.leafCount(), bytes.Clone(secrets.Encryption))
	exporter, more := newExporterTree(a, exporterPrefix(e.context.Epoch), bytes.Clone(secrets.ApplicationExport))
	secrets.Encryption, secrets.ApplicationExport = nil, nil
	current.secrets = &secrets
	g.epoch = &current
	g.GroupView = GroupView{context: &g.epoch.context, tree: tree}
	g.keys, g.exporter = g.messageKeys(g.epoch, keys), exporter
	g.proposals = proposalCache{suite: g.Suite()}
	return append(d, more...)
}

func (g *Group) messageKeys(e *epoch, tree *secretTree) *messageKeys {
	return &messageKeys{
		suite: tree.nodes.suite, groupID: e.context.GroupID, epoch: e.context.Epoch, own: e.own,
		senderData: e.secrets.SenderData, tree: tree, limits: g.opt.limits(),
	}
}

// Format keeps every verb from printing the secrets inside.
func (g Group) Format(f fmt.State, _ rune) {
	if g.context == nil {
		fmt.Fprint(f, "mls.Group{}")
		return
	}
	fmt.Fprintf(f, "mls.Group{%x, epoch %d}", g.context.GroupID, g.context.Epoch)
}

// suite returns the primitives of the group.
func (g *Group) suite() *algorithms { return g.tree.suite }

// OwnLeaf returns this member's leaf.
func (g *Group) OwnLeaf() LeafIndex { return g.epoch.own }

// View returns the current epoch as a value that stays.
func (g *Group) View() *GroupView { v := g.GroupView; return &v }

// Removed tells whether this member was removed; then nothing else works.
func (g *Group) Removed() bool { return g.removed }

// PendingReInit returns the ReInit that ended the group, nil if it goes on. Then
// nothing but reading and [Group.ReInit] works.
func (g *Group) PendingReInit() *ReInit { return g.epoch.reinit }

// EpochAuthenticator is the same for all members of an epoch and nobody else
// (RFC 9420, Section 8.7).
func (g *Group) EpochAuthenticator() []byte { return g.epoch.secrets.EpochAuthenticator }

// ConfirmationTag is that of the commit that began the epoch. Two members at the
// same epoch with different tags are in different histories.
func (g *Group) ConfirmationTag() []byte { return g.epoch.confirmationTag }

// Export derives n bytes for the application (RFC 9420, Section 8.5).
func (g *Group) Export(label string, context []byte, n int) (Secret, error) {
	if err := g.usable(); err != nil {
		return nil, err
	}
	return g.suite().export(g.epoch.secrets.Exporter, label, context, n)
}

// SafeExport returns the secret of an application component in this epoch, once;
// it cannot be derived again (draft-ietf-mls-extensions). The delta has to be
// durable before the secret is used.
func (g *Group) SafeExport(id ComponentID) (Secret, Delta, error) {
	if err := g.usable(); err != nil {
		return nil, nil, err
	}
	return g.exporter.export(id)
}

// ResumptionPSK returns the resumption secret of the current epoch
// (RFC 9420, Section 8.6).
func (g *Group) ResumptionPSK() Secret { return g.epoch.secrets.ResumptionPSK }

// usable tells whether this member still has keys.
func (g *Group) usable() error {
	if g.removed {
		return ErrRemoved
	}
	return nil
}

// sendable tells whether this member may send.
func (g *Group) sendable() error {
	if err := g.usable(); err != nil {
		return err
	}
	if g.epoch.reinit != nil {
		return invalid("11.2", "group has ended: it was re-initialized")
	}
	return nil
}

// encodedContext is the serialized GroupContext of the epoch.
func (e *epoch) encodedContext() []byte { return wire.MustEncode(e.context.wire) }

// Processed is what a message turned out to be.
type Processed struct {
	Kind              ContentType
	Sender            Sender
	Epoch             uint64
	Generation        uint32 // PrivateMessage: of the sender's ratchet
	AuthenticatedData []byte
	Data              []byte        // application
	SenderMember      Member        // sender a member: who it was in that epoch
	Proposal          *Proposal     // proposal
	Ref               ProposalRef   // proposal
	Commit            *StagedCommit // commit: for Merge

	// Delta is the ratchet step or the stored proposal, to be written with what
	// the message says. Empty for a commit.
	Delta Delta
}

// Process verifies and opens an encoded message. A commit changes nothing before
// it is merged; an application message's key is used up; a proposal is kept for
// a commit that names it. now only drops past epochs that are too old.
//
// ErrOwnMessage: an echo; of a PrivateMessage it says only that its sender data,
// which any member could write, names this one: compare it with what was sent.
// ErrDuplicate: seen before. ErrStaleEpoch,
// ErrFutureEpoch: of an epoch not held. ErrFork: a commit that another member
// made on an ended epoch, and that is not the one merged here.
func (g *Group) Process(now time.Time, msg []byte) (*Processed, error) {
	if err := g.usable(); err != nil {
		return nil, err
	}
	m, err := ParseMLSMessage(msg)
	if err != nil {
		return nil, err
	}
	var p *Processed
	switch m.WireFormat {
	case WireFormatPublicMessage:
		p, err = g.processPublic(m.PublicMessage, msg)
	case WireFormatPrivateMessage:
		p, err = g.processPrivate(now, m.PrivateMessage, msg)
	default:
		err = invalid("6", "message is neither public nor private")
	}
	if err != nil {
		return nil, err
	}
	if p.Commit != nil {
		p.Commit.message = bytes.Clone(msg)
	}
	return p, nil
}

// Merge makes the staged commit's next epoch the current one; for a commit that
// removes this member it ends the member's part. now is when the old epoch ended.
// It fails only, with ErrStaleEpoch or ErrFork, if the commit is not one on the
// current epoch.
func (g *Group) Merge(now time.Time, c *StagedCommit) (Delta, error) {
	if err := g.usable(); err != nil {
		return nil, err
	}
	if err := onCurrent(c.current, &g.epoch.context); err != nil {
		return nil, err
	}
	if c.next == nil && !c.SelfRemoved {
		return nil, errForeignStage
	}
	if c.SelfRemoved {
		return g.leave(), nil
	}
	before := g.tree
	d := g.retire(now, c)
	d = append(d, g.enter(c.next, c.nextView.tree)...)
	d = append(d, g.storeTree(before)...)
	return append(d, g.storeEpoch(), g.storeHead()), nil
}

// Protect encrypts an application message and returns it encoded. The delta has
// to be durable before the message leaves.
func (g *Group) Protect(data, aad []byte) ([]byte, Delta, error) {
	if err := g.sendable(); err != nil {
		return nil, nil, err
	}
	content := g.content(ContentApplication, aad)
	content.ApplicationData = data
	a := &AuthenticatedContent{WireFormat: WireFormatPrivateMessage, Content: content}
	if err := a.sign(g.suite(), g.epoch.signer, g.epoch.encodedContext()); err != nil {
		return nil, nil, err
	}
	return g.protect(a)
}

// content returns the frame of what this member sends now.
func (g *Group) content(t ContentType, aad []byte) FramedContent {
	return FramedContent{
		GroupID: g.epoch.context.GroupID, Epoch: g.epoch.context.Epoch, ContentType: t, AuthenticatedData: aad,
		Sender: Sender{SenderType: SenderMember, LeafIndex: g.epoch.own},
	}
}

// protect frames signed content as its wire format says.
func (g *Group) protect(a *AuthenticatedContent) ([]byte, Delta, error) {
	m := MLSMessage{Version: MLS10, WireFormat: a.WireFormat}
	var d Delta
	var err error
	if a.WireFormat == WireFormatPublicMessage {
		m.PublicMessage, err = a.protectPublic(g.suite(), g.epoch.secrets.MembershipKey, g.epoch.encodedContext())
	} else {
		m.PrivateMessage, d, err = g.keys.protect(a, g.opt.padding(a))
	}
	if err != nil {
		return nil, nil, err
	}
	b, err := m.Encode()
	return b, d, err
}
