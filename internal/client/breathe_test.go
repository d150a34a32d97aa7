package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
)

// breathless counts what happens between two breaths of a client: records it puts
// and texts it lists. At each breath a call from elsewhere has to get through.
type breathless struct {
	store.Store
	d       *device
	since   atomic.Int64
	most    atomic.Int64
	breaths atomic.Int64
	kind    string // of the records that count
}

func (b *breathless) count(keys []store.Record) {
	n := int64(0)
	for _, r := range keys {
		if strings.HasPrefix(r.Key, b.kind) {
			n++
		}
	}
	if now := b.since.Add(n); now > b.most.Load() {
		b.most.Store(now)
	}
}

func (b *breathless) List(ctx context.Context, prefix, after string, n int) ([]store.Record, error) {
	all, err := b.Store.List(ctx, prefix, after, n)
	b.count(all)
	return all, err
}

func (b *breathless) Commit(ctx context.Context, batch store.Batch) (uint64, error) {
	b.count(batch.Put)
	return b.Store.Commit(ctx, batch)
}

// breathe is Config.Breathe. Its step fails the test by never ending if a step holds
// the store meanwhile.
func (b *breathless) breathe() {
	b.breaths.Add(1)
	b.since.Store(0)
	_ = b.d.step(context.Background(), func(*tx) error { return nil })
}

// breathing opens a device anew so that it breathes; records of a kind are counted.
func (d *device) breathing(kind string) *breathless {
	d.w.t.Helper()
	b := &breathless{Store: d.store, d: d, kind: kind}
	cfg := d.w.config(d)
	cfg.Store, cfg.Breathe = b, b.breathe
	c, err := Open(d.w.t.Context(), cfg)
	if err != nil {
		d.w.t.Fatal(err)
	}
	d.Client = c
	return b
}

func TestReadingALongLogBreathes(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("kitchen", "bob")
	bob.sync()
	const n = 100
	for i := range n {
		if _, err := alice.Post(t.Context(), "kitchen", Compose{Draft: Draft{Text: fmt.Sprint("message ", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := alice.Deliver(t.Context(), "kitchen"); err != nil {
		t.Fatal(err)
	}
	b := bob.breathing("log/")
	bob.sync()
	if got := len(bob.held("kitchen")); got != n {
		t.Fatalf("%d messages, want %d", got, n)
	}
	if most := b.most.Load(); most > stepEntries || most == 0 {
		t.Errorf("%d entries were applied without a breath, at most %d may be", most, stepEntries)
	}
}

func TestSearchingEverythingBreathes(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	alice.newChat("notes")
	alice.send("notes", "the last word")
	const records = 5*searchRecords + 1
	alice.at("notes", func(t *tx, cv *conversation) error {
		for i := range uint64(records) {
			r := spokenRecord{All: []spoken{{Seq: 1000 + i*searchSpan, Minute: 1, Text: []byte("nothing of that")}}}
			if err := t.save(textKey(cv.id, r.All[0].Seq), r.wire); err != nil {
				return err
			}
		}
		return nil
	})
	b := alice.breathing("text/")
	hits, _, err := alice.Search(t.Context(), Query{Text: "last word", N: 10})
	if err != nil || len(hits) != 1 {
		t.Fatalf("%d hits, %v", len(hits), err)
	}
	if most := b.most.Load(); most > searchRecords {
		t.Errorf("%d records were searched without a breath, at most %d may be", most, searchRecords)
	}
	if b.breaths.Load() < records/searchRecords {
		t.Errorf("%d breaths for %d records", b.breaths.Load(), records)
	}
}

// plainFile is a file in memory that says how much of it was read since the last
// breath.
type plainFile struct {
	*bytes.Reader
	since, most int
}

func (f *plainFile) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	f.since += n
	f.most = max(f.most, f.since)
	return n, err
}

func (f *plainFile) Close() error { return nil }

func TestSealingAndOpeningALongFileBreathes(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	alice.newChat("files")
	b := alice.breathing("none")
	plain := bytes.Repeat([]byte("a long file. "), 3<<20/13)
	f := &plainFile{Reader: bytes.NewReader(plain)}
	alice.cfg.Breathe = func() { f.since = 0; b.breathe() }
	line, err := alice.Post(t.Context(), "files", Compose{Draft: Draft{Files: []File{{
		Name: "long.txt", Size: int64(len(plain)), Open: func() (io.ReadSeekCloser, error) { return f, nil },
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	if f.most > breath+64<<10 {
		t.Errorf("%d bytes were sealed without a breath", f.most)
	}
	if err := alice.Deliver(t.Context(), "files"); err != nil {
		t.Fatal(err)
	}
	before := b.breaths.Load()
	var got bytes.Buffer
	if err := alice.ReadAttachment(t.Context(), "files", line.ID, 0, &got); err != nil || !bytes.Equal(got.Bytes(), plain) {
		t.Fatalf("%d of %d bytes, %v", got.Len(), len(plain), err)
	}
	if n := b.breaths.Load() - before; n < int64(len(plain)/breath) {
		t.Errorf("%d breaths for %d bytes", n, len(plain))
	}
}

// TestJoiningALargeGroupVerifiesItsPeopleLater: who joins is not kept waiting for
// everybody's chain; their names are there, their keys are verified in small steps,
// and one that does not verify is not kept.
func TestJoiningALargeGroupVerifiesItsPeopleLater(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	var names []string
	for i := range 2*atOnce + 3 {
		names = append(names, w.person(fmt.Sprintf("p%02d", i)).name)
	}
	alice.newChat("hall", append(names, "bob")...)
	alice.sync()
	b := bob.breathing("chain/")
	if err := bob.fetchInbox(t.Context()); err != nil {
		t.Fatal(err)
	}
	var forged proto.AccountID
	bob.at("hall", func(t *tx, cv *conversation) error {
		records, err := t.list(givenPrefix, "", 0)
		if err != nil || len(records) < 3 {
			return fmt.Errorf("%d records wait to be verified: %v", len(records), err)
		}
		var r givenRecord
		if err := decode(records[0].Value, r.wire); err != nil {
			return err
		}
		p := &r.Profiles[len(r.Profiles)-1]
		forged = p.Account
		p.Links[0][len(p.Links[0])-1] ^= 1 // its signature
		if err := t.save(records[0].Key, r.wire); err != nil {
			return err
		}
		if err := decode(records[2].Value, r.wire); err != nil {
			return err
		}
		asked := r.Profiles[0]
		if name := t.handleOf(asked.Account); name != asked.Handle {
			return fmt.Errorf("%s is called %s", asked.Handle, name)
		}
		if _, known, err := t.chain(asked.Account); err != nil || !known {
			return fmt.Errorf("the keys of who was asked for are not known: %v", err)
		}
		return nil
	})
	if b.most.Load() > 2 { // its own, and who was asked for
		t.Errorf("%d chains were verified while joining", b.most.Load())
	}
	b.since.Store(0)
	b.most.Store(0)
	if err := bob.takeGiven(t.Context()); err != nil {
		t.Fatal(err)
	}
	if most := b.most.Load(); most > atOnce || most == 0 {
		t.Errorf("%d chains were verified without a breath, at most %d may be", most, atOnce)
	}
	bob.at("hall", func(t *tx, cv *conversation) error {
		if b, err := t.get("chain/" + forged.Hex()); err != nil || b != nil {
			return fmt.Errorf("a chain with a forged signature was kept: %v", err)
		}
		if left, err := t.list(givenPrefix, "", 0); err != nil || len(left) > 0 {
			return fmt.Errorf("%d records are left: %v", len(left), err)
		}
		return nil
	})
	bob.sync() // the server has the right one
	alice.send("hall", "welcome")
	bob.expect("hall", "alice: welcome")
}
