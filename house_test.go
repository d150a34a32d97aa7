// Package huis holds the test of the house's own rules: which package may
// import which, how large a file may be, and what must not stand in the tree.
package huis

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "codeberg.org/huis/huis"

// arrows says what each package may import of this module, tests apart. A name
// that ends in /... stands for the packages below it. What is not in the table
// may import nothing of ours, so a new package has to be entered here.
var arrows = map[string][]string{
	"internal/wire": {},
	"mls":           {"internal/wire"},
	"mls/...":       {"mls", "internal/wire"},
	"kt":            {"internal/wire"},
	"internal/proto": {
		"internal/wire",
	},
	"internal/evidence":         {"kt", "internal/proto", "internal/wire"},
	"internal/audit":            {"kt", "internal/evidence", "internal/wire"},
	"internal/client":           {"mls", "kt", "internal/proto", "internal/wire", "internal/evidence", "internal/client/...", "!internal/client/store/sqlite", "!internal/client/store/idb"},
	"internal/client/...":       {"mls", "kt", "internal/proto", "internal/wire", "internal/client/...", "!internal/client/store/sqlite", "!internal/client/store/idb"},
	"internal/delivery":         {"mls", "internal/proto", "internal/wire", "internal/delivery/store", "internal/delivery/session"},
	"internal/delivery/...":     {"internal/proto", "internal/wire", "internal/delivery/store"},
	"internal/directory":        {"mls", "kt", "internal/proto", "internal/wire", "internal/delivery/store", "internal/delivery/session", "internal/directory/epochs"},
	"internal/directory/epochs": {"kt"},
	"internal/httpapi":          {"internal/proto", "internal/wire", "internal/delivery", "internal/delivery/store", "internal/delivery/session", "internal/directory"},
	"internal/client/store/idb": {"internal/client/store", "internal/jsport"},
	"internal/jsport":           {},
	"internal/httpapi/fetch":    {"internal/proto", "internal/client", "internal/jsport"},
	"internal/httpapi/dial":     {"internal/proto", "internal/wire", "internal/client"},
	"internal/rpc":              {"internal/client", "internal/client/...", "!internal/client/store/sqlite", "!internal/client/store/idb", "internal/proto"},
	"internal/webapp":           {"internal/rpc", "web"},
	"web":                       {},
	"web/...":                   {},
	"internal/witness":          {"kt"},
	"internal/release":          {"kt"},
	"internal/cli":              {"mls", "kt", "internal/...", "!internal/sim", "!internal/evil", "!internal/e2e/..."},
	"internal/cli/...":          {"mls", "kt", "internal/...", "!internal/sim", "!internal/evil", "!internal/e2e/..."},
	"internal/sim":              {"mls", "kt", "internal/..."},
	"internal/sim/...":          {"mls", "kt", "internal/..."},
	"internal/evil":             {"mls", "kt", "internal/..."},
	"internal/e2e":              {"internal/...", "web"},
	"internal/e2e/...":          {"internal/..."},
	"cmd/huis":                  {"internal/cli"},
	"cmd/huis-wasm":             {"internal/client", "internal/client/...", "internal/httpapi/fetch", "internal/jsport", "internal/rpc"},
	"bench/...":                 {"mls", "kt", "internal/...", "bench/web/meter"},
}

// goPackage is what `go list -json` says of a package.
type goPackage struct {
	ImportPath, Dir, Doc string
	GoFiles, TestGoFiles []string
	Imports, TestImports []string
	XTestImports, Deps   []string
}

func list(t *testing.T, env []string, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-json"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func ours(importPath string) (string, bool) {
	return strings.CutPrefix(importPath, module+"/")
}

func matches(pattern, pkg string) bool {
	if below, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(pkg, below)
	}
	return pattern == pkg
}

// mayImport is the table's answer; of the entries that match the importer, the
// exact one wins over a pattern.
func mayImport(from, to string) bool {
	allowed, ok := arrows[from]
	for p := path.Dir(from); !ok && p != "."; p = path.Dir(p) {
		allowed, ok = arrows[p+"/..."]
	}
	refused := slices.ContainsFunc(allowed, func(a string) bool { return a[0] == '!' && matches(a[1:], to) })
	return !refused && slices.ContainsFunc(allowed, func(a string) bool { return matches(a, to) })
}

func TestImportsFollowTheHouse(t *testing.T) {
	for _, p := range list(t, nil, "./...") {
		from, ok := ours(p.ImportPath)
		if !ok {
			continue
		}
		for _, i := range p.Imports {
			if to, ok := ours(i); ok && !mayImport(from, to) {
				t.Errorf("%s must not import %s", from, to)
			}
		}
	}
}

func TestArrowsRefuseWhatTheyShould(t *testing.T) {
	for _, bad := range [][2]string{
		{"mls", "kt"}, {"kt", "mls"}, {"internal/wire", "mls"}, {"internal/proto", "internal/client"},
		{"internal/client", "internal/delivery"}, {"internal/delivery", "internal/client"},
		{"internal/client", "internal/client/store/sqlite"}, {"internal/client", "internal/httpapi"},
		{"internal/cli", "internal/sim"}, {"internal/new", "mls"},
	} {
		if mayImport(bad[0], bad[1]) {
			t.Errorf("%s may import %s", bad[0], bad[1])
		}
	}
	if !mayImport("internal/cli", "internal/client/store/sqlite") || !mayImport("mls", "internal/wire") {
		t.Error("an arrow of the house is refused")
	}
}

// borrowed is what the public packages may import of others, since they carry the
// Apache licence so that people can import them without the rest.
var borrowed = map[string][]string{
	"mls": {"golang.org/x/crypto/chacha20poly1305"},
	"kt":  {"filippo.io/edwards25519", "golang.org/x/mod/sumdb/note", "golang.org/x/mod/sumdb/tlog"},
}

func TestPublicPackagesStandOnLittle(t *testing.T) {
	for _, p := range list(t, nil, "./mls/...", "./kt/...", "./internal/wire/...") {
		from, _ := ours(p.ImportPath)
		for _, i := range p.Imports {
			first, _, _ := strings.Cut(i, "/")
			if to, own := ours(i); own && to != "internal/wire" && to != "mls" || !own && strings.Contains(first, ".") && !slices.Contains(borrowed[from], i) {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
}

func TestWasmCoreHasNoNetwork(t *testing.T) {
	env := []string{"GOOS=js", "GOARCH=wasm"}
	for _, p := range list(t, env, "-deps", "./mls/...", "./kt/...", "./internal/client") {
		if from, ok := ours(p.ImportPath); ok && slices.Contains(p.Imports, "net/http") {
			t.Errorf("%s is in the wasm build and imports net/http", from)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t, nil, "./...") {
		if from, ok := ours(p.ImportPath); ok && p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", from)
		}
	}
}

// files calls f with every file of the tree that is ours.
func files(t *testing.T, f func(name string, text []byte)) {
	t.Helper()
	skip := []string{".git", "bin", "huis-data", "node_modules", "dist", "testdata"}
	err := filepath.WalkDir(".", func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(skip, d.Name()) {
			return filepath.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(name)
		if err == nil {
			f(filepath.ToSlash(name), text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

const maxLines = 700 // a file one reads in one sitting, with room

func TestNoFileIsTooLong(t *testing.T) {
	files(t, func(name string, text []byte) {
		if strings.HasSuffix(name, ".go") && !strings.Contains(name, ".gen.") && bytes.Count(text, []byte("\n")) > maxLines {
			t.Errorf("%s has more than %d lines", name, maxLines)
		}
	})
}

// foreign finds what belongs to one machine or to the making of the code, not
// to the code.
var foreign = regexp.MustCompile(`(/ho` + `me/[a-z]+/|/ro` + `ot/|/wo` + `rk/|/Us` + `ers/[a-z]+/|TO` + `DO|FIX` + `ME)`)

func TestNothingForeignStandsInTheTree(t *testing.T) {
	if !foreign.MatchString("see /ho" + "me/ada/notes") {
		t.Fatal("the search finds nothing")
	}
	files(t, func(name string, text []byte) {
		if name == ".git" || name == "go.sum" || bytes.IndexByte(text, 0) >= 0 {
			return
		}
		if m := foreign.Find(text); m != nil {
			t.Errorf("%s contains %q", name, m)
		}
	})
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	files(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, ".md") {
			return
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(path.Join(path.Dir(name), string(m[1]))); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	})
}

var namedTest = regexp.MustCompile("`([a-z0-9]+)\\.(Test[A-Za-z0-9_]+)(?:/([a-z0-9-]+))?`")

// TestNamedTestsExist holds the threat model to its word: each test it names is
// there. A part after the slash is a CLI script, or a scenario of the simulation.
func TestNamedTestsExist(t *testing.T) {
	tests := make(map[string]string) // by package folder and name, the file's text
	files(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, "_test.go") {
			return
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			tests[path.Base(path.Dir(name))+"."+string(m[1])] += string(text)
		}
	})
	text, err := os.ReadFile("THREATMODEL.md")
	if err != nil {
		t.Fatal(err)
	}
	named := namedTest.FindAllStringSubmatch(string(text), -1)
	if len(named) < 20 {
		t.Fatalf("only %d tests are named", len(named))
	}
	for _, m := range named {
		pkg, test, part := m[1], m[2], m[3]
		if _, ok := tests[pkg+"."+test]; !ok {
			t.Errorf("there is no %s.%s", pkg, test)
		} else if part != "" && !hasPart(pkg, part) {
			t.Errorf("%s.%s has no %s", pkg, test, part)
		}
	}
}

func hasPart(pkg, part string) bool {
	if pkg == "cli" {
		_, err := os.Stat("internal/cli/testdata/" + part + ".txtar")
		return err == nil
	}
	sources, _ := filepath.Glob("internal/" + pkg + "/*_test.go")
	return slices.ContainsFunc(sources, func(name string) bool {
		text, _ := os.ReadFile(name)
		return bytes.Contains(text, []byte(`"`+part+`"`)) || bytes.Contains(text, []byte(`{"`+strings.TrimPrefix(part, "liar-")+`",`))
	})
}

var direct = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // a requirement without "// indirect"

func TestEveryDependencyHasItsReason(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	reasons, err := os.ReadFile("docs/decisions/README.md")
	if err != nil {
		t.Fatal(err)
	}
	all := direct.FindAllSubmatch(mod, -1)
	if len(all) < 5 {
		t.Fatalf("%d dependencies found", len(all))
	}
	for _, m := range all {
		if !bytes.Contains(reasons, []byte("`"+string(m[1]))) {
			t.Errorf("docs/decisions gives no reason for %s", m[1])
		}
	}
}

var (
	attackID  = regexp.MustCompile(`\bID:\s+"(B-\d+(?:/[a-z]+)?)"`)
	attackRef = regexp.MustCompile(`\bB-\d+(?:/[a-z]+)?\b`)
)

// TestEveryAttackHasItsLine holds the threat model and the suite that plays the
// malicious operator to each other: no attack without a line, no line without
// its attack.
func TestEveryAttackHasItsLine(t *testing.T) {
	sources, err := filepath.Glob("internal/evil/*.go")
	if err != nil {
		t.Fatal(err)
	}
	played := make(map[string]bool)
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(text, []byte("//go:build evil\n")) {
			t.Errorf("%s is not under the tag evil", name)
		}
		for _, m := range attackID.FindAllSubmatch(text, -1) {
			played[string(m[1])] = true
		}
	}
	if len(played) < 10 {
		t.Fatalf("only %d attacks are found", len(played))
	}
	model, err := os.ReadFile("THREATMODEL.md")
	if err != nil {
		t.Fatal(err)
	}
	_, model, _ = bytes.Cut(model, []byte("### Taken together"))
	named := make(map[string]bool)
	for _, id := range attackRef.FindAll(model, -1) {
		named[string(id)] = true
		if !played[string(id)] {
			t.Errorf("THREATMODEL.md names %s, which nobody plays", id)
		}
	}
	for id := range played {
		if !named[id] {
			t.Errorf("%s has no line in THREATMODEL.md", id)
		}
	}
}
