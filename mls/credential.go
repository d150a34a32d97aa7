package mls

import (
	"bytes"
	"slices"

	"codeberg.org/huis/huis/internal/wire"
)

// CredentialType says what a credential holds (RFC 9420, Section 5.3).
type CredentialType uint16

// Credential types of RFC 9420, Section 17.5.
const (
	CredentialBasic CredentialType = 1
	CredentialX509  CredentialType = 2
)

// Credential binds a signature key to an identity; whether to believe it is the
// application's decision (RFC 9420, Section 5.3).
type Credential struct {
	CredentialType CredentialType
	Identity       []byte   // basic
	Certificates   [][]byte // x509: DER, the end entity's first
	Data           []byte   // any other type
}

// BasicCredential names its holder by bytes the application chooses.
func BasicCredential(identity []byte) Credential {
	return Credential{CredentialType: CredentialBasic, Identity: bytes.Clone(identity)}
}

// Equal tells whether both say the same of the same holder.
func (k *Credential) Equal(o *Credential) bool {
	return k.CredentialType == o.CredentialType && bytes.Equal(k.Identity, o.Identity) &&
		bytes.Equal(k.Data, o.Data) && slices.EqualFunc(k.Certificates, o.Certificates, bytes.Equal)
}

func (k *Credential) wire(c *wire.Codec) {
	wire.Uint16(c, &k.CredentialType)
	switch k.CredentialType {
	case CredentialBasic:
		wire.Opaque(c, &k.Identity)
	case CredentialX509:
		wire.Vector(c, &k.Certificates, opaque)
	default:
		wire.Opaque(c, &k.Data)
	}
}

// opaque is opaque<V> as an item of a vector.
func opaque(b *[]byte, c *wire.Codec) { wire.Opaque(c, b) }

// number16 is uint16 as an item of a vector.
func number16[T ~uint16](v *T, c *wire.Codec) { wire.Uint16(c, v) }

// number32 is uint32 as an item of a vector.
func number32[T ~uint32](v *T, c *wire.Codec) { wire.Uint32(c, v) }
