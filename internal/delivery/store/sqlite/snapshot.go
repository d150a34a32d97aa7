package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Snapshot writes a consistent copy of the database at path to a new file, also
// while a server uses it. The copy has neither free pages nor a write-ahead log,
// and its rows lie in the order of their keys: it tells nothing of what was
// deleted or written together (protocol.md, 15). It is not synced.
func Snapshot(ctx context.Context, path, to string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, true))
	if err != nil {
		return explain(path, err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "PRAGMA query_only(OFF)"); err != nil {
		return explain(path, err)
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return explain(path, err)
}

// EachBlob calls f for the record of every blob that is done.
func (s *Store) EachBlob(ctx context.Context, f func(store.Blob) error) error {
	return s.read(ctx, func(q querier) error {
		return each(q, func(scan func(...any) error) error {
			b := store.Blob{Done: true}
			if err := scan(&b.ID, &b.Size, &b.Hash); err != nil {
				return err
			}
			return f(b)
		}, "SELECT id, size, hash FROM blob WHERE done = 1 UNION ALL SELECT id, size, hash FROM account_blob WHERE done = 1 ORDER BY id")
	})
}

// ForgetBlob removes the record of a blob whose bytes are not there.
func (s *Store) ForgetBlob(ctx context.Context, id proto.BlobID) error {
	return s.writer.submit(ctx, 64, func(t *tx) error {
		_, err := onBlob(t, "DELETE FROM %s WHERE id = $1", id)
		return errors.Join(err, t.run("DELETE FROM pin WHERE blob = $1", id), t.run("DELETE FROM account_pin WHERE blob = $1", id))
	})
}

// EachLog calls f for the entries of every conversation that are there, in
// order, and then done with the head they must lead to. Memory does not depend
// on a log's length.
func (s *Store) EachLog(ctx context.Context, f func(*proto.Stamped) error, done func(id proto.ConversationID, seq uint64, chain proto.Hash) error) error {
	return s.read(ctx, func(q querier) error {
		var ids []proto.ConversationID
		err := each(q, func(scan func(...any) error) error {
			var id proto.ConversationID
			err := scan(&id)
			ids = append(ids, id)
			return err
		}, "SELECT id FROM conversation ORDER BY id")
		for _, id := range ids {
			if err == nil {
				err = eachEntry(q, id, f, done)
			}
		}
		return err
	})
}

func eachEntry(q querier, id proto.ConversationID, f func(*proto.Stamped) error, done func(proto.ConversationID, uint64, proto.Hash) error) error {
	log, found, err := loadLog(q, id)
	if err != nil || !found {
		return err
	}
	for next := uint64(1); ; {
		page, err := entries(q, id, next, log.Seq, 256, 1<<20)
		if err != nil {
			return err
		}
		for i := range page {
			if err := f(&page[i]); err != nil {
				return err
			}
			next = page[i].Receipt.Seq + 1
		}
		if len(page) == 0 {
			return done(id, log.Seq, log.Chain)
		}
	}
}

// Counts are how much there is of what a person would count.
type Counts struct{ Accounts, Conversations, Entries, Blobs, Epochs int }

// Count counts.
func (s *Store) Count(ctx context.Context) (c Counts, err error) {
	err = s.read(ctx, func(q querier) error {
		for table, n := range map[string]*int{"account": &c.Accounts, "conversation": &c.Conversations, "entry": &c.Entries, "blob": &c.Blobs, "epoch": &c.Epochs} {
			if _, err := one(q, []any{n}, fmt.Sprintf("SELECT COUNT(*) FROM %s", table)); err != nil {
				return err
			}
		}
		return nil
	})
	return c, err
}

// EachAccount calls f for every account with its whole chain.
func (s *Store) EachAccount(ctx context.Context, f func(a store.Account, links [][]byte) error) error {
	return s.read(ctx, func(q querier) error {
		var all []store.Account
		err := each(q, func(scan func(...any) error) error {
			var a store.Account
			err := scan(&a.ID, &a.Lookup, &a.Handle, &a.Links)
			all = append(all, a)
			return err
		}, "SELECT id, lookup, handle, links FROM account ORDER BY id")
		for _, a := range all {
			if err != nil {
				return err
			}
			var links [][]byte
			err = each(q, func(scan func(...any) error) error {
				var b []byte
				err := scan(&b)
				links = append(links, b)
				return err
			}, "SELECT bytes FROM link WHERE account = $1 ORDER BY n", a.ID)
			if err == nil {
				err = f(a, links)
			}
		}
		return err
	})
}
