package mem

import (
	"bytes"
	"context"
	"slices"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// ResetAccount implements store.Names.
func (s *Store) ResetAccount(_ context.Context, invite proto.Hash, now store.Minute, a store.Account, links [][]byte, values []store.LogValue, old proto.AccountID, former proto.Hash) (store.Account, error) {
	defer s.lock()()
	there := s.accounts[a.ID]
	if there != nil && there.Lookup == a.Lookup && len(there.links) >= len(links) && slices.EqualFunc(there.links[:len(links)], links, bytes.Equal) {
		return there.Account, nil
	}
	i, err := s.invite(invite, now)
	if err != nil {
		return a, err
	}
	before := s.accounts[old]
	if before == nil || before.Lookup != a.Lookup {
		return a, proto.Refuse(proto.NoAccount)
	}
	if there != nil {
		return a, proto.Refuse(proto.Exists)
	}
	i.Uses--
	s.invites[invite] = i
	before.Lookup = former
	a.Admin, a.Links = false, uint32(len(links))
	s.accounts[a.ID] = &account{Account: a, links: slices.Clone(links)}
	s.addValues(values)
	return a, nil
}

// MoveName implements store.Names.
func (s *Store) MoveName(_ context.Context, from, to proto.AccountID, former proto.Hash, value store.LogValue) error {
	defer s.lock()()
	a, b := s.accounts[from], s.accounts[to]
	if a == nil || b == nil {
		return proto.Refuse(proto.NoAccount)
	}
	a.Lookup, b.Lookup = former, a.Lookup
	s.addValues([]store.LogValue{value})
	return nil
}
