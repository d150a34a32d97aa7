package mls

import (
	"crypto"
	"crypto/hpke"
	"fmt"
	"maps"
)

// DraftSuite is a row of the table of draft-ietf-mls-pq-ciphersuites-06, which
// has no assigned numbers yet: TBD1 is DraftSuite 1.
type DraftSuite int

// Rows of the draft's table. The last three need ML-DSA, which the standard
// library does not offer; they are not supported.
const (
	DraftMLKEM768X25519AES128SHA256Ed25519 DraftSuite = iota + 1
	DraftMLKEM768X25519AES256SHA384Ed25519
	DraftMLKEM768P256AES128SHA256P256
	DraftMLKEM768P256AES256SHA384P256
	DraftMLKEM1024P384AES256SHA384P384
	DraftMLKEM768AES256SHA384Ed25519
	DraftMLKEM768AES256SHA384P256
	DraftMLKEM1024AES256SHA384P384
	DraftMLKEM768X25519ChaChaSHA384MLDSA44
	DraftMLKEM768AES256SHA384MLDSA65
	DraftMLKEM1024AES256SHA384MLDSA87
)

// DraftSuiteBase is the number before that of the draft's first row: the rows
// have 0xF001 to 0xF00B, in the range for private use, unless
// SetDraftSuiteID says otherwise.
const DraftSuiteBase CipherSuite = 0xF000

// draftRow is a row's primitives.
type draftRow struct {
	kem       hpke.KEM
	aead      sealing
	hash      crypto.Hash
	signature signatureScheme
}

// CipherSuite returns the row's default number.
func (d DraftSuite) CipherSuite() CipherSuite { return DraftSuiteBase + CipherSuite(d) }

// SetDraftSuiteID lets id, too, name the row d: for peers that chose another
// number, or once one is assigned. It fails if id is taken or d is not
// supported. Call it at start, before groups exist.
func SetDraftSuiteID(d DraftSuite, id CipherSuite) error {
	if _, ok := draftSuites[d]; !ok {
		return fmt.Errorf("%w: row %d of the post-quantum draft", ErrUnsupportedSuite, d)
	}
	for {
		old := suiteTable.Load()
		if _, taken := (*old)[id]; taken || id == X448AES256SHA512Ed448 || id == X448ChaChaSHA512Ed448 {
			return fmt.Errorf("mls: cipher suite number %#04x is taken", uint16(id))
		}
		table := maps.Clone(*old)
		addDraftSuites(table, map[DraftSuite]CipherSuite{d: id})
		if suiteTable.CompareAndSwap(old, &table) {
			return nil
		}
	}
}

func defaultDraftIDs() map[DraftSuite]CipherSuite {
	ids := map[DraftSuite]CipherSuite{}
	for d := range draftSuites {
		ids[d] = d.CipherSuite()
	}
	return ids
}

func addDraftSuites(table map[CipherSuite]*algorithms, ids map[DraftSuite]CipherSuite) {
	for d, id := range ids {
		row := draftSuites[d]
		table[id] = newAlgorithms(id, row.kem, row.aead, row.hash, row.signature)
	}
}
