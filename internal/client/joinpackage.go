package client

import (
	"bytes"
	"fmt"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// joinPackage is what one joiner is handed (protocol, section 3.1).
type joinPackage struct {
	Conversation proto.ConversationID
	Seed         seed // of its first member key
	Welcome      []byte
}

func (p *joinPackage) wire(c *wire.Codec) {
	formatVersion(c)
	p.Conversation.Wire(c)
	p.Seed.wire(c)
	wire.Opaque(c, &p.Welcome)
}

const joinLabel = "huis join"

// sealedJoin is a joinPackage under the init key of the key package Ref names.
type sealedJoin struct {
	Ref        mls.KeyPackageRef
	KEMOutput  []byte
	Ciphertext []byte
}

func (s *sealedJoin) wire(c *wire.Codec) {
	formatVersion(c)
	wire.OpaqueMax(c, &s.Ref, 64)
	wire.OpaqueMax(c, &s.KEMOutput, proto.MaxJoinPackage)
	wire.OpaqueMax(c, &s.Ciphertext, proto.MaxJoinPackage)
}

// sealJoinPackage encrypts p for the owner of kp, padded so that its size tells
// nothing.
func sealJoinPackage(p *joinPackage, kp *mls.KeyPackage) ([]byte, error) {
	plain, err := wire.Encode(func(c *wire.Codec) { wire.Struct(c, p.wire) })
	if err != nil {
		return nil, err
	}
	plain = append(plain, make([]byte, (1024-len(plain)%1024)%1024)...)
	ref, err := kp.Ref()
	if err != nil {
		return nil, err
	}
	ct, err := mls.EncryptWithLabel(kp.CipherSuite, kp.InitKey, joinLabel, ref, plain)
	if err != nil {
		return nil, err
	}
	s := sealedJoin{Ref: ref, KEMOutput: ct.KEMOutput, Ciphertext: ct.Ciphertext}
	b, err := wire.Encode(s.wire)
	if err == nil && len(b) > proto.MaxJoinPackage {
		err = fmt.Errorf("join package of %d bytes", len(b))
	}
	return b, err
}

// openJoinPackage decrypts s by the bundle it names.
func openJoinPackage(s *sealedJoin, bundle *mls.KeyPackageBundle) (*joinPackage, error) {
	ref, err := bundle.KeyPackage.Ref()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(ref, s.Ref) {
		return nil, fmt.Errorf("join package for another key package")
	}
	ct := &mls.HPKECiphertext{KEMOutput: s.KEMOutput, Ciphertext: s.Ciphertext}
	plain, err := mls.DecryptWithLabel(bundle.KeyPackage.CipherSuite, bundle.InitKey, joinLabel, ref, ct)
	if err != nil {
		return nil, fmt.Errorf("join package: does not open")
	}
	p := new(joinPackage)
	if _, err := wire.DecodePrefix(plain, func(c *wire.Codec) { wire.Struct(c, p.wire) }); err != nil {
		return nil, fmt.Errorf("join package: %w", err)
	}
	return p, nil
}
