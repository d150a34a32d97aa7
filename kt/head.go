package kt

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
)

// Opening opens the commitment to one link in the map. Without it, what the log
// says of a label tells nobody anything; to erase a person, the server deletes
// label, opening and link.
type Opening [16]byte

// NewOpening returns a random opening.
func NewOpening() (o Opening) {
	rand.Read(o[:])
	return o
}

// commitmentKey is the fixed key Kc that separates commitments from other HMACs.
var commitmentKey = []byte("huis/commitment/1")

// Commitment hides a value until its opening is shown.
type Commitment [sha256.Size]byte

// Commit = HMAC-SHA-256(Kc, opening ‖ label ‖ seq ‖ SHA-256(value)), the label
// length-prefixed. For an account the label is its MapLabel, and the value with
// number seq is a link.
func Commit(o Opening, label []byte, seq uint32, value []byte) (c Commitment) {
	sum := sha256.Sum256(value)
	m := hmac.New(sha256.New, commitmentKey)
	m.Write(o[:])
	m.Write(labelled(string(label)))
	m.Write(binary.BigEndian.AppendUint32(nil, seq))
	m.Write(sum[:])
	copy(c[:], m.Sum(nil))
	return c
}

// NextHead is the head over one more value: SHA-256(0x04 ‖ head ‖ commitment),
// from the zero head.
func NextHead(head Hash, c Commitment) Hash {
	b := append([]byte{0x04}, head[:]...)
	return sha256.Sum256(append(b, c[:]...))
}

// LabelHead is the head over all of a label's values from its first.
func LabelHead(label []byte, openings []Opening, values [][]byte) (Hash, error) {
	if len(openings) != len(values) || len(values) == 0 {
		return Hash{}, invalid("head", "%d openings for %d values", len(openings), len(values))
	}
	var head Hash
	for i, v := range values {
		head = NextHead(head, Commit(openings[i], label, uint32(i), v))
	}
	return head, nil
}
