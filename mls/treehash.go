package mls

import "codeberg.org/huis/huis/internal/wire"

// treeHash returns the hash of the whole tree (RFC 9420, Section 7.8).
func (t *ratchetTree) treeHash() []byte { return t.nodeHash(t.root()) }

// nodeHash returns the tree hash of the subtree at x. Only dirty nodes are
// hashed.
func (t *ratchetTree) nodeHash(x nodeIndex) []byte {
	s := t.slots[x]
	if s.hash != nil {
		return s.hash
	}
	if x.isLeaf() {
		s.hash = t.hashLeaf(x.leaf(), s.leaf)
	} else {
		s.hash = t.hashParent(s.parent, t.nodeHash(x.left()), t.nodeHash(x.right()))
	}
	return s.hash
}

// hashLeaf hashes a TreeHashInput with a LeafNodeHashInput.
func (t *ratchetTree) hashLeaf(l LeafIndex, n *LeafNode) []byte {
	kind := NodeTypeLeaf
	return t.hash(func(c *wire.Codec) {
		wire.Uint8(c, &kind)
		wire.Uint32(c, &l)
		wire.Optional(c, &n, (*LeafNode).wire)
	})
}

// hashParent hashes a TreeHashInput with a ParentNodeHashInput.
func (t *ratchetTree) hashParent(p *ParentNode, left, right []byte) []byte {
	kind := NodeTypeParent
	return t.hash(func(c *wire.Codec) {
		wire.Uint8(c, &kind)
		wire.Optional(c, &p, (*ParentNode).wire)
		wire.Opaque(c, &left)
		wire.Opaque(c, &right)
	})
}

// hash hashes an encoding of nodes, which were parsed or made here and so
// always encode.
func (t *ratchetTree) hash(fields func(*wire.Codec)) []byte {
	t.meter.hash()
	return t.suite.digest(wire.MustEncode(fields))
}

// treeMeter counts the expensive steps on a tree and its clones, so that tests
// can see that their number grows as it should. nil counts nothing.
type treeMeter struct {
	hashes     int
	signatures int
}

func (m *treeMeter) hash() {
	if m != nil {
		m.hashes++
	}
}

func (m *treeMeter) signature() {
	if m != nil {
		m.signatures++
	}
}
