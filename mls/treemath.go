package mls

import "math/bits"

// Index arithmetic of the array-based tree (RFC 9420, Appendix C). Leaf i is
// node 2i; the level of a node is the number of trailing one bits of its index.
// A tree always has 2^k leaves, so 2^(k+1)-1 nodes.

// maxLeaves bounds a tree, so that node indices stay far from overflow and a
// hostile ratchet_tree costs bounded memory.
const maxLeaves = 1 << 17

// nodeIndex is a position in the node array of a ratchet or secret tree.
type nodeIndex uint32

// node returns the leaf's position in the node array.
func (l LeafIndex) node() nodeIndex { return nodeIndex(l) * 2 }

// leaf returns the leaf at x; x must be even.
func (x nodeIndex) leaf() LeafIndex { return LeafIndex(x / 2) }

func (x nodeIndex) isLeaf() bool { return x&1 == 0 }

// level is the height of x above the leaves.
func (x nodeIndex) level() int { return bits.TrailingZeros32(^uint32(x)) }

// left returns the left child; x must not be a leaf.
func (x nodeIndex) left() nodeIndex { return x ^ 1<<(x.level()-1) }

// right returns the right child; x must not be a leaf.
func (x nodeIndex) right() nodeIndex { return x ^ 3<<(x.level()-1) }

// parent returns the node above x; x must not be the root.
func (x nodeIndex) parent() nodeIndex {
	k := x.level()
	return (x | 1<<k) &^ (1 << (k + 1))
}

// sibling returns the other child of x's parent; x must not be the root.
func (x nodeIndex) sibling() nodeIndex { return x ^ 2<<x.level() }

// leaves returns the first and one past the last leaf under x.
func (x nodeIndex) leaves() (first, end LeafIndex) {
	span := nodeIndex(1)<<x.level() - 1
	return LeafIndex((x - span) / 2), LeafIndex((x+span)/2 + 1)
}

// covers tells whether y is x or below it.
func (x nodeIndex) covers(y nodeIndex) bool {
	span := nodeIndex(1)<<x.level() - 1
	return x-span <= y && y <= x+span
}

// treeWidth is the number of nodes of a tree with n leaves, n a power of two.
func treeWidth(n uint32) uint32 { return 2*n - 1 }

// treeRoot is the root of a tree with n leaves, n a power of two.
func treeRoot(n uint32) nodeIndex { return nodeIndex(n - 1) }

// commonAncestor returns the lowest node that covers both leaves.
func commonAncestor(a, b LeafIndex) nodeIndex {
	x := a.node()
	for !x.covers(b.node()) {
		x = x.parent()
	}
	return x
}

// directPath returns the ancestors of x, lowest first, in a tree of n leaves.
func directPath(x nodeIndex, n uint32) []nodeIndex {
	root := treeRoot(n)
	path := make([]nodeIndex, 0, bits.Len32(n))
	for x != root {
		x = x.parent()
		path = append(path, x)
	}
	return path
}
