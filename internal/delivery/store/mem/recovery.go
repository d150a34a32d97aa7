package mem

import (
	"bytes"
	"context"
	"slices"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// SetRecovery implements store.Recovery.
func (s *Store) SetRecovery(_ context.Context, id proto.AccountID, lookup proto.Hash) error {
	defer s.lock()()
	a := s.accounts[id]
	if a == nil {
		return proto.Refuse(proto.NoAccount)
	}
	for other, o := range s.accounts {
		if o.recovery == lookup && other != id {
			return proto.Refuse(proto.Exists)
		}
	}
	a.recovery = lookup
	return nil
}

// RecoveryOf implements store.Recovery.
func (s *Store) RecoveryOf(_ context.Context, id proto.AccountID) (proto.Hash, error) {
	defer s.lock()()
	if a := s.accounts[id]; a != nil {
		return a.recovery, nil
	}
	return proto.Hash{}, nil
}

// AccountByRecovery implements store.Recovery.
func (s *Store) AccountByRecovery(_ context.Context, lookup proto.Hash) (store.Account, error) {
	defer s.lock()()
	for _, a := range s.accounts {
		if a.recovery == lookup && lookup != (proto.Hash{}) {
			return a.Account, nil
		}
	}
	return store.Account{}, proto.Refuse(proto.NoAccount)
}

// SetBackup implements store.Recovery.
func (s *Store) SetBackup(_ context.Context, id proto.AccountID, previous, pointer []byte, pins []proto.BlobID, today store.Day) error {
	defer s.lock()()
	a := s.accounts[id]
	switch {
	case a == nil:
		return proto.Refuse(proto.NoAccount)
	case bytes.Equal(a.backup, pointer):
		return nil
	case !bytes.Equal(a.backup, previous):
		return proto.Refuse(proto.Conflict)
	}
	if err := s.checkPins(pins, true); err != nil {
		return err
	}
	for k := range s.pins {
		if k.owner != proto.Hash(id) || slices.Contains(pins, k.blob) {
			continue
		}
		delete(s.pins, k)
		if b := s.blobs[k.blob]; b != nil {
			b.day = today
		}
	}
	for _, b := range pins {
		s.pins[pinKey{proto.Hash(id), b}] = 0
	}
	a.backup = bytes.Clone(pointer)
	return nil
}

// Backup implements store.Recovery.
func (s *Store) Backup(_ context.Context, id proto.AccountID) ([]byte, error) {
	defer s.lock()()
	if a := s.accounts[id]; a != nil {
		return bytes.Clone(a.backup), nil
	}
	return nil, nil
}
