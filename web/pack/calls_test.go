package main

import (
	"bytes"
	"testing"
)

// number is of the third function of a program.
const number = (firstFunction + 2) << 16

// function is one with two calls, as Go's compiler writes them, within the one
// block that is left by returning 1. last is how it ends.
func function(last ...byte) []byte {
	call := func(block byte, exit byte) []byte {
		address := sleb([]byte{opI64Const}, number|int64(block))
		return append(append([]byte{opGet, 1}, address...), opI64Store, 3, 0, opI32Const, 0, 0x10, 7, opBrIf, exit)
	}
	b := []byte{1, 1, 0x7f, opBlock, void, opBlock, void}
	b = append(append(b, call(1, 1)...), opEnd)
	return append(append(append(b, call(2, 0)...), opEnd), last...)
}

func TestCallsLookAlike(t *testing.T) {
	got, err := shortenFunction(function(opI32Const, 1, opEnd), number)
	if err != nil {
		t.Fatal(err)
	}
	call := func(block byte) []byte {
		b := []byte{opGet, 1, opGet, 2, opI64Const, block, opI64Or, opI64Store, 3, 0, opI32Const, 0, 0x10, 7}
		return append(b, leave...)
	}
	want := append(sleb([]byte{2, 1, 0x7f, 1, i64, opI64Const}, number), opSet, 2, opBlock, void, opBlock, void)
	want = append(append(want, call(1)...), opEnd)
	want = append(append(append(want, call(2)...), opEnd), opI32Const, 1, opEnd)
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestExitsThatReturnSomethingElseStay(t *testing.T) {
	for name, last := range map[string][]byte{
		"zero":       {opI32Const, 0, opEnd},
		"more":       {0x01, opI32Const, 1, opEnd},
		"two blocks": {opBlock, void, opEnd, opI32Const, 1, opEnd},
	} {
		got, err := shortenFunction(function(last...), number)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(got, leave) {
			t.Errorf("%s: %x", name, got)
		}
	}
	loop := function(opI32Const, 1, opEnd)
	loop[3] = opLoop // its branch goes back
	if got, err := shortenFunction(loop, number); err != nil || bytes.Contains(got, leave) {
		t.Errorf("%x, %v", got, err)
	}
}

func TestAddressesOfOtherFunctionsStay(t *testing.T) {
	b := function(opI32Const, 1, opEnd)
	got, err := shortenFunction(b, number+1<<16)
	if err != nil || bytes.Contains(got, []byte{opI64Or}) {
		t.Errorf("%x, %v", got, err)
	}
}

func TestCodeThatIsCutOffIsRefused(t *testing.T) {
	b := function(opI32Const, 1, opEnd)
	for n := 1; n < len(b); n++ {
		if got, err := shortenFunction(b[:n], number); err == nil && bytes.Contains(got, leave) {
			t.Errorf("%d bytes: %x", n, got)
		}
	}
	for _, code := range [][]byte{{0xff}, {0xfc, 9}, {0x43, 1}, {0x44, 1}, {opI64Const, 0x80}, {0x0e, 0xff, 0xff, 0xff, 0x7f}, {0x28, 1}} {
		if _, err := instructions(code); err == nil {
			t.Errorf("%x is code", code)
		}
	}
}
