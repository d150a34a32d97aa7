package mls

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/mls"
)

var report = flag.String("report", "", "file to write all figures to, as a document")

const reportHead = "# What MLS costs\n\n" +
	"Written by `go test ./bench/mls -run TestReport -report ../../docs/benchmarks.md -timeout 0`.\n\n" +
	"Each cell is the processor time of one operation, garbage collection included, and\n" +
	"in brackets how many times the *floor* that is: the sum of the public-key operations,\n" +
	"hashes, key derivations and per-byte work the operation cannot do without, timed in\n" +
	"the same run on the same machine. The best of many batches counts, since others use\n" +
	"the machine too; a ratio a little below 1 is the noise that remains.\n\n" +
	"*Full*: every node of the tree has a key, the best case. *Flat*: all members were\n" +
	"added in one commit and nobody has committed since, the worst: a commit is sealed to\n" +
	"each of them. Who processes is the committer's neighbour, who has the most keys to\n" +
	"derive. *add* is a commit of one Add without a path, Welcome included; *remove* takes a\n" +
	"member out of the other half of the tree.\n\n" +
	"| operation | floor: d = ⌈log₂ members⌉ |\n| --- | --- |\n" +
	"| commit | a seal for each ciphertext the path must have (full: d; flat: members − 1), d + 1 key derivations, 2 signatures, path and tree hashes, key schedule |\n" +
	"| process | 1 open, d key derivations, 2 verifications, path and tree hashes, key schedule |\n" +
	"| add | 1 seal, 2 signatures, 2 verifications; *process add*: 3 verifications |\n" +
	"| remove | as commit; the removed member's blank path needs up to d − 1 more seals |\n" +
	"| join | 1 open, members + 1 verifications, tree and parent hashes |\n" +
	"| send, receive (1 KiB) | 1 signature or verification, 5 expansions, 2 AEAD calls |\n\n"

// TestReport measures everything and writes docs/benchmarks.md.
func TestReport(t *testing.T) {
	if *report == "" {
		t.Skip("run with -report FILE")
	}
	var b strings.Builder
	b.WriteString(reportHead)
	fmt.Fprintf(&b, "%s %s/%s, %d processors%s.\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), load())
	for _, suite := range suites {
		floor, costs := measureSuite(t, suite)
		for _, full := range []bool{true, false} {
			writeTable(t, &b, suite, full, floor, costs)
		}
	}
	if err := os.WriteFile(*report, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// load says how busy the machine was: above the number of processors, expect
// single figures to be too high.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return ", load average " + strings.Fields(string(b))[0]
}

type cell struct {
	shape     shape
	operation string
}

// measureSuite times the primitives again before each group and keeps the best,
// so that floor and figures had the same chances.
func measureSuite(t *testing.T, suite mls.CipherSuite) (primitives, map[cell]time.Duration) {
	floor, costs := measurePrimitives(t, suite), map[cell]time.Duration{}
	for _, s := range cases() {
		if s.suite != suite {
			continue
		}
		floor = floor.best(measurePrimitives(t, suite))
		for _, o := range operations {
			before, f := o.prepare(t, s.pair(t))
			costs[cell{s, o.name}] = cost(*budget, before, f)
		}
	}
	return floor, costs
}

func (p primitives) best(o primitives) primitives {
	return primitives{
		min(p.Seal, o.Seal), min(p.Open, o.Open), min(p.DeriveKeyPair, o.DeriveKeyPair), min(p.Sign, o.Sign), min(p.Verify, o.Verify),
		min(p.HashLeaf, o.HashLeaf), min(p.HashParent, o.HashParent), min(p.Expand, o.Expand), min(p.AEAD, o.AEAD), min(p.KiB, o.KiB),
	}
}

var suiteNames = map[mls.CipherSuite]string{
	mls.X25519AES128SHA256Ed25519: "X25519, AES-128-GCM, SHA-256, Ed25519",
	mls.XWingChaChaSHA384Ed25519:  "ML-KEM-768 + X25519, ChaCha20-Poly1305, SHA-384, Ed25519",
}

func writeTable(t *testing.T, b *strings.Builder, suite mls.CipherSuite, full bool, floor primitives, costs map[cell]time.Duration) {
	tree := "flat"
	if full {
		tree = "full"
	}
	fmt.Fprintf(b, "\n## %s: %s tree\n\n| members |", suiteNames[suite], tree)
	for _, n := range sizes {
		fmt.Fprintf(b, " %d |", n)
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(sizes)+1) + "\n")
	for _, o := range operations {
		fmt.Fprintf(b, "| %s |", o.name)
		for _, n := range sizes {
			s := shape{suite, n, full}
			m := measured{costs[cell{s, o.name}], o.floor(s.pair(t)).cost(floor)}
			fmt.Fprintf(b, " %s (%.2f) |", milliseconds(m.cost), m.ratio())
		}
		b.WriteString("\n")
	}
}

// milliseconds has three digits that matter.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms >= 1:
		return fmt.Sprintf("%.2f ms", ms)
	}
	return fmt.Sprintf("%.3f ms", ms)
}
