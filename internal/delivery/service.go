// Package delivery is the delivery service: conversations' logs with their
// member keys, stamps and push hints, key packages, inboxes and blobs. It
// checks each request in the order of protocol.md, 14 and leaves what must be
// atomic to one verb of the store.
//
// Begin with [Open]; there is one method per request of package proto. Every
// error is a *proto.Error, except when the store or the context failed. The
// service runs no MLS group and reads of a message only its clear header.
package delivery

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// Clock tells the time.
type Clock interface{ Now() time.Time }

// Config is what a Service needs. Zero numbers mean the defaults of setDefaults.
type Config struct {
	Store    store.Store
	Files    store.Files
	Sessions *session.Table
	Clock    Clock
	Key      store.OperatorKey
	Origin   string // host[:port], part of what sessions are signed over
	Log      *slog.Logger

	RetentionDays int // entries live that long
	// NewGeneration begins one, with a stamp key of its own: the database was
	// put back from a backup.
	NewGeneration bool

	MaxConversationBytes uint64 // entries of one conversation
	MaxBlobBytes         uint64 // blobs of one conversation
	MaxBackupBytesPerDay uint64 // blobs begun by one account in a day
	MaxInboxItems        int    // of one device, and of one account
	MaxCreatesPerDay     int    // create tokens of one account
}

func (c *Config) setDefaults() {
	setDefault(&c.RetentionDays, 30)
	setDefault(&c.MaxConversationBytes, 4<<30)
	setDefault(&c.MaxBlobBytes, 256<<30)
	setDefault(&c.MaxBackupBytesPerDay, 8<<30)
	setDefault(&c.MaxInboxItems, 2000)
	setDefault(&c.MaxCreatesPerDay, 200)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T int | uint64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Service answers the requests. It may be used concurrently.
type Service struct {
	Config
	hub       *hub
	throttles throttles
	windows   windows

	stamp struct {
		private ed25519.PrivateKey
		current proto.StampKey
		all     []proto.StampKey // oldest first
	}

	backup struct {
		sync.Mutex // guards bytes begun per account on day
		day        store.Day
		bytes      map[proto.AccountID]uint64
	}
}

// Open loads the server's stamp key, or makes generation and key on the very
// first start. The error is store.ErrOperatorKey if Key is not the one the
// data folder was made with.
func Open(ctx context.Context, c Config) (*Service, error) {
	c.setDefaults()
	s := &Service{Config: c, hub: newHub(), throttles: newThrottles(c), windows: newWindows()}
	keys, err := c.Store.StampKeys(ctx)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 || c.NewGeneration {
		k, err := s.newStampKey(ctx, proto.New[proto.Generation]())
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	for _, k := range keys {
		s.stamp.all = append(s.stamp.all, k.StampKey)
	}
	last := keys[len(keys)-1]
	seed, err := c.Key.Open(stampPurpose, last.KID[:], last.Sealed)
	if err != nil {
		return nil, fmt.Errorf("the server's stamp key: %w", err)
	}
	s.stamp.private = ed25519.NewKeyFromSeed(seed)
	s.stamp.current = last.StampKey
	return s, nil
}

const stampPurpose = "stamp key"

func (s *Service) newStampKey(ctx context.Context, g proto.Generation) (store.StampKey, error) {
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return store.StampKey{}, err
	}
	k := store.StampKey{StampKey: proto.StampKey{KID: proto.StampKID(pub), Generation: g}}
	copy(k.Public[:], pub)
	k.Sealed = s.Key.Seal(stampPurpose, k.KID[:], private.Seed())
	return k, s.Store.AddStampKey(ctx, k)
}

// sign is the store.Stamp of this server.
func (s *Service) sign(e *proto.Entry, r *proto.Receipt) (proto.Hash, error) {
	r.Generation = s.stamp.current.Generation
	return r.Sign(e, s.stamp.private)
}

// Info describes the server.
func (s *Service) Info(context.Context, *proto.InfoRequest) (*proto.InfoResponse, error) {
	return &proto.InfoResponse{
		Origin:        s.Origin,
		Version:       proto.Version,
		Generation:    s.stamp.current.Generation,
		StampKeys:     s.stamp.all,
		Now:           uint64(max(s.Clock.Now().Unix(), 0)),
		RetentionDays: uint16(s.RetentionDays),
		PackagePool:   proto.MaxKeyPackages,
	}, nil
}

// Nonce returns a nonce to sign over, good for 60 s and one use.
func (s *Service) Nonce(context.Context, *proto.NonceRequest) (*proto.NonceResponse, error) {
	n, err := s.Sessions.Nonce()
	if err != nil {
		return nil, err
	}
	return &proto.NonceResponse{Nonce: n}, nil
}

func (s *Service) today() store.Day     { return store.DayOf(s.Clock.Now()) }
func (s *Service) retention() store.Day { return s.today() + store.Day(s.RetentionDays) }

// refusal turns what proto.Entry.Verify says into a refusal.
func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wire.ErrSyntax):
		return proto.Refuse(proto.Malformed)
	default:
		return proto.Refuse(proto.Forbidden)
	}
}
