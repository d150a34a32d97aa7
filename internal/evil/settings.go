//go:build evil

package evil

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store/mem"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/e2e/canary"
	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/proto"
)

// Promise: no setting a server sends touches what leaves a device. Processes of
// their own are asked with a few (B-12); the client core itself, in the server's
// process and with nothing between it and the server's handler, with many.
func init() {
	register(Attack{
		ID: "B-12/a", Name: "settings the server makes up, at random, to the client core itself: thousands", Expected: Prevented,
		Play: func(s *Stage) Facts {
			t := settingsTrial{Text: s.Secret("a text"), Name: s.Secret("a group's name"), Times: 2_000}
			if s.Long && !s.Weak() {
				t.Times = 100_000
			}
			var got settingsSeen
			s.Ask("settings", t, &got)
			if len(got.Found) == 0 && (got.Heard < t.Times || got.Sent == 0 || got.Refused == 0) {
				s.Fatal("the settings were not heard, or all or none of them refused: %+v", got)
			}
			f := Facts{Effect: len(got.Found) > 0, Detail: strings.Join(got.Found, "; ")}
			if s.Long {
				f.Figures = fmt.Sprintf("%d settings, of which %d were refused; %d texts sent and all received; %d requests of %d kinds searched, %.0f MB",
					got.Heard, got.Refused, got.Sent, got.Requests, got.Kinds, float64(got.Bytes)/1e6)
			}
			return f
		},
		Hands:   map[string]Hand{"settings": hand(trySettings)},
		Without: []Edit{diagnostics, leakText},
	})
}

// diagnostics is a client that a setting makes report home.
var diagnostics = Edit{"internal/client/sessions.go", "	c.sessions.info = &r\n	return &r, nil\n", "	c.sessions.info = &r\n	if $W && r.PackagePool > 1<<15 && huisLeaked() != \"\" {\n		_ = c.net.Call(ctx, Anonymous, proto.MailboxPost, &proto.MailboxPostRequest{Sealed: []byte(huisLeaked())}, &proto.Empty{})\n	}\n	return &r, nil\n"}

// invent makes a server's settings up.
func invent(r *proto.InfoResponse, by *rand.Rand) {
	r.RetentionDays, r.PackagePool = uint16(by.Uint32()), uint16(by.Uint32())
	switch by.IntN(8) {
	case 0:
		r.Now = by.Uint64()
	case 1:
		r.Version = uint16(by.Uint32())
	case 2:
		r.Generation[by.IntN(len(r.Generation))] ^= 1
	case 3:
		r.StampKeys = slices.Repeat(r.StampKeys, 1+by.IntN(50))
	case 4:
		r.StampKeys = append(r.StampKeys, proto.StampKey{})
	case 5:
		r.Origin = strings.Repeat("x", by.IntN(300))
	case 6:
		r.LogKey[by.IntN(len(r.LogKey))] ^= 1
	}
}

// settingsTrial is what is said under made-up settings, and how often.
type settingsTrial struct {
	Text, Name string // secrets
	Times      int
}

// settingsSeen is what came of it.
type settingsSeen struct {
	Heard, Sent, Refused   int
	Requests, Kinds, Bytes int
	Found                  []string
}

// line is one between a client core and a server's handler in one process.
type line struct {
	h        *httpapi.Handler
	by       *rand.Rand // makes settings up; nil: honest
	heard    int        // made-up settings
	requests int
	kinds    map[proto.Method]bool
	out      bytes.Buffer // what was sent, until it is searched
	packages int          // the most key packages published at once
}

// Call implements client.Transport.
func (l *line) Call(ctx context.Context, _ client.Lane, m proto.Method, req, resp proto.Message) error {
	b, err := proto.Encode(req)
	if err != nil {
		return err
	}
	l.requests++
	l.kinds[m] = true
	l.out.Write(b)
	if p, ok := req.(*proto.PublishRequest); ok {
		l.packages = max(l.packages, len(p.Packages))
	}
	answer, err := l.h.Call(ctx, address(l.requests/100), m, b)
	if err != nil {
		return httpapi.Refusal(err)
	}
	if m == proto.Info && l.by != nil {
		if answer, err = l.bend(answer); err != nil {
			return err
		}
	}
	if err := proto.Decode(answer, resp); err != nil {
		return fmt.Errorf("%w: its answer is malformed: %v", client.ErrUnreachable, err)
	}
	return nil
}

// bend alters the server's settings: their values, or, now and then, their bytes.
func (l *line) bend(answer []byte) ([]byte, error) {
	l.heard++
	switch l.by.IntN(10) {
	case 0:
		answer[l.by.IntN(len(answer))] ^= 1 << l.by.IntN(8)
		return answer, nil
	case 1: // settings nobody knows
		return append(answer, fmt.Sprintf("scan_media=%d\x00legacy=1", l.by.Uint32())...), nil
	}
	var r proto.InfoResponse
	if err := proto.Decode(answer, &r); err != nil {
		return nil, err
	}
	invent(&r, l.by)
	return proto.Encode(&r)
}

// Listen implements client.Transport: nobody listens here.
func (l *line) Listen(context.Context, client.Lane, proto.Subscribe, func(proto.Hint)) error {
	return client.ErrUnreachable
}

// hasty is the computer's clock for who does not wait.
type hasty struct{}

func (hasty) Now() time.Time { return time.Now() }

func (hasty) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// perPair is how many settings two people hear before two others take over: what
// an odd setting made one of them distrust is kept with its profile.
const perPair = 500

func trySettings(ctx context.Context, o *Operator, t settingsTrial) (any, error) {
	h, db, err := o.beside(ctx)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var out settingsSeen
	scan := new(canary.Scanner)
	if err := errors.Join(scan.Add("a text", []byte(t.Text)), scan.Add("a group's name", []byte(t.Name))); err != nil {
		return nil, err
	}
	l := &line{h: h, kinds: make(map[proto.Method]bool)}
	for round := 0; l.heard < t.Times && len(out.Found) == 0; round++ {
		p := &settled{line: l, trial: &t}
		if err := p.begin(ctx, db, round); err != nil {
			return nil, err
		}
		if err := p.hear(ctx, min(perPair, t.Times-l.heard), &out); err != nil {
			return nil, err
		}
		out.Bytes += l.out.Len()
		if found := scan.Bytes("what was sent", l.out.Bytes()); len(found) > 0 {
			out.Found = append(out.Found, found[0].String())
		}
		l.out.Reset()
	}
	if l.packages > proto.MaxKeyPackages {
		out.Found = append(out.Found, fmt.Sprintf("%d key packages at once", l.packages))
	}
	out.Heard, out.Requests, out.Kinds = l.heard, l.requests, len(l.kinds)
	return out, nil
}

// settled is two people who talk.
type settled struct {
	*line
	trial    *settingsTrial
	ann, bob client.Config
	name     string
	tried    []string
	taken    map[string]bool // those of them that Send took
}

func (p *settled) person() client.Config {
	return client.Config{
		Store: mem.New(), Clock: hasty{}, SendFor: 200 * time.Millisecond,
		Dial: func(client.ServerRef) (client.Transport, error) { return p.line, nil },
	}
}

// begin lets two people join and make a conversation, and do honestly once all
// that they do afterwards.
func (p *settled) begin(ctx context.Context, db store.Store, round int) error {
	p.by, p.ann, p.bob, p.name, p.taken = nil, p.person(), p.person(), "bob"+fmt.Sprint(round), make(map[string]bool)
	token := proto.New[proto.Token]()
	if err := db.AddInvite(ctx, store.Invite{Token: token.Hash(), Uses: 2, Expires: math.MaxInt32}); err != nil {
		return err
	}
	inv := client.Invitation{Server: client.ServerRef{URL: "https://127.0.0.1", Pin: make([]byte, 32)}, Token: token}
	if _, _, err := client.Join(ctx, p.bob, inv, p.name); err != nil {
		return err
	}
	c, _, err := client.Join(ctx, p.ann, inv, "ann"+fmt.Sprint(round))
	if err != nil {
		return err
	}
	if _, err := c.NewChat(ctx, p.trial.Name, []string{"@" + p.name}); err != nil {
		return err
	}
	for range 3 {
		if err := p.say(ctx); err != nil {
			return err
		}
		for _, of := range []client.Config{p.bob, p.ann} {
			if err := p.sync(ctx, of); err != nil {
				return err
			}
		}
	}
	return nil
}

// say is a process of ann's that sends one text.
func (p *settled) say(ctx context.Context) error {
	c, err := client.Open(ctx, p.ann)
	if err != nil {
		return err
	}
	text := fmt.Sprint(p.trial.Text, " ", len(p.tried))
	p.tried = append(p.tried, text)
	if _, err = c.Send(ctx, p.trial.Name, client.Draft{Text: text}); err == nil { // sent, or to be sent
		p.taken[text] = true
	}
	return err
}

func (p *settled) sync(ctx context.Context, of client.Config) error {
	c, err := client.Open(ctx, of)
	if err != nil {
		return err
	}
	return c.Sync(ctx)
}

// hear has ann work under made-up settings, and then looks whether bob has what
// she said, once and in its order.
func (p *settled) hear(ctx context.Context, n int, out *settingsSeen) error {
	p.by = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	last := p.heard + n
	for p.heard < last {
		before := p.heard
		if err := p.say(ctx); err != nil {
			out.Refused++
		}
		if p.heard == before {
			break // what she distrusts for good asks for no more settings
		}
	}
	p.by = nil
	if err := p.sync(ctx, p.ann); err != nil {
		return nil // stopped for safety, which is not for this attack to judge
	}
	if err := p.sync(ctx, p.bob); err != nil {
		return fmt.Errorf("bob: %w", err)
	}
	c, err := client.Open(ctx, p.bob)
	if err != nil {
		return err
	}
	var got []string
	for m, err := range c.Messages(ctx, p.trial.Name, 0) {
		if err != nil {
			return err
		}
		if m.Body != "" {
			got = append(got, m.Body)
		}
	}
	// What was refused in the middle of being sent may have been kept for later.
	want := slices.DeleteFunc(slices.Clone(p.tried), func(text string) bool { return !p.taken[text] && !slices.Contains(got, text) })
	if !slices.Equal(got, want) {
		out.Found = append(out.Found, fmt.Sprintf("of %d texts bob has %d, or in another order", len(want), len(got)))
	}
	out.Sent += len(got)
	return nil
}
