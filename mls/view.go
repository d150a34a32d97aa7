package mls

import "codeberg.org/huis/huis/internal/wire"

// GroupView is the public state of one epoch. It does not change.
type GroupView struct {
	context *GroupContext
	tree    *ratchetTree
}

// Context returns the epoch's GroupContext; it is not to be changed.
func (v *GroupView) Context() *GroupContext { return v.context }

// GroupID returns the group's id.
func (v *GroupView) GroupID() []byte { return v.context.GroupID }

// Epoch returns the epoch's number.
func (v *GroupView) Epoch() uint64 { return v.context.Epoch }

// Suite returns the group's cipher suite.
func (v *GroupView) Suite() CipherSuite { return v.context.CipherSuite }

// Member is one leaf of the tree. Its fields are not to be changed.
type Member struct {
	Leaf          LeafIndex
	Credential    Credential
	SignatureKey  SignaturePublicKey
	EncryptionKey HPKEPublicKey
	Capabilities  *Capabilities
	Extensions    []Extension
	Source        LeafNodeSource
	Lifetime      Lifetime // Source SourceKeyPackage
}

func member(l LeafIndex, n *LeafNode) Member {
	return Member{
		Leaf:          l,
		Credential:    n.Credential,
		SignatureKey:  n.SignatureKey,
		EncryptionKey: n.EncryptionKey,
		Capabilities:  &n.Capabilities,
		Extensions:    n.Extensions,
		Source:        n.Source,
		Lifetime:      n.Lifetime,
	}
}

// Members returns all members in leaf order.
func (v *GroupView) Members() []Member {
	leaves := v.tree.members()
	ms := make([]Member, len(leaves))
	for i, l := range leaves {
		ms[i] = member(l, v.tree.leaf(l))
	}
	return ms
}

// Member returns the member at a leaf; false if it is blank or outside.
func (v *GroupView) Member(l LeafIndex) (Member, bool) {
	n := v.tree.leaf(l)
	if n == nil {
		return Member{}, false
	}
	return member(l, n), true
}

// RatchetTree returns the encoded content of a ratchet_tree extension.
func (v *GroupView) RatchetTree() []byte { return wire.MustEncode(v.tree.export().wire) }

// BlankNodes counts the parent nodes without a key: what a commit by path costs
// beyond one seal a level grows with it.
func (v *GroupView) BlankNodes() int {
	n := 0
	for i := 1; i < len(v.tree.slots); i += 2 {
		if v.tree.slots[i].parent == nil {
			n++
		}
	}
	return n
}
