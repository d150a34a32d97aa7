package rpc

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestASentenceIsFoundWithWhatIsInIt(t *testing.T) {
	for _, c := range []struct {
		text string
		code SentenceCode
		with []string
	}{
		{"", "", nil},
		{"the server shows less of @bob than its log has", "keys-less", []string{"bob"}},
		{"the stamp of entry 7 is not the server's: wrong: wrong", "chat-bad-stamp", []string{"7", "wrong: wrong"}},
		{"tell the server's operator", "fix-operator", nil},
		{"tell the server's operator soon", SentenceOther, nil},
		{"@bob has a new account since 2026-03-12, and no device of theirs signed that; it counts from a day after the log's next day begins unless one of their devices objects",
			"name-pending-open", []string{"bob", "2026-03-12"}},
		{"new keys cannot be checked: of the 3 witnesses of the server's log 2 have to vouch for it; now only 1 can: town", "witness-some", []string{"3", "2", "1", "town"}},
	} {
		s := say(c.text)
		if s == nil {
			s = new(Sentence)
		}
		if s.Code != c.code || !slices.Equal(s.With, c.with) {
			t.Errorf("%q is %q with %q", c.text, s.Code, s.With)
		}
	}
}

// passed are the places where the core hands on a sentence that is made elsewhere,
// or an error of a package below, which has words of its own here.
var passed = map[string]bool{
	"reason": true, "cv.meta.Alarm": true, "err.Error()": true, "string(why)": true, "why.Error()": true, "bad": true, "text": true,
	"t.pendingWords(&r, h)": true, "pendingFix(handle)": true, "pendingFix(r.Handle)": true,
	"breach.Error()": true, `""`: true,
}

// spelled are the sentences whose last place the core fills with words of its own.
var spelled = map[string][]string{
	"new keys cannot be checked: of the % witnesses of the server's log % have to vouch for it; %": {
		"new keys cannot be checked: of the % witnesses of the server's log % have to vouch for it; none of them does now",
		"new keys cannot be checked: of the % witnesses of the server's log % have to vouch for it; now only % can: %",
	},
	"the server's log had your name @% for another account before yours%: who wrote to @% before you joined wrote to that one": {
		"the server's log had your name @% for another account before yours: who wrote to @% before you joined wrote to that one",
		"the server's log had your name @% for another account before yours, since %: who wrote to @% before you joined wrote to that one",
	},
	"@% has a new account since %, and no device of theirs signed that; it counts from % unless one of their devices objects": {
		"@% has a new account since %, and no device of theirs signed that; it counts from % unless one of their devices objects",
		"@% has a new account since %, and no device of theirs signed that; it counts from a day after the log's next day begins unless one of their devices objects",
	},
	"@% added a device; a device of theirs signed that": {
		"@% added a device; a device of theirs signed that",
		"@% added a device; the recovery key signed that",
	},
	"%; so far that is their word alone": {
		"the server shows two logs: what % was shown differs from what this device was shown within the first % epochs; so far that is their word alone",
	},
	"%: stopped for safety: %": {"stopped for safety: %"},
	"%: %":                     {},
}

// wording are the functions whose results, and what they append, are sentences.
var wording = []string{
	"pendingWords", "pendingFix", "fixOf", "forkReason", "compareWarning", "changes", "policyWaits", "resetText", "twoLogs", "linkEvents", "*conversation.follows", "*tx.verify", "recoveredText", "convWarnings", "recoveryWarnings", "policyWarnings", "renameWarnings",
}

// sink gathers what the core's source says.
type sink struct {
	t      *testing.T
	fset   *token.FileSet
	consts map[string]ast.Expr
	found  map[string]string // pattern → where
}

func TestEverySentenceOfTheCoreIsListed(t *testing.T) {
	s := &sink{t: t, fset: token.NewFileSet(), consts: map[string]ast.Expr{}, found: map[string]string{}}
	paths, err := filepath.Glob("../client/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, p := range paths {
		if strings.HasSuffix(p, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(s.fset, p, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.remember(g)
			}
		}
	}
	for _, f := range files {
		for _, d := range f.Decls {
			s.decl(d)
		}
	}
	if len(s.found) < 90 {
		t.Errorf("only %d sentences were found: the source is written otherwise than this test reads it", len(s.found))
	}
	listed := map[string]bool{}
	for _, l := range sentences {
		listed[l.text] = true
	}
	for p, where := range s.found {
		want := []string{p}
		if other, ok := spelled[p]; ok {
			want = other
		}
		for _, w := range want {
			if !listed[w] {
				t.Errorf("%s: not in sentences.go: %q", where, w)
			}
		}
	}
	s.noneTooMany()
}

// noneTooMany fails on what is listed and no longer written anywhere.
func (s *sink) noneTooMany() {
	written := map[string]bool{}
	for p := range s.found {
		written[p] = true
		for _, w := range spelled[p] {
			written[w] = true
		}
	}
	for _, l := range sentences {
		if !written[l.text] && !elsewhere[l.text] {
			s.t.Errorf("sentences.go: the core does not say %q", l.text)
		}
	}
}

// elsewhere are sentences of packages below the core.
var elsewhere = map[string]bool{
	"files: the received file is not the one that was sent": true, "the backup's key is not one of the recovery key": true,
	"files: the received file is not the one that was sent: %": true,
}

func (s *sink) remember(g *ast.GenDecl) {
	for _, sp := range g.Specs {
		if v, ok := sp.(*ast.ValueSpec); ok && len(v.Names) == len(v.Values) {
			for i, n := range v.Names {
				s.consts[n.Name] = v.Values[i]
			}
		}
	}
}

func (s *sink) decl(d ast.Decl) {
	name := ""
	local := map[string]ast.Expr{}
	if f, ok := d.(*ast.FuncDecl); ok {
		if name = f.Name.Name; name == "follows" || name == "verify" {
			name = s.source(f.Recv.List[0].Type) + "." + name
		}
	}
	words := slices.Contains(wording, name)
	ast.Inspect(d, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, v := range n.Values {
				local[n.Names[i].Name] = v
			}
		case *ast.AssignStmt:
			s.assign(n, local)
		case *ast.CompositeLit:
			s.literal(n, local)
		case *ast.CallExpr:
			s.call(n, local, words)
		case *ast.ReturnStmt:
			if words {
				for _, r := range n.Results {
					s.text(r, local)
				}
			}
		}
		return true
	})
}

// text takes an expression if it is a text with words in it.
func (s *sink) text(e ast.Expr, local map[string]ast.Expr) {
	if p := s.pattern(e, local); strings.Contains(p, " ") {
		s.add(e, local)
	}
}

func (s *sink) assign(a *ast.AssignStmt, local map[string]ast.Expr) {
	if len(a.Lhs) != len(a.Rhs) {
		return
	}
	for i, l := range a.Lhs {
		switch l := l.(type) {
		case *ast.Ident:
			if a.Tok == token.DEFINE {
				local[l.Name] = a.Rhs[i]
			} else if l.Name == "bad" {
				s.text(a.Rhs[i], local)
			}
		case *ast.SelectorExpr:
			switch l.Sel.Name {
			case "Alarm", "Flaw", "Warning":
				s.add(a.Rhs[i], local)
			case "Text", "Reason", "Fix":
				s.text(a.Rhs[i], local)
			}
		}
	}
}

func (s *sink) literal(c *ast.CompositeLit, local map[string]ast.Expr) {
	of, ok := c.Type.(*ast.Ident)
	if !ok {
		return
	}
	for _, e := range c.Elts {
		kv, keyed := e.(*ast.KeyValueExpr)
		switch {
		case of.Name == "hinted" && !keyed:
			s.add(e, local)
		case of.Name == "SafetyError" && keyed && (s.source(kv.Key) == "Reason" || s.source(kv.Key) == "Fix"),
			of.Name == "TrustEvent" && keyed && s.source(kv.Key) == "Text":
			s.add(kv.Value, local)
		}
	}
}

// sinks are the calls that keep a sentence, and which argument it is.
var sinks = map[string]int{"warn": 1, "distrustLog": 1, "distrustProved": 1, "raiseLog": 1, "raise": 2, "forkReason": 1}

func (s *sink) call(c *ast.CallExpr, local map[string]ast.Expr, words bool) {
	name := ""
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		name = f.Sel.Name
	case *ast.Ident:
		name = f.Name
	}
	if n, ok := sinks[name]; ok && len(c.Args) > n {
		s.add(c.Args[n], local)
	}
	if name == "put" && (s.source(c.Args[0]) == `"translog/alarm"` || s.source(c.Args[0]) == "policyNewsKey") {
		s.add(c.Args[1], local)
	}
	if words && (name == "append" || name == "add") {
		for _, a := range c.Args {
			s.text(a, local)
		}
	}
}

// add takes a sentence, or sees that it is one made elsewhere.
func (s *sink) add(e ast.Expr, local map[string]ast.Expr) {
	p := s.pattern(e, local)
	if strings.Trim(p, "%") == "" {
		src := s.source(e)
		if c, ok := e.(*ast.CallExpr); ok && src != "err.Error()" && len(c.Args) == 1 && strings.HasPrefix(src, "[]byte(") {
			src = s.source(c.Args[0])
		}
		switch {
		case passed[src]:
		case strings.HasPrefix(src, "resetText("), strings.HasPrefix(src, "t.twoLogs("), strings.HasPrefix(src, "alarm."), strings.HasPrefix(src, "fixOf("), strings.HasPrefix(src, "c.forkReason("), strings.HasPrefix(src, "bad."):
		default:
			s.t.Errorf("%s: this test cannot read where %s comes from", s.fset.Position(e.Pos()), src)
		}
		return
	}
	s.found[p] = s.fset.Position(e.Pos()).String()
}

var verb = regexp.MustCompile(`%[-+#0-9.]*[a-z]`)

// pattern is the text of an expression, with % for what is filled in.
func (s *sink) pattern(e ast.Expr, local map[string]ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return s.pattern(e.X, local) + s.pattern(e.Y, local)
	case *ast.ParenExpr:
		return s.pattern(e.X, local)
	case *ast.Ident:
		if v, ok := local[e.Name]; ok && v != ast.Expr(e) {
			if p := s.pattern(v, nil); strings.Contains(p, " ") {
				return p
			}
			return "%"
		}
		if v, ok := s.consts[e.Name]; ok {
			return s.pattern(v, nil)
		}
	case *ast.CallExpr:
		switch s.source(e.Fun) {
		case "fmt.Sprintf", "fmt.Errorf", "errors.New":
			return verb.ReplaceAllString(s.pattern(e.Args[0], local), "%")
		case "fmt.Appendf":
			return verb.ReplaceAllString(s.pattern(e.Args[1], local), "%")
		case "[]byte":
			return s.pattern(e.Args[0], local)
		}
	}
	return "%"
}

func (s *sink) source(n ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, s.fset, n); err != nil {
		s.t.Fatal(err)
	}
	return b.String()
}

func TestEverySentenceHasWordsInEveryLanguage(t *testing.T) {
	for _, l := range []string{"en", "fr", "de"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "web", "src", "i18n", l+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var words map[string]any
		if err := json.Unmarshal(b, &words); err != nil {
			t.Fatal(err)
		}
		for _, s := range append(sentences, sentence{SentenceOther, "%"}) {
			text, ok := words[sayKey(s.code)].(string)
			if !ok {
				t.Errorf("%s.json has no %s", l, sayKey(s.code))
			}
			for _, p := range place.FindAllStringSubmatch(text, -1) {
				if n := strings.Count(s.text, "%"); int(p[1][0]-'a') >= n {
					t.Errorf("%s.json: %s has the place %s, and %q fills %d", l, sayKey(s.code), p[0], s.text, n)
				}
			}
		}
	}
}

var place = regexp.MustCompile(`\{(\w)\}`)

// sayKey is the name of a code's words: say_keysLess.
func sayKey(c SentenceCode) string {
	parts := strings.Split(string(c), "-")
	for i, p := range parts[1:] {
		parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
	}
	return "say_" + strings.Join(parts, "")
}
