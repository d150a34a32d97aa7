package rpc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

// Config is what a Core stands on.
type Config struct {
	// Open gives what the client core stands on; the Core closes its store.
	// client.ErrNoProfile without create: there is none yet.
	Open    func(ctx context.Context, create bool) (client.Config, error)
	Where   Where
	Version string
	// Server is the one an interface in a browser belongs to, as
	// client.ServerRef writes it; "" if any will do.
	Server string
	// Page is the origin an interface was opened under, where that may differ from
	// the server's own: invitations lead there as well.
	Page string
}

// Core is the device an interface works with, and the interfaces connected to
// it. Its methods may be called concurrently.
type Core struct {
	cfg  Config
	ctx  context.Context // ends with the Core
	news news

	mu       sync.Mutex // guards what follows
	sessions map[*session]bool
	client   *client.Client // nil without a profile
	stop     context.CancelFunc
	busy     bool // a profile is being made
	sync     SyncEvent
	lastSync time.Time
	revoked  bool
	standing []Alarm // raised, of single conversations and of what failed
	told     []Alarm // what interfaces were told
}

// NewCore opens the profile, if there is one, and keeps it up to date until ctx
// ends. Close gives it back.
func NewCore(ctx context.Context, cfg Config) (*Core, error) {
	c := &Core{cfg: cfg, ctx: ctx, sessions: map[*session]bool{}}
	c.news.kick = make(chan struct{}, 1)
	conf, err := c.open(ctx, false)
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

// open is cfg.Open, with changes told to this Core.
func (c *Core) open(ctx context.Context, create bool) (client.Config, error) {
	conf, err := c.cfg.Open(ctx, create)
	conf.Changed = c.news.note
	return conf, err
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
	go c.report(ctx, device)
}

// follow keeps the device up to date until ctx ends.
func (c *Core) follow(ctx context.Context, device *client.Client) {
	c.setSync(func(s *SyncEvent) { s.Syncing = true })
	go c.firstSync(ctx, device)
	err := device.Follow(ctx, func() {})
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, client.ErrRevoked):
		c.mu.Lock()
		c.revoked = true
		c.mu.Unlock()
		if s, err := c.present(ctx); err == nil {
			c.event("state", s)
		}
	default:
		c.raise(alarmOf(err))
	}
}

// present is the state as it is now.
func (c *Core) present(ctx context.Context) (*State, error) {
	c.mu.Lock()
	device, revoked := c.client, c.revoked
	c.mu.Unlock()
	s := &State{Phase: PhaseNew, Where: c.cfg.Where, Version: c.cfg.Version, Server: c.cfg.Server}
	if device == nil {
		return s, nil
	}
	st, err := device.Status(ctx)
	if err != nil {
		return nil, err
	}
	s.Phase = PhaseReady
	if revoked {
		s.Phase = PhaseRevoked
	}
	s.Handle, s.Account, s.Device, s.Server = st.Handle, st.Account, st.Device, st.Server.String()
	key, err := device.RecoveryKeyToShow(ctx)
	s.RecoveryUnconfirmed = key != ""
	return s, err
}

// make makes a profile by begin, one at a time.
func (c *Core) make(ctx context.Context, begin func(client.Config) (*client.Client, error)) (*State, error) {
	c.mu.Lock()
	has, busy := c.client != nil, c.busy
	if !has && !busy {
		c.busy = true
	}
	c.mu.Unlock()
	if has {
		return nil, &Error{Code: CodeHasProfile, Text: "this device has an account already", Hint: "another one needs another profile"}
	}
	if busy {
		return nil, &Error{Code: CodeBusy, Text: "this device is being set up already"}
	}
	defer func() {
		c.mu.Lock()
		c.busy = false
		c.mu.Unlock()
	}()
	conf, err := c.open(ctx, true)
	if err != nil {
		return nil, err
	}
	device, err := begin(conf)
	if err != nil {
		return nil, errors.Join(err, conf.Store.Close())
	}
	c.use(device)
	s, err := c.present(ctx)
	if err == nil {
		c.event("state", s)
	}
	return s, err
}

// invitation reads a link, also one that was opened under the page's address.
func (c *Core) invitation(text string) (client.Invitation, error) {
	text = strings.TrimSpace(text)
	server := c.cfg.Server
	if i := strings.IndexByte(server, '#'); i >= 0 {
		server = server[:i]
	}
	if rest, ok := strings.CutPrefix(text, c.cfg.Page+"/"); ok && c.cfg.Page != "" && server != "" {
		text = server + "/" + rest
	}
	inv, err := client.ParseInvitation(text)
	if err != nil {
		return inv, &Error{Code: CodeBadInvite, Text: err.Error(), Hint: "copy the whole link, up to its last character"}
	}
	if server != "" && inv.Server.URL != server {
		return inv, &Error{Code: CodeOtherServer, Text: "this invitation is for " + inv.Server.URL, Hint: "open the link itself in the browser"}
	}
	return inv, nil
}

// server reads what names a server, by default that of the page.
func (c *Core) server(text string) (client.ServerRef, error) {
	if text == "" {
		text = c.cfg.Server
	}
	ref, err := client.ParseServerRef(text)
	if err != nil {
		return ref, &Error{Code: CodeBadInvite, Text: err.Error(), Hint: "your other device shows the server to write here"}
	}
	return ref, nil
}

func millis(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}
