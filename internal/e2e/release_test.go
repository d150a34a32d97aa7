package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestAReleaseKnowsNoAttack: the program that is given out has nothing of the
// lying server and the simulation, and no command of theirs.
func TestAReleaseKnowsNoAttack(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "codeberg.org/huis/huis/cmd/huis").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"internal/evil", "internal/sim", "internal/e2e"} {
		if strings.Contains(string(out), "codeberg.org/huis/huis/"+p) {
			t.Errorf("a release links %s", p)
		}
	}
	program, err := os.ReadFile(*binary)
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := exec.Command("go", "tool", "nm", *binary).Output()
	if err != nil || !bytes.Contains(symbols, []byte("internal/cli.Main")) {
		t.Fatalf("the symbols of the program: %v", err)
	}
	for _, word := range []string{"huis/internal/evil", "huis/internal/sim", "attack-operator", "HUIS_WITHOUT", "HUIS_MALICE", "huisWeak"} {
		if bytes.Contains(program, []byte(word)) || bytes.Contains(symbols, []byte(word)) {
			t.Errorf("a release has %q", word)
		}
	}
	for _, args := range [][]string{{"attack"}, {"attack", "B-1"}, {"attack-operator", t.TempDir()}} {
		err := exec.Command(*binary, args...).Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("huis %v: %v, want exit 2", args, err)
		}
	}
	help, err := exec.Command(*binary, "--help").CombinedOutput()
	if err != nil || strings.Contains(string(help), "attack") {
		t.Errorf("the help names an attack: %v", err)
	}
}
