package client

import "testing"

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
