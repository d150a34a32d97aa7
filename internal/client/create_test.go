package client

import (
	"sync/atomic"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
)

// TestTwoTasksOfAProgramCreateAtOnce has the program synchronise in the
// background, in vain, while it uploads what a new conversation begins with:
// neither the session it does that in nor the request it is for may go.
func TestTwoTasksOfAProgramCreateAtOnce(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	var stage atomic.Int32
	alice.net.set(func(n *wireTo) {
		n.deny = func(m proto.Message) error {
			switch m := m.(type) {
			case *proto.OpenRequest:
				if m.Token != nil {
					stage.CompareAndSwap(0, 1)
				}
			case *proto.BlobBeginRequest:
				if stage.CompareAndSwap(1, 2) {
					_ = alice.Sync(t.Context())
				}
			case *proto.CreateRequest:
				if stage.CompareAndSwap(2, 3) {
					return ErrUnreachable // the one in the background
				}
			}
			return nil
		}
	})
	alice.newChat("plan", "bob")
	if stage.Load() != 3 {
		t.Fatalf("the two were not there at once: %d", stage.Load())
	}
	alice.send("plan", "hello")
	bob.expect("plan", "alice: hello")
	w.agree("plan", alice, bob)
}
