package mls

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
)

var update = flag.Bool("update", false, "write testdata/vectors anew, with fresh randomness")

// ownVectors makes one case of a file for a suite; what it returns has the JSON
// form of the official file of that name. Files register in init.
var ownVectors = map[string]func(t *testing.T, suite CipherSuite) any{}

func init() {
	ownVectors["rfc9420/crypto-basics.json"] = makeCryptoBasics
	ownVectors["rfc9420/key-schedule.json"] = makeKeySchedule
	ownVectors["rfc9420/psk_secret.json"] = makePSKSecret
	ownVectors["rfc9420/secret-tree.json"] = makeSecretTree
	ownVectors["rfc9420/transcript-hashes.json"] = makeTranscriptHashes
	ownVectors["rfc9420/message-protection.json"] = makeMessageProtection
	ownVectors["rfc9420/welcome.json"] = makeWelcome
}

// TestOwnVectorsCoverEverySuite makes sure that no suite is left out of the own
// vectors; with -update it writes them anew.
func TestOwnVectorsCoverEverySuite(t *testing.T) {
	for _, name := range sortedKeys(ownVectors) {
		path := filepath.Join("testdata", "vectors", filepath.FromSlash(name))
		if *update {
			writeOwnVectors(t, path, ownVectors[name])
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		var cases []struct {
			CipherSuite CipherSuite `json:"cipher_suite"`
		}
		if err := json.Unmarshal(b, &cases); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		covered := map[CipherSuite]bool{}
		for _, c := range cases {
			covered[c.CipherSuite] = true
		}
		for _, suite := range SupportedSuites() {
			if !covered[suite] {
				t.Errorf("%s has no case of suite %#x", name, uint16(suite))
			}
		}
	}
}

func writeOwnVectors(t *testing.T, path string, one func(*testing.T, CipherSuite) any) {
	t.Helper()
	var cases []any
	for _, suite := range SupportedSuites() {
		cases = append(cases, one(t, suite))
	}
	b, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func makeCryptoBasics(t *testing.T, suite CipherSuite) any {
	a, n := must(suite.algorithms()), must(suite.algorithms()).hashSize()
	v := &cryptoBasicsVector{CipherSuite: suite}
	v.RefHash.Label, v.RefHash.Value = "RefHash", randomBytes(n)
	v.RefHash.Out = a.refHash(v.RefHash.Label, v.RefHash.Value)
	v.Expand.Secret, v.Expand.Label, v.Expand.Context, v.Expand.Length = randomBytes(n), "ExpandWithLabel", randomBytes(n), 16
	v.Expand.Out = hexBytes(a.expandWithLabel(Secret(v.Expand.Secret), v.Expand.Label, v.Expand.Context, v.Expand.Length))
	v.Derive.Secret, v.Derive.Label = randomBytes(n), "DeriveSecret"
	v.Derive.Out = hexBytes(a.deriveSecret(Secret(v.Derive.Secret), v.Derive.Label))
	v.Tree.Secret, v.Tree.Label, v.Tree.Generation, v.Tree.Length = randomBytes(n), "DeriveTreeSecret", 0xA1B2C3D4, n
	v.Tree.Out = hexBytes(a.deriveTreeSecret(Secret(v.Tree.Secret), v.Tree.Label, v.Tree.Generation, v.Tree.Length))

	key, pub, err := GenerateSignatureKey(suite)
	v.Sign.Priv, v.Sign.Pub, v.Sign.Label, v.Sign.Content = hexBytes(key.Bytes()), hexBytes(pub), "SignWithLabel", randomBytes(n)
	v.Sign.Signature = must(SignWithLabel(suite, key, v.Sign.Label, v.Sign.Content))
	private, public, err2 := GenerateHPKEKey(suite)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	e := &v.Encrypt
	e.Priv, e.Pub, e.Label, e.Context, e.Plaintext = hexBytes(private.Bytes()), hexBytes(public), "EncryptWithLabel", randomBytes(n), randomBytes(n)
	ct := must(EncryptWithLabel(suite, public, e.Label, e.Context, e.Plaintext))
	e.KEMOutput, e.Ciphertext = ct.KEMOutput, ct.Ciphertext
	return v
}

func makeKeySchedule(t *testing.T, suite CipherSuite) any {
	a := must(suite.algorithms())
	n := a.hashSize()
	v := &keyScheduleVector{CipherSuite: suite, GroupID: randomBytes(n), InitialInit: randomBytes(n)}
	init := Secret(v.InitialInit)
	for i := range 3 {
		var e keyScheduleEpoch
		e.TreeHash, e.CommitSecret, e.PSKSecret, e.ConfirmedTranscriptHash = randomBytes(n), randomBytes(n), randomBytes(n), randomBytes(n)
		context := GroupContext{Version: MLS10, CipherSuite: suite, GroupID: v.GroupID, Epoch: uint64(i), TreeHash: e.TreeHash, ConfirmedTranscriptHash: e.ConfirmedTranscriptHash}
		e.GroupContext = must(context.Encode())
		e.JoinerSecret = hexBytes(a.joinerSecret(init, Secret(e.CommitSecret), e.GroupContext))
		member := a.memberSecret(Secret(e.JoinerSecret), Secret(e.PSKSecret))
		e.WelcomeSecret = hexBytes(a.welcomeSecret(member))
		s := a.epochSecrets(member, e.GroupContext)
		e.InitSecret, e.SenderDataSecret, e.EncryptionSecret = hexBytes(s.Init), hexBytes(s.SenderData), hexBytes(s.Encryption)
		e.ExporterSecret, e.EpochAuthenticator, e.ExternalSecret = hexBytes(s.Exporter), hexBytes(s.EpochAuthenticator), hexBytes(s.External)
		e.ConfirmationKey, e.MembershipKey, e.ResumptionPSK = hexBytes(s.ConfirmationKey), hexBytes(s.MembershipKey), hexBytes(s.ResumptionPSK)
		e.ExternalPub = hexBytes(must(must(s.externalPrivate(a)).public(a)))
		e.Exporter.Label, e.Exporter.Context, e.Exporter.Length = "exporter", randomBytes(n), 20
		e.Exporter.Secret = hexBytes(must(a.export(s.Exporter, e.Exporter.Label, e.Exporter.Context, e.Exporter.Length)))
		v.Epochs, init = append(v.Epochs, e), s.Init
	}
	return v
}

func makePSKSecret(t *testing.T, suite CipherSuite) any {
	a := must(suite.algorithms())
	v := &pskSecretVector{CipherSuite: suite}
	var psks []pskInput
	for range 3 {
		p := pskVector{randomBytes(8), randomBytes(a.hashSize()), randomBytes(a.hashSize())}
		v.PSKs = append(v.PSKs, p)
		psks = append(psks, pskInput{PreSharedKeyID{PSKType: PSKExternal, PSKID: p.ID, PSKNonce: p.Nonce}, Secret(p.PSK)})
	}
	v.PSKSecret = hexBytes(a.pskSecret(psks))
	return v
}

func makeSecretTree(t *testing.T, suite CipherSuite) any {
	a := must(suite.algorithms())
	v := &secretTreeVector{CipherSuite: suite, EncryptionSecret: randomBytes(a.hashSize())}
	v.SenderData.Secret, v.SenderData.Ciphertext = randomBytes(a.hashSize()), randomBytes(77)
	key, nonce := a.senderDataKey(Secret(v.SenderData.Secret), v.SenderData.Ciphertext)
	v.SenderData.Key, v.SenderData.Nonce = hexBytes(key), hexBytes(nonce)
	tree, _ := newSecretTree(a, "", 8, Secret(v.EncryptionSecret))
	limits := ratchetLimits{100, 100}
	for leaf := range LeafIndex(8) {
		var steps []secretTreeStep
		for _, g := range []uint32{0, 1, 15} {
			application, handshake := must(tree.find(ratchetID{leaf, false}, g, limits)), must(tree.find(ratchetID{leaf, true}, g, limits))
			steps = append(steps, secretTreeStep{g, hexBytes(application.Key), hexBytes(application.Nonce), hexBytes(handshake.Key), hexBytes(handshake.Nonce)})
		}
		v.Leaves = append(v.Leaves, steps)
	}
	return v
}

func makeTranscriptHashes(t *testing.T, suite CipherSuite) any {
	e := newTestEpoch(t, suite)
	content := e.sign(WireFormatPublicMessage, FramedContent{Sender: Sender{SenderType: SenderMember}, ContentType: ContentCommit, Commit: &Commit{}})
	v := &transcriptHashesVector{CipherSuite: suite, ConfirmationKey: randomBytes(e.a.hashSize()), InterimBefore: randomBytes(e.a.hashSize())}
	v.ConfirmedAfter = must(e.a.confirmedTranscriptHash(v.InterimBefore, content))
	content.Auth.ConfirmationTag = e.a.confirmationTag(Secret(v.ConfirmationKey), v.ConfirmedAfter)
	v.InterimAfter = e.a.interimTranscriptHash(v.ConfirmedAfter, content.Auth.ConfirmationTag)
	v.AuthenticatedContent = wire.MustEncode(content.wire)
	return v
}

func makeMessageProtection(t *testing.T, suite CipherSuite) any {
	a := must(suite.algorithms())
	n := a.hashSize()
	v := &messageProtectionVector{
		CipherSuite: suite, GroupID: randomBytes(16), Epoch: 99, TreeHash: randomBytes(n), ConfirmedTranscriptHash: randomBytes(n),
		EncryptionSecret: randomBytes(n), SenderDataSecret: randomBytes(n), MembershipKey: randomBytes(n), Application: randomBytes(30),
	}
	signer, pub, err := GenerateSignatureKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	v.SignaturePriv, v.SignaturePub = hexBytes(signer.Bytes()), hexBytes(pub)
	context := GroupContext{Version: MLS10, CipherSuite: suite, GroupID: v.GroupID, Epoch: v.Epoch, TreeHash: v.TreeHash, ConfirmedTranscriptHash: v.ConfirmedTranscriptHash}
	p := &protection{vectorCase: &vectorCase{}, v: v, suite: a, context: must(context.Encode()), signer: signer}

	proposal, commit := &Proposal{Type: ProposalRemove, Remove: &Remove{0}}, &Commit{}
	v.Proposal, v.Commit = wire.MustEncode(proposal.wire), wire.MustEncode(commit.wire)
	content := func(t ContentType) *FramedContent {
		return &FramedContent{ContentType: t, Proposal: proposal, Commit: commit, ApplicationData: v.Application}
	}
	private := func(t ContentType) hexBytes {
		m, _, err := p.keys(1).protect(p.sign("", content(t), WireFormatPrivateMessage), 7)
		return must((&MLSMessage{Version: MLS10, WireFormat: WireFormatPrivateMessage, PrivateMessage: must(m, err)}).Encode())
	}
	public := func(t ContentType) hexBytes {
		m := must(p.sign("", content(t), WireFormatPublicMessage).protectPublic(a, Secret(v.MembershipKey), p.context))
		return must((&MLSMessage{Version: MLS10, WireFormat: WireFormatPublicMessage, PublicMessage: m}).Encode())
	}
	v.ProposalPriv, v.CommitPriv, v.ApplicationPriv = private(ContentProposal), private(ContentCommit), private(ContentApplication)
	v.ProposalPub, v.CommitPub = public(ContentProposal), public(ContentCommit)
	return v
}

func makeWelcome(t *testing.T, suite CipherSuite) any {
	a := must(suite.algorithms())
	joiner := newBundle(t, suite, "joiner", KeyPackageOptions{})
	signer, pub, err := GenerateSignatureKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	secrets := &GroupSecrets{JoinerSecret: randomBytes(a.hashSize())}
	member := a.memberSecret(secrets.JoinerSecret, a.pskSecret(nil))
	info := &GroupInfo{GroupContext: GroupContext{Version: MLS10, CipherSuite: suite, GroupID: []byte("group"), Epoch: 1,
		TreeHash: randomBytes(a.hashSize()), ConfirmedTranscriptHash: randomBytes(a.hashSize())}}
	keys := a.epochSecrets(member, must(info.GroupContext.Encode()))
	info.ConfirmationTag = a.confirmationTag(keys.ConfirmationKey, info.GroupContext.ConfirmedTranscriptHash)
	if err := info.sign(a, signer); err != nil {
		t.Fatal(err)
	}
	w := &Welcome{CipherSuite: suite, EncryptedGroupInfo: must(a.sealGroupInfo(a.welcomeSecret(member), info))}
	w.Secrets = []EncryptedGroupSecrets{*must(a.sealGroupSecrets(joiner.KeyPackage, w.EncryptedGroupInfo, secrets))}
	return &welcomeVector{
		CipherSuite: suite, InitPriv: hexBytes(joiner.InitKey.Bytes()), SignerPub: hexBytes(pub),
		KeyPackage: must((&MLSMessage{Version: MLS10, WireFormat: WireFormatKeyPackage, KeyPackage: joiner.KeyPackage}).Encode()),
		Welcome:    must((&MLSMessage{Version: MLS10, WireFormat: WireFormatWelcome, Welcome: w}).Encode()),
	}
}
