package client

import (
	"slices"
	"strings"
	"testing"
)

func TestALinkedDeviceTakesPart(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "before")
	bob.expect("@alice", "alice: before")
	phone := w.further(bob, "bob's phone")

	list, err := phone.Devices(t.Context())
	if err != nil || len(list) != 2 || !list[1].Own || list[0].Own {
		t.Fatalf("devices %+v, %v", list, err)
	}
	alice.send("@bob", "to both")
	bob.sync()
	const given = "bob: gave the history up to entry "
	if got := bob.read("@alice"); len(got) != 3 || got[0] != "alice: before" || !strings.HasPrefix(got[1], given) || got[2] != "alice: to both" {
		t.Fatalf("bob has %q", got)
	}
	w.agree("@alice", bob, phone)
	phone.send("@alice", "from the phone")
	alice.sync()
	if got := alice.read("@bob"); !strings.HasPrefix(got[1], given) || got[len(got)-1] != "bob: from the phone" {
		t.Errorf("alice has %q", got)
	}
	bob.sync()
	if got, want := phone.held("@alice"), bob.held("@alice"); !slices.Equal(got, want) {
		t.Errorf("the phone has %q, the old device %q", got, want)
	}
	members, err := alice.Members(t.Context(), "@bob")
	if err != nil || len(members) != 3 {
		t.Fatalf("%d members, %v", len(members), err)
	}
	for _, m := range members {
		if m.Warning != "" {
			t.Errorf("%s's device: %s", m.Handle, m.Warning)
		}
	}
}
