package mls_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"time"

	"codeberg.org/huis/huis/mls"
)

const suite = mls.XWingChaChaSHA384Ed25519

// now stands for the application's clock.
var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// client is what an application keeps: a signature key, a store, a group.
type client struct {
	name   string
	signer mls.SignaturePrivateKey
	store  map[string][]byte
	group  *mls.Group
}

func newClient(name string) *client {
	signer, _, err := mls.GenerateSignatureKey(suite)
	check(err)
	return &client{name: name, signer: signer, store: map[string][]byte{}}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// write makes a delta durable; a real store does it in one transaction.
func (c *client) write(d mls.Delta) {
	for _, r := range d {
		if r.Value == nil {
			delete(c.store, r.Key)
		} else {
			c.store[r.Key] = r.Value
		}
	}
}

func (c *client) create() {
	g, delta, err := mls.NewGroup(suite, []byte("group id"), c.signer, mls.BasicCredential([]byte(c.name)), mls.GroupOptions{}, mls.Options{})
	check(err)
	c.write(delta)
	c.group = g
}

func (c *client) keyPackage() *mls.KeyPackageBundle {
	b, err := mls.NewKeyPackage(suite, c.signer, mls.BasicCredential([]byte(c.name)), mls.KeyPackageOptions{
		Lifetime: mls.Lifetime{NotBefore: uint64(now.Unix()), NotAfter: uint64(now.Add(24 * time.Hour).Unix())},
	})
	check(err)
	return b
}

// pair returns two clients in one group.
func pair() (alice, bob *client) {
	alice, bob = newClient("alice"), newClient("bob")
	alice.create()
	bundle := bob.keyPackage()
	commit, err := alice.group.Commit(now, mls.CommitOptions{
		Proposals:     []mls.Proposal{{Type: mls.ProposalAdd, Add: &mls.Add{KeyPackage: *bundle.KeyPackage}}},
		TreeInWelcome: true,
	})
	check(err)
	delta, err := alice.group.Merge(now, commit)
	check(err)
	alice.write(delta)
	bob.group, delta, err = mls.Join(commit.Welcome(), bundle, mls.JoinOptions{}, mls.Options{})
	check(err)
	bob.write(delta)
	return alice, bob
}

// A group of two: one creates it and adds the other by a commit.
func Example() {
	alice, bob := newClient("alice"), newClient("bob")
	alice.create()

	// Bob publishes a key package and keeps its private keys.
	bundle := bob.keyPackage()
	published, err := bundle.KeyPackage.Encode()
	check(err)

	// Alice adds him. The commit changes nothing until it is merged, which she
	// does once the server has put it into the group's order.
	keyPackage, err := mls.ParseKeyPackage(published)
	check(err)
	check(keyPackage.Verify(now))
	commit, err := alice.group.Commit(now, mls.CommitOptions{
		Proposals:     []mls.Proposal{{Type: mls.ProposalAdd, Add: &mls.Add{KeyPackage: *keyPackage}}},
		TreeInWelcome: true,
	})
	check(err)
	alice.write(commit.Delta)
	delta, err := alice.group.Merge(now, commit)
	check(err)
	alice.write(delta)

	// Bob enters the epoch the commit began.
	bob.group, delta, err = mls.Join(commit.Welcome(), bundle, mls.JoinOptions{}, mls.Options{})
	check(err)
	bob.write(delta)

	for _, m := range bob.group.Members() {
		fmt.Println(m.Leaf, string(m.Credential.Identity))
	}
	fmt.Println("same epoch:", bytes.Equal(alice.group.EpochAuthenticator(), bob.group.EpochAuthenticator()))
	// Output:
	// 0 alice
	// 1 bob
	// same epoch: true
}

// The delta of a message is durable before the message leaves; otherwise a crash
// could make the sender use a key twice.
func ExampleGroup_Protect() {
	alice, bob := pair()
	message, delta, err := alice.group.Protect([]byte("hello"), []byte("for all to see"))
	check(err)
	alice.write(delta)

	received, err := bob.group.Process(now, message)
	check(err)
	bob.write(received.Delta)
	fmt.Printf("%s from %s, %s\n", received.Data, received.SenderMember.Credential.Identity, received.AuthenticatedData)

	_, err = bob.group.Process(now, message)
	fmt.Println("again:", errors.Is(err, mls.ErrDuplicate))
	_, err = alice.group.Process(now, message)
	fmt.Println("own echo:", errors.Is(err, mls.ErrOwnMessage))
	// Output:
	// hello from alice, for all to see
	// again: true
	// own echo: true
}

// Process stages a commit; Merge enters its epoch.
func ExampleGroup_Process() {
	alice, bob := pair()
	commit, err := alice.group.Commit(now, mls.CommitOptions{})
	check(err)
	received, err := bob.group.Process(now, commit.Message())
	check(err)
	fmt.Println("staged:", bob.group.Epoch(), "→", received.Commit.Next().Epoch())
	delta, err := bob.group.Merge(now, received.Commit)
	check(err)
	bob.write(delta)
	fmt.Println("merged:", bob.group.Epoch())
	// Output:
	// staged: 1 → 2
	// merged: 2
}

// A pending commit is stored before it is sent, and found again after a crash.
func ExampleStagedCommit_MarshalBinary() {
	alice, _ := pair()
	commit, err := alice.group.Commit(now, mls.CommitOptions{})
	check(err)
	alice.write(commit.Delta)
	pending, err := commit.MarshalBinary()
	check(err)

	group, err := mls.Restore(func(key string) ([]byte, error) { return alice.store[key], nil }, mls.Options{})
	check(err)
	again, err := group.ParseStagedCommit(pending)
	check(err)
	fmt.Println(bytes.Equal(again.Message(), commit.Message()))
	// Output: true
}

// A group is restored from the records its deltas wrote.
func ExampleRestore() {
	alice, bob := pair()
	alice.group = nil
	group, err := mls.Restore(func(key string) ([]byte, error) { return alice.store[key], nil }, mls.Options{})
	check(err)
	message, delta, err := group.Protect([]byte("back again"), nil)
	check(err)
	alice.write(delta)
	received, err := bob.group.Process(now, message)
	check(err)
	fmt.Printf("%s\n", received.Data)
	// Output: back again
}

// All members of an epoch export the same secrets, and nobody else.
func ExampleGroup_Export() {
	alice, bob := pair()
	one, err := alice.group.Export("example backup", []byte("context"), 32)
	check(err)
	two, err := bob.group.Export("example backup", []byte("context"), 32)
	check(err)
	fmt.Println(one.Equal(two), one)
	// Output: true [redacted]
}

// SafeExport gives each component of an application one secret an epoch, once.
func ExampleGroup_SafeExport() {
	alice, _ := pair()
	_, delta, err := alice.group.SafeExport(0x8001)
	check(err)
	alice.write(delta)
	_, _, err = alice.group.SafeExport(0x8001)
	fmt.Println(err)
	// Output: mls: secret of component 32769 was exported in this epoch
}

// A removed member learns so, and reads nothing any more.
func ExampleGroup_Removed() {
	alice, bob := pair()
	commit, err := alice.group.Commit(now, mls.CommitOptions{
		Proposals: []mls.Proposal{{Type: mls.ProposalRemove, Remove: &mls.Remove{Removed: 1}}},
	})
	check(err)
	received, err := bob.group.Process(now, commit.Message())
	check(err)
	_, err = bob.group.Merge(now, received.Commit)
	check(err)
	_, err = bob.group.Process(now, commit.Message())
	fmt.Println(received.Commit.SelfRemoved, bob.group.Removed(), errors.Is(err, mls.ErrRemoved))
	// Output: true true true
}

// A server may look at what a message shows to everybody.
func ExamplePeek() {
	alice, _ := pair()
	message, _, err := alice.group.Protect([]byte("secret"), []byte("shown"))
	check(err)
	header, err := mls.Peek(message)
	check(err)
	fmt.Printf("%s, epoch %d, %s\n", header.GroupID, header.Epoch, header.AuthenticatedData)
	// Output: group id, epoch 1, shown
}

// Somebody outside joins by a commit of its own, where the group allows it.
func ExampleJoinExternal() {
	alice, _ := pair()
	info, err := alice.group.GroupInfo(true)
	check(err)
	carol := newClient("carol")
	group, message, delta, err := mls.JoinExternal(info, carol.signer, mls.BasicCredential([]byte("carol")), mls.ExternalJoinOptions{}, mls.Options{})
	check(err)
	carol.write(delta)

	received, err := alice.group.Process(now, message)
	check(err)
	_, err = alice.group.Merge(now, received.Commit)
	check(err)
	fmt.Println(len(group.Members()), bytes.Equal(group.EpochAuthenticator(), alice.group.EpochAuthenticator()))
	// Output: 3 true
}

// An observer follows public messages and holds no secret.
func ExampleNewPublicGroup() {
	alice, _ := pair()
	info, err := alice.group.GroupInfo(true)
	check(err)
	observer, err := mls.NewPublicGroup(info, nil, mls.Options{})
	check(err)
	commit, err := alice.group.Commit(now, mls.CommitOptions{Public: true, Proposals: []mls.Proposal{
		{Type: mls.ProposalRemove, Remove: &mls.Remove{Removed: 1}},
	}})
	check(err)
	seen, err := observer.Process(commit.Message())
	check(err)
	fmt.Printf("%d removes %s\n", seen.Sender.LeafIndex, seen.Commit.Removes[0].Credential.Identity)
	// Output: 0 removes bob
}

// Bytes are sealed to a key package's init key under a label of one's own.
func ExampleEncryptWithLabel() {
	private, public, err := mls.GenerateHPKEKey(suite)
	check(err)
	sealed, err := mls.EncryptWithLabel(suite, public, "example", []byte("context"), []byte("plaintext"))
	check(err)
	opened, err := mls.DecryptWithLabel(suite, private, "example", []byte("context"), sealed)
	check(err)
	fmt.Printf("%s\n", opened)
	// Output: plaintext
}

// A signature holds under its label only.
func ExampleSignWithLabel() {
	signer, public, err := mls.GenerateSignatureKey(suite)
	check(err)
	signature, err := mls.SignWithLabel(suite, signer, "example", []byte("content"))
	check(err)
	fmt.Println(mls.VerifyWithLabel(suite, public, "example", []byte("content"), signature))
	fmt.Println(mls.VerifyWithLabel(suite, public, "other", []byte("content"), signature))
	// Output:
	// <nil>
	// mls: signature does not verify
}

// Suites without primitives in the standard library say so.
func ExampleCipherSuite_Supported() {
	fmt.Println(suite.Supported(), mls.X448AES256SHA512Ed448.Supported())
	// Output: true false
}
