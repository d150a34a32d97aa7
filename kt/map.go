package kt

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Index is where the map keeps a label: the first 32 bytes of the VRF's output.
type Index [32]byte

// bit returns bit i of the index, the most significant of byte 0 first.
func (x *Index) bit(i int) int { return int(x[i>>3]>>(7-i&7)) & 1 }

// firstDifference returns the first bit in which two indexes differ, 256 if none.
func firstDifference(a, b *Index) int {
	for i := range a {
		if d := a[i] ^ b[i]; d != 0 {
			return i*8 + bits.LeadingZeros8(d)
		}
	}
	return len(a) * 8
}

// MapLeaf is what the map says of one index: how many links its chain has had
// after the first, and the head over all of them.
type MapLeaf struct {
	Index Index
	Seq   uint32
	Head  Hash
}

// Hash = SHA-256(0x02 ‖ index ‖ seq ‖ head).
func (l *MapLeaf) Hash() Hash {
	var b [1 + 32 + 4 + 32]byte
	b[0] = 0x02
	copy(b[1:], l.Index[:])
	binary.BigEndian.PutUint32(b[33:], l.Seq)
	copy(b[37:], l.Head[:])
	return sha256.Sum256(b[:])
}

// nodeHash = SHA-256(0x03 ‖ depth ‖ left ‖ right), depth in 16 bits: the bit
// of the index that chooses between left (0) and right (1).
func nodeHash(depth int, left, right *Hash) Hash {
	var b [1 + 2 + 32 + 32]byte
	b[0] = 0x03
	binary.BigEndian.PutUint16(b[1:], uint16(depth))
	copy(b[3:], left[:])
	copy(b[35:], right[:])
	return sha256.Sum256(b[:])
}

// Map is one version of a Merkle map: a binary Patricia tree over indexes, in
// memory. It is immutable and may be read concurrently; versions share what
// they have in common. The zero Map is empty.
type Map struct {
	root tree // nil: empty
	n    int
}

// tree is *inner or *MapLeaf.
type tree interface{ hash() Hash }

func (l *MapLeaf) hash() Hash { return l.Hash() }

// inner has two subtrees whose indexes agree before bit depth and differ in it.
// While dirty it belongs to one MapEdit alone and sum is not yet its hash.
type inner struct {
	sum   Hash
	child [2]tree
	depth uint8
	dirty bool
}

func (n *inner) hash() Hash { return n.sum }

// Len returns the number of leaves.
func (m Map) Len() int { return m.n }

// Root returns the map's root hash, zeros if it is empty.
func (m Map) Root() Hash {
	if m.root == nil {
		return Hash{}
	}
	return m.root.hash()
}

// Get returns the leaf of an index.
func (m Map) Get(x Index) (MapLeaf, bool) {
	if l := m.nearest(&x, nil); l != nil && l.Index == x {
		return *l, true
	}
	return MapLeaf{}, false
}

// nearest follows x to a leaf, nil if the map is empty, and tells visit of each
// inner node on the way and the side taken.
func (m Map) nearest(x *Index, visit func(n *inner, side int)) *MapLeaf {
	at := m.root
	for {
		switch t := at.(type) {
		case *MapLeaf:
			return t
		case *inner:
			side := x.bit(int(t.depth))
			if visit != nil {
				visit(t, side)
			}
			at = t.child[side]
		default:
			return nil
		}
	}
}

// Edit begins the next version of the map.
func (m Map) Edit() *MapEdit { return &MapEdit{m} }

// MapEdit collects changes; its hashes are computed once, by Done. It is not
// safe for concurrent use and of no use after Done.
type MapEdit struct{ m Map }

// Get returns the leaf of an index with the changes made so far.
func (e *MapEdit) Get(x Index) (MapLeaf, bool) { return e.m.Get(x) }

// Put sets the leaf of l.Index.
func (e *MapEdit) Put(l MapLeaf) {
	near := e.m.nearest(&l.Index, nil)
	if near == nil {
		e.m = Map{root: &l, n: 1}
		return
	}
	branch := firstDifference(&near.Index, &l.Index)
	if branch == 256 {
		branch = -1
	} else {
		e.m.n++
	}
	at := &e.m.root
	for {
		n, ok := (*at).(*inner)
		if !ok || branch >= 0 && int(n.depth) > branch {
			break
		}
		n = n.own()
		*at = n
		at = &n.child[l.Index.bit(int(n.depth))]
	}
	if branch < 0 {
		*at = &l
		return
	}
	n := &inner{depth: uint8(branch), dirty: true}
	side := l.Index.bit(branch)
	n.child[side], n.child[1-side] = &l, *at
	*at = n
}

// own returns a node that this edit may change.
func (n *inner) own() *inner {
	if n.dirty {
		return n
	}
	return &inner{child: n.child, depth: n.depth, dirty: true}
}

// Done returns the new version.
func (e *MapEdit) Done() Map {
	if n, ok := e.m.root.(*inner); ok {
		n.rehash()
	}
	return e.m
}

func (n *inner) rehash() {
	if !n.dirty {
		return
	}
	var sums [2]Hash
	for i, c := range n.child {
		if c, ok := c.(*inner); ok {
			c.rehash()
		}
		sums[i] = c.hash()
	}
	n.sum, n.dirty = nodeHash(int(n.depth), &sums[0], &sums[1]), false
}

// Prove returns the proof of what this version says of x.
func (m Map) Prove(x Index) MapProof {
	// Ways are about log2 n long, and a little more for most of the others.
	p := MapProof{Path: make([]MapStep, 0, bits.Len(uint(m.n))+4)}
	l := m.nearest(&x, func(n *inner, side int) {
		p.Path = append(p.Path, MapStep{Depth: n.depth, Sibling: n.child[1-side].hash()})
	})
	if l == nil {
		return MapProof{}
	}
	p.Leaf = new(MapLeaf)
	*p.Leaf = *l
	return p
}
