package mls

import (
	"bytes"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
)

// welcome is a Welcome by mallory for spare, with GroupInfo and group secrets
// altered and everything signed and sealed again.
// before alters the tree ahead of mallory's path, which then covers it.
func (w *world) welcome(alterInfo func(*GroupInfo), alterSecrets func(*GroupSecrets), before ...func(*ratchetTree)) *Welcome {
	w.t.Helper()
	d := w.mallory
	opt := CommitOptions{Proposals: []Proposal{add(w.spare.bundle.KeyPackage)}, TreeInWelcome: true}
	list, refs, err := d.group.collect(&opt)
	d.must(err)
	t, err := newTransition(d.group.View(), Sender{SenderType: SenderMember}, list, false, &Options{})
	d.must(err)
	for _, alter := range before {
		alter(t.tree)
	}
	m := &making{t: t, g: d.group, opt: &opt, commit: &Commit{Proposals: refs}, signer: d.signer}
	for _, step := range []func() error{m.makePath, m.sign, m.derive} {
		d.must(step())
	}
	info, err := m.groupInfo()
	d.must(err)
	secrets := m.secretsFor(t.staged.Adds[0].Leaf)
	alterInfo(info)
	alterSecrets(secrets)
	a := d.group.suite()
	d.must(info.sign(a, d.signer))
	encrypted, err := a.sealGroupInfo(a.welcomeSecret(a.memberSecret(secrets.JoinerSecret, a.pskSecret(nil))), info)
	d.must(err)
	entry, err := a.sealGroupSecrets(w.spare.bundle.KeyPackage, encrypted, secrets)
	d.must(err)
	return &Welcome{CipherSuite: testSuite, Secrets: []EncryptedGroupSecrets{*entry}, EncryptedGroupInfo: encrypted}
}

// tree alters the ratchet tree of a GroupInfo and its hash with it.
func (w *world) tree(info *GroupInfo, alter func(nodes []*Node)) {
	for i := range info.Extensions {
		if info.Extensions[i].ExtensionType != ExtensionRatchetTree {
			continue
		}
		tree, err := ParseRatchetTree(info.Extensions[i].ExtensionData)
		w.mallory.must(err)
		alter(tree.nodes)
		info.Extensions[i].ExtensionData = wire.MustEncode(tree.wire)
		info.GroupContext.TreeHash = tree.tree(w.mallory.group.suite()).treeHash()
	}
}

// The tree in the Welcome, after mallory's commit: leaves 0 to 4 are mallory,
// alice, bob, carol, spare; node 1 is above 0 and 1, node 3 above 1 and 5, node
// 7 is the root; 5 is above bob and carol.

func TestForgedWelcomesAreRefused(t *testing.T) {
	onTree := func(alter func(w *world, n []*Node)) func(*world) *Welcome {
		return func(w *world) *Welcome {
			return w.welcome(func(g *GroupInfo) { w.tree(g, func(n []*Node) { alter(w, n) }) }, same)
		}
	}
	onLeaf := func(l LeafIndex, alter func(w *world, n *LeafNode)) func(*world) *Welcome {
		return func(w *world) *Welcome {
			return w.welcome(same, same, func(tree *ratchetTree) {
				n := *tree.leaf(l)
				alter(w, &n)
				tree.setLeaf(l, &n)
			})
		}
	}
	onInfo := func(alter func(*GroupInfo)) func(*world) *Welcome {
		return func(w *world) *Welcome { return w.welcome(alter, same) }
	}
	onSecrets := func(alter func(*GroupSecrets)) func(*world) *Welcome {
		return func(w *world) *Welcome { return w.welcome(same, alter) }
	}
	nonce := bytes.Repeat([]byte{1}, 32)
	branch := PreSharedKeyID{PSKType: PSKResumption, Usage: UsageBranch, PSKNonce: nonce, PSKGroupID: []byte{}}
	for _, c := range []struct {
		name, section, reason string
		welcome               func(*world) *Welcome
	}{
		{"of another suite than the package", "12.4.3.1", "different cipher suites", func(w *world) *Welcome {
			k := w.welcome(same, same)
			k.CipherSuite = P256AES128SHA256P256
			return k
		}},
		{"of another suite than the group", "12.4.3.1", "GroupInfo are of different", onInfo(func(g *GroupInfo) { g.GroupContext.CipherSuite = 3 })},
		{"of another version", "12.4.3.1", "another version", onInfo(func(g *GroupInfo) { g.GroupContext.Version = 2 })},
		{"with an extension twice", "13.4", "twice", onInfo(func(g *GroupInfo) { g.Extensions = append(g.Extensions, g.Extensions[0]) })},
		{"without a tree", "12.4.3.3", "no ratchet tree", onInfo(func(g *GroupInfo) { g.Extensions = nil })},
		{"with another tree hash", "12.4.3.1", "not the one of the GroupInfo", onInfo(func(g *GroupInfo) { g.GroupContext.TreeHash = nonce })},
		{"signed by nobody", "12.4.3.1", "blank leaf 6", onInfo(func(g *GroupInfo) { g.Signer = 6 })},
		{"signed by another", "12.4.3", "signature of a GroupInfo", onInfo(func(g *GroupInfo) { g.Signer = 1 })},
		{"signed by the joiner", "12.4.3", "signature of a GroupInfo", onInfo(func(g *GroupInfo) { g.Signer = 4 })},
		{"with another context", "6.1", "confirmation tag", onInfo(func(g *GroupInfo) { g.GroupContext.Epoch++ })},
		{"with another confirmation tag", "6.1", "confirmation tag", onInfo(func(g *GroupInfo) { g.ConfirmationTag = nonce })},
		{"with a short PSK nonce", "12.4.3.1", "nonce", onSecrets(func(s *GroupSecrets) {
			s.PSKs = []PreSharedKeyID{{PSKType: PSKExternal, PSKNonce: []byte{1}}}
		})},
		{"with two PSKs for branching", "12.4.3.1", "two pre-shared keys", onSecrets(func(s *GroupSecrets) { s.PSKs = []PreSharedKeyID{branch, branch} })},
		{"with another path secret", "12.4.2", "does not give the public key", onSecrets(func(s *GroupSecrets) { s.PathSecret.PathSecret = nonce })},
		{"with another joiner's leaf", "12.4.3.1", "joiner's leaf is not in", onLeaf(4, func(w *world, n *LeafNode) {
			n.Extensions = []Extension{{1, []byte("x")}}
			w.spare.must(n.sign(testSuite, w.spare.signer, nil, 4))
		})},
		{"with a leaf signed by nobody", "7.3", "signature of a leaf", onLeaf(3, func(_ *world, n *LeafNode) { n.Signature = n.Signature[1:] })},
		{"with a leaf of another group", "7.3", "signature of a leaf", onLeaf(3, func(w *world, n *LeafNode) {
			w.carol.must(n.sign(testSuite, w.carol.signer, []byte("another group"), 3))
		})},
		{"with a leaf of another place", "7.3", "signature of a leaf", onLeaf(3, func(w *world, n *LeafNode) {
			w.carol.must(n.sign(testSuite, w.carol.signer, []byte("group"), 2))
		})},
		{"with a leaf with an extension it does not list", "7.3", "does not list", onLeaf(3, func(_ *world, n *LeafNode) {
			n.Extensions = []Extension{{0xF777, nil}}
		})},
		{"with a credential type not all support", "7.3", "credential type 2", onLeaf(3, func(_ *world, n *LeafNode) {
			n.Credential.CredentialType = CredentialX509
		})},
		{"with a signature key twice", "7.3", "same signature key", onLeaf(3, func(w *world, n *LeafNode) {
			n.SignatureKey = w.bob.signer.PublicKey()
		})},
		{"with a key twice", "12.4.3.1", "same encryption key", onTree(func(w *world, n []*Node) { n[5].Parent.EncryptionKey = n[2].Leaf.EncryptionKey })},
		{"with a parent's key replaced", "7.9.2", "no parent hash leads", onTree(func(w *world, n []*Node) { n[5].Parent.EncryptionKey = nonce })},
		{"with a parent's hash missing", "7.9.2", "no parent hash leads", onTree(func(w *world, n []*Node) { n[1].Parent.ParentHash = []byte{} })},
		{"with a leaf's hash missing", "7.9.2", "node 1", onTree(func(w *world, n []*Node) { n[0].Leaf.Source = SourceUpdate })},
		{"with a blank parent's child kept", "7.9.2", "node 3", onTree(func(w *world, n []*Node) { n[1] = nil })},
		{"with a sibling replaced", "7.9.2", "node", onTree(func(w *world, n []*Node) { n[6] = nil })},
		{"with an unmerged leaf that is blank", "12.4.3.1", "no member below", onTree(func(w *world, n []*Node) { n[7].Parent.UnmergedLeaves = []LeafIndex{5} })},
		{"with an unmerged leaf elsewhere", "12.4.3.1", "no member below", onTree(func(w *world, n []*Node) { n[5].Parent.UnmergedLeaves = []LeafIndex{0} })},
		{"with unmerged leaves twice", "7.1", "not ascending", onTree(func(w *world, n []*Node) { n[5].Parent.UnmergedLeaves = []LeafIndex{2, 2} })},
		{"with unmerged leaves unsorted", "7.1", "not ascending", onTree(func(w *world, n []*Node) { n[5].Parent.UnmergedLeaves = []LeafIndex{3, 2} })},
		{"with a leaf unmerged above only", "12.4.3.1", "not below it", onTree(func(w *world, n []*Node) { n[3].Parent.UnmergedLeaves = []LeafIndex{2} })},
		{"with a leaf unmerged that is the one that vouches", "7.9.2", "node", onTree(func(w *world, n []*Node) {
			n[1].Parent.UnmergedLeaves, n[3].Parent.UnmergedLeaves, n[7].Parent.UnmergedLeaves = []LeafIndex{0}, []LeafIndex{0}, []LeafIndex{0}
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			_, _, err := Join(c.welcome(w), w.spare.bundle, JoinOptions{PSKs: func(*PreSharedKeyID) (Secret, error) { return Secret(nonce), nil }}, Options{})
			wantRefused(t, err, c.section, c.reason)
		})
	}
	w := newWorld(t)
	if _, _, err := Join(w.welcome(same, same), w.spare.bundle, JoinOptions{}, Options{}); err != nil {
		t.Fatalf("an honest one: %v", err)
	}
}

// TestJoinersPathMustFitTheTree: a path secret for nodes that are not there.
func TestJoinersPathMustFitTheTree(t *testing.T) {
	w := newWorld(t)
	tree := w.bob.group.tree
	secret := Secret(randomBytes(32))
	wantRefused(t, tree.joinPath(1, 1, secret, privateKeys{}), "12.4.3.1", "signed its own Welcome")
	lonely := tree.clone()
	lonely.remove(0)
	wantRefused(t, lonely.joinPath(0, 1, secret, privateKeys{}), "12.4.3.1", "no node above the joiner")
	blank := tree.clone()
	blank.setParent(3, nil)
	wantRefused(t, blank.joinPath(0, 1, secret, privateKeys{}), "12.4.3.1", "node 3 on the committer's path is blank")
}

// TestPathNeedsOwnKeys: a member whose keys do not fit the tree does not guess.
func TestPathNeedsOwnKeys(t *testing.T) {
	w := newWorld(t)
	m, err := w.alice.group.Commit(testTime, CommitOptions{Public: true})
	w.alice.must(err)
	msg, err := ParseMLSMessage(m.Message())
	w.alice.must(err)
	path := msg.PublicMessage.Content.Commit.Path
	next := w.bob.group.tree.clone()
	w.bob.must(next.applyPath(1, path, nil))
	_, err = next.openPath(2, 1, path, nil, nil, privateKeys{})
	wantRefused(t, err, "12.4.2", "no secret for this member")
	_, err = next.openPath(1, 1, path, nil, nil, privateKeys{})
	wantRefused(t, err, "12.4.2", "no node above this member")
}

func TestTreesAreBounded(t *testing.T) {
	a, err := testSuite.algorithms()
	if err != nil {
		t.Fatal(err)
	}
	leaf := &LeafNode{EncryptionKey: []byte{1}, Source: SourceUpdate}
	tree := newRatchetTree(a, leaf)
	tree.slots = make([]*slot, treeWidth(maxLeaves))
	full := &slot{leaf: leaf}
	for i := range tree.slots {
		tree.slots[i] = full
	}
	tree.firstBlank = maxLeaves
	_, err = tree.add(leaf)
	wantRefused(t, err, "7.7", "full")
	for what, nodes := range map[string][]*Node{
		"empty": {}, "ends blank": {{Leaf: leaf}, nil}, "parent in a leaf's place": {{Parent: &ParentNode{}}},
		"leaf in a parent's place": {{Leaf: leaf}, {Leaf: leaf}}, "too large": append(make([]*Node, 2*maxLeaves), &Node{Leaf: leaf}),
	} {
		if _, err := ParseRatchetTree(wire.MustEncode((&RatchetTree{nodes}).wire)); err == nil {
			t.Errorf("tree that is %s was read", what)
		}
	}
}

func TestSuccessorsMustBeWhatWasAgreed(t *testing.T) {
	w := newWorld(t)
	branch := func(from *device, alter func(*SuccessorOptions)) *Welcome {
		t.Helper()
		w.bob.keyPackage()
		o := SuccessorOptions{
			KeyPackages: []*KeyPackage{w.bob.bundle.KeyPackage}, Signer: from.signer,
			Credential: BasicCredential([]byte(from.name)), Commit: CommitOptions{TreeInWelcome: true, NoPath: true},
		}
		alter(&o)
		_, _, c, err := from.group.found(testTime, &GroupContext{Version: MLS10, CipherSuite: testSuite, GroupID: []byte("branch")}, UsageBranch, &o)
		if c == nil {
			t.Fatal(err)
		}
		return c.Welcome()
	}
	join := func(k *Welcome, predecessor *Group) error {
		_, _, err := Join(k, w.bob.bundle, JoinOptions{Predecessor: predecessor, PSKs: func(*PreSharedKeyID) (Secret, error) { return w.alice.group.ResumptionPSK(), nil }}, Options{})
		return err
	}
	if err := join(branch(w.alice, same), w.bob.group); err != nil {
		t.Fatalf("an honest branch: %v", err)
	}
	wantRefused(t, join(branch(w.alice, same), nil), "12.4.3.1", "was not given")
	other := newDevice(t, testSuite, "bob")
	other.create("other")
	wantRefused(t, join(branch(w.alice, same), other.group), "12.4.3.1", "another group or epoch")
	wantRefused(t, join(branch(w.alice, func(o *SuccessorOptions) { o.Credential.Identity = []byte("stranger") }), w.bob.group), "11.3", "no member of the group before")

	w.bob.bundle = w.spare.bundle
	wantRefused(t, join(w.welcome(same, same), w.bob.group), "12.4.3.1", "not into a successor")

	view := &GroupView{context: &GroupContext{Version: MLS10, CipherSuite: P256AES128SHA256P256}, tree: w.alice.group.tree}
	wantRefused(t, w.bob.group.validateSuccessor(view, UsageBranch), "11.3", "another version or cipher suite")
	wantRefused(t, w.bob.group.validateSuccessor(view, UsageReInit), "11.2", "was not re-initialized")
	w.bob.receive(w.alice.commit(CommitOptions{Proposals: []Proposal{reinitTo(1)}}).Message())
	wantRefused(t, w.bob.group.validateSuccessor(view, UsageReInit), "11.2", "not the one the ReInit announced")
	if _, _, _, err := w.carol.group.ReInit(testTime, SuccessorOptions{}); err == nil {
		t.Error("re-initialized without a ReInit")
	}
	w.alice.group.epoch.reinit.Version = 9
	_, _, _, err := w.alice.group.ReInit(testTime, SuccessorOptions{})
	wantRefused(t, err, "11.2", "version 9")
}

// TestSuccessorWelcomeIsIntoEpochOne: only a first commit may name such a PSK.
func TestSuccessorWelcomeIsIntoEpochOne(t *testing.T) {
	w := newWorld(t)
	j := JoinOptions{Predecessor: w.bob.group}
	o := &openedWelcome{info: &GroupInfo{GroupContext: GroupContext{Epoch: 2}}, secrets: &GroupSecrets{PSKs: []PreSharedKeyID{{
		PSKType: PSKResumption, Usage: UsageBranch, PSKGroupID: w.bob.group.GroupID(), PSKEpoch: w.bob.group.Epoch(),
	}}}}
	wantRefused(t, j.validatePredecessor(o, nil), "12.4.3.1", "epoch 1")
}

func TestObserverStateMustFitItsEpoch(t *testing.T) {
	w := newWorld(t)
	info, err := w.alice.group.GroupInfo(true)
	w.alice.must(err)
	g, err := NewPublicGroup(info, nil, Options{})
	w.alice.must(err)
	g.tree = g.tree.clone()
	g.tree.remove(3)
	b, err := g.MarshalBinary()
	w.alice.must(err)
	_, err = RestorePublicGroup(b, Options{})
	wantRefused(t, err, "7.8", "stored ratchet tree")

	g, err = NewPublicGroup(info, nil, Options{})
	w.alice.must(err)
	_, err = g.Process(mustPublic(t, FramedContent{GroupID: []byte("other"), ContentType: ContentProposal, Proposal: &Proposal{Type: ProposalRemove, Remove: &Remove{}}, Sender: Sender{SenderType: SenderNewMemberProposal}}))
	wantRefused(t, err, "6", "another group")
}

func mustPublic(t *testing.T, f FramedContent) []byte {
	t.Helper()
	m := MLSMessage{Version: MLS10, WireFormat: WireFormatPublicMessage, PublicMessage: &PublicMessage{Content: f}}
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
