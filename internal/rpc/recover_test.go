package rpc

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// keeps waits until a person's devices have put a backup on the server that has
// the chat: it is made beside what a person asks for.
func keeps(p *page) {
	p.t.Helper()
	ask[Status](p, "sync", Empty{})
}

func TestRecoveringFromNothing(t *testing.T) {
	w := newWorld(t)
	alice, key := w.person("alice")
	bob, _ := w.person("bob")
	ask[Confirmed](alice, "recovery.confirm", RecoveryConfirm{Key: key})
	chat := ask[Chat](alice, "chat.new", NewChat{Name: "kitchen", People: []string{"bob"}})
	hear(bob, "chats", func(e ChatsEvent) bool {
		return slices.ContainsFunc(e.Chats, func(c Chat) bool { return c.ID == chat.ID })
	})
	ask[Sent](alice, "message.send", SendRequest{Chat: chat.ID, Body: "said before"})
	ask[Chat](alice, "chat.new", NewChat{Name: "notes"}) // with it a new backup is due, which takes all along
	keeps(alice)

	again := w.page()
	got := ask[Recovered](again, "recover", RecoverRequest{Handle: "@alice", Key: key, EndOthers: true})
	if got.State.Phase != PhaseReady || got.State.Handle != "alice" || got.Backup == 0 || len(got.Others) != 1 {
		t.Fatalf("recovered: %+v", got)
	}
	if before := ask[State](alice, "state", Empty{}); before.Account != got.State.Account || before.Device == got.State.Device {
		t.Errorf("it was %+v and is %+v", before, got.State)
	}
	hear(alice, "state", func(s State) bool { return s.Phase == PhaseRevoked })
	// The conversation comes back once somebody else's device lets this one in.
	for !ready(again, chat.ID) {
		hear(again, "chats", func(e ChatsEvent) bool { return true })
	}
	ask[Sent](again, "message.send", SendRequest{Chat: chat.ID, Body: "back again"})
	for !slices.Contains(bodies(bob, chat.ID), "back again") {
		hear(bob, "messages", func(e MessagesEvent) bool { return e.Chat == chat.ID })
	}
	for !slices.Contains(bodies(again, chat.ID), "said before") {
		hear(again, "messages", func(e MessagesEvent) bool { return e.Chat == chat.ID })
	}
}

// ready tells whether one can write in a chat.
func ready(p *page, chat string) bool {
	for _, c := range ask[ChatList](p, "chats", Empty{}).Chats {
		if c.ID == chat {
			return c.State == ""
		}
	}
	return false
}

func TestRecoveryKeysThatOpenNothing(t *testing.T) {
	w := newWorld(t)
	_, key := w.person("alice")
	_, bobs := w.person("bob")
	alphabet := "0123456789"
	swapped := key[:len(key)-1] + string(alphabet[(strings.IndexByte(alphabet, key[len(key)-1])+1)%len(alphabet)])
	for name, q := range map[string]RecoverRequest{
		"no key":                 {Handle: "alice"},
		"no key at all":          {Handle: "alice", Key: "open sesame"},
		"a part of a key":        {Handle: "alice", Key: key[:len(key)-6]},
		"a slip of the pen":      {Handle: "alice", Key: swapped},
		"a key nobody was given": {Handle: "alice", Key: strings.Repeat("0", 60)},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.page()
			p.begin("recover", q).refused(CodeBadRecovery)
			if s := ask[State](p, "state", Empty{}); s.Phase != PhaseNew {
				t.Errorf("the page is %s", s.Phase)
			}
		})
	}
	// Another account's key is a key, but not of this name.
	p := w.page()
	var r Recovered
	if e := p.begin("recover", RecoverRequest{Handle: "alice", Key: bobs}).end(&r); e == nil {
		t.Errorf("bob's key made this a device of %s", r.State.Handle)
	}
	if s := ask[State](p, "state", Empty{}); s.Phase != PhaseNew {
		t.Errorf("the page is %s", s.Phase)
	}
}

// TestRecoveryKeyIsConfirmedOnce however it is spaced, and replaced by a new one.
func TestRecoveryKeyIsConfirmedOnce(t *testing.T) {
	w := newWorld(t)
	alice, key := w.person("alice")
	if shown := ask[RecoveryKey](alice, "recovery.show", Empty{}); shown.Key != key {
		t.Errorf("shown again: %q, first %q", shown.Key, key)
	}
	if ask[Confirmed](alice, "recovery.confirm", RecoveryConfirm{Key: key[1:]}).Right {
		t.Error("a part of it is taken for right")
	}
	if s := ask[State](alice, "state", Empty{}); !s.RecoveryUnconfirmed {
		t.Error("it counts as confirmed")
	}
	spaced := " " + strings.ToLower(strings.ReplaceAll(key, "-", " \n")) + "\t"
	if !ask[Confirmed](alice, "recovery.confirm", RecoveryConfirm{Key: spaced}).Right {
		t.Errorf("%q is not taken for %q", spaced, key)
	}
	hear(alice, "state", func(s State) bool { return !s.RecoveryUnconfirmed })
	if shown := ask[RecoveryKey](alice, "recovery.show", Empty{}); shown.Key != "" {
		t.Error("it is shown after it was confirmed")
	}
	next := ask[RecoveryKey](alice, "recovery.new", Empty{}).Key
	if next == "" || next == key {
		t.Fatalf("the new one is %q", next)
	}
	hear(alice, "state", func(s State) bool { return s.RecoveryUnconfirmed })
	keeps(alice)
	w.page().begin("recover", RecoverRequest{Handle: "alice", Key: key}).refused(CodeBadRecovery)
	got := ask[Recovered](w.page(), "recover", RecoverRequest{Handle: "alice", Key: next})
	if got.State.Handle != "alice" || len(got.Others) != 1 || time.Since(time.UnixMilli(int64(got.Backup))) > time.Hour {
		t.Errorf("recovered: %+v", got)
	}
}
