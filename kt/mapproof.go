package kt

import (
	"errors"

	"codeberg.org/huis/huis/internal/wire"
)

// MapStep is one inner node on the way to a leaf.
type MapStep struct {
	Depth   uint8 // the bit of the index that chose the way
	Sibling Hash  // the child not taken
}

func (s *MapStep) wire(c *wire.Codec) {
	wire.Uint8(c, &s.Depth)
	wire.Fixed(c, s.Sibling[:])
}

// MapProof is the search path of one index in one version of the map: the inner
// nodes from the root down, and the leaf it ends in, which has the index if the
// map has it. Leaf is nil for the empty map.
//
// The path is a function of the root and the index alone: a node's hash covers
// its depth, and the index's bit at that depth picks the child. So one root
// cannot give two answers for an index, not even over a malformed tree, unless
// SHA-256 has a collision.
type MapProof struct {
	Path []MapStep
	Leaf *MapLeaf
}

// Wire codes the proof.
func (p *MapProof) Wire(c *wire.Codec) {
	wire.Vector(c, &p.Path, (*MapStep).wire)
	wire.Optional(c, &p.Leaf, (*MapLeaf).wire)
}

func (l *MapLeaf) wire(c *wire.Codec) {
	wire.Fixed(c, l.Index[:])
	wire.Uint32(c, &l.Seq)
	wire.Fixed(c, l.Head[:])
}

// ErrMapProof is returned for a proof that does not lead to the root.
var ErrMapProof = errors.New("kt: map proof does not verify")

// Verify returns what the map with the given root says of x: its leaf, or nil
// if the map does not have x.
func (p *MapProof) Verify(root Hash, x Index) (*MapLeaf, error) {
	if p.Leaf == nil {
		if len(p.Path) > 0 || root != (Hash{}) {
			return nil, ErrMapProof
		}
		return nil, nil
	}
	sum := p.Leaf.Hash()
	below := 256
	for i := len(p.Path) - 1; i >= 0; i-- {
		step := &p.Path[i]
		depth := int(step.Depth)
		// Depths grow downwards, and the leaf stands where its own bits lead.
		if depth >= below || p.Leaf.Index.bit(depth) != x.bit(depth) {
			return nil, ErrMapProof
		}
		below = depth
		if x.bit(depth) == 0 {
			sum = nodeHash(depth, &sum, &step.Sibling)
		} else {
			sum = nodeHash(depth, &step.Sibling, &sum)
		}
	}
	switch {
	case sum != root:
		return nil, ErrMapProof
	case p.Leaf.Index != x:
		return nil, nil
	}
	return p.Leaf, nil
}
