package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
	serverstore "codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// regenerate restarts the server in a new generation, declared in its log or not.
func (w *world) regenerate(declare bool) {
	w.t.Helper()
	config := w.service.Config
	config.Sessions, config.NewGeneration = session.New(w.clock), true
	service, err := delivery.Open(w.t.Context(), config)
	if err != nil {
		w.t.Fatal(err)
	}
	accounts, err := directory.Open(w.t.Context(), directory.Config{Store: w.store, Key: w.key, Clock: w.clock, Sessions: config.Sessions, Origin: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := service.Info(w.t.Context(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if declare {
		k := info.StampKeys[len(info.StampKeys)-1]
		err := accounts.AddToLog(w.t.Context(), kt.KindStampKey, k.KID[:], k.Public[:])
		if err := errors.Join(err, accounts.AddToLog(w.t.Context(), kt.KindGeneration, k.Generation[:], k.KID[:])); err != nil {
			w.t.Fatal(err)
		}
	}
	w.service = service
	w.handler = httpapi.NewHandler(httpapi.Config{Directory: accounts, Delivery: service, Sessions: config.Sessions, Clock: w.clock, Log: config.Log})
}

func TestAGenerationNobodyDeclaredStops(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "hello")
	bob.sync()
	w.regenerate(false)
	var safety *SafetyError
	_, err := alice.Send(context.Background(), "@bob", Draft{Text: "in the new one"})
	if err == nil {
		err = alice.Sync(t.Context())
	}
	if !errors.As(err, &safety) || !strings.Contains(safety.Reason, "declare") {
		t.Errorf("alice: %v", err)
	}
	if err := bob.Sync(t.Context()); !errors.As(err, &safety) || !strings.Contains(safety.Reason, "declare") {
		t.Errorf("bob: %v", err)
	}
}

func TestADeclaredGenerationGoesOn(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "hello")
	bob.sync()
	bob.send("@alice", "hello to you") // with a head of the first generation
	w.regenerate(true)
	alice.sync()
	alice.send("@bob", "in the second")
	bob.sync()
	bob.send("@alice", "and back")
	w.regenerate(true)
	alice.sync()
	alice.send("@bob", "in the third")
	bob.sync()
	for _, d := range []*device{alice, bob} {
		if s, err := d.Status(t.Context()); err != nil || len(s.Warnings) > 0 {
			t.Errorf("%v, %v", s.Warnings, err)
		}
	}
}

// What is kept to be given back is let go of after a while.
func TestTheTailIsForgotten(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "old")
	bob.sync()
	kept := func() (n int) {
		err := bob.step(t.Context(), func(tx *tx) error {
			all, err := tx.list("tail/", "", 0)
			n = len(all)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if kept() == 0 {
		t.Fatal("nothing is kept")
	}
	w.clock.advance(tailKept * time.Minute)
	alice.send("@bob", "new")
	bob.sync()
	bob.sync()
	if n := kept(); n == 0 || n > 3 {
		t.Errorf("%d entries kept", n)
	}
}

func TestAServerThatIsNotRestoringGetsNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	given := 0
	lie(alice, func(m proto.Method, _ proto.Message) {
		if strings.HasPrefix(string(m), "give") {
			given++
		}
	})
	alice.send("@bob", "hello")
	bob.sync()
	alice.sync()
	if given > 0 {
		t.Errorf("%d requests", given)
	}
}

// heldFiles counts what a device holds to give files back.
func (d *device) heldFiles() (n int) {
	err := d.step(d.w.t.Context(), func(tx *tx) error {
		all, err := tx.list("file/", "", 0)
		n = len(all)
		return err
	})
	if err != nil {
		d.w.t.Fatal(err)
	}
	return n
}

// What is held of a file goes when its message disappears, and after a while.
func TestHeldFilesGo(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "hello")
	bob.sync()
	send := func() {
		if _, err := alice.Send(t.Context(), "@bob", Draft{Files: []File{file("plan", noise(5000))}}); err != nil {
			t.Fatal(err)
		}
		alice.sync()
	}
	send()
	if alice.heldFiles() != 1 {
		t.Fatal("nothing is held")
	}
	if err := alice.SetExpiry(t.Context(), "@bob", time.Hour); err != nil {
		t.Fatal(err)
	}
	alice.sync()
	send()
	if alice.heldFiles() != 2 {
		t.Fatal("the second file is not held")
	}
	w.clock.advance(2 * time.Hour)
	alice.sync()
	if n := alice.heldFiles(); n != 1 {
		t.Errorf("%d held after one disappeared", n)
	}
	w.clock.advance(tailKept * time.Minute)
	alice.sync()
	alice.sync()
	if n := alice.heldFiles(); n != 0 {
		t.Errorf("%d held after a week", n)
	}
}

// A file is given back to a server that lost it, from this device's store or,
// if it is large, from where it lies; not if it is another one by now.
func TestLostFilesAreGivenBack(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "hello")
	bob.sync()
	there := map[string][]byte{"/small": noise(5000), "/large": noise(heldSealed + 1), "/changed": noise(heldSealed + 2)}
	alice.cfg.OpenFile = func(path string) (io.ReadSeekCloser, error) { return file(path, there[path]).Open() }
	var ids []string
	for _, path := range []string{"/small", "/large", "/changed"} {
		f := file(path, there[path])
		f.Path = path
		s, err := alice.Send(t.Context(), "@bob", Draft{Files: []File{f}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	bob.sync()
	there["/changed"] = append([]byte{1}, there["/changed"][1:]...)
	blobs, err := w.store.BlobIDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id := range blobs {
		if b, err := w.store.Blob(t.Context(), id); err == nil && b.Owner != nil {
			w.loseBlob(id)
		}
	}
	alice.sync()
	if err := bob.SaveAttachment(t.Context(), ids[0], 0, io.Discard, nil); err == nil {
		t.Fatal("the server lost nothing")
	}
	w.regenerate(true)
	alice.send("@bob", "in the new one")
	alice.sync()
	bob.sync()
	for i, want := range []bool{true, true, false} {
		var got bytes.Buffer
		err := bob.SaveAttachment(t.Context(), ids[i], 0, &got, nil)
		if (err == nil) != want {
			t.Errorf("file %d: %v", i, err)
		}
	}
}

// loseBlob is the loss of a blob.
func (w *world) loseBlob(id proto.BlobID) {
	w.t.Helper()
	b, err := w.store.Blob(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	by := serverstore.Owner{Conversation: b.Owner}
	if err := w.store.Unpin(w.t.Context(), by, []proto.BlobID{id}, 1); err != nil {
		w.t.Fatal(err)
	}
	err = w.store.Clean(w.t.Context(), w.clock.Now(), serverstore.Retention{Entries: 30})
	if err == nil {
		err = w.service.Files.Remove(id)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
