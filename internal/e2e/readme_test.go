package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestReadmeWalkWorksAsWritten types what README.md, and its French sister, say,
// line by line, putting what was printed where the text says to put it.
func TestReadmeWalkWorksAsWritten(t *testing.T) {
	for _, name := range []string{"README.md", "README.fr.md"} {
		t.Run(name, func(t *testing.T) { walk(t, name) })
	}
}

func walk(t *testing.T, readme string) {
	b, err := os.ReadFile(filepath.Join("..", "..", readme))
	if err != nil {
		t.Fatal(err)
	}
	lines := commandLines(string(b))
	if len(lines) < 12 || !strings.Contains(string(b), "make run") {
		t.Fatalf("%d commands in %s", len(lines), readme)
	}
	s := house(t)
	dir := t.TempDir()
	for _, d := range []string{"bin", "docs"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := os.ReadFile(filepath.Join("..", "..", "docs", "house.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "docs", "house.svg"), plan, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.Huis, filepath.Join(dir, "bin", "huis")); err != nil {
		t.Fatal(err)
	}
	w := &walker{t: t, dir: dir, words: map[string]string{"INVITATION": s.Invite}}
	for _, line := range lines {
		w.enter(line)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "try", "saved", "house.svg")); err != nil || !bytes.Equal(got, plan) {
		t.Errorf("the saved file: %d bytes, %v", len(got), err)
	}
}

// commandLines gives the lines of the ```sh blocks.
func commandLines(text string) []string {
	var lines []string
	for i, part := range strings.Split(text, "```") {
		if body, ok := strings.CutPrefix(part, "sh\n"); ok && i%2 == 1 {
			lines = append(lines, strings.Split(strings.TrimSpace(body), "\n")...)
		}
	}
	return lines
}

// walker is a person with several terminals.
type walker struct {
	t     *testing.T
	dir   string
	words map[string]string // what to put in place of which word
}

// enter runs a line to its end; link and --follow, which wait, only until they
// have said something.
func (w *walker) enter(line string) {
	w.t.Helper()
	typed := line
	for word, by := range w.words {
		typed = strings.ReplaceAll(typed, word, by)
	}
	cmd := exec.Command("sh", "-c", "exec "+typed)
	cmd.Dir = w.dir
	cmd.Stdin = strings.NewReader("yes\n")
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	waits := strings.Contains(line, " link ") || strings.Contains(line, "--follow")
	if waits {
		w.t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); <-ended })
		out.until(w.t, "\n")
	} else if err := <-ended; err != nil {
		w.t.Fatalf("%s: %v\n%s", line, err, out.String())
	}
	w.learn(line, &out)
}

// learn takes from the output what the text says to use later.
func (w *walker) learn(line string, out *output) {
	w.t.Helper()
	switch {
	case strings.Contains(line, " invite "):
		w.words["FOR-BOB"] = strings.TrimSpace(out.String())
	case strings.Contains(line, " status "):
		for l := range strings.Lines(out.String()) {
			if f := strings.Fields(l); len(f) == 2 && f[0] == "server" {
				w.words["SERVER"] = f[1]
			}
		}
	case strings.Contains(line, " link "):
		out.until(w.t, "approve ")
		_, after, _ := strings.Cut(out.String(), "approve ")
		w.words["CODE"] = strings.Fields(after)[0]
	case strings.Contains(line, " read "), strings.Contains(line, "--follow"):
		out.until(w.t, ": ") // somebody said something
	}
}

// output is what a terminal shows, read while it is written.
type output struct {
	mu     sync.Mutex // guards buffer
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

func (o *output) until(t *testing.T, what string) {
	t.Helper()
	for end := time.Now().Add(ReadyWithin); !strings.Contains(o.String(), what); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q did not come: %q", what, o.String())
		}
	}
}
