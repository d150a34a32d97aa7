package sqlite

import (
	"context"
	"fmt"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// BeginBlob implements store.Blobs.
func (s *Store) BeginBlob(ctx context.Context, b store.Blob, today store.Day, maxBytes uint64) error {
	return s.writer.submit(ctx, 128, func(t *tx) error {
		old, err := loadBlob(t, b.ID)
		if err == nil {
			if old.Size != b.Size || old.Hash != b.Hash || !sameOwner(old.Owner, b.Owner) {
				return proto.Refuse(proto.Exists)
			}
			return nil
		}
		if !isCode(err, proto.NoBlob) {
			return err
		}
		if err := checkQuota(t, b, maxBytes); err != nil {
			return err
		}
		if b.Owner == nil {
			return t.run("INSERT INTO account_blob (id, size, hash, done, day) VALUES ($1, $2, $3, 0, $4)", b.ID, b.Size, b.Hash, today)
		}
		return t.run("INSERT INTO blob (id, owner, size, hash, done, day) VALUES ($1, $2, $3, $4, 0, $5)", b.ID, b.Owner, b.Size, b.Hash, today)
	})
}

func sameOwner(a, b *proto.ConversationID) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}

func checkQuota(q querier, b store.Blob, maxBytes uint64) error {
	if b.Owner == nil {
		return nil
	}
	var sum uint64
	_, err := one(q, []any{&sum}, "SELECT COALESCE(SUM(size), 0) FROM blob WHERE owner = $1", b.Owner)
	if err != nil || sum+b.Size > maxBytes {
		return either(err, proto.Quota)
	}
	return nil
}

func loadBlob(q querier, id proto.BlobID) (b store.Blob, err error) {
	var owner []byte
	b.ID = id
	found, err := one(q, []any{&owner, &b.Size, &b.Hash, &b.Done}, "SELECT owner, size, hash, done FROM blob WHERE id = $1", id)
	if err == nil && !found {
		found, err = one(q, []any{&b.Size, &b.Hash, &b.Done}, "SELECT size, hash, done FROM account_blob WHERE id = $1", id)
	}
	if !found || err != nil {
		return b, either(err, proto.NoBlob)
	}
	if owner != nil {
		b.Owner = new(proto.ConversationID)
		copy(b.Owner[:], owner)
	}
	return b, nil
}

// blobTables have the records of blobs. Accounts' are apart, as their pins are:
// beside those of conversations they would tell which were written together.
var blobTables = []string{"blob", "account_blob"}

// onBlob runs a statement on the record of a blob; in it %s is the table.
func onBlob(t *tx, statement string, args ...any) (rows int, err error) {
	for _, table := range blobTables {
		n, err := t.exec(fmt.Sprintf(statement, table), args...)
		if rows += n; err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// Blob implements store.Blobs.
func (s *Store) Blob(ctx context.Context, id proto.BlobID) (b store.Blob, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		b, err = loadBlob(q, id)
		return err
	})
	return b, err
}

// FinishBlob implements store.Blobs.
func (s *Store) FinishBlob(ctx context.Context, id proto.BlobID) error {
	return s.writer.submit(ctx, 64, func(t *tx) error {
		n, err := onBlob(t, "UPDATE %s SET done = 1 WHERE id = $1", id)
		if n == 0 || err != nil {
			return either(err, proto.NoBlob)
		}
		return nil
	})
}

// DropBlob implements store.Blobs.
func (s *Store) DropBlob(ctx context.Context, id proto.BlobID) error {
	return s.writer.submit(ctx, 64, func(t *tx) error {
		_, err := onBlob(t, "DELETE FROM %s WHERE id = $1 AND done = 0", id)
		return err
	})
}

// Pin implements store.Blobs.
func (s *Store) Pin(ctx context.Context, by store.Owner, ids []proto.BlobID, until store.Day) error {
	return s.writer.submit(ctx, 100*len(ids), func(t *tx) error {
		for _, id := range ids {
			if err := checkPin(t, id, by.Account != nil); err != nil {
				return err
			}
		}
		for _, id := range ids {
			if err := pin(t, by, id, until); err != nil {
				return err
			}
		}
		return nil
	})
}

// Unpin implements store.Blobs.
func (s *Store) Unpin(ctx context.Context, by store.Owner, ids []proto.BlobID, today store.Day) error {
	return s.writer.submit(ctx, 100*len(ids), func(t *tx) error {
		for _, id := range ids {
			if err := unpin(t, by, id, today); err != nil {
				return err
			}
		}
		return nil
	})
}

// pinTable returns where an owner's pins are, and its key. Accounts' are apart:
// no page of the file has both kinds of owner.
func pinTable(o store.Owner) (table, column string, key []byte) {
	if o.Account != nil {
		return "account_pin", "account", o.Account[:]
	}
	return "pin", "owner", o.Conversation[:]
}

func unpin(t *tx, by store.Owner, id proto.BlobID, today store.Day) error {
	table, column, key := pinTable(by)
	n, err := t.exec("DELETE FROM "+table+" WHERE "+column+" = $1 AND blob = $2", key, id)
	if err != nil || n == 0 {
		return err
	}
	_, err = onBlob(t, "UPDATE %s SET day = $2 WHERE id = $1", id, today)
	return err
}

// checkPin: done, and of the kind of owner that wants to pin it, so that no pin
// joins an account to a conversation.
func checkPin(q querier, id proto.BlobID, account bool) error {
	b, err := loadBlob(q, id)
	if err != nil {
		return err
	}
	if !b.Done || (b.Owner == nil) != account {
		return proto.Refuse(proto.NoBlob)
	}
	return nil
}

func pin(t *tx, by store.Owner, blob proto.BlobID, until store.Day) error {
	table, column, key := pinTable(by)
	return t.run("INSERT INTO "+table+" ("+column+", blob, until_day) VALUES ($1, $2, $3) ON CONFLICT ("+column+", blob) DO UPDATE SET until_day = excluded.until_day",
		key, blob, until)
}

// BlobIDs implements store.Server.
func (s *Store) BlobIDs(ctx context.Context) (map[proto.BlobID]bool, error) {
	all := map[proto.BlobID]bool{}
	err := s.read(ctx, func(q querier) error {
		return each(q, func(scan func(...any) error) error {
			var id proto.BlobID
			err := scan(&id)
			all[id] = true
			return err
		}, "SELECT id FROM blob UNION ALL SELECT id FROM account_blob")
	})
	return all, err
}
