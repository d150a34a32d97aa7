package rpc

import (
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const spaces = " \t\r\n"

// maxDepth is how deeply values may lie in each other; ours do to six.
const maxDepth = 64

// scanner goes over JSON (RFC 8259).
type scanner struct {
	b  []byte
	at int
}

// whole tells whether b is one well-formed value.
func whole(b []byte) bool {
	s := scanner{b: b}
	s.space()
	if !s.value(maxDepth) {
		return false
	}
	s.space()
	return s.at == len(b)
}

// members splits a well-formed object. Each name may stand in it once.
func members(b []byte) (all []member, ok bool) {
	s := scanner{b: b}
	if !s.is('{') {
		return nil, false
	}
	for s.space(); s.b[s.at] != '}'; s.space() {
		s.is(',')
		s.space()
		name, _ := unquoted(s.take())
		s.space()
		s.is(':')
		s.space()
		if slices.ContainsFunc(all, func(m member) bool { return m.name == name }) {
			return nil, false
		}
		all = append(all, member{name, s.take()})
	}
	return all, true
}

// elements splits a well-formed array.
func elements(b []byte) (all [][]byte, ok bool) {
	s := scanner{b: b}
	if !s.is('[') {
		return nil, false
	}
	for s.space(); s.b[s.at] != ']'; s.space() {
		s.is(',')
		s.space()
		all = append(all, s.take())
	}
	return all, true
}

// take goes over a value that is known to be well-formed.
func (s *scanner) take() []byte {
	from := s.at
	s.value(maxDepth)
	return s.b[from:s.at:s.at]
}

func (s *scanner) space() {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\t' || s.b[s.at] == '\r' || s.b[s.at] == '\n') {
		s.at++
	}
}

// is goes over c if that comes next.
func (s *scanner) is(c byte) bool {
	if s.at == len(s.b) || s.b[s.at] != c {
		return false
	}
	s.at++
	return true
}

// value goes over any value, in which at most depth others lie in each other.
func (s *scanner) value(depth int) bool {
	if s.at == len(s.b) || depth == 0 {
		return false
	}
	switch c := s.b[s.at]; c {
	case '{':
		return s.several('}', func() bool { return s.text() && s.colon() && s.value(depth-1) })
	case '[':
		return s.several(']', func() bool { return s.value(depth - 1) })
	case '"':
		return s.text()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

// several goes over a bracket, what it holds, and the bracket that ends it.
func (s *scanner) several(end byte, one func() bool) bool {
	s.at++
	s.space()
	if s.is(end) {
		return true
	}
	for {
		if !one() {
			return false
		}
		s.space()
		if s.is(end) {
			return true
		}
		if !s.is(',') {
			return false
		}
		s.space()
	}
}

func (s *scanner) colon() bool {
	s.space()
	ok := s.is(':')
	s.space()
	return ok
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

// number goes over a number, whole or not.
func (s *scanner) number() bool {
	s.is('-')
	if !s.is('0') && s.digits() == 0 {
		return false
	}
	if s.is('.') && s.digits() == 0 {
		return false
	}
	if !s.is('e') && !s.is('E') {
		return true
	}
	if !s.is('+') {
		s.is('-')
	}
	return s.digits() > 0
}

func (s *scanner) digits() (n int) {
	for ; s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9'; n++ {
		s.at++
	}
	return n
}

// text goes over a string.
func (s *scanner) text() bool {
	if !s.is('"') {
		return false
	}
	for s.at < len(s.b) {
		c := s.b[s.at]
		s.at++
		switch {
		case c == '"':
			return true
		case c < ' ' || c == '\\' && !s.escape():
			return false
		}
	}
	return false
}

// escape goes over what follows a backslash.
func (s *scanner) escape() bool {
	if s.at == len(s.b) {
		return false
	}
	c := s.b[s.at]
	s.at++
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		_, ok := hex4(s.b[s.at:])
		s.at += 4
		return ok
	}
	return false
}

// hex4 reads the four digits of an escape.
func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 32)
	return rune(n), err == nil
}

// unquoted reads a well-formed value that has to be a string; what is no text, also
// halves of pairs, becomes U+FFFD.
func unquoted(b []byte) (string, bool) {
	if b[0] != '"' {
		return "", false
	}
	b = b[1 : len(b)-1]
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == '\\' {
			r, n = unescaped(b)
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return string(out), true
}

// unescaped reads a well-formed escape, or the two of a pair.
func unescaped(b []byte) (r rune, n int) {
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return rune(b[1]), 2
	}
	r, _ = hex4(b[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		second, _ := hex4(b[8:])
		if pair := utf16.DecodeRune(r, second); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}
