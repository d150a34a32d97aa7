package mls

import (
	"codeberg.org/huis/huis/internal/wire"
)

func init() {
	registerVectors("rfc9420/key-schedule.json", runKeySchedule)
	registerVectors("rfc9420/psk_secret.json", runPSKSecret)
	registerVectors("rfc9420/secret-tree.json", runSecretTree)
	// Only the beginning of the ciphertext is sampled.
	vectorFlips["rfc9420/secret-tree.json"] = flipRule{first: true}
	registerVectors("rfc9420/transcript-hashes.json", runTranscriptHashes)
	registerVectors("rfc9420/message-protection.json", runMessageProtection)
	registerVectors("rfc9420/welcome.json", runWelcome)
}

type keyScheduleVector struct {
	CipherSuite CipherSuite        `json:"cipher_suite"`
	GroupID     hexBytes           `json:"group_id"`
	InitialInit hexBytes           `json:"initial_init_secret"`
	Epochs      []keyScheduleEpoch `json:"epochs"`
}

type keyScheduleEpoch struct {
	TreeHash                hexBytes `json:"tree_hash"`
	CommitSecret            hexBytes `json:"commit_secret"`
	PSKSecret               hexBytes `json:"psk_secret"`
	ConfirmedTranscriptHash hexBytes `json:"confirmed_transcript_hash"`
	GroupContext            hexBytes `json:"group_context"`
	JoinerSecret            hexBytes `json:"joiner_secret"`
	WelcomeSecret           hexBytes `json:"welcome_secret"`
	InitSecret              hexBytes `json:"init_secret"`
	SenderDataSecret        hexBytes `json:"sender_data_secret"`
	EncryptionSecret        hexBytes `json:"encryption_secret"`
	ExporterSecret          hexBytes `json:"exporter_secret"`
	EpochAuthenticator      hexBytes `json:"epoch_authenticator"`
	ExternalSecret          hexBytes `json:"external_secret"`
	ConfirmationKey         hexBytes `json:"confirmation_key"`
	MembershipKey           hexBytes `json:"membership_key"`
	ResumptionPSK           hexBytes `json:"resumption_psk"`
	ExternalPub             hexBytes `json:"external_pub"`
	Exporter                struct {
		Label   string   `json:"label"`
		Context hexBytes `json:"context"`
		Length  int      `json:"length"`
		Secret  hexBytes `json:"secret"`
	} `json:"exporter"`
}

func runKeySchedule(c *vectorCase, v *keyScheduleVector) {
	a, err := v.CipherSuite.algorithms()
	if !c.noError("suite", err) {
		return
	}
	init := Secret(v.InitialInit)
	for i, e := range v.Epochs {
		context := GroupContext{
			Version: MLS10, CipherSuite: v.CipherSuite, GroupID: v.GroupID, Epoch: uint64(i),
			TreeHash: e.TreeHash, ConfirmedTranscriptHash: e.ConfirmedTranscriptHash,
		}
		encoded, err := context.Encode()
		c.noError("GroupContext", err)
		c.equal("GroupContext", encoded, e.GroupContext)
		joiner := a.joinerSecret(init, Secret(e.CommitSecret), encoded)
		c.equal("joiner_secret", joiner, e.JoinerSecret)
		member := a.memberSecret(joiner, Secret(e.PSKSecret))
		c.equal("welcome_secret", a.welcomeSecret(member), e.WelcomeSecret)
		s := a.epochSecrets(member, encoded)
		c.equal("init_secret", s.Init, e.InitSecret)
		c.equal("sender_data_secret", s.SenderData, e.SenderDataSecret)
		c.equal("encryption_secret", s.Encryption, e.EncryptionSecret)
		c.equal("exporter_secret", s.Exporter, e.ExporterSecret)
		c.equal("epoch_authenticator", s.EpochAuthenticator, e.EpochAuthenticator)
		c.equal("external_secret", s.External, e.ExternalSecret)
		c.equal("confirmation_key", s.ConfirmationKey, e.ConfirmationKey)
		c.equal("membership_key", s.MembershipKey, e.MembershipKey)
		c.equal("resumption_psk", s.ResumptionPSK, e.ResumptionPSK)
		key, err := s.externalPrivate(a)
		if !c.noError("external key", err) {
			return
		}
		pub, err := key.public(a)
		c.noError("external_pub", err)
		c.equal("external_pub", pub, e.ExternalPub)
		exported, err := a.export(s.Exporter, e.Exporter.Label, e.Exporter.Context, e.Exporter.Length)
		c.noError("exporter", err)
		c.equal("exporter", exported, e.Exporter.Secret)
		init = s.Init
	}
}

type pskSecretVector struct {
	CipherSuite CipherSuite `json:"cipher_suite"`
	PSKs        []pskVector `json:"psks"`
	PSKSecret   hexBytes    `json:"psk_secret"`
}

type pskVector struct {
	ID    hexBytes `json:"psk_id"`
	PSK   hexBytes `json:"psk"`
	Nonce hexBytes `json:"psk_nonce"`
}

func runPSKSecret(c *vectorCase, v *pskSecretVector) {
	a, err := v.CipherSuite.algorithms()
	if !c.noError("suite", err) {
		return
	}
	var psks []pskInput
	for _, p := range v.PSKs {
		psks = append(psks, pskInput{PreSharedKeyID{PSKType: PSKExternal, PSKID: p.ID, PSKNonce: p.Nonce}, Secret(p.PSK)})
	}
	c.equal("psk_secret", a.pskSecret(psks), v.PSKSecret)
}

type secretTreeVector struct {
	CipherSuite      CipherSuite `json:"cipher_suite"`
	EncryptionSecret hexBytes    `json:"encryption_secret"`
	SenderData       struct {
		Secret     hexBytes `json:"sender_data_secret"`
		Ciphertext hexBytes `json:"ciphertext"`
		Key        hexBytes `json:"key"`
		Nonce      hexBytes `json:"nonce"`
	} `json:"sender_data"`
	Leaves [][]secretTreeStep `json:"leaves"`
}

type secretTreeStep struct {
	Generation       uint32   `json:"generation"`
	ApplicationKey   hexBytes `json:"application_key"`
	ApplicationNonce hexBytes `json:"application_nonce"`
	HandshakeKey     hexBytes `json:"handshake_key"`
	HandshakeNonce   hexBytes `json:"handshake_nonce"`
}

func runSecretTree(c *vectorCase, v *secretTreeVector) {
	a, err := v.CipherSuite.algorithms()
	if !c.noError("suite", err) {
		return
	}
	key, nonce := a.senderDataKey(Secret(v.SenderData.Secret), v.SenderData.Ciphertext)
	c.equal("sender data key", key, v.SenderData.Key)
	c.equal("sender data nonce", nonce, v.SenderData.Nonce)
	leaves := uint32(1)
	for int(leaves) < len(v.Leaves) {
		leaves *= 2
	}
	tree, _ := newSecretTree(a, "", leaves, Secret(v.EncryptionSecret))
	for leaf, steps := range v.Leaves {
		for _, want := range steps {
			takeKey(c, tree, ratchetID{LeafIndex(leaf), false}, want.Generation, want.ApplicationKey, want.ApplicationNonce)
			takeKey(c, tree, ratchetID{LeafIndex(leaf), true}, want.Generation, want.HandshakeKey, want.HandshakeNonce)
		}
	}
}

func takeKey(c *vectorCase, tree *secretTree, id ratchetID, generation uint32, key, nonce []byte) {
	step, err := tree.find(id, generation, ratchetLimits{1000, 1000})
	if !c.noError("ratchet", err) {
		return
	}
	tree.take(step)
	c.equal("key", step.Key, key)
	c.equal("nonce", step.Nonce, nonce)
}

type transcriptHashesVector struct {
	CipherSuite          CipherSuite `json:"cipher_suite"`
	ConfirmationKey      hexBytes    `json:"confirmation_key"`
	AuthenticatedContent hexBytes    `json:"authenticated_content"`
	InterimBefore        hexBytes    `json:"interim_transcript_hash_before"`
	ConfirmedAfter       hexBytes    `json:"confirmed_transcript_hash_after"`
	InterimAfter         hexBytes    `json:"interim_transcript_hash_after"`
}

func runTranscriptHashes(c *vectorCase, v *transcriptHashesVector) {
	a, err := v.CipherSuite.algorithms()
	c.noError("suite", err)
	content, err := parse(v.AuthenticatedContent, (*AuthenticatedContent).wire)
	if !c.noError("AuthenticatedContent", err) {
		return
	}
	confirmed, err := a.confirmedTranscriptHash(v.InterimBefore, content)
	c.noError("confirmed_transcript_hash", err)
	c.equal("confirmed_transcript_hash", confirmed, v.ConfirmedAfter)
	c.equal("confirmation tag", a.confirmationTag(Secret(v.ConfirmationKey), confirmed), content.Auth.ConfirmationTag)
	c.equal("interim_transcript_hash", a.interimTranscriptHash(confirmed, content.Auth.ConfirmationTag), v.InterimAfter)
}

type welcomeVector struct {
	CipherSuite CipherSuite `json:"cipher_suite"`
	InitPriv    hexBytes    `json:"init_priv"`
	SignerPub   hexBytes    `json:"signer_pub"`
	KeyPackage  hexBytes    `json:"key_package"`
	Welcome     hexBytes    `json:"welcome"`
}

func runWelcome(c *vectorCase, v *welcomeVector) {
	a, err := v.CipherSuite.algorithms()
	c.noError("suite", err)
	kp, err := ParseMLSMessage(v.KeyPackage)
	c.noError("key package", err)
	m, err := ParseMLSMessage(v.Welcome)
	if !c.noError("Welcome", err) || !c.ok("wire formats", kp.KeyPackage != nil && m.Welcome != nil) {
		return
	}
	c.noError("signature of the key package", kp.KeyPackage.verifySignature())
	ref, err := kp.KeyPackage.Ref()
	c.noError("KeyPackageRef", err)
	secrets, err := m.Welcome.openGroupSecrets(a, ref, NewHPKEPrivateKey(v.InitPriv))
	if !c.noError("GroupSecrets", err) {
		return
	}
	member := a.memberSecret(secrets.JoinerSecret, a.pskSecret(nil))
	info, err := a.openGroupInfo(a.welcomeSecret(member), m.Welcome.EncryptedGroupInfo)
	if !c.noError("GroupInfo", err) {
		return
	}
	c.noError("signature of the GroupInfo", info.verifySignature(a, SignaturePublicKey(v.SignerPub)))
	context, err := info.GroupContext.Encode()
	c.noError("GroupContext", err)
	tag := a.confirmationTag(a.epochSecrets(member, context).ConfirmationKey, info.GroupContext.ConfirmedTranscriptHash)
	c.equal("confirmation tag", tag, info.ConfirmationTag)
}

type messageProtectionVector struct {
	CipherSuite             CipherSuite `json:"cipher_suite"`
	GroupID                 hexBytes    `json:"group_id"`
	Epoch                   uint64      `json:"epoch"`
	TreeHash                hexBytes    `json:"tree_hash"`
	ConfirmedTranscriptHash hexBytes    `json:"confirmed_transcript_hash"`
	SignaturePriv           hexBytes    `json:"signature_priv"`
	SignaturePub            hexBytes    `json:"signature_pub"`
	EncryptionSecret        hexBytes    `json:"encryption_secret"`
	SenderDataSecret        hexBytes    `json:"sender_data_secret"`
	MembershipKey           hexBytes    `json:"membership_key"`
	Proposal                hexBytes    `json:"proposal"`
	ProposalPriv            hexBytes    `json:"proposal_priv"`
	ProposalPub             hexBytes    `json:"proposal_pub"`
	Commit                  hexBytes    `json:"commit"`
	CommitPriv              hexBytes    `json:"commit_priv"`
	CommitPub               hexBytes    `json:"commit_pub"`
	Application             hexBytes    `json:"application"`
	ApplicationPriv         hexBytes    `json:"application_priv"`
}

// protection is one case made usable: leaf 1 of 2 is the sender.
type protection struct {
	*vectorCase
	v       *messageProtectionVector
	suite   *algorithms
	context []byte
	signer  SignaturePrivateKey
}

func runMessageProtection(c *vectorCase, v *messageProtectionVector) {
	p := &protection{vectorCase: c, v: v}
	var err error
	p.suite, err = v.CipherSuite.algorithms()
	c.noError("suite", err)
	p.signer, err = ParseSignaturePrivateKey(v.CipherSuite, v.SignaturePriv)
	if !c.noError("signature key", err) {
		return
	}
	context := GroupContext{
		Version: MLS10, CipherSuite: v.CipherSuite, GroupID: v.GroupID, Epoch: v.Epoch,
		TreeHash: v.TreeHash, ConfirmedTranscriptHash: v.ConfirmedTranscriptHash,
	}
	p.context, err = context.Encode()
	c.noError("GroupContext", err)

	proposal, err := parse(v.Proposal, (*Proposal).wire)
	c.noError("proposal", err)
	commit, err := parse(v.Commit, (*Commit).wire)
	c.noError("commit", err)
	p.private("proposal", v.ProposalPriv, &FramedContent{ContentType: ContentProposal, Proposal: proposal}, v.Proposal)
	p.public("proposal", v.ProposalPub, &FramedContent{ContentType: ContentProposal, Proposal: proposal}, v.Proposal)
	p.private("commit", v.CommitPriv, &FramedContent{ContentType: ContentCommit, Commit: commit}, v.Commit)
	p.public("commit", v.CommitPub, &FramedContent{ContentType: ContentCommit, Commit: commit}, v.Commit)
	p.private("application", v.ApplicationPriv, &FramedContent{ContentType: ContentApplication, ApplicationData: v.Application}, nil)
}

// keys returns the epoch's keys as leaf own has them at its start.
func (p *protection) keys(own LeafIndex) *messageKeys {
	tree, _ := newSecretTree(p.suite, "", 2, Secret(p.v.EncryptionSecret))
	return &messageKeys{suite: p.suite, groupID: p.v.GroupID, epoch: p.v.Epoch, own: own,
		senderData: Secret(p.v.SenderDataSecret), tree: tree, limits: ratchetLimits{1000, 1000}}
}

func (p *protection) checkContent(what string, a *AuthenticatedContent, want []byte) {
	p.noError(what+" signature", a.verifySignature(p.suite, SignaturePublicKey(p.v.SignaturePub), p.context))
	p.equal(what+" group id", a.Content.GroupID, p.v.GroupID)
	p.ok(what+" epoch", a.Content.Epoch == p.v.Epoch)
	body := wire.MustEncode(a.Content.wireBody)
	if a.Content.ContentType == ContentApplication {
		body, want = a.Content.ApplicationData, p.v.Application
	}
	p.equal(what, body, want)
}

// sign completes content of the sender, as the vectors' own was made.
func (p *protection) sign(what string, f *FramedContent, format WireFormat) *AuthenticatedContent {
	f.GroupID, f.Epoch, f.Sender = p.v.GroupID, p.v.Epoch, Sender{SenderType: SenderMember, LeafIndex: 1}
	a := &AuthenticatedContent{WireFormat: format, Content: *f}
	p.noError(what+" signing", a.sign(p.suite, p.signer, p.context))
	if f.ContentType == ContentCommit {
		a.Auth.ConfirmationTag = make([]byte, p.suite.hashSize())
	}
	return a
}

func (p *protection) private(what string, message []byte, own *FramedContent, want []byte) {
	what = "private " + what
	m, err := ParseMLSMessage(message)
	if !p.noError(what, err) || !p.ok(what+" wire format", m.PrivateMessage != nil) {
		return
	}
	p.openPrivate(what, m.PrivateMessage, want)
	made, _, err := p.keys(1).protect(p.sign(what, own, WireFormatPrivateMessage), 33)
	if p.noError(what+" protecting", err) {
		p.openPrivate("own "+what, made, want)
	}
}

func (p *protection) openPrivate(what string, m *PrivateMessage, want []byte) {
	o, err := p.keys(0).unprotect(m)
	if p.noError(what+" unprotecting", err) {
		p.checkContent(what, o.content, want)
	}
}

func (p *protection) public(what string, message []byte, own *FramedContent, want []byte) {
	what = "public " + what
	m, err := ParseMLSMessage(message)
	if !p.noError(what, err) || !p.ok(what+" wire format", m.PublicMessage != nil) {
		return
	}
	p.openPublic(what, m.PublicMessage, want)
	made, err := p.sign(what, own, WireFormatPublicMessage).protectPublic(p.suite, Secret(p.v.MembershipKey), p.context)
	if p.noError(what+" protecting", err) {
		p.openPublic("own "+what, made, want)
	}
}

func (p *protection) openPublic(what string, m *PublicMessage, want []byte) {
	a, err := unprotectPublic(m, p.suite, Secret(p.v.MembershipKey), p.context)
	if p.noError(what+" unprotecting", err) {
		p.checkContent(what, a, want)
	}
}
