package httpapi

import (
	"hash/maphash"
	"sync"
	"time"
)

// slots is the size of a limiter's table: 2^15 entries of 8 bytes, so a limiter
// is 256 KiB whatever comes.
const slots = 1 << 15

// limiter is a rate limit per key, in constant memory and without storing any
// key: each key is hashed, with a seed drawn at start, to two slots of a fixed
// table. A slot holds the time at which its bucket is full again (the generic
// cell rate algorithm). The emptier of the two slots decides, so that two keys
// share a limit only when both of their slots collide with busy ones.
type limiter struct {
	every time.Duration // one unit is earned in this time
	burst int           // units that may be spent at once

	mu   sync.Mutex // guards full, whose updates are atomic
	full []int64    // unix nanoseconds; a time past means an untouched bucket
	seed [2]maphash.Seed
}

// newLimiter allows perSecond units a second for each key, burst at once.
func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{
		every: time.Duration(float64(time.Second) / perSecond),
		burst: burst,
		full:  make([]int64, slots),
		seed:  [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

// take spends units for key and returns zero, or spends nothing and returns how
// long to wait. More units than the burst count as the burst.
func (l *limiter) take(now time.Time, key []byte, units int) time.Duration {
	cost := l.every * time.Duration(min(units, l.burst))
	room := l.every * time.Duration(l.burst)
	t := now.UnixNano()
	l.mu.Lock()
	defer l.mu.Unlock()
	a, b := l.slot(0, key), l.slot(1, key)
	full := max(min(*a, *b), t)
	// A clock set back must not lock anyone out longer than one whole bucket.
	full = min(full, t+int64(room))
	next := full + int64(cost)
	if wait := time.Duration(next - t - int64(room)); wait > 0 {
		return wait
	}
	*a, *b = raise(*a, next, t, room), raise(*b, next, t, room)
	return 0
}

// raise is the new value of a slot: at least next, and never further ahead than
// a clock that went back would justify.
func raise(slot, next, now int64, room time.Duration) int64 {
	return max(min(slot, now+int64(room)), next)
}

func (l *limiter) slot(i int, key []byte) *int64 {
	return &l.full[maphash.Bytes(l.seed[i], key)%slots]
}
