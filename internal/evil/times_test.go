//go:build evil

package evil

import (
	"math/rand/v2"
	"testing"
	"time"
)

// load is how long something takes on a machine that does other things too: it
// drifts, and now and then it is interrupted.
type load struct {
	r     *rand.Rand
	drift float64
}

func (l *load) takes() time.Duration {
	l.drift += l.r.NormFloat64() * 20
	ns := 150_000 + l.drift + l.r.ExpFloat64()*8_000
	if l.r.IntN(100) == 0 {
		ns += l.r.ExpFloat64() * 4_000_000
	}
	return time.Duration(ns)
}

func (l *load) pairs(n int, slower func() time.Duration) []pair {
	all := make([]pair, n)
	for i := range all {
		all[i] = pair{l.takes() + slower(), l.takes()}
		if l.r.IntN(2) == 0 { // by lot, which one comes first
			b := l.takes()
			all[i] = pair{l.takes() + slower(), b}
		}
	}
	return all
}

func TestEqualTimesDoNotDiffer(t *testing.T) {
	for seed := range uint64(300) {
		l := &load{r: rand.New(rand.NewPCG(seed, 1))}
		c := compare(l.pairs(2000, func() time.Duration { return 0 }))
		if c.Differ || c.Low > 0 || c.High < 0 {
			t.Fatalf("seed %d: %v", seed, c)
		}
	}
}

func TestPlantedDelaysAreFound(t *testing.T) {
	for name, slower := range map[string]func(*rand.Rand) time.Duration{
		"always a little":   func(*rand.Rand) time.Duration { return 2 * time.Microsecond },
		"seldom very long":  func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(20)/19) * 8 * time.Millisecond },
		"only more various": func(r *rand.Rand) time.Duration { return time.Duration(r.NormFloat64() * 20_000) },
	} {
		for seed := range uint64(20) {
			l := &load{r: rand.New(rand.NewPCG(seed, 2))}
			if c := compare(l.pairs(30_000, func() time.Duration { return slower(l.r) })); !c.Differ {
				t.Errorf("%s, seed %d: %v", name, seed, c)
			}
		}
	}
}

func TestTheShiftIsWhereItIsSaid(t *testing.T) {
	l := &load{r: rand.New(rand.NewPCG(3, 3))}
	c := compare(l.pairs(100_000, func() time.Duration { return 5 * time.Microsecond }))
	if c.Low <= 0 || c.Low > 5*time.Microsecond || c.High < 5*time.Microsecond || c.within(5*time.Microsecond) || !c.within(8*time.Microsecond) {
		t.Error(c)
	}
	if got := compare(nil); got.Differ || got.Pairs != 0 {
		t.Error(got)
	}
}
