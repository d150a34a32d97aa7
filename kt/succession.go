package kt

import (
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Succession proves, by itself and at whatever time, that an account lost its
// name by a reset that nobody refused while it could be refused: two
// distinguished epochs of one log, a CoolDown apart, the earlier with the new
// account, the later without a veto.
type Succession struct {
	Early, Late Sighting // with Record
	VRF         VRFPublicKey
	Handle      string
	Before      MapProof // of the name in Early's map
	Then        LabelProof
	Values      [][]byte // of the name in Late's map
}

// Wire codes the proof.
func (p *Succession) Wire(c *wire.Codec) {
	p.Early.Wire(c)
	p.Late.Wire(c)
	wire.Fixed(c, p.VRF[:])
	wire.String(c, &p.Handle, 64)
	p.Before.Wire(c)
	wire.Fixed(c, p.Then.VRF[:])
	p.Then.Map.Wire(c)
	wire.Vector(c, &p.Then.Openings, func(o *Opening, c *wire.Codec) { wire.Fixed(c, o[:]) })
	wire.Vector(c, &p.Values, func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, MaxLink) })
}

// Verify returns the accounts that had the name before, if the proof holds for
// the log with the given key.
func (p *Succession) Verify(log NoteKey) (former []AccountID, err error) {
	for _, s := range []*Sighting{&p.Early, &p.Late} {
		if s.Record == nil {
			return nil, noProof("a checkpoint without its epoch")
		}
		if _, err := s.Verify(log); err != nil {
			return nil, err
		}
		if s.Record.LastDistinguished != s.Record.N || s.Record.VRFKeyHash != HashVRFKey(p.VRF) {
			return nil, noProof("an epoch that is not distinguished, or of another VRF key")
		}
	}
	apart := time.Duration(p.Late.Record.Time-p.Early.Record.Time) * time.Second
	if p.Late.Record.Time < p.Early.Record.Time || apart < CoolDown-dayJitter {
		return nil, noProof("the two epochs are not far enough apart")
	}
	leaf, err := p.Then.Verify(p.VRF, KindAccount, []byte(p.Handle), p.Late.Record.MapRoot, p.Values)
	if err != nil || leaf == nil {
		return nil, noProof("the later map does not have these values")
	}
	early, err := p.Before.Verify(p.Early.Record.MapRoot, leaf.Index)
	if err != nil || early == nil {
		return nil, noProof("the earlier map does not have the name")
	}
	if int64(early.Seq) >= int64(len(p.Values)) {
		return nil, noProof("the later map has fewer values than the earlier one")
	}
	had, err := LabelHead(MapLabel(KindAccount, []byte(p.Handle)), p.Then.Openings[:early.Seq+1], p.Values[:early.Seq+1])
	if err != nil || had != early.Head {
		return nil, noProof("the later values do not go on from the earlier ones")
	}
	n, err := VerifyName(leaf.Index, p.Values)
	if err != nil {
		return nil, err
	}
	return n.before(early.Seq)
}

// before returns the holders before the last one that is not refused and that
// an epoch with the values up to seq already had.
func (n *Name) before(seq uint32) (former []AccountID, err error) {
	for i := len(n.Holders) - 1; i > 0; i-- {
		if h := &n.Holders[i]; h.Veto != 0 || h.First > seq {
			continue
		}
		for k := range i {
			former = append(former, n.Holders[k].Account())
		}
		return former, nil
	}
	return nil, noProof("nobody lost the name")
}

// Succeeded returns the two epochs by which a Succession shows that holder i of
// a name counts; false if it does not by the log's times alone.
func (d Days) Succeeded(n *Name, x Index, i int, now time.Time) (early, late uint64, ok bool) {
	k := Holder{First: n.Holders[i].First}
	day, _ := d.cooled(x, &k, CoolDown, now)
	if day < 0 || n.Holders[i].Veto != 0 {
		return 0, 0, false
	}
	for _, r := range d {
		if last, _ := r.Last(); r.has(x, k.First) {
			late, _ := d[day].Last()
			return last.N, late.N, true
		}
	}
	return 0, 0, false
}
