package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// lostHouse is alice with a group, a direct chat and notes, all in her backup;
// then she loses her device.
func lostHouse(t *testing.T) (w *world, bob *device, key kt.RecoveryKey) {
	t.Helper()
	w = newWorld(t)
	alice, key := w.keeper("alice")
	bob = w.person("bob")
	alice.newChat("plan", "bob")
	alice.send("plan", "one")
	alice.send("@bob", "two")
	alice.newChat("notes")
	alice.send("notes", "three")
	w.clock.advance(2 * time.Hour)
	alice.sync()
	bob.sync()
	return w, bob, key
}

func (w *world) houseIsBack(alice, bob *device) {
	w.t.Helper()
	w.back(alice, bob)
	alice.send("plan", "four")
	alice.expect("plan", "alice: one", "alice: four")
	alice.expect("notes", "alice: three")
	alice.send("notes", "five")
	bob.expect("@alice", "alice: two")
	bob.expect("plan", "alice: one", "alice: four")
	devices, err := bob.devicesOf("alice")
	if err != nil || len(devices) != 2 {
		w.t.Fatalf("alice has %d devices, %v", len(devices), err)
	}
}

func (d *device) devicesOf(handle string) (all []kt.Device, err error) {
	a, err := d.lookup(d.w.t.Context(), handle)
	if err != nil {
		return nil, err
	}
	chain, err := d.freshChain(d.w.t.Context(), a, 0)
	return chain.Devices(), err
}

// TestACrashAtEveryWriteOfRecovering crashes the new device at its n-th write,
// lost or kept; the same command again ends what was begun.
func TestACrashAtEveryWriteOfRecovering(t *testing.T) {
	for i, kept := range []bool{false, true} {
		for n := 1 + i; ; n += 3 { // the simulation takes them all
			if !crashRecovering(t, n, kept) {
				if n < 10 {
					t.Fatalf("only %d writes", n)
				}
				break
			}
		}
	}
}

func crashRecovering(t *testing.T, n int, kept bool) (reached bool) {
	w, bob, key := lostHouse(t)
	alice := w.newDevice("alice again")
	faulty := &faultyStore{Store: alice.store, countdown: n, kept: kept}
	alice.store = faulty
	for try := 0; ; try++ {
		err := alice.recover(t.Context(), "alice", key, RecoverOptions{EndOthers: true})
		for range 8 {
			if err != nil {
				break
			}
			w.clock.advance(10 * time.Second)
			if err = alice.Sync(t.Context()); err == nil {
				bob.sync()
			}
		}
		if err == nil {
			break
		}
		if try > 3 || !errors.Is(err, errFault) {
			t.Fatalf("crash %d (kept %v): %v", n, kept, err)
		}
	}
	reached, faulty.countdown = faulty.countdown <= 0, -1
	w.houseIsBack(alice, bob)
	alice.unwarned("still receives everything")
	if devices, _ := bob.devicesOf("alice"); !devices[0].Revoked {
		t.Errorf("crash %d (kept %v): the lost device is still one", n, kept)
	}
	return reached
}

// TestAnswersGetLostWhileRecovering loses each answer in turn, after its request
// had its effect.
func TestAnswersGetLostWhileRecovering(t *testing.T) {
	for n := 1; ; n += 2 {
		w, bob, key := lostHouse(t)
		alice := w.newDevice("alice again")
		calls := 0
		alice.net.set(func(net *wireTo) {
			net.after = func(proto.Method) error {
				if calls++; calls == n {
					return errCut
				}
				return nil
			}
		})
		for try := 0; ; try++ {
			err := alice.recover(t.Context(), "alice", key, RecoverOptions{})
			if err == nil {
				err = alice.Sync(t.Context())
			}
			if err == nil {
				break
			}
			if try > 3 || !errors.Is(err, ErrUnreachable) {
				t.Fatalf("answer %d lost: %v", n, err)
			}
		}
		last := calls < n
		alice.net.set(func(net *wireTo) { net.after = nil })
		w.houseIsBack(alice, bob)
		if last {
			if n < 20 {
				t.Fatalf("only %d requests", n)
			}
			return
		}
	}
}

// TestOnlyTheAccountsOwnBackupIsTaken: a server that gives out another backup is
// refused before anything is signed.
func TestOnlyTheAccountsOwnBackupIsTaken(t *testing.T) {
	w, _, key := lostHouse(t)
	mallory, other := w.keeper("mallory")
	mallory.sync()
	theirs := w.pointerOf(other)
	_, chain := w.backupOf(key)
	forged := w.forge(key, chain, mallory)
	altered := w.pointer(key)
	altered.Hash[0] ^= 1
	renumbered := w.pointer(key)
	renumbered.Nr++
	for name, pointer := range map[string][]byte{
		"another account's, sealed for another key": theirs,
		"one that no device of the account wrote":   forged,
		"other bytes than a device stored":          altered.bytes(),
		"another than its place says":               renumbered.bytes(),
		"a place nobody can read":                   []byte("nowhere"),
	} {
		d := w.newDevice("alice again")
		d.net.set(func(n *wireTo) {
			n.tamper = func(_ proto.Method, m proto.Message) {
				if r, ok := m.(*proto.RecoverResponse); ok {
					r.Backup = pointer
				}
			}
		})
		err := d.recover(t.Context(), "alice", key, RecoverOptions{})
		var safety *SafetyError
		if !errors.As(err, &safety) && !errors.Is(err, ErrNoBackup) {
			t.Errorf("%s: %v", name, err)
		}
		if _, now := w.backupOf(key); now.Len() != chain.Len() {
			t.Errorf("%s: a device was added all the same", name)
		}
	}
}

func (w *world) pointerOf(key kt.RecoveryKey) []byte {
	w.t.Helper()
	c, err := newClient(w.config(w.newDevice("reader")), ServerRef{URL: "https://test"})
	if err != nil {
		w.t.Fatal(err)
	}
	got, _, err := c.askRecovery(w.t.Context(), key, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return got.Backup
}

func (w *world) pointer(key kt.RecoveryKey) (p backupPointer) {
	w.t.Helper()
	if err := decode(w.pointerOf(key), p.wire); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// forge uploads a backup of key's account that by wrote, who is not of it.
func (w *world) forge(key kt.RecoveryKey, chain kt.Chain, by *device) []byte {
	w.t.Helper()
	k, err := sealingKeyOf(key)
	if err != nil {
		w.t.Fatal(err)
	}
	me := by.must()
	b := &backup{Counter: 1, Account: proto.AccountID(chain.Account()), Handle: "alice", Own: pinOf(chain)}
	sealed, err := b.seal(k, proto.DeviceID(chain.Devices()[0].ID), me.M)
	if err != nil {
		w.t.Fatal(err)
	}
	p := backupPointer{Device: me.Device, Nr: 1, Blob: proto.New[proto.BlobID](), Size: uint64(len(sealed)), Hash: sha(sealed)}
	if err := by.putOwnBlob(w.t.Context(), p.Blob, sealed); err != nil {
		w.t.Fatal(err)
	}
	return p.bytes()
}

// TestAnOlderBackupIsBoundAndTold: the server keeps back the newest backup. What
// the older one knew cannot be taken back, and that it is old is said.
func TestAnOlderBackupIsBoundAndTold(t *testing.T) {
	w, bob, key := lostHouse(t)
	old := w.pointerOf(key)
	alice := w.recover("alice", key, RecoverOptions{})
	w.back(alice, bob)
	w.clock.advance(50 * time.Hour)
	alice.sync()
	alice.send("plan", "the day after")
	bob.sync()
	d := w.newDevice("alice once more")
	d.net.set(func(n *wireTo) {
		n.tamper = func(_ proto.Method, m proto.Message) {
			if r, ok := m.(*proto.RecoverResponse); ok {
				r.Backup = old
			}
		}
	})
	if err := d.recover(t.Context(), "alice", key, RecoverOptions{}); err != nil {
		t.Fatal(err)
	}
	d.sync()
	// Its member keys are those of before: nobody can be asked by them.
	if names, err := d.Returning(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("waits for %q, %v", names, err)
	}
	d.warned("ask a member to add you")
	w2, _, key2 := lostHouse(t)
	c := w2.newDevice("alice again")
	if err := c.recover(t.Context(), "alice", key2, RecoverOptions{}); err != nil {
		t.Fatal(err)
	}
	c.unwarned("kept back a newer one")
	err := c.step(t.Context(), func(t *tx) error {
		var r recoveredRecord
		err := t.load(recoveredKey, r.wire)
		r.Active = r.Made + uint64((backupLate + time.Hour).Seconds())
		return errors.Join(err, t.save(recoveredKey, r.wire))
	})
	if err != nil {
		t.Fatal(err)
	}
	c.warned("kept back a newer one")
}

func (d *device) warnings() []string {
	d.w.t.Helper()
	s, err := d.Status(d.w.t.Context())
	if err != nil {
		d.w.t.Fatal(err)
	}
	return s.Warnings
}

func (d *device) warned(what string) {
	d.w.t.Helper()
	if all := d.warnings(); !slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, what) }) {
		d.w.t.Errorf("%s is told %q, not %q", d.name, all, what)
	}
}

func (d *device) unwarned(what string) {
	d.w.t.Helper()
	if all := d.warnings(); slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, what) }) {
		d.w.t.Errorf("%s is told %q", d.name, all)
	}
}

// TestALogOtherThanTheBackupKnewIsDistrusted: shorter, or another one.
func TestALogOtherThanTheBackupKnewIsDistrusted(t *testing.T) {
	for name, change := range map[string]func(*recoveredRecord){
		"shorter": func(r *recoveredRecord) { r.LogSize += 1000 },
		"another": func(r *recoveredRecord) { r.LogRoot[0] ^= 1 },
	} {
		w, _, key := lostHouse(t)
		d := w.newDevice("alice again")
		c, err := newClient(w.config(d), ServerRef{URL: "https://test"})
		if err != nil {
			t.Fatal(err)
		}
		me, _, err := c.beginRecover(t.Context(), ServerRef{URL: "https://test"}, "alice", key)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.recoverAccount(t.Context(), me, key, RecoverOptions{}); err != nil {
			t.Fatal(err)
		}
		d.Client = c
		err = c.step(t.Context(), func(t *tx) error {
			var r recoveredRecord
			err := t.load(recoveredKey, r.wire)
			change(&r)
			return errors.Join(err, t.save(recoveredKey, r.wire))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.recover(t.Context(), "alice", key, RecoverOptions{}); err != nil {
			t.Fatal(err)
		}
		d.warned("your backup had verified")
		err = d.step(t.Context(), func(t *tx) error { return t.logAlarm() })
		if err == nil {
			t.Errorf("%s: new keys are accepted", name)
		}
	}
}

// TestOlderKeysOfAContactThanTheBackupKnew: the server shows bob as he was.
func TestOlderKeysOfAContactThanTheBackupKnew(t *testing.T) {
	w, bob, key := lostHouse(t)
	b, _ := w.backupOf(key)
	i := slices.IndexFunc(b.Contacts, func(k backupContact) bool { return k.Handle == "bob" })
	if i < 0 || b.Contacts[i].Account != bob.must().Account || b.Contacts[i].Chain.Links == 0 {
		t.Fatalf("bob is not in the backup: %+v", b.Contacts)
	}
	var links [][]byte
	err := bob.step(t.Context(), func(tx *tx) (err error) {
		links, err = tx.links(bob.must2(tx))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d := w.newDevice("alice again")
	c, err := newClient(w.config(d), ServerRef{URL: "https://test"})
	if err != nil {
		t.Fatal(err)
	}
	a := bob.must().Account
	for name, c2 := range map[string]struct {
		pin     chainPin
		refused bool
	}{
		"as known":    {chainPin{uint32(len(links)), kt.LinkHash(links[len(links)-1])}, false},
		"one shorter": {chainPin{uint32(len(links)) + 1, kt.Hash{}}, true},
		"another":     {chainPin{uint32(len(links)), kt.Hash{1}}, true},
	} {
		err := c.step(t.Context(), func(t *tx) error {
			if err := t.save(pinKey(a), c2.pin.wire); err != nil {
				return err
			}
			return errors.Join(t.pinMet(a, links), t.meetPin(a, links))
		})
		if (err != nil) != c2.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (d *device) must2(t *tx) proto.AccountID {
	me, err := t.identity()
	if err != nil {
		d.w.t.Fatal(err)
	}
	return me.Account
}

// TestAStolenRecoveryKey: until it is replaced it reads the backup, in the sight
// of everybody; after that it is worth nothing.
func TestAStolenRecoveryKey(t *testing.T) {
	w := newWorld(t)
	alice, stolen := w.keeper("alice")
	bob := w.person("bob")
	alice.newChat("plan", "bob")
	alice.send("plan", "one")
	alice.newChat("other", "bob")
	bob.sync()
	before := w.pointer(stolen)
	thief := w.recover("alice", stolen, RecoverOptions{})
	thief.sync()
	if got := thief.read("plan"); !slices.Contains(got, "alice: one") {
		t.Fatalf("the thief reads %q: the residual risk is gone, say so", got)
	}
	w.clock.advance(10 * time.Minute)
	alice.sync()
	bob.sync()
	alice.warned("was added to your account with the recovery key")
	w.clock.advance(25 * time.Hour)
	bob.sync()
	bob.warned("@alice lost all devices")

	text, err := alice.NewRecoveryKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.Revoke(t.Context(), thief.must().Device.Hex()); err != nil {
		t.Fatal(err)
	}
	if err := w.newDevice("thief").recover(t.Context(), "alice", stolen, RecoverOptions{}); !errors.Is(err, proto.NoAccount) {
		t.Errorf("with the old key: %v", err)
	}
	next, err := kt.ParseRecoveryKey(text)
	if err != nil {
		t.Fatal(err)
	}
	p := w.pointer(next)
	c, _ := newClient(w.config(w.newDevice("thief")), ServerRef{URL: "https://test"})
	_, chain := w.backupOf(next)
	if _, _, err := c.fetchBackup(t.Context(), p.bytes(), stolen, chain); !errors.Is(err, ErrNoBackup) {
		t.Errorf("the old key opens the new backup: %v", err)
	}
	w.clock.advance(3 * 24 * time.Hour)
	w.clean()
	if _, err := c.getBlobOn(t.Context(), Account, before.Blob, before.Size, maxBackup); !errors.Is(err, proto.NoBlob) {
		t.Errorf("the old backup is still there: %v", err)
	}
	for range 4 {
		w.clock.advance(10 * time.Second)
		alice.sync()
		bob.sync()
	}
	alice.newChat("after", "bob")
	alice = w.recover("alice", next, RecoverOptions{})
	w.back(alice, bob)
	if got := alice.read("plan"); !slices.Contains(got, "alice: one") {
		t.Errorf("with the new key there is %q", got)
	}
}

// TestALostDeviceRevokedTooEarly: somebody revokes the lost device while its
// member key is the only way back; the calls are answered all the same.
func TestALostDeviceRevokedTooEarly(t *testing.T) {
	w, bob, key := lostHouse(t)
	alice := w.recover("alice", key, RecoverOptions{})
	alice.sync() // calls
	devices, err := alice.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.Revoke(t.Context(), devices[0].Device); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(25 * time.Hour) // bob looks at the chain again
	w.houseIsBack(alice, bob)
}

// TestWithoutABackup: the person is let in, and added by others.
func TestWithoutABackup(t *testing.T) {
	w, bob, key := lostHouse(t)
	d := w.newDevice("alice again")
	d.net.set(func(n *wireTo) {
		n.tamper = func(_ proto.Method, m proto.Message) {
			if r, ok := m.(*proto.RecoverResponse); ok {
				r.Backup = nil
			}
		}
	})
	wantIs(t, d.recover(t.Context(), "alice", key, RecoverOptions{}), ErrNoBackup)
	if err := d.recover(t.Context(), "alice", key, RecoverOptions{WithoutBackup: true}); err != nil {
		t.Fatal(err)
	}
	d.sync()
	w.clock.advance(2 * time.Minute)
	if err := bob.AddMembers(t.Context(), "plan", []string{"alice"}); err != nil {
		t.Fatal(err)
	}
	d.sync()
	d.send("plan", "without")
	bob.expect("plan", "alice: one", "alice: without")
}

// TestWrongNamesAndProfilesAreRefused: nothing is half made.
func TestWrongNamesAndProfilesAreRefused(t *testing.T) {
	w, bob, key := lostHouse(t)
	d := w.newDevice("x")
	if err := d.recover(t.Context(), "bob", key, RecoverOptions{}); err == nil || !strings.Contains(err.Error(), "is of @alice") {
		t.Errorf("under another name: %v", err)
	}
	if _, err := Open(t.Context(), w.config(d)); !errors.Is(err, ErrNoProfile) {
		t.Errorf("a profile is there: %v", err)
	}
	if _, _, err := Recover(t.Context(), w.config(bob), bob.server, "alice", key, RecoverOptions{}); !errors.Is(err, errHasProfile) {
		t.Errorf("into bob's profile: %v", err)
	}
	if err := d.recover(t.Context(), "alice", kt.GenerateRecoveryKey(), RecoverOptions{}); !errors.Is(err, proto.NoAccount) {
		t.Errorf("with a key of nobody: %v", err)
	}
	if err := d.recover(t.Context(), "alice", key, RecoverOptions{}); err != nil {
		t.Error(err)
	}
	w.houseIsBack(d, bob)
}
