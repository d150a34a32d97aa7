package sqlite

import (
	"bytes"
	"context"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// pendingEpoch marks a value that is in no epoch yet.
const pendingEpoch = -1

// Epochs implements store.Epochs.
func (s *Store) Epochs(ctx context.Context, from uint64, max int) (all []store.LogEpoch, err error) {
	err = s.read(ctx, func(q querier) error {
		return each(q, func(scan func(...any) error) error {
			var e store.LogEpoch
			err := scan(&e.N, &e.Record, &e.Batch)
			all = append(all, e)
			return err
		}, "SELECT n, record, batch FROM epoch WHERE n >= $1 ORDER BY n LIMIT $2", from, max)
	})
	return all, err
}

// PendingValues implements store.Epochs.
func (s *Store) PendingValues(ctx context.Context, max int) (all []store.LogValue, err error) {
	return s.values(ctx, "WHERE epoch = $1 ORDER BY idx, seq LIMIT $2", pendingEpoch, max)
}

// Values implements store.Epochs.
func (s *Store) Values(ctx context.Context, index [32]byte, from uint32, max int) ([]store.LogValue, error) {
	return s.values(ctx, "WHERE idx = $1 AND seq >= $2 ORDER BY seq LIMIT $3", index, from, max)
}

func (s *Store) values(ctx context.Context, where string, args ...any) (all []store.LogValue, err error) {
	err = s.read(ctx, func(q querier) error {
		return each(q, func(scan func(...any) error) error {
			var v store.LogValue
			var opening []byte
			err := scan(&v.Kind, &v.Index, &v.Seq, &opening, &v.Commitment, &v.Value)
			copy(v.Opening[:], opening)
			all = append(all, v)
			return err
		}, "SELECT kind, idx, seq, opening, commitment, value FROM log_value "+where, args...)
	})
	return all, err
}

// AddEpoch implements store.Epochs.
func (s *Store) AddEpoch(ctx context.Context, e store.LogEpoch) error {
	return s.writer.submit(ctx, len(e.Record)+len(e.Batch)+200, func(t *tx) error {
		next := uint64(0)
		if _, err := one(t, []any{&next}, "SELECT n + 1 FROM epoch ORDER BY n DESC LIMIT 1"); err != nil {
			return err
		}
		if e.N+1 == next {
			var record []byte
			if _, err := one(t, []any{&record}, "SELECT record FROM epoch WHERE n = $1", e.N); err != nil {
				return err
			} else if bytes.Equal(record, e.Record) {
				return nil
			}
		}
		if e.N != next {
			return &proto.Error{Code: proto.Conflict, Seq: next}
		}
		if err := t.run("INSERT INTO epoch (n, record, batch) VALUES ($1, $2, $3)", e.N, e.Record, e.Batch); err != nil {
			return err
		}
		for _, k := range e.Taken {
			if err := t.run("UPDATE log_value SET epoch = $3 WHERE idx = $1 AND seq = $2", k.Index, k.Seq, e.N); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddValue implements store.Epochs.
func (s *Store) AddValue(ctx context.Context, v store.LogValue) error {
	return s.writer.submit(ctx, len(v.Value)+300, func(t *tx) error {
		there := uint32(0)
		if _, err := one(t, []any{&there}, "SELECT COUNT(*) FROM log_value WHERE idx = $1", v.Index); err != nil {
			return err
		}
		if v.Seq < there {
			var old []byte
			if _, err := one(t, []any{&old}, "SELECT value FROM log_value WHERE idx = $1 AND seq = $2", v.Index, v.Seq); err != nil {
				return err
			} else if bytes.Equal(old, v.Value) {
				return nil
			}
		}
		if v.Seq != there {
			return &proto.Error{Code: proto.Conflict, Seq: uint64(there)}
		}
		return insertValue(t, v)
	})
}

// Place implements store.Epochs.
func (s *Store) Place(ctx context.Context, label proto.Hash) (place []byte, err error) {
	err = s.read(ctx, func(q querier) error {
		_, err := one(q, []any{&place}, "SELECT place FROM label WHERE lookup = $1", label)
		return err
	})
	return place, err
}

func insertPlace(t *tx, v store.LogValue) error {
	if v.Place == nil {
		return nil
	}
	return t.run("INSERT INTO label (lookup, place) VALUES ($1, $2) ON CONFLICT (lookup) DO NOTHING", v.Label, v.Place)
}

func insertValue(t *tx, v store.LogValue) error {
	if err := insertPlace(t, v); err != nil {
		return err
	}
	return t.run("INSERT INTO log_value (idx, seq, kind, opening, commitment, value, epoch) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		v.Index, v.Seq, v.Kind, v.Opening[:], v.Commitment, v.Value, pendingEpoch)
}

func insertValues(t *tx, values []store.LogValue) error {
	for _, v := range values {
		if err := insertValue(t, v); err != nil {
			return err
		}
	}
	return nil
}
