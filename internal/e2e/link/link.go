// Package link plays the thief of a server's disk who wants to know which
// account takes part in which conversation. It knows nothing of the schema: it
// takes every row, page, write-ahead frame and log line, and looks for a path
// of shared values from an account to a conversation.
//
// Read collects the disk; Disk.Joins is the attack. It plays the attacks of
// record and place. It does not play the correlation of traffic in time beyond
// stored clocks: who records live traffic links accounts anyway.
package link

import (
	"bytes"
	"fmt"
	"slices"

	"codeberg.org/huis/huis/internal/e2e/canary"
)

// Record is one thing on the disk whose parts belong together.
type Record struct {
	Source string // such as "member row 3" or "server.log line 12"
	Fields [][]byte
}

// Join says that the disk ties an account to a conversation, and how.
type Join struct {
	Account, Conversation string // names, as given to Joins
	Kind                  Kind
	Path                  []string // sources, from the account to the conversation
}

// Kind is the attack that found a join.
type Kind string

const (
	ByValue       Kind = "shared value"     // rows or log lines hold the same value, or its digest
	ByPage        Kind = "same page"        // a page, free ones too, holds values of both
	ByTransaction Kind = "same transaction" // one transaction in the write-ahead log changed both
)

func (j Join) String() string {
	return fmt.Sprintf("%s is in %s: %s, by %q", j.Account, j.Conversation, j.Kind, j.Path)
}

// Named is an identifier the thief is given, with a name for the report.
type Named struct {
	Name string
	ID   []byte
}

// side is one end of a join.
type side int

const (
	accounts side = iota
	conversations
)

// token is a window of bytes that identifies: no two independent values share
// one by chance.
type token [window]byte

const (
	window   = 16
	distinct = 12 // bytes that differ within a window; lifetimes, lengths and padding have fewer
)

// tokens calls f with each identifying window of b.
func tokens(b []byte, f func(token)) {
	tokensAt(b, func(_ int, t token) { f(t) })
}

func tokensAt(b []byte, f func(at int, t token)) {
	var count [256]int
	different := 0
	for i, c := range b {
		if count[c]++; count[c] == 1 {
			different++
		}
		if i >= window {
			if count[b[i-window]]--; count[b[i-window]] == 0 {
				different--
			}
		}
		if i >= window-1 && different >= distinct {
			f(i-window+1, token(b[i-window+1:i+1]))
		}
	}
}

// graph connects records that share a token. Record and token sets are closed
// over from each named identifier.
type graph struct {
	records []Record
	holders map[token][]int // records that hold the token, ascending
	held    [][]token
	dull    map[token]bool // tokens that tell nothing
}

// newGraph leaves out the tokens that tell nothing: those that stand directly
// with every account or with every conversation, such as the server's address.
func newGraph(records []Record, ends [2][]Named) *graph {
	g := buildGraph(records, nil)
	return buildGraph(records, g.common(ends))
}

func buildGraph(records []Record, dull map[token]bool) *graph {
	g := &graph{records, make(map[token][]int), make([][]token, len(records)), dull}
	for i := range records {
		for _, f := range records[i].Fields {
			g.telling(f, func(t token) { g.hold(i, t) })
		}
	}
	g.addEncoded()
	return g
}

// telling calls f with the tokens of b that do not lie on dull bytes: with a
// few bytes beside a common value, two windows are alike by chance.
func (g *graph) telling(b []byte, f func(token)) {
	const overlap = 4
	covered := make([]bool, len(b)+1)
	for i := 0; len(g.dull) > 0 && i+window <= len(b); i++ {
		if g.dull[token(b[i:i+window])] {
			for k := range window {
				covered[i+k] = true
			}
		}
	}
	end, on := 0, 0 // tokens come in order of their ends
	tokensAt(b, func(at int, t token) {
		for ; end < at+window; end++ {
			if covered[end] {
				on++
			}
			if end >= window && covered[end-window] {
				on--
			}
		}
		if on <= overlap {
			f(t)
		}
	})
}

func (g *graph) hold(i int, t token) {
	in := g.holders[t]
	if len(in) > 0 && in[len(in)-1] == i || slices.Contains(in[max(0, len(in)-4):], i) {
		return
	}
	g.holders[t] = append(in, i)
	g.held[i] = append(g.held[i], t)
}

// addEncoded connects records of which one holds another's value as hex, base64
// or digest. Values of 16 to 64 bytes are taken: identifiers, keys, digests.
func (g *graph) addEncoded() {
	var s canary.Scanner
	first := make(map[string]token)
	for _, r := range g.records {
		for _, f := range r.Fields {
			if len(f) < window || len(f) > 64 {
				continue
			}
			g.telling(f, func(t token) {
				if _, known := first[string(f)]; !known && s.Add(string(f), f) == nil {
					first[string(f)] = t
				}
			})
		}
	}
	for i, r := range g.records {
		for _, f := range r.Fields {
			for _, hit := range s.Bytes("", f) {
				if hit.Encoding != "raw" {
					g.hold(i, first[hit.Secret])
				}
			}
		}
	}
}

// reach is what can be tied to one identifier: records with the one they were
// reached from, and tokens.
type reach struct {
	from   map[int]int // record → the record before it, itself at the start
	tokens map[token]bool
}

// start gives the tokens an identifier shows itself by.
func start(id []byte) []token {
	var s []token
	for _, form := range forms(id) {
		tokens(form, func(t token) { s = append(s, t) })
	}
	return s
}

// closure follows shared tokens from id.
func (g *graph) closure(id []byte) reach {
	r := reach{make(map[int]int), make(map[token]bool)}
	type step struct {
		t    token
		from int
	}
	var queue []step
	for _, t := range start(id) {
		r.tokens[t] = true
		queue = append(queue, step{t, -1})
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for _, i := range g.holders[s.t] {
			if _, seen := r.from[i]; seen {
				continue
			}
			r.from[i] = s.from
			for _, t := range g.held[i] {
				if !r.tokens[t] {
					r.tokens[t] = true
					queue = append(queue, step{t, i})
				}
			}
		}
	}
	return r
}

// common finds the tokens that stand directly with all of one end.
func (g *graph) common(ends [2][]Named) map[token]bool {
	common := make(map[token]bool)
	for _, end := range ends {
		if len(end) < 3 {
			continue
		}
		count := make(map[token]int)
		for _, n := range end {
			for t := range g.beside(n.ID) {
				count[t]++
			}
		}
		for t, c := range count {
			if c == len(end) {
				common[t] = true
			}
		}
	}
	return common
}

// beside gives the tokens of the records that hold id itself.
func (g *graph) beside(id []byte) map[token]bool {
	beside := make(map[token]bool)
	for _, t := range start(id) {
		for _, i := range g.holders[t] {
			for _, t := range g.held[i] {
				beside[t] = true
			}
		}
	}
	return beside
}

func (r reach) path(to int, records []Record) []string {
	var p []string
	for i := to; i >= 0; i = r.from[i] {
		p = append(p, records[i].Source)
	}
	slices.Reverse(p)
	return p
}

func holdsID(r Record, id []byte) bool {
	for _, f := range r.Fields {
		for _, form := range forms(id) {
			if bytes.Contains(f, form) {
				return true
			}
		}
	}
	return false
}
