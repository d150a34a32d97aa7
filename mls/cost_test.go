package mls

import (
	"fmt"
	"strings"
	"testing"
)

// bigGroup is a group made by one commit that adds all others, none of whom has
// committed since: the flat tree. last is the only member besides the creator
// that exists.
func bigGroup(t *testing.T, n int, meter *treeMeter) (creator, last *device) {
	t.Helper()
	creator, last = newDevice(t, testSuite, "creator"), newDevice(t, testSuite, "last")
	creator.opt.meter, last.opt.meter = meter, meter
	creator.create("big")
	var adds []Proposal
	for i := range n - 2 {
		adds = append(adds, add(newDevice(t, testSuite, fmt.Sprint(i)).keyPackage()))
	}
	adds = append(adds, add(last.keyPackage()))
	c := creator.commit(CommitOptions{Proposals: adds, NoPath: true, TreeInWelcome: true})
	last.join(c.Welcome(), nil)
	return creator, last
}

// cost runs f and returns what it took.
func (m *treeMeter) cost(f func()) treeMeter {
	before := *m
	f()
	return treeMeter{hashes: m.hashes - before.hashes, signatures: m.signatures - before.signatures}
}

// TestCostsGrowAsTheyShould counts hashes and signature checks in a group of
// 1,000 and of 2,000: what touches one path must not grow with the group, what
// touches every leaf must grow no faster than it.
func TestCostsGrowAsTheyShould(t *testing.T) {
	costs := map[string][2]treeMeter{}
	for i, n := range []int{1000, 2000} {
		meter := &treeMeter{}
		var creator, last *device
		note := func(what string, f func()) {
			both := costs[what]
			both[i] = meter.cost(f)
			costs[what] = both
		}
		note("create and join", func() { creator, last = bigGroup(t, n, meter) })
		var commit, removal, addition *StagedCommit
		staged := func(d *device, opt CommitOptions) *StagedCommit {
			c, err := d.group.Commit(testTime, opt)
			d.must(err)
			return c
		}
		process := func(d *device, c *StagedCommit) {
			_, err := d.group.Process(testTime, c.Message())
			d.must(err)
		}
		newcomer := newDevice(t, testSuite, "newcomer")
		kp := newcomer.keyPackage()
		note("commit", func() { commit = staged(creator, CommitOptions{}) })
		note("process", func() { process(last, commit) })
		note("remove", func() { removal = staged(creator, CommitOptions{Proposals: []Proposal{remove(5)}}) })
		note("process a removal", func() { process(last, removal) })
		note("add", func() { addition = staged(creator, CommitOptions{Proposals: []Proposal{add(kp)}, NoPath: true}) })
		note("process an addition", func() { process(last, addition) })
	}
	for what, c := range costs {
		t.Logf("%-20s %d and %d hashes, %d and %d signatures", what, c[0].hashes, c[1].hashes, c[0].signatures, c[1].signatures)
		if what == "create and join" {
			if c[0].hashes == 0 || float64(c[1].hashes) > 2.2*float64(c[0].hashes) || float64(c[1].signatures) > 2.1*float64(c[0].signatures) {
				t.Errorf("%s grows faster than the group", what)
			}
			continue
		}
		if c[0].hashes == 0 || c[1].hashes > c[0].hashes+10 || c[1].signatures != c[0].signatures {
			t.Errorf("%s grows with the group", what)
		}
	}
}

// TestParentHashesOfUnmergedLeavesStayLinear: a full tree to which as many again
// are added, so that every list of unmerged leaves is long.
func TestParentHashesOfUnmergedLeavesStayLinear(t *testing.T) {
	count := func(n int) int {
		a, err := testSuite.algorithms()
		if err != nil {
			t.Fatal(err)
		}
		leaf := func() *LeafNode {
			return &LeafNode{EncryptionKey: randomBytes(32), SignatureKey: randomBytes(32), Source: SourceUpdate}
		}
		tree := newRatchetTree(a, leaf())
		for range 2*n - 1 {
			if _, err := tree.add(leaf()); err != nil {
				t.Fatal(err)
			}
		}
		for l := range LeafIndex(2 * n) { // every second leaf goes, the others make paths, new ones come
			if l%2 == 1 {
				tree.remove(l)
			}
		}
		for l := LeafIndex(0); l < LeafIndex(2*n); l += 2 {
			p, public, err := tree.newPath(l)
			if err != nil {
				t.Fatal(err)
			}
			own := *tree.leaf(l)
			own.EncryptionKey, own.Source = public, SourceCommit
			own.ParentHash = tree.setPath(l, p.steps, p.keys)
			tree.setLeaf(l, &own)
		}
		for range n {
			if _, err := tree.add(leaf()); err != nil {
				t.Fatal(err)
			}
		}
		tree.meter = &treeMeter{}
		if err := tree.verifyStructure(); err != nil {
			t.Fatal(err)
		}
		return tree.meter.hashes
	}
	small, large := count(128), count(256)
	t.Logf("%d and %d hashes", small, large)
	if float64(large) > 2.4*float64(small) {
		t.Errorf("validation takes %d hashes for 256 members and %d for 512", small, large)
	}
}

// TestSecretsAreNotPrinted looks for the epoch's secrets in what fmt makes of
// everything a caller gets.
func TestSecretsAreNotPrinted(t *testing.T) {
	w := newWorld(t)
	c, err := w.alice.group.Commit(testTime, CommitOptions{})
	w.alice.must(err)
	e := w.alice.group.epoch
	for _, v := range []any{w.alice.group, *w.alice.group, c, *c, w.alice.bundle, *w.alice.bundle, Group{}, []any{w.alice.group}, struct{ G *Group }{w.alice.group}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			text := fmt.Sprintf(verb, v)
			for _, s := range []Secret{e.secrets.Init, e.secrets.EpochAuthenticator, e.signer.Bytes(), c.next.secrets.Init, w.alice.bundle.InitKey.Bytes()} {
				for _, form := range []string{string(s), fmt.Sprintf("%x", []byte(s)), strings.Trim(fmt.Sprint([]byte(s)), "[]"), fmt.Sprintf("%#v", []byte(s))} {
					if strings.Contains(text, form) {
						t.Fatalf("%s of a %T shows a secret", verb, v)
					}
				}
			}
		}
	}
}
