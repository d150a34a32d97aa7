package kt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Policy says which log is believed and whose cosignatures a checkpoint needs
// (docs/protocol.md, Section 13). Policies form a chain that admins' clients
// sign; the server can neither make nor change one.
type Policy struct {
	N         uint64
	Prev      Hash // PolicyHash of policy N−1, zeros for N = 0
	Origin    string
	LogKey    [ed25519.PublicKeySize]byte
	VRFKey    VRFPublicKey
	Witnesses []NoteKey
	Groups    []WitnessGroup
	Quorum    string // name of a witness or group; "none": unwitnessed
	Signers   []PolicySigner
	M         uint8 // how many of Signers sign the next policy
}

// WitnessGroup is satisfied when Threshold of its Members are. Members are
// names of witnesses or of groups listed before it.
type WitnessGroup struct {
	Name      string
	Threshold uint8
	Members   []string
}

// PolicySigner is a person who may sign the next policy, and the key for it.
type PolicySigner struct {
	Account AccountID
	Key     [ed25519.PublicKeySize]byte
}

// QuorumNone is the quorum of a server without witnesses.
const QuorumNone = "none"

// Bounds of a policy.
const (
	MaxWitnesses = 64
	MaxGroups    = 64
	MaxSigners   = 64
	// MaxSignedPolicy bounds an encoded SignedPolicy, in bytes.
	MaxSignedPolicy = 32 << 10
)

// Wire codes the policy.
func (p *Policy) Wire(c *wire.Codec) {
	v := uint8(1)
	wire.Uint8(c, &v)
	if c.Err() == nil && v != 1 {
		c.Fail("witness policy of another version")
	}
	wire.Uint64(c, &p.N)
	wire.Fixed(c, p.Prev[:])
	wire.String(c, &p.Origin, maxOrigin)
	wire.Fixed(c, p.LogKey[:])
	wire.Fixed(c, p.VRFKey[:])
	wire.Vector(c, &p.Witnesses, (*NoteKey).Wire)
	wire.Vector(c, &p.Groups, (*WitnessGroup).wire)
	wire.String(c, &p.Quorum, maxOrigin)
	wire.Vector(c, &p.Signers, (*PolicySigner).wire)
	wire.Uint8(c, &p.M)
}

// Wire codes the key.
func (k *NoteKey) Wire(c *wire.Codec) {
	wire.String(c, &k.Name, maxOrigin)
	wire.Fixed(c, k.Key[:])
}

func (g *WitnessGroup) wire(c *wire.Codec) {
	wire.String(c, &g.Name, maxOrigin)
	wire.Uint8(c, &g.Threshold)
	wire.Vector(c, &g.Members, func(m *string, c *wire.Codec) { wire.String(c, m, maxOrigin) })
}

func (s *PolicySigner) wire(c *wire.Codec) {
	wire.Fixed(c, s.Account[:])
	wire.Fixed(c, s.Key[:])
}

// Hash names the policy.
func (p *Policy) Hash() Hash {
	return sha256.Sum256(labelled("huis/policy/1", wire.MustEncode(p.Wire)))
}

// Log returns the key under which checkpoints verify.
func (p *Policy) Log() NoteKey { return NoteKey{Name: p.Origin, Key: p.LogKey} }

// check refuses a policy that does not make sense by itself.
func (p *Policy) check() error {
	if p.Origin == "" || len(p.Witnesses) > MaxWitnesses || len(p.Groups) > MaxGroups {
		return invalid("policy", "a policy without origin or with too many witnesses")
	}
	if len(p.Signers) == 0 || len(p.Signers) > MaxSigners || p.M == 0 || int(p.M) > len(p.Signers) {
		return invalid("policy", "%d of %d signers", p.M, len(p.Signers))
	}
	for i, s := range p.Signers {
		if slices.ContainsFunc(p.Signers[:i], func(o PolicySigner) bool { return o.Key == s.Key }) {
			return invalid("policy", "a signer is named twice")
		}
	}
	return p.checkNames()
}

// checkNames also makes sure that groups do not refer to themselves.
func (p *Policy) checkNames() error {
	known := map[string]bool{QuorumNone: true}
	for i, w := range p.Witnesses {
		if w.Name == "" || known[w.Name] || slices.ContainsFunc(p.Witnesses[:i], func(o NoteKey) bool { return o.Key == w.Key }) {
			return invalid("policy", "a witness is named twice")
		}
		known[w.Name] = true
	}
	grouped := map[string]bool{} // one in two groups would make quorums less than Fewest says
	for _, g := range p.Groups {
		if g.Name == "" || known[g.Name] || g.Threshold == 0 || int(g.Threshold) > len(g.Members) {
			return invalid("policy", "group %q needs %d of %d members", g.Name, g.Threshold, len(g.Members))
		}
		for i, m := range g.Members {
			if m == QuorumNone || !known[m] || slices.Contains(g.Members[:i], m) {
				return invalid("policy", "group %q has member %q twice or too early", g.Name, m)
			}
			if grouped[m] {
				return invalid("policy", "%q is a member of two groups", m)
			}
			grouped[m] = true
		}
		known[g.Name] = true
	}
	if !known[p.Quorum] {
		return invalid("policy", "the quorum %q is not defined", p.Quorum)
	}
	return nil
}

// Satisfied tells whether cosignatures of this policy's witnesses, none older
// than maxAge at now, make its quorum. It never is without witnesses.
func (p *Policy) Satisfied(s []CosignedBy, now time.Time, maxAge time.Duration) bool {
	have := map[string]bool{}
	for _, c := range s {
		if slices.Contains(p.Witnesses, c.Witness) && !c.Time.Before(now.Add(-maxAge)) {
			have[c.Witness.Name] = true
		}
	}
	for _, g := range p.Groups {
		n := 0
		for _, m := range g.Members {
			if have[m] {
				n++
			}
		}
		have[g.Name] = n >= int(g.Threshold)
	}
	return p.Quorum != QuorumNone && have[p.Quorum]
}

// Fewest returns the least number of witnesses that can make the quorum.
func (p *Policy) Fewest() int {
	cost := map[string]int{QuorumNone: 0}
	for _, w := range p.Witnesses {
		cost[w.Name] = 1
	}
	for _, g := range p.Groups {
		var c []int
		for _, m := range g.Members {
			c = append(c, cost[m])
		}
		slices.Sort(c)
		for _, v := range c[:min(int(g.Threshold), len(c))] {
			cost[g.Name] += v
		}
	}
	return cost[p.Quorum]
}

// SignedPolicy is a policy with the signatures that let it follow the one before.
type SignedPolicy struct {
	Policy     Policy
	Signatures []PolicySignature
}

// PolicySignature is by Signers[Signer] of the policy before; of policy 0
// itself for N = 0.
type PolicySignature struct {
	Signer    uint8
	Signature [ed25519.SignatureSize]byte
}

// Wire codes the signed policy.
func (s *SignedPolicy) Wire(c *wire.Codec) {
	s.Policy.Wire(c)
	wire.Vector(c, &s.Signatures, func(g *PolicySignature, c *wire.Codec) {
		wire.Uint8(c, &g.Signer)
		wire.Fixed(c, g.Signature[:])
	})
}

// PolicyWait is how long a new policy stands in the log before it counts.
const PolicyWait = 72 * time.Hour

// Encode returns the bytes that stand in the log.
func (s *SignedPolicy) Encode() []byte { return wire.MustEncode(s.Wire) }

// ParseSignedPolicy reads what Encode gave, and checks nothing else.
func ParseSignedPolicy(b []byte) (*SignedPolicy, error) {
	if len(b) > MaxSignedPolicy {
		return nil, invalid("policy", "a policy of more than %d bytes", MaxSignedPolicy)
	}
	s := new(SignedPolicy)
	return s, wire.Decode(b, s.Wire)
}

// VerifyFirst checks policy 0, which its only signer signs.
func (s *SignedPolicy) VerifyFirst() error {
	if s.Policy.N != 0 || s.Policy.Prev != (Hash{}) {
		return invalid("policy", "policy %d is not the first", s.Policy.N)
	}
	if err := s.Policy.check(); err != nil {
		return err
	}
	return s.signedBy(s.Policy.Signers, len(s.Policy.Signers))
}

// VerifyNext checks that s may follow p, and says what of the change each
// person has to agree to, nil if nothing. That it stands in the log under p's
// quorum for PolicyWait is for the caller to check.
func (s *SignedPolicy) VerifyNext(p *Policy) (consent []string, err error) {
	q := &s.Policy
	switch {
	case q.N != p.N+1 || q.Prev != p.Hash():
		return nil, invalid("policy", "policy %d does not follow policy %d", q.N, p.N)
	case q.Origin != p.Origin || q.LogKey != p.LogKey || q.VRFKey != p.VRFKey:
		return nil, invalid("policy", "policy %d is of another log", q.N)
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	if err := s.signedBy(p.Signers, int(p.M)); err != nil {
		return nil, err
	}
	if len(q.Witnesses) < len(p.Witnesses) {
		consent = append(consent, "fewer witnesses")
	}
	if q.Fewest() < p.Fewest() {
		consent = append(consent, "a lower quorum")
	}
	if newSigners(p, q) && s.people(p) < 2 {
		consent = append(consent, "new signers, named by one person")
	}
	return consent, nil
}

func newSigners(p, q *Policy) bool {
	return slices.ContainsFunc(q.Signers, func(s PolicySigner) bool { return !slices.Contains(p.Signers, s) })
}

func (s *SignedPolicy) people(p *Policy) int {
	accounts := map[AccountID]bool{}
	for _, g := range s.Signatures {
		accounts[p.Signers[g.Signer].Account] = true
	}
	return len(accounts)
}

// signedBy wants at least m signatures by different ones of signers; a wrong
// signature is an error however many there are.
func (s *SignedPolicy) signedBy(signers []PolicySigner, m int) error {
	seen := map[uint8]bool{}
	msg := policySigned(s.Policy.Hash())
	for _, g := range s.Signatures {
		if int(g.Signer) >= len(signers) || seen[g.Signer] {
			return invalid("policy", "a signature by nobody, or twice by one signer")
		}
		if !ed25519.Verify(signers[g.Signer].Key[:], msg, g.Signature[:]) {
			return invalid("policy", "a signature of policy %d is wrong", s.Policy.N)
		}
		seen[g.Signer] = true
	}
	if len(seen) < m {
		return invalid("policy", "policy %d has %d signatures, %d are needed", s.Policy.N, len(seen), m)
	}
	return nil
}

func policySigned(h Hash) []byte { return labelled("huis/policy-sign/1", h[:]) }

// PolicyKey signs policies for one person. It lives on the person's devices.
type PolicyKey struct{ seed [ed25519.SeedSize]byte }

// GeneratePolicyKey returns a random key.
func GeneratePolicyKey() PolicyKey { return PolicyKey{randomSeed()} }

// ParsePolicyKey reads what Bytes gave.
func ParsePolicyKey(b []byte) (k PolicyKey, err error) {
	if len(b) != len(k.seed) {
		return k, invalid("policy", "a policy key has %d bytes", len(k.seed))
	}
	copy(k.seed[:], b)
	return k, nil
}

// Bytes returns the secret for storing; it is to be sealed.
func (k PolicyKey) Bytes() []byte { return bytes.Clone(k.seed[:]) }

// Public returns the key as Policy.Signers names it.
func (k PolicyKey) Public() (pub [ed25519.PublicKeySize]byte) {
	copy(pub[:], ed25519.NewKeyFromSeed(k.seed[:]).Public().(ed25519.PublicKey))
	return pub
}

func (PolicyKey) String() string   { return redacted }
func (PolicyKey) GoString() string { return redacted }

// Sign returns the signature of p as the signer-th of the policy before.
func (k PolicyKey) Sign(p *Policy, signer uint8) PolicySignature {
	sig := ed25519.Sign(ed25519.NewKeyFromSeed(k.seed[:]), policySigned(p.Hash()))
	return PolicySignature{Signer: signer, Signature: [ed25519.SignatureSize]byte(sig)}
}
