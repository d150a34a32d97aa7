// Command pack puts the core for browsers where the program embeds it from:
//
//	GOOS=js GOARCH=wasm go build -o core.wasm ./cmd/huis-wasm
//	go run ./web/pack core.wasm web/core
//
// "any" as a third word lets it be of any size, for cores nobody downloads.
//
// It takes out of the core what only serves to say where it failed, writes what is
// left so that it compresses well, compresses it, copies the script of the Go
// toolchain that starts it, and refuses a core that has grown too large for a
// browser.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/andybalholm/brotli"
)

// limit is how large the compressed core may be, in bytes.
const limit = 1_300_000

func main() {
	anySize := len(os.Args) == 4 && os.Args[3] == "any"
	if len(os.Args) != 3 && !anySize {
		fatal(fmt.Errorf("usage: pack CORE.wasm FOLDER [any]"))
	}
	if err := pack(os.Args[1], os.Args[2], anySize); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "pack:", err)
	os.Exit(1)
}

func pack(core, dir string, anySize bool) error {
	raw, err := os.ReadFile(core)
	if err != nil {
		return err
	}
	if raw, err = strip(raw); err != nil {
		return err
	}
	if raw, err = shorten(raw); err != nil {
		return err
	}
	if err := start(dir); err != nil {
		return err
	}
	out := filepath.Join(dir, "core.wasm.br")
	if same(out, raw) {
		return nil
	}
	quality := 11
	if anySize {
		quality = 5
	}
	var b bytes.Buffer
	w := brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: quality, LGWin: 24})
	if _, err := w.Write(raw); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	fmt.Printf("the core for browsers: %d bytes, %d compressed\n", len(raw), b.Len())
	if b.Len() > limit && !anySize {
		return fmt.Errorf("the core has %d bytes compressed, at most %d are allowed", b.Len(), limit)
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}

// start copies the toolchain's script.
func start(dir string) error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	script, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "wasm_exec.js"), script, 0o644)
}

// same tells whether a compressed file holds these bytes.
func same(name string, raw []byte) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	have, err := io.ReadAll(brotli.NewReader(f))
	return err == nil && bytes.Equal(have, raw)
}
