package mls

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
)

// structure is one of the package's decoders, with encodings of values that
// between them have every arm of every select.
type structure struct {
	name   string
	decode func(b []byte) (again []byte, err error)
	seeds  [][]byte
}

func structureOf[T any](name string, fields func(*T, *wire.Codec), values ...*T) structure {
	s := structure{name: name, decode: func(b []byte) ([]byte, error) {
		v, err := parse(b, fields)
		if err != nil {
			return nil, err
		}
		return wire.Encode(func(c *wire.Codec) { fields(v, c) })
	}}
	for _, v := range values {
		s.seeds = append(s.seeds, wire.MustEncode(func(c *wire.Codec) { fields(v, c) }))
	}
	return s
}

func exampleLeaf(source LeafNodeSource) LeafNode {
	return LeafNode{
		EncryptionKey: []byte("encryption key"), SignatureKey: []byte("signature key"),
		Credential:   Credential{CredentialType: CredentialX509, Certificates: [][]byte{[]byte("leaf"), []byte("issuer")}},
		Capabilities: Capabilities{Versions: []ProtocolVersion{1}, CipherSuites: []CipherSuite{1, 0xF1A1}, Extensions: []ExtensionType{10}, Proposals: []ProposalType{0xF000}, Credentials: []CredentialType{1, 2}},
		Source:       source, Lifetime: Lifetime{1, 2}, ParentHash: []byte("parent hash"),
		Extensions: []Extension{{ExtensionApplicationID, []byte("id")}}, Signature: []byte("signature"),
	}
}

func exampleKeyPackage() KeyPackage {
	return KeyPackage{Version: MLS10, CipherSuite: 1, InitKey: []byte("init key"), LeafNode: exampleLeaf(SourceKeyPackage),
		Extensions: []Extension{{ExtensionLastResort, nil}}, Signature: []byte("signature")}
}

func exampleProposals() []*Proposal {
	return []*Proposal{
		{Type: ProposalAdd, Add: &Add{exampleKeyPackage()}},
		{Type: ProposalUpdate, Update: &Update{exampleLeaf(SourceUpdate)}},
		{Type: ProposalRemove, Remove: &Remove{7}},
		{Type: ProposalPSK, PreSharedKey: &PreSharedKey{PreSharedKeyID{PSKType: PSKExternal, PSKID: []byte("id"), PSKNonce: []byte("nonce")}}},
		{Type: ProposalPSK, PreSharedKey: &PreSharedKey{PreSharedKeyID{PSKType: PSKResumption, Usage: UsageBranch, PSKGroupID: []byte("g"), PSKEpoch: 3}}},
		{Type: ProposalReInit, ReInit: &ReInit{GroupID: []byte("g"), Version: MLS10, CipherSuite: 2}},
		{Type: ProposalExternalInit, ExternalInit: &ExternalInit{[]byte("kem output")}},
		{Type: ProposalGroupContextExtensions, GroupContextExtensions: &GroupContextExtensions{[]Extension{{9, []byte("x")}}}},
		{Type: 0xF123, Custom: []byte("custom")},
	}
}

func exampleCommit() *Commit {
	m := &Commit{Proposals: []ProposalOrRef{{Reference: []byte("reference")}}, Path: &UpdatePath{
		LeafNode: exampleLeaf(SourceCommit),
		Nodes:    []UpdatePathNode{{[]byte("key"), []HPKECiphertext{{[]byte("kem"), []byte("ct")}, {}}}, {}},
	}}
	for _, p := range exampleProposals() {
		m.Proposals = append(m.Proposals, ProposalOrRef{Proposal: p})
	}
	return m
}

func exampleContents() (list []FramedContent) {
	senders := []Sender{{SenderType: SenderMember, LeafIndex: 5}, {SenderType: SenderExternal, SenderIndex: 1}, {SenderType: SenderNewMemberProposal}, {SenderType: SenderNewMemberCommit}}
	for i, s := range senders {
		f := FramedContent{GroupID: []byte("group"), Epoch: 9, Sender: s, AuthenticatedData: []byte("aad")}
		switch i % 3 {
		case 0:
			f.ContentType, f.Commit = ContentCommit, exampleCommit()
		case 1:
			f.ContentType, f.Proposal = ContentProposal, exampleProposals()[2]
		case 2:
			f.ContentType, f.ApplicationData = ContentApplication, []byte("data")
		}
		list = append(list, f)
	}
	return list
}

func exampleMessages() (list []*MLSMessage) {
	for _, f := range exampleContents() {
		list = append(list, &MLSMessage{Version: MLS10, WireFormat: WireFormatPublicMessage,
			PublicMessage: &PublicMessage{f, FramedContentAuthData{[]byte("sig"), []byte("tag")}, []byte("tag")}})
	}
	kp := exampleKeyPackage()
	return append(list,
		&MLSMessage{Version: MLS10, WireFormat: WireFormatPrivateMessage, PrivateMessage: &PrivateMessage{[]byte("g"), 1, ContentCommit, nil, []byte("sd"), []byte("ct")}},
		&MLSMessage{Version: MLS10, WireFormat: WireFormatWelcome, Welcome: &Welcome{1, []EncryptedGroupSecrets{{[]byte("ref"), HPKECiphertext{}}}, []byte("info")}},
		&MLSMessage{Version: MLS10, WireFormat: WireFormatGroupInfo, GroupInfo: &GroupInfo{GroupContext: GroupContext{Version: 1, CipherSuite: 1, Extensions: []Extension{{3, nil}}}, Signer: 4}},
		&MLSMessage{Version: MLS10, WireFormat: WireFormatKeyPackage, KeyPackage: &kp})
}

// structures lists every decoder of the package.
func structures() []structure {
	leafKP, leafUpdate, leafCommit, kp := exampleLeaf(SourceKeyPackage), exampleLeaf(SourceUpdate), exampleLeaf(SourceCommit), exampleKeyPackage()
	parent := ParentNode{[]byte("key"), []byte("hash"), []LeafIndex{1, 5}}
	contents := exampleContents()
	auth := &AuthenticatedContent{WireFormatPublicMessage, contents[0], FramedContentAuthData{[]byte("s"), []byte("t")}}
	bundle := must(NewKeyPackage(1, must(ParseSignaturePrivateKey(1, make([]byte, 32))), BasicCredential([]byte("a")), KeyPackageOptions{}))
	r := &ratchet{5, []byte("secret"), []skippedKey{{2, []byte("k"), []byte("n")}}}
	return []structure{
		structureOf("MLSMessage", (*MLSMessage).wire, exampleMessages()...),
		structureOf("Proposal", (*Proposal).wire, exampleProposals()...),
		structureOf("Commit", (*Commit).wire, exampleCommit(), &Commit{}),
		structureOf("LeafNode", (*LeafNode).wire, &leafKP, &leafUpdate, &leafCommit),
		structureOf("KeyPackage", (*KeyPackage).wire, &kp),
		structureOf("Node", (*Node).wire, &Node{Leaf: &leafKP}, &Node{Parent: &parent}),
		structureOf("RatchetTree", (*RatchetTree).wire, &RatchetTree{nodes: []*Node{{Leaf: &leafKP}, {Parent: &parent}, {Leaf: &leafUpdate}, nil, {Leaf: &leafCommit}}}),
		structureOf("GroupContext", (*GroupContext).wire, &GroupContext{Version: 1, CipherSuite: 2, GroupID: []byte("g"), Epoch: 3, TreeHash: []byte("h"), Extensions: []Extension{{1, nil}}}),
		structureOf("GroupInfo", (*GroupInfo).wire, exampleMessages()[6].GroupInfo),
		structureOf("Welcome", (*Welcome).wire, exampleMessages()[5].Welcome),
		structureOf("GroupSecrets", (*GroupSecrets).wire, &GroupSecrets{[]byte("j"), &PathSecret{[]byte("p")}, []PreSharedKeyID{{PSKType: PSKExternal}}}, &GroupSecrets{}),
		structureOf("AuthenticatedContent", (*AuthenticatedContent).wire, auth),
		structureOf("senderData", (*senderData).wire, &senderData{1, 2, [4]byte{3}}),
		structureOf("RequiredCapabilities", (*RequiredCapabilities).wire, &RequiredCapabilities{[]ExtensionType{1}, []ProposalType{2}, []CredentialType{3}}),
		structureOf("ExternalSender", (*ExternalSender).wire, &ExternalSender{[]byte("k"), BasicCredential([]byte("c"))}),
		structureOf("ComponentData", (*ComponentData).wire, &ComponentData{4, []byte("d")}),
		structureOf("ratchet", (*ratchet).wire, r),
		structureOf("epochSecrets", (*epochSecrets).wire, must(CipherSuite(1).algorithms()).fromEpochSecret(make([]byte, 32))),
		structureOf("KeyPackageBundle", (*KeyPackageBundle).wire, bundle),
		structureOf("head", (*head).wire, &head{version: stateVersion, epoch: 7, treeBase: 3, past: []uint64{5, 6}, resumption: []uint64{6}}),
		structureOf("epoch", (*epoch).wire, exampleEpoch(bundle)),
		structureOf("treeChanges", (*treeChanges).wire, &treeChanges{4, []treeChange{{node: 0, leaf: &leafKP}, {node: 1, parent: &parent}, {node: 2}}}),
		structureOf("pastRecord", (*pastRecord).wire, &pastRecord{context: exampleEpoch(bundle).context, senderData: []byte("s"), leaves: 4, endedBy: []byte("hash"), changed: []treeChange{{node: 2}}}),
		structureOf("stagedRecord", (*stagedRecord).wire, exampleStaged(bundle)),
	}
}

func exampleEpoch(b *KeyPackageBundle) *epoch {
	return &epoch{
		context: GroupContext{Version: MLS10, CipherSuite: 1, GroupID: []byte("g"), Epoch: 7}, interim: []byte("interim"),
		confirmationTag: []byte("tag"), secrets: &epochSecrets{Init: []byte("init")}, own: 1,
		private: privateKeys{2: b.EncryptionKey, 3: b.InitKey}, signer: b.SignatureKey,
		reinit: &ReInit{GroupID: []byte("next"), Version: MLS10, CipherSuite: 2},
	}
}

func exampleStaged(b *KeyPackageBundle) *stagedRecord {
	next := exampleEpoch(b)
	return &stagedRecord{
		base: next.context, sender: Sender{SenderType: SenderMember, LeafIndex: 1}, committer: 1, aad: []byte("aad"), path: true,
		proposals: []StagedProposal{{exampleProposals()[2], Sender{SenderType: SenderExternal}, []byte("ref")}},
		message:   []byte("message"), welcome: &Welcome{CipherSuite: 1}, context: next.context,
		tree: treeChanges{2, []treeChange{{node: 2}}}, added: []LeafIndex{1}, next: next,
	}
}

// check decodes b; what is accepted must encode to b again.
func (s *structure) check(t *testing.T, b []byte) {
	again, err := s.decode(b)
	if err != nil {
		if !errors.Is(err, wire.ErrSyntax) {
			t.Fatalf("%s %x: error is not a syntax error: %v", s.name, b, err)
		}
		return
	}
	if !bytes.Equal(again, b) {
		t.Fatalf("%s: %x encodes again to %x", s.name, b, again)
	}
}

func TestEveryPrefixOfEveryStructureIsRefused(t *testing.T) {
	for _, s := range structures() {
		for _, seed := range s.seeds {
			again, err := s.decode(seed)
			if err != nil || !bytes.Equal(again, seed) {
				t.Fatalf("%s: round trip of %x: %x, %v", s.name, seed, again, err)
			}
			for n := range seed {
				if _, err := s.decode(seed[:n]); !errors.Is(err, wire.ErrSyntax) {
					t.Fatalf("%s: prefix of %d of %d bytes: %v", s.name, n, len(seed), err)
				}
			}
			if _, err := s.decode(append(bytes.Clone(seed), 0)); !errors.Is(err, wire.ErrSyntax) {
				t.Fatalf("%s: a byte too many: %v", s.name, err)
			}
		}
	}
}

func TestAlteredEncodingsAreRefusedOrExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, s := range structures() {
		for _, seed := range s.seeds {
			for i := range seed {
				b := bytes.Clone(seed)
				b[i] = byte(random.Uint32())
				s.check(t, b)
			}
		}
	}
}

// FuzzDecode feeds every decoder: none panics, and what one accepts it encodes
// to the same bytes.
func FuzzDecode(f *testing.F) {
	all := structures()
	for i, s := range all {
		for _, seed := range s.seeds {
			f.Add(uint8(i), seed)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) { all[int(which)%len(all)].check(t, b) })
}

func TestUnknownTagsAreRefused(t *testing.T) {
	private := wire.MustEncode(exampleMessages()[4].wire)
	leaf := exampleLeaf(SourceUpdate)
	leaf.Source = 0
	for name, err := range map[string]error{
		"version":                      second(ParseMLSMessage(append([]byte{0, 2}, private[2:]...))),
		"wire format":                  second(ParseMLSMessage([]byte{0, 1, 0, 6, 0})),
		"wire format 0":                second(ParseMLSMessage([]byte{0, 1, 0, 0})),
		"content type":                 second(parse([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 4, 0}, (*FramedContent).wire)),
		"sender type":                  second(parse([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 1, 0}, (*FramedContent).wire)),
		"content of a private message": second(parse([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0}, (*PrivateMessage).wire)),
		"leaf node source":             second(wire.Encode(leaf.wire)),
		"tree node":                    second(parse([]byte{3}, (*Node).wire)),
		"PSK type":                     second(parse([]byte{3, 0, 0}, (*PreSharedKeyID).wire)),
		"resumption usage":             second(parse([]byte{2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, (*PreSharedKeyID).wire)),
		"proposal 0":                   second(parse([]byte{0, 0, 0}, (*Proposal).wire)),
		"proposal or ref":              second(parse([]byte{3, 0}, (*ProposalOrRef).wire)),
		"presence":                     second(parse([]byte{0, 2, 0}, (*Commit).wire)),
		"stored version":               second(parse([]byte{2, 0}, (*KeyPackageBundle).wire)),
	} {
		if !errors.Is(err, wire.ErrSyntax) {
			t.Errorf("unknown %s: %v", name, err)
		}
	}
}

func TestMissingBodiesDoNotEncode(t *testing.T) {
	for name, m := range map[string]func(*wire.Codec){
		"message":  (&MLSMessage{Version: MLS10, WireFormat: WireFormatWelcome}).wire,
		"proposal": (&Proposal{Type: ProposalAdd}).wire,
		"content":  (&FramedContent{Sender: Sender{SenderType: SenderMember}, ContentType: ContentCommit}).wire,
		"node":     (&Node{}).wire,
	} {
		if _, err := wire.Encode(m); err == nil {
			t.Errorf("a %s without its body is encoded", name)
		}
	}
}
