package mls

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// trio is a group of three in which alice (leaf 0) breaks rules and bob (leaf 1)
// has to notice. All have keys on their paths.
type trio struct {
	testing.TB
	alice, bob, carol *device
}

func newTrio(t testing.TB, extensions ...Extension) *trio {
	t.Helper()
	const suite = X25519AES128SHA256Ed25519
	g := &trio{t, newDevice(t, suite, "alice"), newDevice(t, suite, "bob"), newDevice(t, suite, "carol")}
	g.alice.create("group", extensions...)
	c := g.alice.commit(CommitOptions{Proposals: []Proposal{add(g.bob.keyPackage()), add(g.carol.keyPackage())}, TreeInWelcome: true})
	g.bob.join(c.Welcome(), nil)
	g.carol.join(c.Welcome(), nil)
	c = g.carol.commit(CommitOptions{})
	g.alice.receive(c.Message())
	g.bob.receive(c.Message())
	return g
}

// dave is somebody to add, with a change to his key package before it is signed.
func (g *trio) dave(alter func(k *KeyPackage)) *KeyPackage {
	g.Helper()
	d := newDevice(g.TB, X25519AES128SHA256Ed25519, "dave")
	k := *d.keyPackage()
	if alter != nil {
		alter(&k)
	}
	if err := k.LeafNode.sign(k.CipherSuite, d.signer, nil, 0); err != nil {
		g.Fatal(err)
	}
	if err := k.sign(d.signer); err != nil {
		g.Fatal(err)
	}
	return &k
}

// forge makes a PublicMessage of alice's current epoch, properly signed and
// tagged but for the confirmation tag, which is tag.
func (g *trio) forge(c *Commit, tag []byte) []byte {
	g.Helper()
	d := g.alice.group
	a := &AuthenticatedContent{WireFormat: WireFormatPublicMessage, Content: d.content(ContentCommit, nil)}
	a.Content.Commit = c
	if err := a.sign(d.suite(), d.epoch.signer, d.epoch.encodedContext()); err != nil {
		g.Fatal(err)
	}
	a.Auth.ConfirmationTag = tag
	m, err := a.protectPublic(d.suite(), d.epoch.secrets.MembershipKey, d.epoch.encodedContext())
	if err != nil {
		g.Fatal(err)
	}
	return must((&MLSMessage{Version: MLS10, WireFormat: WireFormatPublicMessage, PublicMessage: m}).Encode())
}

// genuine returns a commit of alice, and its confirmation tag.
func (g *trio) genuine(proposals ...Proposal) (*Commit, []byte) {
	g.Helper()
	c, err := g.alice.group.Commit(testTime, CommitOptions{Proposals: proposals, Public: true})
	if err != nil {
		g.Fatal(err)
	}
	m := must(ParseMLSMessage(c.Message())).PublicMessage
	return m.Content.Commit, m.Auth.ConfirmationTag
}

// bobRefuses processes a message of which nothing may remain.
func (g *trio) bobRefuses(what string, msg []byte, section string) {
	g.Helper()
	before := g.bob.group.EpochAuthenticator()
	_, err := g.bob.group.Process(testTime, msg)
	var bad *InvalidError
	if !errors.As(err, &bad) || bad.Section != section {
		g.Errorf("%s: got %v, want a breach of Section %s", what, err, section)
	}
	if !bytes.Equal(before, g.bob.group.EpochAuthenticator()) {
		g.Errorf("%s changed the epoch", what)
	}
}

// bothRefuse checks proposals that no commit may have: alice's own client does
// not make it, bob's does not take it.
func (g *trio) bothRefuse(what, section string, list ...Proposal) {
	g.Helper()
	_, err := g.alice.group.Commit(testTime, CommitOptions{Proposals: list})
	var bad *InvalidError
	if !errors.As(err, &bad) || bad.Section != section {
		g.Errorf("%s: committer got %v, want a breach of Section %s", what, err, section)
	}
	forged, tag := g.genuine()
	for i := range list {
		forged.Proposals = append(forged.Proposals, ProposalOrRef{Proposal: &list[i]})
	}
	g.bobRefuses(what, g.forge(forged, tag), section)
}

func psk(id PreSharedKeyID) Proposal {
	return Proposal{Type: ProposalPSK, PreSharedKey: &PreSharedKey{id}}
}

func setExtensions(list ...Extension) Proposal {
	return Proposal{Type: ProposalGroupContextExtensions, GroupContextExtensions: &GroupContextExtensions{list}}
}

func reinit() Proposal {
	return Proposal{Type: ProposalReInit, ReInit: &ReInit{GroupID: []byte("next"), Version: MLS10, CipherSuite: 1}}
}

func TestUnalteredForgeryIsACommit(t *testing.T) {
	g := newTrio(t)
	_ = g.bob.receive(g.forge(g.genuine()))
}

func TestCommitterDoesNotUpdateItself(t *testing.T) {
	g := newTrio(t)
	g.bothRefuse("own update", "12.2", Proposal{Type: ProposalUpdate, Update: &Update{*g.alice.group.tree.leaf(0)}})
}

func TestCommitterDoesNotRemoveItself(t *testing.T) {
	newTrio(t).bothRefuse("own removal", "12.2", remove(0))
}

func TestOneLeafChangesOnce(t *testing.T) {
	g := newTrio(t)
	g.bothRefuse("two removals", "12.2", remove(2), remove(2))

	msg, ref, delta, err := g.carol.group.ProposeUpdate(UpdateOptions{}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	g.carol.write(delta)
	g.alice.receive(msg)
	g.bob.receive(msg)
	_, err = g.alice.group.Commit(testTime, CommitOptions{ByRef: []ProposalRef{ref}, Proposals: []Proposal{remove(2)}})
	wantInvalid(t, err, "12.2")
	_, err = g.alice.group.Commit(testTime, CommitOptions{ByRef: []ProposalRef{ref, ref}})
	wantInvalid(t, err, "12.2")
	forged, tag := g.genuine()
	forged.Proposals = []ProposalOrRef{{Reference: ref}, {Reference: ref}}
	g.bobRefuses("two updates", g.forge(forged, tag), "12.2")
}

func TestPSKIsNamedOnce(t *testing.T) {
	g := newTrio(t)
	id := must(ExternalPSK(1, []byte("psk")))
	g.bothRefuse("two of one id", "12.2", psk(id), psk(id))
}

func TestPSKNonceHasTheHashSize(t *testing.T) {
	g := newTrio(t)
	id := must(ExternalPSK(1, []byte("psk")))
	id.PSKNonce = id.PSKNonce[1:]
	g.bothRefuse("short nonce", "12.1.4", psk(id))
}

func TestPSKOfAnotherUseIsRefused(t *testing.T) {
	g := newTrio(t)
	for _, usage := range []ResumptionPSKUsage{UsageReInit, UsageBranch} {
		id := must(ResumptionPSK(1, []byte("group"), 1))
		id.Usage = usage
		g.bothRefuse("usage in an ordinary commit", "12.1.4", psk(id))
	}
}

func TestUnknownPSKIsAnError(t *testing.T) {
	g := newTrio(t)
	if _, err := g.alice.group.Commit(testTime, CommitOptions{Proposals: []Proposal{psk(must(ExternalPSK(1, []byte("none"))))}}); !errors.Is(err, errNoPSK) {
		t.Errorf("got %v", err)
	}
}

func TestGroupContextExtensionsStandOnce(t *testing.T) {
	newTrio(t).bothRefuse("two lists", "12.2", setExtensions(), setExtensions())
}

func TestReInitStandsAlone(t *testing.T) {
	newTrio(t).bothRefuse("ReInit and Remove", "12.2", reinit(), remove(2))
}

func TestReInitDoesNotGoBack(t *testing.T) {
	p := reinit()
	p.ReInit.Version = 0
	newTrio(t).bothRefuse("version 0", "12.1.5", p)
	p = reinit()
	p.ReInit.Extensions = []Extension{{ExtensionType: 9}, {ExtensionType: 9}}
	newTrio(t).bothRefuse("extension twice", "13.4", p)
}

func TestExternalInitIsForJoiners(t *testing.T) {
	g := newTrio(t)
	g.bothRefuse("ExternalInit", "12.1.8", Proposal{Type: ProposalExternalInit, ExternalInit: &ExternalInit{make([]byte, 32)}})
}

func TestBlankLeavesCannotChange(t *testing.T) {
	newTrio(t).bothRefuse("removal of nobody", "12.1.3", remove(3))
	newTrio(t).bothRefuse("removal outside the tree", "12.1.3", remove(1000))
}

func TestCustomProposalMustBeKnown(t *testing.T) {
	newTrio(t).bothRefuse("unknown type", "12.2", Proposal{Type: 0xF333, Custom: []byte("x")})
}

func TestCustomProposalMustBeSupportedByAll(t *testing.T) {
	g := newTrio(t)
	g.alice.group.opt.CustomProposals = map[ProposalType]bool{0xF333: false}
	g.bob.group.opt.CustomProposals = map[ProposalType]bool{0xF333: false}
	g.bothRefuse("type nobody lists", "12.2", Proposal{Type: 0xF333, Custom: []byte("x")})
}

func TestUnknownReferenceIsRefused(t *testing.T) {
	g := newTrio(t)
	if _, err := g.alice.group.Commit(testTime, CommitOptions{ByRef: []ProposalRef{[]byte("none")}}); err == nil {
		t.Error("committer names an unknown proposal")
	}
	forged, tag := g.genuine()
	forged.Proposals = []ProposalOrRef{{Reference: []byte("none")}}
	g.bobRefuses("unknown reference", g.forge(forged, tag), "12.4.2")
}

func TestUpdateBringsANewKey(t *testing.T) {
	g := newTrio(t)
	leaf := *g.carol.group.tree.leaf(2)
	leaf.Source = SourceUpdate
	if err := leaf.sign(1, g.carol.signer, []byte("group"), 2); err != nil {
		t.Fatal(err)
	}
	msg, ref, _, err := g.carol.group.Propose(Proposal{Type: ProposalUpdate, Update: &Update{leaf}}, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	g.alice.receive(msg)
	g.bob.receive(msg)
	_, err = g.alice.group.Commit(testTime, CommitOptions{ByRef: []ProposalRef{ref}})
	wantInvalid(t, err, "12.1.2")
	forged, tag := g.genuine()
	forged.Proposals = []ProposalOrRef{{Reference: ref}}
	g.bobRefuses("update with the old key", g.forge(forged, tag), "12.1.2")
}

func TestPathIsThereWhereNeeded(t *testing.T) {
	for name, list := range map[string][]Proposal{
		"nothing": nil, "removal": {remove(2)}, "extensions": {setExtensions()},
	} {
		g := newTrio(t)
		if _, err := g.alice.group.Commit(testTime, CommitOptions{Proposals: list, NoPath: true}); err == nil {
			t.Errorf("%s committed without a path", name)
		}
		forged, tag := g.genuine(list...)
		forged.Path = nil
		g.bobRefuses(name+" without a path", g.forge(forged, tag), "12.4.2")
	}
}

// TestAlteredPathIsRefused changes one thing of a genuine path at a time.
func TestAlteredPathIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		section string
		alter   func(g *trio, p *UpdatePath)
	}{
		"node missing":  {"12.4.2", func(_ *trio, p *UpdatePath) { p.Nodes = p.Nodes[:1] }},
		"node too many": {"12.4.2", func(_ *trio, p *UpdatePath) { p.Nodes = append(p.Nodes, p.Nodes[0]) }},
		"no ciphertext": {"7.6", func(_ *trio, p *UpdatePath) { p.Nodes[0].EncryptedPathSecret = nil }},
		"one ciphertext": {"7.6", func(_ *trio, p *UpdatePath) {
			p.Nodes[1].EncryptedPathSecret = append(p.Nodes[1].EncryptedPathSecret, HPKECiphertext{})
		}},
		"unusable key":    {"12.4.2", func(_ *trio, p *UpdatePath) { p.Nodes[0].EncryptionKey = []byte{1} }},
		"key in the tree": {"12.4.2", func(g *trio, p *UpdatePath) { p.Nodes[0].EncryptionKey = g.bob.group.tree.leaf(1).EncryptionKey }},
		"another key": {"7.9.2", func(_ *trio, p *UpdatePath) {
			_, p.Nodes[0].EncryptionKey, _ = GenerateHPKEKey(1)
		}},
		"ciphertext":        {"12.4.2", func(_ *trio, p *UpdatePath) { p.Nodes[0].EncryptedPathSecret[0].Ciphertext[3] ^= 1 }},
		"another secret":    {"12.4.2", func(g *trio, p *UpdatePath) { g.sealAnother(p) }},
		"leaf signature":    {"7.3", func(_ *trio, p *UpdatePath) { p.LeafNode.Signature[3] ^= 1 }},
		"leaf of an update": {"7.3", func(g *trio, p *UpdatePath) { p.LeafNode.Source = SourceUpdate; g.signLeaf(p) }},
		"leaf keeps its key": {"12.4.2", func(g *trio, p *UpdatePath) {
			p.LeafNode.EncryptionKey = g.alice.group.tree.leaf(0).EncryptionKey
			g.signLeaf(p)
		}},
		"leaf without key": {"7.3", func(g *trio, p *UpdatePath) { p.LeafNode.EncryptionKey = nil; g.signLeaf(p) }},
		"parent hash":      {"7.9.2", func(g *trio, p *UpdatePath) { p.LeafNode.ParentHash = make([]byte, 32); g.signLeaf(p) }},
		"leaf extension": {"7.3", func(g *trio, p *UpdatePath) {
			p.LeafNode.Extensions = []Extension{{ExtensionType: 0xF00F}}
			g.signLeaf(p)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTrio(t)
			forged, tag := g.genuine()
			c.alter(g, forged.Path)
			g.bobRefuses(name, g.forge(forged, tag), c.section)
		})
	}
}

func (g *trio) signLeaf(p *UpdatePath) {
	if err := p.LeafNode.sign(1, g.alice.signer, []byte("group"), 0); err != nil {
		g.Fatal(err)
	}
}

// sealAnother puts a path secret that opens but leads to other keys.
func (g *trio) sealAnother(p *UpdatePath) {
	context := g.alice.group.context
	next := *context
	staged := must(g.bob.group.Process(testTime, g.forge(g.genuine()))) // to learn the form of the next context
	next.Epoch, next.Extensions = staged.Commit.Next().Epoch(), staged.Commit.Next().context.Extensions
	tree := g.bob.group.tree.clone()
	if err := tree.applyPath(0, p, nil); err != nil {
		g.Fatal(err)
	}
	next.TreeHash = tree.treeHash()
	bob := g.bob.group.tree.leaf(1).EncryptionKey
	p.Nodes[0].EncryptedPathSecret = []HPKECiphertext{*must(EncryptWithLabel(1, bob, "UpdatePathNode", must(next.Encode()), make([]byte, 32)))}
}

func TestConfirmationTagOfACommitMustVerify(t *testing.T) {
	g := newTrio(t)
	forged, tag := g.genuine()
	tag[0] ^= 1
	g.bobRefuses("confirmation tag", g.forge(forged, tag), "6.1")
	g.bobRefuses("no confirmation tag", g.forge(forged, nil), "6.1")
}

func TestAddedKeyPackageMustBeValid(t *testing.T) {
	for name, c := range map[string]struct {
		section string
		alter   func(k *KeyPackage)
	}{
		"version":              {"10.1", func(k *KeyPackage) { k.Version = 2 }},
		"suite":                {"10.1", func(k *KeyPackage) { k.CipherSuite = X25519ChaChaSHA256Ed25519 }},
		"init key reused":      {"10.1", func(k *KeyPackage) { k.InitKey = k.LeafNode.EncryptionKey }},
		"init key unusable":    {"10.1", func(k *KeyPackage) { k.InitKey = k.InitKey[1:] }},
		"extension twice":      {"13.4", func(k *KeyPackage) { k.Extensions = []Extension{{ExtensionType: 9}, {ExtensionType: 9}} }},
		"leaf source":          {"7.3", func(k *KeyPackage) { k.LeafNode.Source = SourceUpdate }},
		"leaf key unusable":    {"7.3", func(k *KeyPackage) { k.LeafNode.EncryptionKey = []byte{} }},
		"leaf extension twice": {"13.4", func(k *KeyPackage) { k.LeafNode.Extensions = []Extension{{ExtensionType: 1}, {ExtensionType: 1}} }},
		"extension not listed": {"7.3", func(k *KeyPackage) { k.LeafNode.Extensions = []Extension{{ExtensionType: 0xF00F}} }},
	} {
		t.Run(name, func(t *testing.T) {
			g := newTrio(t)
			g.bothRefuse(name, c.section, add(g.dave(c.alter)))
		})
	}
	g := newTrio(t)
	k := g.dave(nil)
	k.Signature[0] ^= 1
	g.bothRefuse("signature", "10.1", add(k))
}

func TestExpiredKeyPackageIsNotAdded(t *testing.T) {
	g := newTrio(t)
	for _, life := range []Lifetime{{0, uint64(testTime.Unix()) - 1}, {uint64(testTime.Unix()) + 1, 1 << 62}} {
		k := g.dave(func(k *KeyPackage) { k.LeafNode.Lifetime = life })
		_, err := g.alice.group.Commit(testTime, CommitOptions{Proposals: []Proposal{add(k)}})
		wantInvalid(t, err, "7.3")
	}
}

func TestCredentialTheApplicationRefuses(t *testing.T) {
	g := newTrio(t)
	refuse := func(c *Credential, _ SignaturePublicKey) error {
		if string(c.Identity) == "dave" {
			return errors.New("nobody knows dave")
		}
		return nil
	}
	g.alice.group.opt.Validator, g.bob.group.opt.Validator = refuse, refuse
	g.bothRefuse("dave", "7.3", add(g.dave(nil)))
}

func TestPolicyOfTheApplicationIsAsked(t *testing.T) {
	g := newTrio(t)
	deny := func(current, next *GroupView, c *StagedCommit) error {
		if current == nil || next.Epoch() != current.Epoch()+1 {
			t.Errorf("asked about %v → %v", current, next)
		}
		return errors.New("not today")
	}
	g.bob.group.opt.ValidateCommit = deny
	g.bobRefuses("policy", g.forge(g.genuine()), "12.4.2")
	g.alice.group.opt.ValidateCommit = deny
	_, err := g.alice.group.Commit(testTime, CommitOptions{})
	wantInvalid(t, err, "12.4.2")
}

// TestMembersDoNotShareKeys covers Adds that repeat a key of a member, or one
// another.
func TestMembersDoNotShareKeys(t *testing.T) {
	g := newTrio(t)
	refuse := func(what string, list ...Proposal) {
		t.Helper()
		_, err := g.alice.group.Commit(testTime, CommitOptions{Proposals: list})
		wantInvalid(t, err, "7.3")
	}
	again := g.bob.keyPackage()
	refuse("member's signature key", add(again))
	one := g.dave(nil)
	refuse("one package twice", add(one), add(one))
	refuse("member's encryption key", add(g.dave(func(k *KeyPackage) { k.LeafNode.EncryptionKey = g.bob.group.tree.leaf(1).EncryptionKey })))
	if _, err := g.alice.group.Commit(testTime, CommitOptions{Proposals: []Proposal{add(again), remove(1)}}); err != nil {
		t.Errorf("a member cannot be replaced by its own new package: %v", err)
	}
}

func TestMembersSupportWhatIsInUse(t *testing.T) {
	g := newTrio(t)
	refuse := func(what, section string, list ...Proposal) {
		t.Helper()
		_, err := g.alice.group.Commit(testTime, CommitOptions{Proposals: list})
		var bad *InvalidError
		if !errors.As(err, &bad) || bad.Section != section {
			t.Errorf("%s: got %v, want a breach of Section %s", what, err, section)
		}
	}
	refuse("credential others do not know", "7.3", add(g.dave(func(k *KeyPackage) {
		k.LeafNode.Credential = Credential{CredentialType: CredentialX509, Certificates: [][]byte{{1}}}
		k.LeafNode.Capabilities.Credentials = []CredentialType{1, 2}
	})))
	refuse("member who does not know the credentials", "7.3", add(g.dave(func(k *KeyPackage) { k.LeafNode.Capabilities.Credentials = nil })))
	refuse("extension nobody supports", "7.2", setExtensions(Extension{ExtensionType: 0xF00F}))
	refuse("extension twice", "13.4", setExtensions(Extension{ExtensionType: 9}, Extension{ExtensionType: 9}))
	refuse("external_senders that do not decode", "12.1.8.1", setExtensions(Extension{ExtensionExternalSenders, []byte{9}}))
	refuse("required_capabilities that do not decode", "11.1", setExtensions(Extension{ExtensionRequiredCapabilities, []byte{9}}))
	for what, r := range map[string]RequiredCapabilities{
		"extension": {ExtensionTypes: []ExtensionType{0xF00F}}, "proposal": {ProposalTypes: []ProposalType{0xF00F}},
		"credential": {CredentialTypes: []CredentialType{CredentialX509}},
	} {
		refuse("required "+what, "11.1", setExtensions(r.Extension()))
	}
	standard := RequiredCapabilities{ExtensionTypes: []ExtensionType{ExtensionExternalPub}, ProposalTypes: []ProposalType{ProposalReInit}, CredentialTypes: []CredentialType{1}}
	if _, err := g.alice.group.Commit(testTime, CommitOptions{Proposals: []Proposal{setExtensions(standard.Extension())}}); err != nil {
		t.Errorf("what RFC 9420 makes mandatory need not be listed: %v", err)
	}
}

// TestExternalCommitHasOnlyItsProposals alters the proposals of a genuine
// external commit; its signer is the joiner itself.
func TestExternalCommitHasOnlyItsProposals(t *testing.T) {
	g := newTrio(t)
	info := must(g.alice.group.GroupInfo(true))
	joiner := newDevice(t, 1, "dave")
	_, msg, _, err := JoinExternal(info, joiner.signer, BasicCredential([]byte("dave")), ExternalJoinOptions{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	genuine := must(ParseMLSMessage(msg)).PublicMessage.Content.Commit.Proposals
	known, ref, _, err := g.carol.group.Propose(remove(0), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	g.bob.receive(known)
	byRef := ProposalOrRef{Reference: ref}
	by := func(list ...Proposal) (refs []ProposalOrRef) {
		for i := range list {
			refs = append(refs, ProposalOrRef{Proposal: &list[i]})
		}
		return refs
	}
	for what, c := range map[string]struct {
		section string
		list    []ProposalOrRef
	}{
		"no ExternalInit":  {"12.2", nil},
		"two ExternalInit": {"12.2", slices.Concat(genuine, genuine)},
		"Add":              {"12.2", slices.Concat(genuine, by(add(g.dave(nil))))},
		"two Removes":      {"12.2", slices.Concat(genuine, by(remove(1), remove(2)))},
		"extensions":       {"12.2", slices.Concat(genuine, by(setExtensions()))},
		"custom":           {"12.2", slices.Concat(genuine, by(Proposal{Type: 0xF333}))},
		"reference":        {"12.4.3.2", slices.Concat(genuine, []ProposalOrRef{byRef})},
	} {
		g.bobRefuses(what, g.alterExternal(msg, joiner.signer, func(m *Commit) { m.Proposals = c.list }), c.section)
	}
	g.bobRefuses("no path", g.alterExternal(msg, joiner.signer, func(m *Commit) { m.Path = nil }), "12.4.3.2")
	staged := must(g.bob.group.Process(testTime, g.alterExternal(msg, joiner.signer, func(*Commit) {})))
	if adds := staged.Commit.Adds; len(adds) != 1 || string(adds[0].Credential.Identity) != "dave" {
		t.Errorf("unaltered, it adds %v", adds)
	}
}

// alterExternal changes an external commit and signs it again as the joiner.
func (g *trio) alterExternal(msg []byte, signer SignaturePrivateKey, alter func(*Commit)) []byte {
	g.Helper()
	m := must(ParseMLSMessage(msg))
	alter(m.PublicMessage.Content.Commit)
	a := &AuthenticatedContent{WireFormatPublicMessage, m.PublicMessage.Content, m.PublicMessage.Auth}
	if err := a.sign(g.alice.group.suite(), signer, g.alice.group.epoch.encodedContext()); err != nil {
		g.Fatal(err)
	}
	m.PublicMessage.Auth = a.Auth
	return must(m.Encode())
}

// TestProposersMayProposeOnlyTheirs is the table of Section 12.1.8.
func TestProposersMayProposeOnlyTheirs(t *testing.T) {
	refused := map[SenderType][]ProposalType{
		SenderMember:            {ProposalExternalInit},
		SenderExternal:          {ProposalUpdate, ProposalExternalInit},
		SenderNewMemberProposal: {ProposalUpdate, ProposalRemove, ProposalPSK, ProposalReInit, ProposalExternalInit, ProposalGroupContextExtensions},
	}
	for by, list := range refused {
		for p := ProposalAdd; p <= ProposalGroupContextExtensions; p++ {
			err := validateProposer(&Proposal{Type: p}, Sender{SenderType: by})
			if want := slices.Contains(list, p); want != (err != nil) {
				t.Errorf("sender %d, proposal %d: %v", by, p, err)
			} else if want {
				wantInvalid(t, err, "12.1.8")
			}
		}
	}
}
