// Package session keeps nonces and sessions: in memory only, bounded, gone at
// a restart. A client that is told bad_session opens another one.
//
// A session stands for one member key of a conversation or for one device of
// an account, never for both: nothing here joins them.
package session

import (
	"slices"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

const (
	nonceLife   = 60 * time.Second
	sessionLife = 24 * time.Hour   // from its opening
	idleLife    = 30 * time.Minute // from its last use
	maxSessions = 100_000
	maxPerOwner = 32 // of one device or member key; the one opened first makes room
)

// Member is a member key's session.
type Member struct {
	Conversation proto.ConversationID
	MK           proto.MemberKey
	Pending      bool // the create is still to come: only its blobs are uploaded
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

// owner is whom a session stands for: an account and device, or a conversation
// and member key.
type owner struct {
	device bool
	of     [32]byte
	who    [32]byte
}

func deviceOwner(a proto.AccountID, d proto.DeviceID) owner {
	o := owner{device: true, of: a}
	copy(o.who[:], d[:])
	return o
}

func (e *entry) owner() owner {
	if e.device != nil {
		return deviceOwner(e.device.Account, e.device.Device)
	}
	return owner{of: e.member.Conversation, who: e.member.MK}
}

// Table is all sessions and nonces of a server. It may be used concurrently.
type Table struct {
	clock  Clock
	nonces *nonces

	mu       sync.Mutex // guards both maps, which hold the same sessions
	sessions map[proto.SessionID]*entry
	owned    map[owner][]proto.SessionID // oldest first
}

// New returns an empty table.
func New(clock Clock) *Table {
	return &Table{clock: clock, nonces: newNonces(), sessions: map[proto.SessionID]*entry{}, owned: map[owner][]proto.SessionID{}}
}

// Nonce returns a nonce for one signature within 60 s. It costs no memory.
func (t *Table) Nonce() (proto.Nonce, error) { return t.nonces.make(t.clock.Now()), nil }

// TakeNonce uses a nonce up; false if it is unknown, used or too old. Call it
// after the signature over it has verified: what is used up costs memory.
func (t *Table) TakeNonce(n proto.Nonce) bool { return t.nonces.spend(n, t.clock.Now()) }

// OpenMember makes a member key's session.
func (t *Table) OpenMember(m Member) (proto.SessionID, error) { return t.open(&entry{member: &m}) }

// OpenDevice makes an account's session.
func (t *Table) OpenDevice(d Device) (proto.SessionID, error) { return t.open(&entry{device: &d}) }

// open never refuses: who would be refused could not work, while one whose
// session ends too early only opens another.
func (t *Table) open(e *entry) (proto.SessionID, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.opened = t.clock.Now()
	e.used = e.opened
	t.makeRoom(e.opened)
	o := e.owner()
	if mine := t.owned[o]; len(mine) >= maxPerOwner {
		t.drop(mine[0])
	}
	id := proto.New[proto.SessionID]()
	t.sessions[id] = e
	t.owned[o] = append(t.owned[o], id)
	return id, nil
}

// makeRoom ends the sessions that are over, or else any 64th part of them. The
// caller holds mu.
func (t *Table) makeRoom(now time.Time) {
	if len(t.sessions) < maxSessions {
		return
	}
	t.purge(now)
	for id := range t.sessions {
		if len(t.sessions) < maxSessions-maxSessions/64 {
			return
		}
		t.drop(id)
	}
}

// drop ends one session. The caller holds mu.
func (t *Table) drop(id proto.SessionID) {
	e := t.sessions[id]
	if e == nil {
		return
	}
	delete(t.sessions, id)
	o := e.owner()
	t.owned[o] = slices.DeleteFunc(t.owned[o], func(other proto.SessionID) bool { return other == id })
	if len(t.owned[o]) == 0 {
		delete(t.owned, o)
	}
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

// Use counts as a use of the session; false if it has ended.
func (t *Table) Use(id proto.SessionID) bool { return t.use(id) != nil }

func (t *Table) use(id proto.SessionID) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.sessions[id]
	if e == nil {
		return nil
	}
	now := t.clock.Now()
	if e.over(now) {
		t.drop(id)
		return nil
	}
	e.used = now
	return e
}

// EndDevice ends the sessions of a device, e.g. one that was revoked.
func (t *Table) EndDevice(a proto.AccountID, d proto.DeviceID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range slices.Clone(t.owned[deviceOwner(a, d)]) {
		t.drop(id)
	}
}

// Purge forgets what has expired; call it every minute or so.
func (t *Table) Purge() {
	now := t.clock.Now()
	t.mu.Lock()
	t.purge(now)
	t.mu.Unlock()
	t.nonces.purge(now)
}

func (t *Table) purge(now time.Time) {
	for id, e := range t.sessions {
		if e.over(now) {
			t.drop(id)
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
