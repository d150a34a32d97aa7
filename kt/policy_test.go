package kt

import (
	"slices"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

var keys = []PolicyKey{GeneratePolicyKey(), GeneratePolicyKey(), GeneratePolicyKey()}

func firstPolicy(t testing.TB) *SignedPolicy {
	t.Helper()
	p := Policy{Origin: "example.org/huis", Quorum: "all", M: 1,
		Witnesses: []NoteKey{{Name: "w1", Key: [32]byte{1}}, {Name: "w2", Key: [32]byte{2}}, {Name: "w3", Key: [32]byte{3}}},
		Groups:    []WitnessGroup{{Name: "peers", Threshold: 1, Members: []string{"w2", "w3"}}, {Name: "all", Threshold: 2, Members: []string{"w1", "peers"}}},
		Signers:   []PolicySigner{{Account: AccountID{1}, Key: keys[0].Public()}},
	}
	s := &SignedPolicy{Policy: p, Signatures: []PolicySignature{keys[0].Sign(&p, 0)}}
	if err := s.VerifyFirst(); err != nil {
		t.Fatal(err)
	}
	return s
}

// next changes a copy of p and signs it by the first signer.
func next(p *Policy, change func(*Policy)) *SignedPolicy {
	q := Policy{}
	if err := wire.Decode(wire.MustEncode(p.Wire), q.Wire); err != nil {
		panic(err)
	}
	q.N, q.Prev = p.N+1, p.Hash()
	change(&q)
	return &SignedPolicy{Policy: q, Signatures: []PolicySignature{keys[0].Sign(&q, 0)}}
}

func TestQuorumCountsFreshCosignaturesOfThePolicysWitnesses(t *testing.T) {
	p := &firstPolicy(t).Policy
	now := time.Unix(1700000000, 0)
	by := func(ages ...time.Duration) (s []CosignedBy) {
		for i, age := range ages {
			if age >= 0 {
				s = append(s, CosignedBy{Witness: p.Witnesses[i], Time: now.Add(-age)})
			}
		}
		return s
	}
	const none, fresh, old = -1, time.Hour, 25 * time.Hour
	cases := []struct {
		s    []CosignedBy
		want bool
	}{
		{by(fresh, fresh, none), true},
		{by(fresh, none, fresh), true},
		{by(none, fresh, fresh), false},
		{by(fresh, none, none), false},
		{by(fresh, old, none), false},
		{by(fresh, old, fresh), true},
		{append(by(fresh), CosignedBy{Witness: NoteKey{Name: "w2", Key: [32]byte{9}}, Time: now}), false},
		{nil, false},
	}
	for i, c := range cases {
		if got := p.Satisfied(c.s, now, 24*time.Hour); got != c.want {
			t.Errorf("case %d: %v", i, got)
		}
	}
	if p.Fewest() != 2 {
		t.Errorf("fewest %d", p.Fewest())
	}
	unwitnessed := Policy{Quorum: QuorumNone}
	if unwitnessed.Satisfied(by(fresh, fresh, fresh), now, 24*time.Hour) {
		t.Error("a policy without quorum is never satisfied")
	}
}

func TestPolicyChangesThatNeedConsent(t *testing.T) {
	p := &firstPolicy(t).Policy
	cases := map[string]struct {
		change func(*Policy)
		want   []string
	}{
		"a witness more": {func(q *Policy) { q.Witnesses = append(q.Witnesses, NoteKey{Name: "w4", Key: [32]byte{4}}) }, nil},
		"a witness less": {func(q *Policy) {
			q.Witnesses, q.Groups[0].Members = q.Witnesses[:2], []string{"w2"}
		}, []string{"fewer witnesses"}},
		"a lower quorum": {func(q *Policy) { q.Quorum = "peers" }, []string{"a lower quorum"}},
		"no quorum":      {func(q *Policy) { q.Quorum = QuorumNone }, []string{"a lower quorum"}},
		"a new signer": {func(q *Policy) {
			q.Signers = append(q.Signers, PolicySigner{Account: AccountID{2}, Key: keys[1].Public()})
		}, []string{"new signers, named by one person"}},
	}
	for what, c := range cases {
		if got, err := next(p, c.change).VerifyNext(p); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	two := next(p, func(q *Policy) {
		q.Signers = append(q.Signers, PolicySigner{Account: AccountID{2}, Key: keys[1].Public()})
		q.M = 2
	})
	three := next(&two.Policy, func(q *Policy) {
		q.Signers = append(q.Signers, PolicySigner{Account: AccountID{3}, Key: keys[2].Public()})
	})
	if _, err := three.VerifyNext(&two.Policy); err == nil {
		t.Error("one signature of two accepted")
	}
	three.Signatures = append(three.Signatures, keys[1].Sign(&three.Policy, 1))
	if got, err := three.VerifyNext(&two.Policy); err != nil || got != nil {
		t.Errorf("new signers named by two people: %v, %v", got, err)
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	p := &firstPolicy(t).Policy
	changes := map[string]func(*Policy){
		"skips a number":      func(q *Policy) { q.N++ },
		"another predecessor": func(q *Policy) { q.Prev[0]++ },
		"another log key":     func(q *Policy) { q.LogKey[0]++ },
		"another VRF key":     func(q *Policy) { q.VRFKey[0]++ },
		"another origin":      func(q *Policy) { q.Origin = "elsewhere" },
		"no signers":          func(q *Policy) { q.Signers = nil },
		"nobody has to sign":  func(q *Policy) { q.M = 0 },
		"more than there are": func(q *Policy) { q.M = 2 },
		"a signer twice":      func(q *Policy) { q.Signers = append(q.Signers, q.Signers[0]) },
		"a witness twice":     func(q *Policy) { q.Witnesses[1].Name = "w1" },
		"a key twice":         func(q *Policy) { q.Witnesses[1].Key = q.Witnesses[0].Key },
		"unknown quorum":      func(q *Policy) { q.Quorum = "w9" },
		"group of itself":     func(q *Policy) { q.Groups[0].Members = []string{"peers", "w2"} },
		"group of none":       func(q *Policy) { q.Groups[0].Members = []string{QuorumNone, "w2"} },
		"member twice":        func(q *Policy) { q.Groups[0].Members = []string{"w2", "w2"} },
		"threshold of zero":   func(q *Policy) { q.Groups[0].Threshold = 0 },
		"threshold too high":  func(q *Policy) { q.Groups[0].Threshold = 3 },
	}
	for what, change := range changes {
		if _, err := next(p, change).VerifyNext(p); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	forged := next(p, func(q *Policy) {})
	forged.Signatures[0].Signature[5] ^= 1
	if _, err := forged.VerifyNext(p); err == nil {
		t.Error("a wrong signature accepted")
	}
	for _, sigs := range [][]PolicySignature{nil, {forged.Signatures[0], forged.Signatures[0]}, {{Signer: 7}}} {
		s := firstPolicy(t)
		s.Signatures = sigs
		if s.VerifyFirst() == nil {
			t.Error("policy 0 without its signature accepted")
		}
	}
}

func TestPolicyHasOneEncoding(t *testing.T) {
	s := firstPolicy(t)
	b := wire.MustEncode(s.Wire)
	var again SignedPolicy
	if err := wire.Decode(b, again.Wire); err != nil || again.VerifyFirst() != nil || again.Policy.Hash() != s.Policy.Hash() {
		t.Fatal(err)
	}
	for n := range b {
		var p SignedPolicy
		if wire.Decode(b[:n], p.Wire) == nil {
			t.Fatalf("prefix of %d bytes accepted", n)
		}
	}
}
