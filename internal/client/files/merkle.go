package files

import (
	"crypto/sha256"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
)

// Merkle trees as in RFC 6962, Section 2.1, computed from left to right. The
// tree over nothing has the hash of nothing.

func leafHash(b []byte) proto.Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(b)
	return proto.Hash(h.Sum(nil))
}

func nodeHash(left, right proto.Hash) proto.Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// tree holds the roots of the full subtrees so far, the largest first: one per
// bit set in n.
type tree struct {
	n     uint64
	roots []proto.Hash
}

// add appends one leaf.
func (t *tree) add(leaf proto.Hash) {
	for n := t.n; n&1 == 1; n >>= 1 {
		last := len(t.roots) - 1
		leaf = nodeHash(t.roots[last], leaf)
		t.roots = t.roots[:last]
	}
	t.roots = append(t.roots, leaf)
	t.n++
}

// root returns the hash over the leaves so far.
func (t *tree) root() proto.Hash {
	if t.n == 0 {
		return sha256.Sum256(nil)
	}
	last := len(t.roots) - 1
	root := t.roots[last]
	for _, left := range slices.Backward(t.roots[:last]) {
		root = nodeHash(left, root)
	}
	return root
}
