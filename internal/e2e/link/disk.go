package link

import (
	"bytes"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // the server's database format
)

// Disk is a seized data folder, taken apart.
type Disk struct {
	Records      []Record // rows, log lines, names and heads of other files
	Pages        []Record // pages of databases and write-ahead logs, free ones too
	Transactions []Record // what each transaction in a write-ahead log changed
	Frames       int      // frames in the write-ahead logs
	Columns      []Column
}

// Column is what the values of a column look like.
type Column struct {
	Table, Name string
	Finest      Resolution // of the clock it holds
}

// Resolution is the unit of a stored clock.
type Resolution string

// Finer than a minute means seconds, milliseconds, micro- or nanoseconds.
const (
	NoClock Resolution = ""
	Day     Resolution = "day"
	Minute  Resolution = "minute"
	Finer   Resolution = "finer than a minute"
)

// Read takes the data folder dir and the given log files apart. The server may
// run; it is not asked, and its files are not changed.
func Read(dir string, logs ...string) (*Disk, error) {
	d := &Disk{}
	for _, l := range logs {
		if err := d.log(l); err != nil {
			return nil, err
		}
	}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted while we look
		} else if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		isDatabase, err := d.file(name, rel)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err == nil && isDatabase {
			err = d.rows(name)
		}
		return err
	})
	return d, err
}

func (d *Disk) log(name string) error {
	text, err := os.ReadFile(name)
	for i, line := range bytes.Split(text, []byte("\n")) {
		d.Records = append(d.Records, Record{fmt.Sprintf("%s line %d", filepath.Base(name), i+1), [][]byte{line}})
	}
	return err
}

// maxHead is how much of a file that is no database is looked at: a blob's
// header would stand there.
const maxHead = 4096

func (d *Disk) file(name, rel string) (isDatabase bool, err error) {
	head := make([]byte, maxHead)
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	n, _ := f.Read(head)
	f.Close()
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("SQLite format 3\x00")):
		return true, d.pages(name, rel, int(binary.BigEndian.Uint16(head[16:])))
	case strings.HasSuffix(rel, "-wal"):
		return false, d.wal(name, rel)
	case strings.HasSuffix(rel, "-shm"):
		return false, nil // an index of page numbers
	}
	d.Records = append(d.Records, Record{"file " + rel, [][]byte{[]byte(rel), []byte(filepath.Base(rel)), head}})
	return false, nil
}

func (d *Disk) pages(name, rel string, size int) error {
	if size == 1 {
		size = 65536
	}
	b, err := os.ReadFile(name)
	n := 0
	for page := range slices.Chunk(b, max(size, 512)) {
		n++
		d.Pages = append(d.Pages, Record{fmt.Sprintf("page %d of %s", n, rel), [][]byte{page}})
	}
	return err
}

const (
	walHeader   = 32
	frameHeader = 24
)

// wal takes a write-ahead log apart by the format SQLite documents: a header of
// 32 bytes, then frames of 24 bytes and a page; a frame that ends a transaction
// holds the database's size in its second word. Frames of an earlier round that
// were not yet overwritten are looked at too: the thief has them.
func (d *Disk) wal(name, rel string) error {
	b, err := os.ReadFile(name)
	if err != nil || len(b) < walHeader {
		return err
	}
	size := int(binary.BigEndian.Uint32(b[8:]))
	if size < 512 || size > 65536 {
		return nil
	}
	last := make(map[uint32][]byte)
	var changed [][]byte
	for i, frame := range slices.Collect(slices.Chunk(b[walHeader:], frameHeader+size)) {
		if len(frame) < frameHeader+size {
			break
		}
		d.Frames++
		number, page := binary.BigEndian.Uint32(frame), frame[frameHeader:]
		d.Pages = append(d.Pages, Record{fmt.Sprintf("frame %d of %s", i, rel), [][]byte{page}})
		changed = append(changed, difference(last[number], page)...)
		last[number] = page
		if binary.BigEndian.Uint32(frame[4:]) != 0 {
			d.Transactions = append(d.Transactions, Record{fmt.Sprintf("transaction up to frame %d of %s", i, rel), changed})
			changed = nil
		}
	}
	return nil
}

// difference gives the identifying bytes of page that old has not. Of a page
// not seen before nothing can be told apart.
func difference(old, page []byte) [][]byte {
	if old == nil {
		return nil
	}
	before := make(map[token]bool)
	tokens(old, func(t token) { before[t] = true })
	var fresh [][]byte
	tokens(page, func(t token) {
		if !before[t] {
			fresh = append(fresh, t[:])
		}
	})
	return fresh
}

// rows reads a copy of the database, since opening one changes its write-ahead
// log.
func (d *Disk) rows(name string) error {
	dir, err := os.MkdirTemp("", "link")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		b, err := os.ReadFile(name + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err == nil {
			err = os.WriteFile(filepath.Join(dir, "copy"+suffix), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "copy"))
	if err != nil {
		return err
	}
	defer db.Close()
	tables, err := db.Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	if err != nil {
		return err
	}
	var names []string
	for tables.Next() {
		var t string
		if err := tables.Scan(&t); err != nil {
			return err
		}
		names = append(names, t)
	}
	if err := errors.Join(tables.Err(), tables.Close()); err != nil {
		return err
	}
	for _, t := range names {
		if err := d.table(db, t); err != nil {
			return err
		}
	}
	return nil
}

func (d *Disk) table(db *sql.DB, table string) error {
	rows, err := db.Query(`SELECT * FROM ` + strconv.Quote(table))
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	clocks := make([]Resolution, len(columns))
	for n := 1; rows.Next(); n++ {
		r := Record{Source: fmt.Sprintf("%s row %d", table, n)}
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range values {
			switch v := v.(type) {
			case []byte:
				r.Fields = append(r.Fields, bytes.Clone(v))
			case string:
				r.Fields = append(r.Fields, []byte(v))
			case int64:
				clocks[i] = finer(clocks[i], clock(v))
			}
		}
		d.Records = append(d.Records, r)
	}
	for i, c := range columns {
		d.Columns = append(d.Columns, Column{table, c, clocks[i]})
	}
	return rows.Err()
}
