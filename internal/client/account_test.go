package client

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/store/mem"
	"codeberg.org/huis/huis/internal/client/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

func TestJoin(t *testing.T) {
	w := newWorld(t)
	d := w.newDevice("alice")
	inv := w.invitation()
	c, j, err := Join(t.Context(), w.config(d), inv, "alice")
	if err != nil {
		t.Fatal(err)
	}
	d.Client = c
	me := d.must()
	if j.Account != me.Account.Hex() || j.Device != me.Device.Hex() || j.Handle != "alice" {
		t.Errorf("joined %+v", j)
	}
	key, err := kt.ParseRecoveryKey(j.RecoveryKey)
	if err != nil {
		t.Fatal(err)
	}
	err = c.step(t.Context(), func(tx *tx) error {
		chain, _, err := tx.chain(me.Account)
		if set, ok := chain.Recovery(); !ok || set != key.Public() {
			t.Error("the chain has another recovery key than was shown")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Shown once: nothing of it stays, nor of what opens backups.
	if err := c.RecoveryKeyShown(t.Context()); err != nil {
		t.Fatal(err)
	}
	seed := key.Derive("backup")
	all, _ := d.store.List(t.Context(), "", "", 0)
	for _, r := range all {
		if bytes.Contains(r.Value, []byte(j.RecoveryKey)) || bytes.Contains(r.Value, seed[:]) {
			t.Errorf("record %s has the recovery key", r.Key)
		}
	}
	if s, err := c.Status(t.Context()); err != nil || s.Handle != "alice" || s.Server.URL != inv.Server.URL {
		t.Errorf("status %+v, %v", s, err)
	}
	d.restart()
	d.sync()
}

func TestARefusedJoinKeepsNothing(t *testing.T) {
	w := newWorld(t)
	w.person("alice")
	unknown := w.invitation()
	unknown.Token[0] ^= 1
	for name, c := range map[string]struct {
		inv    Invitation
		handle string
		want   proto.Code
	}{
		"name taken":         {w.invitation(), "alice", proto.NameTaken},
		"bad name":           {w.invitation(), "Alice!", proto.BadName},
		"unknown invitation": {unknown, "carol", proto.InviteUnknown},
	} {
		d := w.newDevice("x")
		_, _, err := Join(t.Context(), w.config(d), c.inv, c.handle)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if all, _ := d.store.List(t.Context(), "", "", 0); len(all) != 0 {
			t.Errorf("%s: %d records stay", name, len(all))
		}
		if c.want == proto.InviteUnknown {
			continue
		}
		// The invitation is good for another name still.
		cl, _, err := Join(t.Context(), w.config(d), c.inv, "other"+fmt.Sprint(len(name)))
		if err != nil {
			t.Errorf("%s: the invitation is used up: %v", name, err)
		} else if _, err := cl.Devices(t.Context()); err != nil {
			t.Error(err)
		}
	}
	used := w.invitation()
	if _, _, err := Join(t.Context(), w.config(w.newDevice("1")), used, "dave"); err != nil {
		t.Fatal(err)
	}
	_, _, err := Join(t.Context(), w.config(w.newDevice("2")), used, "erin")
	wantIs(t, err, proto.InviteUsed)
}

// TestJoinSurvivesCrashes kills the joining device at each write, and after
// each request whose answer is lost; the same command again gives one account.
func TestJoinSurvivesCrashes(t *testing.T) {
	for _, outcome := range []storetest.Outcome{storetest.Failed, storetest.FailedButKept} {
		for k := 1; k <= 6; k++ {
			w := newWorld(t)
			d := w.newDevice("alice")
			f := storetest.NewFaulty(mem.New())
			d.store = f
			f.FailAt(k, outcome)
			inv := w.invitation()
			c, j, err := Join(t.Context(), w.config(d), inv, "alice")
			f.Revive()
			if err != nil {
				c, j, err = Join(t.Context(), w.config(d), inv, "alice")
			}
			if errors.Is(err, errHasProfile) {
				c, err = Open(t.Context(), w.config(d))
			} else if err == nil && j.RecoveryKey == "" {
				t.Errorf("write %d, outcome %d: no recovery key was shown", k, outcome)
			}
			if err != nil {
				t.Fatalf("write %d, outcome %d: %v", k, outcome, err)
			}
			if err := c.Sync(t.Context()); err != nil {
				t.Fatalf("write %d, outcome %d: %v", k, outcome, err)
			}
		}
	}
	w := newWorld(t)
	d, inv := w.newDevice("alice"), w.invitation()
	lose := true
	d.net.set(func(n *wireTo) {
		n.after = func(m proto.Method) error {
			if m == proto.Register && lose {
				lose = false
				return errCut
			}
			return nil
		}
	})
	_, _, err := Join(t.Context(), w.config(d), inv, "alice")
	wantIs(t, err, ErrUnreachable)
	_, j, err := Join(t.Context(), w.config(d), inv, "alice")
	if err != nil || j.Handle != "alice" {
		t.Fatalf("again: %+v, %v", j, err)
	}
}

func TestAServerThatRegistersAnotherAccount(t *testing.T) {
	w := newWorld(t)
	d := w.newDevice("alice")
	d.net.set(func(n *wireTo) {
		n.tamper = func(_ proto.Method, m proto.Message) {
			if r, ok := m.(*proto.RegisterResponse); ok {
				r.Account[0] ^= 1
			}
		}
	})
	_, _, err := Join(t.Context(), w.config(d), w.invitation(), "alice")
	var safety *SafetyError
	if !errors.As(err, &safety) {
		t.Fatal(err)
	}
}

func TestARevokedDeviceIsOut(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	phone := w.further(bob, "phone")
	alice.send("@bob", "one")
	for range 2 {
		bob.sync()
		phone.sync()
		alice.sync()
	}
	if got := phone.held("@alice"); len(got) != 1 {
		t.Fatalf("phone has %q", got)
	}
	lost := phone.must().Device
	for _, bad := range []string{"", "zz", lost.Hex() + "00"} {
		if bob.Revoke(t.Context(), bad) == nil {
			t.Errorf("revoked %q", bad)
		}
	}
	if err := bob.Revoke(t.Context(), lost.Hex()[:8]); err != nil {
		t.Fatal(err)
	}
	if err := bob.Revoke(t.Context(), lost.Hex()); err == nil {
		t.Error("revoked twice")
	}
	list, err := bob.Devices(t.Context())
	if err != nil || len(list) != 2 || !list[1].Revoked || list[0].Revoked {
		t.Fatalf("%+v, %v", list, err)
	}
	alice.sync()
	members, _ := alice.Members(t.Context(), "@bob")
	if len(members) != 2 {
		t.Errorf("%d members after the revocation", len(members))
	}
	alice.send("@bob", "secret")
	bob.sync()
	if got := bob.held("@alice"); got[len(got)-1] != "alice: secret" {
		t.Errorf("bob has %q", got)
	}
	wantIs(t, phone.Sync(t.Context()), ErrRevoked)
	if got := phone.held("@alice"); len(got) != 1 {
		t.Errorf("the revoked device read on: %q", got)
	}
	if s, err := phone.Send(t.Context(), "@alice", Draft{Text: "from the thief"}); err == nil && s.Seq != nil {
		t.Error("the revoked device wrote")
	}
	alice.sync()
	for _, m := range alice.held("@bob") {
		if strings.Contains(m, "thief") {
			t.Error("the revoked device was heard")
		}
	}
}

// TestAnyMemberRemovesARevokedDevice: the revoking device dies after the
// REVOKE; the other person's device removes the leaf before it writes.
func TestAnyMemberRemovesARevokedDevice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	phone := w.further(bob, "phone")
	alice.send("@bob", "one")
	for range 2 {
		bob.sync()
		phone.sync()
	}
	bob.net.set(func(n *wireTo) {
		n.before = func(m proto.Method) error {
			if m == proto.Commit {
				return errCut
			}
			return nil
		}
	})
	if err := bob.Revoke(t.Context(), phone.must().Device.Hex()); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(25 * time.Hour) // alice's knowledge of bob's chain is too old
	alice.send("@bob", "two")
	members, _ := alice.Members(t.Context(), "@bob")
	if len(members) != 2 {
		t.Errorf("alice wrote to %d devices", len(members))
	}
}

func TestRotation(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	bob.sync()
	before := bob.must().M.PublicKey()
	if err := bob.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(bob.must().M.PublicKey(), before) {
		t.Fatal("the key is the same")
	}
	// Written before the leaf has followed, and after.
	bob.send("@alice", "two")
	bob.sync()
	bob.send("@alice", "three")
	alice.expect("@bob", "alice: one", "bob: two", "bob: three")
	members, _ := alice.Members(t.Context(), "@bob")
	for _, m := range members {
		if m.Warning != "" {
			t.Errorf("%s: %s", m.Handle, m.Warning)
		}
	}
	// New conversations use the new key.
	carol := w.person("carol")
	carol.send("@bob", "hello")
	bob.expect("@carol", "carol: hello")

	// Once a month by itself.
	before = bob.must().M.PublicKey()
	w.clock.advance(rotateEvery + time.Hour)
	bob.sync()
	if bytes.Equal(bob.must().M.PublicKey(), before) {
		t.Error("a month later the key is the same")
	}
	bob.send("@carol", "later")
	carol.expect("@bob", "carol: hello", "bob: later")
}

// TestRotationSurvivesCrashes: whatever of a ROTATE happened, the device goes
// on with the key its chain names.
func TestRotationSurvivesCrashes(t *testing.T) {
	for k := 1; k <= 8; k++ {
		w := newWorld(t)
		alice, bob := w.person("alice"), w.person("bob")
		alice.send("@bob", "one")
		bob.sync()
		f := storetest.NewFaulty(bob.store)
		bob.store = f
		bob.restart()
		f.FailAt(k, []storetest.Outcome{storetest.Failed, storetest.FailedButKept}[k%2])
		_ = bob.Rotate(t.Context())
		f.Revive()
		bob.restart()
		bob.sync()
		bob.send("@alice", "two")
		alice.expect("@bob", "alice: one", "bob: two")
	}
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	alice.send("@bob", "one")
	bob.sync()
	bob.net.set(func(n *wireTo) {
		n.after = func(m proto.Method) error {
			if m == proto.ChainAppend {
				n.before = func(proto.Method) error { return errCut }
				return errCut
			}
			return nil
		}
	})
	if bob.Rotate(t.Context()) == nil {
		t.Fatal("rotated without an answer")
	}
	bob.net.set(func(n *wireTo) { n.before, n.after = nil, nil })
	bob.restart()
	bob.sync()
	bob.send("@alice", "two")
	alice.expect("@bob", "alice: one", "bob: two")
}

func TestInvite(t *testing.T) {
	w := newWorld(t)
	admin, bob := w.person("admin"), w.person("bob")
	inv, err := admin.Invite(t.Context(), 2, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseInvitation(inv.String())
	if err != nil || parsed.Inviter != admin.must().Account {
		t.Fatalf("%+v, %v", parsed, err)
	}
	for i, handle := range []string{"carol", "dave"} {
		d := w.newDevice(handle)
		c, _, err := Join(t.Context(), w.config(d), parsed, handle)
		if err != nil {
			t.Fatalf("use %d: %v", i, err)
		}
		err = c.step(t.Context(), func(t *tx) error { // the inviter is a contact from the start
			_, known, err := t.chain(parsed.Inviter)
			if !known {
				err = errors.Join(err, errors.New("the inviter's chain is not known"))
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	_, _, err = Join(t.Context(), w.config(w.newDevice("x")), parsed, "erin")
	wantIs(t, err, proto.InviteUsed)
	_, err = bob.Invite(t.Context(), 1, time.Hour)
	wantIs(t, err, proto.Forbidden)
	for _, uses := range []int{0, -1, 1 << 16} {
		if _, err := admin.Invite(t.Context(), uses, time.Hour); err == nil {
			t.Errorf("%d uses", uses)
		}
	}
	old, err := admin.Invite(t.Context(), 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * time.Hour)
	_, _, err = Join(t.Context(), w.config(w.newDevice("x")), old, "erin")
	wantIs(t, err, proto.InviteExpired)
}
