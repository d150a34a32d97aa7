package sqlite

import (
	"fmt"
	"math/rand"
	"path/filepath"
	"testing"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

// Rows come and go in any order and size, pages are split and merged: of what
// is deleted no copy stays behind.
func TestNoCopyOfADeletedRowStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huis.db")
	s := openTest(t, path)
	w := storetest.NewWorld(t, s)
	to := w.Account()
	r := rand.New(rand.NewSource(5))
	var ids []proto.InboxItemID
	there, gone := map[proto.InboxItemID]string{}, []string{}
	for i := range 600 {
		if r.Intn(3) > 0 || len(ids) == 0 {
			id := proto.New[proto.InboxItemID]()
			secret := fmt.Sprintf("secret number %06d of this run", i)
			w.Must(s.Post(w.Ctx, to, id, append([]byte(secret), make([]byte, r.Intn(5000))...), store.DayOf(w.Now), 1000))
			ids, there[id] = append(ids, id), secret
			continue
		}
		n := r.Intn(len(ids))
		gone = append(gone, there[ids[n]])
		w.Must(s.Ack(w.Ctx, to, ids[n:n+1]))
		ids = append(ids[:n], ids[n+1:]...)
	}
	w.Must(s.Truncate(w.Ctx))
	found := 0
	for _, secret := range gone {
		if contains(t, path, []byte(secret)) {
			found++
		}
	}
	if found > 0 {
		t.Errorf("%d of %d deleted rows are still in the files", found, len(gone))
	}
	if !contains(t, path, []byte(there[ids[0]])) {
		t.Error("what is there cannot be found: the search is of no use")
	}
}
