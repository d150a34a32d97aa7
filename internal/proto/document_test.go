package proto

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"codeberg.org/huis/huis/internal/wire"
)

var update = flag.Bool("update", false, "write docs/messages.md anew")

// document is docs/messages.md: the structures of this package in the TLS
// presentation language, with the comments of the source.
const document = "../../docs/messages.md"

// byHand are the structures whose encoding is not field by field; the document
// has their text from here.
var byHand = map[string]string{
	"AppAAD":   "struct {\n    uint8 version = 1;\n    Hash tag;\n} AppAAD;",
	"KeyDelta": "struct {\n    uint8 version = 1;\n    MemberKey adds<V>;             // one per Add, in leaf order\n    MemberKey removes<V>;          // exactly the keys of the removed leaves\n    optional<MemberKey> replace;   // the committer's next key, absent to keep the present one\n} KeyDelta;",
	"Notice":   "struct {\n    uint8 type;                    // 1 leave, 2 rejoin, 3 broken, 4 reform\n    select (type) {\n        case leave, rejoin: struct {};\n        case broken: uint64 seq; Hash hash;\n        case reform: ConversationID successor;\n    };\n} Notice;",
	"Error":    "struct {\n    uint8 code;\n    opaque fields<V>;              // as the table says; of an unknown code to be ignored\n} Error;",
}

// source is what the comments of the package say.
type source struct {
	types  map[string]string            // doc of a type
	fields map[string]map[string]string // comment behind a field
}

func readSource(t *testing.T) source {
	t.Helper()
	s := source{map[string]string{}, map[string]map[string]string{}}
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				s.add(g)
			}
		}
	}
	return s
}

func (s source) add(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		t := spec.(*ast.TypeSpec)
		doc := t.Doc
		if doc == nil {
			doc = g.Doc
		}
		s.types[t.Name.Name] = strings.TrimSpace(doc.Text())
		fields, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		all := map[string]string{}
		for _, f := range fields.Fields.List {
			for _, name := range f.Names {
				all[name.Name] = strings.TrimSpace(f.Comment.Text())
			}
		}
		s.fields[t.Name.Name] = all
	}
}

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// declare is one field in the presentation language.
func declare(t reflect.Type, name string) string {
	switch t.Kind() {
	case reflect.Pointer:
		return "optional<" + typeName(t.Elem()) + "> " + name
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 && t.Elem().Name() == "uint8" {
			return "opaque " + name + "<V>"
		}
		return typeName(t.Elem()) + " " + name + "<V>"
	case reflect.String:
		return "opaque " + name + "<V>"
	}
	if t.Kind() == reflect.Array && t.Name() == "" {
		return fmt.Sprintf("opaque %s[%d]", name, t.Len())
	}
	return typeName(t) + " " + name
}

func typeName(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Slice:
		return "opaque<V>"
	case t.Kind() == reflect.Bool:
		return "bool"
	case t.Kind() == reflect.Uint8 && t.Name() == "Kind":
		return "uint8"
	}
	return t.Name()
}

// structure writes t.
func (s source) structure(t reflect.Type) string {
	if text, ok := byHand[t.Name()]; ok {
		return text
	}
	if t.NumField() == 0 {
		return "struct {} " + t.Name() + ";"
	}
	var b strings.Builder
	b.WriteString("struct {\n")
	for i := range t.NumField() {
		f := t.Field(i)
		line := "    " + declare(f.Type, snake(f.Name)) + ";"
		if c := s.fields[t.Name()][f.Name]; c != "" {
			line = fmt.Sprintf("%-34s // %s", line, c)
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("} " + t.Name() + ";")
	return b.String()
}

func (s source) section(t reflect.Type) string {
	return s.types[t.Name()] + "\n\n```\n" + s.structure(t) + "\n```\n"
}

func (s source) document() string {
	var b strings.Builder
	b.WriteString(`# Bytes of every message

Made from the comments and types of ` + "`internal/proto`" + ` by
` + "`go test ./internal/proto -run Document -update`" + `; a test compares both, and encodes
every structure by this page with a second, independent encoder. The rules are in
[protocol.md](protocol.md).

The notation is the TLS presentation language (RFC 8446, Section 3) with vectors
` + "`<V>`" + ` and ` + "`optional<T>`" + ` of RFC 9420, Section 2.1. Integers are big-endian; a ` + "`bool`" + `
is one byte, 0 or 1; text is UTF-8. Trailing bytes, lengths not in their shortest
form and unknown tags are refused. ` + "`‖`" + ` puts each part behind its length, as
` + "`opaque<V>`" + `.

A request is ` + "`POST /v1/<method>`" + ` with its encoding as body, of media type
` + "`" + MediaType + "`" + `. The answer is 200 with the answer's encoding, or another status with an
Error of media type ` + "`" + MediaTypeError + "`" + `. ` + "`/v1/push`" + ` is a WebSocket of binary
messages: Subscribe from the client, Hint from the server. Each lane has connections
of its own.

## Identifiers

| name | bytes | is |
| --- | --- | --- |
`)
	for _, v := range []any{ConversationID{}, MemberKey{}, BlobID{}, AccountID{}, DeviceID{}, Generation{}, Ticket{}, Token{},
		Hash{}, Nonce{}, SessionID{}, MailboxID{}, InboxItemID{}, KID{}, Signature{}} {
		t := reflect.TypeOf(v)
		is := strings.TrimPrefix(strings.TrimPrefix(s.types[t.Name()], t.Name()+" "), "is ")
		fmt.Fprintf(&b, "| %s | %d | %s |\n", t.Name(), t.Len(), strings.ReplaceAll(strings.TrimSuffix(is, "."), "\n", " "))
	}
	b.WriteString("\n## Errors\n\n| code | name | fields | says |\n| --- | --- | --- | --- |\n")
	for _, c := range Codes() {
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s |\n", uint8(c), c.String(), errorFields(c), codeTexts[c].text)
	}
	b.WriteString("\nOnly the fields of its code travel. `busy` and `throttled`: wait, then send the same bytes again.\n\n```\n" + byHand["Error"] + "\n```\n")
	b.WriteString("\n## The conversation's log\n")
	for _, v := range []any{Entry{}, Receipt{}, Stamped{}, Head{}, StampKey{}, Extra{}, JoinPackage{}, AppAAD{}, KeyDelta{}, Notice{}} {
		b.WriteString("\n### " + reflect.TypeOf(v).Name() + "\n\n" + s.section(reflect.TypeOf(v)))
	}
	b.WriteString(signedFormats)
	seen := map[reflect.Type]bool{}
	for _, v := range []any{StampKey{}, Entry{}, Extra{}, Receipt{}, Stamped{}} {
		seen[reflect.TypeOf(v)] = true
	}
	b.WriteString("\n## Requests\n")
	for _, c := range Calls() {
		fmt.Fprintf(&b, "\n### `%s`\n", c.Method)
		for _, m := range []Message{c.Request(), c.Response()} {
			s.message(&b, reflect.TypeOf(m).Elem(), seen)
		}
	}
	b.WriteString("\n## Push\n")
	for _, v := range []any{Subscribe{}, Hint{}} {
		b.WriteString("\n" + s.section(reflect.TypeOf(v)))
	}
	return b.String()
}

// message writes t and, before it, the structures in it not written yet.
func (s source) message(b *strings.Builder, t reflect.Type, seen map[reflect.Type]bool) {
	if t.Name() == "Empty" {
		b.WriteString("\nNo fields.\n")
		return
	}
	for i := range t.NumField() {
		inner := t.Field(i).Type
		for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && !seen[inner] {
			seen[inner] = true
			s.message(b, inner, seen)
		}
	}
	b.WriteString("\n" + s.section(t))
}

func errorFields(c Code) string {
	full := wire.MustEncode((&Error{Code: c, Epoch: 1, Seq: 2, Index: 3, Wait: 4e6}).Wire)
	switch len(full) {
	case 2:
		return ""
	case 2 + 16:
		return "uint64 epoch, uint64 seq"
	case 2 + 8:
		return "uint64 seq"
	}
	if c == Busy || c == Throttled {
		return "uint32 milliseconds to wait"
	}
	return "uint32 index of the package, from 0"
}

const signedFormats = `
### What is signed

` + "```" + `
entry.sig      = Ed25519(MK, "huis/entry/1" ‖ kind ‖ conversation ‖ epoch ‖ tag ‖
                         SHA-256(bytes) ‖ extra_hash)
                 kind one byte, epoch eight; tag is zeros but for applications
extra_hash     = SHA-256(Extra) of create and commit, zeros otherwise
entry's hash   = SHA-256(Entry), its signature included
chain          = SHA-256("huis-chain/3" ‖ chain_prev ‖ kind ‖ generation ‖ conversation ‖
                         seq ‖ epoch ‖ minute ‖ MK ‖ tag ‖ SHA-256(bytes) ‖ extra_hash ‖ entry.sig)
                 seq, epoch, minute eight bytes each; chain_prev of seq 1 is zeros
kid            = first 8 bytes of SHA-256("huis-stamp-key/1" ‖ public key)
receipt.stamp  = Ed25519(stamp key, "huis-stamp/2" ‖ kid ‖ chain)
open.sig       = Ed25519(MK, "huis/open/1" ‖ nonce ‖ origin ‖ conversation)
account_open.sig = Ed25519(M, "huis/session/1" ‖ nonce ‖ origin ‖ account ‖ device)
` + "```" + `

` + "`bytes`" + ` of an entry: of kind 0 ` + "`MemberKey members<V>`" + `; of kind 1 and 2 one MLSMessage
that is a PrivateMessage of this group_id and epoch, content type commit or application,
with KeyDelta or AppAAD as authenticated_data; of kind 3 a Notice.
`

func TestDocumentIsUpToDate(t *testing.T) {
	want := readSource(t).document()
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/messages.md is not what the source says: go test ./internal/proto -run Document -update")
	}
}

// encode writes a value as the document says: field by field in order.
func encode(b []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			b = encode(b, v.Field(i))
		}
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, 0)
		}
		return encode(append(b, 1), v.Elem())
	case reflect.Slice, reflect.String:
		var body []byte
		for i := range v.Len() {
			body = encode(body, v.Index(i))
		}
		return append(wire.AppendLength(b, len(body)), body...)
	case reflect.Array:
		for i := range v.Len() {
			b = encode(b, v.Index(i))
		}
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	default:
		full := binary.BigEndian.AppendUint64(nil, v.Uint())
		return append(b, full[8-v.Type().Size():]...)
	}
	return b
}

func TestEncodingIsThatOfTheDocument(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	all := []Message{&Entry{}, &Receipt{}, &Stamped{}, &Head{}, &StampKey{}, &Extra{}, &JoinPackage{}, &Subscribe{}, &Hint{}}
	for _, c := range Calls() {
		all = append(all, c.Request(), c.Response())
	}
	for _, m := range all {
		for round := range 2 {
			if round == 1 {
				fill(r, reflect.ValueOf(m).Elem())
			}
			got, err := Encode(m)
			if err != nil {
				t.Fatalf("%T: %v", m, err)
			}
			if want := encode(nil, reflect.ValueOf(m).Elem()); !bytes.Equal(got, want) {
				t.Errorf("%T is encoded as %x, by the document as %x", m, got, want)
			}
		}
	}
}
