package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"codeberg.org/huis/huis/internal/e2e/canary"
)

// operator runs a command of the server's side, which has no profile.
func operator(t *testing.T, s *Server, args ...string) string {
	t.Helper()
	out, err := exec.Command(s.Huis, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("huis %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// bodies are the texts of a conversation, with the files' names, in order.
func bodies(t *testing.T, d *Device, chat string) (all []string) {
	t.Helper()
	for _, o := range must(t, d, "read", chat) {
		line := fmt.Sprint(o["seq"], " ", o["from"], ": ", o["body"])
		for _, a := range o["attachments"].([]any) {
			line += fmt.Sprint(" +", a.(Object)["name"])
		}
		all = append(all, line)
	}
	return all
}

// handlesIn are the members of a conversation, each once for every device.
func handlesIn(t *testing.T, d *Device, chat string) (all []string) {
	t.Helper()
	for _, o := range must(t, d, "chat", "members", chat) {
		all = append(all, text(t, o, "handle"))
	}
	slices.Sort(all)
	return all
}

// TestRestoredFromYesterday is the drill: the server's disk is lost a "day" after
// its backup, and everything it acknowledged on that day comes back from its
// clients: messages in their order, a new person, a new device, a removal, a new
// conversation, a file.
func TestRestoredFromYesterday(t *testing.T) {
	s := house(t)
	alice, _ := join(t, s, nil, "alice")
	bob, _ := join(t, s, alice, "bob")
	carol, _ := join(t, s, alice, "carol")
	must(t, alice, "chat", "new", "kitchen", "@bob", "@carol")
	must(t, bob, "send", "kitchen", "before the backup")
	must(t, carol, "send", "kitchen", "me too")
	before := s.Data + ".before"
	dir := t.TempDir()
	backup, key := filepath.Join(dir, "huis.backup"), filepath.Join(dir, "key")
	operator(t, s, "backup", "--data", s.Data, "--to", backup, "--key", key)

	// The day.
	must(t, alice, "send", "kitchen", "the day begins")
	dave, _ := join(t, s, alice, "dave")
	must(t, alice, "chat", "add", "kitchen", "@dave")
	must(t, dave, "send", "kitchen", "hello from dave")
	second := further(t, s, alice, "alice")
	must(t, second, "send", "kitchen", "from my other device")
	must(t, alice, "chat", "remove", "kitchen", "@carol")
	must(t, bob, "chat", "new", "attic", "@alice")
	file := filepath.Join(dir, "plan.txt")
	if err := os.WriteFile(file, bytes.Repeat([]byte("the plan\n"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large.bin")
	if err := os.WriteFile(large, bytes.Repeat([]byte("0123456789"), 300_000), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, bob, "send", "attic", "with the plan", "--file", file, "--file", large)
	must(t, bob, "send", "kitchen", "without carol")
	everybody := []*Device{alice, second, bob, dave, carol}
	for range 2 {
		for _, d := range everybody {
			d.Run("read", "kitchen")
		}
	}
	kitchen, attic := bodies(t, bob, "kitchen"), bodies(t, alice, "attic")
	members := handlesIn(t, alice, "kitchen")

	// The loss, and the restoring.
	s.Kill()
	if err := os.Rename(s.Data, before); err != nil {
		t.Fatal(err)
	}
	if out := operator(t, s, "restore", backup, "--drill", "--key", key); !strings.Contains(out, "ok") {
		t.Fatal(out)
	}
	operator(t, s, "restore", backup, "--data", s.Data, "--key", key)
	port := strings.TrimPrefix(s.URL, "https://")
	s.Args = []string{"--listen", port}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for i, d := range everybody {
		_, err := d.Run("read", "kitchen")
		var f *Failure
		if last := i == len(everybody)-1; !last && (!errors.As(err, &f) || f.Code != 1 || !strings.Contains(f.Stderr, "restored from a backup")) {
			t.Errorf("device %d does not say that others are waited for: %v", i, err)
		}
	}

	for _, d := range []*Device{alice, second, bob, dave} {
		if got := bodies(t, d, "kitchen"); !slices.Equal(tailOf(kitchen, len(got)), got) || len(got) == 0 {
			t.Errorf("the kitchen is another one:\n%s\nwas\n%s", strings.Join(got, "\n"), strings.Join(kitchen, "\n"))
		}
	}
	if got := bodies(t, bob, "kitchen"); !slices.Equal(got, kitchen) {
		t.Errorf("bob lost something: %q", got)
	}
	if got := bodies(t, alice, "attic"); !slices.Equal(got, attic) {
		t.Errorf("the attic is another one: %q, was %q", got, attic)
	}
	if got := handlesIn(t, bob, "kitchen"); !slices.Equal(got, members) || slices.Contains(got, "carol") {
		t.Errorf("members %q, were %q", got, members)
	}

	saved := t.TempDir()
	must(t, alice, "read", "attic", "--save", saved)
	for _, sent := range []string{file, large} {
		want, _ := os.ReadFile(sent)
		if got, err := os.ReadFile(filepath.Join(saved, filepath.Base(sent))); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s did not come back: %v", filepath.Base(sent), err)
		}
	}

	// It goes on: for everybody but the removed, in the same order for all.
	must(t, dave, "send", "kitchen", "and on it goes")
	must(t, second, "send", "kitchen", "indeed")
	must(t, bob, "send", "attic", "here too")
	want := bodies(t, alice, "kitchen")
	for _, d := range []*Device{second, bob, dave} {
		if got := bodies(t, d, "kitchen"); !slices.Equal(tailOf(want, len(got)), got) || !strings.HasSuffix(got[len(got)-1], "indeed") {
			t.Errorf("after the restoring: %q, want the end of %q", got, want)
		}
	}
	if got := bodies(t, alice, "attic"); !strings.HasSuffix(got[len(got)-1], "here too") {
		t.Errorf("%q", got)
	}
	erin, _ := join(t, s, alice, "erin")
	must(t, alice, "chat", "add", "kitchen", "@erin")
	must(t, erin, "send", "kitchen", "new here")
	if got := bodies(t, dave, "kitchen"); !strings.HasSuffix(got[len(got)-1], "new here") {
		t.Errorf("%q", got)
	}
	if out, err := carol.Run("read", "kitchen"); err == nil {
		for _, o := range out {
			if b := o["body"]; b == "without carol" || b == "indeed" {
				t.Errorf("carol reads %q after her removal", b)
			}
		}
	}
}

// tailOf are the last n of all.
func tailOf(all []string, n int) []string { return all[max(0, len(all)-n):] }

// putBack is what somebody has who got hold of a backup, made while the server
// was busy, and of its key.
func putBack(t *testing.T, s *Server, scan *canary.Scanner) *Server {
	t.Helper()
	dir := t.TempDir()
	backup, key, data := filepath.Join(dir, "huis.backup"), filepath.Join(dir, "key"), filepath.Join(dir, "data")
	operator(t, s, "backup", "--data", s.Data, "--to", backup, "--key", key)
	operator(t, s, "restore", backup, "--data", data, "--key", key)
	found, err := scan.File(backup)
	if err != nil || len(found) > 0 {
		t.Errorf("the backup has %v, %v", found, err)
	}
	return &Server{Huis: s.Huis, Data: data, Log: s.Log}
}
