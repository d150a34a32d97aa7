package httpapi

import (
	"context"
	"net/netip"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// limits are the rate limits by address, and those by account or member key that
// package delivery does not have. Each answers throttled and how long to wait.
// They are sized so that people never meet them, and a program that does gets
// through by waiting.
type limits struct {
	every   *byAddress // every request; an office of fifty people behind one address stays far below
	join    *byAddress // registrations: costly, and without any session
	recover *byAddress // recoveries: without any session
	mailbox *byAddress // requests about linking mailboxes
	push    *byAddress // push connections

	logEntry *byAddress // labels of the log, each of which costs a proof of the VRF

	directory *limiter // by account: lookups, chains, invitations
	names     *limiter // by account: names one would like to have
	inbox     *limiter // by account: inbox items fetched and acknowledged
	reads     *limiter // by member key: of a conversation's log
	blobs     *limiter // by account or member key: requests about blobs
}

func newLimits() *limits {
	return &limits{
		every:     &byAddress{newLimiter(200, 4000), newLimiter(20000, 100000)},
		join:      &byAddress{newLimiter(0.5, 60), newLimiter(100, 2000)},
		recover:   &byAddress{newLimiter(0.2, 30), newLimiter(100, 2000)},
		mailbox:   &byAddress{newLimiter(5, 300), newLimiter(500, 5000)},
		push:      &byAddress{newLimiter(5, 300), newLimiter(1000, 10000)},
		logEntry:  &byAddress{newLimiter(20, 500), newLimiter(2000, 10000)},
		directory: newLimiter(20, 1000),
		names:     newLimiter(0.1, 30),
		inbox:     newLimiter(20, 1000),
		reads:     newLimiter(50, 2000),
		blobs:     newLimiter(200, 4000),
	}
}

// byAddress limits ranges of addresses. What comes from loopback is the
// operator's, or of a proxy that speaks for everybody.
type byAddress struct{ remote, loopback *limiter }

func (l *byAddress) take(now time.Time, addr netip.Addr) error {
	limit := l.remote
	if addr.IsLoopback() {
		limit = l.loopback
	}
	key := addressRange(addr).Addr().As16()
	return throttled(limit.take(now, key[:], 1))
}

// throttled is nil for no wait.
func throttled(wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	return proto.RefuseWait(proto.Throttled, wait)
}

// admit takes one unit of an address's limit for every request, and of a
// further limit unless it is nil.
func (h *Handler) admit(addr netip.Addr, further *byAddress) error {
	now := h.Clock.Now()
	if err := h.limits.every.take(now, addr); err != nil || further == nil {
		return err
	}
	return further.take(now, addr)
}

// within puts a limit by account or member key before f. A session that does not
// exist is for f to refuse.
func within[Req, Resp any](h *Handler, limit *limiter, session func(Req) proto.SessionID, f func(context.Context, Req) (Resp, error)) func(context.Context, Req) (Resp, error) {
	return func(ctx context.Context, r Req) (resp Resp, err error) {
		if key := h.who(session(r)); key != nil {
			if err := throttled(limit.take(h.Clock.Now(), key, 1)); err != nil {
				return resp, err
			}
		}
		return f(ctx, r)
	}
}

// who is the account or member key of a session as a limiter's key, or nil.
func (h *Handler) who(id proto.SessionID) []byte {
	if d, err := h.Sessions.Device(id); err == nil {
		return append([]byte{'a'}, d.Account[:]...)
	}
	if m, err := h.Sessions.Member(id); err == nil {
		return append(append([]byte{'m'}, m.Conversation[:]...), m.MK[:]...)
	}
	return nil
}
