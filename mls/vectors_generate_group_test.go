package mls

import "testing"

func init() {
	ownVectors["rfc9420/tree-validation.json"] = makeTreeValidation
	ownVectors["rfc9420/passive-client-handling-commit.json"] = makePassiveClient
}

// makeTreeValidation is a tree with blank nodes, an unmerged leaf and paths of
// several commits.
func makeTreeValidation(t *testing.T, suite CipherSuite) any {
	alice, bob, carol, dave := newDevice(t, suite, "alice"), newDevice(t, suite, "bob"), newDevice(t, suite, "carol"), newDevice(t, suite, "dave")
	alice.create("group")
	c := alice.commit(CommitOptions{Proposals: []Proposal{add(bob.keyPackage()), add(carol.keyPackage())}, TreeInWelcome: true})
	carol.join(c.Welcome(), nil)
	alice.receive(carol.commit(CommitOptions{Proposals: []Proposal{remove(1)}}).Message())
	alice.commit(CommitOptions{Proposals: []Proposal{add(dave.keyPackage())}, NoPath: true})

	g := alice.group
	v := &treeValidationVector{CipherSuite: suite, Tree: g.RatchetTree(), GroupID: g.GroupID()}
	for x := range nodeIndex(len(g.tree.slots)) {
		v.Resolutions = append(v.Resolutions, append([]nodeIndex{}, g.tree.resolution(x)...))
		v.TreeHashes = append(v.TreeHashes, g.tree.nodeHash(x))
	}
	return v
}

// makePassiveClient is a client that joins, and follows an Update by reference
// and a Remove.
func makePassiveClient(t *testing.T, suite CipherSuite) any {
	alice, bob, passive := newDevice(t, suite, "alice"), newDevice(t, suite, "bob"), newDevice(t, suite, "passive")
	alice.create("group")
	c := alice.commit(CommitOptions{Proposals: []Proposal{add(bob.keyPackage())}, TreeInWelcome: true})
	bob.join(c.Welcome(), nil)
	kp := passive.keyPackage()
	c = alice.commit(CommitOptions{Proposals: []Proposal{add(kp)}, TreeInWelcome: true})
	bob.receive(c.Message())
	v := &passiveVector{
		CipherSuite: suite, SignaturePriv: hexBytes(passive.signer.Bytes()),
		Encryption: hexBytes(passive.bundle.EncryptionKey.Bytes()), InitPriv: hexBytes(passive.bundle.InitKey.Bytes()),
		KeyPackage:    must((&MLSMessage{Version: MLS10, WireFormat: WireFormatKeyPackage, KeyPackage: kp}).Encode()),
		Welcome:       must((&MLSMessage{Version: MLS10, WireFormat: WireFormatWelcome, Welcome: c.Welcome()}).Encode()),
		Authenticator: alice.group.EpochAuthenticator(),
	}
	update, ref, delta, err := bob.group.ProposeUpdate(UpdateOptions{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	bob.write(delta)
	alice.receive(update)
	for i, opt := range []CommitOptions{{ByRef: []ProposalRef{ref}}, {Proposals: []Proposal{remove(1)}, Public: true}} {
		e := passiveEpoch{Proposals: []hexBytes{}, Commit: alice.commit(opt).Message(), Authenticator: alice.group.EpochAuthenticator()}
		if i == 0 {
			e.Proposals = append(e.Proposals, update)
		}
		v.Epochs = append(v.Epochs, e)
	}
	return v
}
