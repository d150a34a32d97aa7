package mls

import (
	"bytes"
	"errors"

	"codeberg.org/huis/huis/internal/wire"
)

// treeRecords says how the current tree is stored: whole at one epoch, then as
// what each later epoch changed, until the changes outweigh it.
type treeRecords struct {
	base      uint64
	baseSize  int // bytes
	laterSize int // bytes of the changes since
}

// treeChange is the new content of one node; neither leaf nor parent is blank.
type treeChange struct {
	node   nodeIndex
	leaf   *LeafNode
	parent *ParentNode
}

func (t *treeChange) wire(c *wire.Codec) {
	wire.Uint32(c, &t.node)
	var n *Node
	if t.leaf != nil || t.parent != nil {
		n = &Node{Leaf: t.leaf, Parent: t.parent}
	}
	wire.Optional(c, &n, (*Node).wire)
	if !c.Decoding() || n == nil || c.Err() != nil {
		return
	}
	t.leaf, t.parent = n.Leaf, n.Parent
	if (t.leaf != nil) != t.node.isLeaf() {
		c.Fail("leaf in a parent's place or the reverse")
	}
}

// treeChanges is what leads from one tree to another.
type treeChanges struct {
	leaves  uint32
	changes []treeChange
}

func (t *treeChanges) wire(c *wire.Codec) {
	wire.Uint32(c, &t.leaves)
	wire.Vector(c, &t.changes, (*treeChange).wire)
}

// changesTo returns what leads from t to next. Trees share the slots that are
// the same, so it compares pointers.
func (t *ratchetTree) changesTo(next *ratchetTree) *treeChanges {
	ch := &treeChanges{leaves: next.leafCount()}
	for i, s := range next.slots {
		if i < len(t.slots) && (t.slots[i] == s || t.slots[i].leaf == s.leaf && t.slots[i].parent == s.parent) {
			continue
		}
		ch.changes = append(ch.changes, treeChange{nodeIndex(i), s.leaf, s.parent})
	}
	return ch
}

var errTreeChanges = errors.New("mls: stored changes of a ratchet tree are damaged")

// with returns the tree after changes, whose parents need not be consistent.
func (t *ratchetTree) with(ch *treeChanges) (*ratchetTree, error) {
	if ch.leaves == 0 || ch.leaves > maxLeaves || ch.leaves&(ch.leaves-1) != 0 {
		return nil, errTreeChanges
	}
	next := t.clone()
	next.index = nil
	for next.leafCount() < ch.leaves {
		next.extend()
	}
	next.slots = next.slots[:treeWidth(ch.leaves)]
	for _, c := range ch.changes {
		if uint32(c.node) >= treeWidth(ch.leaves) {
			return nil, errTreeChanges
		}
		if c.node.isLeaf() {
			next.setLeaf(c.node.leaf(), c.leaf)
		} else {
			next.setParent(c.node, c.parent)
		}
	}
	next.firstBlank = 0
	return next, nil
}

// withLeaves is with for a tree of which only leaves will be read.
func (t *ratchetTree) withLeaves(leaves uint32, changes []treeChange) (*ratchetTree, error) {
	return t.with(&treeChanges{leaves, changes})
}

// storeWholeTree returns the tree's record, whole, and deletes those before.
func (g *Group) storeWholeTree() Delta {
	var d Delta
	n := g.epoch.context.Epoch
	for old := g.stored.base; g.stored.baseSize > 0 && old < n; old++ {
		d = append(d, Record{Key: treeKey(old)})
	}
	b := g.RatchetTree()
	g.stored = treeRecords{base: n, baseSize: len(b)}
	return append(d, Record{treeKey(n), b})
}

// storeTree returns the records of the tree, which was before in the last epoch.
func (g *Group) storeTree(before *ratchetTree) Delta {
	b := wire.MustEncode(before.changesTo(g.tree).wire)
	if g.stored.laterSize+len(b) > g.stored.baseSize {
		return g.storeWholeTree()
	}
	g.stored.laterSize += len(b)
	return Delta{{treeKey(g.epoch.context.Epoch), b}}
}

// restoreTree reads the tree of epoch e and compares its hash.
func (g *Group) restoreTree(get getter, h *head, e *epoch) (*ratchetTree, error) {
	a, err := e.context.CipherSuite.algorithms()
	if err != nil {
		return nil, err
	}
	whole, err := read(get, treeKey(h.treeBase), (*RatchetTree).wire)
	if err != nil {
		return nil, err
	}
	g.stored = treeRecords{base: h.treeBase, baseSize: len(wire.MustEncode(whole.wire))}
	tree := whole.tree(a)
	tree.meter = g.opt.meter
	for n := h.treeBase + 1; n <= h.epoch; n++ {
		ch, err := read(get, treeKey(n), (*treeChanges).wire)
		if err != nil {
			return nil, err
		}
		g.stored.laterSize += len(wire.MustEncode(ch.wire))
		if tree, err = tree.with(ch); err != nil {
			return nil, err
		}
	}
	if !bytes.Equal(tree.treeHash(), e.context.TreeHash) {
		return nil, errors.New("mls: stored ratchet tree does not have the hash of its epoch")
	}
	return tree, nil
}

// stagedRecord is a staged commit as it is stored.
type stagedRecord struct {
	base      GroupContext
	sender    Sender
	committer LeafIndex
	aad       []byte
	changed   bool
	path      bool
	self      bool
	proposals []StagedProposal
	message   []byte
	welcome   *Welcome
	context   GroupContext // of the next epoch
	tree      treeChanges
	added     []LeafIndex
	next      *epoch
}

func (r *stagedRecord) wire(c *wire.Codec) {
	version := stateVersion
	wire.Uint16(c, &version)
	if version != stateVersion {
		c.Fail("staged commit of another version")
	}
	r.base.wire(c)
	r.sender.wire(c)
	wire.Uint32(c, &r.committer)
	wire.Opaque(c, &r.aad)
	wire.Bool(c, &r.changed)
	wire.Bool(c, &r.path)
	wire.Bool(c, &r.self)
	wire.Vector(c, &r.proposals, (*StagedProposal).wire)
	wire.Opaque(c, &r.message)
	wire.Optional(c, &r.welcome, (*Welcome).wire)
	r.context.wire(c)
	r.tree.wire(c)
	wire.Vector(c, &r.added, number32[LeafIndex])
	wire.Optional(c, &r.next, (*epoch).wire)
}

func (p *StagedProposal) wire(c *wire.Codec) {
	wirePointer(c, &p.Proposal, (*Proposal).wire)
	p.Sender.wire(c)
	wire.Opaque(c, &p.ByRef)
	if c.Decoding() && len(p.ByRef) == 0 {
		p.ByRef = nil
	}
}

// MarshalBinary encodes a staged commit, with the secrets of the next epoch, so
// that it can be stored before its message is sent.
func (c *StagedCommit) MarshalBinary() ([]byte, error) {
	r := stagedRecord{
		base: *c.current.context, sender: c.Sender, committer: c.Committer, aad: c.AuthenticatedData,
		changed: c.CommitterChanged, path: c.HasPath, self: c.SelfRemoved, proposals: c.Proposals,
		message: c.message, welcome: c.welcome, context: *c.nextView.context,
		tree: *c.current.tree.changesTo(c.nextView.tree), next: c.next,
	}
	for i := range c.Adds {
		r.added = append(r.added, c.Adds[i].Leaf)
	}
	return wire.Encode(r.wire)
}

// ParseStagedCommit reads what MarshalBinary returned for a commit on the
// current epoch; ErrStaleEpoch or ErrFork if it is on another.
func (g *Group) ParseStagedCommit(b []byte) (*StagedCommit, error) {
	r, err := parse(b, (*stagedRecord).wire)
	if err != nil {
		return nil, err
	}
	if err := onCurrent(&GroupView{context: &r.base}, &g.epoch.context); err != nil {
		return nil, err
	}
	tree, err := g.tree.with(&r.tree)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(tree.treeHash(), r.context.TreeHash) {
		return nil, errTreeChanges
	}
	context := &r.context
	if r.next != nil {
		context = &r.next.context
	}
	c := &StagedCommit{
		Sender: r.sender, Committer: r.committer, AuthenticatedData: r.aad, Proposals: r.proposals,
		CommitterChanged: r.changed, HasPath: r.path, SelfRemoved: r.self,
		message: r.message, welcome: r.welcome, current: g.View(), next: r.next,
		nextView: &GroupView{context: context, tree: tree},
	}
	return c, c.describe(r.added)
}

// describe fills what follows from the proposals and the two trees.
func (c *StagedCommit) describe(added []LeafIndex) error {
	for i := range c.Proposals {
		switch p := c.Proposals[i].Proposal; p.Type {
		case ProposalAdd:
			c.Adds = append(c.Adds, AddedMember{KeyPackage: &p.Add.KeyPackage})
		case ProposalRemove:
			m, _ := c.current.Member(p.Remove.Removed)
			c.Removes = append(c.Removes, m)
		case ProposalUpdate:
			m, _ := c.nextView.Member(c.Proposals[i].Sender.LeafIndex)
			c.Updates = append(c.Updates, m)
		case ProposalReInit:
			c.ReInit = p.ReInit
		}
	}
	if c.Sender.SenderType == SenderNewMemberCommit {
		c.Adds = append(c.Adds, AddedMember{})
	}
	if len(added) != len(c.Adds) {
		return errTreeChanges
	}
	for i, l := range added {
		m, ok := c.nextView.Member(l)
		if !ok {
			return errTreeChanges
		}
		c.Adds[i].Member = m
	}
	return nil
}
