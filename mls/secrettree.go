package mls

import (
	"bytes"
	"fmt"
	"maps"

	"codeberg.org/huis/huis/internal/wire"
)

// nodeSecrets is a tree of secrets of which each leaf may be taken once
// (RFC 9420, Section 9). It holds a secret only where no node above does, so what
// was taken cannot be derived again. What it has is stored a record a node.
type nodeSecrets struct {
	suite  *algorithms
	leaves uint32 // a power of two
	prefix string // of record keys
	nodes  map[nodeIndex]Secret
}

// newNodeSecrets makes the tree with the given root; the delta stores it.
func newNodeSecrets(a *algorithms, prefix string, leaves uint32, root Secret) (*nodeSecrets, Delta) {
	t := &nodeSecrets{a, leaves, prefix, map[nodeIndex]Secret{treeRoot(leaves): bytes.Clone(root)}}
	return t, Delta{{t.key(treeRoot(leaves)), bytes.Clone(root)}}
}

func (t *nodeSecrets) key(x nodeIndex) string { return fmt.Sprintf("%s/node/%d", t.prefix, x) }

// derive returns the secret of a leaf, and what nodes to set (nil: delete) once
// it is taken. It changes nothing; nil if the leaf was taken before.
func (t *nodeSecrets) derive(leaf LeafIndex) (Secret, map[nodeIndex]Secret) {
	target, top := leaf.node(), treeRoot(t.leaves)
	for t.nodes[top] == nil {
		if top == target {
			return nil, nil
		}
		top = childTowards(top, target)
	}
	secret, changes := t.nodes[top], map[nodeIndex]Secret{top: nil}
	for x := top; x != target; {
		left := t.suite.expandWithLabel(secret, "tree", []byte("left"), t.suite.hashSize())
		right := t.suite.expandWithLabel(secret, "tree", []byte("right"), t.suite.hashSize())
		if x = childTowards(x, target); x.sibling() < x {
			secret, changes[x.sibling()] = right, left
		} else {
			secret, changes[x.sibling()] = left, right
		}
	}
	return secret, changes
}

// childTowards returns the child of x that is or covers y; y is below x.
func childTowards(x, y nodeIndex) nodeIndex {
	if y < x {
		return x.left()
	}
	return x.right()
}

func (t *nodeSecrets) apply(changes map[nodeIndex]Secret) Delta {
	var d Delta
	for x, s := range changes {
		if s == nil {
			t.nodes[x].zero()
			delete(t.nodes, x)
		} else {
			t.nodes[x] = s
		}
		d = append(d, Record{t.key(x), bytes.Clone(s)}) // the tree will overwrite its own
	}
	return d
}

// forget deletes the whole tree.
func (t *nodeSecrets) forget() Delta {
	changes := maps.Clone(t.nodes)
	for x := range changes {
		changes[x] = nil
	}
	return t.apply(changes)
}

// restoreNodeSecrets reads a tree back and visits the leaves that were taken.
func restoreNodeSecrets(a *algorithms, prefix string, leaves uint32, get func(string) ([]byte, error), taken func(LeafIndex) error) (*nodeSecrets, error) {
	t := &nodeSecrets{a, leaves, prefix, map[nodeIndex]Secret{}}
	var visit func(x nodeIndex) error
	visit = func(x nodeIndex) error {
		b, err := get(t.key(x))
		switch {
		case err != nil:
			return err
		case b != nil && len(b) != a.hashSize():
			return fmt.Errorf("mls: stored record %s is damaged", t.key(x))
		case b != nil:
			t.nodes[x] = b
			return nil
		case x.isLeaf():
			return taken(x.leaf())
		}
		if err := visit(x.left()); err != nil {
			return err
		}
		return visit(x.right())
	}
	return t, visit(treeRoot(leaves))
}

// ratchetID names one of the two ratchets of a leaf.
type ratchetID struct {
	leaf      LeafIndex
	handshake bool
}

// ratchetOf names the ratchet for messages of content type t.
func ratchetOf(leaf LeafIndex, t ContentType) ratchetID {
	return ratchetID{leaf, t != ContentApplication}
}

// secretTree gives each message of an epoch its own key (RFC 9420, Section 9).
// Looking a key up changes nothing; taking it is a step the caller makes when
// the message has proved genuine, and a forged or repeated message breaks
// nothing. It is not safe for concurrent use.
type secretTree struct {
	nodes    *nodeSecrets
	ratchets map[ratchetID]*ratchet
}

// ratchetLimits bound what a message may cost.
type ratchetLimits struct {
	forward uint32 // generations ahead of the last one read
	skipped uint32 // keys kept of messages that were overtaken
}

// newSecretTree makes the tree of an epoch; the delta stores it under prefix.
func newSecretTree(a *algorithms, prefix string, leaves uint32, encryption Secret) (*secretTree, Delta) {
	nodes, d := newNodeSecrets(a, prefix, leaves, encryption)
	return &secretTree{nodes, map[ratchetID]*ratchet{}}, d
}

// restoreSecretTree reads back what deltas stored under prefix.
func restoreSecretTree(a *algorithms, prefix string, leaves uint32, get func(string) ([]byte, error)) (*secretTree, error) {
	t := &secretTree{ratchets: map[ratchetID]*ratchet{}}
	nodes, err := restoreNodeSecrets(a, prefix, leaves, get, func(l LeafIndex) error {
		for _, id := range []ratchetID{{l, false}, {l, true}} {
			key := ratchetKey(prefix, id)
			b, err := get(key)
			if err != nil {
				return err
			}
			if t.ratchets[id], err = parse(b, (*ratchet).wire); err != nil {
				return fmt.Errorf("mls: stored record %s is damaged: %v", key, err)
			}
		}
		return nil
	})
	t.nodes = nodes
	return t, err
}

func ratchetKey(prefix string, id ratchetID) string {
	if id.handshake {
		return fmt.Sprintf("%s/handshake/%d", prefix, id.leaf)
	}
	return fmt.Sprintf("%s/application/%d", prefix, id.leaf)
}

// ratchetStep is a message key and what taking it changes.
type ratchetStep struct {
	Generation uint32
	Key, Nonce Secret

	nodes    map[nodeIndex]Secret
	ratchets map[ratchetID]*ratchet
}

// next returns the step for the next message this member sends.
func (t *secretTree) next(id ratchetID) (*ratchetStep, error) {
	step, r, err := t.begin(id)
	if err != nil {
		return nil, err
	}
	return step, r.advance(t.nodes.suite, step)
}

// find returns the step for a message that says it is of a generation.
func (t *secretTree) find(id ratchetID, generation uint32, limits ratchetLimits) (*ratchetStep, error) {
	step, r, err := t.begin(id)
	if err != nil {
		return nil, err
	}
	if generation < r.Generation {
		return step, r.takeSkipped(generation, step)
	}
	if generation-r.Generation > limits.forward {
		return nil, fmt.Errorf("%w: %d, expected %d", ErrTooFar, generation, r.Generation)
	}
	for r.Generation < generation {
		if err := r.advance(t.nodes.suite, step); err != nil {
			return nil, err
		}
		r.keep(step, limits.skipped)
	}
	return step, r.advance(t.nodes.suite, step)
}

// begin prepares a step: a copy of the ratchet, made from the tree if need be.
func (t *secretTree) begin(id ratchetID) (*ratchetStep, *ratchet, error) {
	if uint32(id.leaf) >= t.nodes.leaves {
		return nil, nil, invalid("6.3.2", "sender's leaf %d is outside the tree", id.leaf)
	}
	step := &ratchetStep{ratchets: map[ratchetID]*ratchet{}}
	if old := t.ratchets[id]; old != nil {
		r := old.clone()
		step.ratchets[id] = r
		return step, r, nil
	}
	secret, changes := t.nodes.derive(id.leaf)
	if secret == nil {
		return nil, nil, fmt.Errorf("mls: keys of leaf %d are deleted", id.leaf)
	}
	a := t.nodes.suite
	step.nodes = changes
	step.ratchets[ratchetID{id.leaf, true}] = &ratchet{Secret: a.expandWithLabel(secret, "handshake", nil, a.hashSize())}
	step.ratchets[ratchetID{id.leaf, false}] = &ratchet{Secret: a.expandWithLabel(secret, "application", nil, a.hashSize())}
	return step, step.ratchets[id], nil
}

// take makes the step; its delta must be durable before a message sent with its
// key leaves.
func (t *secretTree) take(step *ratchetStep) Delta {
	d := t.nodes.apply(step.nodes)
	for id, r := range step.ratchets {
		if old := t.ratchets[id]; old != nil {
			old.Secret.zero()
		}
		t.ratchets[id] = r
		d = append(d, Record{ratchetKey(t.nodes.prefix, id), wire.MustEncode(r.wire)})
	}
	return d
}

// forget deletes the whole tree.
func (t *secretTree) forget() Delta {
	d := t.nodes.forget()
	for id := range t.ratchets {
		d = append(d, Record{Key: ratchetKey(t.nodes.prefix, id)})
	}
	clear(t.ratchets)
	return d
}
