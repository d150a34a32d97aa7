package rpc

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// What crosses is JSON, of the types of this package alone. They write and read it
// themselves: the library that does so for any type finds its fields at run time,
// and is a twelfth of what a browser fetches. A test compares the two.
//
// Reading is strict: names as they are written, each at most once, whole numbers
// that fit. Names that are not known are skipped, null is as if it was left out.
// A list is never written as null.

// record is a type that crosses. fields visits its fields; `go generate` writes
// the methods (fields.go). A name that ends in ? is left out if there is nothing.
type record interface{ fields(*codec) }

// to is a pointer to a T that crosses.
type to[T any] interface {
	*T
	record
}

// codec writes the fields that are visited, or reads them.
type codec struct {
	reading bool
	out     []byte   // written so far
	in      []member // what is read from
	bad     bool     // something was not what its field wants
}

// member is a field of an object: its name, and its value, which is well-formed.
type member struct {
	name  string
	value []byte
}

var errJSON = errors.New("rpc: malformed JSON")

// encode writes a record.
func encode(r record) []byte {
	c := new(codec)
	c.object(r)
	return c.out
}

// decode reads a record that is empty before.
func decode(b []byte, r record) error {
	if !whole(b) || !read(bytes.TrimLeft(b, spaces), r) {
		return errJSON
	}
	return nil
}

// read reads a well-formed value.
func read(value []byte, r record) bool {
	if isNull(value) {
		return true
	}
	in, ok := members(value)
	c := &codec{reading: true, in: in, bad: !ok}
	if ok {
		r.fields(c)
	}
	return !c.bad
}

func isNull(value []byte) bool { return value[0] == 'n' }

// object writes a record's fields.
func (c *codec) object(r record) {
	c.out = append(c.out, '{')
	r.fields(c)
	c.out = append(c.out, '}')
}

// comma separates what follows from what is before it in the same brackets.
func (c *codec) comma() {
	if last := c.out[len(c.out)-1]; last != '{' && last != '[' {
		c.out = append(c.out, ',')
	}
}

// field begins a field: its value to be read, nil if there is none, or, writing, its
// name written unless the value is nothing and may be left out.
func (c *codec) field(name string, nothing bool) (value []byte, write bool) {
	name, optional := cutMark(name)
	if c.reading {
		for _, m := range c.in {
			if m.name == name && !isNull(m.value) {
				return m.value, false
			}
		}
		return nil, false
	}
	if nothing && optional {
		return nil, false
	}
	c.comma()
	c.out = append(quoted(c.out, name), ':')
	return nil, true
}

func cutMark(name string) (string, bool) {
	if n := len(name) - 1; name[n] == '?' {
		return name[:n], true
	}
	return name, false
}

// check notes whether a field could be read.
func (c *codec) check(ok bool) { c.bad = c.bad || !ok }

// text visits a string.
func text[S ~string](c *codec, name string, v *S) {
	value, write := c.field(name, *v == "")
	if value != nil {
		s, ok := unquoted(value)
		c.check(ok)
		*v = S(s)
	}
	if write {
		c.out = quoted(c.out, string(*v))
	}
}

// number visits a whole number.
func number[N ~int | ~int64 | ~uint32](c *codec, name string, v *N) {
	value, write := c.field(name, *v == 0)
	if value != nil {
		n, err := strconv.ParseInt(string(value), 10, 64)
		*v = N(n)
		c.check(err == nil && int64(*v) == n)
	}
	if write {
		c.out = strconv.AppendInt(c.out, int64(*v), 10)
	}
}

// truth visits a bool.
func truth(c *codec, name string, v *bool) {
	value, write := c.field(name, !*v)
	if value != nil {
		*v = value[0] == 't'
		c.check(*v || value[0] == 'f')
	}
	if write {
		c.out = strconv.AppendBool(c.out, *v)
	}
}

// part visits a record within a record.
func part(c *codec, name string, r record) {
	value, write := c.field(name, false)
	if value != nil {
		c.check(read(value, r))
	}
	if write {
		c.object(r)
	}
}

// maybe visits a record that need not be there.
func maybe[T any, P to[T]](c *codec, name string, v *P) {
	value, write := c.field(name, *v == nil)
	if value != nil {
		*v = new(T)
		c.check(read(value, *v))
	}
	if write {
		c.object(*v)
	}
}

// raw visits JSON that is read and written elsewhere. Only well-formed JSON may
// be written.
func raw(c *codec, name string, v *[]byte) {
	value, write := c.field(name, len(*v) == 0)
	if value != nil {
		*v = value
	}
	if write {
		c.out = append(c.out, *v...)
	}
}

// items visits a list of n: begin makes it as long as what is read, one reads or
// writes an item.
func (c *codec) items(name string, n int, begin func(n int), one func(i int, value []byte) bool) {
	value, write := c.field(name, n == 0)
	if value != nil {
		all, ok := elements(value)
		c.check(ok)
		begin(len(all))
		for i, v := range all {
			c.check(one(i, v))
		}
	}
	if !write {
		return
	}
	c.out = append(c.out, '[')
	for i := range n {
		c.comma()
		one(i, nil)
	}
	c.out = append(c.out, ']')
}

// list visits records.
func list[T any, P to[T]](c *codec, name string, v *[]T) {
	c.items(name, len(*v), func(n int) { *v = make([]T, n) }, func(i int, value []byte) bool {
		if value != nil {
			return read(value, P(&(*v)[i]))
		}
		c.object(P(&(*v)[i]))
		return true
	})
}

// texts visits strings.
func texts(c *codec, name string, v *[]string) {
	c.items(name, len(*v), func(n int) { *v = make([]string, n) }, func(i int, value []byte) (ok bool) {
		if value == nil {
			c.out = quoted(c.out, (*v)[i])
			return true
		}
		(*v)[i], ok = unquoted(value)
		return ok || isNull(value)
	})
}

// numbers64 visits whole numbers.
func numbers64(c *codec, name string, v *[]int64) {
	c.items(name, len(*v), func(n int) { *v = make([]int64, n) }, func(i int, value []byte) bool {
		return c.integer(value, &(*v)[i])
	})
}

// pairs visits pairs of whole numbers.
func pairs(c *codec, name string, v *[][2]int) {
	c.items(name, len(*v), func(n int) { *v = make([][2]int, n) }, func(i int, value []byte) bool {
		return c.pair(value, &(*v)[i])
	})
}

func (c *codec) pair(value []byte, p *[2]int) bool {
	a, b := int64(p[0]), int64(p[1])
	if value == nil {
		c.out = append(c.out, '[')
		c.integer(nil, &a)
		c.out = append(c.out, ',')
		c.integer(nil, &b)
		c.out = append(c.out, ']')
		return true
	}
	both, ok := elements(value)
	ok = ok && len(both) == 2 && c.integer(both[0], &a) && c.integer(both[1], &b)
	p[0], p[1] = int(a), int(b)
	return ok && int64(p[0]) == a && int64(p[1]) == b
}

// integer reads a value, or writes one if it is nil.
func (c *codec) integer(value []byte, n *int64) bool {
	if value == nil {
		c.out = strconv.AppendInt(c.out, *n, 10)
		return true
	}
	var err error
	*n, err = strconv.ParseInt(string(value), 10, 64)
	return err == nil
}

// entries visits strings by name.
func entries(c *codec, name string, v *map[string]string) {
	value, write := c.field(name, len(*v) == 0)
	if value != nil {
		in, ok := members(value)
		c.check(ok)
		*v = make(map[string]string, len(in))
		for _, m := range in {
			s, ok := unquoted(m.value)
			c.check(ok)
			(*v)[m.name] = s
		}
	}
	if !write {
		return
	}
	c.out = append(c.out, '{')
	for _, k := range slices.Sorted(maps.Keys(*v)) {
		c.comma()
		c.out = append(quoted(c.out, k), ':')
		c.out = quoted(c.out, (*v)[k])
	}
	c.out = append(c.out, '}')
}

const hexDigits = "0123456789abcdef"

// quoted appends a string; what is not UTF-8 becomes U+FFFD.
func quoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', s[i])
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
		i += n
	}
	return append(b, '"')
}
