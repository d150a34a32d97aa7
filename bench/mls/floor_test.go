package mls

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"math/bits"
	"syscall"
	"testing"
	"time"

	"codeberg.org/huis/huis/mls"
	"golang.org/x/crypto/chacha20poly1305"
)

// cpuTime is what this process has used, garbage collection included: unlike the
// clock on the wall it does not depend on what else the machine does.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cost returns the processor time of one call: the best of batches that together
// take about budget. before, if not nil, prepares n calls and is not timed.
func cost(budget time.Duration, before func(n int), f func()) time.Duration {
	batch := func(n int) time.Duration {
		if before != nil {
			before(n)
		}
		start := cpuTime()
		for range n {
			f()
		}
		return cpuTime() - start
	}
	batch(1) // fills caches
	best := max(batch(1), time.Microsecond)
	perBatch := max(1, int(budget/20/best))
	for used := time.Duration(0); used < budget; {
		t := batch(perBatch)
		best, used = min(best, t/time.Duration(perBatch)), used+t
	}
	return best
}

// primitives are the costs on this machine of what MLS cannot do without.
type primitives struct {
	Seal, Open, DeriveKeyPair    time.Duration
	Sign, Verify                 time.Duration
	HashLeaf, HashParent, Expand time.Duration
	AEAD                         time.Duration // 1 KiB
	KiB                          time.Duration // of a handshake message: AEAD, signature's and transcript's hash
}

func measurePrimitives(t testing.TB, suite mls.CipherSuite) primitives {
	const budget = 200 * time.Millisecond
	var p primitives
	private, public, err := mls.GenerateHPKEKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	context, plaintext := make([]byte, 180), make([]byte, 48)
	ct := must(mls.EncryptWithLabel(suite, public, "l", context, plaintext))
	p.Seal = cost(budget, nil, func() { must(mls.EncryptWithLabel(suite, public, "l", context, plaintext)) })
	p.Open = cost(budget, nil, func() { must(mls.DecryptWithLabel(suite, private, "l", context, ct)) })
	f := newFullTree(t, suite, 2)
	p.DeriveKeyPair = cost(budget, nil, func() { must(f.kem.DeriveKeyPair(plaintext)) })

	signer, pub, err := mls.GenerateSignatureKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 300)
	sig := must(mls.SignWithLabel(suite, signer, "l", content))
	p.Sign = cost(budget, nil, func() { must(mls.SignWithLabel(suite, signer, "l", content)) })
	p.Verify = cost(budget, nil, func() {
		if mls.VerifyWithLabel(suite, pub, "l", content, sig) != nil {
			panic("signature")
		}
	})
	newHash := func() hash.Hash { return sha256.New() }
	aead := gcm(make([]byte, 16))
	if suite == mls.XWingChaChaSHA384Ed25519 {
		newHash, aead = sha512.New384, must(chacha20poly1305.New(make([]byte, 32)))
	}
	leaf := make([]byte, 150+len(public))
	parent := make([]byte, 2*48+len(public))
	sum := func(b []byte) func() { return func() { h := newHash(); h.Write(b); h.Sum(nil) } }
	p.HashLeaf, p.HashParent = cost(budget, nil, sum(leaf)), cost(budget, nil, sum(parent))
	secret := make([]byte, newHash().Size())
	p.Expand = cost(budget, nil, func() { must(hkdf.Expand(newHash, secret, "MLS 1.0 label and context", len(secret))) })
	kilobyte, nonce := make([]byte, 1024), make([]byte, 12)
	p.AEAD = cost(budget, nil, func() { aead.Seal(nil, nonce, kilobyte, nil) })
	p.KiB = p.AEAD + cost(budget, nil, sum(kilobyte)) + cost(budget, nil, func() { sha512.Sum512(kilobyte) })
	return p
}

// work counts the primitives of an operation.
type work struct {
	seals, opens, derives, signs, verifies, leaves, parents, expands, aeads, bytes int
}

func (w work) cost(p primitives) time.Duration {
	n := func(count int, each time.Duration) time.Duration { return time.Duration(count) * each }
	return n(w.seals, p.Seal) + n(w.opens, p.Open) + n(w.derives, p.DeriveKeyPair) + n(w.signs, p.Sign) +
		n(w.verifies, p.Verify) + n(w.leaves, p.HashLeaf) + n(w.parents, p.HashParent) + n(w.expands, p.Expand) + n(w.aeads, p.AEAD) + n(w.bytes, p.KiB)/1024
}

// depth is d = ceil(log2 n), the length of a path.
func depth(n int) int { return bits.Len(uint(n - 1)) }

// schedule is the expansions of a key schedule and of a transcript.
const schedule = 16

// path is the size of a commit's update path. Its form is forced: who processes it
// refuses a path with a node or a ciphertext more or less.
type path struct{ nodes, seals int }

// pathOf counts the path of a commit sent as PublicMessage.
func pathOf(message []byte) path {
	u := must(mls.ParseMLSMessage(message)).PublicMessage.Content.Commit.Path
	p := path{nodes: len(u.Nodes)}
	for i := range u.Nodes {
		p.seals += len(u.Nodes[i].EncryptedPathSecret)
	}
	return p
}

// The floor of each operation: the counts of docs/benchmarks.md. size is that of
// the commit's message in bytes, all of which have to be hashed and encrypted.

func (u path) commit(size int) work {
	return work{seals: u.seals, derives: u.nodes + 1, signs: 2, leaves: 1, parents: 2 * u.nodes, expands: 2*(u.nodes+1) + schedule, bytes: size}
}

func (u path) process(size int) work {
	return work{opens: 1, derives: u.nodes, verifies: 2, leaves: 1, parents: 2 * u.nodes, expands: 2*(u.nodes+1) + schedule, bytes: size}
}

func (p *pair) commitFloor() work        { return p.emptyPath.commit(len(p.empty)) }
func (p *pair) processFloor() work       { return p.emptyPath.process(len(p.empty)) }
func (p *pair) removeFloor() work        { return p.removePath.commit(len(p.remove)) }
func (p *pair) processRemoveFloor() work { return p.removePath.process(len(p.remove)) }

func (p *pair) addFloor() work {
	return work{seals: 1, signs: 2, verifies: 2, leaves: 1, parents: depth(p.members), expands: schedule, aeads: 1, bytes: len(p.add)}
}

func (p *pair) processAddFloor() work {
	return work{verifies: 3, leaves: 1, parents: depth(p.members), expands: schedule, bytes: len(p.add)}
}

func (p *pair) joinFloor() work {
	n := p.members
	w := work{opens: 1, verifies: n + 1, leaves: n, parents: n - 1, expands: schedule, aeads: 1}
	if p.full {
		w.derives, w.parents = depth(n), 2*(n-1)
	}
	return w
}

func (p *pair) sendFloor() work    { return work{signs: 1, expands: 5, aeads: 2} }
func (p *pair) receiveFloor() work { return work{verifies: 1, expands: 5, aeads: 2} }
