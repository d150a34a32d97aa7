package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTooLateToGiveBack: the operator ends the wait before everybody's device has
// given back what only it has, and people go on. Two devices come after that. One
// has messages that nobody else read; the other one, an admin's, has removed
// somebody. Both go on with the others by themselves and offer again what they had
// sent, and who was removed reads nothing of it.
func TestTooLateToGiveBack(t *testing.T) {
	s := house(t)
	alice, _ := join(t, s, nil, "alice")
	bob, _ := join(t, s, alice, "bob")
	carol, _ := join(t, s, alice, "carol")
	mallory, _ := join(t, s, alice, "mallory")
	must(t, alice, "chat", "new", "kitchen", "@bob", "@carol")
	must(t, alice, "chat", "new", "attic", "@bob", "@carol", "@mallory")
	for _, chat := range []string{"kitchen", "attic"} {
		must(t, bob, "send", chat, "before the backup")
		must(t, carol, "read", chat)
		must(t, alice, "read", chat)
	}
	must(t, mallory, "read", "attic")
	dir := t.TempDir()
	backup, key := filepath.Join(dir, "huis.backup"), filepath.Join(dir, "key")
	operator(t, s, "backup", "--data", s.Data, "--to", backup, "--key", key)
	must(t, carol, "send", "kitchen", "lost one")
	must(t, carol, "send", "kitchen", "lost two")
	must(t, alice, "chat", "remove", "attic", "@mallory")
	must(t, alice, "send", "attic", "now that mallory is gone")
	must(t, alice, "read", "attic")

	s.Kill()
	if err := os.RemoveAll(s.Data); err != nil {
		t.Fatal(err)
	}
	operator(t, s, "restore", backup, "--data", s.Data, "--key", key)
	s.Args = []string{"--listen", strings.TrimPrefix(s.URL, "https://")}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	var f *Failure
	if _, err := bob.Run("read", "kitchen"); !errors.As(err, &f) || f.Code != 1 {
		t.Fatalf("it does not wait: %v", err)
	}
	operator(t, s, "restore", "--finish", "--data", s.Data)
	must(t, bob, "send", "kitchen", "meanwhile")
	must(t, bob, "send", "attic", "meanwhile")
	must(t, mallory, "read", "attic")

	// Carol reads on from where the two part.
	must(t, carol, "read", "kitchen")
	want := []string{"before the backup", "meanwhile", "lost one", "lost two"}
	for _, d := range []*Device{carol, bob} {
		if got := texts(t, d, "kitchen"); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// Alice is added again first: her group has gone on to where nobody is.
	all := []string{"alice", "bob", "carol"}
	for deadline := time.Now().Add(90 * time.Second); ; {
		alice.Run("read", "attic")
		bob.Run("read", "attic")
		mallory.Run("read", "attic")
		got, err := bob.Run("read", "attic")
		if err == nil && len(got) > 0 && got[len(got)-1]["body"] == "now that mallory is gone" && slices.Equal(handlesIn(t, bob, "attic"), all) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("bob has %v", got)
		}
	}
	if n := strings.Count(strings.Join(texts(t, alice, "attic"), "\n"), "now that mallory is gone"); n != 1 {
		t.Errorf("alice has what she sent %d times", n)
	}
	out, _ := mallory.Run("read", "attic")
	for _, o := range out {
		if o["body"] == "now that mallory is gone" {
			t.Error("who was removed reads what was said after that")
		}
	}
	must(t, carol, "send", "attic", "all is well")
	if got := texts(t, alice, "attic"); got[len(got)-1] != "all is well" {
		t.Errorf("%q", got)
	}
}

// texts are the bodies of a conversation.
func texts(t *testing.T, d *Device, chat string) (all []string) {
	t.Helper()
	for _, o := range must(t, d, "read", chat) {
		all = append(all, text(t, o, "body"))
	}
	return all
}
