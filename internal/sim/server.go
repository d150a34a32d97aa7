package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/proto"
)

// origin is where the simulated server says it lives.
const origin = "huis.example"

// Server is the real server on fake time: delivery and directory behind the
// dispatcher of httpapi. Its store outlives its crashes.
type Server struct {
	Clock *Clock
	Down  bool
	// WriteFaults is the probability of a fault at one write of its store.
	WriteFaults float64
	// Fault, if set, chooses the fault of each write instead; n counts from 1
	// since it was set.
	Fault   func(n int) WriteFault
	Crashes int

	sched     *Sched
	seen      *observer
	store     store.Store
	files     store.Files
	key       store.OperatorKey
	first     client.Invitation
	ledger    *ledger
	service   *delivery.Service
	directory *directory.Service
	handler   *httpapi.Handler
}

// NewServer starts a server on an empty store.
func NewServer(sched *Sched, seen *observer, st store.Store, files store.Files) (*Server, error) {
	s := &Server{Clock: &Clock{sched: sched}, sched: sched, seen: seen, store: st, files: files, key: store.NewOperatorKey()}
	return s, s.begin()
}

// begin is the very first start.
func (s *Server) begin() error {
	token := proto.New[proto.Token]()
	s.first = client.Invitation{Server: client.ServerRef{URL: "https://" + origin}, Token: token}
	err := s.store.AddInvite(context.Background(), store.Invite{Token: token.Hash(), Uses: 1, Expires: store.MinuteOf(s.Clock.Now().Add(24 * time.Hour))})
	if err != nil {
		return err
	}
	s.sched.Go("upkeep", s.upkeep, nil)
	return s.Start()
}

// Twin starts another server with the same keys on st, a copy of this one's
// store: what a server that shows two faces runs.
func (s *Server) Twin(st store.Store) (*Server, error) {
	t := &Server{Clock: s.Clock, sched: s.sched, seen: newObserver(), store: st, files: s.files, key: s.key, first: s.first}
	return t, t.Start()
}

// Start begins a new process on the store.
func (s *Server) Start() error {
	s.ledger = &ledger{Store: s.store, fault: s.fault, die: s.die}
	sessions := session.New(s.Clock)
	log := slog.New(slog.DiscardHandler)
	waits, err := s.waits()
	if err != nil {
		return err
	}
	service, err := delivery.Open(context.Background(), delivery.Config{
		Store: s.ledger, Files: s.files, Sessions: sessions, Clock: s.Clock, Key: s.key, Origin: origin, Log: log, NewGeneration: waits != nil,
	})
	if err != nil {
		return err
	}
	dir, err := directory.Open(context.Background(), directory.Config{
		Store: s.ledger, Key: s.key, Clock: s.Clock, Sessions: sessions, Origin: origin, Restoration: waits,
	})
	if err != nil {
		return err
	}
	s.service, s.directory = service, dir
	if waits == nil {
		if err := s.logStampKeys(); err != nil {
			return err
		}
	}
	s.handler = httpapi.NewHandler(httpapi.Config{Directory: dir, Delivery: service, Sessions: sessions, Clock: s.Clock, Log: log})
	s.Down = false
	s.sched.Trace.Add("server", "starts")
	return nil
}

// Stop ends the process.
func (s *Server) Stop() {
	s.Down, s.ledger.dead = true, true
	s.sched.Trace.Add("server", "stops")
}

// Heal ends all faults and starts the server if it is down.
func (s *Server) Heal() error {
	s.WriteFaults, s.Fault = 0, nil
	if s.Down {
		return s.Start()
	}
	return nil
}

func (s *Server) fault(n int) WriteFault {
	f := WriteFine
	if s.Fault != nil {
		f = s.Fault(n)
	} else if s.sched.Chance(s.WriteFaults) {
		f = WriteFault(1 + s.sched.Rand.IntN(4))
	}
	if f != WriteFine {
		s.sched.Trace.Add("server", "write %v", f)
	}
	return f
}

// die is the end of a process killed at a write; a while later the next begins.
func (s *Server) die() {
	s.Down = true
	s.Crashes++
	s.sched.Go("server restarts", func() { s.sched.Sleep(s.sched.Between(time.Second, time.Minute)) }, func(bool) {
		if s.Down {
			if err := s.Start(); err != nil {
				panic("sim: the server does not come back: " + err.Error())
			}
		}
	})
}

// Exec runs one request of the device at remote, as if it had come over a
// connection.
func (s *Server) Exec(ctx context.Context, remote netip.Addr, m proto.Method, body []byte) ([]byte, error) {
	if s.Down {
		return nil, fmt.Errorf("%w: the server is down", client.ErrUnreachable)
	}
	process := s.ledger
	answer, err := s.handler.Call(ctx, remote, m, body)
	if process.dead {
		return nil, fmt.Errorf("%w: the server died", client.ErrUnreachable)
	}
	if err == nil {
		return answer, nil
	}
	refusal := httpapi.Refusal(err)
	if refusal.Code == proto.Unavailable {
		s.writeLogAgain()
	}
	return nil, overTheWire(refusal)
}

// writeLogAgain has the log written a second later, as the server's own loop does
// after a write of it that failed: what waits for the log waits for nobody to ask.
func (s *Server) writeLogAgain() {
	process := s.ledger
	s.sched.Go("server's log", func() {
		s.sched.Sleep(time.Second)
		if process.dead || s.Down || s.directory.Restoring(context.Background()) {
			return
		}
		if _, err := s.directory.LogHead(context.Background(), &proto.LogHeadRequest{}); err != nil {
			s.sched.Trace.Add("server", "the log: %v", err)
		}
	}, func(bool) {})
}

// overTheWire is the refusal as a client decodes it.
func overTheWire(e *proto.Error) error {
	b, err := proto.Encode(e)
	if err != nil {
		return err
	}
	got := new(proto.Error)
	if err := proto.Decode(b, got); err != nil {
		return err
	}
	return got
}

// remoteOf gives every device an address of its own.
func remoteOf(device string) netip.Addr {
	h := sha256.Sum256([]byte(device))
	return netip.AddrFrom4([4]byte{10, h[0], h[1], h[2]})
}

// upkeep does every hour what the server's own loop does.
func (s *Server) upkeep() {
	for {
		s.sched.Sleep(time.Hour)
		if s.Down {
			continue
		}
		if err := s.Gather(); err != nil {
			panic(err.Error())
		}
		if err := s.service.Upkeep(context.Background()); err != nil {
			s.sched.Trace.Add("server", "upkeep: %v", err)
		}
	}
}

// FirstInvitation is the one the very first start prints.
func (s *Server) FirstInvitation() client.Invitation { return s.first }

// Gather reads all logs out of the store, through every key that ever was a
// member's, verifies chain and stamps, and notes what stands there.
func (s *Server) Gather() error {
	info, err := s.service.Info(context.Background(), &proto.InfoRequest{})
	if err != nil {
		return err
	}
	for _, conv := range sortedIDs(s.seen.logs) {
		for _, mk := range s.seen.memberKeys(conv) {
			if err := s.gather(proto.ConversationID(conv), proto.MemberKey(mk), info.StampKeys); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) gather(conv proto.ConversationID, mk proto.MemberKey, keys []proto.StampKey) error {
	var after uint64
	var chain proto.Hash
	for {
		got, err := s.store.Read(context.Background(), conv, mk, after, 1000, math.MaxInt32)
		var refusal *proto.Error
		switch {
		case errors.As(err, &refusal) && refusal.Code == proto.Gone && refusal.Seq > after+1:
			after, chain = refusal.Seq-1, proto.Hash{}
			continue
		case errors.As(err, &refusal) || err == nil && len(got.Entries) == 0:
			return nil // a key the server never took, or all of its span is read
		case err != nil:
			return err
		}
		for i := range got.Entries {
			e := &got.Entries[i]
			if chain != (proto.Hash{}) && e.Receipt.ChainPrev != chain {
				s.seen.found = append(s.seen.found, violation("log", "conversation %v: the chain breaks at %d", ID(conv), e.Receipt.Seq))
			}
			if chain, err = e.Receipt.Verify(&e.Entry, stampKey(keys, e.Receipt.KID)); err != nil {
				s.seen.found = append(s.seen.found, violation("log", "conversation %v: entry %d: %v", ID(conv), e.Receipt.Seq, err))
			}
			s.seen.stored(&e.Entry, e.Receipt.Seq)
			after = e.Receipt.Seq
		}
	}
}

// Close stops the server for good.
func (s *Server) Close() error {
	s.Stop()
	return s.store.Close()
}
