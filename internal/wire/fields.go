package wire

import (
	"bytes"
	"encoding/binary"
)

// Integer is any type that travels as a fixed-size big-endian integer.
type Integer interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Uint8 codes one byte.
func Uint8[T Integer](c *Codec, v *T) { integer(c, v, 1) }

// Uint16 codes two bytes, big-endian.
func Uint16[T Integer](c *Codec, v *T) { integer(c, v, 2) }

// Uint32 codes four bytes, big-endian.
func Uint32[T Integer](c *Codec, v *T) { integer(c, v, 4) }

// Uint64 codes eight bytes, big-endian.
func Uint64[T Integer](c *Codec, v *T) { integer(c, v, 8) }

func integer[T Integer](c *Codec, v *T, size int) {
	if c.err != nil {
		return
	}
	if !c.decoding {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], uint64(*v))
		c.buf = append(c.buf, b[8-size:]...)
		return
	}
	var x uint64
	for _, d := range c.take(size) {
		x = x<<8 | uint64(d)
	}
	*v = T(x)
}

// Bool codes a byte that must be 0 or 1.
func Bool(c *Codec, v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	Uint8(c, &b)
	if b > 1 {
		c.failf("boolean is %d", b)
	}
	*v = b == 1
}

// Fixed codes exactly len(b) bytes in place, such as a [32]byte by b[:].
func Fixed(c *Codec, b []byte) {
	if c.err != nil {
		return
	}
	if !c.decoding {
		c.grow(len(b))
		c.buf = append(c.buf, b...)
		return
	}
	copy(b, c.take(len(b)))
}

// Opaque codes opaque<V>. Decoding sets a copy; an empty vector becomes an
// empty slice that is not nil.
func Opaque[T ~[]byte](c *Codec, v *T) { OpaqueMax(c, v, MaxVector) }

// OpaqueMax is Opaque with at most max bytes.
func OpaqueMax[T ~[]byte](c *Codec, v *T, max int) {
	if c.err != nil {
		return
	}
	if !c.decoding {
		if len(*v) > max {
			c.failf("vector of %d bytes, at most %d allowed", len(*v), max)
			return
		}
		c.grow(longestHeader + len(*v))
		c.buf = AppendLength(c.buf, len(*v))
		c.buf = append(c.buf, *v...)
		return
	}
	*v = T(bytes.Clone(c.vector(max)))
	if *v == nil && c.err == nil {
		*v = T{}
	}
}

// String codes a string as opaque<V> of at most max bytes.
func String[T ~string](c *Codec, v *T, max int) {
	b := []byte(*v)
	OpaqueMax(c, &b, max)
	if c.decoding {
		*v = T(b)
	}
}

// Vector codes T items<V>, each by item. Decoding an empty vector gives nil.
func Vector[T any](c *Codec, v *[]T, item func(*T, *Codec)) {
	if c.err != nil {
		return
	}
	if !c.decoding {
		c.nested(func() {
			for i := range *v {
				item(&(*v)[i], c)
			}
		})
		return
	}
	body := Codec{decoding: true, buf: c.vector(MaxVector)}
	*v = nil
	for c.err == nil && body.err == nil && len(body.buf) > 0 {
		before := len(body.buf)
		var t T
		item(&t, &body)
		*v = append(*v, t)
		if body.err == nil && len(body.buf) == before {
			body.Fail("vector item without bytes")
		}
	}
	c.adopt(&body)
}

// Struct codes fields inside a vector<V> of their own.
func Struct(c *Codec, fields func(*Codec)) {
	if c.err != nil {
		return
	}
	if !c.decoding {
		c.nested(func() { fields(c) })
		return
	}
	body := Codec{decoding: true, buf: c.vector(MaxVector)}
	if c.err != nil {
		return
	}
	fields(&body)
	if body.err == nil && len(body.buf) > 0 {
		body.failf("%d bytes after the end of a vector", len(body.buf))
	}
	c.adopt(&body)
}

// Optional codes optional<T> (RFC 9420, Section 2.1.1); nil is absent.
func Optional[T any](c *Codec, v **T, item func(*T, *Codec)) {
	if c.err != nil {
		return
	}
	present := *v != nil
	Bool(c, &present)
	if c.err != nil {
		return
	}
	if !present {
		*v = nil
		return
	}
	if c.decoding {
		*v = new(T)
	}
	item(*v, c)
}

// longestHeader is room for the header of any vector.
const longestHeader = 4

// nested writes what body writes, with its length before it. The longest header
// is kept free and what it does not need closed up afterwards: no body above
// 16 KiB moves.
func (c *Codec) nested(body func()) {
	start := len(c.buf)
	c.buf = append(c.buf, make([]byte, longestHeader)...)
	body()
	n := len(c.buf) - start - longestHeader
	if n > MaxVector {
		c.failf("vector of %d bytes", n)
	}
	if c.err != nil {
		return
	}
	header := len(AppendLength(c.buf[start:start:start+longestHeader], n))
	if header < longestHeader {
		copy(c.buf[start+header:], c.buf[start+longestHeader:])
		c.buf = c.buf[:len(c.buf)-longestHeader+header]
	}
}

func (c *Codec) adopt(body *Codec) {
	if c.err == nil {
		c.err = body.err
	}
}

// vector reads a header and returns the body, not copied.
func (c *Codec) vector(max int) []byte {
	n := c.length()
	if c.err == nil && n > max {
		c.failf("vector of %d bytes, at most %d allowed", n, max)
	}
	return c.take(n)
}

// length reads a vector header: two bits of size, then 6, 14 or 30 bits, in
// the shortest form (RFC 9420, Section 2.1.2).
func (c *Codec) length() int {
	first := c.take(1)
	if first == nil {
		return 0
	}
	prefix := first[0] >> 6
	if prefix == 3 {
		c.Fail("vector length prefix 3")
		return 0
	}
	n := int(first[0] & 0x3f)
	for _, b := range c.take(1<<prefix - 1) {
		n = n<<8 | int(b)
	}
	if c.err == nil && prefix > 0 && n < 1<<(8*(1<<(prefix-1))-2) {
		c.failf("vector length %d is not in its shortest form", n)
	}
	return n
}

// AppendLength appends the header of a vector of n bytes, 0 ≤ n ≤ MaxVector.
func AppendLength(b []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return binary.BigEndian.AppendUint16(b, uint16(n)|1<<14)
	default:
		return binary.BigEndian.AppendUint32(b, uint32(n)|2<<30)
	}
}
