package proto

import (
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// ContentType of an MLS message (RFC 9420, Section 6).
type ContentType uint8

const (
	ContentApplication ContentType = 1
	ContentProposal    ContentType = 2
	ContentCommit      ContentType = 3
)

// Frame is the part of an MLS PrivateMessage that is in clear (RFC 9420,
// Section 6.3.1).
type Frame struct {
	GroupID           []byte
	Epoch             uint64
	ContentType       ContentType
	AuthenticatedData []byte
}

// ParseFrame reads an MLSMessage that must be one whole PrivateMessage of
// version mls10; anything else, PublicMessage too, is refused.
func ParseFrame(b []byte) (Frame, error) {
	var f Frame
	err := wire.Decode(b, func(c *wire.Codec) {
		var version, format uint16
		var senderData, ciphertext []byte
		wire.Uint16(c, &version)
		wire.Uint16(c, &format)
		if c.Err() == nil && (version != 1 || format != 2) {
			c.Fail("not an MLS 1.0 PrivateMessage")
		}
		wire.Opaque(c, &f.GroupID)
		wire.Uint64(c, &f.Epoch)
		wire.Uint8(c, &f.ContentType)
		wire.Opaque(c, &f.AuthenticatedData)
		wire.Opaque(c, &senderData)
		wire.Opaque(c, &ciphertext)
	})
	return f, err
}

// AppAAD is the authenticated_data of an application message: its franking
// tag (protocol.md, 6).
type AppAAD struct{ Tag Hash }

// Wire codes {v uint8 = 1, tag[32]}.
func (a *AppAAD) Wire(c *wire.Codec) {
	version(c)
	a.Tag.Wire(c)
}

// KeyDelta is the authenticated_data of a commit: the change of member keys
// (protocol.md, 3.3). Members check it against the tree; the server applies it.
type KeyDelta struct {
	Adds    []MemberKey // one per Add, in leaf order
	Removes []MemberKey // exactly the keys of the removed leaves
	Replace *MemberKey  // the committer's next key, nil to keep the present one
}

// Wire codes {v uint8 = 1, adds<V>, removes<V>, optional replace}.
func (d *KeyDelta) Wire(c *wire.Codec) {
	version(c)
	wire.Vector(c, &d.Adds, (*MemberKey).Wire)
	wire.Vector(c, &d.Removes, (*MemberKey).Wire)
	wire.Optional(c, &d.Replace, (*MemberKey).Wire)
}

// Distinct tells that no key occurs twice in the delta.
func (d *KeyDelta) Distinct() bool {
	all := append(append([]MemberKey{}, d.Adds...), d.Removes...)
	if d.Replace != nil {
		all = append(all, *d.Replace)
	}
	seen := make(map[MemberKey]bool, len(all))
	for _, k := range all {
		if seen[k] {
			return false
		}
		seen[k] = true
	}
	return true
}

// AppAAD reads the frame's authenticated_data as that of an application message.
func (f Frame) AppAAD() (a AppAAD, err error) {
	if err = wire.Decode(f.AuthenticatedData, a.Wire); err != nil {
		return AppAAD{}, fmt.Errorf("authenticated_data of an application message: %w", err)
	}
	return a, nil
}

// KeyDelta reads the frame's authenticated_data as that of a commit.
func (f Frame) KeyDelta() (d KeyDelta, err error) {
	if err = wire.Decode(f.AuthenticatedData, d.Wire); err != nil {
		return KeyDelta{}, fmt.Errorf("authenticated_data of a commit: %w", err)
	}
	return d, nil
}

// version codes the one-byte version of a format, which must be 1.
func version(c *wire.Codec) {
	v := uint8(1)
	wire.Uint8(c, &v)
	if c.Err() == nil && v != 1 {
		c.Fail("unknown version of a format")
	}
}

// NoticeType says what a notice tells the members.
type NoticeType uint8

const (
	NoticeLeave  NoticeType = 1 // the submitter left; its key closes at once
	NoticeRejoin NoticeType = 2 // the submitter lost its state, asks to be added again
	NoticeBroken NoticeType = 3 // the submitter cannot process the commit Seq, Hash
	NoticeReform NoticeType = 4 // the conversation goes on as Successor
)

// Notice is the Bytes of an entry of kind notice (protocol.md, 8, 9 and 11).
type Notice struct {
	Type      NoticeType
	Seq       uint64         // broken: the commit that cannot be processed
	Hash      Hash           // broken: Entry.Hash of that commit
	Successor ConversationID // reform
}

// Wire codes the type and only the fields that belong to it.
func (n *Notice) Wire(c *wire.Codec) {
	wire.Uint8(c, &n.Type)
	switch n.Type {
	case NoticeLeave, NoticeRejoin:
	case NoticeBroken:
		wire.Uint64(c, &n.Seq)
		n.Hash.Wire(c)
	case NoticeReform:
		n.Successor.Wire(c)
	default:
		c.Fail("unknown notice")
	}
}

// ParseNotice reads the Bytes of an entry of kind notice.
func ParseNotice(b []byte) (n Notice, err error) {
	if len(b) > MaxNotice {
		return n, fmt.Errorf("%w: notice of %d bytes", wire.ErrSyntax, len(b))
	}
	err = wire.Decode(b, n.Wire)
	return n, err
}
