package sim

import (
	"fmt"
	"testing"
	"time"
)

var testStart = time.Date(2030, 1, 7, 9, 0, 0, 0, time.UTC)

func interleaving(seed uint64) (string, string) {
	s := NewSched(seed, testStart)
	var out string
	for _, name := range []string{"a", "b", "c"} {
		s.Go(name, func() {
			for i := range 4 {
				out += fmt.Sprintf("%s%d ", name, i)
				s.Trace.Add(name, "step %d", i)
				s.Sleep(s.Between(0, time.Second))
			}
		}, nil)
	}
	if err := s.RunFor(time.Minute); err != nil {
		panic(err)
	}
	return out, s.Trace.Hash()
}

func TestSchedulerRepeatsASeedAndDiffersBetweenSeeds(t *testing.T) {
	first, hash := interleaving(1)
	again, hashAgain := interleaving(1)
	if first != again || hash != hashAgain {
		t.Fatalf("one seed, two runs:\n%s\n%s", first, again)
	}
	if other, _ := interleaving(2); other == first {
		t.Fatal("two seeds, one run")
	}
}

func TestSleepTakesFakeTimeOnly(t *testing.T) {
	s := NewSched(1, testStart)
	var woke time.Time
	s.Go("sleeper", func() { s.Sleep(time.Hour); woke = s.Now() }, nil)
	if err := s.RunUntil(func() bool { return !woke.IsZero() }, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	if woke != testStart.Add(time.Hour) {
		t.Fatalf("woke at %v", woke)
	}
}

func TestRunUntilSaysWhoIsStillWaiting(t *testing.T) {
	s := NewSched(1, testStart)
	s.Go("forever", func() { s.Sleep(24 * time.Hour) }, nil)
	if err := s.RunUntil(func() bool { return false }, time.Hour); err == nil {
		t.Fatal("no error after the limit")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestKillEndsATaskWhereItStands(t *testing.T) {
	s := NewSched(1, testStart)
	after, unwound, killed := false, false, false
	victim := s.Go("victim", func() {
		defer func() { s.Sleep(time.Second); unwound = true }()
		s.Sleep(time.Minute)
		after = true
	}, func(k bool) { killed = k })
	s.Go("killer", func() { s.Sleep(time.Second); s.Kill(victim) }, nil)
	self := false
	var suicide *Task
	suicide = s.Go("suicide", func() { s.Kill(suicide); self = true }, nil)
	if err := s.RunFor(time.Hour); err != nil {
		t.Fatal(err)
	}
	if after || self || !unwound || !killed {
		t.Fatalf("after=%v self=%v unwound=%v killed=%v", after, self, unwound, killed)
	}
}
