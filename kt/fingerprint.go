package kt

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Fingerprint is what two people compare to be sure that they speak of the same
// log: 128 bits of SHA-256 over its name and its keys, as eight groups of four
// lower-case hexadecimal digits.
func Fingerprint(log NoteKey, vrf VRFPublicKey) string {
	b := append([]byte("huis/log-fingerprint/1"), byte(len(log.Name)>>8), byte(len(log.Name)))
	b = append(append(append(b, log.Name...), log.Key[:]...), vrf[:]...)
	sum := sha256.Sum256(b)
	digits := hex.EncodeToString(sum[:16])
	groups := make([]string, 0, 8)
	for ; digits != ""; digits = digits[4:] {
		groups = append(groups, digits[:4])
	}
	return strings.Join(groups, "-")
}

// SameFingerprint tells whether what a person typed is a fingerprint: all of its
// digits, in capitals or not, with any spaces and dashes.
func SameFingerprint(fingerprint, typed string) bool {
	strip := strings.NewReplacer("-", "", " ", "", "\t", "", "\n", "")
	return strip.Replace(strings.ToLower(typed)) == strip.Replace(fingerprint)
}
