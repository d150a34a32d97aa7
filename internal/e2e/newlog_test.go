package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stops runs a command that has to stop for safety, and returns what it printed
// and said.
func stops(t *testing.T, d *Device, words string, args ...string) []Object {
	t.Helper()
	out, err := d.Run(args...)
	var f *Failure
	if !errors.As(err, &f) || f.Code != 3 || !strings.Contains(f.Stderr, words) {
		t.Fatalf("huis %s: %v, want a stop for safety with %q", strings.Join(args, " "), err, words)
	}
	return out
}

// TestANewLogAfterALoss: the server's disk is lost, and with it the end of the
// log: the only device that had seen it is lost as well, and the witness that has
// cosigned it can give back no more than its size. The operator begins a new log;
// everybody stops taking keys, says why and what to do, and talks on; each goes
// over to it with the fingerprint that the server prints, and with no other.
func TestANewLogAfterALoss(t *testing.T) {
	s := house(t)
	dir := t.TempDir()
	watch := &Server{Command: "witness", Huis: s.Huis, Data: filepath.Join(dir, "witness"), Log: filepath.Join(dir, "witness.log"), Peaks: s.Peaks,
		Args: []string{"--name", "watch", "--log", s.URL + "#" + s.Fingerprint}}
	t.Cleanup(watch.Kill)
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.Args = []string{"--listen", strings.TrimPrefix(s.URL, "https://"), "--witness", watch.URL}
	start := func() {
		t.Helper()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	start()
	alice, _ := join(t, s, nil, "alice")
	bob, _ := join(t, s, alice, "bob")
	must(t, alice, "chat", "new", "kitchen", "@bob")
	must(t, bob, "send", "kitchen", "before the backup")
	must(t, alice, "verify", "@bob", "--matches")
	must(t, alice, "read", "kitchen")
	backup, key := filepath.Join(dir, "huis.backup"), filepath.Join(dir, "key")
	operator(t, s, "backup", "--data", s.Data, "--to", backup, "--key", key)
	invite := text(t, must(t, alice, "invite")[0], "invite")
	lost := s.NewDevice(t.TempDir(), "carol")
	must(t, lost, "join", invite, "--handle", "carol")

	s.Kill()
	if err := os.Rename(s.Data, s.Data+".lost"); err != nil {
		t.Fatal(err)
	}
	operator(t, s, "restore", backup, "--data", s.Data, "--key", key, "--hold", "1s")
	start()
	for _, d := range []*Device{alice, bob, alice} {
		_, err := d.Run("read", "kitchen")
		var f *Failure
		if !errors.As(err, &f) || f.Code != 1 || !strings.Contains(f.Stderr, "restored from a backup") {
			t.Fatalf("it does not wait for what the witness has seen: %v", err)
		}
	}
	if out, err := exec.Command(s.Huis, "restore", "--new-log", "--data", s.Data).CombinedOutput(); err == nil || !strings.Contains(string(out), "another huis is running") {
		t.Fatalf("while the server runs: %v: %s", err, out)
	}
	s.Kill()
	if out := operator(t, s, "restore", "--new-log", "--data", s.Data); !strings.Contains(out, "huis log accept FINGERPRINT") {
		t.Fatal(out)
	}
	start()
	if s.NewLog == "" {
		t.Fatal("the server does not print the new log's fingerprint")
	}

	// It is loud, and nobody is kept from talking.
	stops(t, alice, "huis log accept FINGERPRINT", "read", "kitchen")
	if sent := must(t, alice, "send", "kitchen", "we talk on"); sent[0]["seq"] == nil {
		t.Error("the message waits")
	}
	if out := stops(t, bob, "new log", "read", "kitchen"); len(out) == 0 || out[len(out)-1]["body"] != "we talk on" {
		t.Errorf("bob reads %v", out)
	}
	stops(t, alice, "new log", "chat", "new", "attic", "@bob")
	stops(t, alice, "does not have the fingerprint", "log", "accept", strings.Repeat("0123-", 7)+"0123")
	stops(t, bob, "new log", "read", "kitchen")

	for _, d := range []*Device{alice, bob} {
		must(t, d, append([]string{"log", "accept"}, strings.Split(strings.ToUpper(s.NewLog), "-")...)...)
		must(t, d, "read", "kitchen")
		if l := must(t, d, "log")[0]; l["fingerprint"] != s.NewLog || l["claimed"] != "" {
			t.Errorf("%v", l)
		}
	}
	if state := must(t, alice, "verify", "@bob")[0]["state"]; state != "changed" {
		t.Errorf("bob, who was compared before, is %v", state)
	}
	must(t, alice, "verify", "@bob", "--matches")
	dave, _ := join(t, s, alice, "dave")
	must(t, alice, "chat", "add", "kitchen", "@dave")
	must(t, dave, "send", "kitchen", "new here")
	if got := bodies(t, bob, "kitchen"); !strings.HasSuffix(got[len(got)-1], "new here") {
		t.Errorf("%q", got)
	}
	if again := s.NewLog; again != "" {
		s.Kill()
		start()
		if s.NewLog != again {
			t.Errorf("the next start prints %q, not %q", s.NewLog, again)
		}
	}
}
