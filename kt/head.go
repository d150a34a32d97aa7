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

// commitment = HMAC-SHA-256(Kc, opening ‖ label ‖ seq ‖ SHA-256(value)), the
// label length-prefixed.
func commitment(o Opening, label []byte, seq uint32, value []byte) []byte {
	sum := sha256.Sum256(value)
	m := hmac.New(sha256.New, commitmentKey)
	m.Write(o[:])
	m.Write(labelled(string(label)))
	m.Write(binary.BigEndian.AppendUint32(nil, seq))
	m.Write(sum[:])
	return m.Sum(nil)
}

// NextHead is head_seq over the value a label got as its seq-th:
// SHA-256(0x04 ‖ head_{seq−1} ‖ commitment), from zeros. For an account the
// value is a link and the label its MapLabel.
func NextHead(head Hash, o Opening, label []byte, seq uint32, value []byte) Hash {
	b := append([]byte{0x04}, head[:]...)
	return sha256.Sum256(append(b, commitment(o, label, seq, value)...))
}

// LabelHead is the head over all of a label's values from its first.
func LabelHead(label []byte, openings []Opening, values [][]byte) (Hash, error) {
	if len(openings) != len(values) || len(values) == 0 {
		return Hash{}, invalid("head", "%d openings for %d values", len(openings), len(values))
	}
	var head Hash
	for i, v := range values {
		head = NextHead(head, openings[i], label, uint32(i), v)
	}
	return head, nil
}
