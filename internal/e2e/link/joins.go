package link

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// Joins plays the attack and returns every pair it can prove. To tell values
// that identify from those that stand everywhere, give at least three accounts
// and three conversations, none with everybody in it.
func (d *Disk) Joins(acc, conv []Named) []Join {
	g := newGraph(d.Records, [2][]Named{acc, conv})
	var joins []Join
	reached := [2][]reach{}
	for _, a := range acc {
		reached[accounts] = append(reached[accounts], g.closure(a.ID))
	}
	for _, c := range conv {
		reached[conversations] = append(reached[conversations], g.closure(c.ID))
	}
	for i, a := range acc {
		joins = append(joins, g.byValue(a, reached[accounts][i], conv)...)
	}
	mixed := make(map[string]bool) // whose tokens are those of both sides by now
	for _, j := range joins {
		mixed[j.Account], mixed[j.Conversation] = true, true
	}
	for i, a := range acc {
		for k, c := range conv {
			if mixed[a.Name] || mixed[c.Name] {
				continue
			}
			joins = append(joins, g.byPlace(d, a, c, reached[accounts][i].tokens, reached[conversations][k].tokens)...)
		}
	}
	return joins
}

// byValue reports the conversations that a's closure came to.
func (g *graph) byValue(a Named, r reach, conv []Named) []Join {
	var joins []Join
	for _, c := range conv {
		for i := range g.records {
			if _, ok := r.from[i]; ok && holdsID(g.records[i], c.ID) {
				joins = append(joins, Join{a.Name, c.Name, ByValue, r.path(i, g.records)})
				break
			}
		}
	}
	return joins
}

// byPlace reports pages and transactions that hold tokens of both.
func (g *graph) byPlace(d *Disk, a, c Named, of, with map[token]bool) []Join {
	var joins []Join
	for kind, places := range map[Kind][]Record{ByPage: d.Pages, ByTransaction: d.Transactions} {
		for _, p := range places {
			var both [2]bool
			for _, f := range p.Fields {
				g.telling(f, func(t token) {
					both[0] = both[0] || of[t]
					both[1] = both[1] || with[t]
				})
			}
			if both[0] && both[1] {
				joins = append(joins, Join{a.Name, c.Name, kind, []string{p.Source}})
			}
		}
	}
	return joins
}

// forms gives the ways an identifier may be written: raw, hex, base64, and the
// digest a careful programmer would think hides it.
func forms(id []byte) [][]byte {
	sum := sha256.Sum256(id)
	var all [][]byte
	for _, b := range [][]byte{id, sum[:]} {
		all = append(all, b,
			[]byte(hex.EncodeToString(b)),
			[]byte(base64.RawStdEncoding.EncodeToString(b)),
			[]byte(base64.RawURLEncoding.EncodeToString(b)))
	}
	return all
}
