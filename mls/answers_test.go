package mls

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestKnownAnswersOfTheCiphers: the ciphers come from others; what they have to
// give is known (RFC 8439, Section 2.8.2; test case 4 of the GCM specification).
func TestKnownAnswersOfTheCiphers(t *testing.T) {
	for _, c := range []struct {
		name                        string
		make                        newAEAD
		key, nonce, aad, plain, out string
	}{
		{"ChaCha20-Poly1305", newChaCha,
			"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
			hex.EncodeToString([]byte("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.")),
			"d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116" +
				"1ae10b594f09e26a7e902ecbd0600691"},
		{"AES-128-GCM", newGCM,
			"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
			"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
			"42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091" +
				"5bc94fbc3221a5db94fae95ae7121a47"},
	} {
		aead, err := c.make(unhex(t, c.key))
		if err != nil {
			t.Fatal(err)
		}
		nonce, aad, plain, out := unhex(t, c.nonce), unhex(t, c.aad), unhex(t, c.plain), unhex(t, c.out)
		if got := aead.Seal(nil, nonce, plain, aad); !bytes.Equal(got, out) {
			t.Errorf("%s gives %x", c.name, got)
		}
		if got, err := aead.Open(nil, nonce, out, aad); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s does not open what it has to: %v", c.name, err)
		}
		for i := range out {
			out[i] ^= 1
			if _, err := aead.Open(nil, nonce, out, aad); err == nil {
				t.Errorf("%s opens what was altered at %d", c.name, i)
			}
			out[i] ^= 1
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
