package content

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// CheckpointSize is the length of a log checkpoint inside a message, in bytes.
const CheckpointSize = 44

// FrankingKey (k_f) opens one message's tag. Whoever has it can show what was
// said.
type FrankingKey [32]byte

func (FrankingKey) String() string             { return "[redacted]" }
func (FrankingKey) GoString() string           { return "[redacted]" }
func (FrankingKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// Place is where a message stands; the sender's signature binds it. All of it
// is authenticated by MLS and by the entry around the message.
type Place struct {
	Conversation proto.ConversationID
	Epoch        uint64
	Leaf         uint32 // the sender's
	MK           proto.MemberKey
}

// Envelope is the application data of an MLS message (TLS presentation
// language).
type Envelope struct {
	Content    []byte          // canonical CBOR: Message
	KF         FrankingKey     // opens the tag in the authenticated data
	Sigma      proto.Signature // by M over tag and place
	Head       proto.Head      // the last entry the sender verified
	Checkpoint []byte          // of the log, CheckpointSize bytes; empty: none seen yet
	Gossip     []byte          // what proves Head and Checkpoint to others, now and then; see the client
}

// The versions of an envelope: the second has Gossip, which is not empty.
const (
	plainVersion  = 1
	gossipVersion = 2
)

// MaxGossip bounds Gossip, in bytes: a checkpoint with its cosignatures and two
// proofs.
const MaxGossip = 8 << 10

// maxContent bounds an encoded message: a full body with attachments' names.
const maxContent = proto.MaxApplication

// Wire codes the envelope.
func (e *Envelope) Wire(c *wire.Codec) {
	v := uint8(plainVersion)
	if len(e.Gossip) > 0 {
		v = gossipVersion
	}
	wire.Uint8(c, &v)
	if c.Err() == nil && v != plainVersion && v != gossipVersion {
		c.Fail("message of another version")
	}
	wire.OpaqueMax(c, &e.Content, maxContent)
	wire.Fixed(c, e.KF[:])
	e.Sigma.Wire(c)
	e.Head.Wire(c)
	wire.OpaqueMax(c, &e.Checkpoint, CheckpointSize)
	if n := len(e.Checkpoint); c.Err() == nil && n != 0 && n != CheckpointSize {
		c.Fail("checkpoint of another size")
	}
	if v == gossipVersion {
		wire.OpaqueMax(c, &e.Gossip, MaxGossip)
		if c.Err() == nil && len(e.Gossip) == 0 {
			c.Fail("empty gossip")
		}
	}
}

// Kept encodes what of an envelope is kept with its message: all but Gossip,
// which is about the moment.
func (e Envelope) Kept() []byte {
	e.Gossip = nil
	return wire.MustEncode(e.Wire)
}

// Sealed is what goes into one MLS application message.
type Sealed struct {
	Data []byte     // application data: the encoded Envelope
	AAD  []byte     // authenticated data: the encoded proto.AppAAD
	Tag  proto.Hash // the franking tag in AAD
	Kept []byte     // Envelope.Kept
}

// Seen is what a message says of the server; the fields are the Envelope's.
type Seen struct {
	Head               proto.Head
	Checkpoint, Gossip []byte // nil: nothing
}

// Seal signs m for its place with the sender's message key and draws a new
// franking key. A message that must be encrypted again is sealed again.
//
// seen is what the sender has seen of the server.
func Seal(m *Message, at Place, key ed25519.PrivateKey, seen Seen) (*Sealed, error) {
	b, err := m.Encode()
	if err != nil {
		return nil, err
	}
	e := Envelope{Content: b, Head: seen.Head, Checkpoint: seen.Checkpoint, Gossip: seen.Gossip}
	rand.Read(e.KF[:])
	tag := Tag(e.KF, b)
	copy(e.Sigma[:], ed25519.Sign(key, signed(tag, at)))
	data, err := wire.Encode(e.Wire)
	if err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	aad := proto.AppAAD{Tag: tag}
	return &Sealed{Data: data, AAD: wire.MustEncode(aad.Wire), Tag: tag, Kept: e.Kept()}, nil
}

// Opened is a verified message with what proves it to others.
type Opened struct {
	Message *Message
	Envelope
	Tag proto.Hash
}

// ErrUnverifiable is in the chain when a message does not prove its author. It
// is shown as a placeholder, never with its body.
var ErrUnverifiable = errors.New("content: the message does not verify")

// Open verifies application data and authenticated data of an MLS message that
// stands at a place, sent by the holder of m.
func Open(data, aad []byte, at Place, m ed25519.PublicKey) (*Opened, error) {
	var a proto.AppAAD
	if err := wire.Decode(aad, a.Wire); err != nil {
		return nil, fmt.Errorf("%w: authenticated data: %v", ErrUnverifiable, err)
	}
	var e Envelope
	if err := wire.Decode(data, e.Wire); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnverifiable, err)
	}
	message, err := Verify(&e, a.Tag, at, m)
	if err != nil {
		return nil, err
	}
	return &Opened{Message: message, Envelope: e, Tag: a.Tag}, nil
}

// Verify checks that e opens tag, that the holder of m signed it for its place,
// and that its content is a message. Head is not covered by it.
func Verify(e *Envelope, tag proto.Hash, at Place, m ed25519.PublicKey) (*Message, error) {
	opened := Tag(e.KF, e.Content)
	switch {
	case !hmac.Equal(opened[:], tag[:]):
		return nil, fmt.Errorf("%w: its franking tag is another message's", ErrUnverifiable)
	case len(m) != ed25519.PublicKeySize || !ed25519.Verify(m, signed(tag, at), e.Sigma[:]):
		return nil, fmt.Errorf("%w: its sender's signature is wrong", ErrUnverifiable)
	}
	message, err := Parse(e.Content)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrUnverifiable, err)
	}
	return message, nil
}

// Tag returns HMAC-SHA-256(k_f, "huis-frank/2" ‖ content).
func Tag(k FrankingKey, content []byte) (tag proto.Hash) {
	mac := hmac.New(sha256.New, k[:])
	mac.Write(labelled("huis-frank/2", content))
	return proto.Hash(mac.Sum(nil))
}

// signed returns what σ signs.
func signed(tag proto.Hash, at Place) []byte {
	epoch := binary.BigEndian.AppendUint64(nil, at.Epoch)
	leaf := binary.BigEndian.AppendUint32(nil, at.Leaf)
	return labelled("huis-frank-sender/2", tag[:], at.Conversation[:], epoch, leaf, at.MK[:])
}

// labelled returns label ‖ parts, each with its length before it.
func labelled(label string, parts ...[]byte) []byte {
	b := append(wire.AppendLength(nil, len(label)), label...)
	for _, p := range parts {
		b = append(wire.AppendLength(b, len(p)), p...)
	}
	return b
}
