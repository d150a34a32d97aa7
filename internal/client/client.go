package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Client is one device. Its methods may be called concurrently, and other
// processes may use the same store.
type Client struct {
	cfg    Config
	server ServerRef
	net    Transport

	// mu makes steps one at a time. It guards what follows, which mirrors the
	// store as of base and is dropped whenever the store turns out to differ.
	mu     sync.Mutex
	base   uint64
	me     *identity
	convs  map[proto.ConversationID]*conversation
	chains map[proto.AccountID]kt.Chain
	// checked is chainRecord.Checked of those that were looked at.
	checked map[proto.AccountID]uint64
	// given is in which record what was given of an account stands; nil: not read.
	given  map[proto.AccountID]string
	replay kt.Replay // of the server's log
	// replayThen is the same as of the newest witnessed head.
	replayThen kt.Replay
	days       kt.Days // its distinguished versions
	former     map[proto.AccountID]bool

	sessions sessions

	givePage int // bytes of the log that one request gives back

	jobs   turn // of doing them: who waited finds them done
	backup turn // of writing it: the one with the newest key comes last
}

// turn makes what spans requests one at a time within this program.
type turn chan struct{}

// take waits for its turn, which done ends.
func (t turn) take(ctx context.Context) (done func(), err error) {
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// newClient returns a client without identity; Join, Link and Open give it one.
func newClient(cfg Config, server ServerRef) (*Client, error) {
	if cfg.Clock == nil {
		cfg.Clock = SystemClock{}
	}
	if cfg.Log == nil {
		cfg.Log = silent{}
	}
	if cfg.SendFor == 0 {
		cfg.SendFor = 60 * time.Second
	}
	if cfg.Jitter == nil {
		cfg.Jitter = jitter
	}
	if cfg.Witnesses.Quorum == "" {
		cfg.Witnesses.Quorum = kt.QuorumNone
	}
	net, err := cfg.Dial(server)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, server: server, net: net, givePage: proto.GiveLogPage, jobs: make(turn, 1), backup: make(turn, 1)}
	c.forget()
	return c, nil
}

// Open returns the device the store holds, or ErrNoProfile.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	server, err := storedServer(ctx, cfg.Store)
	if err != nil {
		return nil, err
	}
	c, err := newClient(cfg, server)
	if err != nil {
		return nil, err
	}
	return c, c.step(ctx, func(t *tx) error {
		_, err := t.identity()
		return err
	})
}

// forget drops what memory knows of the store; c.mu is held.
func (c *Client) forget() {
	c.me = nil
	c.convs = map[proto.ConversationID]*conversation{}
	c.chains, c.checked = map[proto.AccountID]kt.Chain{}, map[proto.AccountID]uint64{}
	c.former, c.given = nil, nil
}

func (c *Client) now() time.Time { return c.cfg.Clock.Now() }

// jitter draws a duration from [0, d).
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	var b [8]byte
	rand.Read(b[:])
	return time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(d)) // evenly enough for waiting
}

// Close lets go of the store.
func (c *Client) Close() error { return c.cfg.Store.Close() }
