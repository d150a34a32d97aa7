// Package cbor codes messages in the one canonical form of CBOR (RFC 8949,
// Section 4.2.1): shortest forms, keys in order, definite lengths.
//
// Start with Encode and Decode. A structure is a map with small whole numbers as
// keys; one method names its fields, in the order of their keys, for both
// directions, as in package wire. Decode accepts exactly the bytes Encode makes:
// no unknown fields, no tags, no floats, no null, no other forms. It does no
// more: what a message may say is for its package to check.
package cbor

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"
)

// maxElements bounds an array.
const maxElements = 1024

// Major types, in the high three bits of an item's first byte.
const (
	unsigned = 0 << 5
	octets   = 2 << 5
	text     = 3 << 5
	array    = 4 << 5
	mapping  = 5 << 5
	simple   = 7 << 5

	no  = simple | 20
	yes = simple | 21
)

// ErrForm: the bytes are not the one encoding of a value of the type.
var ErrForm = errors.New("cbor: not in canonical form")

// Coder writes or reads one value. After a failure it does nothing more.
type Coder struct {
	b        []byte // written, or not read yet
	decoding bool
	err      error

	left uint64 // fields of the present map not read yet; writing: those written
}

// Encode returns the encoding of a structure.
func Encode(fields func(*Coder)) ([]byte, error) {
	var c Coder
	c.Struct(fields)
	return c.b, c.err
}

// Decode reads all of b into a structure, whose fields are zero.
func Decode(b []byte, fields func(*Coder)) error {
	c := Coder{b: b, decoding: true}
	c.Struct(fields)
	if len(c.b) > 0 {
		c.fail()
	}
	return c.err
}

func (c *Coder) fail() {
	if c.err == nil {
		c.err = ErrForm
	}
}

// head codes an item's type and number, in the shortest form.
func (c *Coder) head(major byte, n uint64) uint64 {
	if c.decoding {
		return c.readHead(major)
	}
	switch {
	case n < 24:
		c.b = append(c.b, major|byte(n))
	case n <= math.MaxUint8:
		c.b = append(c.b, major|24, byte(n))
	case n <= math.MaxUint16:
		c.b = binary.BigEndian.AppendUint16(append(c.b, major|25), uint16(n))
	case n <= math.MaxUint32:
		c.b = binary.BigEndian.AppendUint32(append(c.b, major|26), uint32(n))
	default:
		c.b = binary.BigEndian.AppendUint64(append(c.b, major|27), n)
	}
	return n
}

func (c *Coder) readHead(major byte) uint64 {
	first := c.take(1)
	if first == nil || first[0]&0xe0 != major {
		c.fail()
		return 0
	}
	short := first[0] & 0x1f
	if short < 24 {
		return uint64(short)
	}
	if short > 27 {
		c.fail()
		return 0
	}
	size := 1 << (short - 24)
	var n, least uint64
	for _, d := range c.take(size) {
		n = n<<8 | uint64(d)
	}
	if least = 24; size > 1 { // what the next shorter form could hold
		least = 1 << (4 * size)
	}
	if n < least {
		c.fail()
		return 0
	}
	return n
}

// take returns the next n bytes, nil after a failure.
func (c *Coder) take(n int) []byte {
	if c.err != nil || n < 0 || n > len(c.b) {
		c.fail()
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

// Struct codes a map whose fields the function names in the order of their keys.
func (c *Coder) Struct(fields func(*Coder)) {
	if c.err != nil {
		return
	}
	outer := c.left
	if c.decoding {
		c.left = c.head(mapping, 0)
		fields(c)
		if c.left != 0 { // unknown, or out of order
			c.fail()
		}
		c.left = outer
		return
	}
	before := c.b
	c.b, c.left = nil, 0
	fields(c)
	body := c.b
	c.b = before
	c.head(mapping, c.left)
	c.b, c.left = append(c.b, body...), outer
}

// Field codes the field of a key with value. One that is optional is left out
// when it is empty, and may not be there empty.
func (c *Coder) Field(key uint64, optional, empty bool, value func()) {
	if c.err != nil {
		return
	}
	if !c.decoding {
		if optional && empty {
			return
		}
		c.left++
		c.head(unsigned, key)
		value()
		return
	}
	if c.left == 0 || len(c.b) == 0 || c.b[0] != byte(key) || key >= 24 {
		if !optional {
			c.fail()
		}
		return
	}
	c.b = c.b[1:]
	c.left--
	value()
}

// filled fails for an optional field that was read and is empty.
func (c *Coder) filled(optional, empty bool) {
	if c.decoding && optional && empty {
		c.fail()
	}
}

// Uint codes a whole number of any size.
func Uint[T ~uint8 | ~uint32 | ~uint64](c *Coder, key uint64, v *T, optional bool) {
	c.Field(key, optional, *v == 0, func() {
		n := c.head(unsigned, uint64(*v))
		if uint64(T(n)) != n {
			c.fail()
		}
		if c.decoding {
			*v = T(n)
		}
		c.filled(optional, *v == 0)
	})
}

// Bool codes a truth value; false is left out.
func Bool(c *Coder, key uint64, v *bool) {
	c.Field(key, true, !*v, func() {
		if !c.decoding {
			c.b = append(c.b, yes)
			return
		}
		if b := c.take(1); b == nil || b[0] != yes {
			c.fail()
		}
		*v = c.err == nil
	})
}

// Text codes UTF-8.
func Text(c *Coder, key uint64, v *string, optional bool) {
	c.Field(key, optional, *v == "", func() {
		if !c.decoding && !utf8.ValidString(*v) {
			c.fail()
			return
		}
		b := c.string(text, []byte(*v))
		if c.decoding {
			*v = string(b)
		}
		if !utf8.Valid(b) {
			c.fail()
		}
		c.filled(optional, *v == "")
	})
}

// Bytes codes bytes; none are left out.
func Bytes(c *Coder, key uint64, v *[]byte) {
	c.Field(key, true, len(*v) == 0, func() {
		b := c.string(octets, *v)
		if c.decoding {
			*v = append([]byte(nil), b...)
		}
		c.filled(true, len(*v) == 0)
	})
}

// Fixed codes exactly as many bytes as v has.
func Fixed(c *Coder, key uint64, v []byte) {
	c.Field(key, false, false, func() { c.fixed(v) })
}

func (c *Coder) fixed(v []byte) {
	b := c.string(octets, v)
	if len(b) != len(v) {
		c.fail()
		return
	}
	copy(v, b)
}

// string codes a text or bytes. What was read is a part of the input.
func (c *Coder) string(major byte, v []byte) []byte {
	n := c.head(major, uint64(len(v)))
	if !c.decoding {
		c.b = append(c.b, v...)
		return v
	}
	if n > uint64(len(c.b)) {
		c.fail()
		return nil
	}
	return c.take(int(n))
}

// List codes an array; an empty one is left out.
func List[T any](c *Coder, key uint64, v *[]T, element func(*Coder, *T)) {
	c.Field(key, true, len(*v) == 0, func() {
		n := c.head(array, uint64(len(*v)))
		if n > maxElements || n == 0 {
			c.fail()
			return
		}
		for i := range int(n) {
			if c.decoding {
				*v = append(*v, *new(T))
			}
			if element(c, &(*v)[i]); c.err != nil {
				return
			}
		}
	})
}

// FixedElement codes an element of a List that is as many bytes as it has.
func FixedElement(c *Coder, v []byte) { c.fixed(v) }

// Optional codes a structure that may be absent.
func Optional[T any](c *Coder, key uint64, v **T, fields func(*T, *Coder)) {
	c.Field(key, true, *v == nil, func() {
		if c.decoding {
			*v = new(T)
		}
		c.Struct(func(c *Coder) { fields(*v, c) })
	})
}
