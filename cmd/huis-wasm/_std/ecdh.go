// This file is package crypto/internal/fips140/ecdh in the core for browsers, and
// only there (see the Makefile): Diffie-Hellman on the curves of NIST. crypto/hpke
// names them beside X25519, which is made elsewhere, so they came along with their
// tables and made a twelfth of the core, whose one suite never uses them. What
// asks for one of them is refused.

package ecdh

import (
	"errors"
	"io"
)

// Curve is one of the curves there are none of.
type Curve struct{}

// PublicKey is never made.
type PublicKey struct{}

// PrivateKey is never made.
type PrivateKey struct{}

var errAbsent = errors.New("crypto/ecdh: this program has no curves of NIST")

// P256 names no curve.
func P256() *Curve { return nil }

// P384 names no curve.
func P384() *Curve { return nil }

// P521 names no curve.
func P521() *Curve { return nil }

// GenerateKey refuses.
func GenerateKey(*Curve, io.Reader) (*PrivateKey, error) { return nil, errAbsent }

// NewPrivateKey refuses.
func NewPrivateKey(*Curve, []byte) (*PrivateKey, error) { return nil, errAbsent }

// NewPublicKey refuses.
func NewPublicKey(*Curve, []byte) (*PublicKey, error) { return nil, errAbsent }

// ECDH refuses.
func ECDH(*Curve, *PrivateKey, *PublicKey) ([]byte, error) { return nil, errAbsent }

// Bytes is never called: there is no such key.
func (*PublicKey) Bytes() []byte { return nil }

// Bytes is never called: there is no such key.
func (*PrivateKey) Bytes() []byte { return nil }

// PublicKey is never called: there is no such key.
func (*PrivateKey) PublicKey() *PublicKey { return nil }
