package httpapi

import (
	"errors"
	"io"
	"net/netip"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// Bounds of the request bodies in memory at one time.
const (
	bodiesBytes    = 96 << 20
	bodiesPerRange = 24 << 20 // from one range of addresses, loopback apart
	bodyStep       = 32 << 10 // a body is read and charged in steps of this size, or doubled
)

// budget bounds the memory of request bodies, by what has arrived of them
// rather than by what was announced: whoever wants to fill it has to send it.
type budget struct {
	mu      sync.Mutex // guards what follows
	used    int
	byRange map[netip.Prefix]int // only ranges that hold something
}

func newBudget() *budget { return &budget{byRange: make(map[netip.Prefix]int)} }

// held is the part of the budget one request holds. For one goroutine.
type held struct {
	b     *budget
	from  netip.Prefix
	limit int
	bytes int
}

func (b *budget) hold(remote netip.Addr) *held {
	limit := bodiesPerRange
	if remote.IsLoopback() {
		limit = bodiesBytes
	}
	return &held{b: b, from: addressRange(remote), limit: limit}
}

// take holds n bytes more, or reports that there is no room for them.
func (h *held) take(n int) bool {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	if h.b.used+n > bodiesBytes || h.b.byRange[h.from]+n > h.limit {
		return false
	}
	h.b.used += n
	h.b.byRange[h.from] += n
	h.bytes += n
	return true
}

// release gives back everything.
func (h *held) release() {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	h.b.used -= h.bytes
	h.b.byRange[h.from] -= h.bytes
	if h.b.byRange[h.from] == 0 {
		delete(h.b.byRange, h.from)
	}
	h.bytes = 0
}

// readAll reads r to its end, at most limit bytes, charging what it allocates.
func (h *held) readAll(r io.Reader, limit int) ([]byte, error) {
	var body []byte
	for {
		if len(body) == cap(body) {
			grown := min(max(cap(body)*2, bodyStep), limit+1)
			if !h.take(grown - cap(body)) {
				return nil, proto.RefuseWait(proto.Busy, time.Second)
			}
			body = append(make([]byte, 0, grown), body...)
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return nil, proto.Refuse(proto.TooLarge)
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, proto.Refuse(proto.Malformed)
		}
	}
}

// addressRange is what limits by address count as one: an IPv4 address, or the
// /64 of an IPv6 address, which one customer commonly has whole.
func addressRange(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() && !addr.Is4In6() {
		bits = 64
	}
	prefix, err := addr.Unmap().Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
