package mem

import (
	"bytes"
	"context"
	"slices"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// logValue is a value and whether an epoch took it.
type logValue struct {
	store.LogValue
	taken bool
}

// Epochs implements store.Epochs.
func (s *Store) Epochs(_ context.Context, from uint64, most int) ([]store.LogEpoch, error) {
	defer s.lock()()
	rest := s.epochs[min(from, uint64(len(s.epochs))):]
	return slices.Clone(rest[:min(most, len(rest))]), nil
}

// PendingValues implements store.Epochs.
func (s *Store) PendingValues(_ context.Context, most int) (all []store.LogValue, _ error) {
	defer s.lock()()
	for _, values := range s.values {
		for _, v := range values {
			if !v.taken {
				all = append(all, v.LogValue)
			}
		}
	}
	slices.SortFunc(all, func(a, b store.LogValue) int {
		if c := bytes.Compare(a.Index[:], b.Index[:]); c != 0 {
			return c
		}
		return int(a.Seq) - int(b.Seq)
	})
	return all[:min(most, len(all))], nil
}

// AddEpoch implements store.Epochs.
func (s *Store) AddEpoch(_ context.Context, e store.LogEpoch) error {
	defer s.lock()()
	next := uint64(len(s.epochs))
	if e.N+1 == next && bytes.Equal(s.epochs[e.N].Record, e.Record) {
		return nil
	}
	if e.N != next {
		return &proto.Error{Code: proto.Conflict, Seq: next}
	}
	for _, k := range e.Taken {
		if there := s.values[k.Index]; int(k.Seq) < len(there) { // a given back epoch has values that are not
			there[k.Seq].taken = true
		}
	}
	e.Taken = nil
	s.epochs = append(s.epochs, e)
	return nil
}

// AddValue implements store.Epochs.
func (s *Store) AddValue(_ context.Context, v store.LogValue) error {
	defer s.lock()()
	there := s.values[v.Index]
	if int(v.Seq) < len(there) && bytes.Equal(there[v.Seq].Value, v.Value) {
		return nil
	}
	if int(v.Seq) != len(there) {
		return &proto.Error{Code: proto.Conflict, Seq: uint64(len(there))}
	}
	s.addValues([]store.LogValue{v})
	return nil
}

func (s *Store) addValues(values []store.LogValue) {
	for _, v := range values {
		s.addValue(v, false)
	}
}

func (s *Store) addValue(v store.LogValue, taken bool) {
	if v.Place != nil && s.places[v.Label] == nil {
		s.places[v.Label] = v.Place
	}
	v.Label, v.Place = proto.Hash{}, nil
	s.values[v.Index] = append(s.values[v.Index], logValue{LogValue: v, taken: taken})
}

// Place implements store.Epochs.
func (s *Store) Place(_ context.Context, label proto.Hash) ([]byte, error) {
	defer s.lock()()
	return s.places[label], nil
}

// Values implements store.Epochs.
func (s *Store) Values(_ context.Context, index [32]byte, from uint32, most int) (all []store.LogValue, _ error) {
	defer s.lock()()
	there := s.values[index]
	for _, v := range there[min(int(from), len(there)):] {
		if len(all) < most {
			all = append(all, v.LogValue)
		}
	}
	return all, nil
}
