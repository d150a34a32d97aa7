// Package mem is the server's store in memory: for simulations, and as the
// plain model the other stores are tested against. Begin with [New].
package mem

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Store is a store.Store in memory. It may be used concurrently; every verb
// holds the one mutex for its whole time, so each is a transaction.
type Store struct {
	mu            sync.Mutex // guards what follows
	conversations map[proto.ConversationID]*conversation
	tokens        map[proto.Hash]store.Day
	tickets       map[proto.Hash]ticket
	packages      map[store.Inbox][]store.KeyPackage
	lastResort    map[store.Inbox]store.KeyPackage
	items         map[proto.InboxItemID]item
	blobs         map[proto.BlobID]*blob
	pins          map[pinKey]store.Day
	accounts      map[proto.AccountID]*account
	left          map[proto.Hash]leftName
	invites       map[proto.Hash]store.Invite
	stampKeys     []store.StampKey
	settings      map[string][]byte
	epochs        []store.LogEpoch
	values        map[[32]byte][]logValue
	places        map[proto.Hash][]byte
}

var _ store.Store = (*Store)(nil)

type conversation struct {
	store.Log
	members map[proto.MemberKey]store.Member
	entries []proto.Stamped              // in seq order, without a gap
	hashes  map[proto.Hash]proto.Receipt // of the entries there are
	tags    map[proto.Hash]bool
}

type ticket struct {
	inbox   store.Inbox
	expires store.Day
}

type item struct {
	inbox  store.Inbox
	day    store.Day
	sealed []byte
}

type blob struct {
	store.Blob
	day store.Day
}

type pinKey struct {
	owner proto.Hash
	blob  proto.BlobID
}

type account struct {
	store.Account
	links    [][]byte
	recovery proto.Hash
	backup   []byte
}

// New returns an empty store.
func New() *Store {
	return &Store{
		conversations: map[proto.ConversationID]*conversation{}, tokens: map[proto.Hash]store.Day{},
		tickets: map[proto.Hash]ticket{}, packages: map[store.Inbox][]store.KeyPackage{},
		lastResort: map[store.Inbox]store.KeyPackage{}, items: map[proto.InboxItemID]item{},
		blobs: map[proto.BlobID]*blob{}, pins: map[pinKey]store.Day{}, accounts: map[proto.AccountID]*account{},
		invites: map[proto.Hash]store.Invite{}, settings: map[string][]byte{}, values: map[[32]byte][]logValue{}, left: map[proto.Hash]leftName{}, places: map[proto.Hash][]byte{},
	}
}

func (s *Store) lock() (unlock func()) {
	s.mu.Lock()
	return s.mu.Unlock
}

// Create implements store.Conversations.
func (s *Store) Create(_ context.Context, token proto.Hash, members []proto.MemberKey, sub store.Submission, at store.Attached, reform *store.Submission) (a store.Accepted, err error) {
	defer s.lock()()
	id := sub.Entry.Conversation
	if c := s.conversations[id]; c != nil {
		r, ok := c.known(sub.Hash)
		if !ok {
			return a, proto.Refuse(proto.Exists)
		}
		return store.Accepted{Receipt: r, Known: true, Reform: s.knownReform(reform)}, nil
	}
	if day, ok := s.tokens[token]; !ok || day < at.Today {
		return a, proto.Refuse(proto.BadToken)
	}
	var predecessor *conversation
	if reform != nil {
		if predecessor, err = s.checkAppend(reform); err != nil {
			return a, err
		}
	}
	to, err := s.checkAttached(&at)
	if err != nil {
		return a, err
	}
	c := &conversation{Log: store.Log{Epoch: sub.Entry.Epoch, Floor: sub.Entry.Epoch},
		members: map[proto.MemberKey]store.Member{}, hashes: map[proto.Hash]proto.Receipt{}, tags: map[proto.Hash]bool{}}
	if a.Receipt, err = c.add(c.Log, &sub); err != nil {
		return a, err
	}
	if reform != nil {
		r, err := predecessor.add(predecessor.Log, reform)
		if err != nil {
			return a, err
		}
		a.Reform = &r
	}
	delete(s.tokens, token)
	s.conversations[id] = c
	for _, mk := range members {
		c.members[mk] = store.Member{From: a.Receipt.Seq}
	}
	a.Inboxes = to
	s.attach(id, &at, to)
	return a, nil
}

func (s *Store) knownReform(reform *store.Submission) *proto.Receipt {
	if reform == nil || s.conversations[reform.Entry.Conversation] == nil {
		return nil
	}
	if r, ok := s.conversations[reform.Entry.Conversation].known(reform.Hash); ok {
		return &r
	}
	return nil
}

func (c *conversation) known(hash proto.Hash) (proto.Receipt, bool) {
	r, ok := c.hashes[hash]
	return r, ok
}

func (c *conversation) add(log store.Log, sub *store.Submission) (proto.Receipt, error) {
	log, r, err := log.Add(sub)
	if err != nil {
		return r, err
	}
	e := *sub.Entry
	e.Bytes = bytes.Clone(e.Bytes)
	c.Log = log
	c.entries = append(c.entries, proto.Stamped{Entry: e, Receipt: r})
	c.hashes[sub.Hash] = r
	if sub.Tag != (proto.Hash{}) {
		c.tags[sub.Tag] = true
	}
	return r, nil
}

func (s *Store) live(sub *store.Submission) (*conversation, error) {
	c := s.conversations[sub.Entry.Conversation]
	if c == nil {
		return nil, proto.Refuse(proto.NotMember)
	}
	if m, ok := c.members[sub.Entry.MK]; !ok || m.Until != 0 {
		return nil, proto.Refuse(proto.NotMember)
	}
	return c, nil
}

func (s *Store) checkAppend(sub *store.Submission) (*conversation, error) {
	c, err := s.live(sub)
	if err != nil {
		return nil, err
	}
	if c.tags[sub.Tag] {
		return nil, proto.Refuse(proto.Duplicate)
	}
	if err := c.Admit(sub); err != nil {
		return nil, err
	}
	return c, c.Room(sub)
}

// Append implements store.Conversations.
func (s *Store) Append(_ context.Context, sub store.Submission) (a store.Accepted, err error) {
	defer s.lock()()
	c, err := s.live(&sub)
	if err != nil {
		return a, err
	}
	if a.Receipt, a.Known = c.known(sub.Hash); a.Known {
		return a, nil
	}
	if _, err := s.checkAppend(&sub); err != nil {
		return a, err
	}
	if a.Receipt, err = c.add(c.Log, &sub); err == nil && sub.Leave {
		c.close(sub.Entry.MK, a.Receipt.Seq)
	}
	return a, err
}

func (c *conversation) close(mk proto.MemberKey, seq uint64) {
	if m := c.members[mk]; m.Until == 0 {
		m.Until = seq
		c.members[mk] = m
	}
}

// Commit implements store.Conversations.
func (s *Store) Commit(_ context.Context, sub store.Submission, d proto.KeyDelta, at store.Attached) (a store.Accepted, err error) {
	defer s.lock()()
	if c := s.conversations[sub.Entry.Conversation]; c != nil {
		if a.Receipt, a.Known = c.known(sub.Hash); a.Known {
			return a, nil
		}
	}
	c, to, err := s.checkCommit(&sub, &d, &at)
	if err != nil {
		return a, err
	}
	if a.Receipt, err = c.add(c.EndEpoch(sub.Now, len(d.Removes) > 0), &sub); err != nil {
		return a, err
	}
	c.change(sub.Entry.MK, &d, a.Receipt.Seq)
	a.Inboxes = to
	s.attach(sub.Entry.Conversation, &at, to)
	return a, nil
}

func (s *Store) checkCommit(sub *store.Submission, d *proto.KeyDelta, at *store.Attached) (*conversation, []store.Inbox, error) {
	c, err := s.live(sub)
	if err != nil {
		return nil, nil, err
	}
	if err := c.Follows(sub); err != nil {
		return nil, nil, err
	}
	if !c.fits(d) {
		return nil, nil, proto.Refuse(proto.BadDelta)
	}
	to, err := s.checkAttached(at)
	if err != nil {
		return nil, nil, err
	}
	return c, to, c.Room(sub)
}

func (c *conversation) fits(d *proto.KeyDelta) bool {
	has := func(mk proto.MemberKey) bool { _, ok := c.members[mk]; return ok }
	return !slices.ContainsFunc(d.Adds, has) && (d.Replace == nil || !has(*d.Replace)) &&
		!slices.ContainsFunc(d.Removes, func(mk proto.MemberKey) bool { return !has(mk) })
}

func (c *conversation) change(mk proto.MemberKey, d *proto.KeyDelta, seq uint64) {
	for _, k := range d.Adds {
		c.members[k] = store.Member{From: seq}
	}
	for _, k := range d.Removes {
		c.close(k, seq)
	}
	if d.Replace != nil {
		c.members[*d.Replace] = store.Member{From: c.members[mk].From}
		c.close(mk, seq)
	}
}

// Known implements store.Conversations.
func (s *Store) Known(_ context.Context, id proto.ConversationID, hash proto.Hash) (r proto.Receipt, ok bool, err error) {
	defer s.lock()()
	if c := s.conversations[id]; c != nil {
		r, ok = c.known(hash)
	}
	return r, ok, nil
}

// Member implements store.Conversations.
func (s *Store) Member(_ context.Context, id proto.ConversationID, mk proto.MemberKey) (store.Member, error) {
	defer s.lock()()
	if c := s.conversations[id]; c != nil {
		if m, ok := c.members[mk]; ok {
			return m, nil
		}
	}
	return store.Member{}, proto.Refuse(proto.NotMember)
}

// Read implements store.Conversations.
func (s *Store) Read(ctx context.Context, id proto.ConversationID, mk proto.MemberKey, after uint64, most, maxBytes int) (r store.Reading, err error) {
	m, err := s.Member(ctx, id, mk)
	if err != nil {
		return r, err
	}
	defer s.lock()()
	c := s.conversations[id]
	r.Head, r.Epoch = c.Seq, c.Epoch
	if m.Until != 0 {
		r.Head, r.Epoch = m.Until, 0
		if after >= m.Until {
			return r, &proto.Error{Code: proto.ClosedKey, Seq: m.Until}
		}
	}
	first := max(after+1, m.From)
	if first > r.Head {
		return r, nil
	}
	size := 0
	for _, e := range c.entries {
		if e.Receipt.Seq == m.Until {
			r.Epoch = e.Entry.Epoch
		}
		if e.Receipt.Seq < first || e.Receipt.Seq > r.Head || len(r.Entries) == most {
			continue
		}
		if size += len(e.Entry.Bytes) + 400; size > maxBytes && len(r.Entries) > 0 {
			most = len(r.Entries)
			continue
		}
		r.Entries = append(r.Entries, e)
	}
	if len(r.Entries) == 0 {
		return r, &proto.Error{Code: proto.Gone, Seq: r.Head + 1}
	} else if got := r.Entries[0].Receipt.Seq; got != first {
		return r, &proto.Error{Code: proto.Gone, Seq: got}
	}
	return r, nil
}

// AddToken implements store.Conversations.
func (s *Store) AddToken(_ context.Context, token proto.Hash, expires store.Day) error {
	defer s.lock()()
	if _, ok := s.tokens[token]; !ok {
		s.tokens[token] = expires
	}
	return nil
}

// CheckToken implements store.Conversations.
func (s *Store) CheckToken(_ context.Context, token proto.Hash, today store.Day) error {
	defer s.lock()()
	if day, ok := s.tokens[token]; !ok || day < today {
		return proto.Refuse(proto.BadToken)
	}
	return nil
}

// Clean implements store.Server.
func (s *Store) Clean(_ context.Context, now time.Time, r store.Retention) error {
	defer s.lock()()
	today := store.DayOf(now)
	ago := func(d store.Day) store.Day { return max(today, d) - d }
	for id, c := range s.conversations {
		c.expire(store.MinuteOf(now), store.Minute(r.Entries)*24*60)
		if len(c.entries) == 0 && !c.anyLive() {
			delete(s.conversations, id)
			maps.DeleteFunc(s.pins, func(k pinKey, _ store.Day) bool { return k.owner == proto.Hash(id) })
		}
	}
	maps.DeleteFunc(s.tokens, func(_ proto.Hash, d store.Day) bool { return d < today })
	maps.DeleteFunc(s.tickets, func(_ proto.Hash, t ticket) bool { return t.expires < today })
	for i, pool := range s.packages {
		s.packages[i] = slices.DeleteFunc(pool, func(p store.KeyPackage) bool { return p.Expires < today })
	}
	maps.DeleteFunc(s.lastResort, func(_ store.Inbox, p store.KeyPackage) bool { return p.Expires < today })
	maps.DeleteFunc(s.items, func(_ proto.InboxItemID, i item) bool { return i.day < ago(store.InboxDays) })
	maps.DeleteFunc(s.pins, func(_ pinKey, d store.Day) bool { return d > 0 && d < today })
	maps.DeleteFunc(s.blobs, func(id proto.BlobID, b *blob) bool { return b.day < ago(store.UnpinnedDay) && !s.pinned(id) })
	maps.DeleteFunc(s.invites, func(_ proto.Hash, i store.Invite) bool {
		return i.Expires+store.InviteDays*24*60 < store.MinuteOf(now)
	})
	return nil
}

func (s *Store) pinned(id proto.BlobID) bool {
	for k := range s.pins {
		if k.blob == id {
			return true
		}
	}
	return false
}

// expire drops entries older than age. A clock that went back drops fewer, and
// never one behind an entry that stays.
func (c *conversation) expire(now, age store.Minute) {
	for len(c.entries) > 0 && store.Minute(c.entries[0].Receipt.Minute)+age < now {
		c.Bytes -= uint64(len(c.entries[0].Entry.Bytes))
		delete(c.hashes, c.entries[0].Entry.Hash())
		c.entries = c.entries[1:]
	}
	if len(c.entries) == 0 {
		c.Last = 0
	}
}

func (c *conversation) anyLive() bool {
	for _, m := range c.members {
		if m.Until == 0 {
			return true
		}
	}
	return false
}

// Truncate, Check and Close implement store.Server; there is nothing to do.
func (s *Store) Truncate(context.Context) error { return nil }
func (s *Store) Check(context.Context) error    { return nil }
func (s *Store) Close() error                   { return nil }
