//go:build !js

package mls

import (
	"crypto"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hpke"
)

// The suites beside this package's own. A browser does without: they would be a
// quarter of the program, and AES does not run in constant time there.

var (
	aes128GCM = sealing{hpke.AES128GCM(), newGCM, 16}
	aes256GCM = sealing{hpke.AES256GCM(), newGCM, 32}

	p256Scheme = signatureScheme{ecdsaScheme{elliptic.P256(), crypto.SHA256}}
	p384Scheme = signatureScheme{ecdsaScheme{elliptic.P384(), crypto.SHA384}}
	p521Scheme = signatureScheme{ecdsaScheme{elliptic.P521(), crypto.SHA512}}
)

// addStandardSuites adds those of RFC 9420 and of the post-quantum draft.
func addStandardSuites(table map[CipherSuite]*algorithms) {
	for _, a := range []*algorithms{
		newAlgorithms(X25519AES128SHA256Ed25519, hpke.DHKEM(ecdh.X25519()), aes128GCM, crypto.SHA256, ed25519Scheme),
		newAlgorithms(P256AES128SHA256P256, hpke.DHKEM(ecdh.P256()), aes128GCM, crypto.SHA256, p256Scheme),
		newAlgorithms(X25519ChaChaSHA256Ed25519, hpke.DHKEM(ecdh.X25519()), chaCha, crypto.SHA256, ed25519Scheme),
		newAlgorithms(P521AES256SHA512P521, hpke.DHKEM(ecdh.P521()), aes256GCM, crypto.SHA512, p521Scheme),
		newAlgorithms(P384AES256SHA384P384, hpke.DHKEM(ecdh.P384()), aes256GCM, crypto.SHA384, p384Scheme),
	} {
		table[a.id] = a
	}
	addDraftSuites(table, defaultDraftIDs())
}

// draftSuites holds the supported rows.
var draftSuites = map[DraftSuite]draftRow{
	DraftMLKEM768X25519AES128SHA256Ed25519: {hpke.MLKEM768X25519(), aes128GCM, crypto.SHA256, ed25519Scheme},
	DraftMLKEM768X25519AES256SHA384Ed25519: {hpke.MLKEM768X25519(), aes256GCM, crypto.SHA384, ed25519Scheme},
	DraftMLKEM768P256AES128SHA256P256:      {hpke.MLKEM768P256(), aes128GCM, crypto.SHA256, p256Scheme},
	DraftMLKEM768P256AES256SHA384P256:      {hpke.MLKEM768P256(), aes256GCM, crypto.SHA384, p256Scheme},
	DraftMLKEM1024P384AES256SHA384P384:     {hpke.MLKEM1024P384(), aes256GCM, crypto.SHA384, p384Scheme},
	DraftMLKEM768AES256SHA384Ed25519:       {hpke.MLKEM768(), aes256GCM, crypto.SHA384, ed25519Scheme},
	DraftMLKEM768AES256SHA384P256:          {hpke.MLKEM768(), aes256GCM, crypto.SHA384, p256Scheme},
	DraftMLKEM1024AES256SHA384P384:         {hpke.MLKEM1024(), aes256GCM, crypto.SHA384, p384Scheme},
}
