package directory

import (
	"context"
	"fmt"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Where a label is in the map follows from a VRF, and its proof costs some three
// signatures. It is stored when the label gets its first value, sealed: with the
// proof and the server's public key anybody could try names. A question stores
// nothing, so that no later one tells by its time what was asked before. A label
// the log has not, and one that was there before places were stored, costs the
// computation; that it is absent is what the answer says. Of accounts nobody
// without a session is answered at all, and who asks for one by a name or
// identifier that is not there is refused before this.

const placeSize = len(kt.Index{}) + kt.VRFProofSize

// placeName is how a label's place is found.
func (s *Service) placeName(kind kt.MapKind, label []byte) proto.Hash {
	return s.Key.Lookup("label", string(kt.MapLabel(kind, label)))
}

// sealPlace computes a label's place, to be stored with its first value.
func (s *Service) sealPlace(kind kt.MapKind, label []byte) (name proto.Hash, sealed []byte) {
	x, pi := s.log.Index(kind, label)
	name = s.placeName(kind, label)
	return name, s.Key.Seal("label", name[:], append(x[:], pi[:]...))
}

// place returns where a label is in the map, and the proof of that.
func (s *Service) place(ctx context.Context, kind kt.MapKind, label []byte) (x kt.Index, pi kt.VRFProof, err error) {
	name := s.placeName(kind, label)
	sealed, err := s.Store.Place(ctx, name)
	if err != nil {
		return x, pi, err
	}
	if sealed == nil {
		x, pi = s.log.Index(kind, label)
		return x, pi, nil
	}
	b, err := s.Key.Open("label", name[:], sealed)
	if err != nil || len(b) != placeSize {
		return x, pi, fmt.Errorf("%w: a label's place does not open", store.ErrDamaged)
	}
	copy(pi[:], b[copy(x[:], b):])
	return x, pi, nil
}
