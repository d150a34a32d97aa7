package sqlite

import (
	"bytes"
	"context"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Rename implements store.Names.
func (s *Store) Rename(ctx context.Context, a store.Account, n uint32, link []byte, today store.Day, values []store.LogValue) error {
	return s.writer.submit(ctx, 500+1000*len(values), func(t *tx) error {
		before, found, err := loadAccount(t, "id", proto.Hash(a.ID))
		if !found || err != nil {
			return either(err, proto.NoAccount)
		}
		if there, err := loadLinks(t, a.ID, n, 1); err != nil {
			return err
		} else if len(there) == 1 && bytes.Equal(there[0], link) {
			return nil
		}
		if before.Links != n {
			return &proto.Error{Code: proto.Conflict, Seq: uint64(before.Links)}
		}
		if err := renameAccount(t, &a, before.Lookup, today); err != nil {
			return err
		}
		if err := insertLink(t, a.ID, n, link); err != nil {
			return err
		}
		if err := t.run("UPDATE account SET links = $2 WHERE id = $1", a.ID, n+1); err != nil {
			return err
		}
		return insertValues(t, values)
	})
}

// renameAccount gives an account its new lookup and handle.
func renameAccount(t *tx, a *store.Account, before proto.Hash, today store.Day) error {
	if _, taken, err := loadAccount(t, "lookup", a.Lookup); taken || err != nil {
		return either(err, proto.NameTaken)
	}
	by, left, err := loadLeft(t, a.Lookup)
	if err != nil || left && by != a.ID {
		return either(err, proto.NameTaken)
	}
	if err := t.run("DELETE FROM left_name WHERE lookup = $1", a.Lookup); err != nil {
		return err
	}
	if err := t.run("INSERT INTO left_name (lookup, account, day) VALUES ($1, $2, $3)", before, a.ID, uint64(today)); err != nil {
		return err
	}
	return t.run("UPDATE account SET lookup = $2, handle = $3 WHERE id = $1", a.ID, a.Lookup, a.Handle)
}

// GiveBackRename implements store.Restores.
func (s *Store) GiveBackRename(ctx context.Context, a store.Account, today store.Day) error {
	return s.writer.submit(ctx, 500, func(t *tx) error {
		before, found, err := loadAccount(t, "id", proto.Hash(a.ID))
		if !found || err != nil {
			return either(err, proto.NoAccount)
		}
		if before.Lookup == a.Lookup {
			return nil
		}
		return renameAccount(t, &a, before.Lookup, today)
	})
}

// GiveBackLeft implements store.Restores.
func (s *Store) GiveBackLeft(ctx context.Context, lookup proto.Hash, id proto.AccountID, today store.Day) error {
	return s.writer.submit(ctx, 200, func(t *tx) error {
		if _, has, err := loadAccount(t, "lookup", lookup); has || err != nil {
			return err
		}
		return t.run("INSERT INTO left_name (lookup, account, day) VALUES ($1, $2, $3) ON CONFLICT (lookup) DO NOTHING", lookup, id, uint64(today))
	})
}

// loadLeft finds the account that left a lookup.
func loadLeft(q querier, lookup proto.Hash) (id proto.AccountID, found bool, err error) {
	found, err = one(q, []any{&id}, "SELECT account FROM left_name WHERE lookup = $1", lookup)
	return id, found, err
}

// LeftName implements store.Names.
func (s *Store) LeftName(ctx context.Context, lookup proto.Hash) (id proto.AccountID, err error) {
	err = s.read(ctx, func(q querier) error {
		found, err := false, error(nil)
		if id, found, err = loadLeft(q, lookup); !found || err != nil {
			return either(err, proto.NoAccount)
		}
		return nil
	})
	return id, err
}

// LeftSince implements store.Names.
func (s *Store) LeftSince(ctx context.Context, id proto.AccountID, day store.Day) (int, error) {
	return s.countLeft(ctx, "SELECT COUNT(*) FROM left_name WHERE account = $1 AND day >= $2", id, uint64(day))
}

// LeftNames implements store.Restores.
func (s *Store) LeftNames(ctx context.Context) (int, error) {
	return s.countLeft(ctx, "SELECT COUNT(*) FROM left_name")
}

func (s *Store) countLeft(ctx context.Context, query string, args ...any) (n int, err error) {
	err = s.read(ctx, func(q querier) error {
		_, err := one(q, []any{&n}, query, args...)
		return err
	})
	return n, err
}
