//go:build evil

package evil

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Whether answers tell by their time what they are about. Questions of the two
// kinds are asked in pairs, one right after the other, which of the two first by
// lot. Where the kind makes no difference, swapping the two of a pair makes none
// either, whatever else the machine does meanwhile: that alone is what the bounds
// below rest on, and no distribution is assumed.

// errorRate is how often a comparison of equals finds a difference by chance, at
// most: all that is compared in one of them together.
const errorRate = 1e-6

// quantiles are the places at which two distributions are compared.
var quantiles = []float64{.001, .01, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .99, .999}

// pair is how long two questions took, one of each kind.
type pair struct{ A, B time.Duration }

// comparison is what some pairs show.
type comparison struct {
	Pairs     int
	Low, High time.Duration // the median of A − B is between these
	Distance  float64       // the largest difference of the two distribution functions
	Differ    bool          // more than by chance
}

func (c comparison) String() string {
	word := "the same"
	if c.Differ {
		word = "different"
	}
	return fmt.Sprintf("%d pairs: %s, shift between %v and %v, distance %.5f", c.Pairs, word, c.Low, c.High, c.Distance)
}

// within tells whether no shift of d or more is left possible.
func (c comparison) within(d time.Duration) bool { return c.Low > -d && c.High < d }

// compare tests whether pairs are of one distribution, in two ways.
//
// The sign test: A is as often the slower one as B. Pairs of equal times say
// nothing. The bounds of the median are those shifts which the test would accept.
//
// At each quantile q of all times: as many pairs have A ≤ q < B as B ≤ q < A
// (McNemar). Their difference, over the number of pairs, is the distance of the
// two distribution functions at q (Kolmogorov and Smirnov's, at these places).
func compare(pairs []pair) (c comparison) {
	n := len(pairs)
	c.Pairs = n
	if n == 0 {
		return c
	}
	each := errorRate / float64(1+len(quantiles))
	differences, all := make([]time.Duration, n), make([]time.Duration, 0, 2*n)
	more, less := 0, 0
	for i, p := range pairs {
		differences[i] = p.A - p.B
		all = append(all, p.A, p.B)
		switch {
		case p.A > p.B:
			more++
		case p.A < p.B:
			less++
		}
	}
	slices.Sort(differences)
	slices.Sort(all)
	c.Differ = uneven(more, less, each)
	off := int(math.Ceil(chance(n, each) / 2))
	c.Low, c.High = differences[max(n/2-off, 0)], differences[min(n/2+off, n-1)]
	for _, q := range quantiles {
		at := all[int(q*float64(len(all)))]
		a, b := 0, 0
		for _, p := range pairs {
			switch {
			case p.A <= at && at < p.B:
				a++
			case p.B <= at && at < p.A:
				b++
			}
		}
		c.Distance = max(c.Distance, math.Abs(float64(a-b))/float64(n))
		c.Differ = c.Differ || uneven(a, b, each)
	}
	return c
}

// uneven tells whether a and b of a+b fair coins are too far apart for chance.
func uneven(a, b int, rate float64) bool { return math.Abs(float64(a-b)) > chance(a+b, rate) }

// chance is how far apart the two sides of n fair coins are at most, but for the
// given rate of cases (Hoeffding).
func chance(n int, rate float64) float64 { return math.Sqrt(2 * float64(n) * math.Log(2/rate)) }
