package mls

import (
	"bytes"
	"slices"
)

// privateKeys are the keys a member holds: of its leaf and of nodes above it.
type privateKeys map[nodeIndex]HPKEPrivateKey

// leafSet is a set of leaves that joined in the commit at hand.
type leafSet map[LeafIndex]bool

// ownPath is the update path a committer made, with what stays secret.
type ownPath struct {
	leaf         LeafIndex
	steps        []pathStep
	secrets      []Secret // secrets[i] is the path secret of steps[i]
	keys         []HPKEPublicKey
	private      privateKeys
	commitSecret Secret
}

// newPath draws fresh keys for a leaf and its filtered direct path
// (RFC 9420, Section 7.5). t has the commit's proposals applied.
func (t *ratchetTree) newPath(l LeafIndex) (*ownPath, HPKEPublicKey, error) {
	p := &ownPath{leaf: l, steps: t.filteredPath(l), private: privateKeys{}}
	leafKey, leafPublic, err := t.suite.keyPair(t.suite.kem.GenerateKey())
	if err != nil {
		return nil, nil, err
	}
	p.private[l.node()] = leafKey
	secret := Secret(randomBytes(t.suite.hashSize()))
	p.keys = make([]HPKEPublicKey, len(p.steps))
	for i, step := range p.steps {
		if p.private[step.node], p.keys[i], err = t.suite.nodeKeyPair(secret); err != nil {
			return nil, nil, err
		}
		p.secrets = append(p.secrets, secret)
		secret = t.suite.deriveSecret(secret, "path")
	}
	p.commitSecret = secret
	return p, leafPublic, nil
}

// nodeKeyPair derives the key pair of a node from its path secret (Section 7.4).
func (a *algorithms) nodeKeyPair(pathSecret Secret) (HPKEPrivateKey, HPKEPublicKey, error) {
	return a.deriveKeyPair(a.deriveSecret(pathSecret, "node"))
}

// setPath blanks the direct path of a leaf, puts keys at its filtered path and
// returns the parent hash the leaf has to carry (Sections 7.5, 7.9).
func (t *ratchetTree) setPath(l LeafIndex, steps []pathStep, keys []HPKEPublicKey) []byte {
	t.blankPath(l)
	hash := []byte{}
	for i, step := range slices.Backward(steps) {
		p := &ParentNode{EncryptionKey: keys[i], ParentHash: hash}
		t.setParent(step.node, p)
		hash = t.parentHash(p, t.nodeHash(step.copath))
	}
	return hash
}

// spoilPath, where a test has set it, alters what is sealed for a recipient: it
// plays the insider whose commit some members cannot process. Tests of other
// packages reach it by linkname; nothing else can.
var spoilPath func(recipient uint32, ct *HPKECiphertext)

// seal encrypts each path secret to the members below the child off the path,
// but for those that are new. context is the provisional GroupContext.
func (p *ownPath) seal(t *ratchetTree, joined leafSet, context []byte) ([]UpdatePathNode, error) {
	nodes := make([]UpdatePathNode, len(p.steps))
	for i, step := range p.steps {
		nodes[i].EncryptionKey = p.keys[i]
		for _, x := range t.recipients(step.copath, joined) {
			ct, err := t.suite.encryptWithLabel(t.publicKey(x), "UpdatePathNode", context, p.secrets[i])
			if err != nil {
				return nil, err
			}
			if spoilPath != nil {
				spoilPath(uint32(x), ct)
			}
			nodes[i].EncryptedPathSecret = append(nodes[i].EncryptedPathSecret, *ct)
		}
	}
	return nodes, nil
}

// recipients is the resolution of x without the leaves that joined.
func (t *ratchetTree) recipients(x nodeIndex, joined leafSet) []nodeIndex {
	nodes := t.resolution(x)
	if len(joined) == 0 {
		return nodes
	}
	return slices.DeleteFunc(nodes, func(x nodeIndex) bool { return x.isLeaf() && joined[x.leaf()] })
}

// secretFor returns the path secret of the lowest node a new leaf shares with
// the committer, nil if there is none.
func (p *ownPath) secretFor(l LeafIndex) Secret {
	for i, step := range p.steps {
		if step.copath.covers(l.node()) {
			return p.secrets[i]
		}
	}
	return nil
}

// applyPath checks an update path by its form and puts it into t, which has the
// commit's proposals applied (Section 12.4.2). The leaf has been validated.
func (t *ratchetTree) applyPath(l LeafIndex, path *UpdatePath, joined leafSet) error {
	steps := t.filteredPath(l)
	if len(steps) != len(path.Nodes) {
		return invalid("12.4.2", "path has %d nodes, the filtered direct path %d", len(path.Nodes), len(steps))
	}
	keys := make([]HPKEPublicKey, len(steps))
	for i, step := range steps {
		keys[i] = path.Nodes[i].EncryptionKey
		want := len(t.recipients(step.copath, joined))
		if got := len(path.Nodes[i].EncryptedPathSecret); got != want {
			return invalid("7.6", "path node %d has %d ciphertexts for %d recipients", i, got, want)
		}
		if t.counts().publicKeys.of(string(keys[i])) > 0 {
			return invalid("12.4.2", "a public key of the path is in the tree already")
		}
	}
	hash := t.setPath(l, steps, keys)
	if !bytes.Equal(hash, path.LeafNode.ParentHash) {
		return invalid("7.9.2", "parent hash of the committer's leaf is wrong")
	}
	t.setLeaf(l, &path.LeafNode)
	return nil
}

// openPath decrypts the path secret meant for the member own, derives what
// follows and adds its keys to private. t has the path applied.
func (t *ratchetTree) openPath(own, committer LeafIndex, path *UpdatePath, joined leafSet, context []byte, private privateKeys) (commitSecret Secret, err error) {
	steps := t.filteredPath(committer)
	at := slices.IndexFunc(steps, func(s pathStep) bool { return s.copath.covers(own.node()) })
	if at < 0 || at >= len(path.Nodes) {
		return nil, invalid("12.4.2", "path has no node above this member")
	}
	for i, x := range t.recipients(steps[at].copath, joined) {
		key, held := private[x]
		if !held {
			continue
		}
		secret, err := t.suite.decryptWithLabel(key, "UpdatePathNode", context, &path.Nodes[at].EncryptedPathSecret[i])
		if err != nil {
			return nil, invalid("12.4.2", "path secret for this member does not open")
		}
		return t.climb(secret, steps[at:], private)
	}
	return nil, invalid("12.4.2", "path has no secret for this member")
}

// climb derives the keys of steps from the path secret of the first, checks them
// against the tree and returns the secret after the last, the commit secret.
func (t *ratchetTree) climb(secret Secret, steps []pathStep, private privateKeys) (Secret, error) {
	for _, step := range steps {
		key, public, err := t.suite.nodeKeyPair(secret)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(public, t.publicKey(step.node)) {
			return nil, invalid("12.4.2", "path secret does not give the public key of node %d", step.node)
		}
		private[step.node] = key
		secret = t.suite.deriveSecret(secret, "path")
	}
	return secret, nil
}

// keep returns those of a member's keys that still belong to its nodes in next.
func (k privateKeys) keep(now, next *ratchetTree) privateKeys {
	kept := privateKeys{}
	for x, key := range k {
		if int(x) < len(next.slots) && !now.isBlank(x) && !next.isBlank(x) && bytes.Equal(now.publicKey(x), next.publicKey(x)) {
			kept[x] = key
		}
	}
	return kept
}
