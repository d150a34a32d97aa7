package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

// Config is what a Core stands on.
type Config struct {
	// Open gives what the client core stands on. Its store is closed by the Core.
	// client.ErrNoProfile without create: there is none yet.
	Open    func(ctx context.Context, create bool) (client.Config, error)
	Where   Where
	Version string
	// Server is the one an interface in a browser belongs to, as
	// client.ServerRef writes it; "" if any will do.
	Server string
	// Page is the address under which the interface was opened, where that is not
	// the server's own: invitations may have been opened there.
	Page string
}

// Core is the device an interface works with, and the interfaces connected to
// it. Its methods may be called concurrently.
type Core struct {
	cfg Config
	ctx context.Context // ends with the Core

	mu       sync.Mutex // guards what follows
	sessions map[*session]bool
	client   *client.Client // nil without a profile
	stop     context.CancelFunc
	busy     bool   // a profile is being made
	recovery string // shown and not confirmed yet
	sync     SyncEvent
	lastSync time.Time
	revoked  bool
	standing []Alarm
}

// NewCore opens the profile, if there is one, and keeps it up to date until ctx
// ends. Close gives it back.
func NewCore(ctx context.Context, cfg Config) (*Core, error) {
	c := &Core{cfg: cfg, ctx: ctx, sessions: map[*session]bool{}}
	conf, err := cfg.Open(ctx, false)
	if errors.Is(err, client.ErrNoProfile) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	device, err := client.Open(ctx, conf)
	if errors.Is(err, client.ErrNoProfile) {
		return c, conf.Store.Close()
	}
	if err != nil {
		return nil, errors.Join(err, conf.Store.Close())
	}
	c.use(device)
	return c, nil
}

// Close lets go of the profile.
func (c *Core) Close() error {
	c.mu.Lock()
	device, stop := c.client, c.stop
	c.client, c.stop = nil, nil
	c.mu.Unlock()
	if device == nil {
		return nil
	}
	stop()
	return device.Close()
}

// device returns the client, or why there is none.
func (c *Core) device() (*client.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		return nil, client.ErrNoProfile
	}
	return c.client, nil
}

// use makes device the one that interfaces work with, and keeps it up to date.
func (c *Core) use(device *client.Client) {
	ctx, stop := context.WithCancel(c.ctx)
	c.mu.Lock()
	c.client, c.stop = device, stop
	c.mu.Unlock()
	go c.follow(ctx, device)
}

// follow keeps the device up to date until ctx ends.
func (c *Core) follow(ctx context.Context, device *client.Client) {
	_ = device.Follow(ctx, func() {})
}

func millis(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}
