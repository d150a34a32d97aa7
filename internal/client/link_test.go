package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/store/mem"
	"codeberg.org/huis/huis/internal/client/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

const given = "bob: gave the history up to entry "

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

// linkUp starts Link and returns its code and, later, its result.
func (w *world) linkUp(n *device, server ServerRef, handle string) (code string, done chan error) {
	w.t.Helper()
	codes, done := make(chan string, 1), make(chan error, 1)
	go func() {
		c, err := Link(w.t.Context(), w.config(n), server, handle, func(s string) { codes <- s })
		n.Client = c
		done <- err
	}()
	select {
	case code = <-codes:
	case err := <-done:
		w.t.Fatalf("link: %v", err)
	}
	return code, done
}

// killLink ends a Link that nobody will answer.
func (n *device) killLink(done chan error) {
	n.net.set(func(l *wireTo) { l.before = func(proto.Method) error { return errors.New("killed by the test") } })
	n.w.clock.advance(time.Hour)
	<-done
	n.net.set(func(l *wireTo) { l.before = nil })
}

func TestApproveRefusesWhatIsNotRight(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	n := w.newDevice("phone")
	code, done := w.linkUp(n, bob.server, "bob")
	for name, bad := range map[string]string{
		"nothing": "", "too short": code[:10], "a typing mistake": "U" + code[1:], "another code": newLinkCode().String(),
	} {
		if _, err := bob.Approve(t.Context(), bad, nil); err == nil {
			t.Errorf("%s was approved", name)
		}
	}
	asked := LinkRequest{}
	_, err := bob.Approve(t.Context(), strings.ToLower(strings.ReplaceAll(code, "-", " ")), func(r LinkRequest) bool { asked = r; return false })
	if err == nil || asked.Code != code || len(asked.Device) != 32 {
		t.Errorf("a refusal by the person: %v, asked %+v", err, asked)
	}
	if list, _ := bob.Devices(t.Context()); len(list) != 1 {
		t.Error("a device was added without consent")
	}
	// The code of bob's phone, approved by alice: the phone notices.
	if _, err := alice.Approve(t.Context(), code, nil); err == nil {
		t.Error("alice took bob's phone in")
	}
	if err := <-done; err == nil || !strings.Contains(err.Error(), "@alice") {
		t.Errorf("link: %v", err)
	}
	if list, _ := alice.Devices(t.Context()); len(list) != 1 {
		t.Error("the phone is a device of alice's")
	}
	if _, err := Open(t.Context(), w.config(n)); !errors.Is(err, ErrNoProfile) {
		t.Errorf("a device that was not approved has a profile: %v", err)
	}
}

// TestALyingServerInTheMailbox: what is not sealed with the code gets nowhere.
func TestALyingServerInTheMailbox(t *testing.T) {
	for name, tamper := range map[string]func(*proto.MailboxFetchResponse){
		"bit flip":  func(r *proto.MailboxFetchResponse) { r.Items[0][40] ^= 1 },
		"cut":       func(r *proto.MailboxFetchResponse) { r.Items[0] = r.Items[0][:10] },
		"nothing":   func(r *proto.MailboxFetchResponse) { r.Items[0] = nil },
		"own words": func(r *proto.MailboxFetchResponse) { r.Items[0] = make([]byte, 1100) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			bob, n := w.person("bob"), w.newDevice("phone")
			code, done := w.linkUp(n, bob.server, "bob")
			bob.net.set(func(l *wireTo) {
				l.tamper = func(_ proto.Method, m proto.Message) {
					if r, ok := m.(*proto.MailboxFetchResponse); ok && len(r.Items) > 0 {
						tamper(r)
					}
				}
			})
			if _, err := bob.Approve(t.Context(), code, nil); !errors.Is(err, errLinkItem) {
				t.Errorf("approve: %v", err)
			}
			if list, _ := bob.Devices(t.Context()); len(list) != 1 {
				t.Error("a device was added")
			}
			n.killLink(done)
		})
	}
}

func TestMailboxItemsKeepTheirPlaces(t *testing.T) {
	l := &linkLine{code: newLinkCode()}
	sealed := l.seal(newSide, 3, []byte("hello"))
	if plain, err := l.open(newSide, 3, sealed); err != nil || string(plain) != "hello" {
		t.Fatal(err)
	}
	other := &linkLine{code: newLinkCode()}
	for name, open := range map[string]func() ([]byte, error){
		"another place": func() ([]byte, error) { return l.open(newSide, 2, sealed) },
		"another side":  func() ([]byte, error) { return l.open(oldSide, 3, sealed) },
		"another code":  func() ([]byte, error) { return other.open(newSide, 3, sealed) },
	} {
		if _, err := open(); !errors.Is(err, errLinkItem) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l.mailbox() == other.mailbox() || string(l.seal(newSide, 3, []byte("hello"))) == string(sealed) {
		t.Error("mailbox or nonce is not random")
	}
}

// TestLinkingSurvivesCrashes kills the new device, and the old one, at each of
// their store writes; linking again succeeds and leaves one new device.
func TestLinkingSurvivesCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for mailboxes")
	}
	for _, side := range []string{"new", "old"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			for k := 1; ; k++ {
				// Odd writes fail; of even ones the device only believes so.
				outcome := []storetest.Outcome{storetest.FailedButKept, storetest.Failed}[k%2]
				if !linkWithCrash(t, side, k, outcome) {
					if k < 8 {
						t.Errorf("it writes %d times only", k-1)
					}
					break
				}
			}
		})
	}
}

// linkWithCrash tells whether the crash happened.
func linkWithCrash(t *testing.T, side string, k int, outcome storetest.Outcome) bool {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "before")
	bob.expect("@alice", "alice: before")
	n := w.newDevice("phone")
	f := storetest.NewFaulty(mem.New())
	if side == "new" {
		n.store = f
	} else {
		f = storetest.NewFaulty(bob.store)
		bob.store = f
		bob.restart()
	}
	f.FailAt(k, outcome)
	once := func() error {
		if c, err := Open(t.Context(), w.config(n)); err == nil {
			n.Client = c // linked before it died
			return nil
		}
		code, done, err := w.tryLink(n, bob.server)
		if err != nil {
			return err
		}
		_, err = bob.Approve(t.Context(), code, nil)
		if err != nil {
			n.killLink(done)
			return err
		}
		return <-done
	}
	err := once()
	crashed := f.Dead()
	f.Revive()
	bob.restart()
	for try := 0; err != nil || crashed && try == 0; try++ {
		if try == 5 {
			t.Fatalf("%s device, write %d, outcome %d: %v", side, k, outcome, err)
		}
		err = once()
	}
	for range 3 {
		n.sync()
		bob.sync()
		alice.sync()
	}
	alice.send("@bob", "after")
	w.agree("@alice", bob, n)
	for _, d := range []*device{bob, n} {
		got := d.held("@alice")
		if got[len(got)-1] != "alice: after" {
			t.Fatalf("%s device, write %d, outcome %d: %s has %q", side, k, outcome, d.name, got)
		}
	}
	members, err := alice.Members(t.Context(), "@bob")
	if err != nil || len(members) != 3 {
		t.Fatalf("%s device, write %d, outcome %d: %d members, %v", side, k, outcome, len(members), err)
	}
	return crashed
}

func (w *world) tryLink(n *device, server ServerRef) (code string, done chan error, err error) {
	codes, done := make(chan string, 1), make(chan error, 1)
	go func() {
		c, err := Link(w.t.Context(), w.config(n), server, "bob", func(s string) { codes <- s })
		if err == nil {
			n.Client = c
		}
		done <- err
	}()
	select {
	case code = <-codes:
		return code, done, nil
	case err := <-done:
		return "", nil, err
	}
}

func TestLinkAgainAfterTheMailboxIsGone(t *testing.T) {
	w := newWorld(t)
	bob, n := w.person("bob"), w.newDevice("phone")
	code, done := w.linkUp(n, bob.server, "bob")
	n.killLink(done) // the mailbox dies with the hour
	if _, err := bob.Approve(t.Context(), code, nil); err == nil {
		t.Fatal("approved a device that is gone")
	}
	before := n.linkingDevice(t)
	code, done = w.linkUp(n, bob.server, "bob")
	if _, err := bob.Approve(t.Context(), code, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n.must().Device != before {
		t.Error("linking again made another device")
	}
}

func (d *device) linkingDevice(t *testing.T) proto.DeviceID {
	t.Helper()
	b, err := d.store.Get(t.Context(), linkingKey)
	if err != nil {
		t.Fatal(err)
	}
	var l linking
	if err := wire.Decode(b, l.wire); err != nil {
		t.Fatal(err)
	}
	return l.Me.Device
}

func TestAProfileIsNotLinkedTwice(t *testing.T) {
	w := newWorld(t)
	bob := w.person("bob")
	_, err := Link(t.Context(), w.config(bob), bob.server, "bob", func(string) {})
	wantIs(t, err, errHasProfile)
	_, _, err = Join(t.Context(), w.config(bob), w.invitation(), "bob2")
	wantIs(t, err, errHasProfile)
}

// TestManyConversationsAreHandedOver needs several items for offers' answers.
func TestManyConversationsAreHandedOver(t *testing.T) {
	w := newWorld(t)
	bob := w.person("bob")
	const n = joinsPerResult + 3
	for i := range n {
		if _, err := bob.NewChat(t.Context(), fmt.Sprintf("room %02d", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	phone := w.further(bob, "phone")
	phone.sync()
	chats, err := phone.Chats(t.Context())
	if err != nil || len(chats) != n {
		t.Fatalf("%d conversations, %v", len(chats), err)
	}
	for _, c := range chats {
		if c.State != "" || c.Members != 2 {
			t.Errorf("%+v", c)
		}
	}
}

// TestAnOlderCopyOfAProfileStops: whoever puts back a backup of the folder, or
// runs a copy of it, would use message keys twice.
func TestAnOlderCopyOfAProfileStops(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	bob.sync()
	bob.send("@alice", "two")
	for range 2 {
		alice.sync()
		bob.sync()
	}
	copied := w.newDevice("copy")
	copied.store = bob.store.(*mem.Store).Clone()
	bob.send("@alice", "three")
	copied.restart()
	var safety *SafetyError
	if err := copied.Sync(t.Context()); !errors.As(err, &safety) || !strings.Contains(safety.Reason, "older copy") {
		t.Errorf("sync: %v", err)
	}
	if _, err := copied.Send(t.Context(), "@alice", Draft{Text: "again"}); !errors.As(err, &safety) {
		t.Errorf("send: %v", err)
	}
	alice.expect("@bob", "alice: one", "bob: two", "bob: three")
	bob.send("@alice", "four") // the original goes on
	alice.expect("@bob", "alice: one", "bob: two", "bob: three", "bob: four")
}

func TestLinkCode(t *testing.T) {
	k := newLinkCode()
	text := k.String()
	if len(text) != 29 || strings.Count(text, "-") != 5 {
		t.Errorf("code %d characters long", len(text))
	}
	typed := strings.NewReplacer("0", "o", "1", "l", "-", " ").Replace(strings.ToLower(text))
	for _, s := range []string{text, typed} {
		if got, err := parseLinkCode(s); err != nil || got != k {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", text[:28], text + "0", "!" + text[1:]} {
		if _, err := parseLinkCode(s); err == nil {
			t.Errorf("accepted %q", s)
		}
	}
}

func FuzzLinkItems(f *testing.F) {
	f.Add(wire.MustEncode((&linkHello{Handle: "bob"}).wire))
	f.Add(wire.MustEncode((&linkOffer{Packages: [][]byte{{1}}}).wire))
	f.Fuzz(func(t *testing.T, b []byte) {
		var (
			hello   linkHello
			account linkAccount
			offer   linkOffer
			result  linkResult
			history historyOffer
			part    archive
			me      identity
		)
		for _, fields := range []func(*wire.Codec){
			hello.wire, account.wire, offer.wire, result.wire, history.wire, part.wire, me.wire,
		} {
			if wire.Decode(b, fields) == nil && string(wire.MustEncode(fields)) != string(b) {
				t.Fatal("accepted what encodes otherwise")
			}
		}
	})
}
