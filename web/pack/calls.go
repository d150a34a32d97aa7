package main

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Every call of a Go function in WebAssembly writes the address it returns to, which
// begins with the number of the function it stands in, and leaves by a branch whose
// number depends on where it stands. So no two calls look alike, and nothing
// compresses. shorten lets each function take its number from a local variable and
// return on the spot, which is the same and hardly larger.

const (
	codeSection = 10

	// firstFunction is the number of a program's first function (funcValueOffset of
	// cmd/link/internal/wasm); an address has it above the lowest 16 bits.
	firstFunction = 0x1000

	i64 = 0x7e // the type
)

// Instructions this program looks at or writes.
const (
	opBlock    = 0x02
	opLoop     = 0x03
	opIf       = 0x04
	opEnd      = 0x0b
	opBrIf     = 0x0d
	opReturn   = 0x0f
	opGet      = 0x20
	opSet      = 0x21
	opI64Store = 0x37
	opI32Const = 0x41
	opI64Const = 0x42
	opI64Or    = 0x84

	void = 0x40 // a block without a result
)

// manyCalls is from how many calls on a variable is worth its place.
const manyCalls = 2

// leave returns 1, as what an exit branch leads to does, if there is a 1 on the stack.
var leave = []byte{opIf, void, opI32Const, 1, opReturn, opEnd}

// shorten returns a module that does what b does.
func shorten(b []byte) ([]byte, error) {
	head, begin, end, err := section(b, codeSection)
	if err != nil {
		return nil, err
	}
	count, n := binary.Uvarint(b[begin:end])
	if n <= 0 {
		return nil, errLayout
	}
	code, rest := uleb(nil, count), b[begin+n:end]
	for f := range count {
		size, n := binary.Uvarint(rest)
		if n <= 0 || uint64(len(rest)-n) < size {
			return nil, errLayout
		}
		body, err := shortenFunction(rest[n:n+int(size)], int64(firstFunction+f)<<16)
		if err != nil {
			return nil, err
		}
		code = append(uleb(code, uint64(len(body))), body...)
		rest = rest[n+int(size):]
	}
	if len(rest) > 0 {
		return nil, errLayout
	}
	out := append(uleb(append([]byte{}, b[:head]...), uint64(len(code))), code...)
	return append(out, b[end:]...), nil
}

// shortenFunction rewrites one whose addresses begin with number.
func shortenFunction(b []byte, number int64) ([]byte, error) {
	groups, variables, at, err := locals(b)
	if err != nil {
		return nil, err
	}
	code, err := instructions(b[at:])
	if err != nil {
		return nil, err
	}
	calls := 0
	for i := range code {
		if returnsTo(code, i, number) {
			calls++
		}
	}
	out := append([]byte{}, b[:at]...)
	if calls >= manyCalls {
		_, n := binary.Uvarint(b)
		out = append(append(uleb(nil, groups+1), b[n:at]...), 1, i64)
		out = append(sleb(append(out, opI64Const), number), opSet)
		out = uleb(out, variables)
	}
	exits := hasExit(code)
	depth := 0
	for i, in := range code {
		depth += in.opens()
		switch {
		case calls >= manyCalls && returnsTo(code, i, number):
			out = append(uleb(append(out, opGet), variables), opI64Const)
			out = append(sleb(out, in.value-number), opI64Or)
		case exits && in.op == opBrIf && in.value == int64(depth-1):
			out = append(out, leave...)
		default:
			out = append(append(out, in.op), in.operands...)
		}
	}
	return out, nil
}

// returnsTo tells whether the instruction at i gives an address of the function it
// stands in, which the next writes.
func returnsTo(code []instruction, i int, number int64) bool {
	return code[i].op == opI64Const && code[i].value&^0xffff == number && i+1 < len(code) && code[i+1].op == opI64Store
}

// hasExit tells whether one block goes on to a function's end, where 1 is returned:
// leaving that block is returning 1.
func hasExit(code []instruction) bool {
	last := len(code) - 3
	if last < 0 || code[last].op != opEnd || code[last+1].op != opI32Const || code[last+1].value != 1 || code[last+2].op != opEnd {
		return false
	}
	first := slices.IndexFunc(code, func(in instruction) bool { return in.opens() != 0 })
	if code[first].op != opBlock || code[first].operands[0] != void {
		return false
	}
	depth := 0
	for _, in := range code[first:last] {
		if depth += in.opens(); depth == 0 {
			return false
		}
	}
	return depth == 1
}

// locals returns how many groups of variables a function declares, how many
// variables it has with its one argument, and where its code begins.
func locals(b []byte) (groups, variables uint64, at int, err error) {
	groups, at = binary.Uvarint(b)
	variables = 1
	if at <= 0 {
		return 0, 0, 0, errLayout
	}
	for range groups {
		count, n := binary.Uvarint(b[at:])
		if n <= 0 || len(b)-at <= n {
			return 0, 0, 0, errLayout
		}
		variables += count
		at += n + 1
	}
	return groups, variables, at, nil
}

// instruction is one with its operands, of which value is the last if they are
// numbers.
type instruction struct {
	op       byte
	operands []byte
	value    int64
}

// opens is 1 for what has an end, -1 for an end.
func (in instruction) opens() int {
	switch in.op {
	case opBlock, opLoop, opIf:
		return 1
	case opEnd:
		return -1
	}
	return 0
}

// instructions reads a function's code (WebAssembly 2.0, Section 5.4), as far as
// Go's compiler uses it.
func instructions(b []byte) (all []instruction, err error) {
	for len(b) > 0 {
		in := instruction{op: b[0]}
		n, err := in.read(b[1:])
		if err != nil {
			return nil, err
		}
		in.operands = b[1 : 1+n]
		all = append(all, in)
		b = b[1+n:]
	}
	return all, nil
}

// read sets value and returns the operands' length.
func (in *instruction) read(b []byte) (int, error) {
	switch op := in.op; {
	case op >= opBlock && op <= opIf || op == 0x3f || op == 0x40: // a type, a memory
		return in.bytes(b, 1)
	case op == 0x0c || op == opBrIf || op == 0x10 || op >= opGet && op <= 0x24: // branches, call, variables
		return in.numbers(b, 1)
	case op == 0x0e: // a table of branches
		count, n := binary.Uvarint(b)
		if n <= 0 || count > uint64(len(b)) {
			return 0, errLayout
		}
		return in.numbers(b, int(count)+2)
	case op == 0x11 || op >= 0x28 && op <= 0x3e: // call by table, loads and stores
		return in.numbers(b, 2)
	case op == opI32Const || op == opI64Const:
		return in.signed(b)
	case op == 0x43:
		return in.bytes(b, 4)
	case op == 0x44:
		return in.bytes(b, 8)
	case op == 0xfc: // conversions, and copying and filling memory
		return in.prefixed(b)
	case op <= 0x01 || op == 0x05 || op == opEnd || op == opReturn || op == 0x1a || op == 0x1b || op >= 0x45 && op <= 0xc4:
		return 0, nil
	}
	return 0, errLayout
}

func (in *instruction) bytes(b []byte, n int) (int, error) {
	if len(b) < n {
		return 0, errLayout
	}
	return n, nil
}

func (in *instruction) numbers(b []byte, count int) (at int, err error) {
	for range count {
		v, n := binary.Uvarint(b[at:])
		if n <= 0 {
			return 0, errLayout
		}
		in.value = int64(v)
		at += n
	}
	return at, nil
}

func (in *instruction) signed(b []byte) (int, error) {
	r := bytes.NewReader(b)
	for shift := 0; ; shift += 7 {
		c, err := r.ReadByte()
		if err != nil || shift > 63 {
			return 0, errLayout
		}
		in.value |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			if c&0x40 != 0 && shift < 57 {
				in.value |= -1 << (shift + 7)
			}
			return len(b) - r.Len(), nil
		}
	}
}

func (in *instruction) prefixed(b []byte) (int, error) {
	kind, n := binary.Uvarint(b)
	switch {
	case n <= 0:
	case kind < 8:
		return n, nil
	case kind == 10:
		return in.bytes(b, n+2)
	case kind == 11:
		return in.bytes(b, n+1)
	}
	return 0, errLayout
}
