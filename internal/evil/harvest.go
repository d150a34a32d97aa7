//go:build evil

package evil

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store/blobdir"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Promise: who has no account finds out no name, however many are tried: the
// answer is the same for one that is there and one that is not, and as fast.
func init() {
	register(
		Attack{
			ID: "B-29", Name: "names are tried out by whoever has no account", Expected: Prevented,
			Play: harvest(ways()...), Hands: map[string]Hand{"ask": hand(askNames)},
			Without: []Edit{{"internal/directory/directory.go", "	if _, err := s.Sessions.Device(r.Session); err != nil {\n		return nil, err\n	}\n	if !ValidHandle(r.Handle) {\n", "	if _, err := s.Sessions.Device(r.Session); err != nil && !$W {\n		return nil, err\n	}\n	if !ValidHandle(r.Handle) {\n"}},
		},
		Attack{
			ID: "B-29/a", Name: "names are tried out by joining, with invitations made up", Expected: Prevented,
			Play: harvest("register", "reset"), Hands: map[string]Hand{"ask": hand(askNames)},
			Without: []Edit{uninvited},
		},
		Attack{
			ID: "B-29/b", Name: "names are tried out by giving back accounts that are nobody's", Expected: Prevented,
			Play: harvest("give_account"), Hands: map[string]Hand{"ask": hand(askNames)},
			Without: []Edit{Off("internal/directory/restore.go", "if s.Whole {"), {"internal/directory/restore.go", "case !missing && stand(there, r.Links):", "case !missing && (stand(there, r.Links) || $W && s.log.Known(x)):"}},
		},
		Attack{
			ID: "B-29/c", Name: "the time an answer takes tells whether a name is there", Expected: Prevented,
			Play: timing, Hands: map[string]Hand{"times": hand(timeNames)},
			Without: []Edit{uninvited},
		},
	)
}

// uninvited has a registration look at the name before the invitation.
var uninvited = Edit{"internal/directory/names.go", "	_, err := s.Store.Invite(ctx, token, s.expiry.minute(token, s.Clock.Now()))\n	if err == nil {\n", "	_, err := s.Store.Invite(ctx, token, s.expiry.minute(token, s.Clock.Now()))\n	if err == nil || $W {\n"}

// stranger is who has no account, and makes the requests that take a name.
type stranger struct{ links [][]byte }

func newStranger() (*stranger, error) {
	id, key := kt.NewDeviceID(), kt.GenerateChainKey()
	public, m, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	sign := func(b []byte) ([]byte, error) { return ed25519.Sign(m, b), nil }
	e, err := kt.NewEnrolment(kt.AccountID{}, id, key, kt.MessagePublicKey(public), sign)
	if err != nil {
		return nil, err
	}
	genesis, err := kt.Genesis(time.Now(), kt.DeviceSigner(id, key), e)
	return &stranger{links: [][]byte{genesis}}, err
}

// way is one request that takes a name and that nobody has to be known for.
type way struct {
	Method proto.Method
	With   func(s *stranger, name string) proto.Message
}

// tried are all of them, those too that ask for a session first. The chain a stranger brings is its own, well signed.
var tried = map[string]way{
	"lookup": {proto.Lookup, func(_ *stranger, name string) proto.Message {
		return &proto.LookupRequest{Session: proto.New[proto.SessionID](), Handle: name}
	}},
	"chain_proof": {proto.ChainProof, func(_ *stranger, name string) proto.Message {
		return &proto.ChainProofRequest{Session: proto.New[proto.SessionID](), Handle: name}
	}},
	"rename": {proto.Rename, func(s *stranger, name string) proto.Message {
		return &proto.RenameRequest{Session: proto.New[proto.SessionID](), Handle: name, Link: s.links[0]}
	}},
	"name_place": {proto.NamePlace, func(_ *stranger, name string) proto.Message {
		return &proto.NamePlaceRequest{Session: proto.New[proto.SessionID](), Handle: name}
	}},
	"register": {proto.Register, func(s *stranger, name string) proto.Message {
		return &proto.RegisterRequest{Invite: proto.New[proto.Token](), Handle: name, Links: s.links}
	}},
	"reset": {proto.Register, func(s *stranger, name string) proto.Message {
		return &proto.RegisterRequest{Invite: proto.New[proto.Token](), Handle: name, Links: s.links, Reset: true}
	}},
	"give_account": {proto.GiveAccount, func(s *stranger, name string) proto.Message {
		return &proto.GiveAccountRequest{Handle: name, Links: s.links}
	}},
	"log_entry": {proto.LogEntry, func(_ *stranger, name string) proto.Message {
		return &proto.LogEntryRequest{Kind: uint8(kt.KindAccount), Label: []byte(name)}
	}},
}

func ways() []string { return slices.Sorted(maps.Keys(tried)) }

// harvest asks for names that exist and names that do not, over the network. All
// answers to one kind of request have to be the same.
func harvest(how ...string) func(*Stage) Facts {
	return func(s *Stage) Facts {
		s.People("ann", "bob", "cal")
		var there, not map[string]int
		s.Ask("ask", asking{how, []string{"ann", "bob", "cal"}, 50}, &there)
		s.Ask("ask", asking{how, []string{"nobody", "no.one", "x-" + s.Secret("a name")[:12]}, 50}, &not)
		detail := fmt.Sprintf("%v, %v", there, not)
		return Facts{Effect: len(there) != len(how) || !maps.Equal(there, not), Detail: detail}
	}
}

type asking struct {
	Ways, Names []string
	Times       int // in each of the ways
}

// askNames says how often which answer came to which kind of request.
func askNames(ctx context.Context, o *Operator, a asking) (any, error) {
	answers := make(map[string]int)
	who, err := newStranger()
	if err != nil {
		return nil, err
	}
	for n := range a.Times {
		for _, w := range a.Ways {
			said := o.Ask(ctx, "first", tried[w].Method, tried[w].With(who, a.Names[n%len(a.Names)]), empty(tried[w].Method))
			answers[fmt.Sprintf("%s: %v", w, said)]++
		}
	}
	return answers, nil
}

// throttled is how long a server asks to wait before the next request.
func throttled(answers ...error) time.Duration {
	for _, err := range answers {
		var refusal *proto.Error
		if errors.As(err, &refusal) && refusal.Retriable() {
			return refusal.Wait
		}
	}
	return 0
}

// trial says how many names are tried to compare times.
type trial struct {
	There   int           // names that exist, asked for again and again
	Not     int           // names that do not, each asked for once, by who stands beside the server: no network
	Wire    int           // of these, how many also over the network
	Largest time.Duration // the shift that has to be excluded, beside the server
	Planted time.Duration // the shift that has to be found
}

// times is what came of it, by kind of request.
type times struct {
	Beside, Wire map[string]comparison
	Planted      comparison
}

// timing asks for names, without an account, and compares how long the answers
// take. In the long run a million names are tried.
func timing(s *Stage) Facts {
	t := trial{There: 500, Not: 6_000, Largest: 100 * time.Microsecond, Planted: 25 * time.Microsecond}
	if s.Long && !s.Weak() {
		t = trial{There: 20_000, Not: 980_000, Wire: 40_000, Largest: 2 * time.Microsecond, Planted: time.Microsecond}
	}
	s.Person("ann")
	var got times
	s.Ask("times", t, &got)
	differ := false
	for _, w := range ways() {
		beside, wire := got.Beside[w], got.Wire[w]
		differ = differ || beside.Differ || wire.Differ
		if !s.Weak() && !beside.within(t.Largest) {
			s.Fatal("%s: too few names for this machine's noise, a shift of %v would not be seen: %v", w, t.Largest, beside)
		}
	}
	if !got.Planted.Differ {
		s.Fatal("a planted delay is not found: the comparison shows nothing: %v", got.Planted)
	}
	f := Facts{Effect: differ, Detail: got.String()}
	if s.Long {
		f.Figures = fmt.Sprintf("%d names, of which %d exist; %v planted: %v%v", t.There+t.Not, t.There, t.Planted, got.Planted, got)
	}
	return f
}

func (t times) String() (text string) {
	for _, w := range ways() {
		text += fmt.Sprintf("; %s: %v", w, t.Beside[w])
		if t.Wire[w].Pairs > 0 {
			text += fmt.Sprintf(", over the network %v", t.Wire[w])
		}
	}
	return text
}

// drawNames draws names of one kind, all different: what a name is like tells
// nothing of whether it exists.
func drawNames(there, not int) (exist, absent []string) {
	n := there + not
	seen := make(map[string]bool, n)
	all := make([]string, 0, n)
	for len(all) < n {
		b := make([]byte, 10)
		for i := range b {
			b[i] = 'a' + byte(rand.IntN(26))
		}
		if !seen[string(b)] {
			seen[string(b)] = true
			all = append(all, string(b))
		}
	}
	return all[:there], all[there:]
}

func timeNames(ctx context.Context, o *Operator, t trial) (any, error) {
	debug.SetMemoryLimit(4 << 30) // the server's bound is for fifty people
	there, not := drawNames(t.There, t.Not)
	if err := o.populate(ctx, there); err != nil {
		return nil, err
	}
	var out times
	who, err := newStranger()
	if err != nil {
		return nil, err
	}
	wire := &asker{stranger: who, ask: o.overTheNetwork()}
	if out.Wire, err = wire.all(ctx, there, not[:t.Wire]); err != nil {
		return nil, err
	}
	h, db, err := o.beside(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	beside := &asker{stranger: who, ask: besideIt(h)}
	if out.Beside, err = beside.all(ctx, there, not); err != nil {
		return nil, err
	}
	exists := make(map[string]bool, len(there))
	for _, name := range there {
		exists[name] = true
	}
	beside.delay = func(name string) {
		if exists[name] {
			for began := time.Now(); time.Since(began) < t.Planted; {
			}
		}
	}
	planted, err := beside.pairs(ctx, []string{"lookup"}, there, not)
	out.Planted = compare(planted["lookup"])
	return out, err
}

// asker asks for names and takes the time.
type asker struct {
	*stranger
	ask   func(ctx context.Context, from int, m proto.Method, body []byte) error
	delay func(name string) // planted; nil: none
	from  int               // the address it asks from; another when that is throttled
}

func (a *asker) all(ctx context.Context, there, not []string) (map[string]comparison, error) {
	got, err := a.pairs(ctx, ways(), there, not)
	out := make(map[string]comparison)
	for w, p := range got {
		out[w] = compare(p)
	}
	return out, err
}

// pairs asks for each name that does not exist once, in one of the ways in turn,
// and beside it for one that does, which of the two first by lot.
func (a *asker) pairs(ctx context.Context, how []string, there, not []string) (map[string][]pair, error) {
	out := make(map[string][]pair)
	for n := range not {
		var p pair
		w := how[n%len(how)]
		// Both are made before either is asked, of names that lie in memory alike.
		exists, err := a.question(w, strings.Clone(there[rand.IntN(len(there))]))
		if err != nil {
			return nil, err
		}
		absent, err := a.question(w, strings.Clone(not[n]))
		if err != nil {
			return nil, err
		}
		first, second := func() (err error) { p.A, err = a.one(ctx, w, exists); return err }, func() (err error) { p.B, err = a.one(ctx, w, absent); return err }
		if rand.IntN(2) == 0 {
			first, second = second, first
		}
		if err := errors.Join(first(), second()); err != nil {
			return nil, err
		}
		out[w] = append(out[w], p)
	}
	return out, nil
}

// question is a request for a name, ready to be sent.
type question struct {
	name string
	body []byte
}

func (a *asker) question(how, name string) (question, error) {
	body, err := proto.Encode(tried[how].With(a.stranger, name))
	return question{name, body}, err
}

// one asks until it is answered.
func (a *asker) one(ctx context.Context, how string, q question) (took time.Duration, err error) {
	for ; ctx.Err() == nil; a.from++ {
		began := time.Now()
		err := a.ask(ctx, a.from, tried[how].Method, q.body)
		if a.delay != nil {
			a.delay(q.name)
		}
		took = time.Since(began)
		var refusal *proto.Error
		if err != nil && !errors.As(err, &refusal) {
			return 0, err
		}
		if throttled(err) == 0 {
			return took, nil
		}
	}
	return 0, ctx.Err()
}

// address is one of a stranger's many.
func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(1 + n>>16), byte(n >> 8), byte(n)})
}

// overTheNetwork asks the running server by TLS, from an address of its own.
func (o *Operator) overTheNetwork() func(context.Context, int, proto.Method, []byte) error {
	from, h := -1, *o.house("first")
	return func(ctx context.Context, n int, m proto.Method, body []byte) error {
		if n != from {
			from = n
			h.http.CloseIdleConnections()
			h.http = &http.Transport{TLSClientConfig: h.http.TLSClientConfig, DialContext: (&net.Dialer{
				LocalAddr: &net.TCPAddr{IP: address(n).AsSlice()},
			}).DialContext}
		}
		return h.send(ctx, m, body, empty(m))
	}
}

// besideIt asks a handler itself.
func besideIt(h *httpapi.Handler) func(context.Context, int, proto.Method, []byte) error {
	return func(ctx context.Context, n int, m proto.Method, body []byte) error {
		_, err := h.Call(ctx, address(n), m, body)
		return err
	}
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

// beside stops the server and puts its parts together anew, on its folder and
// without a network, as package serve does.
func (o *Operator) beside(ctx context.Context) (*httpapi.Handler, *sqlite.Store, error) {
	o.mu.Lock()
	h := o.houses[0]
	o.stopped = true
	o.mu.Unlock()
	if err := h.stop(); err != nil {
		return nil, nil, err
	}
	db, err := sqlite.Open(ctx, filepath.Join(h.data, "huis.db"))
	if err != nil {
		return nil, nil, err
	}
	files, err := blobdir.Open(filepath.Join(h.data, "blobs"))
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	sessions := session.New(wallClock{})
	d, err := delivery.Open(ctx, delivery.Config{Store: db, Files: files, Sessions: sessions, Clock: wallClock{}, Key: o.keys.operator, Origin: o.origin})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	a, err := directory.Open(ctx, directory.Config{Store: db, Key: o.keys.operator, Clock: wallClock{}, Sessions: sessions, Origin: o.origin, Whole: true})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return httpapi.NewHandler(httpapi.Config{Directory: a, Delivery: d, Sessions: sessions, Clock: wallClock{}}), db, nil
}
