package delivery

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"codeberg.org/huis/huis/internal/proto"
)

// throttle is one token bucket per key, in memory only and bounded.
type throttle[K comparable] struct {
	every time.Duration // one token
	burst int

	mu sync.Mutex // guards m
	m  map[K]*rate.Limiter
}

const maxThrottled = 100_000 // keys of one throttle; then any of them starts afresh

func newThrottle[K comparable](every time.Duration, burst int) *throttle[K] {
	return &throttle[K]{every: every, burst: burst, m: map[K]*rate.Limiter{}}
}

// take uses one token of key. If there is none it takes nothing and returns
// how long to wait. release gives the token back.
func (t *throttle[K]) take(now time.Time, key K) (release func(), wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.m[key]
	if l == nil {
		t.makeRoom(now)
		l = rate.NewLimiter(rate.Every(t.every), t.burst)
		t.m[key] = l
	}
	r := l.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return func() {}, min(wait, t.every)
	}
	// A reservation that needed no wait cannot be cancelled; a negative one can
	// always be made.
	return func() { l.ReserveN(now, -1) }, 0
}

func (t *throttle[K]) makeRoom(now time.Time) {
	if len(t.m) < maxThrottled {
		return
	}
	t.forget(now)
	for k := range t.m {
		if len(t.m) < maxThrottled {
			break
		}
		delete(t.m, k)
	}
}

// forget drops the keys whose bucket is full again.
func (t *throttle[K]) forget(now time.Time) {
	for k, l := range t.m {
		if l.TokensAt(now) >= float64(t.burst) {
			delete(t.m, k)
		}
	}
}

func (t *throttle[K]) purge(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(now)
}

// member is a key of throttles: one member key of one conversation.
type member struct {
	id proto.ConversationID
	mk proto.MemberKey
}

// throttles are the limits of protocol.md, 4 and 14, and those of entries.
type throttles struct {
	commits       *throttle[proto.ConversationID] // 1 per 2 s, burst 5
	memberCommits *throttle[member]               // 1 per 10 s, burst 3
	notices       *throttle[member]               // 1 a minute
	entries       *throttle[proto.ConversationID] // 200 a second, burst 4,000
	memberEntries *throttle[member]               // 50 a second, burst 1,000
	claims        *throttle[proto.AccountID]      // by claimer
	posts         *throttle[proto.AccountID]      // by sender
	publishes     *throttle[proto.AccountID]
	tokens        *throttle[proto.AccountID] // MaxCreatesPerDay
	pending       *throttle[proto.Hash]      // sessions opened with one token
}

func newThrottles(c Config) throttles {
	return throttles{
		commits:       newThrottle[proto.ConversationID](2*time.Second, 5),
		memberCommits: newThrottle[member](10*time.Second, 3),
		notices:       newThrottle[member](time.Minute, 1),
		entries:       newThrottle[proto.ConversationID](5*time.Millisecond, 4000),
		memberEntries: newThrottle[member](20*time.Millisecond, 1000),
		claims:        newThrottle[proto.AccountID](time.Second, 300),
		posts:         newThrottle[proto.AccountID](time.Second, 100),
		publishes:     newThrottle[proto.AccountID](10*time.Second, 20),
		tokens:        newThrottle[proto.AccountID](24*time.Hour/time.Duration(c.MaxCreatesPerDay), c.MaxCreatesPerDay),
		pending:       newThrottle[proto.Hash](time.Minute, 5),
	}
}

func (t *throttles) purge(now time.Time) {
	for _, p := range []interface{ purge(time.Time) }{t.commits, t.memberCommits, t.notices, t.entries,
		t.memberEntries, t.claims, t.posts, t.publishes, t.tokens, t.pending} {
		p.purge(now)
	}
}

// entry is the general limit on a conversation and a member key. release gives
// the conversation its share back: of who turns out to be no member.
func (t *throttles) entry(now time.Time, e *proto.Entry) (release func(), err error) {
	own, wait := t.memberEntries.take(now, member{e.Conversation, e.MK})
	if wait > 0 {
		return nil, proto.RefuseWait(proto.Busy, wait)
	}
	release, wait = t.entries.take(now, e.Conversation)
	if wait > 0 {
		own()
		return nil, proto.RefuseWait(proto.Busy, wait)
	}
	return release, nil
}

func (t *throttles) commit(now time.Time, e *proto.Entry) (release func(), err error) {
	first, wait := t.memberCommits.take(now, member{e.Conversation, e.MK})
	if wait > 0 {
		return nil, proto.RefuseWait(proto.Throttled, wait)
	}
	second, wait := t.commits.take(now, e.Conversation)
	if wait > 0 {
		first()
		return nil, proto.RefuseWait(proto.Throttled, wait)
	}
	return func() { first(); second() }, nil
}

func (t *throttles) notice(now time.Time, e *proto.Entry) (release func(), err error) {
	release, wait := t.notices.take(now, member{e.Conversation, e.MK})
	if wait > 0 {
		return nil, proto.RefuseWait(proto.Throttled, wait)
	}
	return release, nil
}

// account takes one token of an account from one of the throttles by account.
func account(t *throttle[proto.AccountID], now time.Time, a proto.AccountID) error {
	if _, wait := t.take(now, a); wait > 0 {
		return proto.RefuseWait(proto.Throttled, wait)
	}
	return nil
}

// window is how long an ended epoch's entries are taken (protocol.md, 5).
const window = 60 * time.Second

// windows knows to the second when epochs ended; the store knows minutes only.
type windows struct {
	mu *sync.Mutex // guards m
	m  map[proto.ConversationID][]ended
}

type ended struct {
	epoch uint64
	at    time.Time
}

func newWindows() windows { return windows{new(sync.Mutex), map[proto.ConversationID][]ended{}} }

func (w *windows) ended(id proto.ConversationID, epoch uint64, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.m[id] = append(fresh(w.m[id], at), ended{epoch, at})
}

// recent returns the oldest epoch that ended less than 60 s ago, 0 if none did.
func (w *windows) recent(id proto.ConversationID, now time.Time) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.m[id] {
		if young(e, now) {
			return e.epoch
		}
	}
	return 0
}

func (w *windows) purge(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, all := range w.m {
		if all = fresh(all, now); len(all) == 0 {
			delete(w.m, id)
		} else {
			w.m[id] = all
		}
	}
}

func young(e ended, now time.Time) bool {
	age := now.Sub(e.at)
	return age >= 0 && age < window
}

func fresh(all []ended, now time.Time) []ended {
	for len(all) > 0 && !young(all[0], now) {
		all = all[1:]
	}
	return all
}
