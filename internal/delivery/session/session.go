// Package session keeps nonces and sessions: in memory only, bounded, gone at
// a restart. A client that is told bad_session opens another one.
//
// A session stands for one member key of a conversation or for one device of
// an account, never for both: nothing here joins them.
package session

import (
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

const (
	nonceLife   = 60 * time.Second
	sessionLife = 24 * time.Hour   // from its opening
	idleLife    = 30 * time.Minute // from its last use
	maxNonces   = 20_000           // then the oldest go first
	maxSessions = 100_000
)

// Member is a member key's session.
type Member struct {
	Conversation proto.ConversationID
	MK           proto.MemberKey
}

// Device is an account's session, opened by one of its devices.
type Device struct {
	Account proto.AccountID
	Device  proto.DeviceID
	Admin   bool
}

// Clock tells the time.
type Clock interface{ Now() time.Time }

type entry struct {
	member *Member
	device *Device
	opened time.Time
	used   time.Time
}

// Table is all sessions and nonces of a server. It may be used concurrently.
type Table struct {
	clock Clock

	mu       sync.Mutex // guards what follows
	nonces   map[proto.Nonce]time.Time
	sessions map[proto.SessionID]*entry
}

// New returns an empty table.
func New(clock Clock) *Table {
	return &Table{clock: clock, nonces: map[proto.Nonce]time.Time{}, sessions: map[proto.SessionID]*entry{}}
}

// Nonce returns a nonce for one signature within 60 s. The error is busy when
// too many are out.
func (t *Table) Nonce() (proto.Nonce, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if len(t.nonces) >= maxNonces {
		for n, at := range t.nonces {
			if expired(now, at, nonceLife) {
				delete(t.nonces, n)
			}
		}
	}
	if len(t.nonces) >= maxNonces {
		return proto.Nonce{}, proto.RefuseWait(proto.Busy, 5*time.Second)
	}
	n := proto.New[proto.Nonce]()
	t.nonces[n] = now
	return n, nil
}

// TakeNonce uses a nonce up; false if it is unknown, used or too old.
func (t *Table) TakeNonce(n proto.Nonce) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.nonces[n]
	delete(t.nonces, n)
	return ok && !expired(t.clock.Now(), at, nonceLife)
}

// OpenMember makes a member key's session.
func (t *Table) OpenMember(m Member) (proto.SessionID, error) { return t.open(&entry{member: &m}) }

// OpenDevice makes an account's session.
func (t *Table) OpenDevice(d Device) (proto.SessionID, error) { return t.open(&entry{device: &d}) }

func (t *Table) open(e *entry) (proto.SessionID, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.opened = t.clock.Now()
	e.used = e.opened
	if len(t.sessions) >= maxSessions {
		t.purge(e.opened)
	}
	if len(t.sessions) >= maxSessions {
		return proto.SessionID{}, proto.RefuseWait(proto.Busy, 5*time.Second)
	}
	id := proto.New[proto.SessionID]()
	t.sessions[id] = e
	return id, nil
}

// Member returns the member key of a session, or bad_session.
func (t *Table) Member(id proto.SessionID) (Member, error) {
	if e := t.use(id); e != nil && e.member != nil {
		return *e.member, nil
	}
	return Member{}, proto.Refuse(proto.BadSession)
}

// Device returns the device of a session, or bad_session.
func (t *Table) Device(id proto.SessionID) (Device, error) {
	if e := t.use(id); e != nil && e.device != nil {
		return *e.device, nil
	}
	return Device{}, proto.Refuse(proto.BadSession)
}

func (t *Table) use(id proto.SessionID) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.sessions[id]
	if e == nil {
		return nil
	}
	now := t.clock.Now()
	if e.over(now) {
		delete(t.sessions, id)
		return nil
	}
	e.used = now
	return e
}

// EndDevice ends the sessions of a device, e.g. one that was revoked. With
// device zero: of every device of the account.
func (t *Table) EndDevice(a proto.AccountID, d proto.DeviceID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, e := range t.sessions {
		if e.device != nil && e.device.Account == a && (d == proto.DeviceID{} || e.device.Device == d) {
			delete(t.sessions, id)
		}
	}
}

// Purge forgets what has expired; call it every minute or so.
func (t *Table) Purge() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	t.purge(now)
	for n, at := range t.nonces {
		if expired(now, at, nonceLife) {
			delete(t.nonces, n)
		}
	}
}

func (t *Table) purge(now time.Time) {
	for id, e := range t.sessions {
		if e.over(now) {
			delete(t.sessions, id)
		}
	}
}

func (e *entry) over(now time.Time) bool {
	return expired(now, e.opened, sessionLife) || expired(now, e.used, idleLife)
}

// expired also holds when the clock went back by more than the life: then
// nothing is known of the age.
func expired(now, at time.Time, life time.Duration) bool {
	age := now.Sub(at)
	return age > life || age < -life
}
