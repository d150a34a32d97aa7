package mls

import "codeberg.org/huis/huis/internal/wire"

// ExtensionType names an extension (RFC 9420, Section 17.3).
type ExtensionType uint16

// Extension types.
const (
	ExtensionApplicationID        ExtensionType = 0x0001
	ExtensionRatchetTree          ExtensionType = 0x0002
	ExtensionRequiredCapabilities ExtensionType = 0x0003
	ExtensionExternalPub          ExtensionType = 0x0004
	ExtensionExternalSenders      ExtensionType = 0x0005
	// ExtensionAppDataDictionary holds data of an application's components
	// (draft-ietf-mls-extensions).
	ExtensionAppDataDictionary ExtensionType = 0x0006
	// ExtensionLastResort marks a key package that may be used more than once
	// (draft-ietf-mls-extensions up to -08). Its data is empty.
	ExtensionLastResort ExtensionType = 0x000a
)

// Extension is typed data (RFC 9420, Section 13).
type Extension struct {
	ExtensionType ExtensionType
	ExtensionData []byte
}

func (e *Extension) wire(c *wire.Codec) {
	wire.Uint16(c, &e.ExtensionType)
	wire.Opaque(c, &e.ExtensionData)
}

// FindExtension returns the data of the first extension of type t.
func FindExtension(list []Extension, t ExtensionType) (data []byte, found bool) {
	for i := range list {
		if list[i].ExtensionType == t {
			return list[i].ExtensionData, true
		}
	}
	return nil, false
}

// RequiredCapabilities is what every member must support beyond the defaults
// (RFC 9420, Section 11.1). It is the data of the GroupContext extension
// required_capabilities.
type RequiredCapabilities struct {
	ExtensionTypes  []ExtensionType
	ProposalTypes   []ProposalType
	CredentialTypes []CredentialType
}

func (r *RequiredCapabilities) wire(c *wire.Codec) {
	wire.Vector(c, &r.ExtensionTypes, number16[ExtensionType])
	wire.Vector(c, &r.ProposalTypes, number16[ProposalType])
	wire.Vector(c, &r.CredentialTypes, number16[CredentialType])
}

// Extension returns r as a GroupContext extension.
func (r *RequiredCapabilities) Extension() Extension {
	return Extension{ExtensionRequiredCapabilities, wire.MustEncode(r.wire)}
}

// ParseRequiredCapabilities reads the data of a required_capabilities extension.
func ParseRequiredCapabilities(b []byte) (*RequiredCapabilities, error) {
	return parse[RequiredCapabilities](b, (*RequiredCapabilities).wire)
}

// ExternalSender may propose without being a member (RFC 9420, Section 12.1.8.1).
type ExternalSender struct {
	SignatureKey SignaturePublicKey
	Credential   Credential
}

func (s *ExternalSender) wire(c *wire.Codec) {
	wire.Opaque(c, &s.SignatureKey)
	s.Credential.wire(c)
}

// ExternalSendersExtension returns the GroupContext extension external_senders;
// a sender's index in the list is its sender_index.
func ExternalSendersExtension(senders []ExternalSender) Extension {
	b := wire.MustEncode(func(c *wire.Codec) { wire.Vector(c, &senders, (*ExternalSender).wire) })
	return Extension{ExtensionExternalSenders, b}
}

// ParseExternalSenders reads the data of an external_senders extension.
func ParseExternalSenders(b []byte) (senders []ExternalSender, err error) {
	err = decode(b, func(c *wire.Codec) { wire.Vector(c, &senders, (*ExternalSender).wire) })
	return senders, err
}

// ComponentID names a component of an application
// (draft-ietf-mls-extensions).
type ComponentID uint16

// ComponentLastResort, in a key package, says what ExtensionLastResort says.
const ComponentLastResort ComponentID = 0x0004

// ComponentData is one component's entry in an app_data_dictionary extension.
type ComponentData struct {
	ComponentID ComponentID
	Data        []byte
}

func (d *ComponentData) wire(c *wire.Codec) {
	wire.Uint16(c, &d.ComponentID)
	wire.Opaque(c, &d.Data)
}

// ParseAppDataDictionary reads the data of an app_data_dictionary extension,
// whose components must be in ascending order.
func ParseAppDataDictionary(b []byte) (list []ComponentData, err error) {
	err = decode(b, func(c *wire.Codec) {
		wire.Vector(c, &list, (*ComponentData).wire)
		for i := 1; i < len(list); i++ {
			if list[i-1].ComponentID >= list[i].ComponentID {
				c.Fail("components are not in ascending order")
			}
		}
	})
	return list, err
}

// externalPub is the data of the GroupInfo extension external_pub
// (RFC 9420, Section 12.4.3.2).
type externalPub struct{ ExternalPub HPKEPublicKey }

func (e *externalPub) wire(c *wire.Codec) { wire.Opaque(c, &e.ExternalPub) }

// parse reads one T from all of b.
func parse[T any](b []byte, fields func(*T, *wire.Codec)) (*T, error) {
	v := new(T)
	if err := decode(b, func(c *wire.Codec) { fields(v, c) }); err != nil {
		return nil, err
	}
	return v, nil
}
