package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
)

// A Go program carries, for each of its instructions, which line of which file
// it came from, and the name of each function: a third of its data, and used only
// to print where a program that fails did so. strip takes that out of the core.
// What the runtime needs to run and to collect garbage stays, and of the names
// those by which it knows functions; it is put together in the functions' order, so
// that what belongs together has numbers that are alike. The addresses a failing
// core prints lead to the lines with a core that was built from the same source and
// not stripped. An offset of 0 says to the runtime that there is no table.

// Sections of WebAssembly, and the layout of Go's function table (package
// runtime, pcHeader and _func; Go 1.26).
const (
	dataSection = 11
	headerWords = 8 // of eight bytes, after eight bytes of magic and sizes
)

// needlessTables are those of a function's tables (pcdata) that only a printed
// stack needs, or a signal that stops a goroutine anywhere, which WebAssembly has
// not: UnsafePoint, InlTreeIndex, ArgLiveIndex of package internal/abi.
var needlessTables = []int{0, 2, 3}

// The runtime knows its own functions by how their names begin, and two of
// package reflect, whose arguments it must find, by their whole names.
const runtimePrefix = "runtime."

var stubs = []string{"reflect.makeFuncStub", "reflect.methodValueCall"}

var errLayout = errors.New("the core is not laid out as by the Go toolchain this program knows")

// strip returns a module that runs as b does.
func strip(b []byte) ([]byte, error) {
	head, begin, end, err := section(b, dataSection)
	if err != nil {
		return nil, err
	}
	m, err := readMemory(b[begin:end])
	if err != nil {
		return nil, err
	}
	if err := m.stripTable(); err != nil {
		return nil, err
	}
	data := m.encode()
	out := append([]byte{}, b[:head]...)
	out = append(uleb(out, uint64(len(data))), data...)
	return append(out, b[end:]...), nil
}

// section returns where a section's length stands, and where its content begins
// and ends.
func section(b []byte, id byte) (head, begin, end int, err error) {
	for i := 8; i < len(b); {
		this := b[i]
		size, n := binary.Uvarint(b[i+1:])
		if n <= 0 || uint64(len(b)-i-1-n) < size {
			return 0, 0, 0, errLayout
		}
		begin = i + 1 + n
		end = begin + int(size)
		if this == id {
			return i + 1, begin, end, nil
		}
		i = end
	}
	return 0, 0, 0, errLayout
}

// memory is what the module's memory holds at its start.
type memory []byte

const maxMemory = 64 << 20

// readMemory reads the segments of a data section: active ones, at constant
// places.
func readMemory(b []byte) (memory, error) {
	var m memory
	r := bytes.NewReader(b)
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	for range n {
		kind, err := binary.ReadUvarint(r)
		if err != nil || kind != 0 {
			return nil, errLayout
		}
		at, err := constant(r)
		if err != nil {
			return nil, err
		}
		size, err := binary.ReadUvarint(r)
		if err != nil || at < 0 || uint64(at)+size > maxMemory || size > uint64(r.Len()) {
			return nil, errLayout
		}
		if need := int(at) + int(size); need > len(m) {
			m = append(m, make([]byte, need-len(m))...)
		}
		if _, err := r.Read(m[at : at+int64(size)]); err != nil && size > 0 {
			return nil, err
		}
	}
	return m, nil
}

// constant reads `i32.const N end`.
func constant(r *bytes.Reader) (int64, error) {
	if op, err := r.ReadByte(); err != nil || op != 0x41 {
		return 0, errLayout
	}
	var v int64
	for shift := 0; ; shift += 7 {
		c, err := r.ReadByte()
		if err != nil || shift > 28 {
			return 0, errLayout
		}
		v |= int64(c&0x7f) << shift
		if c&0x80 == 0 {
			if c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			break
		}
	}
	if op, err := r.ReadByte(); err != nil || op != 0x0b {
		return 0, errLayout
	}
	return v, nil
}

// gap is how many zeros in a row are worth a new segment; browsers take no more
// than 100,000 of these.
const gap = 64

// encode writes the memory as segments, without its zeros.
func (m memory) encode() []byte {
	var body []byte
	n := uint64(0)
	for i := 0; i < len(m); {
		if m[i] == 0 {
			i++
			continue
		}
		end, zeros := i, 0
		for j := i; j < len(m) && zeros < gap; j++ {
			if zeros++; m[j] != 0 {
				zeros, end = 0, j+1
			}
		}
		body = append(body, 0, 0x41)
		body = append(sleb(body, int64(i)), 0x0b)
		body = append(uleb(body, uint64(end-i)), m[i:end]...)
		n++
		i = end
	}
	return append(uleb(nil, n), body...)
}

func uleb(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func sleb(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func (m memory) u32(at int) uint32        { return binary.LittleEndian.Uint32(m[at:]) }
func (m memory) put32(at int, v uint32)   { binary.LittleEndian.PutUint32(m[at:], v) }
func (m memory) word(at int) int          { return int(binary.LittleEndian.Uint64(m[at:])) }
func (m memory) cstring(at int) []byte    { b, _, _ := bytes.Cut(m[at:], []byte{0}); return b }
func (m memory) within(begin, n int) bool { return begin >= 0 && n >= 0 && begin+n <= len(m) }

// table finds the one function table.
func (m memory) table() (at int, err error) {
	want := []byte{0xF1, 0xFF, 0xFF, 0xFF, 0, 0, 1, 8}
	at = -1
	for i := 0; ; {
		j := bytes.Index(m[i:], want)
		if j < 0 {
			break
		}
		if i += j; i%8 == 0 && m.plausible(i) {
			if at >= 0 {
				return 0, errLayout
			}
			at = i
		}
		i++
	}
	if at < 0 {
		return 0, errLayout
	}
	return at, nil
}

// plausible tells whether the offsets of a header ascend and lie in the memory.
func (m memory) plausible(at int) bool {
	if !m.within(at, 8+headerWords*8) {
		return false
	}
	last := 8 + headerWords*8
	for i := 3; i < headerWords; i++ { // name, unit, file, pc and function tables
		off := m.word(at + 8 + i*8)
		if off < last || !m.within(at, off) {
			return false
		}
		last = off
	}
	return m.word(at+8) > 0
}

// stripTable takes names and lines out of the function table.
func (m memory) stripTable() error {
	at, err := m.table()
	if err != nil {
		return err
	}
	part := func(i int) int { return at + m.word(at+8+i*8) }
	funcs, names, units, pcs, lines := m.word(at+8), part(3), part(4), part(6), part(7)
	tables := &tables{old: m[pcs:lines], out: []byte{0}, moved: map[uint32]uint32{}}
	keepName := make([]bool, units-names)
	own := uint32(0) // the one name of the runtime's functions
	facts, err := m.readFacts(at)
	if err != nil {
		return err
	}
	for i := range funcs {
		f := lines + int(m.u32(lines+i*8+4))
		if !m.within(f, 44) {
			return errLayout
		}
		name := int(int32(m.u32(f + 4)))
		if name < 0 || name >= len(keepName) {
			return errLayout
		}
		switch s := m.cstring(names + name); {
		case slices.Contains(stubs, string(s)):
			mark(keepName[name : name+len(s)])
		case !bytes.HasPrefix(s, []byte(runtimePrefix)):
			m.put32(f+4, 0)
		case own == 0:
			own = uint32(name)
			mark(keepName[name : name+len(runtimePrefix)])
		default:
			m.put32(f+4, own)
		}
		for _, field := range []int{20, 24, 32, 36} { // files, lines, unit, first line
			m.put32(f+field, 0)
		}
		if err := facts.strip(f); err != nil {
			return err
		}
		if err := m.stripTables(f, tables); err != nil {
			return err
		}
	}
	clear(m[units:pcs]) // names of files
	m.zeroUnless(names, keepName)
	if err := facts.write(); err != nil {
		return err
	}
	return tables.write()
}

// tables is where functions have their tables. Those that are needed are written
// anew, in the order of the functions, equal ones once.
type tables struct {
	old, out []byte
	moved    map[uint32]uint32 // from where one was to where it is in out
}

// stripTables takes out the tables that a function does not need to run, and moves
// the others.
func (m memory) stripTables(f int, t *tables) error {
	count := int(m.u32(f + 28))
	if !m.within(f, 44+4*count) {
		return errLayout
	}
	for _, i := range needlessTables {
		if i < count {
			m.put32(f+44+4*i, 0)
		}
	}
	fields := []int{f + 16} // sizes of the stack
	for i := range count {
		fields = append(fields, f+44+4*i)
	}
	for _, at := range fields {
		to, err := t.move(m.u32(at))
		if err != nil {
			return err
		}
		m.put32(at, to)
	}
	return nil
}

// move returns where the table at off is now; 0 is none.
func (t *tables) move(off uint32) (uint32, error) {
	to, ok := t.moved[off]
	if ok || off == 0 {
		return to, nil
	}
	if int(off) >= len(t.old) {
		return 0, errLayout
	}
	n, err := tableLength(t.old[off:])
	if err != nil {
		return 0, err
	}
	to = uint32(len(t.out))
	t.moved[off] = to
	t.out = append(t.out, t.old[off:int(off)+n]...)
	return to, nil
}

// write puts the tables back, and zeros behind them.
func (t *tables) write() error {
	if len(t.out) > len(t.old) {
		return errLayout
	}
	clear(t.old[copy(t.old, t.out):])
	return nil
}

// tableLength is the length of a table of pairs of varints: a value's change,
// which is 0 at the end but not in the first pair, and a distance.
func tableLength(b []byte) (int, error) {
	for i, first := 0, true; ; first = false {
		v, n := binary.Uvarint(b[i:])
		if n <= 0 {
			return 0, errLayout
		}
		i += n
		if v == 0 && !first {
			return i, nil
		}
		if _, n = binary.Uvarint(b[i:]); n <= 0 {
			return 0, errLayout
		}
		i += n
	}
}

func mark(b []bool) {
	for i := range b {
		b[i] = true
	}
}

func (m memory) zeroUnless(at int, keep []bool) {
	for i, k := range keep {
		if !k {
			m[at+i] = 0
		}
	}
}
