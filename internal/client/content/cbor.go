package content

import (
	"fmt"

	"codeberg.org/huis/huis/internal/client/cbor"
)

// ErrNotCanonical: the bytes are not the one encoding of a message.
var ErrNotCanonical = cbor.ErrForm

// coded is what has an encoding in CBOR.
type coded interface{ CBOR(*cbor.Coder) }

// Marshal returns the canonical encoding of v.
func Marshal(v coded) ([]byte, error) {
	b, err := cbor.Encode(v.CBOR)
	if err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	return b, nil
}

// Unmarshal reads b into v, a pointer to a zero value, and accepts exactly the
// bytes Marshal makes: no unknown fields, no tags, no other forms.
func Unmarshal(b []byte, v coded) error {
	if err := cbor.Decode(b, v.CBOR); err != nil {
		return fmt.Errorf("content: %w", err)
	}
	return nil
}

// CBOR codes the message.
func (m *Message) CBOR(c *cbor.Coder) {
	cbor.Uint(c, 1, &m.Version, false)
	cbor.Fixed(c, 2, m.ID[:])
	cbor.List(c, 3, &m.Parents, idElement)
	cbor.Uint(c, 4, &m.Time, false)
	cbor.Uint(c, 5, &m.Kind, false)
	cbor.List(c, 6, &m.Targets, idElement)
	cbor.Text(c, 7, &m.Body, true)
	cbor.List(c, 8, &m.Attachments, func(c *cbor.Coder, a *AttachmentPart) { c.Struct(a.CBOR) })
	cbor.Uint(c, 9, &m.Expiry, true)
	cbor.Bool(c, 10, &m.Read)
	cbor.Optional(c, 11, &m.Event, (*Event).CBOR)
}

func idElement(c *cbor.Coder, id *ID) { cbor.FixedElement(c, id[:]) }

// CBOR codes the part.
func (a *AttachmentPart) CBOR(c *cbor.Coder) {
	cbor.Text(c, 1, &a.Name, false)
	cbor.Text(c, 2, &a.MediaType, true)
	c.Field(3, false, false, func() { c.Struct(a.File.CBOR) })
	cbor.Uint(c, 4, &a.Duration, true)
}

// CBOR codes the event.
func (e *Event) CBOR(c *cbor.Coder) {
	cbor.Text(c, 1, &e.Type, false)
	cbor.Bytes(c, 2, &e.Data)
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
