package client

import (
	"testing"
	"time"
)

func TestTwoPeopleTalk(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	if s := alice.send("@bob", "hello bob"); s.Seq == nil {
		t.Fatal("the message has no receipt")
	}
	bob.expect("@alice", "alice: hello bob")
	bob.send("@alice", "hello alice")
	alice.expect("@bob", "alice: hello bob", "bob: hello alice")
	bob.expect("@alice", "alice: hello bob", "bob: hello alice")
	w.agree("@bob", alice)
}

func TestEveryMemberSaysSinceWhen(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.newChat("plan", "bob")
	w.agree("plan", alice, bob)
	w.clock.advance(time.Hour)
	if err := alice.AddMembers(t.Context(), "plan", []string{"carol"}); err != nil {
		t.Fatal(err)
	}
	w.agree("plan", alice, bob, carol)
	want := map[string]time.Time{}
	for _, d := range []*device{alice, bob, carol} {
		members, err := d.Members(t.Context(), "plan")
		if err != nil || len(members) != 3 {
			t.Fatalf("%d members, %v", len(members), err)
		}
		for _, m := range members {
			if m.Since.IsZero() {
				t.Errorf("%s does not know since when @%s is in it", d.name, m.Handle)
			}
			if known, ok := want[m.Handle]; ok && m.Since.Sub(known).Abs() > time.Minute {
				t.Errorf("%s says @%s came at %v, another %v", d.name, m.Handle, m.Since, known)
			}
			want[m.Handle] = m.Since
		}
	}
	if want["carol"].Sub(want["bob"]) < 50*time.Minute {
		t.Errorf("carol came at %v, bob at %v", want["carol"], want["bob"])
	}
}
