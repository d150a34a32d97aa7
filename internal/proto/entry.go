package proto

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"codeberg.org/huis/huis/internal/wire"
)

// Kind says what an entry of a conversation's log is (protocol.md, 14.1).
type Kind uint8

const (
	KindCreate      Kind = 0 // Bytes = member keys of epoch 1, see EncodeMembers
	KindCommit      Kind = 1 // Bytes = one MLS PrivateMessage of content type commit
	KindApplication Kind = 2 // Bytes = one MLS PrivateMessage of content type application
	KindNotice      Kind = 3 // Bytes = Notice
)

// Entry is one submission to a conversation's log, signed by its submitter's
// member key, so that the server cannot attribute it to another member
// (protocol.md, 3.4 and 14.1).
type Entry struct {
	Kind         Kind
	Conversation ConversationID
	Epoch        uint64
	MK           MemberKey
	Bytes        []byte
	ExtraHash    Hash // Extra.Hash for create and commit, zeros otherwise
	Sig          Signature
}

// Wire codes the entry. It lets twice the limits of limits.go through, so that
// what is a little too large is refused as too_large and not as malformed.
func (e *Entry) Wire(c *wire.Codec) {
	wire.Uint8(c, &e.Kind)
	if e.Kind > KindNotice {
		c.Fail("unknown kind of entry")
	}
	e.Conversation.Wire(c)
	wire.Uint64(c, &e.Epoch)
	e.MK.Wire(c)
	wire.OpaqueMax(c, &e.Bytes, 2*MaxCommit)
	e.ExtraHash.Wire(c)
	e.Sig.Wire(c)
}

// Hash identifies the entry: SHA-256 of its encoding, signature included.
func (e *Entry) Hash() Hash { return sha256.Sum256(wire.MustEncode(e.Wire)) }

// Tag is the franking tag an application entry carries in its
// authenticated_data; zeros for every other kind. The error says what of the
// bytes is malformed.
func (e *Entry) Tag() (Hash, error) {
	if e.Kind != KindApplication {
		return Hash{}, nil
	}
	f, err := ParseFrame(e.Bytes)
	if err != nil {
		return Hash{}, err
	}
	a, err := f.AppAAD()
	return a.Tag, err
}

// ErrSignature is returned when a signature does not verify.
var ErrSignature = errors.New("signature does not verify")

// Sign sets MK and Sig. Bytes must be complete; an application entry whose
// bytes carry no tag is an error.
func (e *Entry) Sign(key ed25519.PrivateKey) error {
	s, err := e.Skeleton()
	if err != nil {
		return err
	}
	copy(e.MK[:], key.Public().(ed25519.PublicKey))
	copy(e.Sig[:], ed25519.Sign(key, s.signed()))
	return nil
}

// Verify checks Sig under MK and that Bytes is what the kind says: for commit
// and application one PrivateMessage of this conversation, epoch and content
// type, with well-formed authenticated_data. It does not know who MK is.
func (e *Entry) Verify() error {
	if err := e.checkBytes(); err != nil {
		return err
	}
	s, err := e.Skeleton()
	if err != nil {
		return err
	}
	return s.VerifySubmitter()
}

func (e *Entry) checkBytes() error {
	switch e.Kind {
	case KindCreate:
		_, err := ParseMembers(e.Bytes)
		return err
	case KindNotice:
		_, err := ParseNotice(e.Bytes)
		return err
	}
	f, err := ParseFrame(e.Bytes)
	if err != nil {
		return err
	}
	want := ContentApplication
	if e.Kind == KindCommit {
		want = ContentCommit
	}
	switch {
	case f.ContentType != want:
		return fmt.Errorf("%w: content type %d in an entry of kind %d", wire.ErrSyntax, f.ContentType, e.Kind)
	case string(f.GroupID) != string(e.Conversation[:]):
		return fmt.Errorf("%w: group_id is not the conversation", wire.ErrSyntax)
	case f.Epoch != e.Epoch:
		return fmt.Errorf("%w: epoch %d in the message, %d in the entry", wire.ErrSyntax, f.Epoch, e.Epoch)
	}
	if e.Kind == KindCommit {
		_, err = f.KeyDelta()
	} else {
		_, err = f.AppAAD()
	}
	return err
}

// EncodeMembers is the Bytes of a create entry: the member keys of epoch 1.
func EncodeMembers(keys []MemberKey) []byte {
	return wire.MustEncode(func(c *wire.Codec) { wire.Vector(c, &keys, (*MemberKey).Wire) })
}

// ParseMembers reads the Bytes of a create entry.
func ParseMembers(b []byte) (keys []MemberKey, err error) {
	err = wire.Decode(b, func(c *wire.Codec) { wire.Vector(c, &keys, (*MemberKey).Wire) })
	return keys, err
}

// JoinPackage is one joiner's sealed join package and the ticket that lets it
// into the joiner's inbox. Sealed is at most MaxJoinPackage bytes.
type JoinPackage struct {
	Ticket Ticket
	Sealed []byte
}

// Wire codes the package.
func (p *JoinPackage) Wire(c *wire.Codec) {
	p.Ticket.Wire(c)
	wire.OpaqueMax(c, &p.Sealed, 2*MaxJoinPackage)
}

// Extra is what a create or commit carries beside its entry; the entry's
// ExtraHash binds it.
type Extra struct {
	Packages []JoinPackage
	Pins     []BlobID // kept for the retention time of the conversation
	Reform   *Entry   // create only: the reform notice for the predecessor's log
}

// Wire codes the extra.
func (x *Extra) Wire(c *wire.Codec) {
	wire.Vector(c, &x.Packages, (*JoinPackage).Wire)
	wire.Vector(c, &x.Pins, (*BlobID).Wire)
	wire.Optional(c, &x.Reform, (*Entry).Wire)
}

// Hash is the ExtraHash of the entry this belongs to.
func (x *Extra) Hash() Hash { return sha256.Sum256(wire.MustEncode(x.Wire)) }

// concat is the ‖ of protocol.md: each part as opaque<V>.
func concat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(wire.AppendLength(b, len(p)), p...)
	}
	return b
}

func u64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
