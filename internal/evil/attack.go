//go:build evil

package evil

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Outcome is what came of an attack.
type Outcome string

// The outcomes that are asserted, and Succeeded, which is none of them.
const (
	Prevented Outcome = "PREVENTED" // it has no effect, and nothing leaks
	Detected  Outcome = "DETECTED"  // it has an effect, and an honest person is told
	Evident   Outcome = "EVIDENT"   // it leaves a proof that convinces a third person
	Residual  Outcome = "RESIDUAL"  // it works, and THREATMODEL.md says so
	Succeeded Outcome = "SUCCEEDED" // it works and nobody is told
	NotPlayed Outcome = "NOT PLAYED"
)

// Facts is what was seen of an attack.
type Facts struct {
	Effect  bool   // the attacker has what it wanted
	Alerted string // what an honest person was told; "" if nobody was
	Proof   string // the file that `huis verify` accepted; "" if there is none
	Detail  string // for the reader of a failed row
	Figures string // what was measured, for the reader of any row
}

// Outcome is what the facts come to.
func (f Facts) Outcome() Outcome {
	switch {
	case f.Proof != "":
		return Evident
	case f.Effect && f.Alerted != "":
		return Detected
	case f.Effect:
		return Succeeded
	}
	return Prevented
}

// Attack is one row of the table.
type Attack struct {
	ID       string // B-1 or B-1/a; never changes its meaning
	Name     string // what is tried, in a few words
	Expected Outcome
	Within   string // of DETECTED: the bound, in words
	Long     bool   // only with --long

	// Play tries it. It calls Hands by their names.
	Play func(*Stage) Facts
	// Judge, instead of Play, looks at what came of all others.
	Judge func([]Row) Facts
	// Gains is what a RESIDUAL gives the operator, if it is not what is said:
	// metadata, availability, a claim.
	Gains string
	Hands map[string]Hand

	// Without are the defences: with all of them off the attack has its effect
	// and is not what is expected. Empty only for RESIDUAL, and where Control
	// is the counter-proof.
	Without []Edit
	// Malice is what liars' programs do otherwise than honest ones.
	Malice []Edit
	// EvilServer runs the server itself with the attack's Malice.
	EvilServer bool
	// Control says in words what the play itself proves instead of Without:
	// for searches, that what is planted is found.
	Control string
}

// Hand is something an operator does in its server's process.
type Hand func(ctx context.Context, o *Operator, arg json.RawMessage) (any, error)

// hand makes a Hand of a function with a typed argument.
func hand[Arg any](f func(ctx context.Context, o *Operator, arg Arg) (any, error)) Hand {
	return func(ctx context.Context, o *Operator, raw json.RawMessage) (any, error) {
		var arg Arg
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &arg); err != nil {
				return nil, err
			}
		}
		return f(ctx, o, arg)
	}
}

// lie makes a Hand that begins to alter the answers to one person, and to
// everybody if the argument is empty.
func lie(f func(o *Operator, x *Exchange) error) Hand {
	return hand(func(_ context.Context, o *Operator, door string) (any, error) {
		o.Lie(func(x *Exchange) error {
			if door != "" && x.Door != door || x.Answer == nil {
				return nil
			}
			return f(o, x)
		})
		return nil, nil
	})
}

var table []Attack

// register enters attacks into the table.
func register(attacks ...Attack) { table = append(table, attacks...) }

// Attacks returns the table in the order of its ids.
func Attacks() []Attack {
	all := slices.Clone(table)
	slices.SortStableFunc(all, func(a, b Attack) int {
		return cmp.Or(cmp.Compare(number(a.ID), number(b.ID)), strings.Compare(a.ID, b.ID))
	})
	return all
}

func number(id string) int {
	digits, _, _ := strings.Cut(strings.TrimPrefix(id, "B-"), "/")
	n, _ := strconv.Atoi(digits)
	return n
}

// find returns an attack of the table.
func find(id string) (*Attack, error) {
	for i := range table {
		if table[i].ID == id {
			return &table[i], nil
		}
	}
	return nil, fmt.Errorf("there is no attack %s", id)
}
