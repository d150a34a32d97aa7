package httpapi

import (
	"context"
	"sync"

	"codeberg.org/huis/huis/internal/proto"
)

// topic is what a hint is about: the 32 bytes of a conversation or account with
// a letter before them.
type topic [33]byte

func conversationTopic(id proto.ConversationID) (t topic) {
	t[0] = 'c'
	copy(t[1:], id[:])
	return t
}

func accountTopic(id proto.AccountID) (t topic) {
	t[0] = 'a'
	copy(t[1:], id[:])
	return t
}

// hub passes hints to those who listen. A listener holds at most one hint for
// each session it named, the newest, so a slow one costs no memory and delays
// nobody; hints may be lost, entries are read from the log (protocol.md, 14).
type hub struct {
	mu        sync.RWMutex // guards listeners
	listeners map[topic]map[*listener][]proto.SessionID
}

// listener is one push connection.
type listener struct {
	wake chan struct{} // capacity 1: there is something pending

	mu      sync.Mutex // guards pending
	pending map[proto.SessionID]uint64
}

func newHub() *hub { return &hub{listeners: make(map[topic]map[*listener][]proto.SessionID)} }

// notify hints that the topic has come to seq. It never blocks.
func (h *hub) notify(t topic, seq uint64) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for l, sessions := range h.listeners[t] {
		l.put(sessions, seq)
	}
}

func (l *listener) put(sessions []proto.SessionID, seq uint64) {
	l.mu.Lock()
	for _, s := range sessions {
		l.pending[s] = max(l.pending[s], seq)
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take returns what is pending and forgets it.
func (l *listener) take() map[proto.SessionID]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	pending := l.pending
	l.pending = make(map[proto.SessionID]uint64)
	return pending
}

// listen calls hint for what is notified on topics until ctx ends, one call at
// a time. It returns the error of hint or of ctx.
func (h *hub) listen(ctx context.Context, topics map[proto.SessionID]topic, hint func(proto.SessionID, uint64) error) error {
	l := &listener{wake: make(chan struct{}, 1), pending: make(map[proto.SessionID]uint64)}
	h.add(l, topics)
	defer h.remove(l, topics)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.wake:
		}
		for session, seq := range l.take() {
			if err := hint(session, seq); err != nil {
				return err
			}
		}
	}
}

func (h *hub) add(l *listener, topics map[proto.SessionID]topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for session, t := range topics {
		if h.listeners[t] == nil {
			h.listeners[t] = make(map[*listener][]proto.SessionID)
		}
		h.listeners[t][l] = append(h.listeners[t][l], session)
	}
}

func (h *hub) remove(l *listener, topics map[proto.SessionID]topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range topics {
		delete(h.listeners[t], l)
		if len(h.listeners[t]) == 0 {
			delete(h.listeners, t)
		}
	}
}
