package sqlite

import (
	"path/filepath"
	"slices"
	"testing"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

// joined makes conversations and accounts, and lets each commit deliver one
// package.
func joined(w *storetest.World, n int) {
	for range n {
		c, to := w.NewConversation(1), w.Account()
		w.Must(w.Store.Publish(w.Ctx, to, []store.KeyPackage{{Bytes: make([]byte, 2800), Expires: store.DayOf(w.Now) + 5}}, nil))
		claimed, err := w.Store.Claim(w.Ctx, to.Account, proto.DeviceID{}, store.DayOf(w.Now), store.DayOf(w.Now)+7)
		w.Must(err)
		at := w.Attached()
		at.Deliveries = []store.Delivery{{Ticket: claimed[0].Ticket.Hash(), ID: proto.New[proto.InboxItemID](), Sealed: make([]byte, 4000)}}
		_, err = w.Store.Commit(w.Ctx, w.Submission(storetest.CommitEntry(c.ID, c.Keys[0], 1, proto.KeyDelta{}, &proto.Extra{})), proto.KeyDelta{}, at)
		w.Must(err)
		_, err = w.Append(storetest.Application(c.ID, c.Keys[0], 2, make([]byte, 9000)))
		w.Must(err)
	}
}

// changes counts how often the file goes over from one table to another, page
// by page.
func changes(t *testing.T, s *Store) (n int) {
	t.Helper()
	rows, err := s.reader.Query("SELECT name FROM dbstat WHERE name IN ('inbox', 'entry') ORDER BY pageno")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	last := ""
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if name != last {
			n++
		}
		last = name
	}
	return n
}

// The order of pages does not tell which commit delivered which inbox item.
func TestOrderOfPagesTellsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	s := openTest(t, path)
	w := storetest.NewWorld(t, s)
	joined(w, 12)
	if n := changes(t, s); n < 10 {
		t.Errorf("inbox and entries lie side by side only %d times: the test shows nothing", n)
	}
	w.Must(s.Truncate(w.Ctx))
	// The two roots, then all of one table, then all of the other.
	if n := changes(t, s); n != 4 {
		t.Errorf("after the rewrite the file goes over %d times from one table to another", n)
	}
	w.Must(s.Check(w.Ctx))
	joined(w, 1)
	w.Must(s.Truncate(w.Ctx))
	if n := changes(t, s); n != 4 {
		t.Errorf("after another item: %d times", n)
	}
	// Inside a table rows lie in the order of their random keys.
	rows, err := s.reader.Query("SELECT id, sealed FROM inbox" /* not by an index */)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id, sealed []byte
		if err := rows.Scan(&id, &sealed); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, string(id))
	}
	if len(ids) != 13 || !slices.IsSorted(ids) {
		t.Errorf("%d items, in order of their keys: %v", len(ids), slices.IsSorted(ids))
	}
}
