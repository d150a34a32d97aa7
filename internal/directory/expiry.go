package directory

import (
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// maxExpiries bounds what expiry knows. Beyond it, and after a restart, an
// invitation holds to the end of its last minute.
const maxExpiries = 10_000

// expiry knows to the second when invitations end that were made lately; the
// store keeps minutes only. Safe for concurrent use; the zero value is ready.
type expiry struct {
	mu sync.Mutex // guards at
	at map[proto.Hash]uint64
}

// add notes that an invitation ends at a Unix time in seconds.
func (e *expiry) add(token proto.Hash, at uint64, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at == nil {
		e.at = make(map[proto.Hash]uint64)
	}
	for t, at := range e.at {
		if store.Minute(at/60) < store.MinuteOf(now) {
			delete(e.at, t)
		}
	}
	if len(e.at) < maxExpiries {
		e.at[token] = at
	}
}

// minute is the time by which the store is to judge an invitation: now, or the
// minute after the invitation's last if that has ended within its last minute.
func (e *expiry) minute(token proto.Hash, now time.Time) store.Minute {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, ok := e.at[token]; ok && now.Unix() >= int64(at) {
		return max(store.Minute(at/60)+1, store.MinuteOf(now))
	}
	return store.MinuteOf(now)
}
