package sqlite

import (
	"context"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// ResetAccount implements store.Names.
func (s *Store) ResetAccount(ctx context.Context, invite proto.Hash, now store.Minute, a store.Account, links [][]byte, values []store.LogValue, old proto.AccountID, former proto.Hash) (made store.Account, err error) {
	err = s.writer.submit(ctx, 1000+1000*len(links), func(t *tx) (err error) {
		made, err = resetAccount(t, invite, now, a, links, values, old, former)
		return err
	})
	return made, err
}

func resetAccount(t *tx, invite proto.Hash, now store.Minute, a store.Account, links [][]byte, values []store.LogValue, old proto.AccountID, former proto.Hash) (store.Account, error) {
	there, taken, err := loadAccount(t, "id", proto.Hash(a.ID))
	if err != nil {
		return a, err
	}
	if same, err := beginsWith(t, a.ID, links); err != nil {
		return a, err
	} else if taken && same && there.Lookup == a.Lookup {
		return there, nil
	}
	i, err := loadInvite(t, invite, now)
	if err != nil {
		return a, err
	}
	before, found, err := loadAccount(t, "id", proto.Hash(old))
	switch {
	case err != nil:
		return a, err
	case !found || before.Lookup != a.Lookup:
		return a, proto.Refuse(proto.NoAccount)
	case taken:
		return a, proto.Refuse(proto.Exists)
	}
	if err := setLookup(t, old, former); err != nil {
		return a, err
	}
	a.Admin, a.Links = false, uint32(len(links))
	if err := insertAccount(t, i, a, links); err != nil {
		return a, err
	}
	return a, insertValues(t, values)
}

// MoveName implements store.Names.
func (s *Store) MoveName(ctx context.Context, from, to proto.AccountID, former proto.Hash, value store.LogValue) error {
	return s.writer.submit(ctx, len(value.Value)+400, func(t *tx) error {
		a, found, err := loadAccount(t, "id", proto.Hash(from))
		if !found || err != nil {
			return either(err, proto.NoAccount)
		}
		if err := checkAccount(t, to, proto.NoAccount); err != nil {
			return err
		}
		if err := setLookup(t, from, former); err != nil {
			return err
		}
		if err := setLookup(t, to, a.Lookup); err != nil {
			return err
		}
		return insertValue(t, value)
	})
}

func setLookup(t *tx, id proto.AccountID, lookup proto.Hash) error {
	return t.run("UPDATE account SET lookup = $2 WHERE id = $1", id, lookup)
}
