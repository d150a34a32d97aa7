//go:build evil

package evil

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryAttackIsWhole: ids are distinct, and no row could pass by accident.
func TestEveryAttackIsWhole(t *testing.T) {
	seen := make(map[string]bool)
	for _, a := range Attacks() {
		switch {
		case seen[a.ID] || number(a.ID) < 1 || number(a.ID) > 44:
			t.Errorf("%s is no id, or there twice", a.ID)
		case (a.Play == nil) == (a.Judge == nil) || a.Name == "" || a.Expected == "":
			t.Errorf("%s is not whole", a.ID)
		case a.Expected == Detected && a.Within == "":
			t.Errorf("%s is detected, and does not say within which bound", a.ID)
		case a.Expected == Residual && a.Gains == "":
			t.Errorf("%s works, and does not say what it gives", a.ID)
		case len(a.Without) == 0 && a.Control == "" && a.Expected != Residual:
			t.Errorf("%s has no control", a.ID)
		}
		seen[a.ID] = true
	}
	for n := 1; n <= 44; n++ { // of each it is said whether it is played
		id := fmt.Sprintf("B-%d", n)
		played := slices.ContainsFunc(table, func(a Attack) bool { return number(a.ID) == n })
		waits := slices.ContainsFunc(later, func(l struct{ ID, With string }) bool { return l.ID == id })
		if played == waits {
			t.Errorf("%s: played %v, and said to come later %v", id, played, waits)
		}
	}
}

// TestEveryDefenceIsWhereItIsSaid: each change of the source fits.
func TestEveryDefenceIsWhereItIsSaid(t *testing.T) {
	root := filepath.Join("..", "..")
	bad, err := misfits(root)
	for id, why := range bad {
		t.Errorf("%s: %v", id, why)
	}
	if err == nil {
		_, err = overlay(root, t.TempDir(), bad)
	}
	if err != nil {
		t.Error(err)
	}
}

func TestAnEditThatDoesNotFitIsRefused(t *testing.T) {
	source := []byte("package x\nfunc f() {\n\tif a || b {\n\t}\n\tif a || b {\n\t}\n\tif c := g(); c > 1 {\n\t}\n}\n")
	for name, e := range map[string]Edit{
		"twice": Off("x.go", "if a || b {"),
		"never": Off("x.go", "if a && b {"),
	} {
		if _, err := change(source, []*placed{{Edit: e}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	b, err := change(source, []*placed{{Edit: Off("x.go", "if c := g(); c > 1 {"), without: []string{"B-1/a", "B-2"}}})
	if err != nil || !strings.Contains(string(b), `if c := g(); (c > 1) && !huisWeak("B-1/a B-2", "") {`) {
		t.Errorf("%v\n%s", err, b)
	}
	one, two := Edit{"x.go", "func f() {", "x"}, Edit{"x.go", "f() {\n\tif a", "y"}
	if _, err := change([]byte("func f() {\n\tif a {}}"), []*placed{{Edit: one}, {Edit: two}}); err == nil {
		t.Error("two changes of one place: no error")
	}
}

// TestOutcomesFollowFromWhatWasSeen and a row is not ok by what was hoped.
func TestOutcomesFollowFromWhatWasSeen(t *testing.T) {
	for _, c := range []struct {
		facts Facts
		want  Outcome
	}{
		{Facts{}, Prevented},
		{Facts{Alerted: "x"}, Prevented},
		{Facts{Effect: true}, Succeeded},
		{Facts{Effect: true, Alerted: "x"}, Detected},
		{Facts{Effect: true, Alerted: "x", Proof: "f"}, Evident},
		{Facts{Proof: "f"}, Evident},
	} {
		if got := c.facts.Outcome(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.facts, got, c.want)
		}
	}
}

// TestReadmeHasTheTable: README.md's rows are those of the table, and their
// outcomes what is expected; times are not compared.
func TestReadmeHasTheTable(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []Row
	for _, a := range Attacks() {
		if !a.Long {
			rows = append(rows, Row{ID: a.ID, Name: a.Name, Outcome: a.Expected, Within: a.Within, OK: true})
		}
	}
	want, err := putTable(document, readmeTable(rows))
	if err != nil || string(want) != string(document) {
		t.Errorf("README.md has another table (%v): go run -tags evil ./cmd/huis attack --readme", err)
	}
}
