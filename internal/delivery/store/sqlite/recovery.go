package sqlite

import (
	"bytes"
	"context"
	"slices"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// SetRecovery implements store.Recovery.
func (s *Store) SetRecovery(ctx context.Context, id proto.AccountID, lookup proto.Hash) error {
	return s.writer.submit(ctx, 100, func(t *tx) error {
		if err := checkAccount(t, id, proto.NoAccount); err != nil {
			return err
		}
		owner, found, err := recoveryOwner(t, lookup)
		if err != nil || found && owner == id {
			return err
		}
		if found {
			return proto.Refuse(proto.Exists)
		}
		if err := t.run("DELETE FROM recovery WHERE account = $1", id); err != nil {
			return err
		}
		return t.run("INSERT INTO recovery (lookup, account) VALUES ($1, $2)", lookup, id)
	})
}

func recoveryOwner(q querier, lookup proto.Hash) (id proto.AccountID, found bool, err error) {
	found, err = one(q, []any{&id}, "SELECT account FROM recovery WHERE lookup = $1", lookup)
	return id, found, err
}

// RecoveryOf implements store.Recovery.
func (s *Store) RecoveryOf(ctx context.Context, id proto.AccountID) (lookup proto.Hash, err error) {
	err = s.read(ctx, func(q querier) error {
		_, err := one(q, []any{&lookup}, "SELECT lookup FROM recovery WHERE account = $1", id)
		return err
	})
	return lookup, err
}

// AccountByRecovery implements store.Recovery.
func (s *Store) AccountByRecovery(ctx context.Context, lookup proto.Hash) (a store.Account, err error) {
	err = s.read(ctx, func(q querier) error {
		id, found, err := recoveryOwner(q, lookup)
		if err == nil && found {
			a, found, err = loadAccount(q, "id", proto.Hash(id))
		}
		if !found || err != nil {
			return either(err, proto.NoAccount)
		}
		return nil
	})
	return a, err
}

// SetBackup implements store.Recovery.
func (s *Store) SetBackup(ctx context.Context, id proto.AccountID, previous, pointer []byte, pins []proto.BlobID, today store.Day) error {
	return s.writer.submit(ctx, 200+100*len(pins), func(t *tx) error {
		if err := checkAccount(t, id, proto.NoAccount); err != nil {
			return err
		}
		old, err := loadBackup(t, id)
		if err != nil || bytes.Equal(old, pointer) {
			return err
		}
		if !bytes.Equal(old, previous) {
			return proto.Refuse(proto.Conflict)
		}
		for _, b := range pins {
			if err := checkPin(t, b, true); err != nil {
				return err
			}
		}
		if err := replacePins(t, id, pins, today); err != nil {
			return err
		}
		return t.run("INSERT INTO backup (account, pointer) VALUES ($1, $2) ON CONFLICT (account) DO UPDATE SET pointer = excluded.pointer", id, pointer)
	})
}

// replacePins makes an account's pins exactly these.
func replacePins(t *tx, id proto.AccountID, pins []proto.BlobID, today store.Day) error {
	var gone []proto.BlobID
	err := each(t, func(scan func(...any) error) error {
		var b proto.BlobID
		err := scan(&b)
		if err == nil && !slices.Contains(pins, b) {
			gone = append(gone, b)
		}
		return err
	}, "SELECT blob FROM account_pin WHERE account = $1", id)
	if err != nil {
		return err
	}
	for _, b := range gone {
		if err := unpin(t, store.Owner{Account: &id}, b, today); err != nil {
			return err
		}
	}
	for _, b := range pins {
		if err := pin(t, store.Owner{Account: &id}, b, 0); err != nil {
			return err
		}
	}
	return nil
}

func loadBackup(q querier, id proto.AccountID) (pointer []byte, err error) {
	_, err = one(q, []any{&pointer}, "SELECT pointer FROM backup WHERE account = $1", id)
	return pointer, err
}

// Backup implements store.Recovery.
func (s *Store) Backup(ctx context.Context, id proto.AccountID) (pointer []byte, err error) {
	err = s.read(ctx, func(q querier) error {
		pointer, err = loadBackup(q, id)
		return err
	})
	return pointer, err
}
