package client

import (
	"context"
	"errors"
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
	kick := make(chan struct{}, 1)
	wake := func() {
		select {
		case kick <- struct{}{}:
		default:
		}
	}
	for _, lane := range []Lane{Account, Conversations} {
		go c.listen(ctx, lane, wake)
	}
	base := uint64(0)
	for ctx.Err() == nil {
		err := c.Sync(ctx)
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
		c.rest(ctx, kick)
	}
	return context.Cause(ctx)
}

// rest waits for a hint or the next poll.
func (c *Client) rest(ctx context.Context, kick <-chan struct{}) {
	timer, cancel := context.WithCancel(ctx)
	defer cancel()
	poll := make(chan struct{})
	go func() {
		defer close(poll)
		_ = c.cfg.Clock.Sleep(timer, followPoll)
	}()
	select {
	case <-kick:
	case <-poll:
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
func (c *Client) listen(ctx context.Context, lane Lane, wake func()) {
	wait := followRetry
	for ctx.Err() == nil {
		sub := c.subscription(lane)
		if len(sub.Sessions) == 0 {
			_ = c.cfg.Clock.Sleep(ctx, followRetry)
			continue
		}
		short, cancel := context.WithCancel(ctx)
		go c.watchSessions(short, cancel, lane, len(sub.Sessions))
		began := c.now()
		err := c.net.Listen(short, lane, sub, func(h proto.Hint) {
			if h.Ended {
				c.endSession(lane, h.Session)
			}
			wake()
		})
		cancel()
		if ctx.Err() == nil && err != nil && c.now().Sub(began) < time.Second {
			_ = c.cfg.Clock.Sleep(ctx, wait+c.cfg.Jitter(wait))
			wait = min(2*wait, 10*time.Second)
		} else {
			wait = followRetry
		}
		wake()
	}
}

// watchSessions ends a subscription that is no longer complete.
func (c *Client) watchSessions(ctx context.Context, cancel func(), lane Lane, n int) {
	for c.cfg.Clock.Sleep(ctx, followRetry) == nil {
		if len(c.subscription(lane).Sessions) != n {
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
	return sub
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
