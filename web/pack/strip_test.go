package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const program = `package main

import (
	"fmt"
	"reflect"
	"runtime"
	"sort"
	"strings"
)

type shape interface{ area() int }
type square struct{ a int }

func (s square) area() int { return s.a * s.a }

func deep(n int, keep [][]byte) int {
	keep = append(keep, make([]byte, 1000))
	if n == 0 {
		runtime.GC() // walks this stack by the tables that are left
		return len(keep)
	}
	return deep(n-1, keep) + 1
}

func main() {
	defer func() {
		fmt.Println("recovered:", recover())
		done := make(chan int)
		for i := range 100 {
			go func() { done <- deep(50, nil) + i }()
		}
		sum := 0
		for range 100 {
			sum += <-done
		}
		words := strings.Fields("one two three")
		sort.Strings(words)
		var s shape = square{3}
		fmt.Println(sum, words, s.area())
		made := reflect.MakeFunc(reflect.TypeFor[func(*square) int](), func(in []reflect.Value) []reflect.Value {
			fmt.Println(deep(200, nil)) // the stack grows, with a pointer in a frame of reflect
			return []reflect.Value{reflect.ValueOf(in[0].Interface().(*square).area())}
		}).Interface().(func(*square) int)
		fmt.Println(made(&square{4}))
	}()
	var none []int
	_ = none[len(words())]
}

func words() []string { return []string{"a"} }
`

// TestStrippedProgramsRun runs a program in Node before and after: growing
// stacks, collections, a panic that is recovered, goroutines.
func TestStrippedProgramsRun(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no Node")
	}
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	source := write("main.go", []byte(program))
	whole := filepath.Join(dir, "whole.wasm")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", whole, source)
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	before, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	after, err := strip(before)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(after, []byte("reflect.makeFuncStub")) {
		t.Error("the collector cannot find the arguments of a function made by reflect")
	}
	if bytes.Contains(after, []byte("main.deep")) || !bytes.Contains(before, []byte("main.deep")) {
		t.Error("names are not taken out")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	run := func(path string) string {
		t.Helper()
		out, err := exec.Command(node, filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec_node.js"), path).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	short, err := shorten(after)
	if err != nil {
		t.Fatal(err)
	}
	if n, m := bytes.Count(after, leave), bytes.Count(short, leave); m < 1000+n {
		t.Errorf("of the calls %d return on the spot", m-n)
	}
	if got, want := run(write("less.wasm", short)), run(whole); got != want || !strings.Contains(want, "[one three two] 9") {
		t.Errorf("packed it prints %q, else %q", got, want)
	}
}

func TestStripRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":     nil,
		"no data":     []byte("\x00asm\x01\x00\x00\x00"),
		"cut off":     []byte("\x00asm\x01\x00\x00\x00\x0b\x05\x01"),
		"no table":    []byte("\x00asm\x01\x00\x00\x00\x0b\x07\x01\x00\x41\x00\x0b\x01\x41"),
		"huge offset": []byte("\x00asm\x01\x00\x00\x00\x0b\x0b\x01\x00\x41\xff\xff\xff\xff\x07\x0b\x01\x41"),
	} {
		if _, err := strip(b); err == nil {
			t.Errorf("%s is taken for a program", name)
		}
		if _, err := shorten(b); err == nil {
			t.Errorf("%s is taken for code", name)
		}
	}
}
