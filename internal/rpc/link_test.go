package rpc

import (
	"slices"
	"testing"

	"codeberg.org/huis/huis/internal/client"
)

// linkedPage links another device of a person and has it approved.
func linkedPage(w *world, old *page, handle string) *page {
	w.t.Helper()
	phone := w.page()
	linking := phone.begin("link", LinkRequest{Handle: "@" + handle})
	var shown LinkCode
	linking.event("link.code", &shown)
	approving := old.begin("link.approve", ApproveRequest(shown))
	var asked ApproveConfirm
	approving.event("approve.confirm", &asked)
	if asked.Code != shown.Code || len(asked.Device) != 64 && len(asked.Device) != 32 {
		w.t.Errorf("asked about %+v, shown was %s", asked, shown.Code)
	}
	approving.answer("approve.confirm", `{"yes":true}`)
	var added Device
	if e := approving.end(&added); e != nil {
		w.t.Fatalf("approving: %v", e)
	}
	var s State
	if e := linking.end(&s); e != nil {
		w.t.Fatalf("linking: %v", e)
	}
	if s.Phase != PhaseReady || s.Handle != handle || s.Device != added.ID || s.Device != asked.Device {
		w.t.Errorf("the new device is %+v, %s was added and %s asked about", s, added.ID, asked.Device)
	}
	return phone
}

// bodies are the texts of a chat, as an interface reads them.
func bodies(p *page, chat string) (all []string) {
	p.t.Helper()
	for _, m := range ask[MessagesPage](p, "messages", MessagesRequest{Chat: chat}).Messages {
		if m.Kind == MessageText {
			all = append(all, m.Body)
		}
	}
	return all
}

// TestALinkedInterfaceIsToldOfTheHistory: whenever the history comes, an event
// tells of it, so that what was read before can be read again.
func TestALinkedInterfaceIsToldOfTheHistory(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.person("alice")
	chat := ask[Chat](alice, "chat.new", NewChat{Name: "notes"})
	ask[Sent](alice, "message.send", SendRequest{Chat: chat.ID, Body: "before the phone"})
	phone := linkedPage(w, alice, "alice")
	for len(bodies(phone, chat.ID)) == 0 {
		hear(phone, "messages", func(e MessagesEvent) bool { return e.Chat == chat.ID })
	}
	if got := bodies(phone, chat.ID); len(got) != 1 || got[0] != "before the phone" {
		t.Errorf("the phone reads %q", got)
	}
	for _, p := range []*page{alice, phone} {
		if all := ask[DeviceList](p, "devices", Empty{}).Devices; len(all) != 2 {
			t.Errorf("%d devices, want 2", len(all))
		}
	}
}

// TestOnlyAYesApproves: everything else a page may answer changes nothing, and
// the new device goes on waiting until it is cancelled.
func TestOnlyAYesApproves(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.person("alice")
	for name, answer := range map[string][2]string{
		"no":            {"approve.confirm", `{"yes":false}`},
		"nothing":       {"approve.confirm", `{}`},
		"another event": {"file.want", `{"yes":true}`},
		"nonsense":      {"approve.confirm", `{"yes":"true"}`},
		"no JSON":       {"approve.confirm", `yes`},
	} {
		t.Run(name, func(t *testing.T) {
			phone := w.page()
			linking := phone.begin("link", LinkRequest{Handle: "alice"})
			var shown LinkCode
			linking.event("link.code", &shown)
			approving := alice.begin("link.approve", ApproveRequest(shown))
			approving.event("approve.confirm", new(ApproveConfirm))
			approving.answer(answer[0], answer[1])
			approving.refused(CodeNotApproved)
			linking.cancel()
			linking.refused(CodeCancelled)
			if s := ask[State](phone, "state", Empty{}); s.Phase != PhaseNew {
				t.Errorf("the phone is %s", s.Phase)
			}
		})
	}
	if all := ask[DeviceList](alice, "devices", Empty{}).Devices; len(all) != 1 {
		t.Errorf("alice has %d devices", len(all))
	}
}

// TestApprovingMayBeCancelled while the person thinks.
func TestApprovingMayBeCancelled(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.person("alice")
	phone := w.page()
	linking := phone.begin("link", LinkRequest{Handle: "alice"})
	var shown LinkCode
	linking.event("link.code", &shown)
	approving := alice.begin("link.approve", ApproveRequest(shown))
	approving.event("approve.confirm", new(ApproveConfirm))
	approving.cancel()
	approving.refused(CodeCancelled)
	if all := ask[DeviceList](alice, "devices", Empty{}).Devices; len(all) != 1 {
		t.Errorf("alice has %d devices", len(all))
	}
	linking.cancel()
	linking.refused(CodeCancelled)
	// Another try, with a new code, makes it one device, not two.
	linkedPage(w, alice, "alice")
	if all := ask[DeviceList](alice, "devices", Empty{}).Devices; len(all) != 2 {
		t.Errorf("alice has %d devices", len(all))
	}
}

func TestCodesThatLeadNowhere(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.person("alice")
	good := ""
	phone := w.page()
	linking := phone.begin("link", LinkRequest{Handle: "alice"})
	var shown LinkCode
	linking.event("link.code", &shown)
	good = shown.Code
	linking.cancel()
	linking.refused(CodeCancelled)
	other := []byte(good)
	if other[0] == '2' {
		other[0] = '3'
	} else {
		other[0] = '2'
	}
	for _, code := range []string{"", "x", "not a code at all", good[:len(good)-1], string(other)} {
		alice.begin("link.approve", ApproveRequest{Code: code}).refused(CodeBadCode)
	}
	w.page().begin("link.approve", ApproveRequest{Code: good}).refused(CodeNoProfile)
}

// TestADeviceLinksOnce: not twice at a time, not with an account, and not to
// somebody else's.
func TestADeviceLinksOnce(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.person("alice")
	bob, _ := w.person("bob")
	alice.begin("link", LinkRequest{Handle: "alice"}).refused(CodeHasProfile)
	alice.begin("recover", RecoverRequest{Handle: "alice", Key: "x"}).refused(CodeBadRecovery)
	phone := w.page()
	linking := phone.begin("link", LinkRequest{Handle: "alice"})
	var shown LinkCode
	linking.event("link.code", &shown)
	phone.begin("link", LinkRequest{Handle: "alice"}).refused(CodeBusy)
	phone.begin("join", JoinRequest{Invite: w.invite(), Handle: "carol"}).refused(CodeBusy)
	// Bob is shown the code and says yes: the phone, which said alice, refuses.
	approving := bob.begin("link.approve", ApproveRequest(shown))
	approving.event("approve.confirm", new(ApproveConfirm))
	approving.answer("approve.confirm", `{"yes":true}`)
	var s State
	if e := linking.end(&s); e == nil || s.Phase == PhaseReady {
		t.Errorf("the phone became a device of %s", s.Handle)
	}
	approving.cancel()
	approving.end(new(Device))
	if all := ask[DeviceList](bob, "devices", Empty{}).Devices; len(all) != 1 {
		t.Errorf("bob has %d devices", len(all))
	}
	linkedPageAgain := w.page()
	linkedPageAgain.begin("link", LinkRequest{Server: "nonsense", Handle: "alice"}).refused(CodeBadInvite)
}

// TestARevokedInterfaceIsTold and asked for nothing more.
func TestARevokedInterfaceIsTold(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.person("alice")
	phone := linkedPage(w, alice, "alice")
	mine := ask[State](phone, "state", Empty{})
	ask[DeviceList](alice, "devices.revoke", DeviceID{ID: mine.Device})
	hear(phone, "state", func(s State) bool { return s.Phase == PhaseRevoked })
	for _, d := range ask[DeviceList](alice, "devices", Empty{}).Devices {
		if d.Revoked != (d.ID == mine.Device) {
			t.Errorf("%+v", d)
		}
	}
}

// TestNewsOutlastAStoreThatFails: an event that could not be made is made later.
func TestNewsOutlastAStoreThatFails(t *testing.T) {
	w := newWorld(t)
	alice, _ := w.person("alice")
	chat := ask[Chat](alice, "chat.new", NewChat{Name: "notes"})
	device, err := alice.core.device()
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []client.Change{{Chats: []client.ChatChange{{Chat: chat.ID, Seqs: []uint64{41}}}}, {Everything: true}, {Settings: true}} {
		alice.store.fails.Store(true)
		alice.core.tell(t.Context(), device, what)
		alice.store.fails.Store(false)
		switch {
		case what.Everything:
			hear(alice, "chats", func(e ChatsEvent) bool { return len(e.Chats) > 0 && e.Chats[0].ID == chat.ID })
		case what.Settings:
			hear(alice, "settings", func(Settings) bool { return true })
		default:
			hear(alice, "messages", func(e MessagesEvent) bool { return slices.Contains(e.Seqs, 41) })
		}
	}
}
