package mls

import (
	"slices"

	"codeberg.org/huis/huis/internal/wire"
)

// RatchetTree is the content of a ratchet_tree extension (RFC 9420, Section
// 12.4.3.3): nodes[i] is node i of the array, nil if blank.
type RatchetTree struct{ nodes []*Node }

// ParseRatchetTree reads the encoded content of a ratchet_tree extension. It
// checks the shape only; [Join] checks the rest.
func ParseRatchetTree(b []byte) (*RatchetTree, error) {
	return parse(b, (*RatchetTree).wire)
}

func (t *RatchetTree) wire(c *wire.Codec) {
	wire.Vector(c, &t.nodes, func(n **Node, c *wire.Codec) {
		wire.Optional(c, n, (*Node).wire)
	})
	if c.Err() == nil && c.Decoding() {
		t.checkShape(c)
	}
}

// checkShape wants leaves at even and parents at odd places, at least one node,
// and no blank at the end.
func (t *RatchetTree) checkShape(c *wire.Codec) {
	n := len(t.nodes)
	if n == 0 || t.nodes[n-1] == nil || n > 2*maxLeaves-1 {
		c.Fail("ratchet tree is empty, too large or ends with a blank node")
		return
	}
	for i, node := range t.nodes {
		if node != nil && (node.Leaf != nil) != nodeIndex(i).isLeaf() {
			c.Fail("ratchet tree has a leaf in a parent's place or the reverse")
			return
		}
	}
}

// tree returns the tree with as many leaves as a power of two needs.
func (t *RatchetTree) tree(s *algorithms) *ratchetTree {
	leaves := uint32(1)
	for treeWidth(leaves) < uint32(len(t.nodes)) {
		leaves *= 2
	}
	r := &ratchetTree{suite: s, owner: new(ownerToken), slots: make([]*slot, treeWidth(leaves))}
	all := make([]slot, len(r.slots)) // one allocation
	for i := range r.slots {
		r.slots[i] = &all[i]
		all[i].owner = r.owner
		if i < len(t.nodes) && t.nodes[i] != nil {
			r.slots[i].leaf, r.slots[i].parent = t.nodes[i].Leaf, t.nodes[i].Parent
		}
	}
	return r
}

// export returns the tree as it travels, without the blank nodes at the end.
func (t *ratchetTree) export() *RatchetTree {
	nodes := make([]*Node, len(t.slots))
	end := 0
	for i, s := range t.slots {
		if s.leaf != nil || s.parent != nil {
			nodes[i] = &Node{Leaf: s.leaf, Parent: s.parent}
			end = i + 1
		}
	}
	return &RatchetTree{nodes: nodes[:end]}
}

// counts returns the index of the tree, built at first use.
func (t *ratchetTree) counts() *treeIndex {
	if t.index == nil {
		t.index = buildIndex(t.slots)
	}
	return t.index
}

// verifyStructure checks what a tree from somebody else must satisfy besides
// its leaves (RFC 9420, Section 12.4.3.1).
func (t *ratchetTree) verifyStructure() error {
	if err := t.verifyUnmergedLeaves(); err != nil {
		return err
	}
	if t.counts().publicKeys.clashes > 0 {
		return invalid("12.4.3.1", "two nodes have the same encryption key")
	}
	return t.verifyParentHashes()
}

// verifyUnmergedLeaves checks that each list is sorted, names members under its
// node, and that a leaf missing in one list is missing in all above it.
func (t *ratchetTree) verifyUnmergedLeaves() error {
	for x := nodeIndex(1); int(x) < len(t.slots); x += 2 {
		if p := t.parent(x); p != nil {
			if err := t.verifyUnmergedList(x, p.UnmergedLeaves); err != nil {
				return err
			}
		}
	}
	for _, l := range t.members() {
		merged := false
		for _, x := range directPath(l.node(), t.leafCount()) {
			p := t.parent(x)
			if p == nil {
				continue
			}
			_, listed := slices.BinarySearch(p.UnmergedLeaves, l)
			if listed && merged {
				return invalid("12.4.3.1", "leaf %d is unmerged at node %d but not below it", l, x)
			}
			merged = merged || !listed
		}
	}
	return nil
}

func (t *ratchetTree) verifyUnmergedList(x nodeIndex, list []LeafIndex) error {
	first, end := x.leaves()
	for i, l := range list {
		if l < first || l >= end || t.leaf(l) == nil {
			return invalid("12.4.3.1", "node %d has an unmerged leaf that is no member below it", x)
		}
		if i > 0 && list[i-1] >= l {
			return invalid("7.1", "unmerged leaves of node %d are not ascending", x)
		}
	}
	return nil
}
