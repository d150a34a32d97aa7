package main

import "encoding/binary"

// Facts about functions (funcdata), which lie outside the function table: where
// a stack holds pointers, which the collector needs, and what a printed stack
// says of arguments and of what was inlined. Kinds as in package internal/abi.
const (
	argsPointers = iota
	localsPointers
	stackObjects
	inlineTree
	openDefers
	argInfo
	argLiveInfo
	wrapInfo
)

const noFact = ^uint32(0)

// facts is the part of the memory that holds them, and which of its bytes are
// for somebody: equal facts are there once.
type facts struct {
	m           memory
	begin       int
	kept, taken []bool
}

// Words of runtime.moduledata, which begins with the function table's address,
// then its names'.
const (
	namesWord  = 1
	factsWord  = 40
	moduleSize = 42 * 8
)

// readFacts finds the facts by the one description of the module whose function
// table lies at a place.
func (m memory) readFacts(table int) (*facts, error) {
	names := table + m.word(table+8+3*8)
	var found *facts
	for at := 0; m.within(at, moduleSize); at += 8 {
		if m.word(at) != table || m.word(at+8*namesWord) != names {
			continue
		}
		begin := m.word(at + 8*factsWord)
		if found != nil || begin <= 0 || begin >= len(m) {
			return nil, errLayout
		}
		found = &facts{m: m, begin: begin}
	}
	if found == nil {
		return nil, errLayout
	}
	found.kept, found.taken = make([]bool, len(m)-found.begin), make([]bool, len(m)-found.begin)
	return found, nil
}

// strip takes from the function at f what only a printed stack needs. pcs and
// lines are where the tables begin and end.
func (x *facts) strip(f, pcs, lines int) error {
	m := x.m
	tables, n := int(m.u32(f+28)), int(m[f+43])
	if !m.within(f, 44+4*(tables+n)) {
		return errLayout
	}
	for kind := range n {
		field := f + 44 + 4*(tables+kind)
		off := m.u32(field)
		if off == noFact {
			continue
		}
		at := x.begin + int(off)
		if !m.within(at, 16) {
			return errLayout
		}
		length, needed, err := 0, true, error(nil)
		switch kind {
		case argsPointers, localsPointers: // count, bits each
			length = 8 + int(m.u32(at))*((int(m.u32(at+4))+7)/8)
		case stackObjects:
			length = 8 + 16*m.word(at)
		case openDefers: // two varints
			length = 2 * binary.MaxVarintLen64
		case inlineTree:
			needed = false
			length, err = m.inlined(f, tables, pcs, lines)
		case argInfo:
			needed = false
			for length = 1; at+length < len(m) && m[at+length-1] != 0xff; length++ {
			}
		case argLiveInfo, wrapInfo: // some bytes that are hardly worth it
			needed = false
		default:
			return errLayout
		}
		if err != nil || !m.within(at, length) {
			return errLayout
		}
		if needed {
			mark(x.kept[off : int(off)+length])
			continue
		}
		mark(x.taken[off : int(off)+length])
		m.put32(field, noFact)
	}
	return nil
}

// inlined is the length of a function's tree of what was inlined: as many
// entries as the table of it has.
func (m memory) inlined(f, tables, pcs, lines int) (int, error) {
	if tables <= inlineTable {
		return 0, nil
	}
	off := int(m.u32(f + 44 + 4*inlineTable))
	if off == 0 {
		return 0, nil
	}
	if pcs+off >= lines {
		return 0, errLayout
	}
	most, value := -1, -1
	for b, first := m[pcs+off:lines], true; ; first = false {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, errLayout
		}
		if v == 0 && !first {
			return 16 * (most + 1), nil
		}
		value += int(v>>1) ^ -int(v&1) // zigzag
		most = max(most, value)
		b = b[n:]
		if _, n = binary.Uvarint(b); n <= 0 {
			return 0, errLayout
		}
		b = b[n:]
	}
}

// clear takes out what no function needs any more.
func (x *facts) clear() {
	for i, taken := range x.taken {
		if taken && !x.kept[i] {
			x.m[x.begin+i] = 0
		}
	}
}
