package directory

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// joinWithKey is a person with a recovery key.
func (w *world) joinWithKey(handle string) (*person, kt.RecoveryKey) {
	w.t.Helper()
	p, key := newPerson(w.t, w.clock.t), kt.GenerateRecoveryKey()
	p.extend(p.chain.SetRecovery(w.clock.t, p.signer(), key.Public()))(w.t)
	if err := w.register(p, w.invitation(1, time.Hour), handle); err != nil {
		w.t.Fatal(err)
	}
	return p, key
}

// recovery is a request signed by key.
func (w *world) recovery(key kt.RecoveryKey, link []byte) *proto.RecoverRequest {
	nonce, _ := w.Sessions.Nonce()
	r := &proto.RecoverRequest{Key: key.Public(), Nonce: nonce, Link: link}
	r.Sig = key.Sign(proto.RecoverProof(w.Origin, r))
	return r
}

func (w *world) refusedRecovery(r *proto.RecoverRequest, want proto.Code) {
	w.t.Helper()
	if got, err := w.Recover(w.t.Context(), r); !errors.Is(err, want) {
		w.t.Errorf("got %+v, %v, want %v", got, err, want)
	}
}

func TestTheRecoveryKeyLetsADeviceIn(t *testing.T) {
	w := newWorld(t)
	p, key := w.joinWithKey("alice")
	got, err := w.Recover(t.Context(), w.recovery(key, nil))
	if err != nil || got.Account != p.account() || got.Handle != "alice" || len(got.Links) != 2 || got.Backup != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	d := newDevice()
	link := p.extend(p.chain.AddDevice(w.clock.t, kt.RecoverySigner(key), d.enrolment(t, p.chain.Account())))(t)
	for range 2 { // the same again changes nothing
		if got, err = w.Recover(t.Context(), w.recovery(key, link)); err != nil || len(got.Links) != 3 || !bytes.Equal(got.Links[2], link) {
			t.Fatalf("%d links, %v", len(got.Links), err)
		}
	}
	w.open(p, d)
	late := p.chain
	other, err := late.AddDevice(w.clock.t, kt.RecoverySigner(key), newDevice().enrolment(t, late.Account()))
	if err != nil {
		t.Fatal(err)
	}
	p.extend(p.chain.Refresh(w.clock.t, p.signer()))(t)
	s, _ := w.open(p, p.device)
	if _, err := w.ChainAppend(t.Context(), &proto.ChainAppendRequest{Session: s, Link: p.links[3]}); err != nil {
		t.Fatal(err)
	}
	w.refusedRecovery(w.recovery(key, other), proto.Conflict)
}

// Whoever does not have an account's recovery key is told the same, whatever is
// asked: there is no name in the request that could be guessed.
func TestARecoveryKeyThatIsNoAccountsFindsNothing(t *testing.T) {
	w := newWorld(t)
	p, key := w.joinWithKey("alice")
	w.refusedRecovery(w.recovery(kt.GenerateRecoveryKey(), nil), proto.NoAccount)
	forged := w.recovery(kt.GenerateRecoveryKey(), nil)
	forged.Key = key.Public() // which every member may know
	w.refusedRecovery(forged, proto.Forbidden)
	altered := w.recovery(key, nil)
	altered.From++
	w.refusedRecovery(altered, proto.Forbidden)
	twice := w.recovery(key, nil)
	if _, err := w.Recover(t.Context(), twice); err != nil {
		t.Fatal(err)
	}
	w.refusedRecovery(twice, proto.BadSession)
	for _, link := range [][]byte{
		p.links[0], []byte("no link"),
		must(p.chain.Refresh(w.clock.t, p.signer())),                                                                         // a device's
		must(p.chain.AddDevice(w.clock.t, p.signer(), newDevice().enrolment(t, p.chain.Account()))),                          // likewise
		must(otherAccount(t, w, key).AddDevice(w.clock.t, kt.RecoverySigner(key), newDevice().enrolment(t, kt.AccountID{}))), // another's chain
	} {
		w.refusedRecovery(w.recovery(key, link), proto.BadChain)
	}
}

func must(link []byte, _ error) []byte { return link }

// otherAccount is a chain, not registered, with the same recovery key.
func otherAccount(t *testing.T, w *world, key kt.RecoveryKey) kt.Chain {
	p := newPerson(t, w.clock.t)
	p.extend(p.chain.SetRecovery(w.clock.t, p.signer(), key.Public()))(t)
	return p.chain
}

func TestANewRecoveryKeyEndsTheOneBefore(t *testing.T) {
	w := newWorld(t)
	p, old := w.joinWithKey("alice")
	s, _ := w.open(p, p.device)
	next := kt.GenerateRecoveryKey()
	link := p.extend(p.chain.SetRecovery(w.clock.t, p.signer(), next.Public()))(t)
	for range 2 {
		if _, err := w.ChainAppend(t.Context(), &proto.ChainAppendRequest{Session: s, Link: link}); err != nil {
			t.Fatal(err)
		}
	}
	w.refusedRecovery(w.recovery(old, nil), proto.NoAccount)
	if got, err := w.Recover(t.Context(), w.recovery(next, nil)); err != nil || got.Account != p.account() {
		t.Fatal(got, err)
	}
	// A crash between the link and the index is mended by the next session.
	if err := w.store.SetRecovery(t.Context(), p.account(), w.recoveryLookup(old.Public())); err != nil {
		t.Fatal(err)
	}
	w.refusedRecovery(w.recovery(old, nil), proto.NoAccount) // the chain decides
	w.open(p, p.device)
	if _, err := w.Recover(t.Context(), w.recovery(next, nil)); err != nil {
		t.Fatal(err)
	}
}

func TestNobodyTakesAnothersRecoveryKey(t *testing.T) {
	w := newWorld(t)
	_, key := w.joinWithKey("alice")
	thief := newPerson(t, w.clock.t)
	thief.extend(thief.chain.SetRecovery(w.clock.t, thief.signer(), key.Public()))(t)
	if err := w.register(thief, w.invitation(1, time.Hour), "mallory"); !errors.Is(err, proto.BadChain) {
		t.Errorf("registered: %v", err)
	}
	mallory := w.join("mallory")
	s, _ := w.open(mallory, mallory.device)
	link := mallory.extend(mallory.chain.SetRecovery(w.clock.t, mallory.signer(), key.Public()))(t)
	if _, err := w.ChainAppend(t.Context(), &proto.ChainAppendRequest{Session: s, Link: link}); !errors.Is(err, proto.BadChain) {
		t.Errorf("appended: %v", err)
	}
}

func TestTheBackupsPlaceIsTheAccountsOwn(t *testing.T) {
	w := newWorld(t)
	alice, key := w.joinWithKey("alice")
	bob := w.join("bob")
	a, _ := w.open(alice, alice.device)
	b, _ := w.open(bob, bob.device)
	set := func(s proto.SessionID, previous, pointer string, blobs ...proto.BlobID) error {
		_, err := w.BackupSet(t.Context(), &proto.BackupSetRequest{Session: s, Previous: []byte(previous), Pointer: []byte(pointer), Blobs: blobs})
		return err
	}
	if err := set(a, "", "here"); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[proto.Code]error{
		proto.Conflict: set(a, "", "there"), proto.Malformed: set(a, "here", ""), proto.BadSession: set(proto.SessionID{1}, "here", "there"),
		proto.NoBlob: set(a, "here", "there", proto.BlobID{1}), proto.TooLarge: set(a, "here", "there", make([]proto.BlobID, proto.MaxBackupBlobs+1)...),
	} {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if got, err := w.BackupGet(t.Context(), &proto.BackupGetRequest{Session: b}); err != nil || len(got.Pointer) != 0 {
		t.Errorf("another account has %q, %v", got.Pointer, err)
	}
	if got, err := w.Recover(t.Context(), w.recovery(key, nil)); err != nil || string(got.Backup) != "here" {
		t.Errorf("the recovery key finds %q, %v", got.Backup, err)
	}
}
