package mls

import (
	"crypto/subtle"
	"fmt"
)

const redacted = "[redacted]"

// Secret is key material. It prints as [redacted] with every verb and in
// structured logs. Compare with Equal, never by bytes.
type Secret []byte

// Equal compares in constant time for equal lengths.
func (s Secret) Equal(other []byte) bool { return subtle.ConstantTimeCompare(s, other) == 1 }

func (Secret) String() string { return redacted }

// GoString keeps %#v from printing the bytes.
func (Secret) GoString() string { return redacted }

// Format keeps every other verb from printing the bytes.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// MarshalText keeps the bytes out of JSON and other text formats.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// zero overwrites the bytes; copies the runtime made are out of reach.
func (s Secret) zero() { clear(s) }

// redact is embedded by secret types that are structs.
type redact struct{}

func (redact) String() string               { return redacted }
func (redact) GoString() string             { return redacted }
func (redact) Format(f fmt.State, _ rune)   { fmt.Fprint(f, redacted) }
func (redact) MarshalText() ([]byte, error) { return []byte(redacted), nil }
