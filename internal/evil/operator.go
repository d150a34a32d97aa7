//go:build evil

package evil

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Operator is who runs the server: it has its folder, its keys, and every
// request and answer.
type Operator struct {
	Data string // data folder of the first house

	front     *front
	web       bool            // serve the web app too
	witnesses []serve.Address // asked by every house
	keys      operatorKeys
	origin    string

	mu       sync.Mutex // guards what follows
	houses   []*house
	shown    map[string]int // the house a door leads to; the first if not named
	lying    []func(*Exchange) error
	onStatic func(door string, w http.ResponseWriter, r *http.Request) bool
	devices  map[proto.SessionID]proto.AccountOpenRequest
	members  map[proto.SessionID]proto.OpenRequest
	opened   map[proto.ConversationID]map[string]bool // by the doors of which people
	appends  []proto.AppendRequest
	byDoor   map[string]int // how many of them by whom
	told     int
	failed   error
	stopped  bool // nobody is to be answered any more
	kept     map[string]any
}

// readyTime is how long a server may take to start: with a million names it
// replays a long log.
const readyTime = 2 * time.Minute

// house is one running server with a data folder of its own.
type house struct {
	data string
	addr string // where only the front reaches it
	http *http.Transport
	stop func() error
}

// operatorKeys are the secrets a server has.
type operatorKeys struct {
	operator store.OperatorKey
	stamps   []ed25519.PrivateKey // oldest first
	stamp    []proto.StampKey
	log      *kt.NoteSigner
	vrf      *kt.VRFKey
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// named is a listener that says it is at another address.
type named struct {
	net.Listener
	at net.Addr
}

func (n named) Addr() net.Addr { return n.at }

// start runs a server on a data folder, reached through the front only.
func (o *Operator) start(data string, at net.Addr) (*house, serve.Event, error) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, serve.Event{}, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan serve.Event, 8), make(chan error, 1)
	logFile, err := os.OpenFile(data+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		stop()
		return nil, serve.Event{}, err
	}
	go func() {
		err := serve.Run(ctx, serve.Config{
			Data: data, Listener: named{inner, at}, Event: func(e serve.Event) { ready <- e },
			Witnesses: o.witnesses, NoWeb: !o.web,
			Log: slog.New(slog.NewTextHandler(logFile, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if ctx.Err() == nil {
			o.fail(fmt.Errorf("the server ended by itself: %w", err))
		}
		logFile.Close()
		ended <- err
	}()
	h := &house{
		data: data, addr: inner.Addr().String(),
		http: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 64},
	}
	h.stop = sync.OnceValue(func() error { stop(); return <-ended })
	select {
	case e := <-ready:
		return h, e, nil
	case err := <-ended:
		stop()
		return nil, serve.Event{}, err
	case <-time.After(readyTime):
		stop()
		return nil, serve.Event{}, errors.New("the server does not get ready")
	}
}

// readKeys takes every secret out of a data folder.
func readKeys(ctx context.Context, data, origin string) (k operatorKeys, err error) {
	b, err := os.ReadFile(filepath.Join(data, "operator.key"))
	if err != nil {
		return k, err
	}
	copy(k.operator[:], b)
	db, err := sqlite.Open(ctx, filepath.Join(data, "huis.db"))
	if err != nil {
		return k, err
	}
	defer db.Close()
	stamps, err := db.StampKeys(ctx)
	if err != nil {
		return k, err
	}
	for _, s := range stamps {
		seed, err := k.operator.Open("stamp key", s.KID[:], s.Sealed)
		if err != nil {
			return k, err
		}
		k.stamps, k.stamp = append(k.stamps, ed25519.NewKeyFromSeed(seed)), append(k.stamp, s.StampKey)
	}
	seed := k.operator.Seed("log")
	if k.log, err = kt.NewNoteSigner(origin, seed[:]); err != nil {
		return k, err
	}
	k.vrf = kt.NewVRFKey(k.operator.Seed("vrf"))
	return k, nil
}

// Lie adds a function that sees every exchange: once before the server is asked
// and once after.
func (o *Operator) Lie(f func(*Exchange) error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lying = append(o.lying, f)
}

// Told counts a lie that was told.
func (o *Operator) Told() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told++
}

// Keep keeps a value for later hands; Kept gives it back.
func (o *Operator) Keep(name string, v any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept[name] = v
}

// Kept returns what was kept under a name, nil if nothing was.
func (o *Operator) Kept(name string) any {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept[name]
}

func (o *Operator) lies() []func(*Exchange) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]func(*Exchange) error{}, o.lying...)
}

// fail keeps the first thing that went wrong in the operator's own hands.
func (o *Operator) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil && !o.stopped && !errors.Is(err, context.Canceled) {
		o.failed = err
	}
}

// house is the server that a door leads to.
func (o *Operator) house(door string) *house {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.houses[o.shown[door]]
}

// learn remembers who opened which session.
func (o *Operator) learn(x *Exchange) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch r := x.Answer.(type) {
	case *proto.AppendResponse:
		o.appends = append(o.appends, *x.Request.(*proto.AppendRequest))
		o.byDoor[x.Door]++
	case *proto.AccountOpenResponse:
		o.devices[r.Session] = *x.Request.(*proto.AccountOpenRequest)
	case *proto.OpenResponse:
		open := x.Request.(*proto.OpenRequest)
		o.members[r.Session] = *open
		if o.opened[open.Conversation] == nil {
			o.opened[open.Conversation] = make(map[string]bool)
		}
		o.opened[open.Conversation][x.Door] = true
	}
}

// appended lists the messages and notices that were taken, in order.
func (o *Operator) appended() []proto.AppendRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.appends)
}

// Shared tells whether several people are in a conversation.
func (o *Operator) Shared(id proto.ConversationID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.opened[id]) > 1
}

// Conversation tells of which conversation a read is.
func (o *Operator) Conversation(s proto.SessionID) proto.ConversationID {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.members[s].Conversation
}

func (o *Operator) static(door string, w http.ResponseWriter, r *http.Request) bool {
	o.mu.Lock()
	f := o.onStatic
	o.mu.Unlock()
	return f != nil && f(door, w, r)
}

// downgrade lets an attack weaken what TLS offers at doors opened from now on.
func (o *Operator) downgrade(c *tls.Config) {
	if f, ok := o.Kept("tls").(func(*tls.Config)); ok {
		f(c)
	}
}

// order is what the program that plays the attacks asks of the server process.
type order struct {
	Attack string          `json:"attack,omitempty"` // "" for a hand every stage has
	Hand   string          `json:"hand"`
	Arg    json.RawMessage `json:"arg,omitempty"`
}

// reply answers an order.
type reply struct {
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// operate is the server process: it serves until standard input ends.
func operate(ctx context.Context, data string, in io.Reader, out io.Writer) error {
	o := &Operator{
		Data: data, shown: make(map[string]int), kept: make(map[string]any),
		devices: make(map[proto.SessionID]proto.AccountOpenRequest), members: make(map[proto.SessionID]proto.OpenRequest),
		opened: make(map[proto.ConversationID]map[string]bool), byDoor: make(map[string]int),
	}
	var err error
	if o.front, err = newFront(o, data+".egress"); err != nil {
		return err
	}
	at, err := o.front.open("first")
	if err != nil {
		return err
	}
	o.origin = at.String()
	h, ready, err := o.start(data, at)
	if err != nil {
		return err
	}
	o.houses = []*house{h}
	defer o.close()
	if o.keys, err = readKeys(ctx, data, o.origin); err != nil {
		return err
	}
	cert, err := o.certificate()
	if err != nil {
		return err
	}
	o.front.serve("first", cert)
	answers := json.NewEncoder(out)
	if err := answers.Encode(ready); err != nil {
		return err
	}
	orders := bufio.NewScanner(in)
	orders.Buffer(nil, 64<<20)
	for orders.Scan() {
		if err := answers.Encode(o.obey(ctx, orders.Bytes())); err != nil {
			return err
		}
	}
	return orders.Err()
}

func (o *Operator) certificate() (tls.Certificate, error) {
	return tls.LoadX509KeyPair(filepath.Join(o.Data, "tls", "cert.pem"), filepath.Join(o.Data, "tls", "key.pem"))
}

func (o *Operator) close() {
	for _, h := range o.houses {
		h.stop()
	}
}

func (o *Operator) obey(ctx context.Context, line []byte) reply {
	var got order
	err := json.Unmarshal(line, &got)
	var result any
	if err == nil {
		var f Hand
		if f, err = o.hand(got.Attack, got.Hand); err == nil {
			result, err = f(ctx, o, got.Arg)
		}
	}
	var r reply
	if err == nil {
		r.Result, err = json.Marshal(result)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

func (o *Operator) hand(attack, name string) (Hand, error) {
	hands := common
	if attack != "" {
		a, err := find(attack)
		if err != nil {
			return nil, err
		}
		hands = a.Hands
	}
	if f, ok := hands[name]; ok {
		return f, nil
	}
	return nil, fmt.Errorf("attack %q has no hand %q", attack, name)
}

// common are the hands every stage has.
var common = map[string]Hand{
	// memory writes what the server process has in memory to a file.
	"memory": hand(readMemory),
	// log is the key of the server's log.
	"log": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
		return o.keys.log.Public().LogText(), nil
	}),
	// door opens a door for one person and returns its URL.
	"door": hand(func(_ context.Context, o *Operator, name string) (any, error) {
		at, err := o.front.open(name)
		if err != nil {
			return nil, err
		}
		cert, err := o.certificate()
		if err != nil {
			return nil, err
		}
		o.front.serve(name, cert)
		return "https://" + at.String(), nil
	}),
	// honest ends all lies.
	"honest": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.lying, o.onStatic = nil, nil
		return nil, nil
	}),
	// told says how many lies were told, and what went wrong with them.
	"told": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.told, o.failed
	}),
	// stop ends the server behind, so that its disk is as it is left.
	"stop": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) {
		var err error
		o.mu.Lock()
		o.stopped = true
		o.mu.Unlock()
		for _, h := range o.houses {
			err = errors.Join(err, h.stop())
		}
		return nil, err
	}),
	// copy begins a second house: the first one's folder as it is now, with the
	// same keys. Doors lead to the first until they are turned.
	"copy": hand(func(_ context.Context, o *Operator, _ struct{}) (any, error) { return nil, o.copy() }),
	// turn leads a person's door to another house.
	"turn": hand(func(_ context.Context, o *Operator, to struct {
		Door  string
		House int
	}) (any, error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if to.House >= len(o.houses) {
			return nil, fmt.Errorf("there is no house %d", to.House)
		}
		o.shown[to.Door] = to.House
		return nil, nil
	}),
}

// restart starts the first house anew.
func (o *Operator) restart(ctx context.Context) error {
	return o.OnDisk(ctx, func(store.Store) error { return nil })
}

// copy stops the first house, copies its folder and starts both.
func (o *Operator) copy() error {
	o.mu.Lock()
	first := o.houses[0]
	n := len(o.houses)
	o.mu.Unlock()
	if err := first.stop(); err != nil {
		return err
	}
	second := fmt.Sprintf("%s-%d", o.Data, n)
	if err := os.CopyFS(second, os.DirFS(o.Data)); err != nil {
		return err
	}
	at, err := net.ResolveTCPAddr("tcp", o.origin)
	if err != nil {
		return err
	}
	a, _, err := o.start(o.Data, at)
	if err != nil {
		return err
	}
	b, _, err := o.start(second, at)
	if err != nil {
		return errors.Join(err, a.stop())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.houses[0] = a
	o.houses = append(o.houses, b)
	return nil
}

// Rewrite shows one person another log of the conversations it shares: what f
// makes of the true one. f has to make the same of the same beginning.
func (o *Operator) Rewrite(door string, f func([]proto.Stamped) ([]proto.Stamped, error)) {
	o.Lie(func(x *Exchange) error {
		req, ok := x.Request.(*proto.ReadRequest)
		resp, answered := x.Answer.(*proto.ReadResponse)
		if !ok || !answered || x.Door != door || !o.Shared(o.Conversation(req.Session)) {
			return nil
		}
		whole, err := o.log(x.ctx, door, req.Session)
		if err != nil {
			return err
		}
		n := len(whole)
		whole, err = f(whole)
		if err != nil || len(whole) == 0 {
			return err
		}
		if len(whole) != n {
			o.Told()
		}
		resp.HeadSeq = whole[len(whole)-1].Receipt.Seq
		resp.Entries = slices.DeleteFunc(whole, func(s proto.Stamped) bool { return s.Receipt.Seq <= req.After })
		return nil
	})
}

// log reads all that a session may read.
func (o *Operator) log(ctx context.Context, door string, s proto.SessionID) (all []proto.Stamped, err error) {
	for after := uint64(0); ; {
		var page proto.ReadResponse
		if err := o.Ask(ctx, door, proto.Read, &proto.ReadRequest{Session: s, After: after}, &page); err != nil && !(errors.Is(err, proto.ClosedKey) && len(all) > 0) {
			return nil, err // a closed key reads up to its end
		}
		all = append(all, page.Entries...)
		if len(page.Entries) == 0 {
			return all, nil
		}
		after = all[len(all)-1].Receipt.Seq
	}
}

// Restamp makes entries follow each other from the first one's place on, under
// the server's own stamp key.
func (o *Operator) Restamp(entries []proto.Stamped) error {
	if len(entries) == 0 {
		return nil
	}
	key := o.keys.stamps[len(o.keys.stamps)-1]
	seq, chain := entries[0].Receipt.Seq, entries[0].Receipt.ChainPrev
	for i := range entries {
		r := &entries[i].Receipt
		r.Seq, r.ChainPrev = seq, chain
		next, err := r.Sign(&entries[i].Entry, key)
		if err != nil {
			return err
		}
		chain, seq = next, seq+1
	}
	return nil
}
