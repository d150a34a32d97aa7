package mls

import "maps"

// treeIndex counts what the members of a tree have and support, so that
// uniqueness and capability checks cost what changed and not the group's size.
type treeIndex struct {
	members       int
	signatureKeys tally[string]
	publicKeys    tally[string] // encryption keys of leaves and parents
	credentials   tally[CredentialType]
	supported     tally[capability] // members that list it
}

// capability is one entry of a Capabilities list.
type capability struct {
	kind  capabilityKind
	value uint16
}

type capabilityKind uint8

const (
	capabilityExtension capabilityKind = iota
	capabilityProposal
	capabilityCredential
)

// buildIndex counts a whole tree.
func buildIndex(slots []*slot) *treeIndex {
	ix := &treeIndex{
		signatureKeys: newTally[string](len(slots) / 2),
		publicKeys:    newTally[string](len(slots)),
		credentials:   newTally[CredentialType](2),
		supported:     newTally[capability](16),
	}
	for _, s := range slots {
		ix.addLeaf(s.leaf)
		ix.addParent(s.parent)
	}
	return ix
}

func (ix *treeIndex) fork() *treeIndex {
	return &treeIndex{
		members:       ix.members,
		signatureKeys: ix.signatureKeys.fork(),
		publicKeys:    ix.publicKeys.fork(),
		credentials:   ix.credentials.fork(),
		supported:     ix.supported.fork(),
	}
}

func (ix *treeIndex) addLeaf(n *LeafNode)  { ix.countLeaf(n, 1) }
func (ix *treeIndex) dropLeaf(n *LeafNode) { ix.countLeaf(n, -1) }

func (ix *treeIndex) countLeaf(n *LeafNode, by int) {
	if n == nil {
		return
	}
	ix.members += by
	ix.signatureKeys.count(string(n.SignatureKey), by)
	ix.publicKeys.count(string(n.EncryptionKey), by)
	ix.credentials.count(n.Credential.CredentialType, by)
	for c := range leafCapabilities(n) {
		ix.supported.count(c, by)
	}
}

func (ix *treeIndex) addParent(p *ParentNode) {
	if p != nil {
		ix.publicKeys.count(string(p.EncryptionKey), 1)
	}
}

func (ix *treeIndex) dropParent(p *ParentNode) {
	if p != nil {
		ix.publicKeys.count(string(p.EncryptionKey), -1)
	}
}

// allSupport tells whether every member lists c.
func (ix *treeIndex) allSupport(c capability) bool { return ix.supported.of(c) == ix.members }

// leafCapabilities is the set of what a leaf lists, each entry once.
func leafCapabilities(n *LeafNode) map[capability]struct{} {
	k := &n.Capabilities
	set := make(map[capability]struct{}, len(k.Extensions)+len(k.Proposals)+len(k.Credentials))
	for _, t := range k.Extensions {
		set[capability{capabilityExtension, uint16(t)}] = struct{}{}
	}
	for _, t := range k.Proposals {
		set[capability{capabilityProposal, uint16(t)}] = struct{}{}
	}
	for _, t := range k.Credentials {
		set[capability{capabilityCredential, uint16(t)}] = struct{}{}
	}
	return set
}

// tally is a multiset. Its forks share base, which is never changed; diff holds
// what is different in this one and is merged into a new base once it is large.
type tally[K comparable] struct {
	base    map[K]int
	diff    map[K]int // change of the count
	clashes int       // keys that occur more than once
}

func newTally[K comparable](size int) tally[K] {
	return tally[K]{base: make(map[K]int, size), diff: map[K]int{}}
}

func (t *tally[K]) of(k K) int { return t.base[k] + t.diff[k] }

func (t *tally[K]) count(k K, by int) {
	before := t.of(k)
	if by > 0 && before == 1 {
		t.clashes++
	}
	if by < 0 && before == 2 {
		t.clashes--
	}
	if d := t.diff[k] + by; d == 0 {
		delete(t.diff, k)
	} else {
		t.diff[k] = d
	}
}

// all yields each key that occurs.
func (t *tally[K]) all(yield func(K) bool) {
	for k := range t.base {
		if t.of(k) > 0 && !yield(k) {
			return
		}
	}
	for k, n := range t.diff {
		if _, seen := t.base[k]; !seen && n > 0 && !yield(k) {
			return
		}
	}
}

func (t *tally[K]) fork() tally[K] {
	if len(t.diff) > 64+len(t.base)/8 {
		t.flatten()
	}
	return tally[K]{base: t.base, diff: maps.Clone(t.diff), clashes: t.clashes}
}

func (t *tally[K]) flatten() {
	base := maps.Clone(t.base)
	for k, n := range t.diff {
		if n += base[k]; n == 0 {
			delete(base, k)
		} else {
			base[k] = n
		}
	}
	t.base, t.diff = base, map[K]int{}
}
