package client

import (
	"context"
	"slices"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// events are what a device shows of what happened in a chat.
func (d *device) events(chat string) (all []string) {
	d.w.t.Helper()
	lines, err := d.Lines(d.w.t.Context(), chat, Window{N: 100})
	if err != nil {
		d.w.t.Fatal(err)
	}
	for i := range lines.Lines {
		for _, e := range lines.Lines[i].Events {
			all = append(all, e.String())
		}
	}
	return all
}

func (d *device) expectEvents(chat string, want ...string) {
	d.w.t.Helper()
	d.sync()
	if got := d.events(chat); !slices.Equal(got, want) {
		d.w.t.Errorf("%s shows\n%q, want\n%q", d.name, got, want)
	}
}

func TestEverybodySeesWhatHappens(t *testing.T) {
	w := newWorld(t)
	alice, bob, carla, dave := w.person("alice"), w.person("bob"), w.person("carla"), w.person("dave")
	ctx := t.Context()
	do := func(what func(ctx context.Context) error) {
		t.Helper()
		if err := what(ctx); err != nil {
			t.Fatal(err)
		}
		for _, d := range []*device{alice, bob, carla, dave} {
			d.sync()
		}
		w.clock.advance(time.Minute)
	}
	alice.newChat("plan", "bob")
	bob.sync()
	do(func(ctx context.Context) error { return bob.AddMembers(ctx, "plan", []string{"carla", "dave"}) })
	do(func(ctx context.Context) error { return alice.Rename(ctx, "plan", "trip") })
	do(func(ctx context.Context) error { return alice.SetAdmin(ctx, "trip", "bob", true) })
	do(func(ctx context.Context) error { return alice.SetExpiry(ctx, "trip", time.Hour) })
	do(func(ctx context.Context) error { return bob.SetAdmin(ctx, "trip", "bob", false) })
	do(func(ctx context.Context) error { return dave.Leave(ctx, "trip") })
	do(func(ctx context.Context) error { return alice.RemoveMembers(ctx, "trip", []string{"carla"}) })
	alice.sync()

	begun := []string{"@alice made this group"}
	came := []string{"@bob added @carla, @dave"}
	then := []string{
		`@alice named the group "trip"`, "@alice made @bob an admin", "@alice lets messages disappear after 1h0m0s",
		"@bob made @bob an ordinary member",
	}
	went := []string{"@dave left", "@alice removed @carla"}
	alice.expectEvents("trip", slices.Concat(begun, came, then, went)...)
	bob.expectEvents("trip", slices.Concat(begun, came, then, went)...)
	carla.expectEvents("trip", slices.Concat([]string{"@bob added @carla"}, then, went)...)
	dave.expectEvents("trip", slices.Concat([]string{"@bob added @dave"}, then, went[:1])...)

	info, err := bob.ChatInfo(ctx, "trip")
	if err != nil || info.Unread != 0 {
		t.Errorf("what happened counts as %d unread messages (%v)", info.Unread, err)
	}
}

func TestAFurtherDeviceIsShownWhereItReads(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.newChat("plan", "bob")
	alice.send("@bob", "hello")
	bob.sync()
	phone := w.further(bob, "bob's phone")
	alice.expectEvents("plan", "@alice made this group", "a device of @bob was added")
	alice.expectEvents("@bob", "a device of @bob was added")
	phone.expectEvents("plan", "a device of @bob was added")
	if err := bob.Revoke(t.Context(), phone.must().Device.Hex()); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	alice.expectEvents("plan", "@alice made this group", "a device of @bob was added", "a device of @bob is no longer here")
}

// duds are the lines of a chat that say why nothing is shown.
func (d *device) duds(chat string) (all []string) {
	d.w.t.Helper()
	lines, err := d.Lines(d.w.t.Context(), chat, Window{N: 100})
	if err != nil {
		d.w.t.Fatal(err)
	}
	for _, l := range lines.Lines {
		if l.Unreadable != nil {
			all = append(all, l.From+": "+l.Unreadable.Cause)
		}
	}
	return all
}

func TestABrokenMessageSaysWhy(t *testing.T) {
	w := newWorld(t)
	alice, bob, mallory := w.person("alice"), w.person("bob"), w.person("mallory")
	alice.newChat("plan", "bob", "mallory")
	w.agree("plan", alice, bob, mallory)
	hand := func(damage bool) {
		t.Helper()
		broken := alice.sealed("plan", "never seen")
		if damage {
			broken.Bytes[len(broken.Bytes)-1] ^= 1
		}
		mallory.at("plan", func(_ *tx, cv *conversation) error { return broken.Sign(cv.meta.Seed.key()) })
		if err := mallory.call(t.Context(), Conversations, proto.Append, &proto.AppendRequest{Entry: broken}, &proto.AppendResponse{}); err != nil {
			t.Fatal(err)
		}
	}
	hand(true)
	hand(false)
	alice.send("plan", "mine")
	bob.expect("plan", "alice: mine")
	if got, want := bob.duds("plan"), []string{"mallory: damaged", "mallory: foreign"}; !slices.Equal(got, want) {
		t.Errorf("bob is told %q, want %q", got, want)
	}
	if got := bob.events("plan"); len(got) != 1 {
		t.Errorf("events: %q", got)
	}
}

// sealed makes an entry of a message that its device then forgets.
func (d *device) sealed(chat, text string) (e proto.Entry) {
	d.w.t.Helper()
	d.at(chat, func(tx *tx, cv *conversation) error {
		m, err := newMessage(d.w.clock.Now(), Draft{Text: text})
		if err != nil {
			return err
		}
		n, err := tx.queue(cv.id, m)
		if err != nil {
			return err
		}
		r, err := tx.outRecord(cv.id, n)
		if err != nil {
			return err
		}
		if err := tx.seal(cv, n, r); err != nil {
			return err
		}
		e = *r.Entry
		tx.dropOut(cv.id, n, r)
		return nil
	})
	return e
}
