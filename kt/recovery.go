package kt

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
)

// Sign signs what asks a server to let the holder of the key in, or states keys
// that follow from it; never a link, which RecoverySigner does. message begins
// with a label of its own.
func (k RecoveryKey) Sign(message []byte) [ed25519.SignatureSize]byte {
	return [ed25519.SignatureSize]byte(ed25519.Sign(k.private(), labelled("huis/recovery-sign/1", message)))
}

// Verify checks what Sign made.
func (k RecoveryPublicKey) Verify(message []byte, sig [ed25519.SignatureSize]byte) bool {
	return ed25519.Verify(k[:], labelled("huis/recovery-sign/1", message), sig[:])
}

// Derive returns 32 secret bytes for one purpose; who knows them learns nothing
// of the key.
func (k RecoveryKey) Derive(purpose string) [32]byte {
	b, err := hkdf.Key(sha256.New, k.seed[:], nil, "huis/recovery/1 "+purpose, 32)
	if err != nil {
		panic(err) // 32 bytes are always to be had
	}
	return [32]byte(b)
}

// IsZero tells whether k is no key.
func (k RecoveryKey) IsZero() bool { return k == RecoveryKey{} }
