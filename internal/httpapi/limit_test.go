package httpapi

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestLimiterSpendsTheBurstThenWaits(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := newLimiter(2, 5)
	key := []byte("a")
	for i := range 5 {
		if wait := l.take(now, key, 1); wait != 0 {
			t.Fatalf("unit %d of the burst waits %v", i, wait)
		}
	}
	if wait := l.take(now, key, 1); wait != 500*time.Millisecond {
		t.Fatalf("after the burst the wait is %v, want 500ms", wait)
	}
	if wait := l.take(now.Add(500*time.Millisecond), key, 1); wait != 0 {
		t.Fatalf("after the wait it still waits %v", wait)
	}
	if wait := l.take(now, []byte("b"), 1); wait != 0 {
		t.Fatalf("another key waits %v", wait)
	}
}

func TestARefusedRequestCostsNothing(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := newLimiter(1, 1)
	l.take(now, []byte("a"), 1)
	for range 1000 {
		l.take(now, []byte("a"), 1)
	}
	if wait := l.take(now.Add(time.Second), []byte("a"), 1); wait != 0 {
		t.Fatalf("hammering lengthened the wait by %v", wait)
	}
}

func TestLimiterSurvivesAClockSetBack(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := newLimiter(1, 3)
	for range 3 {
		l.take(now, []byte("a"), 1)
	}
	if wait := l.take(now.Add(-24*time.Hour), []byte("a"), 1); wait > 3*time.Second {
		t.Fatalf("a clock set back by a day makes callers wait %v", wait)
	}
}

func TestOneNoisyKeyLeavesOthersAlone(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := newLimiter(1, 2)
	for range 100 {
		l.take(now, []byte("noisy"), 1)
	}
	throttled := 0
	var key [8]byte
	for i := range 1000 {
		binary.BigEndian.PutUint64(key[:], uint64(i))
		if l.take(now, key[:], 1) != 0 {
			throttled++
		}
	}
	if throttled > 2 {
		t.Errorf("%d of 1000 quiet keys were throttled", throttled)
	}
}
