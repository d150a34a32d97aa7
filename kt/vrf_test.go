package kt

import (
	"encoding/hex"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 9381, Appendix B.3, Examples 16 to 18.
var vrfVectors = []struct{ sk, alpha, pi, beta string }{
	{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "",
		"8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805",
		"90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae"},
	{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72",
		"f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02",
		"eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031"},
	{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82",
		"9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e",
		"645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c452118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f"},
}

func TestVRFVectors(t *testing.T) {
	for i, v := range vrfVectors {
		k := NewVRFKey([VRFKeySize]byte(unhex(t, v.sk)))
		alpha := unhex(t, v.alpha)
		pi, beta := k.Prove(alpha)
		if hex.EncodeToString(pi[:]) != v.pi {
			t.Errorf("example %d: pi = %x", 16+i, pi)
		}
		if hex.EncodeToString(beta[:]) != v.beta {
			t.Errorf("example %d: beta = %x", 16+i, beta)
		}
		if got, err := k.Public().Verify(alpha, pi); err != nil || got != beta {
			t.Errorf("example %d: verify: %x, %v", 16+i, got, err)
		}
	}
}

func TestVRFRefusesWhatItDidNotProve(t *testing.T) {
	k := GenerateVRFKey()
	pi, _ := k.Prove([]byte("alice"))
	if _, err := k.Public().Verify([]byte("bob"), pi); err == nil {
		t.Error("proof of another label accepted")
	}
	if _, err := GenerateVRFKey().Public().Verify([]byte("alice"), pi); err == nil {
		t.Error("proof of another key accepted")
	}
	for bit := range VRFProofSize * 8 {
		bad := pi
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := k.Public().Verify([]byte("alice"), bad); err == nil {
			t.Errorf("proof with bit %d changed accepted", bit)
		}
	}
	identity := VRFPublicKey{1}
	if _, err := identity.Verify([]byte("alice"), pi); err == nil {
		t.Error("key of low order accepted")
	}
	noncanonical := VRFPublicKey{0xee, 31: 0x7f} // y = p + 1
	for i := 1; i < 31; i++ {
		noncanonical[i] = 0xff
	}
	if _, err := noncanonical.Verify([]byte("alice"), pi); err == nil {
		t.Error("key that is not canonical accepted")
	}
}

func BenchmarkVRFProve(b *testing.B) {
	k := GenerateVRFKey()
	for b.Loop() {
		k.Prove([]byte("alice"))
	}
}

func BenchmarkVRFVerify(b *testing.B) {
	k := GenerateVRFKey()
	pi, _ := k.Prove([]byte("alice"))
	for b.Loop() {
		if _, err := k.Public().Verify([]byte("alice"), pi); err != nil {
			b.Fatal(err)
		}
	}
}
