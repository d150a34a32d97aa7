package delivery

import (
	"context"
	"sync"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// hub passes hints to who listens, in memory only. Hints say where to look,
// never what is there; hints of one session that nobody took yet become one.
type hub struct {
	mu            sync.Mutex // guards all maps, those inside subscriptions too
	conversations map[proto.ConversationID]map[listener]bool
	inboxes       map[store.Inbox]map[listener]bool
}

// listener is one session of one subscription.
type listener struct {
	sub     *Subscription
	session proto.SessionID
	mk      proto.MemberKey // zeros for an inbox
}

func newHub() *hub {
	return &hub{conversations: map[proto.ConversationID]map[listener]bool{}, inboxes: map[store.Inbox]map[listener]bool{}}
}

// Subscription is one connection's wish for hints. Next may be called by one
// goroutine while another calls Set.
type Subscription struct {
	service *Service
	wake    chan struct{} // holds one token while pending is not empty

	// guarded by hub.mu
	pending map[proto.SessionID]proto.Hint
	drop    []func() // takes the listeners out of the hub
}

// Subscribe returns a subscription to nothing; Close it.
func (s *Service) Subscribe() *Subscription {
	return &Subscription{service: s, wake: make(chan struct{}, 1), pending: map[proto.SessionID]proto.Hint{}}
}

// Set replaces what the subscription listens to. A session that is unknown, or
// whose key is closed, is hinted as Ended. Every conversation is hinted once at
// the start, so that nothing is missed between reading and subscribing.
// too_large above proto.MaxSubscribe.
func (u *Subscription) Set(ctx context.Context, r *proto.Subscribe) error {
	if len(r.Sessions) > proto.MaxSubscribe {
		return proto.Refuse(proto.TooLarge)
	}
	u.Close()
	for _, id := range r.Sessions {
		if err := u.add(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (u *Subscription) add(ctx context.Context, id proto.SessionID) error {
	t := u.service.Sessions
	if m, err := t.Member(id); err == nil && !m.Pending {
		return u.addMember(ctx, id, m)
	}
	d, err := t.Device(id)
	if err != nil {
		u.push(proto.Hint{Session: id, Ended: true})
		return nil
	}
	for _, inbox := range []store.Inbox{{Account: d.Account, Device: d.Device}, {Account: d.Account}} {
		listen(u.service.hub, u.service.hub.inboxes, inbox, listener{sub: u, session: id})
	}
	u.push(proto.Hint{Session: id})
	return nil
}

func (u *Subscription) addMember(ctx context.Context, id proto.SessionID, m session.Member) error {
	// Listen first: a key closed meanwhile is then closed here too.
	listen(u.service.hub, u.service.hub.conversations, m.Conversation, listener{sub: u, session: id, mk: m.MK})
	standing, err := u.service.Store.Member(ctx, m.Conversation, m.MK)
	if err != nil {
		return err
	}
	if standing.Until != 0 {
		u.service.hub.close(m.Conversation, []proto.MemberKey{m.MK})
		return nil
	}
	u.push(proto.Hint{Session: id})
	return nil
}

func listen[K comparable](h *hub, all map[K]map[listener]bool, key K, l listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if all[key] == nil {
		all[key] = map[listener]bool{}
	}
	all[key][l] = true
	l.sub.drop = append(l.sub.drop, func() {
		delete(all[key], l)
		if len(all[key]) == 0 {
			delete(all, key)
		}
	})
}

// Close ends all listening; hints not taken yet are dropped.
func (u *Subscription) Close() {
	u.service.hub.mu.Lock()
	defer u.service.hub.mu.Unlock()
	for _, f := range u.drop {
		f()
	}
	u.drop = nil
	clear(u.pending)
}

// Next waits for a hint. The error is the context's. To be hinted is to use a
// session; the hint of one that has ended says so.
func (u *Subscription) Next(ctx context.Context) (proto.Hint, error) {
	for {
		if h, ok := u.take(); ok {
			h.Ended = h.Ended || !u.service.Sessions.Use(h.Session)
			return h, nil
		}
		select {
		case <-u.wake:
		case <-ctx.Done():
			return proto.Hint{}, ctx.Err()
		}
	}
}

func (u *Subscription) take() (proto.Hint, bool) {
	u.service.hub.mu.Lock()
	defer u.service.hub.mu.Unlock()
	for id, h := range u.pending {
		delete(u.pending, id)
		return h, true
	}
	return proto.Hint{}, false
}

func (u *Subscription) push(h proto.Hint) {
	u.service.hub.mu.Lock()
	defer u.service.hub.mu.Unlock()
	u.pushLocked(h)
}

func (u *Subscription) pushLocked(h proto.Hint) {
	if old, ok := u.pending[h.Session]; ok {
		h.Seq, h.Ended = max(h.Seq, old.Seq), h.Ended || old.Ended
	}
	u.pending[h.Session] = h
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// conversation hints that a log has grown to seq.
func (h *hub) conversation(id proto.ConversationID, seq uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.conversations[id] {
		l.sub.pushLocked(proto.Hint{Session: l.session, Seq: seq})
	}
}

// inbox hints that an inbox has something new.
func (h *hub) inbox(i store.Inbox) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.inboxes[i] {
		l.sub.pushLocked(proto.Hint{Session: l.session})
	}
}

// close ends the listening of keys that are live no longer.
func (h *hub) close(id proto.ConversationID, keys []proto.MemberKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	closed := make(map[proto.MemberKey]bool, len(keys))
	for _, k := range keys {
		closed[k] = true
	}
	for l := range h.conversations[id] {
		if closed[l.mk] {
			l.sub.pushLocked(proto.Hint{Session: l.session, Ended: true})
			delete(h.conversations[id], l)
		}
	}
	if len(h.conversations[id]) == 0 {
		delete(h.conversations, id)
	}
}

func (s *Service) hintInboxes(all []store.Inbox) {
	for _, i := range all {
		s.hub.inbox(i)
	}
}
