package rpc

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write web/src/core/types.ts")

// typesFile is what the interface compiles against.
var typesFile = filepath.Join("..", "..", "web", "src", "core", "types.ts")

func TestTypeScriptIsWhatTheTypesSay(t *testing.T) {
	text := typeScript(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(typesFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(typesFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(typesFile)
	if err != nil || !bytes.Equal(have, text) {
		t.Fatalf("%s is not what the types say (%v): go test ./internal/rpc -run TypeScript -update", typesFile, err)
	}
}

// typeScript writes the types of this package in the other language.
func typeScript(t *testing.T) []byte {
	var b bytes.Buffer
	b.WriteString("// Code generated from internal/rpc by `go test ./internal/rpc -run TypeScript -update`. DO NOT EDIT.\n")
	fset := token.NewFileSet()
	for _, name := range []string{"types.go", "types_message.go", "types_bundle.go", "codes.go", "frame.go"} {
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, &b, file)
	}
	writeTable(&b, "Methods", "Every call: what it takes and what it answers.", slices.Sorted(maps.Keys(methods)), func(k string) string {
		return fmt.Sprintf("{ call: %s; ok: %s }", nameOf(methods[k].request), nameOf(methods[k].answer))
	})
	writeTable(&b, "Events", "What the core tells without being asked.", slices.Sorted(maps.Keys(events)), func(k string) string {
		return nameOf(events[k])
	})
	writeTable(&b, "Exchanges", "Events within a call; where answer is not null the core waits for it.", slices.Sorted(maps.Keys(exchanges)), func(k string) string {
		answer := "null"
		if a := exchanges[k].answer; a != nil {
			answer = nameOf(a)
		}
		return fmt.Sprintf("{ tells: %s; answer: %s }", nameOf(exchanges[k].tells), answer)
	})
	return b.Bytes()
}

// nameOf is the type's a row of a table names by a nil pointer.
func nameOf(r record) string { return reflect.TypeOf(r).Elem().Name() }

func writeTable(b *bytes.Buffer, name, doc string, keys []string, row func(string) string) {
	fmt.Fprintf(b, "\n/** %s */\nexport interface %s {\n", doc, name)
	for _, k := range keys {
		fmt.Fprintf(b, "  %s: %s;\n", strconv.Quote(k), row(k))
	}
	b.WriteString("}\n")
}

// writeFile writes the exported types of a file, in its order; a string type
// becomes the union of its constants.
func writeFile(t *testing.T, b *bytes.Buffer, file *ast.File) {
	values := map[string][]string{}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if of, ok := v.Type.(*ast.Ident); ok {
				values[of.Name] = append(values[of.Name], v.Values[0].(*ast.BasicLit).Value)
			}
		}
	}
	for _, s := range sentences {
		values["SentenceCode"] = append(values["SentenceCode"], strconv.Quote(string(s.code)))
	}
	values["SentenceCode"] = slices.Compact(slices.Sorted(slices.Values(append(values["SentenceCode"], strconv.Quote(string(SentenceOther))))))
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, s := range g.Specs {
			spec := s.(*ast.TypeSpec)
			if !spec.Name.IsExported() || spec.Name.Name == "Frame" {
				continue
			}
			writeComment(b, "", g.Doc)
			switch of := spec.Type.(type) {
			case *ast.Ident:
				if union := values[spec.Name.Name]; union != nil {
					fmt.Fprintf(b, "export type %s = %s;\n", spec.Name.Name, strings.Join(union, " | "))
				} else {
					fmt.Fprintf(b, "export type %s = %s;\n", spec.Name.Name, tsType(t, of))
				}
			case *ast.StructType:
				writeStruct(t, b, spec.Name.Name, of)
			}
		}
	}
}

func writeStruct(t *testing.T, b *bytes.Buffer, name string, s *ast.StructType) {
	if len(s.Fields.List) == 0 {
		fmt.Fprintf(b, "export type %s = Record<string, never>;\n", name)
		return
	}
	fmt.Fprintf(b, "export interface %s {\n", name)
	for _, f := range s.Fields.List {
		tag, _ := strconv.Unquote(f.Tag.Value)
		field, rest, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		optional := ""
		if rest == "omitempty" {
			optional = "?"
		}
		doc := f.Doc
		if doc == nil {
			doc = f.Comment
		}
		writeComment(b, "  ", doc)
		fmt.Fprintf(b, "  %s%s: %s;\n", field, optional, tsType(t, f.Type))
	}
	b.WriteString("}\n")
}

func writeComment(b *bytes.Buffer, indent string, doc *ast.CommentGroup) {
	if indent == "" {
		b.WriteByte('\n')
	}
	if doc == nil {
		return
	}
	fmt.Fprintf(b, "%s/** %s */\n", indent, strings.Join(strings.Fields(doc.Text()), " "))
}

func tsType(t *testing.T, e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		switch e.Name {
		case "string", "error":
			return "string"
		case "bool":
			return "boolean"
		case "int", "int64", "uint32":
			return "number"
		}
		return e.Name
	case *ast.StarExpr:
		return tsType(t, e.X)
	case *ast.ArrayType:
		if e.Len != nil {
			return "[number, number]"
		}
		return tsType(t, e.Elt) + "[]"
	case *ast.MapType:
		return "Record<string, " + tsType(t, e.Value) + ">"
	}
	t.Fatalf("no TypeScript for %T", e)
	return ""
}

func TestEveryTypeOfTheTableIsWritten(t *testing.T) {
	text := string(typeScript(t))
	check := func(of record) {
		if !strings.Contains(text, "export interface "+nameOf(of)+" {") && !strings.Contains(text, "export type "+nameOf(of)+" =") {
			t.Errorf("%s is not in types.ts", nameOf(of))
		}
	}
	for _, m := range methods {
		check(m.request)
		check(m.answer)
	}
	for _, e := range events {
		check(e)
	}
}
