package mls

import (
	"bytes"
	"errors"
	"testing"

	"codeberg.org/huis/huis/internal/wire"
)

// testEpoch is an epoch of a tree of 8 leaves without the tree: what framing
// needs of it.
type testEpoch struct {
	testing.TB
	a       *algorithms
	secrets *epochSecrets
	context []byte
	signer  SignaturePrivateKey // of every leaf
}

func newTestEpoch(t testing.TB, suite CipherSuite) *testEpoch {
	t.Helper()
	e := &testEpoch{TB: t, a: must(suite.algorithms())}
	e.secrets = e.a.fromEpochSecret(randomBytes(e.a.hashSize()))
	e.context = must((&GroupContext{Version: MLS10, CipherSuite: suite, GroupID: []byte("group"), Epoch: 7}).Encode())
	var err error
	if e.signer, _, err = GenerateSignatureKey(suite); err != nil {
		t.Fatal(err)
	}
	return e
}

// member returns the epoch's keys as the member at leaf own has them.
func (e *testEpoch) member(own LeafIndex) *messageKeys {
	tree, _ := newSecretTree(e.a, "secrets/7", 8, e.secrets.Encryption)
	return &messageKeys{suite: e.a, groupID: []byte("group"), epoch: 7, own: own,
		senderData: e.secrets.SenderData, tree: tree, limits: ratchetLimits{forward: 100, skipped: 10}}
}

func (e *testEpoch) application(sender LeafIndex, data string) *AuthenticatedContent {
	return e.sign(WireFormatPrivateMessage, FramedContent{
		Sender:      Sender{SenderType: SenderMember, LeafIndex: sender},
		ContentType: ContentApplication, ApplicationData: []byte(data), AuthenticatedData: []byte("aad"),
	})
}

func (e *testEpoch) remove(format WireFormat, sender Sender) *AuthenticatedContent {
	return e.sign(format, FramedContent{Sender: sender, ContentType: ContentProposal,
		Proposal: &Proposal{Type: ProposalRemove, Remove: &Remove{Removed: 3}}})
}

func (e *testEpoch) sign(format WireFormat, f FramedContent) *AuthenticatedContent {
	e.Helper()
	f.GroupID, f.Epoch = []byte("group"), 7
	a := &AuthenticatedContent{WireFormat: format, Content: f}
	if err := a.sign(e.a, e.signer, e.context); err != nil {
		e.Fatal(err)
	}
	return a
}

func (e *testEpoch) protect(k *messageKeys, a *AuthenticatedContent, padding int) *PrivateMessage {
	e.Helper()
	m, delta, err := k.protect(a, padding)
	if err != nil || len(delta) == 0 {
		e.Fatalf("protect: %d records, %v", len(delta), err)
	}
	return m
}

// reseal encrypts any plaintext as leaf 1's next message, for contents that
// protect would never make.
func (e *testEpoch) reseal(plaintext []byte) *PrivateMessage {
	k := e.member(1)
	step := must(k.tree.next(ratchetID{leaf: 1}))
	m := &PrivateMessage{GroupID: []byte("group"), Epoch: 7, ContentType: ContentApplication}
	s := senderData{LeafIndex: 1, Generation: step.Generation}
	m.Ciphertext = e.a.seal(step.Key, step.Nonce, m.privateContentAAD(), plaintext)
	e.setSender(m, s)
	return m
}

func (e *testEpoch) setSender(m *PrivateMessage, s senderData) {
	key, nonce := e.a.senderDataKey(e.secrets.SenderData, m.Ciphertext)
	m.EncryptedSenderData = e.a.seal(key, nonce, m.senderDataAAD(), wire.MustEncode(s.wire))
}

func wantInvalid(t testing.TB, err error, section string) {
	t.Helper()
	var bad *InvalidError
	if !errors.As(err, &bad) || bad.Section != section {
		t.Errorf("got %v, want a breach of Section %s", err, section)
	}
}

func TestPrivateMessageGoesThroughInEverySuite(t *testing.T) {
	for _, suite := range SupportedSuites() {
		e := newTestEpoch(t, suite)
		m := e.protect(e.member(5), e.application(5, "hello"), 50)
		o, err := e.member(0).unprotect(m)
		if err != nil {
			t.Fatalf("suite %#x: %v", uint16(suite), err)
		}
		if err := o.content.verifySignature(e.a, e.signer.PublicKey(), e.context); err != nil {
			t.Error(err)
		}
		if string(o.content.Content.ApplicationData) != "hello" || o.content.Content.Sender.LeafIndex != 5 {
			t.Errorf("suite %#x: got %+v", uint16(suite), o.content.Content)
		}
	}
}

func TestAlteredPrivateMessageIsRefused(t *testing.T) {
	e := newTestEpoch(t, XWingChaChaSHA384Ed25519)
	for name, alter := range map[string]func(m *PrivateMessage){
		"group id":     func(m *PrivateMessage) { m.GroupID = []byte("other") },
		"epoch":        func(m *PrivateMessage) { m.Epoch++ },
		"content type": func(m *PrivateMessage) { m.ContentType = ContentProposal },
		"aad":          func(m *PrivateMessage) { m.AuthenticatedData[0] ^= 1 },
		"sender data":  func(m *PrivateMessage) { m.EncryptedSenderData[3] ^= 1 },
		"ciphertext":   func(m *PrivateMessage) { m.Ciphertext[len(m.Ciphertext)-1] ^= 1 },
		"sample":       func(m *PrivateMessage) { m.Ciphertext[0] ^= 1 },
		"truncated":    func(m *PrivateMessage) { m.Ciphertext = m.Ciphertext[:5] },
		"empty":        func(m *PrivateMessage) { m.Ciphertext = nil },
	} {
		m := e.protect(e.member(1), e.application(1, "a text longer than the sample of the ciphertext is"), 0)
		alter(m)
		if _, err := e.member(0).unprotect(m); err == nil {
			t.Errorf("altered %s accepted", name)
		}
	}
}

func TestSenderDataMustOpen(t *testing.T) {
	e := newTestEpoch(t, 1)
	m := e.protect(e.member(1), e.application(1, "x"), 0)
	m.EncryptedSenderData[0] ^= 1
	_, err := e.member(0).unprotect(m)
	wantInvalid(t, err, "6.3.2")
}

func TestSenderOutsideTheTreeIsRefused(t *testing.T) {
	e := newTestEpoch(t, 1)
	m := e.protect(e.member(1), e.application(1, "x"), 0)
	e.setSender(m, senderData{LeafIndex: 8})
	_, err := e.member(0).unprotect(m)
	wantInvalid(t, err, "6.3.2")
}

func TestContentMustOpen(t *testing.T) {
	e := newTestEpoch(t, 1)
	m := e.protect(e.member(1), e.application(1, "x"), 40)
	m.Ciphertext[len(m.Ciphertext)-1] ^= 1
	_, err := e.member(0).unprotect(m)
	wantInvalid(t, err, "6.3.1")
}

func TestPaddingMustBeZero(t *testing.T) {
	e := newTestEpoch(t, 1)
	content := wire.MustEncode(e.application(1, "x").privateMessageContent)
	if _, err := e.member(0).unprotect(e.reseal(append(content, 0, 0, 0))); err != nil {
		t.Fatal(err)
	}
	_, err := e.member(0).unprotect(e.reseal(append(content, 0, 1, 0)))
	wantInvalid(t, err, "6.3.1")
	_, err = e.member(0).unprotect(e.reseal(content[:len(content)-1]))
	wantInvalid(t, err, "6.3.1")
}

func TestPaddingHidesTheLength(t *testing.T) {
	e := newTestEpoch(t, 1)
	short := e.protect(e.member(1), e.application(1, "x"), 99)
	long := e.protect(e.member(1), e.application(1, string(make([]byte, 100))), 0)
	if diff := len(long.Ciphertext) - len(short.Ciphertext); diff != 1 { // the longer length header
		t.Errorf("ciphertexts differ by %d bytes", diff)
	}
}

func TestOwnEchoIsToldApart(t *testing.T) {
	e := newTestEpoch(t, 1)
	k := e.member(1)
	if _, err := k.unprotect(e.protect(k, e.application(1, "x"), 0)); !errors.Is(err, ErrOwnMessage) {
		t.Errorf("got %v", err)
	}
}

func TestDuplicateIsRefusedAndBreaksNothing(t *testing.T) {
	e := newTestEpoch(t, 1)
	sender, receiver := e.member(1), e.member(0)
	for i := range 3 {
		m := e.protect(sender, e.application(1, "x"), 0)
		o, err := receiver.unprotect(m)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		receiver.tree.take(o.step)
		if _, err := receiver.unprotect(m); !errors.Is(err, ErrDuplicate) {
			t.Errorf("message %d again: %v", i, err)
		}
	}
}

func TestForgedMessageUsesUpNoKey(t *testing.T) {
	e := newTestEpoch(t, 1)
	receiver := e.member(0)
	genuine := e.protect(e.member(1), e.application(1, "genuine"), 0)
	forged := e.reseal(wire.MustEncode(e.application(2, "forged").privateMessageContent)) // the same key
	if o, err := receiver.unprotect(forged); err != nil {
		t.Fatal(err)
	} else if o.content.verifySignature(e.a, e.signer.PublicKey(), e.context) == nil {
		t.Fatal("a signature over leaf 2 holds for leaf 1")
	}
	if _, err := receiver.unprotect(genuine); err != nil {
		t.Errorf("after a forgery: %v", err)
	}
}

func TestSignatureOfAMessageMustVerify(t *testing.T) {
	e := newTestEpoch(t, 1)
	a := e.application(1, "x")
	for name, alter := range map[string]func(){
		"content":     func() { a.Content.ApplicationData = []byte("y") },
		"wire format": func() { a.WireFormat = WireFormatPublicMessage },
		"sender":      func() { a.Content.Sender.LeafIndex = 2 },
		"aad":         func() { a.Content.AuthenticatedData = nil },
		"context":     func() { e.context = bytes.Clone(e.context); e.context[9] ^= 1 },
		"signature":   func() { a.Auth.Signature = a.Auth.Signature[:10] },
	} {
		context := e.context
		a = e.application(1, "x")
		if err := a.verifySignature(e.a, e.signer.PublicKey(), e.context); err != nil {
			t.Fatal(err)
		}
		alter()
		if err := a.verifySignature(e.a, e.signer.PublicKey(), e.context); err == nil {
			t.Errorf("altered %s accepted", name)
		} else {
			wantInvalid(t, err, "6.1")
		}
		e.context = context
	}
}

func TestMembershipTagMustVerify(t *testing.T) {
	e := newTestEpoch(t, 1)
	member := Sender{SenderType: SenderMember, LeafIndex: 1}
	m, err := e.remove(WireFormatPublicMessage, member).protectPublic(e.a, e.secrets.MembershipKey, e.context)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unprotectPublic(m, e.a, e.secrets.MembershipKey, e.context); err != nil {
		t.Fatal(err)
	}
	for _, tag := range [][]byte{nil, m.MembershipTag[:31], append([]byte{m.MembershipTag[0] ^ 1}, m.MembershipTag[1:]...)} {
		bad := *m
		bad.MembershipTag = tag
		_, err := unprotectPublic(&bad, e.a, e.secrets.MembershipKey, e.context)
		wantInvalid(t, err, "6.2")
	}
	m.Auth.Signature[0] ^= 1
	_, err = unprotectPublic(m, e.a, e.secrets.MembershipKey, e.context)
	wantInvalid(t, err, "6.2")
}

func TestApplicationDataIsNeverPublic(t *testing.T) {
	e := newTestEpoch(t, 1)
	m := &PublicMessage{Content: e.application(1, "x").Content}
	_, err := unprotectPublic(m, e.a, e.secrets.MembershipKey, e.context)
	wantInvalid(t, err, "6.2")
}

func TestSendersMaySendOnlyTheirContent(t *testing.T) {
	allowed := map[SenderType][]ContentType{
		SenderMember:            {ContentApplication, ContentProposal, ContentCommit},
		SenderExternal:          {ContentProposal},
		SenderNewMemberProposal: {ContentProposal},
		SenderNewMemberCommit:   {ContentCommit},
	}
	for s, may := range allowed {
		for _, c := range []ContentType{ContentApplication, ContentProposal, ContentCommit} {
			err := (&FramedContent{Sender: Sender{SenderType: s}, ContentType: c}).checkSenderContent()
			if want := bytes.Contains(contentBytes(may), []byte{byte(c)}); want != (err == nil) {
				t.Errorf("sender %d with content %d: %v", s, c, err)
			} else if !want {
				wantInvalid(t, err, "6")
			}
		}
	}
}

func contentBytes(list []ContentType) (b []byte) {
	for _, c := range list {
		b = append(b, byte(c))
	}
	return b
}

func TestConfirmationTagMustVerify(t *testing.T) {
	e := newTestEpoch(t, 1)
	hash := randomBytes(32)
	tag := e.a.confirmationTag(e.secrets.ConfirmationKey, hash)
	if err := e.a.verifyConfirmationTag(e.secrets.ConfirmationKey, hash, tag); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, tag[:16], append(bytes.Clone(tag), 0), append([]byte{tag[0] ^ 1}, tag[1:]...)} {
		wantInvalid(t, e.a.verifyConfirmationTag(e.secrets.ConfirmationKey, hash, bad), "6.1")
	}
}

func TestSealObserverSeesEveryKeyAndNonceOnce(t *testing.T) {
	e := newTestEpoch(t, XWingChaChaSHA384Ed25519)
	seen := map[string]int{}
	SetSealObserver(func(key, nonce, _ []byte) { seen[string(key)+string(nonce)]++ })
	defer SetSealObserver(nil)
	k := e.member(1)
	for range 10 {
		e.protect(k, e.application(1, "x"), 0)
	}
	if len(seen) != 20 { // content and sender data of each
		t.Errorf("%d pairs seen, want 20", len(seen))
	}
	for _, n := range seen {
		if n != 1 {
			t.Errorf("a pair was used %d times", n)
		}
	}
}
