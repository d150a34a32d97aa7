package kt

import (
	"encoding/hex"
	"fmt"
)

// What the log holds releases of: the interface that a server gives to
// browsers, and the program itself.
const (
	ProductWeb     = "web"  // the value is SHA-256 of the manifest
	ProductProgram = "huis" // the value is SHA-256 of the signed SHA256SUMS
)

// ReleaseLabel is the label of KindRelease under which the log holds the release
// of a product with that hash; the label's one value is the hash's 32 bytes.
func ReleaseLabel(product string, sum Hash) []byte { return []byte(product + "/" + sum.Hex()) }

// ParseRelease reads a hash in hex and gives its label, too.
func ParseRelease(product, text string) (label []byte, sum Hash, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(sum) {
		return nil, sum, fmt.Errorf("kt: %q is no SHA-256 in hex", text)
	}
	sum = Hash(b)
	return ReleaseLabel(product, sum), sum, nil
}
