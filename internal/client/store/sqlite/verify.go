package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// verify compares the state with the mark, and reads small files wholly.
func (s *Store) verify(ctx context.Context) error {
	mark := s.readMark() // before the base: others may commit meanwhile
	base, err := s.Base(ctx)
	if err != nil {
		return err
	}
	if base < mark {
		return s.damaged(fmt.Sprintf("it holds state %d, but state %d was written: changes are missing", base, mark))
	}
	var pages, size int64
	err = s.db.QueryRowContext(ctx, "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size").Scan(&pages, &size)
	if err != nil {
		return s.explain(err)
	}
	if pages*size > checkLimit {
		return nil
	}
	return s.Check(ctx)
}

// Check reads everything and returns a *store.DamagedError if it is not what
// was committed.
func (s *Store) Check(ctx context.Context) error {
	err := s.transact(ctx, "BEGIN", func(tx *sql.Conn) error {
		var verdict string
		if err := tx.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
			return err
		}
		if verdict != "ok" {
			return s.damaged(verdict)
		}
		return s.checkDigest(ctx, tx)
	})
	return s.explain(err)
}

func (s *Store) checkDigest(ctx context.Context, tx *sql.Conn) error {
	var want []byte
	if err := tx.QueryRowContext(ctx, "SELECT digest FROM meta").Scan(&want); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, "SELECT key, value FROM record")
	if err != nil {
		return err
	}
	defer rows.Close()
	got := make([]byte, sha256.Size)
	for rows.Next() {
		var key, value sql.RawBytes
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		xorRow(got, key, value)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return s.damaged("its records are not the ones that were written")
	}
	return nil
}

// markSize: base (8 bytes), CRC-32 over it (4 bytes).
const markSize = 12

// writeMark notes that base was committed. It is not synchronised: after a
// power cut the mark may be older than the state, never newer.
func (s *Store) writeMark(base uint64) {
	b := binary.BigEndian.AppendUint64(nil, base)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	s.mark.WriteAt(b, 0)
}

// readMark returns the number noted last, 0 if there is none or it is torn.
func (s *Store) readMark() uint64 {
	b := make([]byte, markSize)
	if _, err := s.mark.ReadAt(b, 0); err != nil {
		return 0
	}
	if binary.BigEndian.Uint32(b[8:]) != crc32.ChecksumIEEE(b[:8]) {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
