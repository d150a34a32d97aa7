package sqlite

import (
	"bytes"
	"context"
	"errors"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

func isCode(err error, c proto.Code) bool { return errors.Is(err, c) }

// CreateAccount implements store.Accounts.
func (s *Store) CreateAccount(ctx context.Context, invite proto.Hash, now store.Minute, a store.Account, links [][]byte, values []store.LogValue) (made store.Account, err error) {
	err = s.writer.submit(ctx, 1000+1000*len(links), func(t *tx) (err error) {
		made, err = createAccount(t, invite, now, a, links, values)
		return err
	})
	return made, err
}

func createAccount(t *tx, invite proto.Hash, now store.Minute, a store.Account, links [][]byte, values []store.LogValue) (store.Account, error) {
	old, taken, err := loadAccount(t, "id", proto.Hash(a.ID))
	if err != nil {
		return a, err
	}
	if taken {
		same, err := beginsWith(t, a.ID, links)
		if same && old.Lookup == a.Lookup && err == nil {
			return old, nil
		}
		if err != nil {
			return a, err
		}
	}
	i, err := loadInvite(t, invite, now)
	if err != nil {
		return a, err
	}
	if _, named, err := loadAccount(t, "lookup", a.Lookup); named || err != nil {
		return a, either(err, proto.NameTaken)
	}
	if _, left, err := loadLeft(t, a.Lookup); left || err != nil {
		return a, either(err, proto.NameTaken)
	}
	if taken {
		return a, proto.Refuse(proto.Exists)
	}
	others, err := exists(t, "SELECT 1 FROM account LIMIT 1")
	if err != nil {
		return a, err
	}
	a.Admin, a.Links = !others, uint32(len(links))
	if err := insertAccount(t, i, a, links); err != nil {
		return a, err
	}
	return a, insertValues(t, values)
}

func insertAccount(t *tx, i store.Invite, a store.Account, links [][]byte) error {
	if err := t.run("UPDATE invite SET uses = $2 WHERE token = $1", i.Token, i.Uses-1); err != nil {
		return err
	}
	if err := t.run("INSERT INTO account (id, lookup, handle, admin, links) VALUES ($1, $2, $3, $4, $5)", a.ID, a.Lookup, a.Handle, a.Admin, a.Links); err != nil {
		return err
	}
	for n, l := range links {
		if err := insertLink(t, a.ID, uint32(n), l); err != nil {
			return err
		}
	}
	return nil
}

func insertLink(t *tx, id proto.AccountID, n uint32, link []byte) error {
	return t.run("INSERT INTO link (account, n, bytes) VALUES ($1, $2, $3)", id, n, link)
}

// beginsWith tells whether the account's chain begins with these links.
func beginsWith(q querier, id proto.AccountID, links [][]byte) (bool, error) {
	there, err := loadLinks(q, id, 0, len(links))
	if err != nil || len(there) != len(links) {
		return false, err
	}
	for i := range links {
		if !bytes.Equal(links[i], there[i]) {
			return false, nil
		}
	}
	return true, nil
}

// loadAccount finds an account by the column id or lookup.
func loadAccount(q querier, column string, key proto.Hash) (a store.Account, found bool, err error) {
	found, err = one(q, []any{&a.ID, &a.Lookup, &a.Handle, &a.Admin, &a.Links},
		"SELECT id, lookup, handle, admin, links FROM account WHERE "+column+" = $1", key)
	return a, found, err
}

// Account implements store.Accounts.
func (s *Store) Account(ctx context.Context, id proto.AccountID) (store.Account, error) {
	return s.account(ctx, "id", proto.Hash(id))
}

// AccountByLookup implements store.Accounts.
func (s *Store) AccountByLookup(ctx context.Context, lookup proto.Hash) (store.Account, error) {
	return s.account(ctx, "lookup", lookup)
}

func (s *Store) account(ctx context.Context, column string, key proto.Hash) (a store.Account, err error) {
	err = s.read(ctx, func(q querier) error {
		found, err := false, error(nil)
		if a, found, err = loadAccount(q, column, key); !found || err != nil {
			return either(err, proto.NoAccount)
		}
		return nil
	})
	return a, err
}

// Links implements store.Accounts.
func (s *Store) Links(ctx context.Context, id proto.AccountID, from uint32, max int) (all [][]byte, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		if err := checkAccount(q, id, proto.NoAccount); err != nil {
			return err
		}
		all, err = loadLinks(q, id, from, max)
		return err
	})
	return all, err
}

func loadLinks(q querier, id proto.AccountID, from uint32, max int) (all [][]byte, err error) {
	err = each(q, func(scan func(...any) error) error {
		var b []byte
		err := scan(&b)
		all = append(all, b)
		return err
	}, "SELECT bytes FROM link WHERE account = $1 AND n >= $2 ORDER BY n LIMIT $3", id, from, max)
	return all, err
}

// AppendLink implements store.Accounts.
func (s *Store) AppendLink(ctx context.Context, id proto.AccountID, n uint32, link []byte, revoked []proto.DeviceID, value store.LogValue) error {
	return s.writer.submit(ctx, len(link)+200, func(t *tx) error {
		a, found, err := loadAccount(t, "id", proto.Hash(id))
		if !found || err != nil {
			return either(err, proto.NoAccount)
		}
		if there, err := loadLinks(t, id, n, 1); err != nil {
			return err
		} else if len(there) == 1 && bytes.Equal(there[0], link) {
			return nil
		}
		if a.Links != n {
			return &proto.Error{Code: proto.Conflict, Seq: uint64(a.Links)}
		}
		if err := insertLink(t, id, n, link); err != nil {
			return err
		}
		if err := t.run("UPDATE account SET links = $2 WHERE id = $1", id, n+1); err != nil {
			return err
		}
		if err := insertValue(t, value); err != nil {
			return err
		}
		return forgetDevices(t, id, revoked)
	})
}

func forgetDevices(t *tx, id proto.AccountID, revoked []proto.DeviceID) error {
	for _, d := range revoked {
		for _, table := range []string{"key_package", "ticket", "inbox"} {
			if err := t.run("DELETE FROM "+table+" WHERE account = $1 AND device = $2", id, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// HasAccounts implements store.Accounts.
func (s *Store) HasAccounts(ctx context.Context) (any bool, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		any, err = exists(q, "SELECT 1 FROM account LIMIT 1")
		return err
	})
	return any, err
}

// AddInvite implements store.Accounts.
func (s *Store) AddInvite(ctx context.Context, i store.Invite) error {
	return s.writer.submit(ctx, 64, func(t *tx) error {
		if found, err := exists(t, "SELECT 1 FROM invite WHERE token = $1", i.Token); found || err != nil {
			return either(err, proto.Exists)
		}
		return t.run("INSERT INTO invite (token, uses, expires_minute) VALUES ($1, $2, $3)", i.Token, i.Uses, uint64(i.Expires))
	})
}

// Invite implements store.Accounts.
func (s *Store) Invite(ctx context.Context, token proto.Hash, now store.Minute) (i store.Invite, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		i, err = loadInvite(q, token, now)
		return err
	})
	return i, err
}

// loadInvite returns an invitation that can be used now.
func loadInvite(q querier, token proto.Hash, now store.Minute) (i store.Invite, err error) {
	i.Token = token
	found, err := one(q, []any{&i.Uses, &i.Expires}, "SELECT uses, expires_minute FROM invite WHERE token = $1", token)
	switch {
	case err != nil:
		return i, err
	case !found:
		return i, proto.Refuse(proto.InviteUnknown)
	case i.Expires < now:
		return i, proto.Refuse(proto.InviteExpired)
	case i.Uses == 0:
		return i, proto.Refuse(proto.InviteUsed)
	}
	return i, nil
}

// StampKeys implements store.Server.
func (s *Store) StampKeys(ctx context.Context) (all []store.StampKey, err error) {
	err = s.read(ctx, func(q querier) error {
		all = nil
		return each(q, func(scan func(...any) error) error {
			var k store.StampKey
			err := scan(&k.KID, &k.Public, &k.Generation, &k.Sealed)
			all = append(all, k)
			return err
		}, "SELECT kid, public, generation, sealed FROM stamp_key ORDER BY n")
	})
	return all, err
}

// AddStampKey implements store.Server.
func (s *Store) AddStampKey(ctx context.Context, k store.StampKey) error {
	return s.writer.submit(ctx, 200, func(t *tx) error {
		if found, err := exists(t, "SELECT 1 FROM stamp_key WHERE kid = $1", k.KID); found || err != nil {
			return either(err, proto.Exists)
		}
		return t.run(`INSERT INTO stamp_key (n, kid, public, generation, sealed)
			VALUES ((SELECT COUNT(*) + 1 FROM stamp_key), $1, $2, $3, $4)`, k.KID, k.Public, k.Generation, k.Sealed)
	})
}

// Setting implements store.Server.
func (s *Store) Setting(ctx context.Context, name string) (value []byte, err error) {
	err = s.read(ctx, func(q querier) error {
		_, err := one(q, []any{&value}, "SELECT value FROM setting WHERE name = $1", name)
		return err
	})
	return value, err
}

const putSetting = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

// PutSetting implements store.Server.
func (s *Store) PutSetting(ctx context.Context, name string, value []byte) error {
	return s.writer.submit(ctx, len(value)+64, func(t *tx) error {
		return t.run(putSetting, name, value)
	})
}
