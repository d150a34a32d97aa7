package client

import (
	"context"
	"io"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Lane separates what the server must not be able to join: requests of
// different lanes travel on different connections (protocol, section 14).
type Lane uint8

// The three lanes.
const (
	Anonymous     Lane = iota // no account and no conversation is named
	Account                   // names the account
	Conversations             // names conversations by member keys, never the account
)

// Transport carries requests to one server.
type Transport interface {
	// Call sends req and decodes the answer into resp. A *proto.Error is the
	// server's definite answer. An error wrapping ErrUnreachable leaves open
	// whether the request had its effect. *PinError: another server answered;
	// nothing was sent.
	Call(ctx context.Context, lane Lane, m proto.Method, req, resp proto.Message) error
	// Listen subscribes on the lane's push connection and calls hint, one at a
	// time, until ctx ends or the connection breaks; it always returns an error.
	Listen(ctx context.Context, lane Lane, sub proto.Subscribe, hint func(proto.Hint)) error
}

// Dialer makes the Transport for a server. It connects lazily.
type Dialer func(ServerRef) (Transport, error)

// Clock is the time the client lives in.
type Clock interface {
	Now() time.Time
	// Sleep waits for d or until ctx ends, and then returns ctx's error.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the computer's clock.
type SystemClock struct{}

// Now returns the present time.
func (SystemClock) Now() time.Time { return time.Now() }

// Sleep waits for d or until ctx ends.
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Logger takes what a client does not tell anybody else; a *slog.Logger is one.
// It is an interface so that the core for browsers, which keeps no log, need not
// carry package slog.
type Logger interface {
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
}

// silent discards.
type silent struct{}

func (silent) Info(string, ...any) {}
func (silent) Warn(string, ...any) {}

// Config is what a Client stands on.
type Config struct {
	Store store.Store
	Dial  Dialer
	Clock Clock  // nil: SystemClock
	Log   Logger // nil: discards
	// Witnesses are those that the first policy of a server asks for, if this is
	// its first admin's device. Zero: none.
	Witnesses kt.WitnessSet
	// SendFor is how long Send tries before it leaves a message in the outbox.
	// 0: 60 s.
	SendFor time.Duration
	// Evidence keeps what proves a server's misbehaviour where the person finds
	// it and returns that place. nil: the store alone keeps it.
	Evidence func(name string, data []byte) (path string, err error)
	// OpenFile opens a file that was sent or saved from a path, to give it back
	// to a server that lost it. nil: no file has a path.
	OpenFile func(path string) (io.ReadSeekCloser, error)
	// Now and then a device does work that many would otherwise do in the same
	// second. Jitter draws from [0, d); nil: crypto/rand.
	Jitter func(d time.Duration) time.Duration
	// Breathe, if not nil, is called by long work between two pieces of it, at most
	// some tens of milliseconds apart in a browser, where nothing else runs
	// meanwhile: it lets others run. No step holds the store then.
	Breathe func()
	// Changed, if not nil, is told of every step that changed what a person may
	// see. It must not call the Client, only note what it is told.
	Changed func(Change)
}
