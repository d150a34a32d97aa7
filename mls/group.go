package mls

import "time"

// Group is one member's view of a group: the current epoch, which never changes
// but by [Group.Merge], and the message keys of a few ended ones. It is not safe
// for concurrent use.
type Group struct {
	GroupView // of the current epoch

	opt Options
}

// epoch is the whole state of one epoch that a member holds, but for the
// message ratchets. It does not change.
type epoch struct {
	context GroupContext
	tree    *ratchetTree
}

// NewGroup makes a group whose only member is the holder of signer.
func NewGroup(suite CipherSuite, groupID []byte, signer SignaturePrivateKey, cred Credential, create GroupOptions, opt Options) (*Group, Delta, error) {
	return nil, nil, errNotImplemented
}

// Join enters the epoch a Welcome leads to. The caller deletes the bundle, unless
// it is a last resort, in the transaction that writes the delta.
func Join(w *Welcome, kp *KeyPackageBundle, join JoinOptions, opt Options) (*Group, Delta, error) {
	return nil, nil, errNotImplemented
}

// OpenGroupInfo decrypts the GroupInfo of a Welcome, to find in its extensions
// where the tree is. Its signature is checked only by [Join].
func OpenGroupInfo(w *Welcome, kp *KeyPackageBundle, psks PSKSource) (*GroupInfo, error) {
	return nil, errNotImplemented
}

// OwnLeaf returns this member's leaf.
func (g *Group) OwnLeaf() LeafIndex { return 0 }

// View returns the current epoch as a value that stays.
func (g *Group) View() *GroupView { v := g.GroupView; return &v }

// EpochAuthenticator is the same for all members of an epoch and nobody else
// (RFC 9420, Section 8.7).
func (g *Group) EpochAuthenticator() []byte { return nil }

// ConfirmationTag is that of the commit that began the epoch.
func (g *Group) ConfirmationTag() []byte { return nil }

// Export derives n bytes for the application (RFC 9420, Section 8.5).
func (g *Group) Export(label string, context []byte, n int) (Secret, error) {
	return nil, errNotImplemented
}

// Protect encrypts an application message and returns it encoded. The delta has
// to be durable before the message leaves.
func (g *Group) Protect(data, aad []byte) ([]byte, Delta, error) { return nil, nil, errNotImplemented }

// Commit makes a commit on the current epoch, which stays as it is.
func (g *Group) Commit(now time.Time, opt CommitOptions) (*StagedCommit, error) {
	return nil, errNotImplemented
}

// Propose makes a standalone proposal; the delta has to be durable before the
// message leaves. public frames it as PublicMessage.
func (g *Group) Propose(p Proposal, aad []byte, public bool) ([]byte, ProposalRef, Delta, error) {
	return nil, nil, nil, errNotImplemented
}

// Processed is what a message turned out to be.
type Processed struct {
	Kind              ContentType
	Sender            Sender
	Epoch             uint64
	Generation        uint32 // application: of the sender's ratchet
	AuthenticatedData []byte
	Data              []byte        // application
	SenderMember      Member        // application, by a member: who it was in that epoch
	Proposal          *Proposal     // proposal
	Ref               ProposalRef   // proposal
	Commit            *StagedCommit // commit: for Merge

	// Delta is the ratchet step or the stored proposal, to be written with what
	// the message says.
	Delta Delta
}

// Process verifies and opens an encoded message. A commit changes nothing before
// it is merged; an application message's key is used up; a proposal is kept for
// a commit that names it.
func (g *Group) Process(now time.Time, msg []byte) (*Processed, error) {
	return nil, errNotImplemented
}

// Merge makes the staged commit's next epoch the current one. It fails only, with
// ErrStaleEpoch or ErrFork, if the commit is not one on the current epoch.
func (g *Group) Merge(now time.Time, c *StagedCommit) (Delta, error) {
	return nil, errNotImplemented
}

// MessageHeader is what a message shows to everybody.
type MessageHeader struct {
	WireFormat        WireFormat
	GroupID           []byte
	Epoch             uint64
	ContentType       ContentType
	AuthenticatedData []byte
}

// Peek reads the header of a PublicMessage or PrivateMessage; it verifies nothing.
func Peek(msg []byte) (*MessageHeader, error) {
	m, err := ParseMLSMessage(msg)
	if err != nil {
		return nil, err
	}
	switch m.WireFormat {
	case WireFormatPublicMessage:
		c := &m.PublicMessage.Content
		return &MessageHeader{m.WireFormat, c.GroupID, c.Epoch, c.ContentType, c.AuthenticatedData}, nil
	case WireFormatPrivateMessage:
		p := m.PrivateMessage
		return &MessageHeader{m.WireFormat, p.GroupID, p.Epoch, p.ContentType, p.AuthenticatedData}, nil
	}
	return nil, invalid("6", "message is neither public nor private")
}
