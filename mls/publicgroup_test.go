package mls

import (
	"bytes"
	"errors"
	"testing"
)

func TestObserverFollowsPublicMessages(t *testing.T) {
	suite := X25519AES128SHA256Ed25519
	alice, bob, carol := newDevice(t, suite, "alice"), newDevice(t, suite, "bob"), newDevice(t, suite, "carol")
	alice.create("group")
	info, err := alice.group.GroupInfo(true)
	alice.must(err)
	g, err := NewPublicGroup(info, nil, Options{})
	alice.must(err)
	follow := func(msg []byte, ds ...*device) {
		t.Helper()
		p, err := g.Process(msg)
		alice.must(err)
		if p.Commit != nil {
			alice.must(g.Merge(p.Commit))
			if err := g.Merge(p.Commit); !errors.Is(err, ErrStaleEpoch) {
				t.Fatalf("merged twice: %v", err)
			}
			b, err := g.MarshalBinary()
			alice.must(err)
			g, err = RestorePublicGroup(b, Options{})
			alice.must(err)
		}
		for _, d := range ds {
			d.receive(msg)
		}
	}
	same := func() {
		t.Helper()
		a, _ := alice.group.Context().Encode()
		if b, _ := g.Context().Encode(); !bytes.Equal(a, b) || !bytes.Equal(g.RatchetTree(), alice.group.RatchetTree()) {
			t.Fatal("observer is elsewhere than the members")
		}
	}
	c := alice.commit(CommitOptions{Proposals: []Proposal{add(bob.keyPackage()), add(carol.keyPackage())}, Public: true, TreeInWelcome: true})
	follow(c.Message())
	bob.join(c.Welcome(), nil)
	carol.join(c.Welcome(), nil)
	same()

	msg, ref, delta, err := bob.group.ProposeUpdate(UpdateOptions{}, nil, true)
	bob.must(err)
	bob.write(delta)
	follow(msg, alice, carol)
	c = carol.commit(CommitOptions{ByRef: []ProposalRef{ref}, Public: true})
	follow(c.Message(), alice, bob)
	same()
	sameEpoch(t, alice, bob, carol)

	c = alice.commit(CommitOptions{Proposals: []Proposal{remove(1)}, Public: true})
	forged, err := ParseMLSMessage(c.Message())
	alice.must(err)
	forged.PublicMessage.Content.Commit.Path.Nodes[0].EncryptionKey[0] ^= 1
	b, err := forged.Encode()
	alice.must(err)
	if _, err := g.Process(b); !isInvalid(err, "6.1") {
		t.Fatalf("forged commit: %v", err)
	}
	follow(c.Message(), carol)
	same()
	if _, err := g.Process(alice.protect("secret")); !isInvalid(err, "6") {
		t.Fatalf("application message: %v", err)
	}
}

// isInvalid tells whether err refuses something under a section.
func isInvalid(err error, section string) bool {
	var e *InvalidError
	return errors.As(err, &e) && e.Section == section
}
