package sim

import (
	"crypto/sha256"
	"fmt"
)

// Seals records every call of an AEAD's Seal and everything that left a device.
// It outlives crashes: a pair used before one and again after it is a finding.
//
// Two rules are judged. No (key, nonce) is ever used for two different
// plaintexts, whether the result left or not. And no key of a ratchet goes out
// under two nonces: the reuse guard of MLS makes nonces differ by chance, so a
// ratchet that fell back shows only as a key that left twice.
type Seals struct {
	pairs map[[32]byte]string   // hash of key and nonce → who used it
	byTag map[[16]byte][32]byte // end of a ciphertext → hash of its key
	same  map[[32]byte][32]byte // hash of key and nonce → hash of what was sealed, where repeating is allowed
	left  map[[32]byte][32]byte // hash of key → hash of the bytes that left under it
	Count int
	found []Violation
}

// NewSeals returns an empty record.
func NewSeals() *Seals {
	return &Seals{
		pairs: make(map[[32]byte]string),
		byTag: make(map[[16]byte][32]byte),
		same:  make(map[[32]byte][32]byte),
		left:  make(map[[32]byte][32]byte),
	}
}

// Sealed records one call of Seal. ciphertext may be nil if it is not known;
// then only the first rule sees this call.
func (s *Seals) Sealed(who string, key, nonce, ciphertext []byte) {
	s.Count++
	pair := pairOf(key, nonce)
	if first, used := s.pairs[pair]; used {
		s.found = append(s.found, Violation{"keys", fmt.Sprintf("%s sealed with a key and nonce that %s had used", who, first)})
	}
	s.pairs[pair] = who
	if n := len(ciphertext); n >= 16 {
		s.byTag[[16]byte(ciphertext[n-16:])] = sha256.Sum256(key)
	}
}

func pairOf(key, nonce []byte) [32]byte {
	return sha256.Sum256(append(append([]byte{byte(len(nonce))}, nonce...), key...))
}

// Repeatable records one call of Seal by a cipher whose nonces follow from the
// plaintext: the same pair may come again, with the same result.
func (s *Seals) Repeatable(who string, key, nonce, ciphertext []byte) {
	s.Count++
	pair, sum := pairOf(key, nonce), sha256.Sum256(ciphertext)
	if first, used := s.same[pair]; used && first != sum {
		s.found = append(s.found, violation("keys", "%s sealed two chunks of a file with one key and nonce", who))
	}
	s.same[pair] = sum
}

// Chunks is how many different chunks of files were sealed.
func (s *Seals) Chunks() int { return len(s.same) }

// Left records that bytes ending in a ciphertext were handed to the network.
// Identical bytes may leave any number of times.
func (s *Seals) Left(who string, bytes []byte) {
	if len(bytes) < 16 {
		return
	}
	key, sealed := s.byTag[[16]byte(bytes[len(bytes)-16:])]
	if !sealed {
		return
	}
	sum := sha256.Sum256(bytes)
	if first, before := s.left[key]; before && first != sum {
		s.found = append(s.found, Violation{"keys", fmt.Sprintf("%s sent two different ciphertexts under one key", who)})
	}
	s.left[key] = sum
}

// Tracked is how many different keys left so far; a run in which it stays zero
// has not tested the second rule.
func (s *Seals) Tracked() int { return len(s.left) }

// Violations are the findings so far.
func (s *Seals) Violations() []Violation { return s.found }
