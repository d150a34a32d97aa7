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

// facts is the part of the memory that holds them. Those that are needed are
// written anew, in the order of the functions and without what lay between them:
// equal ones are there once.
type facts struct {
	m          memory
	begin, end int
	out        []byte
	moved      map[uint32]uint32 // from where one was to where it is in out
}

// Words of runtime.moduledata, which begins with the function table's address,
// then its names'; facts lie between two of them.
const (
	namesWord    = 1
	factsWord    = 40
	factsEndWord = 41
	moduleSize   = 42 * 8
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
		begin, end := m.word(at+8*factsWord), m.word(at+8*factsEndWord)
		if found != nil || begin <= table || end < begin || end > len(m) {
			return nil, errLayout
		}
		found = &facts{m: m, begin: begin, end: end, moved: map[uint32]uint32{}}
	}
	if found == nil {
		return nil, errLayout
	}
	return found, nil
}

// strip takes from the function at f what only a printed stack needs, and moves
// the rest.
func (x *facts) strip(f int) error {
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
		if at+1 > x.end || !m.within(at, 8) {
			return errLayout
		}
		length := 0
		switch kind {
		case argsPointers, localsPointers: // count, bits each
			length = 8 + int(m.u32(at))*((int(m.u32(at+4))+7)/8)
		case stackObjects:
			length = 8 + 16*m.word(at)
		case openDefers: // two varints
			length = min(2*binary.MaxVarintLen64, x.end-at)
		case inlineTree, argInfo, argLiveInfo, wrapInfo:
			m.put32(field, noFact)
			continue
		default:
			return errLayout
		}
		if !m.within(at, length) || at+length > x.end {
			return errLayout
		}
		m.put32(field, x.move(off, length))
	}
	return nil
}

// move returns where the fact at off is now.
func (x *facts) move(off uint32, length int) uint32 {
	to, ok := x.moved[off]
	if !ok {
		x.out = append(x.out, make([]byte, -len(x.out)&7)...) // numbers of eight bytes
		to = uint32(len(x.out))
		x.moved[off] = to
		x.out = append(x.out, x.m[x.begin+int(off):x.begin+int(off)+length]...)
	}
	return to
}

// write puts the facts back, and zeros behind them.
func (x *facts) write() error {
	place := x.m[x.begin:x.end]
	if len(x.out) > len(place) {
		return errLayout
	}
	clear(place[copy(place, x.out):])
	return nil
}
