package kt

import "codeberg.org/huis/huis/internal/wire"

// LabelProof is what a server shows of a label: where the map keeps it, what
// the map of one epoch has there, and the openings of its values.
type LabelProof struct {
	VRF      VRFProof
	Map      MapProof
	Openings []Opening
}

// Wire codes the proof.
func (p *LabelProof) Wire(c *wire.Codec) {
	wire.Fixed(c, p.VRF[:])
	p.Map.Wire(c)
	wire.Vector(c, &p.Openings, func(o *Opening, c *wire.Codec) { wire.Fixed(c, o[:]) })
}

// Verify checks that a map with the given root has exactly these values for a
// label, oldest first, and returns the label's leaf. Without values it checks
// that the map does not have the label, and returns nil.
func (p *LabelProof) Verify(key VRFPublicKey, kind MapKind, label []byte, root Hash, values [][]byte) (*MapLeaf, error) {
	name := MapLabel(kind, label)
	out, err := key.Verify(name, p.VRF)
	if err != nil {
		return nil, err
	}
	leaf, err := p.Map.Verify(root, MapIndex(out))
	switch {
	case err != nil:
		return nil, err
	case leaf == nil && len(values) == 0:
		return nil, nil
	case leaf == nil:
		return nil, invalid("label", "the map does not have the label")
	case uint64(leaf.Seq)+1 != uint64(len(values)):
		return nil, invalid("label", "the map has %d values of the label, %d are shown", uint64(leaf.Seq)+1, len(values))
	}
	head, err := LabelHead(name, p.Openings, values)
	if err != nil {
		return nil, err
	}
	if head != leaf.Head {
		return nil, invalid("label", "the map has other values of the label than those shown")
	}
	return leaf, nil
}
