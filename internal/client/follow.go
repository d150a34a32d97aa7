package client

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

const (
	// followPoll is how often Follow looks by itself: hints may be lost.
	followPoll = 20 * time.Second
	// followRetry is the first wait after a failed connection.
	followRetry = 500 * time.Millisecond
)

// Follow keeps the client up to date until ctx ends and calls changed, one at a
// time, after each sync that stored something. It goes on while the server is
// away and returns only ctx's error, a *PinError or ErrRevoked.
func (c *Client) Follow(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	n := &news{kick: make(chan struct{}, 1)}
	n.all()
	for _, lane := range []Lane{Account, Conversations} {
		go c.listen(ctx, lane, n)
	}
	base := uint64(0)
	for ctx.Err() == nil {
		err := c.catchUp(ctx, n)
		var pin *PinError
		if errors.As(err, &pin) || errors.Is(err, ErrRevoked) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			c.cfg.Log.Warn("not brought up to date", "why", err)
		}
		if now := c.storeBase(ctx); now != base {
			base = now
			changed()
		}
		if !c.rest(ctx, n.kick) {
			n.all()
		}
	}
	return context.Cause(ctx)
}

// news is what the server has hinted at since the last look.
type news struct {
	kick chan struct{} // has one when there is something

	mu    sync.Mutex // guards what follows
	every bool       // anything may be new
	convs map[proto.ConversationID]bool
}

func (n *news) add(f func()) {
	n.mu.Lock()
	f()
	n.mu.Unlock()
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

func (n *news) all() { n.add(func() { n.every = true }) }

func (n *news) conv(id proto.ConversationID) {
	n.add(func() {
		if n.convs == nil {
			n.convs = map[proto.ConversationID]bool{}
		}
		n.convs[id] = true
	})
}

// take returns what there is and forgets it.
func (n *news) take() (every bool, convs []proto.ConversationID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	every, convs = n.every, slices.Collect(maps.Keys(n.convs))
	n.every, n.convs = false, nil
	return every, convs
}

// catchUp syncs what the hints name; everything, where they may have been lost.
func (c *Client) catchUp(ctx context.Context, n *news) error {
	every, convs := n.take()
	if every {
		return c.Sync(ctx)
	}
	for _, id := range convs {
		if err := c.syncConv(ctx, id); err != nil {
			if err := c.tolerate(id, err); err != nil {
				return err
			}
		}
	}
	return c.takeOffered(ctx, convs)
}

// takeOffered takes over the history that came with a hint of the own devices'
// conversation.
func (c *Client) takeOffered(ctx context.Context, hinted []proto.ConversationID) error {
	own := false
	err := c.step(ctx, func(t *tx) error {
		id, ok, err := t.ownConversation()
		own = ok && slices.Contains(hinted, id)
		return err
	})
	if err != nil || !own {
		return err
	}
	if err := c.importHistory(ctx); err != nil {
		return c.tolerateJobs(err)
	}
	return nil
}

// rest waits for a hint, and returns false when it is time for a poll.
func (c *Client) rest(ctx context.Context, kick <-chan struct{}) bool {
	timer, cancel := context.WithCancel(ctx)
	defer cancel()
	poll := make(chan struct{})
	go func() {
		defer close(poll)
		_ = c.cfg.Clock.Sleep(timer, followPoll)
	}()
	select {
	case <-kick:
		return true
	case <-poll:
		return false
	}
}

func (c *Client) storeBase(ctx context.Context) uint64 {
	n, err := c.cfg.Store.Base(ctx)
	if err != nil {
		return 0
	}
	return n
}

// listen keeps one lane's push connection. It subscribes anew when the set of
// sessions has changed, which it looks for at every hint and poll.
func (c *Client) listen(ctx context.Context, lane Lane, n *news) {
	wait := followRetry
	for ctx.Err() == nil {
		sub := c.subscription(lane)
		if len(sub.Sessions) == 0 {
			_ = c.cfg.Clock.Sleep(ctx, followRetry)
			continue
		}
		short, cancel := context.WithCancel(ctx)
		go c.watchSessions(short, cancel, lane, sub.Sessions)
		began := c.now()
		err := c.net.Listen(short, lane, sub, func(h proto.Hint) {
			id, ok := c.hinted(lane, h)
			if ok {
				n.conv(id)
			} else {
				n.all()
			}
		})
		cancel()
		if ctx.Err() == nil && err != nil && c.now().Sub(began) < time.Second {
			_ = c.cfg.Clock.Sleep(ctx, wait+c.cfg.Jitter(wait))
			wait = min(2*wait, 10*time.Second)
		} else {
			wait = followRetry
		}
		n.all() // hints may have been lost
	}
}

// watchSessions ends a subscription that is no longer complete.
func (c *Client) watchSessions(ctx context.Context, cancel func(), lane Lane, now []proto.SessionID) {
	for c.cfg.Clock.Sleep(ctx, followRetry) == nil {
		if !slices.Equal(c.subscription(lane).Sessions, now) {
			cancel()
			return
		}
	}
}

func (c *Client) subscription(lane Lane) (sub proto.Subscribe) {
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	if lane == Account && c.sessions.account != nil {
		sub.Sessions = append(sub.Sessions, c.sessions.account.Session)
	}
	if lane == Conversations {
		for _, s := range c.sessions.convs {
			if len(sub.Sessions) < proto.MaxSubscribe {
				sub.Sessions = append(sub.Sessions, s.Session)
			}
		}
	}
	slices.SortFunc(sub.Sessions, func(a, b proto.SessionID) int { return bytes.Compare(a[:], b[:]) })
	return sub
}

// hinted returns the conversation a hint is about; false if it is about
// something else, or its session has ended.
func (c *Client) hinted(lane Lane, h proto.Hint) (id proto.ConversationID, ok bool) {
	if h.Ended {
		c.endSession(lane, h.Session)
		return id, false
	}
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	for id, open := range c.sessions.convs {
		if open.Session == h.Session {
			return id, true
		}
	}
	return id, false
}

// endSession forgets a session the server does not know.
func (c *Client) endSession(lane Lane, s proto.SessionID) {
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	if lane == Account && c.sessions.account != nil && c.sessions.account.Session == s {
		c.sessions.account = nil
	}
	for id, open := range c.sessions.convs {
		if open.Session == s {
			delete(c.sessions.convs, id)
		}
	}
}
