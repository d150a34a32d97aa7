//go:build evil

package evil

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
)

// tell prints a row for a person.
func tell(w io.Writer, r Row) {
	mark := "ok"
	if !r.OK {
		mark = "NOT OK"
	}
	control := ""
	if r.Control != "" {
		control = "without the defence " + string(r.Control)
	}
	fmt.Fprintf(w, "%-8s %-10s %-6s %6.1f s  %-30s  %s\n", r.ID, r.Outcome, mark, r.Seconds, control, r.Name)
	if r.Figures != "" {
		fmt.Fprintf(w, "         %s\n", r.Figures)
	}
	if r.Why != "" {
		fmt.Fprintf(w, "         expected %s: %s\n", r.Expected, r.Why)
	}
}

// statement is an in-toto test-result over the program the people ran
// (https://in-toto.io/attestation/test-result/v0.1).
func statement(program string, rows []Row) ([]byte, error) {
	b, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	result := "PASSED"
	var passed, failed []string
	for _, r := range rows {
		if r.OK {
			passed = append(passed, r.ID)
		} else {
			failed, result = append(failed, r.ID), "FAILED"
		}
	}
	predicate := map[string]any{
		"result":        result,
		"configuration": []any{map[string]any{"name": "huis attack", "uri": "https://codeberg.org/huis/huis", "annotations": map[string]any{"build": build(), "rows": rows}}},
		"passedTests":   orEmpty(passed),
		"failedTests":   orEmpty(failed),
	}
	return json.MarshalIndent(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": "huis", "digest": map[string]string{"sha256": hex.EncodeToString(sum[:])}}},
		"predicateType": "https://in-toto.io/attestation/test-result/v0.1",
		"predicate":     predicate,
	}, "", "  ")
}

func orEmpty(s []string) []string { return append([]string{}, s...) }

// build names the Go that this program was built with.
func build() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.GoVersion
	}
	return "unknown"
}

// The place of the table in README.md.
const (
	tableBegin = "<!-- attacks: written by `huis attack --readme` -->\n"
	tableEnd   = "<!-- attacks end -->\n"
)

// readmeTable is the table for README.md, without times.
func readmeTable(rows []Row) string {
	var b strings.Builder
	b.WriteString("| attack | tried | outcome |\n| --- | --- | --- |\n")
	for _, r := range rows {
		outcome := string(r.Outcome)
		if r.Within != "" {
			outcome += ", " + r.Within
		}
		if !r.OK {
			outcome += ", **not as expected**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.ID, r.Name, outcome)
	}
	return b.String()
}

// putTable replaces the table in a document.
func putTable(document []byte, table string) ([]byte, error) {
	begin := bytes.Index(document, []byte(tableBegin))
	end := bytes.Index(document, []byte(tableEnd))
	if begin < 0 || end < begin {
		return nil, fmt.Errorf("the document has no place for the table")
	}
	begin += len(tableBegin)
	return slices.Concat(document[:begin], []byte(table), document[end:]), nil
}
