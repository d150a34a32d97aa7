package client

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/kt"
)

// keep joins and returns the recovery key, as the person writes it down.
func (w *world) keeper(handle string) (*device, kt.RecoveryKey) {
	w.t.Helper()
	d := w.person(handle)
	text, err := d.RecoveryKeyToShow(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := kt.ParseRecoveryKey(text)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := d.RecoveryKeyShown(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return d, key
}

// recover brings an account back on an empty device.
func (w *world) recover(handle string, key kt.RecoveryKey, opt RecoverOptions) *device {
	w.t.Helper()
	d := w.newDevice(handle + " again")
	if err := d.recover(w.t.Context(), handle, key, opt); err != nil {
		w.t.Fatalf("%s recovers: %v", handle, err)
	}
	return d
}

func (d *device) recover(ctx context.Context, handle string, key kt.RecoveryKey, opt RecoverOptions) error {
	c, _, err := Recover(ctx, d.w.config(d), ServerRef{URL: "https://test"}, handle, key, opt)
	d.Client = c
	return err
}

// back lets time pass until the device waits for nothing.
func (w *world) back(d *device, others ...*device) {
	w.t.Helper()
	for range 20 {
		d.sync()
		names, err := d.Returning(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if len(names) == 0 {
			return
		}
		w.clock.advance(10 * time.Second)
		for _, o := range others {
			o.sync()
		}
	}
	w.t.Fatal("not let in again")
}

func TestAllDevicesLost(t *testing.T) {
	w := newWorld(t)
	alice, key := w.keeper("alice")
	bob, carol := w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob", "carol")
	alice.send("plan", "one")
	bob.sync()
	bob.send("plan", "two")
	alice.send("@bob", "between us")
	bob.sync()
	alice.newChat("notes")
	alice.send("notes", "to myself")
	alice.sync()
	alice = w.recover("alice", key, RecoverOptions{})
	alice.sync()
	if got := alice.read("plan"); !slices.Equal(got, []string{"alice: one", "bob: two"}) {
		t.Fatalf("from the backup there is %q", got)
	}
	w.back(alice, bob, carol)
	alice.send("plan", "three")
	bob.expect("plan", "alice: one", "bob: two", "alice: three")
	bob.send("@alice", "good to see you")
	alice.expect("@bob", "alice: between us", "bob: good to see you")
	alice.send("notes", "again")
	alice.expect("notes", "alice: to myself", "alice: again")
	w.agree("plan", alice, bob, carol)
	alice.warned("still receives everything")
	s, err := bob.Status(t.Context())
	if err != nil || !slices.ContainsFunc(s.Warnings, func(w string) bool { return strings.Contains(w, "@alice lost all devices") }) {
		t.Errorf("bob is told %q, %v", s.Warnings, err)
	}
}

func (w *world) backupOf(key kt.RecoveryKey) (*backup, kt.Chain) {
	w.t.Helper()
	d := w.newDevice("reader")
	c, err := newClient(w.config(d), ServerRef{URL: "https://test"})
	if err != nil {
		w.t.Fatal(err)
	}
	got, chain, err := c.askRecovery(w.t.Context(), key, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	b, _, err := c.fetchBackup(w.t.Context(), got.Backup, key, chain)
	if err != nil {
		w.t.Fatal(err)
	}
	return b, chain
}
