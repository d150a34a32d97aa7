package client

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/client/files"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// id returns the conversation of a name.
func (d *device) id(chat string) proto.ConversationID {
	d.w.t.Helper()
	return d.inspect1(chat).Conversation
}

// say sends a message of any kind.
func (d *device) say(chat string, m *content.Message) {
	d.w.t.Helper()
	id := d.id(chat)
	err := d.step(d.w.t.Context(), func(t *tx) error {
		_, err := t.queue(id, m)
		return err
	})
	if err != nil {
		d.w.t.Fatal(err)
	}
	d.sync()
}

func TestHistoryReachesANewDevice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	if _, err := alice.NewChat(t.Context(), "house", []string{"@bob"}); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	for i := range 5 {
		alice.send("house", fmt.Sprintf("alice %d", i))
		bob.sync()
		bob.send("house", fmt.Sprintf("bob %d", i))
		alice.sync()
	}
	bob.read("house")
	taken := alice.send("house", "a slip of the tongue")
	undo := content.New(content.Delete, w.clock.Now())
	target, _ := content.ParseID(taken.ID)
	undo.Targets = []content.ID{target}
	alice.say("house", undo)
	bob.sync()
	want := bob.held("house")
	if slices.Contains(want, "alice: a slip of the tongue") || len(want) != 10 {
		t.Fatalf("bob has %q", want)
	}
	phone := w.further(bob, "phone")
	phone.sync()
	got := phone.held("house")
	if len(got) < 10 || !slices.Equal(got[:10], want) {
		t.Fatalf("the phone has %q, want %q", got, want)
	}
	chats, err := phone.Chats(t.Context())
	if err != nil || chats[0].Unread > 1 {
		t.Errorf("%d unread on the phone; they were read on the other device", chats[0].Unread)
	}
	alice.sync()
	if all := alice.held("house"); !strings.HasPrefix(all[len(all)-1], given) {
		t.Errorf("alice is not told that a new device has the history: %q", all)
	}
	// Giving it again changes nothing for anybody.
	err = bob.step(t.Context(), func(t *tx) error {
		t.addJob(job{Kind: jobHistory, Device: phone.must().Device, Conversation: bob.idOf("house")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := phone.held("house")
	for range 2 {
		bob.sync()
		phone.sync()
		alice.sync()
	}
	if again := phone.held("house"); !slices.Equal(again, before) {
		t.Errorf("given twice: %q", again)
	}
	// What it was given it can give on.
	err = phone.step(t.Context(), func(t *tx) error {
		a, _, err := t.archive(phone.idOf("house"), 0, 1<<62)
		if err == nil && len(a.Entries) < 10 {
			err = fmt.Errorf("%d entries", len(a.Entries))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// idOf is id inside a step, where Inspect would wait for itself.
func (d *device) idOf(chat string) (id proto.ConversationID) {
	for k, cv := range d.convs {
		if cv.meta.Policy.Name == chat {
			id = k
		}
	}
	return id
}

// archiveOf returns bob's archive of a conversation with some messages, and a
// device that has none of them.
func archiveOf(t *testing.T) (stranger *device, id proto.ConversationID, a archive) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	if _, err := alice.NewChat(t.Context(), "house", []string{"@bob"}); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	for i := range 4 {
		alice.send("house", fmt.Sprintf("message %d", i))
		bob.sync()
	}
	id = bob.id("house")
	err := bob.step(t.Context(), func(t *tx) (err error) {
		a, _, err = t.archive(id, 0, 1<<62)
		return err
	})
	if err != nil || len(a.Entries) < 5 {
		t.Fatalf("%d entries, %v", len(a.Entries), err)
	}
	carol := w.person("carol")
	if err := alice.AddMembers(t.Context(), "house", []string{"@carol"}); err != nil {
		t.Fatal(err)
	}
	carol.sync()
	return carol, id, a
}

func take(d *device, id proto.ConversationID, a *archive) error {
	return d.step(d.w.t.Context(), func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil {
			return err
		}
		return t.takeArchive(cv, a, &historyOffer{})
	})
}

func TestForgedArchives(t *testing.T) {
	d, id, good := archiveOf(t)
	encoded := wire.MustEncode(good.wire)
	first := slices.IndexFunc(good.Entries, func(e archived) bool { return e.Message != nil })
	_, thief, _ := ed25519.GenerateKey(nil)
	// resign makes message i one that its author never wrote, as well as anybody
	// can who has not the author's key.
	resign := func(a *archive, i int, key ed25519.PrivateKey) {
		e := &a.Entries[i]
		m := content.New(content.Text, time.Unix(0, 0))
		m.Body = "forged"
		at := content.Place{Conversation: id, Epoch: e.Message.Epoch, Leaf: uint32(e.Message.Leaf), MK: e.Log.MK}
		sealed, err := content.Seal(m, at, key, content.Seen{})
		if err != nil {
			t.Fatal(err)
		}
		e.Message.Envelope, e.Log.Tag = sealed.Data, sealed.Tag
	}
	for name, change := range map[string]func(*archive){
		"an entry left out":         func(a *archive) { a.Entries = slices.Delete(a.Entries, 2, 3) },
		"two entries swapped":       func(a *archive) { a.Entries[1], a.Entries[2] = a.Entries[2], a.Entries[1] },
		"another minute":            func(a *archive) { a.Entries[1].Log.Receipt.Minute++ },
		"another stamp":             func(a *archive) { a.Entries[1].Log.Receipt.Stamp[3] ^= 1 },
		"another member key":        func(a *archive) { a.Entries[first].Log.MK[3] ^= 1 },
		"another signature":         func(a *archive) { a.Entries[first].Log.Sig[3] ^= 1 },
		"another tag":               func(a *archive) { a.Entries[first].Log.Tag[3] ^= 1 },
		"another kind":              func(a *archive) { a.Entries[first].Log.Kind = proto.KindNotice },
		"another generation":        func(a *archive) { a.Entries[first].Log.Receipt.Generation[0] ^= 1 },
		"another conversation":      func(a *archive) { a.Conversation[0] ^= 1 },
		"a word changed":            func(a *archive) { e := a.Entries[first].Message.Envelope; e[len(e)/4] ^= 1 },
		"another leaf":              func(a *archive) { a.Entries[first].Message.Leaf++ },
		"another epoch":             func(a *archive) { a.Entries[first].Message.Epoch++ },
		"another sender's device":   func(a *archive) { a.Entries[first].Message.From.Device[0] ^= 1 },
		"another sender's account":  func(a *archive) { a.Entries[first].Message.From.Account[0] ^= 1 },
		"another sender's key":      func(a *archive) { a.Entries[first].Message.M[0] ^= 1 },
		"a message of another's":    func(a *archive) { a.Entries[first].Message = a.Entries[first+1].Message },
		"forged by a stranger":      func(a *archive) { resign(a, first, thief) },
		"no chain of the sender":    func(a *archive) { a.Profiles = nil },
		"a chain cut off":           func(a *archive) { a.Profiles[0].Links = a.Profiles[0].Links[1:] },
		"a chain under another's":   func(a *archive) { a.Profiles[0].Account[0] ^= 1 },
		"a message where none is":   func(a *archive) { a.Entries[0].Message = a.Entries[first].Message },
		"a key that is no key":      func(a *archive) { a.Entries[first].Message.M = nil },
		"an envelope of other form": func(a *archive) { a.Entries[first].Message.Envelope = []byte{1} },
	} {
		var a archive
		if err := wire.Decode(encoded, a.wire); err != nil {
			t.Fatal(err)
		}
		change(&a)
		conversation := id
		if name == "another conversation" {
			if _, err := d.fetchArchiveOf(&a, id); err == nil {
				t.Errorf("%s was accepted", name)
			}
			continue
		}
		if err := take(d, conversation, &a); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if got := d.held("house"); len(got) != 0 {
			t.Fatalf("%s: %q was stored", name, got)
		}
	}
	if err := take(d, id, &good); err != nil {
		t.Fatalf("the archive itself: %v", err)
	}
	if got := d.held("house"); len(got) != 4 {
		t.Errorf("of the archive itself %q came", got)
	}
}

// fetchArchiveOf uploads an archive as it is and fetches it as an offer for id.
func (d *device) fetchArchiveOf(a *archive, id proto.ConversationID) (*archive, error) {
	ctx := d.w.t.Context()
	plain := wire.MustEncode(a.wire)
	ref, blob, err := files.Measure(bytes.NewReader(plain), int64(len(plain)))
	if err != nil {
		return nil, err
	}
	if err := d.upload(ctx, id, bytes.NewReader(plain), ref, blob); err != nil {
		return nil, err
	}
	b, err := content.Marshal(&ref)
	if err != nil {
		return nil, err
	}
	return d.fetchArchive(ctx, &historyOffer{Conversation: id, First: a.first(), Last: a.last(), Ref: b})
}

// TestAnotherLogThanWasSeen: an archive whose entries are stamped, but not the
// ones this device was shown, is an alarm, not history.
func TestAnotherLogThanWasSeen(t *testing.T) {
	d, id, a := archiveOf(t)
	// The receiver has seen another entry in the place of the archive's last.
	last := a.Entries[len(a.Entries)-1].Log
	other := last
	other.Receipt.Seq++
	other.Receipt.ChainPrev[0] ^= 1
	err := d.step(t.Context(), func(t *tx) error {
		return t.save(key("log", id, seqKey(other.Receipt.Seq)), other.wire)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := take(d, id, &a); err == nil || !strings.Contains(err.Error(), "two versions") {
		t.Error(err)
	}
}

func TestDisappearingMessages(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	if _, err := alice.NewChat(t.Context(), "house", []string{"@bob"}); err != nil {
		t.Fatal(err)
	}
	alice.send("house", "stays")
	if err := alice.SetExpiry(t.Context(), "house", time.Hour); err != nil {
		t.Fatal(err)
	}
	const secret = "burns after an hour"
	alice.send("house", secret)
	bob.sync()
	if err := alice.SetExpiry(t.Context(), "house", 0); err != nil {
		t.Fatal(err)
	}
	alice.send("house", "stays too")
	both := []string{"alice: stays", "alice: " + secret, "alice: stays too"}
	bob.expect("house", both...)

	w.clock.advance(59 * time.Minute)
	bob.sync()
	if got := bob.held("house"); !slices.Equal(got, both) {
		t.Fatalf("before its time: %q", got)
	}
	w.clock.advance(3 * time.Minute)
	for _, d := range []*device{alice, bob} {
		if got := d.held("house"); !slices.Equal(got, []string{both[0], both[2]}) {
			t.Errorf("%s shows %q", d.name, got)
		}
		before := d.traces(secret)
		d.sync()
		if before == 0 || d.traces(secret) != 0 {
			t.Errorf("%s: %d records had it, %d have it after its time", d.name, before, d.traces(secret))
		}
		if exp, _ := d.store.List(t.Context(), "exp/", "", 0); len(exp) != 0 {
			t.Errorf("%s: %d left in the index", d.name, len(exp))
		}
	}
	// A new device gets neither the message nor more than its place.
	phone := w.further(bob, "phone")
	phone.sync()
	if got := phone.held("house"); len(got) < 2 || !slices.Equal(got[:2], []string{both[0], both[2]}) || phone.traces(secret) != 0 {
		t.Errorf("the phone has %q", got)
	}
	// One that comes after its time is never stored.
	if err := alice.SetExpiry(t.Context(), "house", time.Hour); err != nil {
		t.Fatal(err)
	}
	alice.send("house", secret)
	w.clock.advance(2 * time.Hour)
	bob.sync()
	if bob.traces(secret) != 0 {
		t.Error("a message that was due on arrival was stored")
	}
	for _, d := range []time.Duration{time.Second, 100 * 365 * 24 * time.Hour, -time.Hour} {
		if alice.SetExpiry(t.Context(), "house", d) == nil {
			t.Errorf("expiry of %v", d)
		}
	}
}

// traces counts the records that hold a text.
func (d *device) traces(text string) (n int) {
	d.w.t.Helper()
	all, err := d.store.List(d.w.t.Context(), "", "", 0)
	if err != nil {
		d.w.t.Fatal(err)
	}
	for _, r := range all {
		if bytes.Contains(r.Value, []byte(text)) {
			n++
		}
	}
	return n
}

func TestOnlyTheAuthorTakesBack(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	sent := alice.send("@bob", "mine")
	bob.sync()
	undo := content.New(content.Delete, w.clock.Now())
	target, _ := content.ParseID(sent.ID)
	undo.Targets = []content.ID{target}
	bob.say("@alice", undo)
	alice.expect("@bob", "alice: mine")
	bob.expect("@alice", "alice: mine")
	undo.ID = content.NewID()
	alice.say("@bob", undo)
	bob.expect("@alice")
	alice.expect("@bob")
	if bob.traces("mine") != 0 || alice.traces("mine") != 0 {
		t.Error("deleted is not gone")
	}
}

func TestOwnDevicesTellEachOther(t *testing.T) {
	w := newWorld(t)
	alice, bob, carol := w.person("alice"), w.person("bob"), w.person("carol")
	alice.send("@bob", "one")
	bob.sync()
	phone := w.further(bob, "phone")
	phone.sync()
	alice.send("@bob", "two")
	phone.sync()
	bob.sync()
	unread := func(d *device) int {
		t.Helper()
		chats, err := d.Chats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return chats[0].Unread
	}
	if n := unread(bob); n == 0 {
		t.Fatalf("%d unread before", n)
	}
	phone.read("@alice")
	for range 2 {
		phone.sync()
		bob.sync()
	}
	if n := unread(bob); n != 0 {
		t.Errorf("%d unread after the phone has read", n)
	}

	if err := phone.SetUnsent(t.Context(), "@alice", "dear al"); err != nil {
		t.Fatal(err)
	}
	carolID := carol.must().Account
	if _, err := phone.lookup(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	if err := phone.step(t.Context(), func(t *tx) error { return t.setVerified(carolID, true) }); err != nil {
		t.Fatal(err)
	}
	phone.sync()
	bob.sync()
	if text, err := bob.Unsent(t.Context(), "@alice"); err != nil || text != "dear al" {
		t.Errorf("draft %q, %v", text, err)
	}
	err := bob.step(t.Context(), func(t *tx) error {
		a, ok, err := t.accountOf("carol")
		if !ok || a != carolID {
			err = errors.Join(err, errors.New("the contact did not come"))
		}
		if v, e := t.isVerified(carolID); !v {
			err = errors.Join(err, e, errors.New("that carol is verified did not come"))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := bob.SetUnsent(t.Context(), "@alice", ""); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	phone.sync()
	if text, _ := phone.Unsent(t.Context(), "@alice"); text != "" {
		t.Errorf("draft %q after it was sent", text)
	}
	chats, _ := bob.Chats(t.Context())
	for _, c := range chats {
		if c.Kind == "devices" {
			t.Error("the own devices' conversation is shown")
		}
	}
}

// TestAnotherPersonsEventsAreNotFollowed: only own devices are believed, and
// only in their own conversation.
func TestAnotherPersonsEventsAreNotFollowed(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	bob.sync()
	r := readMark{Conversation: bob.id("@alice"), Seq: 1 << 40}
	m := content.New(content.System, w.clock.Now())
	m.Event = &content.Event{Type: eventRead, Data: wire.MustEncode(r.wire)}
	alice.say("@bob", m)
	m.ID = content.NewID()
	bob.say("@alice", m)
	bob.sync()
	chats, _ := bob.Chats(t.Context())
	if chats[0].Unread != 1 {
		t.Errorf("%d unread", chats[0].Unread)
	}
}
