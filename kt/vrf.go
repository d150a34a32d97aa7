package kt

import (
	"bytes"
	"crypto/sha512"
	"crypto/subtle"
	"errors"

	"filippo.io/edwards25519"
)

// The verifiable random function of the map is ECVRF-EDWARDS25519-SHA512-TAI
// (RFC 9381, Section 5.5, suite 0x03). It hides labels from those who see
// proofs: only the server can compute an index, and it can prove each one.

// Sizes of RFC 9381, Section 5.5, in bytes.
const (
	VRFKeySize    = 32
	VRFProofSize  = 80 // Gamma ‖ c ‖ s
	VRFOutputSize = 64
)

const (
	vrfSuite     = 0x03
	vrfChallenge = 16 // cLen
)

// VRFPublicKey verifies the server's VRF proofs.
type VRFPublicKey [VRFKeySize]byte

// VRFProof is pi_string.
type VRFProof [VRFProofSize]byte

// VRFOutput is beta_string.
type VRFOutput [VRFOutputSize]byte

// ErrVRF is returned for a VRF key or proof that is not valid.
var ErrVRF = errors.New("kt: VRF proof does not verify")

// VRFKey is the server's secret. Prove may be called concurrently.
type VRFKey struct {
	seed   [VRFKeySize]byte
	x      *edwards25519.Scalar
	prefix [32]byte
	public VRFPublicKey
}

// NewVRFKey derives the key from its seed (RFC 8032, Section 5.1.5).
func NewVRFKey(seed [VRFKeySize]byte) *VRFKey {
	h := sha512.Sum512(seed[:])
	x, err := edwards25519.NewScalar().SetBytesWithClamping(h[:32])
	if err != nil {
		panic("kt: " + err.Error()) // 32 bytes were given
	}
	k := &VRFKey{seed: seed, x: x, prefix: [32]byte(h[32:])}
	k.public = VRFPublicKey(new(edwards25519.Point).ScalarBaseMult(x).Bytes())
	return k
}

// GenerateVRFKey returns a random key.
func GenerateVRFKey() *VRFKey { return NewVRFKey(randomSeed()) }

// Seed returns the secret, to be stored sealed.
func (k *VRFKey) Seed() [VRFKeySize]byte { return k.seed }

// Public returns the key that verifies.
func (k *VRFKey) Public() VRFPublicKey { return k.public }

func (*VRFKey) String() string   { return redacted }
func (*VRFKey) GoString() string { return redacted }

// Prove returns the output for alpha and the proof of it (Section 5.1).
func (k *VRFKey) Prove(alpha []byte) (VRFProof, VRFOutput) {
	h := encodeToCurve(k.public, alpha)
	gamma := new(edwards25519.Point).ScalarMult(k.x, h)
	nonce := sha512.New() // Section 5.4.2.2
	nonce.Write(k.prefix[:])
	nonce.Write(h.Bytes())
	n, err := edwards25519.NewScalar().SetUniformBytes(nonce.Sum(nil))
	if err != nil {
		panic("kt: " + err.Error()) // SHA-512 gives 64 bytes
	}
	u := new(edwards25519.Point).ScalarBaseMult(n)
	v := new(edwards25519.Point).ScalarMult(n, h)
	c := challenge(k.public, h, gamma, u, v)
	s := edwards25519.NewScalar().MultiplyAdd(scalar16(c), k.x, n)
	var pi VRFProof
	copy(pi[:32], gamma.Bytes())
	copy(pi[32:48], c[:])
	copy(pi[48:], s.Bytes())
	return pi, output(gamma)
}

// Verify returns the output pi proves for alpha (Section 5.3, with
// validate_key, Section 5.4.5).
func (y VRFPublicKey) Verify(alpha []byte, pi VRFProof) (VRFOutput, error) {
	key, err := parsePoint(y[:])
	if err != nil || lowOrder(key) {
		return VRFOutput{}, ErrVRF
	}
	gamma, err := parsePoint(pi[:32])
	if err != nil {
		return VRFOutput{}, ErrVRF
	}
	s, err := edwards25519.NewScalar().SetCanonicalBytes(pi[48:])
	if err != nil {
		return VRFOutput{}, ErrVRF
	}
	c := [vrfChallenge]byte(pi[32:48])
	minus := edwards25519.NewScalar().Negate(scalar16(c))
	h := encodeToCurve(y, alpha)
	u := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(minus, key, s)
	v := new(edwards25519.Point).VarTimeMultiScalarMult(
		[]*edwards25519.Scalar{s, minus}, []*edwards25519.Point{h, gamma})
	if again := challenge(y, h, gamma, u, v); subtle.ConstantTimeCompare(again[:], c[:]) != 1 {
		return VRFOutput{}, ErrVRF
	}
	return output(gamma), nil
}

// encodeToCurve is try-and-increment with the public key as salt (Section
// 5.4.1.1). Each attempt fails with probability one half; 256 attempts do not
// all fail.
func encodeToCurve(y VRFPublicKey, alpha []byte) *edwards25519.Point {
	for ctr := range 256 {
		d := sha512.New()
		d.Write([]byte{vrfSuite, 0x01})
		d.Write(y[:])
		d.Write(alpha)
		d.Write([]byte{byte(ctr), 0x00})
		p, err := parsePoint(d.Sum(nil)[:32])
		if err != nil || lowOrder(p) {
			continue
		}
		return p.MultByCofactor(p)
	}
	panic("kt: no point on the curve in 256 attempts")
}

// challenge is Section 5.4.3.
func challenge(y VRFPublicKey, points ...*edwards25519.Point) (c [vrfChallenge]byte) {
	d := sha512.New()
	d.Write([]byte{vrfSuite, 0x02})
	d.Write(y[:])
	for _, p := range points {
		d.Write(p.Bytes())
	}
	d.Write([]byte{0x00})
	copy(c[:], d.Sum(nil))
	return c
}

// output is proof_to_hash (Section 5.2).
func output(gamma *edwards25519.Point) (beta VRFOutput) {
	d := sha512.New()
	d.Write([]byte{vrfSuite, 0x03})
	d.Write(new(edwards25519.Point).MultByCofactor(gamma).Bytes())
	d.Write([]byte{0x00})
	copy(beta[:], d.Sum(nil))
	return beta
}

// parsePoint is decoding as RFC 8032, Section 5.1.3 has it: only the one
// canonical encoding of a point.
func parsePoint(b []byte) (*edwards25519.Point, error) {
	p, err := new(edwards25519.Point).SetBytes(b)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(p.Bytes(), b) {
		return nil, errors.New("kt: encoding of a point is not canonical")
	}
	return p, nil
}

func lowOrder(p *edwards25519.Point) bool {
	return new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1
}

func scalar16(c [vrfChallenge]byte) *edwards25519.Scalar {
	var wide [32]byte
	copy(wide[:], c[:])
	s, err := edwards25519.NewScalar().SetCanonicalBytes(wide[:])
	if err != nil {
		panic("kt: " + err.Error()) // 128 bits are below the order
	}
	return s
}
