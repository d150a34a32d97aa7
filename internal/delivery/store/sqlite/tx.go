package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"codeberg.org/huis/huis/internal/proto"
)

// tx is the writer's connection inside a transaction. A request that will be
// refused must be refused before its first write.
type tx struct {
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	writes     int // rows written since BEGIN
}

func (t *tx) close() {
	for _, s := range t.statements {
		s.Close()
	}
	t.conn.Close()
}

func (t *tx) control(query string) error {
	_, err := t.conn.ExecContext(context.Background(), query)
	return err
}

func (t *tx) statement(query string) (*sql.Stmt, error) {
	if s := t.statements[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err == nil {
		t.statements[query] = s
	}
	return s, err
}

// exec runs a statement that writes, and returns how many rows it wrote.
func (t *tx) exec(query string, args ...any) (int, error) {
	s, err := t.statement(query)
	if err != nil {
		return 0, err
	}
	t.writes++ // also if it fails: something may be written
	r, err := s.Exec(columns(args)...)
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		t.writes--
	}
	return int(n), err
}

// run is exec for those who do not count.
func (t *tx) run(query string, args ...any) error {
	_, err := t.exec(query, args...)
	return err
}

func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	s, err := t.statement(query)
	if err != nil {
		return nil, err
	}
	return s.Query(columns(args)...)
}

// view is a transaction that only reads.
type view struct{ tx *sql.Tx }

func (v view) query(query string, args ...any) (*sql.Rows, error) {
	return v.tx.Query(query, columns(args)...)
}

// read runs f on one consistent state of the database.
func (s *Store) read(ctx context.Context, f func(querier) error) error {
	t, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return explain(s.path, err)
	}
	defer t.Rollback()
	return explain(s.path, f(view{t}))
}

// querier is what reading verbs and the checks of writing ones need.
type querier interface {
	query(query string, args ...any) (*sql.Rows, error)
}

// one scans the only row of a query; false if there is none.
func one(q querier, dest []any, query string, args ...any) (bool, error) {
	found := false
	err := each(q, func(scan func(...any) error) error {
		found = true
		return scan(dest...)
	}, query, args...)
	return found, err
}

// each calls f for every row of a query.
func each(q querier, f func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := q.query(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(func(dest ...any) error { return rows.Scan(targets(dest)...) }); err != nil {
			return err
		}
	}
	return rows.Err()
}

// columns makes arguments of identifiers and numbers. Numbers are stored as 64
// bit signed; the domain's never reach the sign.
func columns(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = column(a)
	}
	return out
}

func column(a any) any {
	switch v := a.(type) {
	case proto.ConversationID:
		return v[:]
	case *proto.ConversationID:
		if v == nil {
			return nil
		}
		return v[:]
	case proto.MemberKey:
		return v[:]
	case proto.BlobID:
		return v[:]
	case proto.AccountID:
		return v[:]
	case proto.DeviceID:
		return v[:]
	case proto.Hash:
		return v[:]
	case proto.Generation:
		return v[:]
	case proto.KID:
		return v[:]
	case proto.Signature:
		return v[:]
	case proto.InboxItemID:
		return v[:]
	case [32]byte:
		return v[:]
	case []byte:
		if v == nil {
			return []byte{} // no column of bytes that can be empty is NULL
		}
	case uint64:
		return int64(v)
	case bool:
		if v {
			return 1
		}
		return 0
	}
	return a
}

// targets makes scan targets of pointers to identifiers.
func targets(dest []any) []any {
	out := make([]any, len(dest))
	for i, d := range dest {
		out[i] = target(d)
	}
	return out
}

func target(d any) any {
	switch v := d.(type) {
	case *proto.ConversationID:
		return fixed(v[:])
	case *proto.MemberKey:
		return fixed(v[:])
	case *proto.BlobID:
		return fixed(v[:])
	case *proto.AccountID:
		return fixed(v[:])
	case *proto.DeviceID:
		return fixed(v[:])
	case *proto.Hash:
		return fixed(v[:])
	case *proto.Generation:
		return fixed(v[:])
	case *proto.KID:
		return fixed(v[:])
	case *proto.Signature:
		return fixed(v[:])
	case *proto.InboxItemID:
		return fixed(v[:])
	case *[32]byte:
		return fixed(v[:])
	}
	return d
}

// fixed scans a column that must be exactly as long as it.
type fixed []byte

var errLength = errors.New("a column has the wrong length")

// Scan implements sql.Scanner.
func (f fixed) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || len(b) != len(f) {
		return fmt.Errorf("%w: %d bytes wanted", errLength, len(f))
	}
	copy(f, b)
	return nil
}
