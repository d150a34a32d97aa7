package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
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
