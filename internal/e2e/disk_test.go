package e2e

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/e2e/canary"
	"codeberg.org/huis/huis/internal/e2e/link"

	_ "modernc.org/sqlite" // to plant, and to ask for conversations
)

func mapKeys[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

// streamDigest is the sha256 of a file, read in constant memory.
type streamDigest struct{ hex string }

func (s *streamDigest) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	s.hex = hex.EncodeToString(h.Sum(nil))
	return err
}

// searchDump is the full-dump check: every byte of the data folder, write-ahead
// log and free pages included, every value of its database, and the log output.
// It ends with the positive control: a leak planted in a copy must be found.
func searchDump(t *testing.T, scan *canary.Scanner, s *Server) {
	t.Helper()
	found, files, size, err := scan.Tree(s.Data)
	if err != nil || files == 0 || size < 1<<15 {
		t.Fatalf("searched %d files with %d bytes: %v", files, size, err)
	}
	inLog, err := scan.File(s.Log)
	if err != nil {
		t.Fatal(err)
	}
	disk, err := link.Read(s.Data, s.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range disk.Records { // whole values, also where the file has them in pieces
		for _, f := range r.Fields {
			found = append(found, scan.Bytes(r.Source, f)...)
		}
	}
	for _, f := range append(found, inLog...) {
		t.Errorf("the server has %v", f)
	}
	control(t, scan, s)
}

// control plants a leak of each kind in a copy of the disk.
func control(t *testing.T, scan *canary.Scanner, s *Server) {
	t.Helper()
	secret := canary.New()
	if err := scan.Add("the planted secret", []byte(secret)); err != nil {
		t.Fatal(err)
	}
	dir := databaseOf(t, s)
	db := open(t, filepath.Join(dir, "huis.db"))
	statement(t, db, `PRAGMA secure_delete = OFF`)
	statement(t, db, `CREATE TABLE leak(what TEXT)`)
	statement(t, db, `INSERT INTO leak VALUES (?)`, hex.EncodeToString([]byte(secret)))
	statement(t, db, `DELETE FROM leak`) // stays in a free block
	db.Close()
	found, _, _, err := scan.Tree(dir)
	if err != nil || len(found) == 0 {
		t.Fatalf("a planted leak is not found: %v, %v", found, err)
	}
}

// databaseOf copies the server's database, with its write-ahead log, into a new
// folder.
func databaseOf(t *testing.T, s *Server) string {
	t.Helper()
	dir := t.TempDir()
	parts, err := filepath.Glob(filepath.Join(s.Data, "huis.db*"))
	if err != nil || len(parts) == 0 {
		t.Fatalf("no database in %s: %v", s.Data, err)
	}
	for _, p := range parts {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(p)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t *testing.T, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

func statement(t *testing.T, db *sql.DB, q string, args ...any) {
	t.Helper()
	if _, err := db.Exec(q, args...); err != nil {
		t.Fatal(q, err)
	}
}

// conversations asks the server's own table, as a thief would.
func conversations(t *testing.T, s *Server) []link.Named {
	t.Helper()
	db := open(t, filepath.Join(databaseOf(t, s), "huis.db"))
	defer db.Close()
	rows, err := db.Query(`SELECT id FROM conversation ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []link.Named
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		all = append(all, link.Named{Name: fmt.Sprintf("conversation %d", len(all)), ID: id})
	}
	return all
}

func account(t *testing.T, name string, o Object) link.Named {
	t.Helper()
	id, err := hex.DecodeString(text(t, o, "account"))
	if err != nil || len(id) != 32 {
		t.Fatalf("account %v", o["account"])
	}
	return link.Named{Name: name, ID: id}
}

// TestSeizedDisk: four accounts in groups and direct chats, none in all of
// them; the disk names nobody's conversations, and holds nothing they said.
func TestSeizedDisk(t *testing.T) {
	s := house(t)
	var scan canary.Scanner
	secret := func(what string) string {
		c := canary.New()
		if err := scan.Add(what, []byte(c)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	ada, o := join(t, s, nil, "ada")
	accounts := []link.Named{account(t, "ada", o)}
	devices := []*Device{ada}
	for _, h := range []string{"ben", "cyd", "dov"} {
		d, o := join(t, s, ada, h)
		devices, accounts = append(devices, d), append(accounts, account(t, h, o))
	}
	red, blue := "red "+secret("a group's name"), "blue "+secret("a group's name")
	must(t, ada, "chat", "new", red, "@ben", "@cyd")
	must(t, devices[1], "chat", "new", blue, "@dov")
	file := filepath.Join(t.TempDir(), secret("a file's name")+".txt")
	if err := os.WriteFile(file, []byte(strings.Repeat(secret("a file's bytes"), 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, ada, "send", red, secret("a text"), "--file", file)
	must(t, devices[1], "send", blue, secret("a text"))
	must(t, devices[2], "send", "@dov", secret("a text"))
	must(t, ada, "send", "@ben", secret("a text"))
	must(t, ada, "chat", "remove", red, "@cyd")
	for _, d := range devices {
		must(t, d, "chat", "list")
	}

	restored := putBack(t, s, &scan)
	idle(t, s)
	s.Stop()
	attack(t, s, accounts)
	searchDump(t, &scan, s)
	attack(t, restored, accounts)
	searchDump(t, &scan, restored)
}

// idle waits until the server, left alone, has emptied its write-ahead log.
func idle(t *testing.T, s *Server) {
	t.Helper()
	const patience = 30 * time.Second
	wal := filepath.Join(s.Data, "huis.db-wal")
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		info, err := os.Stat(wal)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("idle for %v, and the write-ahead log still has %d bytes", patience, info.Size())
			return
		}
	}
}

// attack plays the thief, then proves that the thief would have found a join.
func attack(t *testing.T, s *Server, accounts []link.Named) {
	t.Helper()
	conv := conversations(t, s)
	if len(conv) < 4 {
		t.Fatalf("%d conversations on the disk", len(conv))
	}
	disk, err := link.Read(s.Data, s.Log)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range disk.Joins(accounts, conv) {
		t.Errorf("the disk shows: %v", j)
	}
	for _, c := range disk.Clocks(accounts, conv) {
		t.Errorf("beside accounts stands a clock: %s.%s, %s", c.Table, c.Name, c.Finest)
	}

	dir := databaseOf(t, s)
	db := open(t, filepath.Join(dir, "huis.db"))
	sum := sha256.Sum256(accounts[2].ID)
	statement(t, db, `CREATE TABLE last_seen(who TEXT, what BLOB)`)
	statement(t, db, `INSERT INTO last_seen VALUES (?, ?)`, hex.EncodeToString(sum[:]), conv[1].ID)
	db.Close()
	planted, err := link.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	// From one planted row the thief gets further than to what was planted: the
	// log holds several accounts in one epoch, and commits that carry nothing
	// have the same extra hash in every conversation. None of that led anywhere
	// without the row, as the attack above has shown.
	found := false
	joins := planted.Joins(accounts, conv)
	for _, j := range joins {
		found = found || j.Account == accounts[2].Name && j.Conversation == conv[1].Name
	}
	if !found {
		t.Fatalf("a planted join is not found: %v", joins)
	}
}
