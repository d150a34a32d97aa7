package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store"
	clientmem "codeberg.org/huis/huis/internal/client/store/mem"
	"codeberg.org/huis/huis/internal/delivery"
	serversession "codeberg.org/huis/huis/internal/delivery/session"
	serverstore "codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/blobdir"
	servermem "codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

const (
	testServer = "https://test"
	patience   = 60 * time.Second // for what comes by itself; nothing waits for it to pass
)

// world is a real server on memory stores, for cores in the same process.
type world struct {
	t       *testing.T
	store   *servermem.Store
	handler *httpapi.Handler

	calls  sync.RWMutex // held for reading by each call
	closed bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, store: servermem.New()}
	files, err := blobdir.Open(t.TempDir())
	must(err)
	t.Cleanup(func() { // what still runs may not write into a folder that is being deleted
		w.calls.Lock()
		w.closed = true
		w.calls.Unlock()
	})
	clock, key := client.SystemClock{}, serverstore.NewOperatorKey()
	sessions, log := serversession.New(clock), slog.New(slog.NewTextHandler(io.Discard, nil))
	service, err := delivery.Open(t.Context(), delivery.Config{
		Store: w.store, Files: files, Sessions: sessions, Clock: clock, Key: key, Origin: "test", Log: log,
	})
	must(err)
	accounts, err := directory.Open(t.Context(), directory.Config{Store: w.store, Key: key, Clock: clock, Sessions: sessions, Origin: "test"})
	must(err)
	info, err := service.Info(t.Context(), nil)
	must(err)
	for _, k := range info.StampKeys {
		must(accounts.AddToLog(t.Context(), kt.KindStampKey, k.KID[:], k.Public[:]))
	}
	w.handler = httpapi.NewHandler(httpapi.Config{Directory: accounts, Delivery: service, Sessions: sessions, Clock: clock, Log: log})
	return w
}

// invite makes an invitation, as the operator.
func (w *world) invite() string {
	w.t.Helper()
	token := proto.New[proto.Token]()
	err := w.store.AddInvite(w.t.Context(), serverstore.Invite{
		Token: token.Hash(), Uses: 1, Expires: serverstore.MinuteOf(time.Now().Add(24 * time.Hour)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return client.Invitation{Server: client.ServerRef{URL: testServer}, Token: token}.String()
}

// line is a core's connection to the server.
type line struct {
	w    *world
	addr netip.Addr
}

func (l line) Call(ctx context.Context, _ client.Lane, m proto.Method, req, resp proto.Message) error {
	b, err := proto.Encode(req)
	if err != nil {
		return err
	}
	l.w.calls.RLock()
	defer l.w.calls.RUnlock()
	if l.w.closed {
		return client.ErrUnreachable
	}
	answer, err := l.w.handler.Call(ctx, l.addr, m, b)
	if err != nil {
		return httpapi.Refusal(err)
	}
	if err := proto.Decode(answer, resp); err != nil {
		return err
	}
	if r, ok := resp.(*proto.InfoResponse); ok {
		r.PackagePool = 4 // fifty a device would be most of a test's work
	}
	return nil
}

func (l line) Listen(ctx context.Context, _ client.Lane, sub proto.Subscribe, hint func(proto.Hint)) error {
	return l.w.handler.Listen(ctx, sub, func(h proto.Hint) error { hint(h); return nil })
}

// shaky is a store that fails while it is told to.
type shaky struct {
	store.Store
	fails atomic.Bool
}

var errShaky = errors.New("the disk does not answer")

func (s *shaky) Lock(ctx context.Context) (func(), error) {
	if s.fails.Load() {
		return nil, errShaky
	}
	return s.Store.Lock(ctx)
}

// page is an interface with a core of its own.
type page struct {
	t     *testing.T
	core  *Core
	store *shaky
	to    chan Frame

	mu     sync.Mutex // guards what follows
	next   uint32
	calls  map[uint32]chan Frame
	events chan Frame
}

var pages atomic.Uint32

// page opens an interface on an empty device.
func (w *world) page() *page {
	w.t.Helper()
	n := pages.Add(1)
	at := line{w, netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})}
	p := &page{t: w.t, store: &shaky{Store: clientmem.New()}, to: make(chan Frame, 100), calls: map[uint32]chan Frame{}, events: make(chan Frame, 10_000)}
	ctx, end := context.WithCancel(w.t.Context())
	core, err := NewCore(ctx, Config{
		Where: WhereBrowser, Version: "test", Server: testServer,
		Open: func(_ context.Context, create bool) (client.Config, error) {
			conf := client.Config{Store: p.store, Dial: func(client.ServerRef) (client.Transport, error) { return at, nil }}
			if !create {
				return conf, client.ErrNoProfile
			}
			return conf, nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p.core = core
	go func() { _ = core.Serve(ctx, p) }()
	w.t.Cleanup(func() { end(); _ = core.Close() })
	return p
}

// Read implements Conn.
func (p *page) Read(ctx context.Context) (Frame, error) {
	select {
	case f := <-p.to:
		return f, nil
	case <-ctx.Done():
		return Frame{}, ctx.Err()
	}
}

// Write implements Conn.
func (p *page) Write(_ context.Context, f Frame) error {
	p.mu.Lock()
	into := p.calls[f.ID]
	p.mu.Unlock()
	if into == nil {
		into = p.events
	}
	into <- f
	return nil
}

// started is a call that runs.
type started struct {
	p      *page
	id     uint32
	frames chan Frame
}

func (p *page) begin(method string, request any) *started {
	p.t.Helper()
	payload, err := json.Marshal(request)
	if err != nil {
		p.t.Fatal(err)
	}
	s := &started{p: p, frames: make(chan Frame, 100)}
	p.mu.Lock()
	p.next++
	s.id = p.next
	p.calls[s.id] = s.frames
	p.mu.Unlock()
	p.to <- Frame{ID: s.id, Kind: KindCall, Method: method, Payload: payload}
	return s
}

// await gives the next frame of the call.
func (s *started) await() Frame {
	s.p.t.Helper()
	select {
	case f := <-s.frames:
		return f
	case <-time.After(patience):
		s.p.t.Fatal("no answer")
	}
	return Frame{}
}

// event waits for an event of the call and reads it.
func (s *started) event(name string, into any) {
	s.p.t.Helper()
	f := s.await()
	if f.Kind != KindEvent || f.Method != name {
		s.p.t.Fatalf("%s %s %s came, not the event %s", f.Kind, f.Method, f.Payload, name)
	}
	if err := json.Unmarshal(f.Payload, into); err != nil {
		s.p.t.Fatal(err)
	}
}

func (s *started) answer(name, payload string) {
	s.p.to <- Frame{ID: s.id, Kind: KindEvent, Method: name, Payload: []byte(payload)}
}

func (s *started) cancel() { s.p.to <- Frame{ID: s.id, Kind: KindCancel} }

// end waits for the call's end and reads what it gave.
func (s *started) end(into any) *Error {
	s.p.t.Helper()
	f := s.await()
	switch f.Kind {
	case KindOK:
		if err := json.Unmarshal(f.Payload, into); err != nil {
			s.p.t.Fatal(err)
		}
		return nil
	case KindErr:
		e := new(Error)
		if err := json.Unmarshal(f.Payload, e); err != nil {
			s.p.t.Fatal(err)
		}
		return e
	}
	s.p.t.Fatalf("%s %s came, not the end", f.Kind, f.Method)
	return nil
}

// refused is a call that has to fail with a code.
func (s *started) refused(code ErrorCode) {
	s.p.t.Helper()
	var any map[string]any
	if e := s.end(&any); e == nil || e.Code != code {
		s.p.t.Errorf("%v, want %s", e, code)
	}
}

// ask is a call that has to succeed.
func ask[A any](p *page, method string, request any) (a A) {
	p.t.Helper()
	if e := p.begin(method, request).end(&a); e != nil {
		p.t.Fatalf("%s: %s: %s", method, e.Code, e.Text)
	}
	return a
}

// hear waits for an event that suits.
func hear[E any](p *page, name string, suits func(E) bool) (e E) {
	p.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case f := <-p.events:
			var e E
			if f.Method == name && json.Unmarshal(f.Payload, &e) == nil && suits(e) {
				return e
			}
		case <-limit:
			p.t.Fatalf("no event %s", name)
		}
	}
}

// person is an interface whose account is made.
func (w *world) person(handle string) (p *page, recovery string) {
	w.t.Helper()
	p = w.page()
	return p, ask[Joined](p, "join", JoinRequest{Invite: w.invite(), Handle: handle}).RecoveryKey
}
