package sqlite

import (
	"context"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Head implements store.Restores.
func (s *Store) Head(ctx context.Context, id proto.ConversationID) (seq uint64, chain proto.Hash, err error) {
	err = s.read(ctx, func(q querier) error {
		log, _, err := loadLog(q, id)
		seq, chain = log.Seq, log.Chain
		return err
	})
	return seq, chain, err
}

// ForgetPromises implements store.Restores.
func (s *Store) ForgetPromises(ctx context.Context) error {
	return s.writer.submit(ctx, 1<<20, func(t *tx) error {
		for _, table := range []string{"key_package", "ticket", "token", "invite"} {
			if err := t.run("DELETE FROM " + table); err != nil {
				return err
			}
		}
		return nil
	})
}

// AccountIDs implements store.Restores.
func (s *Store) AccountIDs(ctx context.Context) (all []proto.AccountID, err error) {
	err = s.read(ctx, func(q querier) error {
		return each(q, func(scan func(...any) error) error {
			var id proto.AccountID
			err := scan(&id)
			all = append(all, id)
			return err
		}, "SELECT id FROM account ORDER BY id")
	})
	return all, err
}

// GiveBackAccount implements store.Restores.
func (s *Store) GiveBackAccount(ctx context.Context, a store.Account, links [][]byte, values []store.LogValue, epochs []uint64, revoked []proto.DeviceID) error {
	return s.writer.submit(ctx, 300*len(links)+300, func(t *tx) error {
		there, found, err := loadAccount(t, "id", proto.Hash(a.ID))
		if err != nil {
			return err
		}
		if err := checkGivenBack(t, found, &there, &a, links); err != nil {
			return err
		}
		if !found {
			err := t.run("INSERT INTO account (id, lookup, handle, admin, links) VALUES ($1, $2, $3, $4, 0)", a.ID, a.Lookup, a.Handle, a.Admin)
			if err != nil {
				return err
			}
		}
		for n := int(there.Links); n < len(links); n++ {
			if err := insertLink(t, a.ID, uint32(n), links[n]); err != nil {
				return err
			}
		}
		if err := t.run("UPDATE account SET links = $2 WHERE id = $1", a.ID, max(uint64(there.Links), uint64(len(links)))); err != nil {
			return err
		}
		if err := giveBackValues(t, values, epochs); err != nil {
			return err
		}
		return forgetDevices(t, a.ID, revoked)
	})
}

// BeginLog implements store.Restores.
func (s *Store) BeginLog(ctx context.Context, name string, without uint8) error {
	return s.writer.submit(ctx, 1<<20, func(t *tx) error {
		if err := t.run(putSetting, store.SettingLog, []byte(name)); err != nil {
			return err
		}
		if err := t.run("DELETE FROM epoch"); err != nil {
			return err
		}
		if err := t.run("DELETE FROM log_value WHERE kind = $1", without); err != nil {
			return err
		}
		return t.run("UPDATE log_value SET epoch = $1", pendingEpoch)
	})
}

// GiveBackValues implements store.Restores.
func (s *Store) GiveBackValues(ctx context.Context, values []store.LogValue, epochs []uint64) error {
	return s.writer.submit(ctx, 1000*len(values), func(t *tx) error { return giveBackValues(t, values, epochs) })
}

func giveBackValues(t *tx, values []store.LogValue, epochs []uint64) error {
	for i, v := range values {
		if err := insertPlace(t, v); err != nil {
			return err
		}
		err := t.run(`INSERT INTO log_value (idx, seq, kind, opening, commitment, value, epoch)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (idx, seq) DO NOTHING`, v.Index, v.Seq, v.Kind, v.Opening[:], v.Commitment, v.Value, epochs[i])
		if err != nil {
			return err
		}
	}
	return nil
}

// checkGivenBack holds what GiveBackAccount refuses.
func checkGivenBack(t *tx, found bool, there, a *store.Account, links [][]byte) error {
	if !found {
		_, taken, err := loadAccount(t, "lookup", a.Lookup)
		if taken || err != nil {
			return either(err, proto.NameTaken)
		}
		_, left, err := loadLeft(t, a.Lookup)
		if left || err != nil {
			return either(err, proto.NameTaken)
		}
		return nil
	}
	same, err := beginsWith(t, a.ID, links[:min(len(links), int(there.Links))])
	if err == nil && (!same || there.Lookup != a.Lookup) {
		err = &proto.Error{Code: proto.Conflict, Seq: uint64(there.Links)}
	}
	return err
}
