package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestRecoverKilledAgainAndAgain: huis recover dies by kill -9 later and later,
// and at last is let run. One device was added, and it is back.
func TestRecoverKilledAgainAndAgain(t *testing.T) {
	s := house(t)
	alice, o := join(t, s, nil, "alice")
	bob, _ := join(t, s, alice, "bob")
	must(t, alice, "chat", "new", "kitchen", "@bob")
	must(t, alice, "send", "kitchen", "before")
	must(t, alice, "chat", "new", "last")
	server := text(t, must(t, alice, "status")[0], "server")
	lost := text(t, o, "device")
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(text(t, o, "recovery_key")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(alice.Profile); err != nil {
		t.Fatal(err)
	}
	d := s.NewDevice(t.TempDir(), "alice-again")
	args := []string{"recover", server, "--handle", "alice", "--recovery-key-file", key, "--wait", "1s"}
	kills := 0
	for after := 20 * time.Millisecond; kills < 10; after += 40 * time.Millisecond {
		timer := time.AfterFunc(after, func() { d.Kill() })
		_, err := d.Run(args...)
		timer.Stop()
		if err == nil {
			break
		}
		kills++
	}
	if kills == 0 {
		t.Fatal("it was never killed")
	}
	back := must(t, d, args...)[0]
	must(t, bob, "read", "kitchen")
	must(t, d, "send", "kitchen", "after")
	for name, dev := range map[string]*Device{"alice": d, "bob": bob} {
		var bodies []string
		for _, m := range must(t, dev, "read", "kitchen") {
			bodies = append(bodies, text(t, m, "body"))
		}
		if !slices.Contains(bodies, "before") || !slices.Contains(bodies, "after") {
			t.Errorf("%s has %q", name, bodies)
		}
	}
	var devices []string
	for _, o := range must(t, d, "devices") {
		devices = append(devices, text(t, o, "device"))
	}
	if !slices.Equal(devices, []string{lost, text(t, back, "device")}) {
		t.Errorf("after %d kills alice has the devices %v", kills, devices)
	}
}
