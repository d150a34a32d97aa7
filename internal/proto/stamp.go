package proto

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"

	"codeberg.org/huis/huis/internal/wire"
)

// Receipt is the server's word for an entry's place in the log (protocol.md, 6
// and 14.1). Seq counts from 1 in each conversation, so that 0 is "before the
// first". ChainPrev of the first entry is zeros.
type Receipt struct {
	Generation Generation
	Seq        uint64
	Minute     uint64 // Unix time in whole minutes
	ChainPrev  Hash
	KID        KID
	Stamp      Signature
}

// Wire codes the receipt.
func (r *Receipt) Wire(c *wire.Codec) {
	r.Generation.Wire(c)
	wire.Uint64(c, &r.Seq)
	wire.Uint64(c, &r.Minute)
	r.ChainPrev.Wire(c)
	r.KID.Wire(c)
	r.Stamp.Wire(c)
}

// Head is the (generation, seq, chain) a member last verified. It rides in
// every message, 56 bytes.
type Head struct {
	Generation Generation
	Seq        uint64
	Chain      Hash
}

// Wire codes the head.
func (h *Head) Wire(c *wire.Codec) {
	h.Generation.Wire(c)
	wire.Uint64(c, &h.Seq)
	h.Chain.Wire(c)
}

// Stamped is an entry as readers get it.
type Stamped struct {
	Entry   Entry
	Receipt Receipt
}

// Wire codes the pair.
func (s *Stamped) Wire(c *wire.Codec) {
	s.Entry.Wire(c)
	s.Receipt.Wire(c)
}

// Chain is chain_i of protocol.md, 6: the hash over the entry, its place and
// everything before it. The error is that of a malformed application entry.
func (r *Receipt) Chain(e *Entry) (Hash, error) {
	s, err := e.Skeleton()
	if err != nil {
		return Hash{}, err
	}
	return r.chain(&s), nil
}

// Skeleton is what of an entry its stamp is made over: enough to verify the
// submitter's signature and the chain through it without its bytes.
type Skeleton struct {
	Kind         Kind
	Conversation ConversationID
	Epoch        uint64
	MK           MemberKey
	Tag          Hash // Entry.Tag
	Body         Hash // SHA-256 of Entry.Bytes
	ExtraHash    Hash
	Sig          Signature
}

// Skeleton returns the entry without its bytes. The error is that of a
// malformed application entry.
func (e *Entry) Skeleton() (Skeleton, error) {
	tag, err := e.Tag()
	return Skeleton{
		Kind: e.Kind, Conversation: e.Conversation, Epoch: e.Epoch, MK: e.MK,
		Tag: tag, Body: sha256.Sum256(e.Bytes), ExtraHash: e.ExtraHash, Sig: e.Sig,
	}, err
}

// VerifySubmitter checks Sig under MK.
func (s *Skeleton) VerifySubmitter() error {
	if !ed25519.Verify(s.MK[:], s.signed(), s.Sig[:]) {
		return ErrSignature
	}
	return nil
}

func (s *Skeleton) signed() []byte {
	return concat([]byte("huis/entry/1"), []byte{byte(s.Kind)}, s.Conversation[:], u64(s.Epoch), s.Tag[:], s.Body[:], s.ExtraHash[:])
}

func (r *Receipt) chain(s *Skeleton) Hash {
	return sha256.Sum256(concat([]byte("huis-chain/3"), r.ChainPrev[:], []byte{byte(s.Kind)}, r.Generation[:],
		s.Conversation[:], u64(r.Seq), u64(s.Epoch), u64(r.Minute), s.MK[:], s.Tag[:], s.Body[:], s.ExtraHash[:], s.Sig[:]))
}

// StampKID names a stamp key: the first 8 bytes of SHA-256 over its label and
// public key.
func StampKID(pub ed25519.PublicKey) (k KID) {
	h := sha256.Sum256(concat([]byte("huis-stamp-key/1"), pub))
	copy(k[:], h[:])
	return k
}

func stamped(kid KID, chain Hash) []byte {
	return concat([]byte("huis-stamp/2"), kid[:], chain[:])
}

// Sign fills in KID and Stamp of a receipt whose other fields are set, and
// returns the chain value it stamps.
func (r *Receipt) Sign(e *Entry, key ed25519.PrivateKey) (Hash, error) {
	chain, err := r.Chain(e)
	if err != nil {
		return Hash{}, err
	}
	r.KID = StampKID(key.Public().(ed25519.PublicKey))
	copy(r.Stamp[:], ed25519.Sign(key, stamped(r.KID, chain)))
	return chain, nil
}

// ErrStampKey is returned when the receipt names another stamp key, or one of
// another generation.
var ErrStampKey = errors.New("stamp of another key or generation")

// Verify checks that key stamped e at the receipt's place, and returns the
// chain value: the next receipt's ChainPrev. It does not check e's own signature.
func (r *Receipt) Verify(e *Entry, key StampKey) (Hash, error) {
	s, err := e.Skeleton()
	if err != nil {
		return Hash{}, err
	}
	return r.VerifySkeleton(&s, key)
}

// VerifySkeleton is Verify for an entry without its bytes.
func (r *Receipt) VerifySkeleton(s *Skeleton, key StampKey) (Hash, error) {
	if r.KID != key.KID || r.Generation != key.Generation || StampKID(key.Public[:]) != key.KID {
		return Hash{}, ErrStampKey
	}
	chain := r.chain(s)
	if !ed25519.Verify(key.Public[:], stamped(r.KID, chain), r.Stamp[:]) {
		return Hash{}, ErrSignature
	}
	return chain, nil
}

// StampKey is the public half of a key the server stamps with, in one generation.
type StampKey struct {
	KID        KID
	Public     [ed25519.PublicKeySize]byte
	Generation Generation
}

// Wire codes the key.
func (k *StampKey) Wire(c *wire.Codec) {
	k.KID.Wire(c)
	wire.Fixed(c, k.Public[:])
	k.Generation.Wire(c)
}

// OpenProof is what a member key signs to open a conversation's session.
func OpenProof(n Nonce, origin string, conversation ConversationID) []byte {
	return concat([]byte("huis/open/1"), n[:], []byte(origin), conversation[:])
}

// SessionProof is what a device's message key signs to open an account's session.
func SessionProof(n Nonce, origin string, a AccountID, d DeviceID) []byte {
	return concat([]byte("huis/session/1"), n[:], []byte(origin), a[:], d[:])
}
