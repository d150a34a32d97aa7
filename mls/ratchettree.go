package mls

import (
	"math/bits"
	"slices"
)

// ratchetTree is the public state of a group's tree (RFC 9420, Section 7) as a
// flat array: slots[i] is node i, leaf l is slot 2l.
//
// Trees share slots. clone copies the array of pointers only; a slot is copied
// when a tree that does not own it changes it, so a staged commit costs the
// nodes it touches. A cached hash that is nil is dirty, and then so are those
// of all ancestors. LeafNodes are never changed in place.
type ratchetTree struct {
	suite *algorithms
	slots []*slot
	owner *ownerToken
	index *treeIndex // nil until needed
	meter *treeMeter // nil except in tests

	firstBlank LeafIndex // no leaf below it is blank
}

// slot is one node and the cached tree hash of the subtree below it. At most
// one of leaf and parent is set; none means blank.
type slot struct {
	leaf   *LeafNode
	parent *ParentNode
	hash   []byte
	owner  *ownerToken

	parentOwned bool // parent is this slot's own copy and may be changed in place
}

// ownerToken marks the slots a tree may change in place.
type ownerToken struct{ _ byte }

// newRatchetTree returns a tree whose only leaf is n.
func newRatchetTree(s *algorithms, n *LeafNode) *ratchetTree {
	t := &ratchetTree{suite: s, owner: new(ownerToken)}
	t.slots = []*slot{{leaf: n, owner: t.owner}}
	t.firstBlank = 1
	return t
}

// clone returns a tree that can be changed without changing t.
func (t *ratchetTree) clone() *ratchetTree {
	c := *t
	c.slots = slices.Clone(t.slots)
	c.owner = new(ownerToken)
	t.owner = new(ownerToken) // t now shares its slots as well
	if t.index != nil {
		c.index = t.index.fork()
	}
	return &c
}

// leafCount is the number of leaf slots, blank ones included; a power of two.
func (t *ratchetTree) leafCount() uint32 { return uint32(len(t.slots)+1) / 2 }

func (t *ratchetTree) root() nodeIndex { return treeRoot(t.leafCount()) }

// leaf returns the node of a member, nil if the leaf is blank or outside.
func (t *ratchetTree) leaf(l LeafIndex) *LeafNode {
	if uint32(l) >= t.leafCount() {
		return nil
	}
	return t.slots[l.node()].leaf
}

func (t *ratchetTree) parent(x nodeIndex) *ParentNode { return t.slots[x].parent }

func (t *ratchetTree) isBlank(x nodeIndex) bool {
	s := t.slots[x]
	return s.leaf == nil && s.parent == nil
}

// publicKey returns the encryption key of a node that is not blank.
func (t *ratchetTree) publicKey(x nodeIndex) HPKEPublicKey {
	if s := t.slots[x]; s.leaf != nil {
		return s.leaf.EncryptionKey
	}
	return t.slots[x].parent.EncryptionKey
}

// members returns the indices of all leaves that are not blank, ascending.
func (t *ratchetTree) members() []LeafIndex {
	var ls []LeafIndex
	for i := 0; i < len(t.slots); i += 2 {
		if t.slots[i].leaf != nil {
			ls = append(ls, LeafIndex(i/2))
		}
	}
	return ls
}

// change makes slot x this tree's own and marks it and its ancestors dirty.
func (t *ratchetTree) change(x nodeIndex) *slot {
	root := t.root()
	for y := x; ; y = y.parent() {
		s := t.slots[y]
		if s.owner == t.owner && s.hash == nil {
			break
		}
		t.slots[y] = &slot{leaf: s.leaf, parent: s.parent, owner: t.owner}
		if y == root {
			break
		}
	}
	return t.slots[x]
}

// setLeaf puts n, nil for blank, at leaf l and nothing else.
func (t *ratchetTree) setLeaf(l LeafIndex, n *LeafNode) {
	s := t.change(l.node())
	if t.index != nil {
		t.index.dropLeaf(s.leaf)
		t.index.addLeaf(n)
	}
	s.leaf = n
	if n == nil {
		t.firstBlank = min(t.firstBlank, l)
	}
}

// setParent puts p, nil for blank, at the inner node x. The tree keeps p.
func (t *ratchetTree) setParent(x nodeIndex, p *ParentNode) {
	if p == nil && t.slots[x].parent == nil {
		return
	}
	s := t.change(x)
	if t.index != nil {
		t.index.dropParent(s.parent)
		t.index.addParent(p)
	}
	s.parent = p
}

// blankPath blanks all ancestors of a leaf.
func (t *ratchetTree) blankPath(l LeafIndex) {
	for _, x := range directPath(l.node(), t.leafCount()) {
		t.setParent(x, nil)
	}
}

// add places n at the leftmost blank leaf, growing the tree if there is none,
// and lists it as unmerged above (Section 7.7).
func (t *ratchetTree) add(n *LeafNode) (LeafIndex, error) {
	l := t.firstBlank
	for uint32(l) < t.leafCount() && t.slots[l.node()].leaf != nil {
		l++
	}
	if l >= maxLeaves {
		return 0, invalid("7.7", "tree is full")
	}
	if uint32(l) == t.leafCount() {
		t.extend()
	}
	t.firstBlank = l + 1
	t.setLeaf(l, n)
	for _, x := range directPath(l.node(), t.leafCount()) {
		if t.slots[x].parent != nil {
			t.addUnmerged(x, l)
		}
	}
	return l, nil
}

// addUnmerged inserts l into the sorted unmerged leaves of the parent at x. A
// parent this tree owns already is changed in place, so that many additions
// stay linear.
func (t *ratchetTree) addUnmerged(x nodeIndex, l LeafIndex) {
	s := t.change(x)
	if !s.parentOwned {
		p := *s.parent
		p.UnmergedLeaves = slices.Clone(p.UnmergedLeaves)
		s.parent, s.parentOwned = &p, true
	}
	at, _ := slices.BinarySearch(s.parent.UnmergedLeaves, l)
	s.parent.UnmergedLeaves = slices.Insert(s.parent.UnmergedLeaves, at, l)
}

// update replaces the leaf of a member and blanks its path (Section 12.1.2).
func (t *ratchetTree) update(l LeafIndex, n *LeafNode) {
	t.setLeaf(l, n)
	t.blankPath(l)
}

// remove blanks a leaf and its path. The caller truncates when all are done.
func (t *ratchetTree) remove(l LeafIndex) {
	t.setLeaf(l, nil)
	t.blankPath(l)
}

// extend doubles the tree to the right under a new blank root.
func (t *ratchetTree) extend() {
	for range len(t.slots) + 1 {
		t.slots = append(t.slots, &slot{owner: t.owner})
	}
}

// truncate halves the tree while its right half is blank (Section 7.7).
func (t *ratchetTree) truncate() {
	last := t.leafCount()
	for last > 0 && t.slots[LeafIndex(last-1).node()].leaf == nil {
		last--
	}
	for n := t.leafCount(); n > 1 && last <= n/2; n = t.leafCount() {
		t.setParent(t.root(), nil)
		t.slots = t.slots[:treeWidth(n/2)]
	}
	t.firstBlank = min(t.firstBlank, LeafIndex(t.leafCount()))
}

// resolution lists the nodes that together cover the members under x
// (Section 4.1.1).
func (t *ratchetTree) resolution(x nodeIndex) []nodeIndex {
	return t.appendResolution(nil, x)
}

func (t *ratchetTree) appendResolution(rs []nodeIndex, x nodeIndex) []nodeIndex {
	switch s := t.slots[x]; {
	case s.leaf != nil:
		return append(rs, x)
	case s.parent != nil:
		rs = append(rs, x)
		for _, l := range s.parent.UnmergedLeaves {
			rs = append(rs, l.node())
		}
		return rs
	case x.isLeaf():
		return rs
	}
	return t.appendResolution(t.appendResolution(rs, x.left()), x.right())
}

// isEmpty tells whether the resolution of x is empty.
func (t *ratchetTree) isEmpty(x nodeIndex) bool {
	if !t.isBlank(x) {
		return false
	}
	return x.isLeaf() || t.isEmpty(x.left()) && t.isEmpty(x.right())
}

// pathStep is a node of a filtered direct path and its child off the path.
type pathStep struct {
	node   nodeIndex
	copath nodeIndex
}

// filteredPath returns the direct path of a leaf, lowest first, without the
// nodes whose child off the path has an empty resolution (Section 4.1.2).
func (t *ratchetTree) filteredPath(l LeafIndex) []pathStep {
	x, root := l.node(), t.root()
	steps := make([]pathStep, 0, bits.Len32(t.leafCount()))
	for ; x != root; x = x.parent() {
		if sibling := x.sibling(); !t.isEmpty(sibling) {
			steps = append(steps, pathStep{node: x.parent(), copath: sibling})
		}
	}
	return steps
}
