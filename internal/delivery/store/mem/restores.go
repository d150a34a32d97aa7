package mem

import (
	"bytes"
	"context"
	"slices"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Head implements store.Restores.
func (s *Store) Head(_ context.Context, id proto.ConversationID) (uint64, proto.Hash, error) {
	defer s.lock()()
	c := s.conversations[id]
	if c == nil {
		return 0, proto.Hash{}, nil
	}
	return c.Seq, c.Chain, nil
}

// ForgetPromises implements store.Restores.
func (s *Store) ForgetPromises(context.Context) error {
	defer s.lock()()
	clear(s.packages)
	clear(s.lastResort)
	clear(s.tickets)
	clear(s.tokens)
	clear(s.invites)
	return nil
}

// BeginLog implements store.Restores.
func (s *Store) BeginLog(_ context.Context, name string, without uint8) error {
	defer s.lock()()
	s.settings[store.SettingLog] = []byte(name)
	s.epochs = nil
	for x, values := range s.values {
		values = slices.DeleteFunc(values, func(v logValue) bool { return v.Kind == without })
		for i := range values {
			values[i].taken = false
		}
		if s.values[x] = values; len(values) == 0 {
			delete(s.values, x)
		}
	}
	return nil
}

// AccountIDs implements store.Restores.
func (s *Store) AccountIDs(context.Context) (all []proto.AccountID, _ error) {
	defer s.lock()()
	for id := range s.accounts {
		all = append(all, id)
	}
	slices.SortFunc(all, func(a, b proto.AccountID) int { return bytes.Compare(a[:], b[:]) })
	return all, nil
}

// GiveBackValues implements store.Restores.
func (s *Store) GiveBackValues(_ context.Context, values []store.LogValue, _ []uint64) error {
	defer s.lock()()
	s.giveBackValues(values)
	return nil
}

func (s *Store) giveBackValues(values []store.LogValue) {
	for _, v := range values {
		if int(v.Seq) == len(s.values[v.Index]) {
			s.addValue(v, true)
		}
	}
}

// GiveBackAccount implements store.Restores.
func (s *Store) GiveBackAccount(_ context.Context, a store.Account, links [][]byte, values []store.LogValue, _ []uint64, revoked []proto.DeviceID) error {
	defer s.lock()()
	there := s.accounts[a.ID]
	if there == nil {
		if _, left := s.left[a.Lookup]; left || s.taken(a.Lookup) {
			return proto.Refuse(proto.NameTaken)
		}
		there = &account{Account: a}
	}
	n := min(len(links), len(there.links))
	if there.Lookup != a.Lookup || !slices.EqualFunc(there.links[:n], links[:n], bytes.Equal) {
		return &proto.Error{Code: proto.Conflict, Seq: uint64(len(there.links))}
	}
	there.links = append(there.links, links[n:]...)
	there.Account.Links = uint32(len(there.links))
	s.accounts[a.ID] = there
	s.giveBackValues(values)
	for _, d := range revoked {
		s.forget(store.Inbox{Account: a.ID, Device: d})
	}
	return nil
}
