package link

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// disk is a small server of the shape of ours: three accounts with devices and
// packages, three conversations with members and entries.
type disk struct {
	t         *testing.T
	dir       string
	db        *sql.DB
	acc, conv []Named
	inbox     [][]byte // by account
	mk        [][]byte // one member key of each conversation
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func newDisk(t *testing.T) *disk {
	d := &disk{t: t, dir: t.TempDir()}
	db, err := sql.Open("sqlite", filepath.Join(d.dir, "huis.db"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	d.db = db
	t.Cleanup(func() { db.Close() })
	d.exec(`PRAGMA journal_mode = WAL`)
	d.exec(`PRAGMA secure_delete = ON`)
	d.exec(`CREATE TABLE account(id BLOB PRIMARY KEY, inbox BLOB, day INTEGER) WITHOUT ROWID`)
	d.exec(`CREATE TABLE package(account BLOB, bytes BLOB)`)
	d.exec(`CREATE TABLE conversation(id BLOB PRIMARY KEY, seq INTEGER) WITHOUT ROWID`)
	d.exec(`CREATE TABLE member(conversation BLOB, mk BLOB)`)
	d.exec(`CREATE TABLE entry(conversation BLOB, seq INTEGER, minute INTEGER, origin BLOB, bytes BLOB)`)
	origin := []byte("https://server.example:8443") // stands everywhere, tells nothing
	for i := range 3 {
		id, inbox := random(32), random(16)
		d.acc = append(d.acc, Named{fmt.Sprintf("account %d", i), id})
		d.inbox = append(d.inbox, inbox)
		d.exec(`INSERT INTO account VALUES (?, ?, 20000)`, id, inbox)
		for range 5 {
			d.exec(`INSERT INTO package VALUES (?, ?)`, id, join(random(700), id, origin, random(400)))
		}
	}
	for i := range 3 {
		id := random(32)
		d.conv = append(d.conv, Named{fmt.Sprintf("conversation %d", i), id})
		d.exec(`INSERT INTO conversation VALUES (?, 9)`, id)
		for m := range 3 {
			mk := random(32)
			if m == 0 {
				d.mk = append(d.mk, mk)
			}
			d.exec(`INSERT INTO member VALUES (?, ?)`, id, mk)
			d.exec(`INSERT INTO entry VALUES (?, ?, 29500000, ?, ?)`, id, m, origin, join(random(100), mk, random(300)))
		}
	}
	return d
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func (d *disk) exec(q string, args ...any) {
	d.t.Helper()
	if _, err := d.db.Exec(q, args...); err != nil {
		d.t.Fatal(q, err)
	}
}

func (d *disk) truncate() { d.exec(`PRAGMA wal_checkpoint(TRUNCATE)`) }

func (d *disk) read() *Disk {
	d.t.Helper()
	logs, _ := filepath.Glob(filepath.Join(d.dir, "*.log"))
	got, err := Read(d.dir, logs...)
	if err != nil {
		d.t.Fatal(err)
	}
	return got
}

func TestCleanDiskJoinsNothing(t *testing.T) {
	d := newDisk(t)
	d.truncate()
	got := d.read()
	if joins := got.Joins(d.acc, d.conv); len(joins) > 0 {
		t.Fatalf("%v", joins)
	}
	if got.Frames > 0 || len(got.Pages) < 5 || len(got.Records) < 3+15+3+9+9 {
		t.Fatalf("%d frames, %d pages, %d records", got.Frames, len(got.Pages), len(got.Records))
	}
	if c := got.Clocks(d.acc, d.conv); len(c) > 0 {
		t.Fatalf("%v", c)
	}
}

// The positive control: each way a server could come to tie an account to a
// conversation is found, and only the pair that was tied.
func TestPlantedJoinsAreFound(t *testing.T) {
	digest := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	planted := map[string]struct {
		kind  Kind
		plant func(*disk)
	}{
		"a column": {ByValue, func(d *disk) {
			d.exec(`CREATE TABLE who(a BLOB, c BLOB)`)
			d.exec(`INSERT INTO who VALUES (?, ?)`, d.acc[1].ID, d.conv[2].ID)
		}},
		"through the inbox": {ByValue, func(d *disk) {
			d.exec(`CREATE TABLE item(inbox BLOB, mk BLOB)`)
			d.exec(`INSERT INTO item VALUES (?, ?)`, d.inbox[1], d.mk[2])
		}},
		"digest of the account": {ByValue, func(d *disk) {
			d.exec(`UPDATE conversation SET seq = ? WHERE id = ?`, digest(d.acc[1].ID), d.conv[2].ID)
		}},
		"digest of the inbox as text": {ByValue, func(d *disk) {
			d.exec(`UPDATE conversation SET seq = ? WHERE id = ?`, hex.EncodeToString(digest(d.inbox[1])), d.conv[2].ID)
		}},
		"inside an opaque value": {ByValue, func(d *disk) {
			d.exec(`INSERT INTO package VALUES (?, ?)`, d.acc[1].ID, join(random(333), d.mk[2], random(99)))
		}},
		"a log line": {ByValue, func(d *disk) {
			line := fmt.Sprintf("level=DEBUG account=%x conversation=%s\n", d.acc[1].ID, base64.RawURLEncoding.EncodeToString(d.conv[2].ID))
			if err := os.WriteFile(filepath.Join(d.dir, "server.log"), []byte(line), 0o600); err != nil {
				d.t.Fatal(err)
			}
		}},
		"a file's name": {ByValue, func(d *disk) {
			name := filepath.Join(d.dir, hex.EncodeToString(d.acc[1].ID))
			if err := os.WriteFile(name, d.conv[2].ID, 0o600); err != nil {
				d.t.Fatal(err)
			}
		}},
		"a free page": {ByPage, func(d *disk) {
			d.exec(`PRAGMA secure_delete = OFF`)
			d.exec(`CREATE TABLE who(a BLOB, c BLOB)`)
			d.exec(`INSERT INTO who VALUES (?, ?)`, d.acc[1].ID, d.conv[2].ID)
			d.exec(`DROP TABLE who`)
		}},
	}
	for name, p := range planted {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			p.plant(d)
			d.truncate()
			joins := d.read().Joins(d.acc, d.conv)
			if len(joins) != 1 {
				t.Fatalf("%v", joins)
			}
			if j := joins[0]; j.Account != "account 1" || j.Conversation != "conversation 2" || j.Kind != p.kind {
				t.Fatalf("%v", j)
			}
		})
	}
}

func TestTransactionsInTheWriteAheadLogAreRead(t *testing.T) {
	d := newDisk(t)
	d.truncate()
	d.exec(`UPDATE account SET day = 20001`) // so that the next images differ by the event alone
	d.exec(`UPDATE entry SET minute = 29500001`)
	tx, err := d.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	mk := random(32)
	for _, s := range []struct {
		q    string
		args []any
	}{
		{`UPDATE account SET inbox = ? WHERE id = ?`, []any{random(16), d.acc[1].ID}},
		{`INSERT INTO member VALUES (?, ?)`, []any{d.conv[2].ID, mk}},
		{`INSERT INTO entry VALUES (?, 9, 29500002, NULL, ?)`, []any{d.conv[2].ID, join(random(50), mk)}},
	} {
		if _, err := tx.Exec(s.q, s.args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	got := d.read()
	var found bool
	for _, j := range got.Joins(d.acc, d.conv) {
		found = found || j.Kind == ByTransaction && j.Account == "account 1" && j.Conversation == "conversation 2"
	}
	if got.Frames == 0 || !found {
		t.Fatalf("%d frames, found: %v", got.Frames, found)
	}
}

func TestFineClockBesideAnAccountIsFound(t *testing.T) {
	d := newDisk(t)
	d.exec(`CREATE TABLE item(inbox BLOB, at INTEGER)`)
	d.exec(`INSERT INTO item VALUES (?, ?)`, d.inbox[0], 1770000000)
	c := d.read().Clocks(d.acc, d.conv)
	if len(c) != 1 || c[0].Table != "item" || c[0].Finest != Finer {
		t.Fatalf("%v", c)
	}
}
