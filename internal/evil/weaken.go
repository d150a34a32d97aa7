//go:build evil

package evil

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// What the weakened program goes by. Only that one does.
const (
	withoutKey = "HUIS_WITHOUT" // the attack whose defences are off
	maliceKey  = "HUIS_MALICE"  // the attack whose malice this device shows
)

// Edit changes one place of the source: Old, which stands in File exactly once,
// becomes New. In New, $W is true where the change is to act.
type Edit struct{ File, Old, New string }

// Off takes out a check: line is the whole of an `if CONDITION {` or
// `case CONDITION:` that refuses something, as it stands in the file.
func Off(file, line string) Edit {
	head, cond, tail := "", strings.TrimSpace(line), ""
	switch {
	case strings.HasPrefix(cond, "if ") && strings.HasSuffix(cond, " {"):
		head, tail = "if ", " {"
		cond = strings.TrimSuffix(strings.TrimPrefix(cond, "if "), " {")
		if at := strings.LastIndex(cond, "; "); at >= 0 {
			head, cond = head+cond[:at+2], cond[at+2:]
		}
	case strings.HasPrefix(cond, "case ") && strings.HasSuffix(cond, ":"):
		head, tail = "case ", ":"
		cond = strings.TrimSuffix(strings.TrimPrefix(cond, "case "), ":")
	default:
		panic("evil: not a condition: " + line)
	}
	return Edit{file, line, head + "(" + cond + ") && !$W" + tail}
}

// placed is an edit with the attacks it is for.
type placed struct {
	Edit
	at              int
	without, malice []string
}

// misfits tells of which attacks a defence, or a malice, does not stand in the
// source as it is said to. They are left out of the weakened program.
func misfits(root string) (map[string]error, error) {
	bad, sources := make(map[string]error), make(map[string][]byte)
	for _, a := range Attacks() {
		for _, e := range slices.Concat(a.Without, a.Malice) {
			source, read := sources[e.File]
			if !read {
				var err error
				if source, err = os.ReadFile(filepath.Join(root, e.File)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return nil, err
				}
				sources[e.File] = source
			}
			if n := bytes.Count(source, []byte(e.Old)); n != 1 {
				bad[a.ID] = fmt.Errorf("what it changes stands in %s %d times: %q", e.File, n, e.Old)
			}
		}
	}
	return bad, nil
}

// edits gathers the table's by file, but for those of attacks that do not fit.
// Two attacks may share one.
func edits(bad map[string]error) map[string][]*placed {
	files := make(map[string][]*placed)
	add := func(e Edit) *placed {
		for _, p := range files[e.File] {
			if p.Edit == e {
				return p
			}
		}
		p := &placed{Edit: e}
		files[e.File] = append(files[e.File], p)
		return p
	}
	for _, a := range Attacks() {
		if bad[a.ID] != nil {
			continue
		}
		for _, e := range a.Without {
			p := add(e)
			p.without = append(p.without, a.ID)
		}
		for _, e := range a.Malice {
			p := add(e)
			p.malice = append(p.malice, a.ID)
		}
	}
	return files
}

// change makes the edits of one file.
func change(source []byte, all []*placed) ([]byte, error) {
	for _, p := range all {
		if n := bytes.Count(source, []byte(p.Old)); n != 1 {
			return nil, fmt.Errorf("%s: what attack %v changes stands there %d times: %q", p.File, append(p.without, p.malice...), n, p.Old)
		}
		p.at = bytes.Index(source, []byte(p.Old))
	}
	slices.SortFunc(all, func(a, b *placed) int { return cmp.Compare(a.at, b.at) })
	var out []byte
	end := 0
	for _, p := range all {
		if p.at < end {
			return nil, fmt.Errorf("%s: two attacks change the same place: %q", p.File, p.Old)
		}
		when := fmt.Sprintf("huisWeak(%q, %q)", strings.Join(p.without, " "), strings.Join(p.malice, " "))
		out = append(append(out, source[end:p.at]...), strings.ReplaceAll(p.New, "$W", when)...)
		end = p.at + len(p.Old)
	}
	return append(out, source[end:]...), nil
}

// switches is what a weakened package is given.
const switches = `package %s

import (
	"encoding/hex"
	"os"
	"slices"
	"strings"
)

var huisWithout, huisMalice = os.Getenv(%q), os.Getenv(%q)

func huisWeak(without, malice string) bool {
	return huisWithout != "" && slices.Contains(strings.Fields(without), huisWithout) ||
		huisMalice != "" && slices.Contains(strings.Fields(malice), huisMalice)
}

// huisLeak keeps something for the next request to carry in clear.
func huisLeak(text string) { os.Setenv("HUIS_LEAKED", text) }

var huisCount byte

// huisNext counts up in each process, as a generator does that was seeded badly.
func huisNext() byte { huisCount++; return huisCount }

func huisLeaked() string { return os.Getenv("HUIS_LEAKED") }

// huisWrite hands something to whoever plays the attack.
func huisWrite(b []byte) { os.WriteFile(os.Getenv("HUIS_LEAK_FILE"), b, 0o600) }

// huisTell is huisWrite for one more line, in hex.
func huisTell(b ...byte) {
	f, err := os.OpenFile(os.Getenv("HUIS_LEAK_FILE"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		f.WriteString(hex.EncodeToString(b) + "\n")
		f.Close()
	}
}
`

// errNoSource says that the controls cannot be played.
var errNoSource = errors.New("the controls need this program's source and Go: run it there, as go run -tags evil ./cmd/huis attack")

// weaken builds the weakened program into dir and returns where it is, and the
// attacks that are not in it.
func weaken(ctx context.Context, dir string) (program string, bad map[string]error, err error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "codeberg.org/huis/huis").Output()
	if err != nil {
		return "", nil, errNoSource
	}
	if bad, err = misfits(strings.TrimSpace(string(root))); err != nil {
		return "", nil, err
	}
	overlay, err := overlay(strings.TrimSpace(string(root)), dir, bad)
	if err != nil {
		return "", nil, err
	}
	program = filepath.Join(dir, "huis-weakened")
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "evil", "-overlay", overlay, "-buildvcs=false", "-o", program, "./cmd/huis")
	cmd.Dir = strings.TrimSpace(string(root))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("the weakened program does not build: %v\n%s", err, out)
	}
	return program, bad, nil
}

// overlay writes the changed files, and the list of them that go build takes.
func overlay(root, dir string, bad map[string]error) (string, error) {
	replace := make(map[string]string)
	put := func(place string, text []byte) error {
		name := filepath.Join(dir, fmt.Sprintf("overlay-%d.go", len(replace)))
		replace[filepath.Join(root, place)] = name
		return os.WriteFile(name, text, 0o600)
	}
	packages := make(map[string]string)
	for file, all := range edits(bad) {
		source, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return "", err
		}
		changed, err := change(source, all)
		if err != nil {
			return "", err
		}
		if err := put(file, changed); err != nil {
			return "", err
		}
		packages[filepath.Dir(file)] = packageName(source)
	}
	for folder, name := range packages {
		if err := put(filepath.Join(folder, "zz_weakened.go"), fmt.Appendf(nil, switches, name, withoutKey, maliceKey)); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, b, 0o600)
}

// packageName reads the package clause.
func packageName(source []byte) string {
	for line := range bytes.Lines(source) {
		if name, ok := bytes.CutPrefix(line, []byte("package ")); ok {
			return string(bytes.TrimSpace(name))
		}
	}
	return ""
}
