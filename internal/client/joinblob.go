package client

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// joinBlob is what a joiner needs beside its Welcome and the server must not
// see (protocol, section 2).
type joinBlob struct {
	Tree     []byte // ratchet_tree of the joiner's first epoch
	Keys     memberKeys
	Profiles []profile
	Left     []proto.MemberKey // keys that left by notice and are still in the tree
}

// profile is an account's name and chain as the adder knows them.
type profile struct {
	Account proto.AccountID
	Handle  string
	Links   [][]byte
}

func (p *profile) wire(c *wire.Codec) {
	p.Account.Wire(c)
	wire.String(c, &p.Handle, proto.MaxHandle)
	wire.Vector(c, &p.Links, func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, proto.MaxLink) })
}

func (b *joinBlob) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Opaque(c, &b.Tree)
	b.Keys.wire(c)
	wire.Vector(c, &b.Profiles, (*profile).wire)
	wire.Vector(c, &b.Left, (*proto.MemberKey).Wire)
}

// formatVersion codes the one-byte version of a format of this package.
func formatVersion(c *wire.Codec) {
	v := uint8(1)
	wire.Uint8(c, &v)
	if c.Err() == nil && v != 1 {
		c.Fail("format of another version")
	}
}

// maxJoinBlob bounds what a joiner reads into memory: the tree of 10,000
// members with chains.
const maxJoinBlob = 64 << 20

// joinRef is the GroupInfo extension huis_join: where the join blob is, its
// key and hash, and the head its sender last verified.
type joinRef struct {
	ID   proto.BlobID
	Key  [chacha20poly1305.KeySize]byte
	Hash proto.Hash // of the sealed bytes
	Size uint64     // of the sealed bytes
	Head proto.Head
}

func (r *joinRef) wire(c *wire.Codec) {
	formatVersion(c)
	r.ID.Wire(c)
	wire.Fixed(c, r.Key[:])
	r.Hash.Wire(c)
	wire.Uint64(c, &r.Size)
	r.Head.Wire(c)
}

func (r *joinRef) extension() mls.Extension {
	return mls.Extension{ExtensionType: extJoin, ExtensionData: wire.MustEncode(r.wire)}
}

// sealJoinBlob encrypts b under a fresh key that is used once.
func sealJoinBlob(b *joinBlob, at proto.Head) (sealed []byte, ref joinRef, err error) {
	plain, err := wire.Encode(func(c *wire.Codec) {
		wire.Struct(c, b.wire)
	})
	if err != nil {
		return nil, ref, err
	}
	plain = append(plain, make([]byte, pad(len(plain)))...)
	ref = joinRef{ID: proto.New[proto.BlobID](), Head: at}
	rand.Read(ref.Key[:])
	aead, err := chacha20poly1305.New(ref.Key[:])
	if err != nil {
		return nil, ref, err
	}
	sealed = aead.Seal(nil, make([]byte, aead.NonceSize()), plain, ref.ID[:])
	ref.Hash, ref.Size = sha256.Sum256(sealed), uint64(len(sealed))
	return sealed, ref, nil
}

// openJoinBlob is the inverse; it verifies hash and key, not what is inside.
func openJoinBlob(sealed []byte, ref *joinRef) (*joinBlob, error) {
	if sha256.Sum256(sealed) != ref.Hash {
		return nil, fmt.Errorf("join blob: not the bytes its sender named")
	}
	aead, err := chacha20poly1305.New(ref.Key[:])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), sealed, ref.ID[:])
	if err != nil {
		return nil, fmt.Errorf("join blob: does not open")
	}
	b := new(joinBlob)
	if _, err := wire.DecodePrefix(plain, func(c *wire.Codec) { wire.Struct(c, b.wire) }); err != nil {
		return nil, fmt.Errorf("join blob: %w", err)
	}
	return b, nil
}
