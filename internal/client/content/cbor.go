package content

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// encoder writes RFC 8949, Section 4.2.1: shortest forms, sorted keys, definite
// lengths. decoder bounds what a sender can make a receiver hold.
var (
	encoder = mustMode(cbor.CoreDetEncOptions().EncMode())
	decoder = mustMode(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		MaxNestedLevels:   8,
		MaxArrayElements:  1024,
		MaxMapPairs:       64,
	}.DecMode())
)

func mustMode[T any](mode T, err error) T {
	if err != nil {
		panic("content: " + err.Error()) // options that contradict each other
	}
	return mode
}

// ErrNotCanonical: the bytes are CBOR, but not the one encoding of their value.
var ErrNotCanonical = errors.New("content: not in canonical form")

// Marshal returns the canonical encoding of v.
func Marshal(v any) ([]byte, error) { return encoder.Marshal(v) }

// Unmarshal reads b into v, a pointer to a zero value, and accepts exactly the
// bytes Marshal makes: no unknown fields, no tags, no other forms.
func Unmarshal(b []byte, v any) error {
	if err := decoder.Unmarshal(b, v); err != nil {
		return fmt.Errorf("content: %v", err)
	}
	again, err := encoder.Marshal(v)
	if err != nil {
		return fmt.Errorf("content: %v", err)
	}
	if !bytes.Equal(again, b) {
		return ErrNotCanonical
	}
	return nil
}

// Encode returns the canonical encoding of m, or why it is no message.
func (m *Message) Encode() ([]byte, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	return Marshal(m)
}

// Parse decodes and checks one message.
func Parse(b []byte) (*Message, error) {
	var m Message
	if err := Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	return &m, nil
}
