package mls

import (
	"bytes"
	"testing"
)

// testWelcome is a Welcome of an epoch that consists of its secrets alone.
func testWelcome(t testing.TB, suite CipherSuite) (w *Welcome, joiner *KeyPackageBundle, signer SignaturePrivateKey, member Secret) {
	t.Helper()
	a := must(suite.algorithms())
	joiner = newBundle(t, suite, "joiner", KeyPackageOptions{})
	signer, _, _ = GenerateSignatureKey(suite)
	secrets := &GroupSecrets{JoinerSecret: randomBytes(a.hashSize())}
	member = a.memberSecret(secrets.JoinerSecret, a.pskSecret(nil))
	info := &GroupInfo{GroupContext: GroupContext{Version: MLS10, CipherSuite: suite, GroupID: []byte("g")}, ConfirmationTag: []byte("tag")}
	if err := info.sign(a, signer); err != nil {
		t.Fatal(err)
	}
	w = &Welcome{CipherSuite: suite}
	var err error
	if w.EncryptedGroupInfo, err = a.sealGroupInfo(a.welcomeSecret(member), info); err != nil {
		t.Fatal(err)
	}
	entry, err := a.sealGroupSecrets(joiner.KeyPackage, w.EncryptedGroupInfo, secrets)
	if err != nil {
		t.Fatal(err)
	}
	w.Secrets = []EncryptedGroupSecrets{{NewMember: []byte("another")}, *entry}
	return w, joiner, signer, member
}

func TestWelcomeOpensInEverySuite(t *testing.T) {
	for _, suite := range SupportedSuites() {
		a := must(suite.algorithms())
		w, joiner, signer, _ := testWelcome(t, suite)
		secrets, err := w.openGroupSecrets(a, must(joiner.KeyPackage.Ref()), joiner.InitKey)
		if err != nil {
			t.Fatalf("suite %#x: %v", uint16(suite), err)
		}
		member := a.memberSecret(secrets.JoinerSecret, a.pskSecret(nil))
		info, err := a.openGroupInfo(a.welcomeSecret(member), w.EncryptedGroupInfo)
		if err != nil {
			t.Fatalf("suite %#x: %v", uint16(suite), err)
		}
		if err := info.verifySignature(a, signer.PublicKey()); err != nil {
			t.Errorf("suite %#x: %v", uint16(suite), err)
		}
	}
}

func TestWelcomeForAnotherIsRefused(t *testing.T) {
	w, joiner, _, _ := testWelcome(t, 1)
	a := must(CipherSuite(1).algorithms())
	other := newBundle(t, 1, "other", KeyPackageOptions{})
	_, err := w.openGroupSecrets(a, must(other.KeyPackage.Ref()), other.InitKey)
	wantInvalid(t, err, "12.4.3.1")
	_, err = w.openGroupSecrets(a, must(joiner.KeyPackage.Ref()), other.InitKey)
	wantInvalid(t, err, "12.4.3.1")
}

func TestGroupSecretsAreBoundToTheGroupInfo(t *testing.T) {
	w, joiner, _, _ := testWelcome(t, 1)
	w.EncryptedGroupInfo[0] ^= 1
	_, err := w.openGroupSecrets(must(CipherSuite(1).algorithms()), must(joiner.KeyPackage.Ref()), joiner.InitKey)
	wantInvalid(t, err, "12.4.3.1")
}

func TestGroupInfoMustOpen(t *testing.T) {
	w, _, _, member := testWelcome(t, 1)
	a := must(CipherSuite(1).algorithms())
	bad := bytes.Clone(w.EncryptedGroupInfo)
	bad[4] ^= 1
	_, err := a.openGroupInfo(a.welcomeSecret(member), bad)
	wantInvalid(t, err, "12.4.3.1")
	_, err = a.openGroupInfo(randomBytes(32), w.EncryptedGroupInfo)
	wantInvalid(t, err, "12.4.3.1")
}

func TestGroupInfoSignatureMustVerify(t *testing.T) {
	w, _, signer, member := testWelcome(t, 1)
	a := must(CipherSuite(1).algorithms())
	info := must(a.openGroupInfo(a.welcomeSecret(member), w.EncryptedGroupInfo))
	for name, alter := range map[string]func(g *GroupInfo){
		"epoch":            func(g *GroupInfo) { g.GroupContext.Epoch++ },
		"extension":        func(g *GroupInfo) { g.Extensions = []Extension{{ExtensionType: 9}} },
		"confirmation tag": func(g *GroupInfo) { g.ConfirmationTag = nil },
		"signer":           func(g *GroupInfo) { g.Signer++ },
		"signature":        func(g *GroupInfo) { g.Signature = nil },
	} {
		bad := *info
		alter(&bad)
		if err := bad.verifySignature(a, signer.PublicKey()); err == nil {
			t.Errorf("altered %s accepted", name)
		} else {
			wantInvalid(t, err, "12.4.3")
		}
	}
}
