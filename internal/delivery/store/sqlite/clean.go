package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
)

// cleanStep is how many rows one transaction of the clean-up deletes at most.
const cleanStep = 200

// Clean implements store.Server: it deletes by the rules of store.Annotations,
// in their order. What is due is found by reading, so that others write between
// the steps.
func (s *Store) Clean(ctx context.Context, now time.Time, r store.Retention) error {
	for _, t := range store.Annotations {
		if t.Keep.Where == "" {
			continue
		}
		var bound []any
		if t.Keep.Bound != nil {
			bound = []any{int64(t.Keep.Bound(now, r))}
		}
		if err := s.cleanTable(ctx, t, bound); err != nil {
			return fmt.Errorf("clean-up of %s: %w", t.Name, err)
		}
	}
	return nil
}

func (s *Store) cleanTable(ctx context.Context, t store.Table, bound []any) error {
	for {
		rows, err := s.due(ctx, t, bound)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := s.writer.submit(ctx, 64*len(rows), func(w *tx) error { return deleteRows(w, t, rows, bound) }); err != nil {
			return err
		}
	}
}

// due returns the keys of some rows that are to be deleted.
func (s *Store) due(ctx context.Context, t store.Table, bound []any) (rows [][]any, err error) {
	key := strings.Join(t.Keep.Key, ", ")
	query := fmt.Sprintf("SELECT %s FROM %s WHERE %s LIMIT %d", key, t.Name, t.Keep.Where, cleanStep)
	if t.Name == "entry" {
		return s.dueEntries(ctx, bound)
	}
	err = s.read(ctx, func(q querier) error {
		rows = nil
		return each(q, func(scan func(...any) error) error {
			row := make([]any, len(t.Keep.Key))
			dest := make([]any, len(row))
			for i := range row {
				dest[i] = &row[i]
			}
			err := scan(dest...)
			rows = append(rows, row)
			return err
		}, query, bound...)
	})
	return rows, err
}

// dueEntries finds entries by the first one of each log, without reading all. An
// entry behind one that stays, as a wrong clock makes them, stays too: a log has
// no gap.
func (s *Store) dueEntries(ctx context.Context, bound []any) (rows [][]any, err error) {
	err = s.read(ctx, func(q querier) error {
		rows = nil
		var logs [][]byte
		err := each(q, func(scan func(...any) error) error {
			var id []byte
			err := scan(&id)
			logs = append(logs, id)
			return err
		}, `SELECT id FROM conversation WHERE
			(SELECT minute FROM entry WHERE entry.conversation = conversation.id ORDER BY seq LIMIT 1) < $1 LIMIT 20`, bound...)
		for _, id := range logs {
			if err == nil {
				err = each(q, func(scan func(...any) error) error {
					var seq, minute int64
					err := scan(&seq, &minute)
					if minute >= bound[0].(int64) {
						return errEnough
					}
					rows = append(rows, []any{id, seq})
					return err
				}, "SELECT seq, minute FROM entry WHERE conversation = $1 ORDER BY seq LIMIT $2", id, cleanStep)
			}
			if err == errEnough {
				err = nil
			}
		}
		return err
	})
	return rows, err
}

// deleteRows deletes those of the rows whose condition still holds.
func deleteRows(w *tx, t store.Table, rows [][]any, bound []any) error {
	where := []string{t.Keep.Where}
	for i, column := range t.Keep.Key {
		where = append(where, fmt.Sprintf("%s = $%d", column, len(bound)+i+1))
	}
	query := fmt.Sprintf("DELETE FROM %s WHERE %s", t.Name, strings.Join(where, " AND "))
	for _, row := range rows {
		n, err := w.exec(query, append(append([]any{}, bound...), row...)...)
		if err != nil {
			return err
		}
		if err := deleteWith(w, t, row, n); err != nil {
			return err
		}
	}
	if t.Name == "entry" {
		return recount(w, rows)
	}
	return nil
}

func deleteWith(w *tx, t store.Table, row []any, deleted int) error {
	if deleted == 0 {
		return nil
	}
	for _, table := range t.Keep.With {
		if err := w.run("DELETE FROM "+table+" WHERE conversation = $1", row[0]); err != nil {
			return err
		}
	}
	if t.Name == "conversation" { // its blobs are kept by nobody now
		return w.run("DELETE FROM pin WHERE owner = $1", row[0])
	}
	return nil
}

// recount sets the size of the logs whose entries were deleted.
func recount(w *tx, rows [][]any) error {
	done := map[string]bool{}
	for _, row := range rows {
		id := string(row[0].([]byte))
		if done[id] {
			continue
		}
		done[id] = true
		if err := w.run("UPDATE conversation SET bytes = (SELECT COALESCE(SUM(LENGTH(bytes)), 0) FROM entry WHERE conversation = $1) WHERE id = $1", row[0]); err != nil {
			return err
		}
	}
	return nil
}
