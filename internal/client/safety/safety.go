// Package safety turns account identifiers into words that two people can read
// to each other. Start with Compare.
//
// Each account gives 60 bits, made slow to search: who wants another account
// with the same words computes 2^60 times 2^16 hashes (docs/protocol.md,
// Section 7). Both halves are shown together, in the same order to both people.
package safety

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	listed  = 1024    // words, 10 bits each
	words   = 6       // of an account
	groups  = 4       // of five digits, of an account
	effort  = 1 << 16 // iterations
	purpose = "huis/safety/1"
)

//go:embed words.txt
var text string

var list = strings.Fields(text)

// Code is what two people compare: the same for both, in either form.
type Code struct {
	Words  []string // 12, lower-case
	Digits string   // 8 groups of five
}

// Compare gives the words and digits for two accounts, whichever comes first.
func Compare(a, b [32]byte) (Code, error) {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	var c Code
	var digits []string
	for _, id := range [][32]byte{a, b} {
		sum, err := pbkdf2.Key(sha256.New, string(id[:]), []byte(purpose), effort, sha256.Size)
		if err != nil {
			return c, err
		}
		c.Words = append(c.Words, wordsOf(sum)...)
		digits = append(digits, digitsOf(sum)...)
	}
	c.Digits = strings.Join(digits, " ")
	return c, nil
}

// wordsOf takes ten bits a word from the first eight bytes.
func wordsOf(sum []byte) []string {
	bits := binary.BigEndian.Uint64(sum)
	out := make([]string, words)
	for i := range out {
		out[i] = list[bits>>(64-10*(i+1))%listed]
	}
	return out
}

// digitsOf takes a group from five bytes each, behind those of the words.
func digitsOf(sum []byte) []string {
	out := make([]string, groups)
	for i := range out {
		var n uint64
		for _, b := range sum[8+5*i:][:5] {
			n = n<<8 | uint64(b)
		}
		out[i] = fmt.Sprintf("%05d", n%100000)
	}
	return out
}

// Same tells whether two texts are the same words or digits, however they are
// spaced and capitalised.
func (c Code) Same(said string) bool {
	said = strings.Join(strings.FieldsFunc(strings.ToLower(said), func(r rune) bool {
		return r == ' ' || r == ',' || r == '-' || r == '\n' || r == '\t'
	}), " ")
	return said == strings.Join(c.Words, " ") || said == c.Digits
}
