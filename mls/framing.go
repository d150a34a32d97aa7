package mls

import (
	"bytes"

	"codeberg.org/huis/huis/internal/wire"
)

// framedContentTBS returns what is signed, its label included
// (RFC 9420, Section 6.1). context is the encoded GroupContext of the content's
// epoch.
func (a *AuthenticatedContent) framedContentTBS(context []byte) ([]byte, error) {
	return labeledFields("FramedContentTBS", func(c *wire.Codec) { a.wireTBS(c, context) })
}

func (a *AuthenticatedContent) wireTBS(c *wire.Codec, context []byte) {
	version := MLS10
	wire.Uint16(c, &version)
	wire.Uint16(c, &a.WireFormat)
	a.Content.wire(c)
	switch a.Content.Sender.SenderType {
	case SenderMember, SenderNewMemberCommit:
		wire.Fixed(c, context) // inline: GroupContext has no length of its own
	}
}

// sign sets the signature; the confirmation tag of a commit follows from it.
func (a *AuthenticatedContent) sign(suite *algorithms, key SignaturePrivateKey, context []byte) error {
	tbs, err := a.framedContentTBS(context)
	if err != nil {
		return err
	}
	a.Auth.Signature, err = suite.sign(key, tbs)
	return err
}

// verifySignature checks that the holder of pub made the content.
func (a *AuthenticatedContent) verifySignature(suite *algorithms, pub SignaturePublicKey, context []byte) error {
	tbs, err := a.framedContentTBS(context)
	if err != nil {
		return err
	}
	if suite.verify(pub, tbs, a.Auth.Signature) != nil {
		return invalid("6.1", "signature of a message does not verify")
	}
	return nil
}

// ref is the reference of a proposal that travelled alone
// (RFC 9420, Section 5.2).
func (a *AuthenticatedContent) ref(suite *algorithms) (ProposalRef, error) {
	b, err := wire.Encode(a.wire)
	if err != nil {
		return nil, err
	}
	return suite.refHash("MLS 1.0 Proposal Reference", b), nil
}

// membershipTag proves to members that a member sent a PublicMessage
// (RFC 9420, Section 6.2).
func (a *AuthenticatedContent) membershipTag(suite *algorithms, key Secret, context []byte) ([]byte, error) {
	tbm, err := a.tbm(context)
	if err != nil {
		return nil, err
	}
	return suite.mac(key, tbm), nil
}

func (a *AuthenticatedContent) tbm(context []byte) ([]byte, error) {
	return wire.Encode(func(c *wire.Codec) {
		a.wireTBS(c, context)
		a.Auth.wire(c, a.Content.ContentType)
	})
}

// protectPublic frames signed content as PublicMessage. membershipKey is used for
// senders that are members.
func (a *AuthenticatedContent) protectPublic(suite *algorithms, membershipKey Secret, context []byte) (*PublicMessage, error) {
	m := &PublicMessage{Content: a.Content, Auth: a.Auth}
	if a.Content.Sender.SenderType != SenderMember {
		return m, nil
	}
	var err error
	m.MembershipTag, err = a.membershipTag(suite, membershipKey, context)
	return m, err
}

// unprotectPublic checks the membership tag of a PublicMessage; the caller checks
// the signature, with the key of the sender it says.
func unprotectPublic(m *PublicMessage, suite *algorithms, membershipKey Secret, context []byte) (*AuthenticatedContent, error) {
	a, err := m.authenticatedContent()
	if err != nil || m.Content.Sender.SenderType != SenderMember {
		return a, err
	}
	tbm, err := a.tbm(context)
	if err != nil {
		return nil, err
	}
	if !suite.verifyMAC(membershipKey, tbm, m.MembershipTag) {
		return nil, invalid("6.2", "membership tag does not verify")
	}
	return a, nil
}

// authenticatedContent returns the content unverified, checked for what no
// PublicMessage may be.
func (m *PublicMessage) authenticatedContent() (*AuthenticatedContent, error) {
	if m.Content.ContentType == ContentApplication {
		return nil, invalid("6.2", "application data in a PublicMessage")
	}
	return &AuthenticatedContent{WireFormatPublicMessage, m.Content, m.Auth}, nil
}

// checkSenderContent checks that this kind of sender may send this content
// (RFC 9420, Section 6).
func (f *FramedContent) checkSenderContent() error {
	switch f.Sender.SenderType {
	case SenderMember:
		return nil
	case SenderExternal, SenderNewMemberProposal:
		if f.ContentType == ContentProposal {
			return nil
		}
	case SenderNewMemberCommit:
		if f.ContentType == ContentCommit {
			return nil
		}
	}
	return invalid("6", "sender of type %d may not send content of type %d", f.Sender.SenderType, f.ContentType)
}

// senderData is who sent a PrivateMessage and with which key
// (RFC 9420, Section 6.3.2).
type senderData struct {
	LeafIndex  LeafIndex
	Generation uint32
	ReuseGuard [4]byte
}

func (s *senderData) wire(c *wire.Codec) {
	wire.Uint32(c, &s.LeafIndex)
	wire.Uint32(c, &s.Generation)
	wire.Fixed(c, s.ReuseGuard[:])
}

// privateContentAAD is authenticated with the content of a PrivateMessage
// (RFC 9420, Section 6.3.1).
func (m *PrivateMessage) privateContentAAD() []byte {
	return wire.MustEncode(func(c *wire.Codec) {
		m.wireSenderDataAAD(c)
		wire.Opaque(c, &m.AuthenticatedData)
	})
}

// senderDataAAD is authenticated with the sender data (RFC 9420, Section 6.3.2).
func (m *PrivateMessage) senderDataAAD() []byte { return wire.MustEncode(m.wireSenderDataAAD) }

func (m *PrivateMessage) wireSenderDataAAD(c *wire.Codec) {
	wire.Opaque(c, &m.GroupID)
	wire.Uint64(c, &m.Epoch)
	wire.Uint8(c, &m.ContentType)
}

// senderDataKey derives key and nonce of the sender data from the ciphertext's
// first bytes (RFC 9420, Section 6.3.2).
func (a *algorithms) senderDataKey(senderData Secret, ciphertext []byte) (key, nonce Secret) {
	sample := ciphertext[:min(a.hashSize(), len(ciphertext))]
	return a.expandWithLabel(senderData, "key", sample, a.keySize),
		a.expandWithLabel(senderData, "nonce", sample, a.nonceSize)
}

// guardNonce mixes the reuse guard into a copy of the nonce
// (RFC 9420, Section 6.3.1).
func guardNonce(nonce Secret, guard [4]byte) Secret {
	n := bytes.Clone(nonce)
	for i, b := range guard {
		n[i] ^= b
	}
	return n
}

// privateMessageContent codes what is encrypted; padding follows it
// (RFC 9420, Section 6.3.1).
func (a *AuthenticatedContent) privateMessageContent(c *wire.Codec) {
	a.Content.wireBody(c)
	a.Auth.wire(c, a.Content.ContentType)
}

// messageKeys are what an epoch needs to frame PrivateMessages and to read them,
// also after it has ended.
type messageKeys struct {
	suite      *algorithms
	groupID    []byte
	epoch      uint64
	own        LeafIndex
	senderData Secret
	tree       *secretTree
	limits     ratchetLimits
}

// protect encrypts signed content of this member with padding zero bytes. The
// delta must be durable before the message leaves.
func (k *messageKeys) protect(a *AuthenticatedContent, padding int) (*PrivateMessage, Delta, error) {
	plaintext, err := wire.Encode(a.privateMessageContent)
	if err != nil {
		return nil, nil, err
	}
	step, err := k.tree.next(ratchetOf(k.own, a.Content.ContentType))
	if err != nil {
		return nil, nil, err
	}
	m := &PrivateMessage{
		GroupID: a.Content.GroupID, Epoch: a.Content.Epoch,
		ContentType: a.Content.ContentType, AuthenticatedData: a.Content.AuthenticatedData,
	}
	sender := senderData{LeafIndex: k.own, Generation: step.Generation, ReuseGuard: [4]byte(randomBytes(4))}
	plaintext = append(plaintext, make([]byte, max(0, padding))...)
	m.Ciphertext = k.suite.seal(step.Key, guardNonce(step.Nonce, sender.ReuseGuard), m.privateContentAAD(), plaintext)
	key, nonce := k.suite.senderDataKey(k.senderData, m.Ciphertext)
	m.EncryptedSenderData = k.suite.seal(key, nonce, m.senderDataAAD(), wire.MustEncode(sender.wire))
	return m, k.tree.take(step), nil
}

// openSenderData says who sent a message; only a member can have made it.
func (k *messageKeys) openSenderData(m *PrivateMessage) (*senderData, error) {
	key, nonce := k.suite.senderDataKey(k.senderData, m.Ciphertext)
	b, err := k.suite.open(key, nonce, m.senderDataAAD(), m.EncryptedSenderData)
	if err != nil {
		return nil, invalid("6.3.2", "sender data does not open")
	}
	return parse(b, (*senderData).wire)
}

// decodePrivate reads what was encrypted and returns the padding after it.
func (a *AuthenticatedContent) decodePrivate(plaintext []byte) (padding []byte, err error) {
	rest, err := wire.DecodePrefix(plaintext, a.Content.wireBody)
	if err != nil {
		return nil, err
	}
	a.Content.body = plaintext[:len(plaintext)-len(rest)] // the codec accepts one encoding only
	return wire.DecodePrefix(rest, func(c *wire.Codec) { a.Auth.wire(c, a.Content.ContentType) })
}

// opened is a PrivateMessage that decrypted but whose signature nobody has
// checked.
type opened struct {
	content *AuthenticatedContent
	step    *ratchetStep
}

// unprotect decrypts a message of this epoch. Nothing changes: the caller checks
// the signature and then takes the step. An echo of an own message is
// ErrOwnMessage.
func (k *messageKeys) unprotect(m *PrivateMessage) (*opened, error) {
	sender, err := k.openSenderData(m)
	if err != nil {
		return nil, err
	}
	if sender.LeafIndex == k.own {
		return nil, ErrOwnMessage
	}
	step, err := k.tree.find(ratchetOf(sender.LeafIndex, m.ContentType), sender.Generation, k.limits)
	if err != nil {
		return nil, err
	}
	plaintext, err := k.suite.open(step.Key, guardNonce(step.Nonce, sender.ReuseGuard), m.privateContentAAD(), m.Ciphertext)
	if err != nil {
		return nil, invalid("6.3.1", "message does not open")
	}
	a := &AuthenticatedContent{WireFormat: WireFormatPrivateMessage, Content: FramedContent{
		GroupID: m.GroupID, Epoch: m.Epoch, ContentType: m.ContentType, AuthenticatedData: m.AuthenticatedData,
		Sender: Sender{SenderType: SenderMember, LeafIndex: sender.LeafIndex},
	}}
	padding, err := a.decodePrivate(plaintext)
	if err != nil {
		return nil, invalid("6.3.1", "content of a message: %v", err)
	}
	for _, b := range padding {
		if b != 0 {
			return nil, invalid("6.3.1", "padding of a message is not zero")
		}
	}
	return &opened{a, step}, nil
}
