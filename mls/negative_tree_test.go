package mls

import (
	"bytes"
	"errors"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
)

// oldTree is a group whose tree has seen a life: four members who all committed,
// one removed, one added later (leaf 3, unmerged at nodes 3 and 7), two more on
// the right of whom one committed. Leaves 6 and 7 are blank.
//
//	          7
//	    3           11
//	 1     5      9    13      5, 11, 13: blank
//	0 2   4 6    8 10 12 14
type oldTree struct {
	*testing.T
	alice *device
	tree  []byte
}

func newOldTree(t *testing.T) *oldTree {
	t.Helper()
	members := map[LeafIndex]*device{}
	member := func(l LeafIndex) *device {
		if members[l] == nil {
			members[l] = newDevice(t, 1, "member")
		}
		return members[l]
	}
	everybodyElse := func(by LeafIndex, c *StagedCommit) {
		for l, d := range members {
			if l != by && d.group != nil {
				d.receive(c.Message())
			}
		}
	}
	alice := member(0)
	alice.create("old")
	grow := func(noPath bool, leaves ...LeafIndex) {
		opt := CommitOptions{NoPath: noPath, TreeInWelcome: true}
		for _, l := range leaves {
			opt.Proposals = append(opt.Proposals, add(member(l).keyPackage()))
		}
		c := alice.commit(opt)
		everybodyElse(0, c)
		for _, l := range leaves {
			members[l].join(c.Welcome(), nil)
		}
	}
	path := func(by LeafIndex, list ...Proposal) {
		everybodyElse(by, members[by].commit(CommitOptions{Proposals: list}))
	}

	grow(false, 1, 2, 3)
	for _, l := range []LeafIndex{1, 2, 3} {
		path(l)
	}
	grow(true, 4, 5)
	path(4)
	path(1, remove(3))
	delete(members, 3)
	grow(true, 3)
	return &oldTree{t, alice, alice.group.RatchetTree()}
}

// altered decodes the tree and changes it.
func (o *oldTree) altered(alter func(n []*Node)) *RatchetTree {
	o.Helper()
	tree := must(ParseRatchetTree(o.tree))
	alter(tree.nodes)
	return tree
}

// info is a GroupInfo for a tree, properly signed by alice.
func (o *oldTree) info(tree *RatchetTree, alter func(i *GroupInfo)) *GroupInfo {
	o.Helper()
	g := o.alice.group
	info := &GroupInfo{GroupContext: *g.context, ConfirmationTag: g.ConfirmationTag()}
	info.GroupContext.TreeHash = tree.tree(g.suite()).treeHash()
	if alter != nil {
		alter(info)
	}
	if err := info.sign(g.suite(), o.alice.signer); err != nil {
		o.Fatal(err)
	}
	return info
}

// refuse wants an altered tree refused by a joiner.
func (o *oldTree) refuse(what, section string, alter func(n []*Node)) {
	o.Helper()
	tree := o.altered(alter)
	_, err := o.info(tree, nil).verifiedTree(tree, &Options{})
	var bad *InvalidError
	if !errors.As(err, &bad) || bad.Section != section {
		o.Errorf("%s: got %v, want a breach of Section %s", what, err, section)
	}
}

func TestUnalteredTreeIsAccepted(t *testing.T) {
	o := newOldTree(t)
	tree := o.altered(func([]*Node) {})
	if _, err := o.info(tree, nil).verifiedTree(tree, &Options{}); err != nil {
		t.Fatal(err)
	}
	for x, want := range map[int][]LeafIndex{3: {3}, 7: {3}} {
		if got := tree.nodes[x].Parent.UnmergedLeaves; len(got) != 1 || got[0] != want[0] {
			t.Errorf("unmerged leaves of node %d are %v: the tree is not the one the tests are about", x, got)
		}
	}
	if tree.nodes[5] != nil || tree.nodes[9] == nil || len(tree.nodes) != 11 {
		t.Error("blank nodes are not where the tests want them")
	}
}

func TestUnmergedLeavesAreMembersBelow(t *testing.T) {
	o := newOldTree(t)
	o.refuse("blank leaf", "12.4.3.1", func(n []*Node) { n[7].Parent.UnmergedLeaves = []LeafIndex{3, 6} })
	o.refuse("leaf elsewhere", "12.4.3.1", func(n []*Node) { n[3].Parent.UnmergedLeaves = []LeafIndex{3, 4} })
	o.refuse("leaf outside", "12.4.3.1", func(n []*Node) { n[7].Parent.UnmergedLeaves = []LeafIndex{3, 1 << 30} })
}

func TestUnmergedLeavesAreAscending(t *testing.T) {
	o := newOldTree(t)
	o.refuse("one twice", "7.1", func(n []*Node) { n[7].Parent.UnmergedLeaves = []LeafIndex{3, 3} })
	o.refuse("falling", "7.1", func(n []*Node) { n[7].Parent.UnmergedLeaves = []LeafIndex{5, 3} })
}

func TestUnmergedLeavesAreUnmergedBelow(t *testing.T) {
	o := newOldTree(t)
	o.refuse("merged below", "12.4.3.1", func(n []*Node) { n[3].Parent.UnmergedLeaves = nil })
}

func TestNodesDoNotShareKeys(t *testing.T) {
	o := newOldTree(t)
	o.refuse("two parents", "12.4.3.1", func(n []*Node) { n[9].Parent.EncryptionKey = n[3].Parent.EncryptionKey })
	o.refuse("leaf and parent", "12.4.3.1", func(n []*Node) { n[9].Parent.EncryptionKey = n[0].Leaf.EncryptionKey })
}

func TestParentHashesMustLeadToEveryParent(t *testing.T) {
	o := newOldTree(t)
	fresh := func() HPKEPublicKey { _, pub, _ := GenerateHPKEKey(1); return pub }
	o.refuse("another key", "7.9.2", func(n []*Node) { n[3].Parent.EncryptionKey = fresh() })
	o.refuse("another key at the root", "7.9.2", func(n []*Node) { n[7].Parent.EncryptionKey = fresh() })
	o.refuse("another parent hash", "7.9.2", func(n []*Node) { n[1].Parent.ParentHash = make([]byte, 32) })
	o.refuse("no parent hash", "7.9.2", func(n []*Node) { n[1].Parent.ParentHash = nil })
	o.refuse("a leaf's parent hash", "7.9.2", func(n []*Node) { n[2].Leaf.ParentHash = make([]byte, 32) })
	o.refuse("a new member counted as merged", "7.9.2", func(n []*Node) { n[3].Parent.UnmergedLeaves, n[7].Parent.UnmergedLeaves = nil, nil })
	o.refuse("a parent put where none was", "12.4.3.1", func(n []*Node) { n[5] = &Node{Parent: &ParentNode{EncryptionKey: fresh()}} })
	o.refuse("a parent with a new member's only", "7.9.2", func(n []*Node) {
		n[5] = &Node{Parent: &ParentNode{EncryptionKey: fresh(), UnmergedLeaves: []LeafIndex{3}}}
	})
	o.refuse("the sibling subtree", "7.9.2", func(n []*Node) { n[4].Leaf.Credential = BasicCredential([]byte("mallory")) })
}

func TestEveryLeafIsSigned(t *testing.T) {
	o := newOldTree(t)
	o.refuse("signature of a key package's leaf", "7.3", func(n []*Node) { n[6].Leaf.Signature[9] ^= 1 })
	o.refuse("unlisted extension", "7.3", func(n []*Node) { n[6].Leaf.Extensions = []Extension{{ExtensionType: 0xF00F}} })
	tree := o.altered(func([]*Node) {})
	refuse := func(c *Credential, _ SignaturePublicKey) error { return errors.New("no") }
	_, err := o.info(tree, nil).verifiedTree(tree, &Options{Validator: refuse})
	wantInvalid(t, err, "7.3")
}

func TestMembersOfATreeDoNotShareSignatureKeys(t *testing.T) {
	newOldTree(t).refuse("one key twice", "7.3", func(n []*Node) { n[6].Leaf.SignatureKey = n[10].Leaf.SignatureKey })
}

func TestGroupInfoAndTreeBelongTogether(t *testing.T) {
	o := newOldTree(t)
	tree := o.altered(func([]*Node) {})
	for what, c := range map[string]struct {
		section string
		alter   func(i *GroupInfo)
	}{
		"tree hash":       {"12.4.3.1", func(i *GroupInfo) { i.GroupContext.TreeHash = make([]byte, 32) }},
		"version":         {"12.4.3.1", func(i *GroupInfo) { i.GroupContext.Version = 2 }},
		"blank signer":    {"12.4.3.1", func(i *GroupInfo) { i.Signer = 6 }},
		"signer outside":  {"12.4.3.1", func(i *GroupInfo) { i.Signer = 1 << 31 }},
		"another signer":  {"12.4.3", func(i *GroupInfo) { i.Signer = 1 }},
		"extension twice": {"13.4", func(i *GroupInfo) { i.Extensions = []Extension{{ExtensionType: 9}, {ExtensionType: 9}} }},
		"group extension": {"7.2", func(i *GroupInfo) { i.GroupContext.Extensions = []Extension{{ExtensionType: 0xF00F}} }},
	} {
		_, err := o.info(tree, c.alter).verifiedTree(tree, &Options{})
		var bad *InvalidError
		if !errors.As(err, &bad) || bad.Section != c.section {
			t.Errorf("%s: got %v, want a breach of Section %s", what, err, c.section)
		}
	}
	_, err := o.info(tree, nil).verifiedTree(nil, &Options{})
	wantInvalid(t, err, "12.4.3.3")
	unsupported := o.info(tree, func(i *GroupInfo) { i.GroupContext.CipherSuite = X448ChaChaSHA512Ed448 })
	if _, err := unsupported.verifiedTree(tree, &Options{}); !errors.Is(err, ErrUnsupportedSuite) {
		t.Errorf("unsupported suite: %v", err)
	}
}

func TestTreesOfAnotherShapeAreRefused(t *testing.T) {
	o := newOldTree(t)
	for what, nodes := range map[string]func(n []*Node) []*Node{
		"nothing":                func([]*Node) []*Node { return nil },
		"blank at the end":       func(n []*Node) []*Node { return append(n, nil) },
		"leaf for a parent":      func(n []*Node) []*Node { n[5] = n[0]; return n },
		"parent for a leaf":      func(n []*Node) []*Node { n[4] = n[3]; return n },
		"parent at the very end": func(n []*Node) []*Node { return append(n, n[3]) },
	} {
		tree := o.altered(func([]*Node) {})
		tree.nodes = nodes(tree.nodes)
		if _, err := ParseRatchetTree(wire.MustEncode(tree.wire)); (err == nil) != (what == "parent at the very end") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTreeDoesNotGrowForEver(t *testing.T) {
	tree := newRatchetTree(must(CipherSuite(1).algorithms()), &LeafNode{})
	tree.firstBlank = maxLeaves
	_, err := tree.add(&LeafNode{})
	wantInvalid(t, err, "7.7")
}

// invitation is a Welcome that its receiver can open, alter and close again.
type invitation struct {
	*trio
	dave    *device
	welcome *Welcome
	secrets *GroupSecrets
	info    *GroupInfo
}

func newInvitation(t testing.TB, opt CommitOptions) *invitation {
	t.Helper()
	g := newTrio(t)
	i := &invitation{trio: g, dave: newDevice(t, 1, "dave")}
	opt.Proposals, opt.TreeInWelcome = append(opt.Proposals, add(i.dave.keyPackage())), true
	c, err := g.alice.group.Commit(testTime, opt)
	if err != nil {
		t.Fatal(err)
	}
	i.welcome = c.Welcome()
	a := g.alice.group.suite()
	i.secrets = must(i.welcome.openGroupSecrets(a, must(i.dave.bundle.KeyPackage.Ref()), i.dave.bundle.InitKey))
	i.info = must(OpenGroupInfo(i.welcome, i.dave.bundle, nil))
	return i
}

// close signs and seals everything again, for the key package kp.
func (i *invitation) close(signer *device, kp *KeyPackage) *Welcome {
	i.Helper()
	a := i.alice.group.suite()
	if err := i.info.sign(a, signer.signer); err != nil {
		i.Fatal(err)
	}
	member := a.memberSecret(i.secrets.JoinerSecret, a.pskSecret(nil))
	w := &Welcome{CipherSuite: a.id, EncryptedGroupInfo: must(a.sealGroupInfo(a.welcomeSecret(member), i.info))}
	w.Secrets = []EncryptedGroupSecrets{*must(a.sealGroupSecrets(kp, w.EncryptedGroupInfo, i.secrets))}
	return w
}

// refuse wants dave not to join by the altered Welcome.
func (i *invitation) refuse(what, section string, w *Welcome, opt Options) {
	i.Helper()
	g, _, err := Join(w, i.dave.bundle, JoinOptions{}, opt)
	var bad *InvalidError
	if !errors.As(err, &bad) || bad.Section != section || g != nil {
		i.Errorf("%s: got %v, want a breach of Section %s", what, err, section)
	}
}

func TestUnalteredInvitationLeadsIn(t *testing.T) {
	for _, noPath := range []bool{true, false} {
		i := newInvitation(t, CommitOptions{NoPath: noPath})
		w := i.close(i.alice, i.dave.bundle.KeyPackage)
		if _, _, err := Join(w, i.dave.bundle, JoinOptions{}, Options{}); err != nil {
			t.Errorf("without path: %v: %v", noPath, err)
		}
	}
}

func TestAlteredInvitationIsRefused(t *testing.T) {
	special := PreSharedKeyID{PSKType: PSKResumption, Usage: UsageBranch, PSKGroupID: []byte("g"), PSKNonce: make([]byte, 32)}
	for what, c := range map[string]struct {
		section string
		alter   func(i *invitation)
	}{
		"confirmation tag":   {"6.1", func(i *invitation) { i.info.ConfirmationTag = make([]byte, 32) }},
		"context":            {"6.1", func(i *invitation) { i.info.GroupContext.Epoch++ }},
		"suite":              {"12.4.3.1", func(i *invitation) { i.info.GroupContext.CipherSuite = X25519ChaChaSHA256Ed25519 }},
		"PSK nonce":          {"12.4.3.1", func(i *invitation) { i.secrets.PSKs = []PreSharedKeyID{{PSKType: PSKExternal}} }},
		"two successor PSKs": {"12.4.3.1", func(i *invitation) { i.secrets.PSKs = []PreSharedKeyID{special, special} }},
		"path secret":        {"12.4.2", func(i *invitation) { i.secrets.PathSecret.PathSecret = make(Secret, 32) }},
	} {
		i := newInvitation(t, CommitOptions{})
		c.alter(i)
		i.refuse(what, c.section, i.close(i.alice, i.dave.bundle.KeyPackage), Options{})
	}
}

func TestPathSecretNeedsAPath(t *testing.T) {
	tree := newRatchetTree(must(CipherSuite(1).algorithms()), &LeafNode{EncryptionKey: []byte("0")})
	if _, err := tree.add(&LeafNode{EncryptionKey: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	wantInvalid(t, tree.joinPath(1, 0, make(Secret, 32), privateKeys{}), "12.4.3.1") // the root is blank
	tree.remove(1)
	wantInvalid(t, tree.joinPath(1, 0, make(Secret, 32), privateKeys{}), "12.4.3.1") // nobody below it
}

func TestWelcomeOfAnotherSuiteIsRefused(t *testing.T) {
	i := newInvitation(t, CommitOptions{})
	i.welcome.CipherSuite = X25519ChaChaSHA256Ed25519
	i.refuse("suite of the Welcome", "12.4.3.1", i.welcome, Options{})
}

func TestJoinerMustBeInTheTree(t *testing.T) {
	i := newInvitation(t, CommitOptions{})
	i.dave.keyPackage() // another one
	i.refuse("leaf not in the tree", "12.4.3.1", i.close(i.alice, i.dave.bundle.KeyPackage), Options{})
}

func TestJoinerDoesNotInviteItself(t *testing.T) {
	i := newInvitation(t, CommitOptions{})
	i.info.Signer = 3
	i.refuse("signed by the joiner", "12.4.3.1", i.close(i.dave, i.dave.bundle.KeyPackage), Options{})
}

func TestApplicationMayRefuseAWelcome(t *testing.T) {
	i := newInvitation(t, CommitOptions{})
	i.refuse("application", "12.4.3.1", i.welcome, Options{ValidateCommit: func(current, next *GroupView, c *StagedCommit) error {
		if current != nil || next.Epoch() != 3 || c.Committer != 0 {
			t.Errorf("asked about %v, %d, %d", current, next.Epoch(), c.Committer)
		}
		return errors.New("alice may not invite")
	}})
}

func TestWelcomeWithAnUnknownPSKIsAnError(t *testing.T) {
	g := newTrio(t)
	dave := newDevice(t, 1, "dave")
	g.alice.group.opt.PSKs = func(*PreSharedKeyID) (Secret, error) { return make(Secret, 32), nil }
	c := must(g.alice.group.Commit(testTime, CommitOptions{TreeInWelcome: true,
		Proposals: []Proposal{add(dave.keyPackage()), psk(must(ExternalPSK(1, []byte("psk"))))}}))
	if _, _, err := Join(c.Welcome(), dave.bundle, JoinOptions{}, Options{}); !errors.Is(err, errNoPSK) {
		t.Errorf("got %v", err)
	}
	wrong := func(*PreSharedKeyID) (Secret, error) { return bytes.Repeat([]byte{1}, 32), nil }
	_, _, err := Join(c.Welcome(), dave.bundle, JoinOptions{PSKs: wrong}, Options{})
	wantInvalid(t, err, "12.4.3.1")
}
