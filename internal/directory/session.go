package directory

import (
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// Bounds of the sessions, which live in memory alone.
const (
	sessionIdle       = time.Hour // a session unused for that long has ended
	sessionsPerDevice = 8         // the one unused longest makes room
	maxSessions       = 1 << 17
)

// Caller is who speaks in an account's session: a device that signed for it.
type Caller struct {
	Account proto.AccountID
	Device  proto.DeviceID
	Admin   bool // may invite
}

// sessions maps session ids to callers. A session dies when its device is
// revoked or changes its message key. Safe for concurrent use.
type sessions struct {
	mu       sync.Mutex // guards both maps, which hold the same sessions
	byID     map[proto.SessionID]*session
	byDevice map[deviceOf][]proto.SessionID // oldest first
}

type session struct {
	Caller
	used time.Time
}

type deviceOf struct {
	account proto.AccountID
	device  proto.DeviceID
}

func newSessions() *sessions {
	return &sessions{byID: make(map[proto.SessionID]*session), byDevice: make(map[deviceOf][]proto.SessionID)}
}

// open begins a session of c.
func (s *sessions) open(c Caller, now time.Time) (proto.SessionID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) >= maxSessions {
		s.sweep(now)
	}
	if len(s.byID) >= maxSessions {
		return proto.SessionID{}, proto.RefuseWait(proto.Busy, time.Minute)
	}
	key := deviceOf{c.Account, c.Device}
	if mine := s.byDevice[key]; len(mine) >= sessionsPerDevice {
		s.drop(mine[0])
	}
	id := proto.New[proto.SessionID]()
	s.byID[id] = &session{Caller: c, used: now}
	s.byDevice[key] = append(s.byDevice[key], id)
	return id, nil
}

// find returns the caller of a session and keeps it alive.
func (s *sessions) find(id proto.SessionID, now time.Time) (Caller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byID[id]
	switch {
	case found == nil:
		return Caller{}, false
	case now.Sub(found.used) > sessionIdle:
		s.drop(id)
		return Caller{}, false
	}
	found.used = now
	return found.Caller, true
}

// end ends every session of the device.
func (s *sessions) end(account proto.AccountID, device proto.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range append([]proto.SessionID(nil), s.byDevice[deviceOf{account, device}]...) {
		s.drop(id)
	}
}

// sweep ends what is idle. The caller holds mu.
func (s *sessions) sweep(now time.Time) {
	for id, one := range s.byID {
		if now.Sub(one.used) > sessionIdle {
			s.drop(id)
		}
	}
}

// drop ends one session. The caller holds mu.
func (s *sessions) drop(id proto.SessionID) {
	one := s.byID[id]
	if one == nil {
		return
	}
	delete(s.byID, id)
	key := deviceOf{one.Account, one.Device}
	rest := s.byDevice[key][:0]
	for _, other := range s.byDevice[key] {
		if other != id {
			rest = append(rest, other)
		}
	}
	if s.byDevice[key] = rest; len(rest) == 0 {
		delete(s.byDevice, key)
	}
}
