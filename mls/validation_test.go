package mls

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// declared holds what the package's files declare: functions and types by name,
// methods as Type.method, and which of them call invalid.
type declared struct {
	names   map[string]bool
	tests   map[string]bool
	refuses map[string]bool
}

func readPackage(t *testing.T) declared {
	t.Helper()
	d := declared{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	set := token.NewFileSet()
	for _, name := range files {
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		test := strings.HasSuffix(name, "_test.go")
		for _, decl := range f.Decls {
			d.add(decl, test)
		}
	}
	return d
}

func (d declared) add(decl ast.Decl, test bool) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		name := funcName(decl)
		if test {
			d.tests[name] = true
			return
		}
		d.names[name] = true
		if callsInvalid(decl) {
			d.refuses[name] = true
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			if s, ok := spec.(*ast.TypeSpec); ok && !test {
				d.names[s.Name.Name] = true
			}
		}
	}
}

func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	recv := f.Recv.List[0].Type
	if star, ok := recv.(*ast.StarExpr); ok {
		recv = star.X
	}
	if generic, ok := recv.(*ast.IndexExpr); ok {
		recv = generic.X
	}
	return recv.(*ast.Ident).Name + "." + f.Name.Name
}

func callsInvalid(f *ast.FuncDecl) (found bool) {
	if f.Body == nil || f.Name.Name == "invalid" {
		return false
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "invalid" {
				found = true
			}
		}
		return true
	})
	return found
}

var (
	ruleRow  = regexp.MustCompile(`^\| (V-\d+) \|`)
	codeName = regexp.MustCompile("`([^`]+)`")
)

// TestValidationRulesNameWhatExists holds docs/validation.md to the code.
func TestValidationRulesNameWhatExists(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "docs", "validation.md"))
	if err != nil {
		t.Fatal(err)
	}
	d, seen, named := readPackage(t), map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(doc)) {
		m := ruleRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		rule, cells := m[1], strings.Split(line, "|")
		if seen[rule] {
			t.Errorf("%s stands there twice", rule)
		}
		seen[rule] = true
		if len(cells) != 7 {
			t.Errorf("%s has %d cells, want 5", rule, len(cells)-2)
			continue
		}
		for _, name := range namesIn(t, rule, cells[4]) {
			named[name] = true
			if !d.names[name] {
				t.Errorf("%s: there is no %s", rule, name)
			}
		}
		for _, name := range namesIn(t, rule, cells[5]) {
			if !d.tests[strings.Split(name, "/")[0]] || !strings.HasPrefix(name, "Test") {
				t.Errorf("%s: there is no test %s", rule, name)
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d rules were read", len(seen))
	}
	for _, name := range sortedKeys(d.refuses) {
		if !named[name] {
			t.Errorf("%s refuses something but no rule names it", name)
		}
	}
}

func namesIn(t *testing.T, rule, cell string) (names []string) {
	t.Helper()
	for _, m := range codeName.FindAllStringSubmatch(cell, -1) {
		names = append(names, m[1])
	}
	if len(names) == 0 {
		t.Errorf("%s: nothing is named in %q", rule, cell)
	}
	return names
}
