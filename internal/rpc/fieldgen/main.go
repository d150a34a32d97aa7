// Command fieldgen writes internal/rpc/fields.go: for each struct of the types that
// cross, the method that visits its fields. Run it by `go generate ./internal/rpc`
// after a change of types.
package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strconv"
	"strings"
)

func main() {
	b, err := generate(".")
	if err == nil {
		err = os.WriteFile("fields.go", b, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fieldgen:", err)
		os.Exit(1)
	}
}

// sources are the files of the types that cross.
var sources = []string{"types.go", "types_message.go", "types_bundle.go", "frame.go"}

// generate reads the types of package rpc in a folder.
func generate(dir string) ([]byte, error) {
	var structs []*ast.TypeSpec
	kinds := map[string]string{} // a named type to what it is made of
	for _, name := range append(sources, "codes.go") {
		file, err := parser.ParseFile(token.NewFileSet(), dir+"/"+name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			g, _ := d.(*ast.GenDecl)
			if g == nil || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.TypeSpec)
				switch of := spec.Type.(type) {
				case *ast.Ident:
					kinds[spec.Name.Name] = of.Name
				case *ast.StructType:
					kinds[spec.Name.Name] = "struct"
					structs = append(structs, spec)
				}
			}
		}
	}
	var b bytes.Buffer
	b.WriteString("// Code generated from the types by `go generate ./internal/rpc`. DO NOT EDIT.\n\npackage rpc\n")
	for _, s := range structs {
		if err := method(&b, s, kinds); err != nil {
			return nil, err
		}
	}
	return format.Source(b.Bytes())
}

// method writes the one of a struct.
func method(b *bytes.Buffer, s *ast.TypeSpec, kinds map[string]string) error {
	var lines bytes.Buffer
	for _, f := range s.Type.(*ast.StructType).Fields.List {
		if f.Tag == nil || len(f.Names) != 1 {
			return fmt.Errorf("%s has a field without a name or a tag of its own", s.Name)
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			return err
		}
		name, rest, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name == "-" {
			continue
		}
		if rest == "omitempty" {
			name += "?"
		}
		visit := visitor(f.Type, kinds)
		if visit == "" || name == "" || visit == "maybe" && rest != "omitempty" {
			return fmt.Errorf("%s.%s: there is no JSON for its type", s.Name, f.Names[0])
		}
		fmt.Fprintf(&lines, "\t%s(c, %q, &v.%s)\n", visit, name, f.Names[0])
	}
	if lines.Len() == 0 {
		fmt.Fprintf(b, "\nfunc (*%s) fields(*codec) {}\n", s.Name)
		return nil
	}
	fmt.Fprintf(b, "\nfunc (v *%s) fields(c *codec) {\n%s}\n", s.Name, lines.Bytes())
	return nil
}

// visitor is the function of json.go for a type, "" if there is none.
func visitor(of ast.Expr, kinds map[string]string) string {
	switch e := of.(type) {
	case *ast.Ident:
		kind := e.Name
		if k := kinds[kind]; k != "" {
			kind = k
		}
		return map[string]string{
			"string": "text", "bool": "truth", "int": "number", "int64": "number", "uint32": "number", "struct": "part",
		}[kind]
	case *ast.StarExpr:
		if visitor(e.X, kinds) == "part" {
			return "maybe"
		}
	case *ast.ArrayType:
		if item, ok := e.Elt.(*ast.ArrayType); ok {
			if n, _ := item.Len.(*ast.BasicLit); n != nil && n.Value == "2" && visitor(item.Elt, kinds) == "number" {
				return "pairs"
			}
			return ""
		}
		if item, ok := e.Elt.(*ast.Ident); ok {
			switch item.Name {
			case "string":
				return "texts"
			case "int64":
				return "numbers64"
			case "byte":
				return "raw"
			}
		}
		if visitor(e.Elt, kinds) == "part" {
			return "list"
		}
	case *ast.MapType:
		if visitor(e.Key, kinds) == "text" && visitor(e.Value, kinds) == "text" {
			return "entries"
		}
	}
	return ""
}
