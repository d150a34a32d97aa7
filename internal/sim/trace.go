package sim

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"strings"
	"time"
)

// Trace is what happened, in order: the last lines to print when a run fails,
// and a hash over all of them to compare two runs of one seed.
type Trace struct {
	start, now time.Time
	sum        hash.Hash
	ring       []string
	Echo       func(line string) // called with every line; nil = no
}

// traceKeep is how many lines a failing run can show.
const traceKeep = 4000

// NewTrace starts an empty trace; lines carry the time since start.
func NewTrace(start time.Time) *Trace {
	return &Trace{start: start, now: start, sum: sha256.New()}
}

// Add appends a line by who.
func (t *Trace) Add(who, format string, args ...any) {
	line := fmt.Sprintf("%12.3fs %-12s %s", t.now.Sub(t.start).Seconds(), who, fmt.Sprintf(format, args...))
	t.sum.Write([]byte(line + "\n"))
	if len(t.ring) == traceKeep {
		t.ring = append(t.ring[:0], t.ring[traceKeep/2:]...)
	}
	t.ring = append(t.ring, line)
	if t.Echo != nil {
		t.Echo(line)
	}
}

// Hash is over all lines so far.
func (t *Trace) Hash() string { return fmt.Sprintf("%x", t.sum.Sum(nil)) }

// Tail returns at most the last n lines.
func (t *Trace) Tail(n int) string {
	return strings.Join(t.ring[max(0, len(t.ring)-n):], "\n")
}
