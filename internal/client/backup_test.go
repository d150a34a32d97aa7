package client

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

func sha(b []byte) proto.Hash { return sha256.Sum256(b) }

func (p *backupPointer) bytes() []byte { return wire.MustEncode(p.wire) }

// TestABackupIsPaddedAndHoldsNothingInClear: small accounts' are of one size,
// and of what was said or named nothing stands in any blob.
func TestABackupIsPaddedAndHoldsNothingInClear(t *testing.T) {
	w := newWorld(t)
	alice, key := w.keeper("alice-kx2v9q")
	small := w.pointerAfter(alice, key)
	bob := w.person("bob-w81m4z")
	canaries := []string{"plan-5hq7c1", "text-z0pp3w", "bob-w81m4z", "alice-kx2v9q"}
	alice.newChat(canaries[0], "bob-w81m4z")
	alice.send(canaries[0], canaries[1])
	alice.newChat("more")
	bob.sync()
	w.clock.advance(2 * time.Hour)
	larger := w.pointerAfter(alice, key)
	if small.Size != larger.Size || small.Blob == larger.Blob {
		t.Errorf("backups of %d and %d bytes", small.Size, larger.Size)
	}
	b, _ := w.backupOf(key)
	secrets := [][]byte{}
	for _, c := range canaries {
		secrets = append(secrets, []byte(c))
	}
	parts := 0
	for _, h := range b.Chats {
		var m meta
		if err := wire.Decode(h.Meta, m.wire); err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, m.Seed[:], h.Conversation[:])
		parts += len(h.History)
	}
	if parts == 0 || len(secrets) < 8 {
		t.Fatalf("%d history parts, %d secrets: nothing is tested", parts, len(secrets))
	}
	found := 0
	for id := range w.blobs() {
		sealed, err := alice.getBlobOn(t.Context(), Account, id, w.sizeOf(id), 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		found++
		for _, s := range secrets {
			if bytes.Contains(sealed, s) {
				t.Errorf("%q stands in a blob of the server", s)
			}
		}
	}
	if found < 2+parts {
		t.Errorf("only %d blobs were looked at", found)
	}
	// No device can read what it writes: the profile has no key that opens it.
	private, err := openingKey(key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	seed := key.Derive("backup")
	for _, r := range alice.records() {
		if bytes.Contains(r.Value, secret) || bytes.Contains(r.Value, seed[:]) {
			t.Errorf("record %s opens backups", r.Key)
		}
	}
}

func (d *device) records() []store.Record {
	d.w.t.Helper()
	all, err := d.store.List(d.w.t.Context(), "", "", 0)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return all
}

func (w *world) blobs() map[proto.BlobID]bool {
	w.t.Helper()
	ids, err := w.store.BlobIDs(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return ids
}

func (w *world) sizeOf(id proto.BlobID) uint64 {
	w.t.Helper()
	b, err := w.store.Blob(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return b.Size
}

func TestBackupBuckets(t *testing.T) {
	for n, want := range map[int]int{0: 32 << 10, 32 << 10: 32 << 10, 32<<10 + 1: 48 << 10, 49 << 10: 64 << 10, 1<<20 + 1: 3 << 19} {
		if got := backupBucket(n); got != want {
			t.Errorf("%d bytes are padded to %d, want %d", n, got, want)
		}
	}
}

// TestAQuietAccountWritesNoBackup: each sync looks, and only what has changed,
// or a day, makes one.
func TestAQuietAccountWritesNoBackup(t *testing.T) {
	w := newWorld(t)
	alice, key := w.keeper("alice")
	bob := w.person("bob")
	alice.newChat("plan", "bob")
	alice.sync()
	bob.sync()
	p := w.pointerAfter(alice, key)
	for range 5 {
		w.clock.advance(time.Minute)
		alice.send("plan", "a message is no reason")
		alice.sync()
	}
	if now := w.pointer(key); now.Nr != p.Nr {
		t.Errorf("%d backups for five messages", now.Nr-p.Nr)
	}
	w.clock.advance(time.Hour)
	alice.sync()
	if now := w.pointer(key); now.Nr != p.Nr+1 {
		t.Errorf("%d backups in an hour with messages", now.Nr-p.Nr)
	}
	for range 10 {
		w.clock.advance(2 * time.Hour)
		alice.sync()
	}
	if now := w.pointer(key); now.Nr != p.Nr+1 {
		t.Errorf("%d backups in twenty hours of silence", now.Nr-p.Nr-1)
	}
	w.clock.advance(5 * time.Hour)
	alice.sync()
	if now := w.pointer(key); now.Nr != p.Nr+2 {
		t.Errorf("%d backups after a day", now.Nr-p.Nr)
	}
	bob.newChat("theirs", "alice")
	alice.sync()
	if now := w.pointer(key); now.Nr != p.Nr+3 {
		t.Errorf("a new conversation made %d backups", now.Nr-p.Nr-2)
	}
	w.clock.advance(3 * 24 * time.Hour)
	w.clean()
	n := 0
	for id := range w.blobs() {
		if b, err := w.store.Blob(t.Context(), id); err != nil {
			t.Fatal(err)
		} else if b.Owner == nil {
			n++
		}
	}
	if n != 5 { // alice's with two parts, bob's with one
		t.Errorf("%d blobs of backups are kept", n)
	}
}

// pointerAfter is where the backup is once the device has synced.
func (w *world) pointerAfter(d *device, key kt.RecoveryKey) backupPointer {
	w.t.Helper()
	d.sync()
	return w.pointer(key)
}

// TestFleetingMessagesAreInNoBackup: neither those that disappear nor, in the
// next one, those taken back.
func TestFleetingMessagesAreInNoBackup(t *testing.T) {
	w := newWorld(t)
	alice, key := w.keeper("alice")
	bob := w.person("bob")
	alice.newChat("gone", "bob")
	if err := alice.SetExpiry(t.Context(), "gone", 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	alice.send("gone", "soon")
	alice.newChat("plan", "bob")
	alice.send("plan", "kept")
	w.clock.advance(2 * time.Hour)
	alice.sync()
	bob.sync()
	b, _ := w.backupOf(key)
	with := 0
	for _, h := range b.Chats {
		var m meta
		if err := wire.Decode(h.Meta, m.wire); err != nil {
			t.Fatal(err)
		}
		if m.Policy.Name == "gone" && len(h.History) > 0 {
			t.Error("history of a conversation whose messages disappear")
		}
		with += len(h.History)
	}
	if with != 1 {
		t.Fatalf("%d parts of history", with)
	}
	id := alice.inspect1("plan").Conversation
	var last uint64
	err := alice.step(t.Context(), func(tx *tx) error {
		parts, err := tx.parts(id)
		if err != nil {
			return err
		}
		last = parts[0].Last
		return tx.unarchive(id, last)
	})
	if err != nil {
		t.Fatal(err)
	}
	before := b.Chats[slices.IndexFunc(b.Chats, func(h backupChat) bool { return h.Conversation == id })].History[0]
	w.clock.advance(2 * time.Hour)
	alice.sync()
	b, _ = w.backupOf(key)
	after := b.Chats[slices.IndexFunc(b.Chats, func(h backupChat) bool { return h.Conversation == id })].History
	if len(after) != 1 || after[0].Last < last || bytes.Equal(after[0].Ref, before.Ref) {
		t.Errorf("the part with a message taken back is the same: %+v", after)
	}
}

// TestAFurtherDeviceWritesTheBackup: it learns what to seal to, leaves the work
// to the first one, and does it when that is gone.
func TestAFurtherDeviceWritesTheBackup(t *testing.T) {
	w := newWorld(t)
	alice, key := w.keeper("alice")
	bob := w.person("bob")
	alice.newChat("plan", "bob")
	phone := w.further(alice, "alice's phone")
	for range 3 {
		alice.sync()
		phone.sync()
		bob.sync()
	}
	first := alice.must().Device
	if p := w.pointer(key); p.Device != first {
		t.Fatal("another device than the first made the backup")
	}
	w.clock.advance(12 * time.Hour)
	phone.newChat("more", "bob")
	phone.sync()
	if p := w.pointer(key); p.Device != first {
		t.Fatal("two devices make backups at once")
	}
	w.clock.advance(50 * time.Hour)
	phone.send("plan", "from the phone")
	phone.sync()
	if p := w.pointer(key); p.Device != phone.must().Device {
		t.Fatal("nobody makes backups once the first device is away")
	}
	if err := phone.Revoke(t.Context(), first.Hex()); err != nil {
		t.Fatal(err)
	}
	phone.sync()
	bob.sync()
	alice = w.recover("alice", key, RecoverOptions{})
	w.back(alice, bob)
	alice.send("plan", "back")
	if got := alice.read("plan"); !slices.Contains(got, "alice: from the phone") {
		t.Errorf("from the phone's backup there is %q", got)
	}
	bob.sync()
	if got := bob.read("plan"); got[len(got)-1] != "alice: back" {
		t.Errorf("bob has %q", got)
	}
}

// TestASealingKeyNeedsTheRecoveryKeysSignature: a device of the account cannot
// turn the others' backups to a key of its own.
func TestASealingKeyNeedsTheRecoveryKeysSignature(t *testing.T) {
	w := newWorld(t)
	alice, key := w.keeper("alice")
	k, err := sealingKeyOf(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.check(); err != nil {
		t.Error(err)
	}
	k.Key[0] ^= 1
	err = alice.step(t.Context(), func(tx *tx) error { return tx.takeSealingKey(wire.MustEncode(k.wire)) })
	if err == nil {
		t.Error("a sealing key that the recovery key did not sign is taken over")
	}
}

// TestAFailingBackupIsNotTriedAllTheTime: each try uploads.
func TestAFailingBackupIsNotTriedAllTheTime(t *testing.T) {
	w := newWorld(t)
	alice, key := w.keeper("alice")
	alice.sync()
	nr, uploads := w.pointer(key).Nr, 0
	alice.net.set(func(n *wireTo) {
		n.before = func(m proto.Method) error {
			if m == proto.BackupSet {
				uploads++
				return proto.Refuse(proto.Quota)
			}
			return nil
		}
	})
	alice.newChat("notes")
	uploads = 0
	for range 10 {
		alice.sync()
		w.clock.advance(20 * time.Second)
	}
	if uploads != 1 {
		t.Errorf("%d uploads in three minutes", uploads)
	}
	alice.net.set(func(n *wireTo) { n.before = nil })
	w.clock.advance(retryBackup)
	alice.sync()
	if now := w.pointer(key).Nr; now != nr+1 {
		t.Errorf("backup %d after %d", now, nr)
	}
}
