package kt

import "codeberg.org/huis/huis/internal/wire"

// Takeover is proof that a log gave a name to another account than before, and
// that nobody of the account before signed it: a reset. It may be what the
// person asked the admin for; whether it was, the person knows.
type Takeover struct {
	Sighting // with Record
	VRF      VRFPublicKey
	Handle   string
	Proof    LabelProof
	Values   [][]byte
}

// Wire codes the proof.
func (p *Takeover) Wire(c *wire.Codec) {
	p.Sighting.Wire(c)
	wire.Fixed(c, p.VRF[:])
	wire.String(c, &p.Handle, 64)
	wire.Fixed(c, p.Proof.VRF[:])
	p.Proof.Map.Wire(c)
	wire.Vector(c, &p.Proof.Openings, func(o *Opening, c *wire.Codec) { wire.Fixed(c, o[:]) })
	wire.Vector(c, &p.Values, func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, MaxLink) })
}

// Verify tells whether the proof holds against the log with the given key.
func (p *Takeover) Verify(log NoteKey) error {
	leaf, err := p.logged(log)
	if err != nil {
		return err
	}
	n, err := VerifyName(leaf.Index, p.Values)
	if err != nil {
		return err
	}
	for i := 1; i < len(n.Holders); i++ {
		if to, closed := n.Holders[i-1].Chain.Closed(); !closed || to != n.Holders[i].Account() {
			return nil
		}
	}
	return noProof("each account the name had signed who follows")
}

// logged returns the leaf of the name in a map of the log: its values are those.
func (p *Takeover) logged(log NoteKey) (*MapLeaf, error) {
	if p.Record == nil {
		return nil, noProof("a checkpoint without its epoch")
	}
	if _, err := p.Sighting.Verify(log); err != nil {
		return nil, err
	}
	if p.Record.VRFKeyHash != HashVRFKey(p.VRF) {
		return nil, noProof("the epoch was made with another VRF key")
	}
	leaf, err := p.Proof.Verify(p.VRF, KindAccount, []byte(p.Handle), p.Record.MapRoot, p.Values)
	if err == nil && leaf == nil {
		err = noProof("the map does not have the name")
	}
	return leaf, err
}

// EvidenceTakeover is the kind of evidence file of a Takeover.
const EvidenceTakeover = "takeover"

// Armored returns the proof as a file.
func (p *Takeover) Armored(log NoteKey) []byte { return armored(EvidenceTakeover, log, p.Wire) }
