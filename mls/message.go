package mls

import (
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// ContentType says what a message carries (RFC 9420, Section 6).
type ContentType uint8

// Contents of a message.
const (
	ContentApplication ContentType = 1
	ContentProposal    ContentType = 2
	ContentCommit      ContentType = 3
)

// SenderType says in which capacity somebody sent a message
// (RFC 9420, Section 6).
type SenderType uint8

// Capacities of a sender.
const (
	SenderMember            SenderType = 1
	SenderExternal          SenderType = 2
	SenderNewMemberProposal SenderType = 3
	SenderNewMemberCommit   SenderType = 4
)

// Sender names who sent a message (RFC 9420, Section 6).
type Sender struct {
	SenderType  SenderType
	LeafIndex   LeafIndex // member
	SenderIndex uint32    // external: place in the external_senders extension
}

func (s *Sender) wire(c *wire.Codec) {
	wire.Uint8(c, &s.SenderType)
	switch s.SenderType {
	case SenderMember:
		wire.Uint32(c, &s.LeafIndex)
	case SenderExternal:
		wire.Uint32(c, &s.SenderIndex)
	case SenderNewMemberProposal, SenderNewMemberCommit:
	default:
		c.Fail(fmt.Sprintf("sender type %d", s.SenderType))
	}
}

// WireFormat says how a message is framed (RFC 9420, Section 17.2).
type WireFormat uint16

// Framings of a message.
const (
	WireFormatPublicMessage  WireFormat = 1
	WireFormatPrivateMessage WireFormat = 2
	WireFormatWelcome        WireFormat = 3
	WireFormatGroupInfo      WireFormat = 4
	WireFormatKeyPackage     WireFormat = 5
)

// FramedContent is a message's content and where it belongs
// (RFC 9420, Section 6). Of the last three exactly what ContentType names is set.
type FramedContent struct {
	GroupID           []byte
	Epoch             uint64
	Sender            Sender
	AuthenticatedData []byte
	ContentType       ContentType
	ApplicationData   []byte
	Proposal          *Proposal
	Commit            *Commit

	// body, if not nil, is the encoding of the last three as it was decrypted: a
	// large commit is encoded for its signature and for the transcript.
	body []byte
}

func (f *FramedContent) wire(c *wire.Codec) {
	wire.Opaque(c, &f.GroupID)
	wire.Uint64(c, &f.Epoch)
	f.Sender.wire(c)
	wire.Opaque(c, &f.AuthenticatedData)
	wire.Uint8(c, &f.ContentType)
	f.wireBody(c)
}

// wireBody codes the arm that ContentType selects.
func (f *FramedContent) wireBody(c *wire.Codec) {
	if f.body != nil && !c.Decoding() {
		wire.Fixed(c, f.body)
		return
	}
	switch f.ContentType {
	case ContentApplication:
		wire.Opaque(c, &f.ApplicationData)
	case ContentProposal:
		wirePointer(c, &f.Proposal, (*Proposal).wire)
	case ContentCommit:
		wirePointer(c, &f.Commit, (*Commit).wire)
	default:
		c.Fail(fmt.Sprintf("content type %d", f.ContentType))
	}
}

// FramedContentAuthData proves who made a FramedContent (RFC 9420, Section 6.1).
type FramedContentAuthData struct {
	Signature       []byte
	ConfirmationTag []byte // commits only
}

func (a *FramedContentAuthData) wire(c *wire.Codec, t ContentType) {
	wire.Opaque(c, &a.Signature)
	if t == ContentCommit {
		wire.Opaque(c, &a.ConfirmationTag)
	}
}

// AuthenticatedContent is content with its proof, as hashed into the transcript
// (RFC 9420, Section 6).
type AuthenticatedContent struct {
	WireFormat WireFormat
	Content    FramedContent
	Auth       FramedContentAuthData
}

func (a *AuthenticatedContent) wire(c *wire.Codec) {
	wire.Uint16(c, &a.WireFormat)
	a.Content.wire(c)
	a.Auth.wire(c, a.Content.ContentType)
}

// PublicMessage is signed but not encrypted (RFC 9420, Section 6.2).
type PublicMessage struct {
	Content       FramedContent
	Auth          FramedContentAuthData
	MembershipTag []byte // senders that are members only
}

func (m *PublicMessage) wire(c *wire.Codec) {
	m.Content.wire(c)
	m.Auth.wire(c, m.Content.ContentType)
	if m.Content.Sender.SenderType == SenderMember {
		wire.Opaque(c, &m.MembershipTag)
	}
}

// PrivateMessage is signed and encrypted (RFC 9420, Section 6.3).
type PrivateMessage struct {
	GroupID             []byte
	Epoch               uint64
	ContentType         ContentType
	AuthenticatedData   []byte
	EncryptedSenderData []byte
	Ciphertext          []byte
}

func (m *PrivateMessage) wire(c *wire.Codec) {
	wire.Opaque(c, &m.GroupID)
	wire.Uint64(c, &m.Epoch)
	wire.Uint8(c, &m.ContentType)
	if m.ContentType < ContentApplication || m.ContentType > ContentCommit {
		c.Fail(fmt.Sprintf("content type %d", m.ContentType))
	}
	wire.Opaque(c, &m.AuthenticatedData)
	wire.Opaque(c, &m.EncryptedSenderData)
	wire.Opaque(c, &m.Ciphertext)
}

// MLSMessage is what travels between clients (RFC 9420, Section 6). Exactly the
// body named by WireFormat is set.
type MLSMessage struct {
	Version        ProtocolVersion
	WireFormat     WireFormat
	PublicMessage  *PublicMessage
	PrivateMessage *PrivateMessage
	Welcome        *Welcome
	GroupInfo      *GroupInfo
	KeyPackage     *KeyPackage
}

func (m *MLSMessage) wire(c *wire.Codec) {
	wire.Uint16(c, &m.Version)
	if m.Version != MLS10 {
		c.Fail(fmt.Sprintf("protocol version %d", m.Version))
		return
	}
	wire.Uint16(c, &m.WireFormat)
	switch m.WireFormat {
	case WireFormatPublicMessage:
		wirePointer(c, &m.PublicMessage, (*PublicMessage).wire)
	case WireFormatPrivateMessage:
		wirePointer(c, &m.PrivateMessage, (*PrivateMessage).wire)
	case WireFormatWelcome:
		wirePointer(c, &m.Welcome, (*Welcome).wire)
	case WireFormatGroupInfo:
		wirePointer(c, &m.GroupInfo, (*GroupInfo).wire)
	case WireFormatKeyPackage:
		wirePointer(c, &m.KeyPackage, (*KeyPackage).wire)
	default:
		c.Fail(fmt.Sprintf("wire format %d", m.WireFormat))
	}
}

// Encode returns the message as it travels.
func (m *MLSMessage) Encode() ([]byte, error) { return wire.Encode(m.wire) }

// ParseMLSMessage reads one message; it verifies nothing.
func ParseMLSMessage(b []byte) (*MLSMessage, error) { return parse(b, (*MLSMessage).wire) }

// decode is wire.Decode with the package's name before the error.
func decode(b []byte, fields func(*wire.Codec)) error {
	if err := wire.Decode(b, fields); err != nil {
		return fmt.Errorf("mls: %w", err)
	}
	return nil
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
