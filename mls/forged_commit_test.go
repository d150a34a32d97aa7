package mls

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// world is a group of four in which mallory is a member that does as it likes.
// carol and dave were added in one commit by alice; then everybody committed.
type world struct {
	t                          *testing.T
	alice, bob, carol, mallory *device
	spare                      *device // not a member
}

const testSuite = X25519AES128SHA256Ed25519

func newWorld(t *testing.T, extensions ...Extension) *world {
	t.Helper()
	w := &world{
		t: t, alice: newDevice(t, testSuite, "alice"), bob: newDevice(t, testSuite, "bob"),
		carol: newDevice(t, testSuite, "carol"), mallory: newDevice(t, testSuite, "mallory"), spare: newDevice(t, testSuite, "spare"),
	}
	w.mallory.create("group", extensions...)
	others := []*device{w.alice, w.bob, w.carol}
	var adds []Proposal
	for _, d := range others {
		adds = append(adds, add(d.keyPackage()))
	}
	c := w.mallory.commit(CommitOptions{Proposals: adds, TreeInWelcome: true})
	for _, d := range others {
		d.join(c.Welcome(), nil)
	}
	for i, d := range w.members() {
		c := d.commit(CommitOptions{})
		for j, e := range w.members() {
			if i != j {
				e.receive(c.Message())
			}
		}
	}
	w.spare.keyPackage()
	return w
}

// members in leaf order.
func (w *world) members() []*device { return []*device{w.mallory, w.alice, w.bob, w.carol} }

// forgery is a commit of mallory's as it should not be.
type forgery struct {
	list   []Proposal
	refs   []ProposalRef
	path   bool
	leaf   func(*LeafNode) // alters the path's leaf before it is signed again
	after  func(*Commit)   // alters the rest
	sender *Sender
	signer SignaturePrivateKey
}

// forge signs the commit properly. The confirmation tag is nonsense: what these
// commits break is to be found before it matters.
func (w *world) forge(f forgery) []byte {
	w.t.Helper()
	d := w.mallory
	opt := CommitOptions{Proposals: f.list, ByRef: f.refs}
	list, refs, err := d.group.collect(&opt)
	d.must(err)
	commit := &Commit{Proposals: refs}
	if f.path {
		sender := Sender{SenderType: SenderMember, LeafIndex: d.group.epoch.own}
		t, err := newTransition(d.group.View(), sender, list, false, &Options{CustomProposals: map[ProposalType]bool{0xF123: true}})
		d.must(err)
		m := &making{t: t, g: d.group, opt: &opt, commit: commit, signer: d.signer}
		d.must(m.makePath())
		if f.leaf != nil {
			f.leaf(&commit.Path.LeafNode)
			d.must(commit.Path.LeafNode.sign(testSuite, d.signer, d.group.GroupID(), sender.LeafIndex))
		}
	}
	if f.after != nil {
		f.after(commit)
	}
	content := d.group.content(ContentCommit, nil)
	content.Commit = commit
	return w.public(&AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: content}, f)
}

// public signs and frames content.
func (w *world) public(a *AuthenticatedContent, f forgery) []byte {
	w.t.Helper()
	d := w.mallory
	signer := d.signer
	if f.sender != nil {
		a.Content.Sender, signer = *f.sender, f.signer
	}
	if signer.IsZero() {
		signer = d.signer
	}
	d.must(a.sign(d.group.suite(), signer, d.group.epoch.encodedContext()))
	if a.Content.ContentType == ContentCommit {
		a.Auth.ConfirmationTag = []byte("nonsense")
	}
	p, err := a.protectPublic(d.group.suite(), d.group.epoch.secrets.MembershipKey, d.group.epoch.encodedContext())
	d.must(err)
	m := MLSMessage{Version: MLS10, WireFormat: WireFormatPublicMessage, PublicMessage: p}
	b, err := m.Encode()
	d.must(err)
	return b
}

// refused checks that bob refuses msg for the reason, and that this changed
// nothing: the next honest commit still goes through.
func (w *world) refused(msg []byte, section, reason string) {
	w.t.Helper()
	_, err := w.bob.group.Process(testTime, msg)
	var e *InvalidError
	if !errors.As(err, &e) || e.Section != section || !strings.Contains(e.Reason, reason) {
		w.t.Errorf("processed with %v, want section %s: %s", err, section, reason)
	}
	c, err := w.alice.group.Commit(testTime, CommitOptions{})
	w.alice.must(err)
	if _, err := w.bob.group.Process(testTime, c.Message()); err != nil {
		w.t.Errorf("an honest commit afterwards: %v", err)
	}
}

// altered changes the key package of an outsider and signs leaf and package again.
func (w *world) altered(alter func(*KeyPackage)) Proposal {
	w.t.Helper()
	k := *w.spare.bundle.KeyPackage
	k.LeafNode.Capabilities.Extensions = slices.Clone(k.LeafNode.Capabilities.Extensions)
	alter(&k)
	w.spare.must(k.LeafNode.sign(k.CipherSuite, w.spare.signer, nil, 0))
	w.spare.must(k.sign(w.spare.signer))
	return add(&k)
}

func (w *world) psk(alter func(*PreSharedKeyID)) Proposal {
	id, err := ExternalPSK(testSuite, []byte("psk"))
	w.mallory.must(err)
	id.PSKNonce = bytes.Repeat([]byte{1}, len(id.PSKNonce))
	alter(&id)
	return Proposal{Type: ProposalPSK, PreSharedKey: &PreSharedKey{id}}
}

func reinitTo(version ProtocolVersion, e ...Extension) Proposal {
	return Proposal{Type: ProposalReInit, ReInit: &ReInit{GroupID: []byte("next"), Version: version, CipherSuite: testSuite, Extensions: e}}
}

func contextExtensions(e ...Extension) Proposal {
	return Proposal{Type: ProposalGroupContextExtensions, GroupContextExtensions: &GroupContextExtensions{e}}
}

func same[T any](T) {}

// TestForgedProposalsAreRefused: lists of proposals no commit may have.
func TestForgedProposalsAreRefused(t *testing.T) {
	ownUpdate := func(w *world) Proposal {
		return Proposal{Type: ProposalUpdate, Update: &Update{*w.mallory.group.tree.leaf(0)}}
	}
	for _, c := range []struct {
		name, section, reason string
		list                  func(w *world) []Proposal
	}{
		{"own update", "12.2", "updates its own sender", func(w *world) []Proposal { return []Proposal{ownUpdate(w)} }},
		{"own removal", "12.2", "removes its own sender", func(w *world) []Proposal { return []Proposal{remove(0)} }},
		{"two removals of one leaf", "12.2", "two proposals change leaf 1", func(w *world) []Proposal { return []Proposal{remove(1), remove(1)} }},
		{"one PSK twice", "12.2", "pre-shared key twice", func(w *world) []Proposal { return []Proposal{w.psk(same), w.psk(same)} }},
		{"two lists of extensions", "12.2", "two GroupContextExtensions", func(w *world) []Proposal { return []Proposal{contextExtensions(), contextExtensions()} }},
		{"re-initialization with others", "12.2", "ReInit stands with", func(w *world) []Proposal { return []Proposal{reinitTo(1), remove(1)} }},
		{"re-initialization to an older version", "12.1.5", "older version", func(w *world) []Proposal { return []Proposal{reinitTo(0)} }},
		{"re-initialization with an extension twice", "13.4", "twice", func(w *world) []Proposal { return []Proposal{reinitTo(1, Extension{9, nil}, Extension{9, nil})} }},
		{"external init by a member", "12.1.8", "type 0x0006", func(w *world) []Proposal {
			return []Proposal{{Type: ProposalExternalInit, ExternalInit: &ExternalInit{[]byte{1}}}}
		}},
		{"short PSK nonce", "12.1.4", "nonce", func(w *world) []Proposal {
			return []Proposal{w.psk(func(id *PreSharedKeyID) { id.PSKNonce = id.PSKNonce[1:] })}
		}},
		{"PSK for branching", "12.1.4", "branching", func(w *world) []Proposal {
			return []Proposal{w.psk(func(id *PreSharedKeyID) { id.PSKType, id.Usage = PSKResumption, UsageBranch })}
		}},
		{"custom proposal nobody knows", "12.2", "not known", func(w *world) []Proposal { return []Proposal{{Type: 0xF999}} }},
		{"custom proposal not all support", "12.2", "not all members support proposal", func(w *world) []Proposal { return []Proposal{{Type: 0xF123}} }},
		{"removal of nobody", "12.1.3", "blank leaf 5", func(w *world) []Proposal { return []Proposal{remove(5)} }},
		{"removal outside the tree", "12.1.3", "blank leaf 4294967295", func(w *world) []Proposal { return []Proposal{remove(1<<32 - 1)} }},
		{"removal without a path", "12.4.2", "no path", func(w *world) []Proposal { return []Proposal{remove(1)} }},
		{"nothing without a path", "12.4.2", "no path", func(w *world) []Proposal { return nil }},

		{"package of another suite", "10.1", "another version or cipher suite", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.CipherSuite = X25519ChaChaSHA256Ed25519 })}
		}},
		{"package of another version", "10.1", "another version or cipher suite", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.Version = 2 })}
		}},
		{"package with one key for both uses", "10.1", "are the same", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.InitKey = k.LeafNode.EncryptionKey })}
		}},
		{"package with an init key that is none", "10.1", "no usable init key", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.InitKey = k.InitKey[1:] })}
		}},
		{"package with an extension twice", "13.4", "twice", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.Extensions = []Extension{{9, nil}, {9, nil}} })}
		}},
		{"package with a bad signature", "10.1", "signature", func(w *world) []Proposal {
			p := w.altered(same)
			p.Add.KeyPackage.Signature[0] ^= 1
			return []Proposal{p}
		}},
		{"leaf with a bad signature", "7.3", "signature", func(w *world) []Proposal {
			k := *w.spare.bundle.KeyPackage
			k.LeafNode.Signature = bytes.Clone(k.LeafNode.Signature)
			k.LeafNode.Signature[0] ^= 1
			w.spare.must(k.sign(w.spare.signer))
			return []Proposal{add(&k)}
		}},
		{"package with a leaf of a commit", "7.3", "source 3, want 1", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.Source = SourceCommit })}
		}},
		{"leaf with an encryption key that is none", "7.3", "no usable encryption key", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.EncryptionKey = []byte{1} })}
		}},
		{"leaf with an extension it does not list", "7.3", "does not list", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.Extensions = []Extension{{0xF777, nil}} })}
		}},
		{"leaf with an extension twice", "13.4", "twice", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.Extensions = []Extension{{1, nil}, {1, nil}} })}
		}},
		{"credential the application refuses", "7.3", "credential of leaf", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.Credential.Identity = []byte("impostor") })}
		}},
		{"signature key of another member", "7.3", "same signature key", func(w *world) []Proposal {
			w.spare.signer = w.carol.signer
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.SignatureKey = w.carol.signer.PublicKey() })}
		}},
		{"encryption key of another member", "7.3", "same encryption key", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.EncryptionKey = w.carol.group.tree.leaf(3).EncryptionKey })}
		}},
		{"encryption key of a parent", "7.3", "same encryption key", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.EncryptionKey = w.carol.group.tree.parent(3).EncryptionKey })}
		}},
		{"credential type others do not support", "7.3", "not all members support credential type 2", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.Credential.CredentialType = CredentialX509 })}
		}},
		{"leaf that does not support the others' credentials", "7.3", "not all members support credential type 1", func(w *world) []Proposal {
			return []Proposal{w.altered(func(k *KeyPackage) { k.LeafNode.Capabilities.Credentials = nil })}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.bob.group.opt.CustomProposals = map[ProposalType]bool{0xF123: true}
			w.bob.group.opt.Validator = func(c *Credential, _ SignaturePublicKey) error {
				if string(c.Identity) == "impostor" {
					return errors.New("not the one")
				}
				return nil
			}
			w.refused(w.forge(forgery{list: c.list(w)}), c.section, c.reason)
		})
	}
}

// TestForgedPathsAreRefused: commits whose path or whose next tree is not right.
func TestForgedPathsAreRefused(t *testing.T) {
	required := func(r RequiredCapabilities) []Proposal { return []Proposal{contextExtensions(r.Extension())} }
	for _, c := range []struct {
		name, section, reason string
		forgery               func(w *world) forgery
	}{
		{"leaf keeps its encryption key", "12.4.2", "keeps the committer's encryption key", func(w *world) forgery {
			return forgery{leaf: func(n *LeafNode) { n.EncryptionKey = w.mallory.group.tree.leaf(0).EncryptionKey }}
		}},
		{"leaf of an update", "7.3", "source 2, want 3", func(w *world) forgery {
			return forgery{leaf: func(n *LeafNode) { n.Source = SourceUpdate }}
		}},
		{"leaf with a wrong parent hash", "7.9.2", "parent hash", func(w *world) forgery {
			return forgery{leaf: func(n *LeafNode) { n.ParentHash = bytes.Repeat([]byte{1}, 32) }}
		}},
		{"leaf with the signature key of another", "7.3", "same signature key", func(w *world) forgery {
			w.mallory.signer = w.carol.signer // to sign the leaf with
			return forgery{leaf: func(n *LeafNode) { n.SignatureKey = w.carol.signer.PublicKey() }, signer: w.mallory.group.epoch.signer, sender: &Sender{SenderType: SenderMember}}
		}},
		{"leaf with a bad signature", "7.3", "signature", func(w *world) forgery {
			return forgery{after: func(c *Commit) { c.Path.LeafNode.Signature[3] ^= 1 }}
		}},
		{"a node less", "12.4.2", "path has 1 nodes", func(w *world) forgery {
			return forgery{after: func(c *Commit) { c.Path.Nodes = c.Path.Nodes[:1] }}
		}},
		{"a ciphertext too many", "7.6", "ciphertexts", func(w *world) forgery {
			return forgery{after: func(c *Commit) {
				n := &c.Path.Nodes[1]
				n.EncryptedPathSecret = append(n.EncryptedPathSecret, n.EncryptedPathSecret[0])
			}}
		}},
		{"a ciphertext for a new member", "7.6", "ciphertexts", func(w *world) forgery {
			return forgery{list: []Proposal{add(w.spare.bundle.KeyPackage), remove(3)}, after: func(c *Commit) {
				n := &c.Path.Nodes[1]
				n.EncryptedPathSecret = append(n.EncryptedPathSecret, n.EncryptedPathSecret[0])
			}}
		}},
		{"a node's key from the tree", "12.4.2", "in the tree already", func(w *world) forgery {
			return forgery{after: func(c *Commit) { c.Path.Nodes[0].EncryptionKey = w.carol.group.tree.leaf(3).EncryptionKey }}
		}},
		{"two nodes with one key", "7.9.2", "parent hash", func(w *world) forgery {
			return forgery{after: func(c *Commit) { c.Path.Nodes[1].EncryptionKey = c.Path.Nodes[0].EncryptionKey }}
		}},
		{"a node's key that is none", "12.4.2", "unusable public key", func(w *world) forgery {
			return forgery{after: func(c *Commit) { c.Path.Nodes[0].EncryptionKey = []byte{1} }}
		}},
		{"a path secret that does not open", "12.4.2", "does not open", func(w *world) forgery {
			return forgery{after: func(c *Commit) { c.Path.Nodes[1].EncryptedPathSecret[0].Ciphertext[0] ^= 1 }}
		}},
		{"another path secret", "12.4.2", "does not give the public key", func(w *world) forgery {
			return forgery{after: func(c *Commit) { w.sealOther(c) }}
		}},
		{"an extension not all support", "7.2", "not all members support extension", func(w *world) forgery {
			return forgery{list: []Proposal{contextExtensions(Extension{0xF555, nil})}}
		}},
		{"a group extension twice", "13.4", "twice", func(w *world) forgery {
			return forgery{list: []Proposal{contextExtensions(Extension{1, nil}, Extension{1, nil})}}
		}},
		{"a list of external senders that is none", "12.1.8.1", "external_senders", func(w *world) forgery {
			return forgery{list: []Proposal{contextExtensions(Extension{ExtensionExternalSenders, []byte{9}})}}
		}},
		{"required capabilities that are none", "11.1", "required_capabilities", func(w *world) forgery {
			return forgery{list: []Proposal{contextExtensions(Extension{ExtensionRequiredCapabilities, []byte{9}})}}
		}},
		{"a required extension not all support", "11.1", "required extension", func(w *world) forgery {
			return forgery{list: required(RequiredCapabilities{ExtensionTypes: []ExtensionType{0xF555}})}
		}},
		{"a required proposal not all support", "11.1", "required proposal", func(w *world) forgery {
			return forgery{list: required(RequiredCapabilities{ProposalTypes: []ProposalType{0xF555}})}
		}},
		{"a required credential not all support", "11.1", "required credential", func(w *world) forgery {
			return forgery{list: required(RequiredCapabilities{CredentialTypes: []CredentialType{9}})}
		}},
		{"a confirmation tag that is none", "6.1", "confirmation tag", func(w *world) forgery { return forgery{} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			f := c.forgery(w)
			f.path = true
			w.refused(w.forge(f), c.section, c.reason)
		})
	}
}

// sealOther replaces what the path seals to bob and carol by another secret.
func (w *world) sealOther(c *Commit) {
	tree := w.mallory.group.tree.clone()
	w.mallory.must(tree.applyPath(0, c.Path, nil))
	context := *w.mallory.group.Context()
	context.Epoch++
	context.TreeHash = tree.treeHash()
	b, err := context.Encode()
	w.mallory.must(err)
	node := tree.recipients(5, nil)[0]
	ct, err := EncryptWithLabel(testSuite, tree.publicKey(node), "UpdatePathNode", b, bytes.Repeat([]byte{7}, 32))
	w.mallory.must(err)
	c.Path.Nodes[1].EncryptedPathSecret[0] = *ct
}
