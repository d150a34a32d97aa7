package mls

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func newBundle(t testing.TB, suite CipherSuite, name string, opt KeyPackageOptions) *KeyPackageBundle {
	t.Helper()
	signer, _, err := GenerateSignatureKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewKeyPackage(suite, signer, BasicCredential([]byte(name)), opt)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyPackageBundleIsStoredWhole(t *testing.T) {
	for _, suite := range SupportedSuites() {
		b := newBundle(t, suite, "alice", KeyPackageOptions{Lifetime: Lifetime{1, 2}})
		stored, err := b.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got KeyPackageBundle
		if err := got.UnmarshalBinary(stored); err != nil {
			t.Fatalf("suite %#x: %v", uint16(suite), err)
		}
		initKey, err := got.InitKey.PublicKey(suite)
		if err != nil || !bytes.Equal(initKey, b.KeyPackage.InitKey) {
			t.Errorf("suite %#x: init key came back as another", uint16(suite))
		}
		if again, _ := got.MarshalBinary(); !bytes.Equal(again, stored) {
			t.Errorf("suite %#x: stored again, the bundle differs", uint16(suite))
		}
		if !bytes.Equal(got.SignatureKey.PublicKey(), b.KeyPackage.LeafNode.SignatureKey) {
			t.Errorf("suite %#x: signature key came back as another", uint16(suite))
		}
		for n := range stored {
			if got.UnmarshalBinary(stored[:n]) == nil {
				t.Fatalf("prefix of %d bytes accepted", n)
			}
		}
	}
}

func TestLastResortIsMarkedInEitherWay(t *testing.T) {
	if newBundle(t, 1, "a", KeyPackageOptions{}).KeyPackage.LastResort() {
		t.Error("an ordinary package is a last resort")
	}
	if !newBundle(t, 1, "a", KeyPackageOptions{LastResort: true}).KeyPackage.LastResort() {
		t.Error("the extension is not seen")
	}
	dictionary := []byte{6, 0, 1, 0, 0, 4, 0}
	component := Extension{ExtensionAppDataDictionary, dictionary}
	if !newBundle(t, 1, "a", KeyPackageOptions{Extensions: []Extension{component}}).KeyPackage.LastResort() {
		t.Error("the component is not seen")
	}
	unsorted := Extension{ExtensionAppDataDictionary, []byte{6, 0, 4, 0, 0, 1, 0}}
	if newBundle(t, 1, "a", KeyPackageOptions{Extensions: []Extension{unsorted}}).KeyPackage.LastResort() {
		t.Error("an unsorted dictionary is read")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	b := newBundle(t, 1, "alice", KeyPackageOptions{})
	secret := b.InitKey.Bytes()
	for _, v := range []any{secret, b.InitKey, b.SignatureKey, struct{ S Secret }{secret}, b} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, fmt.Sprintf("%x", []byte(secret[:4]))) || strings.Contains(out, fmt.Sprintf("%d %d", secret[0], secret[1])) {
				t.Errorf("%s of %T shows the secret", verb, v)
			}
		}
	}
}

func TestKeyPackageSignatureMustVerify(t *testing.T) {
	k := newBundle(t, 1, "alice", KeyPackageOptions{}).KeyPackage
	if err := k.verifySignature(); err != nil {
		t.Fatal(err)
	}
	for name, alter := range map[string]func(k *KeyPackage){
		"init key":  func(k *KeyPackage) { k.InitKey = k.LeafNode.EncryptionKey },
		"leaf":      func(k *KeyPackage) { k.LeafNode.Credential = BasicCredential([]byte("mallory")) },
		"extension": func(k *KeyPackage) { k.Extensions = []Extension{{ExtensionType: ExtensionLastResort}} },
		"signature": func(k *KeyPackage) { k.Signature = k.LeafNode.Signature },
	} {
		bad := *k
		alter(&bad)
		if err := bad.verifySignature(); err == nil {
			t.Errorf("altered %s accepted", name)
		} else {
			wantInvalid(t, err, "10.1")
		}
	}
}

func TestLeafNodeSignatureMustVerify(t *testing.T) {
	signer, _, _ := GenerateSignatureKey(1)
	leaf := LeafNode{SignatureKey: signer.PublicKey(), Source: SourceUpdate, Credential: BasicCredential([]byte("a"))}
	if err := leaf.sign(1, signer, []byte("group"), 3); err != nil {
		t.Fatal(err)
	}
	if err := leaf.verifySignature(1, []byte("group"), 3); err != nil {
		t.Fatal(err)
	}
	wantInvalid(t, leaf.verifySignature(1, []byte("other"), 3), "7.3")
	wantInvalid(t, leaf.verifySignature(1, []byte("group"), 4), "7.3")
	leaf.Source = SourceKeyPackage
	wantInvalid(t, leaf.verifySignature(1, []byte("group"), 3), "7.3")
}
