package mls

import (
	"bytes"
	"slices"

	"codeberg.org/huis/huis/internal/wire"
)

// parentHash is the hash by which the node below p on a path vouches for p
// (RFC 9420, Section 7.9). sibling is the original tree hash of p's other child.
func (t *ratchetTree) parentHash(p *ParentNode, sibling []byte) []byte {
	return t.hash(func(c *wire.Codec) {
		wire.Opaque(c, &p.EncryptionKey)
		wire.Opaque(c, &p.ParentHash)
		wire.Opaque(c, &sibling)
	})
}

// originalHash is the tree hash of the subtree at x as it was before the leaves
// in unmerged, sorted and all under x, were added. The sets asked for at one x
// only shrink from one ancestor to the next in a valid tree, so their size
// identifies them in memo; memo may be nil.
func (t *ratchetTree) originalHash(x nodeIndex, unmerged []LeafIndex, memo originalHashes) []byte {
	if len(unmerged) == 0 {
		return t.nodeHash(x)
	}
	if x.isLeaf() {
		return t.hashLeaf(x.leaf(), nil)
	}
	key := originalKey{x, len(unmerged)}
	if h, ok := memo[key]; ok {
		return h
	}
	left, right := splitLeaves(x, unmerged)
	p := t.parent(x)
	if p != nil {
		q := *p
		q.UnmergedLeaves = without(p.UnmergedLeaves, unmerged)
		p = &q
	}
	h := t.hashParent(p, t.originalHash(x.left(), left, memo), t.originalHash(x.right(), right, memo))
	if memo != nil {
		memo[key] = h
	}
	return h
}

type originalKey struct {
	node     nodeIndex
	unmerged int
}

type originalHashes map[originalKey][]byte

// splitLeaves cuts sorted leaves under x into those of its two children.
func splitLeaves(x nodeIndex, leaves []LeafIndex) (left, right []LeafIndex) {
	first, _ := x.right().leaves()
	at, _ := slices.BinarySearch(leaves, first)
	return leaves[:at], leaves[at:]
}

// leavesUnder returns those of the sorted leaves that are under x.
func leavesUnder(x nodeIndex, leaves []LeafIndex) []LeafIndex {
	first, end := x.leaves()
	from, _ := slices.BinarySearch(leaves, first)
	to, _ := slices.BinarySearch(leaves, end)
	return leaves[from:to]
}

// without returns the sorted list without the elements of the sorted drop.
func without(list, drop []LeafIndex) []LeafIndex {
	kept := make([]LeafIndex, 0, len(list))
	for _, l := range list {
		if _, found := slices.BinarySearch(drop, l); !found {
			kept = append(kept, l)
		}
	}
	return kept
}

// verifyParentHashes checks that each parent node is vouched for from below
// (RFC 9420, Section 7.9.2). Unmerged leaves must have been checked before. Each
// node looks for the parent it can vouch for, so the work is linear.
func (t *ratchetTree) verifyParentHashes() error {
	sizes := t.resolutionSizes()
	memo := originalHashes{}
	vouched := make([]bool, len(t.slots))
	for x := range nodeIndex(len(t.slots)) {
		if p, ok := t.vouchesFor(x, sizes, memo); ok {
			vouched[p] = true
		}
	}
	for x := nodeIndex(1); int(x) < len(t.slots); x += 2 {
		if t.parent(x) != nil && !vouched[x] {
			return invalid("7.9.2", "no parent hash leads to node %d", x)
		}
	}
	return nil
}

// vouchesFor returns the parent node whose hash is in node x, if x is the one
// node below it that its last commit left there.
func (t *ratchetTree) vouchesFor(x nodeIndex, sizes []int, memo originalHashes) (nodeIndex, bool) {
	hash := t.storedParentHash(x)
	child, root := x, t.root()
	if len(hash) == 0 || x == root {
		return 0, false
	}
	for t.parent(child.parent()) == nil {
		if child = child.parent(); child == root {
			return 0, false
		}
	}
	p := child.parent()
	node := t.parent(p)
	// Section 7.9.2: what is in the child's resolution besides x was unmerged at p.
	if _, self := slices.BinarySearch(node.UnmergedLeaves, x.leaf()); x.isLeaf() && self {
		return 0, false
	}
	if sizes[child]-1 != len(leavesUnder(child, node.UnmergedLeaves)) {
		return 0, false
	}
	sibling := child.sibling()
	original := t.originalHash(sibling, leavesUnder(sibling, node.UnmergedLeaves), memo)
	return p, bytes.Equal(hash, t.parentHash(node, original))
}

// storedParentHash is the parent hash node x carries, empty if none.
func (t *ratchetTree) storedParentHash(x nodeIndex) []byte {
	switch s := t.slots[x]; {
	case s.parent != nil:
		return s.parent.ParentHash
	case s.leaf != nil && s.leaf.Source == SourceCommit:
		return s.leaf.ParentHash
	}
	return nil
}

// resolutionSizes counts the resolution of every node, bottom up.
func (t *ratchetTree) resolutionSizes() []int {
	sizes := make([]int, len(t.slots))
	t.resolutionSize(t.root(), sizes)
	return sizes
}

func (t *ratchetTree) resolutionSize(x nodeIndex, sizes []int) int {
	s := t.slots[x]
	if !x.isLeaf() {
		sizes[x] = t.resolutionSize(x.left(), sizes) + t.resolutionSize(x.right(), sizes)
	}
	switch {
	case s.leaf != nil:
		sizes[x] = 1
	case s.parent != nil:
		sizes[x] = 1 + len(s.parent.UnmergedLeaves)
	}
	return sizes[x]
}
