// Package canary searches bytes for plaintext that should not be there: what a
// server stored or logged, what a process sent. A test gives every plaintext it
// makes a unique string; Scanner then finds that string as it is, in UTF-16, in
// hexadecimal, in base64 of both alphabets at all three offsets, its digests in
// the same encodings, and all of it inside gzip, zlib and raw deflate streams.
//
// What it does not find: a plaintext under any encryption, and streams of other
// compressors (the program links none).
package canary

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// New returns a string of 130 random bits in lower-case letters and digits, so
// that it stays as it is in names, JSON and addresses.
func New() string {
	var b [17]byte
	rand.Read(b[:])
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))[:26]
}

// Finding is one place where a secret stands.
type Finding struct {
	Secret   string // its name, as given to Add
	Encoding string // such as "hex of sha256, in gzip"
	Where    string // file and byte offset
}

func (f Finding) String() string {
	return fmt.Sprintf("%s as %s at %s", f.Secret, f.Encoding, f.Where)
}

// minNeedle is the shortest form that is searched for: shorter ones would be
// found by chance. prefix is how much of a form the index looks at.
const (
	minNeedle = 12
	prefix    = 8
)

type needle struct {
	secret, encoding string
	bytes            []byte
}

// Scanner searches for all forms of the secrets it was given. Add before the
// first search; searching is safe for concurrent use.
type Scanner struct {
	index   map[uint64][]needle // by the first eight bytes
	maybe   [1 << 13]uint64     // a bit per hash of the first four bytes
	longest int
}

// Add enters a secret under a name that tells the reader what it was. A secret
// below 12 bytes is refused: it would be found by chance.
func (s *Scanner) Add(name string, secret []byte) error {
	if len(secret) < minNeedle {
		return fmt.Errorf("canary: %s has %d bytes, at least %d needed", name, len(secret), minNeedle)
	}
	s.forms(name, "", secret)
	s.put(name, "UTF-16 little-endian", widened(secret, 0))
	s.put(name, "UTF-16 big-endian", widened(secret, 1))
	md, s1 := md5.Sum(secret), sha1.Sum(secret)
	s2, s3, s5 := sha256.Sum256(secret), sha512.Sum384(secret), sha512.Sum512(secret)
	s.forms(name, "md5", md[:])
	s.forms(name, "sha1", s1[:])
	s.forms(name, "sha256", s2[:])
	s.forms(name, "sha384", s3[:])
	s.forms(name, "sha512", s5[:])
	return nil
}

// forms enters the bytes raw, in hex and in base64.
func (s *Scanner) forms(name, of string, b []byte) {
	label := func(enc string) string {
		if of == "" {
			return enc
		}
		return enc + " of " + of
	}
	s.put(name, label("raw"), b)
	s.put(name, label("hex"), []byte(hex.EncodeToString(b)))
	s.put(name, label("HEX"), []byte(strings.ToUpper(hex.EncodeToString(b))))
	for offset := range 3 {
		std := inner64(base64.StdEncoding, b, offset)
		url := inner64(base64.URLEncoding, b, offset)
		s.put(name, label(fmt.Sprintf("base64+%d", offset)), std)
		if string(std) != string(url) {
			s.put(name, label(fmt.Sprintf("base64url+%d", offset)), url)
		}
	}
}

// inner64 is what b always looks like in base64 when offset bytes (mod 3) stand
// before it: the characters that depend on b alone.
func inner64(enc *base64.Encoding, b []byte, offset int) []byte {
	text := enc.EncodeToString(append(make([]byte, offset), b...))
	first := (offset*8 + 5) / 6
	last := (offset + len(b)) * 8 / 6
	return []byte(text[first:last])
}

func widened(b []byte, at int) []byte {
	wide := make([]byte, 2*len(b))
	for i, c := range b {
		wide[2*i+at] = c
	}
	return wide
}

func (s *Scanner) put(name, encoding string, b []byte) {
	if len(b) < minNeedle {
		return
	}
	if s.index == nil {
		s.index = make(map[uint64][]needle)
	}
	key := binary.LittleEndian.Uint64(b)
	s.index[key] = append(s.index[key], needle{name, encoding, b})
	h := hash4(binary.LittleEndian.Uint32(b))
	s.maybe[h>>6] |= 1 << (h & 63)
	s.longest = max(s.longest, len(b))
}

// hash4 maps four bytes to 19 bits.
func hash4(x uint32) uint32 { return x * 2654435761 >> 13 }

// match returns the needles that stand at the start of b.
func (s *Scanner) match(b []byte) []needle {
	if len(b) < prefix {
		return nil
	}
	h := hash4(binary.LittleEndian.Uint32(b))
	if s.maybe[h>>6]>>(h&63)&1 == 0 {
		return nil
	}
	var found []needle
	for _, n := range s.index[binary.LittleEndian.Uint64(b)] {
		if len(b) >= len(n.bytes) && string(b[:len(n.bytes)]) == string(n.bytes) {
			found = append(found, n)
		}
	}
	return found
}
