package mls

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"testing"
)

func TestUnsupportedSuitesSaySo(t *testing.T) {
	none := []CipherSuite{0, X448AES256SHA512Ed448, X448ChaChaSHA512Ed448, 8, 0xffff,
		DraftMLKEM768X25519ChaChaSHA384MLDSA44.CipherSuite(), DraftMLKEM768AES256SHA384MLDSA65.CipherSuite(),
		DraftMLKEM1024AES256SHA384MLDSA87.CipherSuite()}
	for _, suite := range none {
		if suite.Supported() {
			t.Errorf("suite %#x is supported", uint16(suite))
		}
		if _, _, err := GenerateSignatureKey(suite); !errors.Is(err, ErrUnsupportedSuite) {
			t.Errorf("signature key for suite %#x: %v", uint16(suite), err)
		}
		if _, _, err := GenerateHPKEKey(suite); !errors.Is(err, ErrUnsupportedSuite) {
			t.Errorf("HPKE key for suite %#x: %v", uint16(suite), err)
		}
		if _, err := NewKeyPackage(suite, SignaturePrivateKey{}, Credential{}, KeyPackageOptions{}); !errors.Is(err, ErrUnsupportedSuite) {
			t.Errorf("key package for suite %#x: %v", uint16(suite), err)
		}
		if _, err := RefHash(suite, "l", nil); !errors.Is(err, ErrUnsupportedSuite) {
			t.Errorf("hash in suite %#x: %v", uint16(suite), err)
		}
	}
}

func TestSupportedSuitesAreTheDocumentedOnes(t *testing.T) {
	want := []CipherSuite{1, 2, 3, 5, 7, 0xF001, 0xF002, 0xF003, 0xF004, 0xF005, 0xF006, 0xF007, 0xF008, 0xF1A1}
	got := SupportedSuites()
	if len(got) != len(want) {
		t.Fatalf("%x", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("suite %d is %#x, want %#x", i, uint16(got[i]), uint16(want[i]))
		}
	}
}

func TestDraftSuiteNumbersCanBeChosen(t *testing.T) {
	before := suiteTable.Load()
	defer suiteTable.Store(before)
	if err := SetDraftSuiteID(DraftMLKEM768X25519AES256SHA384Ed25519, 0x004E); err != nil {
		t.Fatal(err)
	}
	a, err := CipherSuite(0x004E).algorithms()
	if err != nil || a.id != 0x004E || a.kem.ID() != hpke.MLKEM768X25519().ID() || a.keySize != 32 || a.hashSize() != 48 {
		t.Errorf("%+v, %v", a, err)
	}
	for name, err := range map[string]error{
		"taken by the RFC":       SetDraftSuiteID(DraftMLKEM768AES256SHA384P256, 1),
		"of an RFC suite":        SetDraftSuiteID(DraftMLKEM768AES256SHA384P256, 4),
		"taken before":           SetDraftSuiteID(DraftMLKEM768AES256SHA384P256, 0x004E),
		"ML-DSA":                 SetDraftSuiteID(DraftMLKEM768AES256SHA384MLDSA65, 0x0100),
		"not a row of the draft": SetDraftSuiteID(12, 0x0100),
	} {
		if err == nil {
			t.Errorf("number %s accepted", name)
		}
	}
}

func TestLabelledPrimitivesInEverySuite(t *testing.T) {
	for _, suite := range SupportedSuites() {
		key, pub, err := GenerateHPKEKey(suite)
		if err != nil {
			t.Fatal(err)
		}
		ct, err := EncryptWithLabel(suite, pub, "label", []byte("context"), []byte("plaintext"))
		if err != nil {
			t.Fatal(err)
		}
		stored := NewHPKEPrivateKey(key.Bytes())
		if got, err := DecryptWithLabel(suite, stored, "label", []byte("context"), ct); err != nil || string(got) != "plaintext" {
			t.Errorf("suite %#x: %q, %v", uint16(suite), got, err)
		}
		refuseDecryption(t, suite, stored, ct)
		refuseSignature(t, suite)
	}
}

func refuseDecryption(t *testing.T, suite CipherSuite, key HPKEPrivateKey, ct *HPKECiphertext) {
	t.Helper()
	other, _, _ := GenerateHPKEKey(suite)
	flipped := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }
	for name, try := range map[string]func() ([]byte, error){
		"label":   func() ([]byte, error) { return DecryptWithLabel(suite, key, "labe", []byte("context"), ct) },
		"context": func() ([]byte, error) { return DecryptWithLabel(suite, key, "label", nil, ct) },
		"key":     func() ([]byte, error) { return DecryptWithLabel(suite, other, "label", []byte("context"), ct) },
		"no key": func() ([]byte, error) {
			return DecryptWithLabel(suite, HPKEPrivateKey{}, "label", []byte("context"), ct)
		},
		"KEM output": func() ([]byte, error) {
			return DecryptWithLabel(suite, key, "label", []byte("context"), &HPKECiphertext{flipped(ct.KEMOutput), ct.Ciphertext})
		},
		"ciphertext": func() ([]byte, error) {
			return DecryptWithLabel(suite, key, "label", []byte("context"), &HPKECiphertext{ct.KEMOutput, flipped(ct.Ciphertext)})
		},
		"nothing": func() ([]byte, error) {
			return DecryptWithLabel(suite, key, "label", []byte("context"), &HPKECiphertext{})
		},
	} {
		if got, err := try(); err == nil {
			t.Errorf("suite %#x: another %s opens it: %q", uint16(suite), name, got)
		}
	}
}

func refuseSignature(t *testing.T, suite CipherSuite) {
	t.Helper()
	key, pub, err := GenerateSignatureKey(suite)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := SignWithLabel(suite, key, "label", []byte("content"))
	if err != nil || VerifyWithLabel(suite, pub, "label", []byte("content"), sig) != nil {
		t.Fatalf("suite %#x: %v", uint16(suite), err)
	}
	_, other, _ := GenerateSignatureKey(suite)
	bad := bytes.Clone(sig)
	bad[len(bad)/2] ^= 1
	for name, err := range map[string]error{
		"label":     VerifyWithLabel(suite, pub, "labe", []byte("content"), sig),
		"content":   VerifyWithLabel(suite, pub, "label", []byte("conten"), sig),
		"key":       VerifyWithLabel(suite, other, "label", []byte("content"), sig),
		"short key": VerifyWithLabel(suite, pub[1:], "label", []byte("content"), sig),
		"no key":    VerifyWithLabel(suite, nil, "label", []byte("content"), sig),
		"signature": VerifyWithLabel(suite, pub, "label", []byte("content"), bad),
		"nothing":   VerifyWithLabel(suite, pub, "label", []byte("content"), nil),
	} {
		if err == nil {
			t.Errorf("suite %#x: verifies with another %s", uint16(suite), name)
		}
	}
}

func TestKeysOfAnotherSuiteAreRefused(t *testing.T) {
	ed, _, _ := GenerateSignatureKey(X25519AES128SHA256Ed25519)
	p256, _, _ := GenerateSignatureKey(P256AES128SHA256P256)
	for name, err := range map[string]error{
		"Ed25519 key for P-256":   second(SignWithLabel(P256AES128SHA256P256, ed, "l", nil)),
		"P-256 key for Ed25519":   second(SignWithLabel(X25519AES128SHA256Ed25519, p256, "l", nil)),
		"P-256 key for P-384":     second(SignWithLabel(P384AES256SHA384P384, p256, "l", nil)),
		"no signature key":        second(SignWithLabel(1, SignaturePrivateKey{}, "l", nil)),
		"short Ed25519 seed":      second(ParseSignaturePrivateKey(1, make([]byte, 31))),
		"zero P-256 scalar":       second(ParseSignaturePrivateKey(2, make([]byte, 32))),
		"long P-256 scalar":       second(ParseSignaturePrivateKey(2, make([]byte, 33))),
		"HPKE key of wrong size":  second(NewHPKEPrivateKey(make([]byte, 5)).PublicKey(1)),
		"HPKE public key, X25519": second(EncryptWithLabel(1, make([]byte, 31), "l", nil, nil)),
		"low-order X25519 point":  second(EncryptWithLabel(1, make([]byte, 32), "l", nil, nil)),
	} {
		if err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	key, _, _ := GenerateHPKEKey(1)
	if _, err := key.PublicKey(P256AES128SHA256P256); err == nil {
		t.Error("an X25519 key serves as P-256")
	}
}

func second[T any](_ T, err error) error { return err }

func TestECDSAScalarWithoutLeadingZeros(t *testing.T) {
	scalar := append(make([]byte, 31), 9)
	whole, err := ParseSignaturePrivateKey(2, scalar)
	if err != nil {
		t.Fatal(err)
	}
	short, err := ParseSignaturePrivateKey(2, []byte{9})
	if err != nil || !bytes.Equal(short.PublicKey(), whole.PublicKey()) || !short.Bytes().Equal(scalar) {
		t.Errorf("%v", err)
	}
}

func TestExportIsBounded(t *testing.T) {
	a := must(CipherSuite(1).algorithms())
	secret := randomBytes(32)
	for length, ok := range map[int]bool{0: true, 1: true, 255 * 32: true, 255*32 + 1: false, -1: false, 1 << 20: false} {
		out, err := a.export(secret, "label", nil, length)
		if (err == nil) != ok || ok && len(out) != length {
			t.Errorf("%d bytes: %d, %v", length, len(out), err)
		}
	}
}

func TestExternalInitReachesMembersOnly(t *testing.T) {
	for _, suite := range SupportedSuites() {
		a := must(suite.algorithms())
		s := a.fromEpochSecret(randomBytes(a.hashSize()))
		key := must(s.externalPrivate(a))
		kemOutput, init, err := a.externalInit(must(key.public(a)))
		if err != nil {
			t.Fatal(err)
		}
		if got := must(a.externalInitSecret(key, kemOutput)); !got.Equal(init) || len(got) != a.hashSize() {
			t.Errorf("suite %#x: init secrets differ", uint16(suite))
		}
		other := must(a.fromEpochSecret(randomBytes(a.hashSize())).externalPrivate(a))
		if got, err := a.externalInitSecret(other, kemOutput); err == nil && got.Equal(init) {
			t.Errorf("suite %#x: another group recovers the init secret", uint16(suite))
		}
		_, err = a.externalInitSecret(key, kemOutput[1:])
		wantInvalid(t, err, "8.3")
		if _, _, err := a.externalInit([]byte{1}); err == nil {
			t.Error("an external key of one byte is used")
		}
	}
}

func TestPSKSecretDependsOnOrderAndName(t *testing.T) {
	a := must(CipherSuite(1).algorithms())
	one := pskInput{PreSharedKeyID{PSKType: PSKExternal, PSKID: []byte("1"), PSKNonce: randomBytes(32)}, randomBytes(32)}
	two := pskInput{PreSharedKeyID{PSKType: PSKResumption, Usage: UsageApplication, PSKGroupID: []byte("g"), PSKNonce: randomBytes(32)}, randomBytes(32)}
	base := a.pskSecret([]pskInput{one, two})
	renonced := one
	renonced.id.PSKNonce = randomBytes(32)
	for name, psks := range map[string][]pskInput{
		"order": {two, one}, "number": {one}, "nonce": {renonced, two}, "none": nil,
	} {
		if a.pskSecret(psks).Equal(base) {
			t.Errorf("another %s gives the same secret", name)
		}
	}
}
