//go:build evil

package evil

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/e2e/link"

	_ "modernc.org/sqlite" // to ask the disk, and to plant
)

// Promise: the operator keeps little, for a short time, and no order can make it
// keep more.
func init() {
	register(
		Attack{
			ID: "B-26/a", Name: "the disk is asked who is in which conversation, and when somebody was there", Expected: Prevented,
			Play: seize, Control: "a row planted in a copy of the disk that joins the two is found",
		},
		Attack{
			ID: "B-26/b", Name: "whoever records live connections learns who is in which conversation", Expected: Residual, Gains: "metadata",
			Play: func(s *Stage) Facts {
				s.house()
				var pairs int
				s.Ask("guess", nil, &pairs)
				return Facts{Effect: pairs > 0, Detail: fmt.Sprint(pairs)}
			},
			Hands: map[string]Hand{"guess": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
				o.mu.Lock()
				defer o.mu.Unlock()
				n := 0
				for _, doors := range o.opened {
					if doors["ann"] && doors["bob"] {
						n++
					}
				}
				return n, nil
			})},
		},
		Attack{
			ID: "B-28", Name: "messages that nobody sees, to find out who is there", Expected: Prevented,
			Play: probe, Hands: map[string]Hand{"sent": hand(sentBy)},
			Malice:  []Edit{{"internal/client/send.go", "	m := content.New(kind, now)\n", "	if $W {\n		return &content.Message{Version: content.Version, ID: content.NewID(), Kind: content.Reaction, Time: uint64(now.Unix()), Targets: []content.ID{content.NewID()}, Body: \"+\"}, nil\n	}\n	m := content.New(kind, now)\n"}},
			Without: []Edit{{"internal/client/receipts.go", "	if m.Read <= m.Told || now < m.ToldAt+uint64(receiptEvery.Seconds()) && now >= m.ToldAt {\n", "	if $W {\n		m.Read = cv.head.Seq\n	}\n	if m.Read <= m.Told || !$W && now < m.ToldAt+uint64(receiptEvery.Seconds()) && now >= m.ToldAt {\n"}},
		},
		Attack{
			ID: "B-38", Name: "an order to keep records from now on: every switch there is", Expected: Prevented,
			Play:    keepLogs,
			Without: []Edit{{"internal/httpapi/http.go", "	remote := address(r)\n	method := proto.Method(r.PathValue(\"method\"))\n", "	remote := address(r)\n	method := proto.Method(r.PathValue(\"method\"))\n	if $W {\n		s.api.Log.Debug(\"request\", \"by\", r.RemoteAddr, \"method\", method)\n	}\n"}},
		},
	)
}

// seize plays the thief of the disk, and then proves that the thief would have
// found what stands there.
func seize(s *Stage) Facts {
	people, _ := s.everything()
	var accounts []link.Named
	for _, p := range people {
		accounts = append(accounts, link.Named{Name: p.Name, ID: hexOf(s, p.Account, 32)})
	}
	s.awaitIdle()
	s.Common("stop", nil, nil)
	data := filepath.Join(s.Dir, "data")
	conversations := s.conversations(data)
	if len(conversations) < 3 {
		s.Fatal("%d conversations on the disk", len(conversations))
	}
	disk, err := link.Read(data, data+".log")
	s.Must(err)
	detail := ""
	for _, j := range disk.Joins(accounts, conversations) {
		detail += j.String() + "; "
	}
	for _, c := range disk.Clocks(accounts, conversations) {
		detail += fmt.Sprintf("beside accounts stands a clock: %s.%s, %s; ", c.Table, c.Name, c.Finest)
	}
	s.planted(data, accounts[1], conversations[0], accounts, conversations)
	return Facts{Effect: detail != "", Detail: detail}
}

// awaitIdle waits until a server that is left alone has emptied its write-ahead
// log.
func (s *Stage) awaitIdle() {
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		info, err := os.Stat(filepath.Join(s.Dir, "data", "huis.db-wal"))
		s.Must(err)
		if info.Size() == 0 {
			return
		}
		if time.Now().After(end) {
			s.Fatal("the write-ahead log still has %d bytes", info.Size())
		}
	}
}

func (s *Stage) conversations(data string) (all []link.Named) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "huis.db")+"?mode=ro")
	s.Must(err)
	defer db.Close()
	rows, err := db.Query(`SELECT id FROM conversation ORDER BY id`)
	s.Must(err)
	defer rows.Close()
	for rows.Next() {
		var id []byte
		s.Must(rows.Scan(&id))
		all = append(all, link.Named{Name: fmt.Sprintf("conversation %d", len(all)), ID: id})
	}
	return all
}

// planted puts a row into a copy of the disk that says who is in a conversation.
func (s *Stage) planted(data string, a, c link.Named, accounts, conversations []link.Named) {
	dir := filepath.Join(s.Dir, "planted")
	s.Must(os.CopyFS(dir, os.DirFS(data)))
	db, err := sql.Open("sqlite", filepath.Join(dir, "huis.db"))
	s.Must(err)
	sum := sha256.Sum256(a.ID)
	_, err = db.Exec(`CREATE TABLE last_seen(who TEXT, what BLOB)`)
	s.Must(err)
	_, err = db.Exec(`INSERT INTO last_seen VALUES (?, ?)`, hex.EncodeToString(sum[:]), c.ID)
	s.Must(errors.Join(err, db.Close()))
	disk, err := link.Read(dir)
	s.Must(err)
	if !slices.ContainsFunc(disk.Joins(accounts, conversations), func(j link.Join) bool { return j.Account == a.Name && j.Conversation == c.Name }) {
		s.Fatal("a planted join is not found: the search shows nothing")
	}
}

// probe has a lying member send what no person sees, and counts what an idle
// device of another answers.
func probe(s *Stage) Facts {
	ann, bob, _ := s.house()
	bob.Do("status") // tells what it has read so far
	var before, after int
	s.Ask("sent", "bob", &before)
	n := 20
	if s.Long {
		n = 1000
	}
	ann.Liar()
	for range n {
		ann.Do("send", "house", s.Secret("a text"))
	}
	bob.Do("status")
	s.Ask("sent", "bob", &after)
	return Facts{Effect: after > before, Detail: fmt.Sprintf("%d answers", after-before)}
}

func sentBy(_ context.Context, o *Operator, door string) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byDoor[door], nil
}

// switches of serve that a person has read and found to keep nothing about
// anybody. A new one has to be entered here.
var serveFlags = strings.Fields(`--help --profile --json --verbose --version --listen --host --data --cert --key
	--operator-key --retention-days --acme-directory --acme-email --acme-ca --no-web --witness --peer`)

// keepLogs looks for a switch that keeps more, and at what the log holds with
// the only one there is: everything said, at the finest level.
func keepLogs(s *Stage) Facts {
	var found []string
	people, _ := s.everything()
	for _, p := range people {
		s.Must(s.Scan.Add("the account of "+p.Name, hexOf(s, p.Account, 32)))
	}
	conversations := s.conversations(filepath.Join(s.Dir, "data"))
	for _, c := range conversations {
		s.Must(s.Scan.Add("a conversation's id", c.ID))
	}
	s.Common("stop", nil, nil)
	help := s.Stranger("helper").help("serve")
	for _, word := range strings.FieldsFunc(help, func(r rune) bool { return strings.ContainsRune(" ,=\n\t[]()", r) }) {
		word = strings.TrimRight(word, ".;:")
		if strings.HasPrefix(word, "--") && !slices.Contains(serveFlags, word) {
			found = append(found, "the switch "+word)
		}
	}
	log, err := os.ReadFile(filepath.Join(s.Dir, "data.log"))
	s.Must(err)
	for _, f := range s.Scan.Bytes("the log", log) {
		found = append(found, f.String())
	}
	if strings.Contains(string(log), "127.0.0.1") {
		found = append(found, "an address in the log")
	}
	return Facts{Effect: len(found) > 0, Detail: strings.Join(found, "; ")}
}
