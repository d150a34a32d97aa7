package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/client/store/mem"
	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
	serverstore "codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/blobdir"
	servermem "codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/directory/epochs"
	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// testClock is the time of a whole test world. Sleeping moves it on at once, so
// that nothing waits in real time.
type testClock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *testClock) Sleep(ctx context.Context, d time.Duration) error {
	c.advance(d)
	return ctx.Err()
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is one real server on memory stores, and its clients.
type world struct {
	key     serverstore.OperatorKey
	t       *testing.T
	clock   *testClock
	handler *httpapi.Handler
	store   serverstore.Store
	service *delivery.Service
	// accounts is the directory, whose log this is all about.
	accounts *directory.Service
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, serverstore.NewOperatorKey())
}

// newWorldOf is a server with the keys of another, perhaps.
func newWorldOf(t *testing.T, key serverstore.OperatorKey, witnesses ...epochs.Witness) *world {
	t.Helper()
	return newWorldOn(t, key, servermem.New(), witnesses...)
}

// newWorldOn is a server on a store.
func newWorldOn(t *testing.T, key serverstore.OperatorKey, st serverstore.Store, witnesses ...epochs.Witness) *world {
	t.Helper()
	w := &world{t: t, key: key, clock: &testClock{t: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}, store: st}
	files, err := blobdir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sessions := session.New(w.clock)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	w.service, err = delivery.Open(t.Context(), delivery.Config{
		Store: w.store, Files: files, Sessions: sessions, Clock: w.clock, Key: key, Origin: "test", Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := directory.Open(t.Context(), directory.Config{Store: w.store, Key: key, Clock: w.clock, Sessions: sessions, Origin: "test", Witnesses: witnesses})
	if err != nil {
		t.Fatal(err)
	}
	info, err := w.service.Info(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range info.StampKeys {
		if err := accounts.AddToLog(t.Context(), kt.KindStampKey, k.KID[:], k.Public[:]); err != nil {
			t.Fatal(err)
		}
	}
	w.accounts = accounts
	w.handler = httpapi.NewHandler(httpapi.Config{Directory: accounts, Delivery: w.service, Sessions: sessions, Clock: w.clock, Log: log})
	return w
}

// invitation makes one on the server, as the operator.
func (w *world) invitation() Invitation {
	w.t.Helper()
	token := proto.New[proto.Token]()
	err := w.store.AddInvite(w.t.Context(), serverstore.Invite{
		Token: token.Hash(), Uses: 1, Expires: serverstore.MinuteOf(w.clock.Now().Add(24 * time.Hour)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return Invitation{Server: ServerRef{URL: "https://test"}, Token: token}
}

// wire is a device's connection, with faults a test may set.
type wireTo struct {
	w    *world
	addr netip.Addr
	mu   sync.Mutex
	// before and after, if set, may fail a call before the server saw it or
	// after it answered.
	before, after func(proto.Method) error
	// tamper may change an answer.
	tamper func(proto.Method, proto.Message)
	// deny, if set, may refuse a request by what it asks.
	deny func(proto.Message) error
}

func (n *wireTo) hooks() (before, after func(proto.Method) error, tamper func(proto.Method, proto.Message)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.before, n.after, n.tamper
}

func (n *wireTo) set(f func(*wireTo)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}

func (n *wireTo) Call(ctx context.Context, _ Lane, m proto.Method, req, resp proto.Message) error {
	before, after, tamper := n.hooks()
	if before != nil {
		if err := before(m); err != nil {
			return err
		}
	}
	n.mu.Lock()
	deny := n.deny
	n.mu.Unlock()
	if deny != nil {
		if err := deny(req); err != nil {
			return err
		}
	}
	b, err := proto.Encode(req)
	if err != nil {
		return err
	}
	if f, ok := req.(*proto.MailboxFetchRequest); ok { // the time waited is the world's
		wait := f.WaitMillis
		f.WaitMillis = min(wait, 5)
		b, _ = proto.Encode(f)
		defer func() {
			if got, ok := resp.(*proto.MailboxFetchResponse); ok && len(got.Items) == 0 {
				n.w.clock.advance(time.Duration(wait) * time.Millisecond / 20)
			}
		}()
	}
	answer, err := n.w.handler.Call(ctx, n.addr, m, b)
	if after != nil {
		if err := after(m); err != nil {
			return err
		}
	}
	if err != nil {
		return httpapi.Refusal(err)
	}
	if err := proto.Decode(answer, resp); err != nil {
		return err
	}
	if r, ok := resp.(*proto.InfoResponse); ok {
		r.PackagePool = 4 // fifty a device would be most of a test's work
	}
	if tamper != nil {
		tamper(m, resp)
	}
	return nil
}

func (n *wireTo) Listen(ctx context.Context, _ Lane, sub proto.Subscribe, hint func(proto.Hint)) error {
	return n.w.handler.Listen(ctx, sub, func(h proto.Hint) error { hint(h); return nil })
}

// device is a client with its store, which outlives it.
type device struct {
	*Client
	w     *world
	name  string
	net   *wireTo
	store store.Store
}

func (w *world) config(d *device) Config {
	return Config{
		Store: d.store, Clock: w.clock, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Dial:   func(ServerRef) (Transport, error) { return d.net, nil },
		Jitter: func(time.Duration) time.Duration { return 0 },
	}
}

func (w *world) newDevice(name string) *device {
	var a [4]byte
	rand.Read(a[:])
	a[0] = 10
	return &device{w: w, name: name, net: &wireTo{w: w, addr: netip.AddrFrom4(a)}, store: mem.New()}
}

// person joins with a new account.
func (w *world) person(handle string) *device {
	w.t.Helper()
	d := w.newDevice(handle)
	c, _, err := Join(w.t.Context(), w.config(d), w.invitation(), handle)
	if err != nil {
		w.t.Fatalf("%s joins: %v", handle, err)
	}
	d.Client = c
	return d
}

// further links another device of d's account.
func (w *world) further(d *device, name string) *device {
	w.t.Helper()
	n := w.newDevice(name)
	code := make(chan string, 1)
	done := make(chan error, 1)
	go func() {
		c, err := Link(w.t.Context(), w.config(n), d.server, d.must().Handle, func(s string) { code <- s })
		n.Client = c
		done <- err
	}()
	select {
	case s := <-code:
		if _, err := d.Approve(w.t.Context(), s, nil); err != nil {
			w.t.Fatalf("approve: %v", err)
		}
	case err := <-done:
		w.t.Fatalf("link: %v", err)
	}
	if err := <-done; err != nil {
		w.t.Fatalf("link: %v", err)
	}
	return n
}

func (d *device) must() identity {
	d.w.t.Helper()
	me, err := d.whoami(d.w.t.Context())
	if err != nil {
		d.w.t.Fatal(err)
	}
	return me
}

// restart opens the device's store anew, as after a crash.
func (d *device) restart() {
	d.w.t.Helper()
	c, err := Open(d.w.t.Context(), d.w.config(d))
	if err != nil {
		d.w.t.Fatalf("%s opens: %v", d.name, err)
	}
	d.Client = c
}

func (d *device) sync() {
	d.w.t.Helper()
	if err := d.Sync(d.w.t.Context()); err != nil {
		d.w.t.Fatalf("%s syncs: %v", d.name, err)
	}
}

func (d *device) send(chat, text string) Sent {
	d.w.t.Helper()
	s, err := d.Send(d.w.t.Context(), chat, Draft{Text: text})
	if err != nil {
		d.w.t.Fatalf("%s sends: %v", d.name, err)
	}
	return s
}

// read returns the bodies of all messages held.
func (d *device) read(chat string) []string {
	d.w.t.Helper()
	var all []string
	for m, err := range d.Messages(d.w.t.Context(), chat, 0) {
		if err != nil {
			d.w.t.Fatalf("%s reads: %v", d.name, err)
		}
		all = append(all, m.From+": "+m.Body)
	}
	return all
}

// held is read without marking anything as read.
func (d *device) held(chat string) (all []string) {
	d.w.t.Helper()
	for m, err := range d.Held(d.w.t.Context(), d.inspect1(chat).Conversation) {
		if err != nil {
			d.w.t.Fatalf("%s reads: %v", d.name, err)
		}
		all = append(all, m.From+": "+m.Body)
	}
	return all
}

// expect syncs and compares what is held.
func (d *device) expect(chat string, want ...string) {
	d.w.t.Helper()
	d.sync()
	if got := d.read(chat); !slices.Equal(got, want) {
		d.w.t.Fatalf("%s has %q, want %q", d.name, got, want)
	}
}

// agree syncs all devices until nothing changes and compares their epochs.
func (w *world) agree(chat string, all ...*device) {
	w.t.Helper()
	for range 3 {
		for _, d := range all {
			d.sync()
		}
	}
	first := all[0].inspect1(chat)
	for _, d := range all[1:] {
		if i := d.inspect1(chat); i.Epoch != first.Epoch || string(i.Authenticator) != string(first.Authenticator) || i.Head != first.Head {
			w.t.Fatalf("%s is in epoch %d at entry %d, %s in epoch %d at entry %d", all[0].name, first.Epoch, first.Head.Seq, d.name, i.Epoch, i.Head.Seq)
		}
	}
}

func (d *device) inspect1(chat string) Inspection {
	d.w.t.Helper()
	all, err := d.Inspect(d.w.t.Context())
	if err != nil {
		d.w.t.Fatal(err)
	}
	for _, i := range all {
		if i.Chat == chat && i.State != "succeeded" {
			return i
		}
	}
	d.w.t.Fatalf("%s has no conversation %s", d.name, chat)
	return Inspection{}
}

var errCut = fmt.Errorf("%w: cut by the test", ErrUnreachable)

func wantIs(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}
