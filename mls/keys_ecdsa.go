//go:build !js

package mls

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
)

// ecdsaScheme is ECDSA on a curve of NIST, with a hash (RFC 9420, Section 5.1.1).
type ecdsaScheme struct {
	curve elliptic.Curve
	hash  crypto.Hash
}

type ecdsaSigner struct {
	*ecdsa.PrivateKey
	of ecdsaScheme
}

func (s ecdsaScheme) generate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(s.curve, rand.Reader)
	if err != nil {
		return nil, err
	}
	return key.Bytes()
}

func (s ecdsaScheme) parse(raw []byte) (Secret, crypto.Signer, error) {
	size := (s.curve.Params().BitSize + 7) / 8
	if len(raw) < size { // some write the scalar without its leading zeros
		raw = append(make([]byte, size-len(raw)), raw...)
	}
	key, err := ecdsa.ParseRawPrivateKey(s.curve, raw)
	if err != nil {
		return nil, nil, err
	}
	return raw, ecdsaSigner{key, s}, nil
}

func (s ecdsaScheme) verify(pub SignaturePublicKey, b, signature []byte) bool {
	key, err := ecdsa.ParseUncompressedPublicKey(s.curve, pub)
	return err == nil && ecdsa.VerifyASN1(key, s.digest(b), signature)
}

func (s ecdsaScheme) digest(b []byte) []byte {
	h := s.hash.New()
	h.Write(b)
	return h.Sum(nil)
}

func (k ecdsaSigner) scheme() curveScheme { return k.of }

func (k ecdsaSigner) public() SignaturePublicKey {
	pub, err := k.PublicKey.Bytes()
	if err != nil {
		return nil
	}
	return pub
}

func (k ecdsaSigner) sign(b []byte) ([]byte, error) {
	return k.Sign(rand.Reader, k.of.digest(b), k.of.hash)
}
