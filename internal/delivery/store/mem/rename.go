package mem

import (
	"bytes"
	"context"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// leftName is who left a name, and when.
type leftName struct {
	account proto.AccountID
	day     store.Day
}

// Rename implements store.Names.
func (s *Store) Rename(_ context.Context, a store.Account, n uint32, link []byte, today store.Day, values []store.LogValue) error {
	defer s.lock()()
	there := s.accounts[a.ID]
	switch {
	case there == nil:
		return proto.Refuse(proto.NoAccount)
	case int(n) < len(there.links) && bytes.Equal(there.links[n], link):
		return nil
	case int(n) != len(there.links):
		return &proto.Error{Code: proto.Conflict, Seq: uint64(len(there.links))}
	}
	if err := s.rename(there, &a, today); err != nil {
		return err
	}
	there.links = append(there.links, bytes.Clone(link))
	there.Account.Links = n + 1
	s.addValues(values)
	return nil
}

func (s *Store) rename(there *account, a *store.Account, today store.Day) error {
	if s.taken(a.Lookup) {
		return proto.Refuse(proto.NameTaken)
	}
	if by, left := s.left[a.Lookup]; left && by.account != a.ID {
		return proto.Refuse(proto.NameTaken)
	}
	delete(s.left, a.Lookup)
	s.left[there.Lookup] = leftName{a.ID, today}
	there.Lookup, there.Handle = a.Lookup, bytes.Clone(a.Handle)
	return nil
}

func (s *Store) taken(lookup proto.Hash) bool {
	for _, other := range s.accounts {
		if other.Lookup == lookup {
			return true
		}
	}
	return false
}

// GiveBackRename implements store.Restores.
func (s *Store) GiveBackRename(_ context.Context, a store.Account, today store.Day) error {
	defer s.lock()()
	there := s.accounts[a.ID]
	if there == nil {
		return proto.Refuse(proto.NoAccount)
	}
	if there.Lookup == a.Lookup {
		return nil
	}
	return s.rename(there, &a, today)
}

// GiveBackLeft implements store.Restores.
func (s *Store) GiveBackLeft(_ context.Context, lookup proto.Hash, id proto.AccountID, today store.Day) error {
	defer s.lock()()
	if _, left := s.left[lookup]; !left && !s.taken(lookup) {
		s.left[lookup] = leftName{id, today}
	}
	return nil
}

// LeftName implements store.Names.
func (s *Store) LeftName(_ context.Context, lookup proto.Hash) (proto.AccountID, error) {
	defer s.lock()()
	if l, ok := s.left[lookup]; ok {
		return l.account, nil
	}
	return proto.AccountID{}, proto.Refuse(proto.NoAccount)
}

// LeftSince implements store.Names.
func (s *Store) LeftSince(_ context.Context, id proto.AccountID, day store.Day) (n int, _ error) {
	defer s.lock()()
	for _, l := range s.left {
		if l.account == id && l.day >= day {
			n++
		}
	}
	return n, nil
}

// LeftNames implements store.Restores.
func (s *Store) LeftNames(context.Context) (int, error) {
	defer s.lock()()
	return len(s.left), nil
}
