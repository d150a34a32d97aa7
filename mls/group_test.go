package mls

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"
)

var testTime = time.Unix(1_700_000_000, 0)

// device is a member under test: its group, and the store its deltas go to.
type device struct {
	t     testing.TB
	name  string
	suite CipherSuite
	opt   Options

	signer SignaturePrivateKey
	bundle *KeyPackageBundle
	group  *Group
	store  map[string][]byte
	psks   map[string]Secret
}

func newDevice(t testing.TB, suite CipherSuite, name string) *device {
	d := &device{t: t, name: name, suite: suite, store: map[string][]byte{}, psks: map[string]Secret{}}
	d.opt = Options{MaxResumptionEpochs: 50, PSKs: func(id *PreSharedKeyID) (Secret, error) {
		if s, ok := d.psks[string(id.PSKID)]; ok && id.PSKType == PSKExternal {
			return s, nil
		}
		return nil, errNoPSK
	}}
	var err error
	d.signer, _, err = GenerateSignatureKey(suite)
	d.must(err)
	return d
}

func (d *device) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("%s: %v", d.name, err)
	}
}

// keyPackage makes a fresh key package and keeps its private keys.
func (d *device) keyPackage() *KeyPackage {
	d.t.Helper()
	var err error
	d.bundle, err = NewKeyPackage(d.suite, d.signer, BasicCredential([]byte(d.name)), KeyPackageOptions{
		Lifetime: Lifetime{uint64(testTime.Unix()) - 10, uint64(testTime.Unix()) + 1000},
	})
	d.must(err)
	b, err := d.bundle.MarshalBinary()
	d.must(err)
	d.bundle = new(KeyPackageBundle)
	d.must(d.bundle.UnmarshalBinary(b))
	return d.bundle.KeyPackage
}

// write applies a delta and goes on with what the store gives back.
func (d *device) write(delta Delta) {
	d.t.Helper()
	seen := map[string]bool{}
	for _, r := range delta {
		if seen[r.Key] {
			d.t.Fatalf("%s: delta has %s twice", d.name, r.Key)
		}
		seen[r.Key] = true
		if r.Value == nil {
			delete(d.store, r.Key)
		} else {
			d.store[r.Key] = bytes.Clone(r.Value)
		}
	}
	g, err := Restore(func(k string) ([]byte, error) { return d.store[k], nil }, d.opt)
	d.must(err)
	if d.group != nil && !d.group.removed && !bytes.Equal(g.EpochAuthenticator(), d.group.EpochAuthenticator()) {
		d.t.Fatalf("%s: restored another epoch", d.name)
	}
	d.group = g
}

func (d *device) create(id string, extensions ...Extension) {
	d.t.Helper()
	g, delta, err := NewGroup(d.suite, []byte(id), d.signer, BasicCredential([]byte(d.name)), GroupOptions{Extensions: extensions}, d.opt)
	d.must(err)
	d.group = g
	d.write(delta)
}

func add(kp *KeyPackage) Proposal { return Proposal{Type: ProposalAdd, Add: &Add{*kp}} }

func remove(l LeafIndex) Proposal { return Proposal{Type: ProposalRemove, Remove: &Remove{l}} }

// commit makes a commit, stores and reads back the staged commit, merges it.
func (d *device) commit(opt CommitOptions) *StagedCommit {
	d.t.Helper()
	c, err := d.group.Commit(testTime, opt)
	d.must(err)
	d.write(c.Delta)
	b, err := c.MarshalBinary()
	d.must(err)
	c, err = d.group.ParseStagedCommit(b)
	d.must(err)
	delta, err := d.group.Merge(testTime, c)
	d.must(err)
	d.write(delta)
	return c
}

func (d *device) join(w *Welcome, tree []byte) {
	d.t.Helper()
	var given *RatchetTree
	if tree != nil {
		var err error
		given, err = ParseRatchetTree(tree)
		d.must(err)
	}
	g, delta, err := Join(w, d.bundle, JoinOptions{RatchetTree: given}, d.opt)
	d.must(err)
	d.group = g
	d.write(delta)
}

// receive processes a message and merges it if it is a commit.
func (d *device) receive(msg []byte) *Processed {
	d.t.Helper()
	p, err := d.group.Process(testTime, msg)
	d.must(err)
	delta := p.Delta
	if p.Commit != nil {
		delta, err = d.group.Merge(testTime, p.Commit)
		d.must(err)
	}
	d.write(delta)
	return p
}

func (d *device) protect(text string) []byte {
	d.t.Helper()
	msg, delta, err := d.group.Protect([]byte(text), []byte("aad"))
	d.must(err)
	d.write(delta)
	return msg
}

// sameEpoch fails unless all agree on the epoch and its members.
func sameEpoch(t testing.TB, ds ...*device) {
	t.Helper()
	for _, d := range ds[1:] {
		if !bytes.Equal(d.group.EpochAuthenticator(), ds[0].group.EpochAuthenticator()) || d.group.Epoch() != ds[0].group.Epoch() {
			t.Fatalf("%s is at epoch %d and %s at %d, or with other secrets", d.name, d.group.Epoch(), ds[0].name, ds[0].group.Epoch())
		}
		if !bytes.Equal(d.group.RatchetTree(), ds[0].group.RatchetTree()) {
			t.Fatalf("%s and %s have different trees", d.name, ds[0].name)
		}
	}
}

// ourSuites are those tests run for.
var ourSuites = []CipherSuite{
	X25519AES128SHA256Ed25519, P256AES128SHA256P256, X25519ChaChaSHA256Ed25519,
	P521AES256SHA512P521, P384AES256SHA384P384, XWingChaChaSHA384Ed25519,
}

func eachSuite(t *testing.T, f func(t *testing.T, suite CipherSuite)) {
	for _, s := range ourSuites {
		t.Run(fmt.Sprintf("suite %#x", uint16(s)), func(t *testing.T) { f(t, s) })
	}
}

func TestMembersAgreeThroughAddUpdateRemove(t *testing.T) {
	eachSuite(t, func(t *testing.T, suite CipherSuite) {
		for _, public := range []bool{false, true} {
			alice, bob, carol := newDevice(t, suite, "alice"), newDevice(t, suite, "bob"), newDevice(t, suite, "carol")
			alice.create("group")
			c := alice.commit(CommitOptions{Proposals: []Proposal{add(bob.keyPackage())}, Public: public, TreeInWelcome: true})
			bob.join(c.Welcome(), nil)
			sameEpoch(t, alice, bob)

			c = bob.commit(CommitOptions{Proposals: []Proposal{add(carol.keyPackage())}, NoPath: true, Public: public})
			alice.receive(c.Message())
			carol.join(c.Welcomes()[0], bob.group.RatchetTree())
			sameEpoch(t, alice, bob, carol)

			late := alice.protect("late")
			c = carol.commit(CommitOptions{Public: public})
			alice.receive(c.Message())
			bob.receive(c.Message())
			sameEpoch(t, alice, bob, carol)

			if p := bob.receive(alice.protect("hello")); string(p.Data) != "hello" || p.SenderMember.Leaf != 0 {
				t.Fatalf("received %q of leaf %d", p.Data, p.SenderMember.Leaf)
			}
			if p := bob.receive(late); string(p.Data) != "late" || p.Epoch != 2 {
				t.Fatalf("received %q of epoch %d", p.Data, p.Epoch)
			}

			c = alice.commit(CommitOptions{Proposals: []Proposal{remove(1)}, Public: public})
			carol.receive(c.Message())
			if p := bob.receive(c.Message()); !p.Commit.SelfRemoved || !bob.group.Removed() {
				t.Fatal("bob does not know it was removed")
			}
			sameEpoch(t, alice, carol)
			if _, err := bob.group.Process(testTime, carol.protect("x")); !errors.Is(err, ErrRemoved) {
				t.Fatalf("removed member: %v", err)
			}
		}
	})
}

// TestFailedWriteIsRepeated: when the caller could not store the delta of a
// merge, it restores the group and merges the same staged commit again.
func TestFailedWriteIsRepeated(t *testing.T) {
	w := newWorld(t)
	msg := w.alice.commit(CommitOptions{}).Message()
	p, err := w.bob.group.Process(testTime, msg)
	w.bob.must(err)
	if _, err := w.bob.group.Merge(testTime, p.Commit); err != nil { // its delta is lost
		t.Fatal(err)
	}
	w.bob.group = nil
	w.bob.write(nil) // restore
	delta, err := w.bob.group.Merge(testTime, p.Commit)
	w.bob.must(err)
	w.bob.write(delta)
	sameEpoch(t, w.alice, w.bob)
	if got := w.bob.receive(w.alice.protect("hello")); string(got.Data) != "hello" {
		t.Fatalf("read %q", got.Data)
	}
	if got := w.alice.receive(w.bob.protect("hello")); string(got.Data) != "hello" {
		t.Fatalf("read %q", got.Data)
	}
}

// TestStoredStateIsComplete: what is not in the head is in nobody's way, and a
// record that is missing or damaged is an error and no panic.
func TestStoredStateIsComplete(t *testing.T) {
	w := newWorld(t)
	w.bob.receive(w.forgeProposal(remove(3), forgery{}))
	w.bob.receive(w.alice.protect("hello"))
	for key, value := range w.bob.store {
		broken := func(b []byte) func(string) ([]byte, error) {
			return func(k string) ([]byte, error) {
				if k == key {
					return b, nil
				}
				return w.bob.store[k], nil
			}
		}
		_, _ = Restore(broken(nil), w.bob.opt) // no panic
		for n := range min(len(value), 200) {
			_, _ = Restore(broken(value[:n]), w.bob.opt) // no panic
			flipped := bytes.Clone(value)
			flipped[n] ^= 0x41
			_, _ = Restore(broken(flipped), w.bob.opt)
		}
	}
	for _, key := range []string{"head", epochKey(w.bob.group.Epoch()), treeKey(w.bob.group.stored.base), pastKey(w.bob.group.Epoch() - 1)} {
		if w.bob.store[key] == nil {
			t.Errorf("%s is not stored", key)
		}
		_, err := Restore(func(k string) ([]byte, error) {
			if k == key {
				return nil, nil
			}
			return w.bob.store[k], nil
		}, w.bob.opt)
		if err == nil {
			t.Errorf("%s is missing and was not missed", key)
		}
	}
}
