package kt

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"
)

const redacted = "[redacted]"

// SignFunc signs a message with an Ed25519 key that stays where it is.
type SignFunc func(message []byte) (signature []byte, err error)

// The public keys, one type for each purpose.
type (
	// ChainPublicKey (D) verifies links.
	ChainPublicKey [ed25519.PublicKeySize]byte
	// MessagePublicKey (M) is a device's leaf signature key in every group.
	MessagePublicKey [ed25519.PublicKeySize]byte
	// RecoveryPublicKey verifies the ADD_DEVICE after all devices are lost.
	RecoveryPublicKey [ed25519.PublicKeySize]byte
)

// ChainKey is the private half of D. It signs links and nothing else.
type ChainKey struct{ seed [ed25519.SeedSize]byte }

// GenerateChainKey returns a random key.
func GenerateChainKey() ChainKey { return ChainKey{randomSeed()} }

// ParseChainKey reads what Bytes gave.
func ParseChainKey(b []byte) (ChainKey, error) {
	var k ChainKey
	if copy(k.seed[:], b) != len(k.seed) || len(b) != len(k.seed) {
		return ChainKey{}, errors.New("kt: a chain key has 32 bytes")
	}
	return k, nil
}

// Bytes returns the secret, to be stored sealed.
func (k ChainKey) Bytes() []byte { return k.seed[:] }

// Public returns D.
func (k ChainKey) Public() ChainPublicKey {
	return ChainPublicKey(k.private().Public().(ed25519.PublicKey))
}

func (k ChainKey) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.seed[:]) }

func (ChainKey) String() string   { return redacted }
func (ChainKey) GoString() string { return redacted }

// RecoveryKey is written down by the person and kept nowhere else.
type RecoveryKey struct{ seed [ed25519.SeedSize]byte }

// GenerateRecoveryKey returns a random key.
func GenerateRecoveryKey() RecoveryKey { return RecoveryKey{randomSeed()} }

// Public returns what SET_RECOVERY announces.
func (k RecoveryKey) Public() RecoveryPublicKey {
	return RecoveryPublicKey(k.private().Public().(ed25519.PublicKey))
}

func (k RecoveryKey) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.seed[:]) }

func (RecoveryKey) String() string   { return redacted }
func (RecoveryKey) GoString() string { return redacted }

// crockford is base32 without letters that read like figures.
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// recoveryCheck is the length of the checksum in Text, in bytes: one mistake
// in a million million passes.
const recoveryCheck = 5

// Text returns the key for writing down: 60 characters in 12 groups of 5, the
// last 8 of them over the rest as a checksum.
func (k RecoveryKey) Text() string {
	sum := k.check()
	text := crockford.EncodeToString(append(k.seed[:len(k.seed):len(k.seed)], sum...))
	var groups []string
	for len(text) > 5 {
		groups, text = append(groups, text[:5]), text[5:]
	}
	return strings.Join(append(groups, text), "-")
}

func (k RecoveryKey) check() []byte {
	sum := sha256.Sum256(labelled("huis/recovery-text/1", k.seed[:]))
	return sum[:recoveryCheck]
}

// ParseRecoveryKey reads Text, as a person types it: any case, spaces or
// hyphens anywhere, O for 0, I and L for 1.
func ParseRecoveryKey(text string) (RecoveryKey, error) {
	clean := strings.NewReplacer("-", "", " ", "", "\n", "", "\t", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(text))
	b, err := crockford.DecodeString(clean)
	if err != nil || len(b) != ed25519.SeedSize+recoveryCheck {
		return RecoveryKey{}, errors.New("kt: a recovery key has 60 letters and figures")
	}
	var k RecoveryKey
	copy(k.seed[:], b)
	// The text is a secret, but whoever compares it here has it already.
	if string(k.check()) != string(b[ed25519.SeedSize:]) || crockford.EncodeToString(b) != clean {
		return RecoveryKey{}, errors.New("kt: the recovery key has a typing mistake")
	}
	return k, nil
}

func randomSeed() (seed [ed25519.SeedSize]byte) {
	rand.Read(seed[:])
	return seed
}

// NewDeviceID returns a random identifier.
func NewDeviceID() (id DeviceID) {
	rand.Read(id[:])
	return id
}
