package huis

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/capabilities.md")

// capabilities are what code can do to the world outside its own data, by the
// packages of the standard library, or of golang.org/x/sys, that it has to import
// for it. Whoever uses go:linkname imports unsafe.
var capabilities = []struct{ name, by string }{
	{"network", "net net/http net/rpc net/smtp net/http/httputil crypto/tls"},
	{"programs", "os/exec plugin"},
	{"system calls", "syscall golang.org/x/sys/unix golang.org/x/sys/windows"},
	{"unsafe memory", "unsafe"},
	{"reflection", "reflect"},
	{"files", "os io/ioutil"},
}

// linked is one package of the program, as go list prints it.
type linked struct {
	Standard bool
	Module   *struct {
		Path string
		Main bool
	}
	Imports, CgoFiles, SFiles []string
}

// TestWhatDependenciesMayDo compares what the dependencies linked into the
// program can do with docs/capabilities.md, so that an update which opens
// connections, runs programs or brings C or assembly is seen before it lands.
func TestWhatDependenciesMayDo(t *testing.T) {
	const file = "docs/capabilities.md"
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin := strings.Index(string(kept), "| module")
	if begin < 0 {
		t.Fatalf("%s has no table", file)
	}
	now := capabilityTable(t)
	if *update {
		if err := os.WriteFile(file, append(kept[:begin:begin], now...), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have := make(map[string]bool)
	for line := range strings.Lines(string(kept[begin:])) {
		have[line] = true
	}
	for line := range strings.Lines(now) {
		if !have[line] {
			t.Errorf("not in %s:\n%s", file, line)
		}
		delete(have, line)
	}
	for line := range have {
		t.Errorf("in %s, and no longer so:\n%s", file, line)
	}
	if t.Failed() {
		t.Log("somebody has to read what the new ability is for; then: go test . -run WhatDependenciesMayDo -update")
	}
}

// capabilityTable lists what each module that the program links can do.
func capabilityTable(t *testing.T) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Standard,Module,Imports,CgoFiles,SFiles", "./cmd/huis")
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=1")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	can := make(map[string]map[string]bool)
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p linked
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		if can[p.Module.Path] == nil {
			can[p.Module.Path] = make(map[string]bool)
		}
		p.abilities(can[p.Module.Path])
	}
	var b strings.Builder
	b.WriteString("| module | can |\n| --- | --- |\n")
	for _, m := range slices.Sorted(maps.Keys(can)) {
		all := strings.Join(slices.Sorted(maps.Keys(can[m])), ", ")
		if all == "" {
			all = "compute"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", m, all)
	}
	return b.String()
}

func (p *linked) abilities(can map[string]bool) {
	for _, c := range capabilities {
		if slices.ContainsFunc(strings.Fields(c.by), func(by string) bool { return slices.Contains(p.Imports, by) }) {
			can[c.name] = true
		}
	}
	if len(p.CgoFiles) > 0 {
		can["C"] = true
	}
	if len(p.SFiles) > 0 {
		can["assembly"] = true
	}
}
