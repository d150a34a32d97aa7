package mls

import (
	"fmt"
	"regexp"
	"slices"

	"codeberg.org/huis/huis/internal/wire"
)

func init() {
	registerVectors("rfc9420/tree-math.json", runTreeMath)
	registerVectors("rfc9420/tree-operations.json", runTreeOperations)
	registerVectors("rfc9420/tree-validation.json", runTreeValidation)
	registerVectors("rfc9420/treekem.json", runTreeKEM)
	// signature_priv is not a key any step of the vector uses but for making a
	// path, and then any key will do.
	vectorFlips["rfc9420/treekem.json"] = flipRule{not: regexp.MustCompile(`signature_priv$`)}
}

type treeMathVector struct {
	Leaves  uint32    `json:"n_leaves"`
	Nodes   uint32    `json:"n_nodes"`
	Root    uint32    `json:"root"`
	Left    []*uint32 `json:"left"`
	Right   []*uint32 `json:"right"`
	Parent  []*uint32 `json:"parent"`
	Sibling []*uint32 `json:"sibling"`
}

func runTreeMath(c *vectorCase, v *treeMathVector) {
	c.ok("n_nodes", treeWidth(v.Leaves) == v.Nodes)
	c.ok("root", uint32(treeRoot(v.Leaves)) == v.Root)
	check := func(what string, x nodeIndex, has bool, of func() nodeIndex, want *uint32) {
		got := "none"
		if has {
			got = fmt.Sprint(of())
		}
		expected := "none"
		if want != nil {
			expected = fmt.Sprint(*want)
		}
		c.ok(fmt.Sprintf("%s of %d is %s, want %s", what, x, got, expected), got == expected)
	}
	if n := int(v.Nodes); len(v.Left) != n || len(v.Right) != n || len(v.Parent) != n || len(v.Sibling) != n {
		c.ok("one entry for each node", false)
		return
	}
	for i := range v.Nodes {
		x, root := nodeIndex(i), treeRoot(v.Leaves)
		check("left", x, !x.isLeaf(), x.left, v.Left[i])
		check("right", x, !x.isLeaf(), x.right, v.Right[i])
		check("parent", x, x != root, x.parent, v.Parent[i])
		check("sibling", x, x != root, x.sibling, v.Sibling[i])
	}
}

// parseVectorTree reads a ratchet tree of a vector.
func parseVectorTree(c *vectorCase, suite CipherSuite, b []byte) *ratchetTree {
	a, err := suite.algorithms()
	if !c.noError("suite", err) {
		return nil
	}
	t, err := ParseRatchetTree(b)
	if !c.noError("ratchet tree", err) {
		return nil
	}
	tree := t.tree(a)
	c.equal("ratchet tree encoded again", wire.MustEncode(tree.export().wire), b)
	return tree
}

type treeOperationsVector struct {
	CipherSuite    CipherSuite `json:"cipher_suite"`
	TreeBefore     hexBytes    `json:"tree_before"`
	Proposal       hexBytes    `json:"proposal"`
	ProposalSender LeafIndex   `json:"proposal_sender"`
	TreeHashBefore hexBytes    `json:"tree_hash_before"`
	TreeAfter      hexBytes    `json:"tree_after"`
	TreeHashAfter  hexBytes    `json:"tree_hash_after"`
}

func runTreeOperations(c *vectorCase, v *treeOperationsVector) {
	tree := parseVectorTree(c, v.CipherSuite, v.TreeBefore)
	p, err := parse(v.Proposal, (*Proposal).wire)
	if tree == nil || !c.noError("proposal", err) {
		return
	}
	c.equal("tree_hash_before", tree.treeHash(), v.TreeHashBefore)
	next := tree.clone()
	sender := LeafIndex(0) // whose index an Add or Remove does not use
	switch p.Type {
	case ProposalAdd:
		_, err = next.add(&p.Add.KeyPackage.LeafNode)
	case ProposalUpdate:
		if sender = v.ProposalSender; !c.ok("sender is a member", next.leaf(sender) != nil) {
			return
		}
		next.update(sender, &p.Update.LeafNode)
	case ProposalRemove:
		if !c.ok("removed is a member", next.leaf(p.Remove.Removed) != nil) {
			return
		}
		next.remove(p.Remove.Removed)
		next.truncate()
	}
	c.ok("sender", p.Type == ProposalUpdate || v.ProposalSender == sender)
	c.noError("proposal", err)
	c.equal("tree_after", wire.MustEncode(next.export().wire), v.TreeAfter)
	c.equal("tree_hash_after", next.treeHash(), v.TreeHashAfter)
	c.equal("tree hash of the tree before, afterwards", tree.treeHash(), v.TreeHashBefore)
}

type treeValidationVector struct {
	CipherSuite CipherSuite   `json:"cipher_suite"`
	Tree        hexBytes      `json:"tree"`
	GroupID     hexBytes      `json:"group_id"`
	Resolutions [][]nodeIndex `json:"resolutions"`
	TreeHashes  []hexBytes    `json:"tree_hashes"`
}

func runTreeValidation(c *vectorCase, v *treeValidationVector) {
	tree := parseVectorTree(c, v.CipherSuite, v.Tree)
	if tree == nil || !c.ok("number of nodes", len(tree.slots) == len(v.Resolutions)) {
		return
	}
	for i := range tree.slots {
		x := nodeIndex(i)
		c.equal(fmt.Sprintf("tree hash of node %d", x), tree.nodeHash(x), v.TreeHashes[i])
		c.ok(fmt.Sprintf("resolution of node %d", x), slices.Equal(tree.resolution(x), v.Resolutions[i]))
	}
	c.noError("structure", tree.verifyStructure())
	for _, l := range tree.members() {
		c.noError("leaf signature", tree.leaf(l).verifySignature(v.CipherSuite, v.GroupID, l))
		c.asserted++
	}
}

type treeKEMVector struct {
	CipherSuite CipherSuite `json:"cipher_suite"`
	GroupID     hexBytes    `json:"group_id"`
	Epoch       uint64      `json:"epoch"`
	Transcript  hexBytes    `json:"confirmed_transcript_hash"`
	RatchetTree hexBytes    `json:"ratchet_tree"`
	Leaves      []struct {
		Index          LeafIndex `json:"index"`
		EncryptionPriv hexBytes  `json:"encryption_priv"`
		SignaturePriv  hexBytes  `json:"signature_priv"`
		PathSecrets    []struct {
			Node       nodeIndex `json:"node"`
			PathSecret hexBytes  `json:"path_secret"`
		} `json:"path_secrets"`
	} `json:"leaves_private"`
	UpdatePaths []struct {
		Sender        LeafIndex   `json:"sender"`
		UpdatePath    hexBytes    `json:"update_path"`
		PathSecrets   []*hexBytes `json:"path_secrets"`
		CommitSecret  hexBytes    `json:"commit_secret"`
		TreeHashAfter hexBytes    `json:"tree_hash_after"`
	} `json:"update_paths"`
}

func runTreeKEM(c *vectorCase, v *treeKEMVector) {
	tree := parseVectorTree(c, v.CipherSuite, v.RatchetTree)
	if tree == nil {
		return
	}
	private, signers := vectorPrivateKeys(c, v, tree)
	if c.failure != "" {
		return
	}
	for _, u := range v.UpdatePaths {
		if !c.ok("sender is a member", private[u.Sender] != nil) || !c.ok("a secret for each leaf", len(u.PathSecrets) == int(tree.leafCount())) {
			return
		}
		path, err := parse(u.UpdatePath, (*UpdatePath).wire)
		if !c.noError("update path", err) || !c.noError("path leaf", path.LeafNode.verifySignature(v.CipherSuite, v.GroupID, u.Sender)) {
			return
		}
		openVectorPath(c, v, tree, private, u.Sender, path, u.CommitSecret, u.PathSecrets, u.TreeHashAfter)
		next, own := makeVectorPath(c, v, tree, u.Sender, signers[u.Sender])
		if own == nil {
			return
		}
		openVectorPath(c, v, tree, private, u.Sender, next, own.commitSecret, nil, nil)
	}
}

// vectorPrivateKeys is every member's private state, checked against the tree.
func vectorPrivateKeys(c *vectorCase, v *treeKEMVector, tree *ratchetTree) (map[LeafIndex]privateKeys, map[LeafIndex]SignaturePrivateKey) {
	private := map[LeafIndex]privateKeys{}
	signers := map[LeafIndex]SignaturePrivateKey{}
	for _, l := range v.Leaves {
		keys := privateKeys{l.Index.node(): NewHPKEPrivateKey(l.EncryptionPriv)}
		for _, s := range l.PathSecrets {
			key, _, err := tree.suite.nodeKeyPair(Secret(s.PathSecret))
			c.noError("key pair", err)
			keys[s.Node] = key
		}
		for x, key := range keys {
			public, err := key.public(tree.suite)
			c.noError("private key", err)
			if c.ok("node is not blank", int(x) < len(tree.slots) && !tree.isBlank(x)) {
				c.equal(fmt.Sprintf("public key of node %d", x), public, tree.publicKey(x))
			}
		}
		signer, err := ParseSignaturePrivateKey(v.CipherSuite, l.SignaturePriv)
		c.noError("signature key", err)
		private[l.Index], signers[l.Index] = keys, signer
	}
	return private, signers
}

func (v *treeKEMVector) context(tree *ratchetTree) []byte {
	g := GroupContext{
		Version: MLS10, CipherSuite: v.CipherSuite, GroupID: v.GroupID, Epoch: v.Epoch,
		TreeHash: tree.treeHash(), ConfirmedTranscriptHash: v.Transcript,
	}
	return wire.MustEncode(g.wire)
}

// openVectorPath lets every member process a path.
func openVectorPath(c *vectorCase, v *treeKEMVector, tree *ratchetTree, private map[LeafIndex]privateKeys, sender LeafIndex, path *UpdatePath, commitSecret []byte, secrets []*hexBytes, treeHash []byte) {
	next := tree.clone()
	if !c.noError("path", next.applyPath(sender, path, nil)) {
		return
	}
	if treeHash != nil {
		c.equal("tree_hash_after", next.treeHash(), treeHash)
	}
	for l, keys := range private {
		if l == sender {
			continue
		}
		kept := keys.keep(tree, next)
		got, err := next.openPath(l, sender, path, nil, v.context(next), kept)
		if !c.noError(fmt.Sprintf("path for leaf %d", l), err) {
			return
		}
		c.equal("commit_secret", got, commitSecret)
		if secrets != nil {
			checkPathSecret(c, next, kept, commonAncestor(l, sender), secrets[l])
		}
	}
}

// checkPathSecret compares a path secret by the key pair it gives.
func checkPathSecret(c *vectorCase, tree *ratchetTree, keys privateKeys, at nodeIndex, secret *hexBytes) {
	if !c.ok("path secret", secret != nil) {
		return
	}
	_, public, err := tree.suite.nodeKeyPair(Secret(*secret))
	c.noError("key pair", err)
	got, err := keys[at].public(tree.suite)
	c.noError("key of the common ancestor", err)
	c.equal("public key of the common ancestor", got, public)
}

// makeVectorPath makes a new path for sender.
func makeVectorPath(c *vectorCase, v *treeKEMVector, tree *ratchetTree, sender LeafIndex, signer SignaturePrivateKey) (*UpdatePath, *ownPath) {
	next := tree.clone()
	own, public, err := next.newPath(sender)
	if !c.noError("new path", err) {
		return nil, nil
	}
	leaf := *next.leaf(sender)
	leaf.EncryptionKey, leaf.Source = public, SourceCommit
	leaf.ParentHash = next.setPath(sender, own.steps, own.keys)
	c.noError("leaf", leaf.sign(v.CipherSuite, signer, v.GroupID, sender))
	next.setLeaf(sender, &leaf)
	nodes, err := own.seal(next, nil, v.context(next))
	c.noError("seal", err)
	c.noError("own parent hashes", next.verifyStructure())
	return &UpdatePath{LeafNode: leaf, Nodes: nodes}, own
}
