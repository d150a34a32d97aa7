// Package wire is the TLS presentation language (RFC 8446, Section 3) with the
// variable-size vectors of MLS (RFC 9420, Section 2.1.2), as one two-way codec:
// a type describes its fields once, and the same method encodes and decodes it.
//
//	func (h *HPKECiphertext) wire(c *wire.Codec) {
//		wire.Opaque(c, &h.KEMOutput)
//		wire.Opaque(c, &h.Ciphertext)
//	}
//
//	b, err := wire.Encode(h.wire)
//	err := wire.Decode(b, h.wire)
//
// Decoding never allocates more than the input could fill, refuses trailing
// bytes and lengths that are not minimally encoded, and so accepts exactly one
// encoding of each value. The package decides syntax only.
package wire

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// ErrSyntax is in the chain of every decoding error.
var ErrSyntax = errors.New("malformed encoding")

// MaxVector is the largest length a vector header can carry, in bytes
// (RFC 9420, Section 2.1.2: 30 bits).
const MaxVector = 1<<30 - 1

// Codec is one pass over a value, encoding or decoding. It is not safe for
// concurrent use. After the first failure it does nothing.
type Codec struct {
	decoding bool
	buf      []byte // encoding: output so far; decoding: input left
	err      error
}

// Encode returns the encoding that fields describes.
func Encode(fields func(*Codec)) ([]byte, error) {
	buf := scratch.Get().(*[]byte)
	c := Codec{buf: (*buf)[:0]}
	fields(&c)
	var out []byte
	if c.err == nil {
		out = append(make([]byte, 0, len(c.buf)), c.buf...)
	}
	clear(c.buf) // it may have held secrets
	*buf = c.buf
	scratch.Put(buf)
	return out, c.err
}

// scratch holds buffers to encode into, so that a value is written once into
// memory of its own size. All are zero.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// MustEncode is Encode for values that are well-formed by construction.
func MustEncode(fields func(*Codec)) []byte {
	b, err := Encode(fields)
	if err != nil {
		panic("wire: " + err.Error())
	}
	return b
}

// Decode reads all of b as fields describes it. Slices set by fields are
// copies of b. On error the fields' values are not to be used.
func Decode(b []byte, fields func(*Codec)) error {
	c := Codec{decoding: true, buf: b}
	fields(&c)
	if c.err == nil && len(c.buf) > 0 {
		c.failf("%d bytes after the end", len(c.buf))
	}
	return c.err
}

// DecodePrefix is Decode for input that may go on; it returns what is left.
func DecodePrefix(b []byte, fields func(*Codec)) (rest []byte, err error) {
	c := Codec{decoding: true, buf: b}
	fields(&c)
	return c.buf, c.err
}

// Decoding tells the direction, for the few fields that differ in it.
func (c *Codec) Decoding() bool { return c.decoding }

// Err returns the first failure, nil if none.
func (c *Codec) Err() error { return c.err }

// Len returns the bytes left to decode; when encoding, the bytes written.
func (c *Codec) Len() int { return len(c.buf) }

// Fail stops the pass with a reason, such as an unknown tag.
func (c *Codec) Fail(reason string) { c.failf("%s", reason) }

func (c *Codec) failf(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrSyntax}, args...)...)
	}
}

// grow makes room for n more bytes, at least doubling a buffer that is full:
// append alone grows long ones by a quarter and so copies them five times.
func (c *Codec) grow(n int) {
	if cap(c.buf)-len(c.buf) < n {
		c.buf = slices.Grow(c.buf, max(n, len(c.buf)))
	}
}

// take returns the next n bytes of the input, not copied, or nil on failure.
func (c *Codec) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if n > len(c.buf) {
		c.failf("%d bytes wanted, %d left", n, len(c.buf))
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}
