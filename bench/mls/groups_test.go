package mls

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"sync"
	"testing"
	"time"

	"codeberg.org/huis/huis/mls"
)

var now = time.Unix(1_700_000_000, 0)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func gcm(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }

func newKeyPackage(t testing.TB, suite mls.CipherSuite, name string) *mls.KeyPackageBundle {
	signer, _, err := mls.GenerateSignatureKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	return must(mls.NewKeyPackage(suite, signer, mls.BasicCredential([]byte(name)), mls.KeyPackageOptions{
		Lifetime: mls.Lifetime{NotBefore: 0, NotAfter: 1 << 60},
	}))
}

// pair is a group seen by two of its members that are neighbours in the tree, the
// worst case for who processes the other's commit.
type pair struct {
	suite     mls.CipherSuite
	full      bool
	members   int
	committer *mls.Group
	receiver  *mls.Group

	newcomer *mls.KeyPackageBundle // to add
	welcome  *mls.Welcome          // by which receiver joined
	tree     *mls.RatchetTree
	bundle   *mls.KeyPackageBundle

	// Commits for receiver to process, made before others use up handshake keys:
	// receiver's ratchet is at the start.
	empty, add, remove    []byte
	emptyPath, removePath path
}

type shape struct {
	suite   mls.CipherSuite
	members int
	full    bool
}

func (s shape) String() string {
	tree := "flat"
	if s.full {
		tree = "full"
	}
	return fmt.Sprintf("suite=%#04x/tree=%s/members=%d", uint16(s.suite), tree, s.members)
}

var (
	pairsMutex sync.Mutex // guards pairs: each group is made once
	pairs      = map[shape]*pair{}
)

func (s shape) pair(t testing.TB) *pair {
	pairsMutex.Lock()
	defer pairsMutex.Unlock()
	if pairs[s] == nil {
		p := &pair{suite: s.suite, full: s.full, members: s.members, newcomer: newKeyPackage(t, s.suite, "newcomer")}
		if s.full {
			p.makeFull(t)
		} else {
			p.makeFlat(t)
		}
		pairs[s] = p
	}
	return pairs[s]
}

// makeFull joins a full tree at leaf 1, and then replaces leaf 0 by a commit
// whose path fills what that blanked.
func (p *pair) makeFull(t testing.TB) {
	f := newFullTree(t, p.suite, p.members)
	w, tree := f.welcome()
	g, _, err := mls.Join(w, f.joiner, mls.JoinOptions{RatchetTree: tree}, mls.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.committer, p.bundle = g, newKeyPackage(t, p.suite, "leaf 0")
	c := must(g.Commit(now, mls.CommitOptions{Proposals: []mls.Proposal{
		{Type: mls.ProposalRemove, Remove: &mls.Remove{Removed: 0}},
		{Type: mls.ProposalAdd, Add: &mls.Add{KeyPackage: *p.bundle.KeyPackage}},
	}}))
	p.finish(t, c)
}

// makeFlat adds everybody in one commit without a path: no parent has a key.
func (p *pair) makeFlat(t testing.TB) {
	signer, _, err := mls.GenerateSignatureKey(p.suite)
	if err != nil {
		t.Fatal(err)
	}
	g, _, err := mls.NewGroup(p.suite, []byte("flat tree"), signer, mls.BasicCredential([]byte("creator")), mls.GroupOptions{}, mls.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opt := mls.CommitOptions{NoPath: true}
	for i := 1; i < p.members; i++ {
		kp := newKeyPackage(t, p.suite, "member")
		if i == 1 {
			p.bundle = kp
		}
		opt.Proposals = append(opt.Proposals, mls.Proposal{Type: mls.ProposalAdd, Add: &mls.Add{KeyPackage: *kp.KeyPackage}})
	}
	p.committer = g
	p.finish(t, must(g.Commit(now, opt)))
}

// finish merges the commit and lets the other member join by it.
func (p *pair) finish(t testing.TB, c *mls.StagedCommit) {
	if _, err := p.committer.Merge(now, c); err != nil {
		t.Fatal(err)
	}
	p.welcome, p.tree = c.Welcomes()[0], must(mls.ParseRatchetTree(p.committer.RatchetTree()))
	p.receiver = p.join(t)
	p.empty = must(p.committer.Commit(now, mls.CommitOptions{})).Message()
	p.add = must(p.committer.Commit(now, p.adding())).Message()
	p.remove = must(p.committer.Commit(now, p.removing())).Message()
	public := p.removing()
	public.Public = true
	p.emptyPath = pathOf(must(p.committer.Commit(now, mls.CommitOptions{Public: true})).Message())
	p.removePath = pathOf(must(p.committer.Commit(now, public)).Message())
	slots := 1 << depth(p.members)
	want := slots - 1
	if p.full { // a parent has a key if there are members on both sides below it
		want = slots - p.members
	}
	if blank := p.committer.BlankNodes(); blank != want {
		t.Fatalf("tree has %d blank nodes, want %d", blank, want)
	}
}

func (p *pair) join(t testing.TB) *mls.Group {
	far := mls.Options{MaxForward: 1 << 30, MaxSkipped: 1} // messages of the sending benchmark are not read
	g, _, err := mls.Join(p.welcome, p.bundle, mls.JoinOptions{RatchetTree: p.tree}, far)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
