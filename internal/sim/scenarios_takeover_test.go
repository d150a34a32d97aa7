package sim

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

func init() {
	scenarios = append(scenarios, []scenario{
		// The server gives bob's name to somebody else. His device is alive and
		// objects: nobody ever takes the other one for him.
		{name: "liar-resets-an-account", tell: func(p *play) {
			p.takenOver()
			p.alarmed("bob/1", "made your account @bob anew")
			p.must(p.Do(p.dev("bob/1"), "veto", func(ctx context.Context, c *client.Client) error {
				_, err := c.Veto(ctx)
				return err
			}))
			p.rest(4 * 24 * time.Hour)
			for _, name := range []string{"ann/1", "cal/1"} {
				p.takes(name, "bob", "bob/1")
			}
			if n := p.leaves("ann/1", "house"); n != 3 {
				p.t.Errorf("%d devices in the house", n)
			}
		}},

		// Nobody objects: for a day of the log nothing changes, then the old
		// devices are out, and nobody has come in.
		{name: "liar-resets-an-account-unopposed", tell: func(p *play) {
			p.takenOver()
			p.dev("bob/1").Cut = true
			p.rest(20 * time.Hour)
			for _, name := range []string{"ann/1", "cal/1"} {
				p.stops(name, "add bob", newChat("cellar", "bob"), "no device of theirs signed that")
			}
			if n := p.leaves("ann/1", "house"); n != 3 {
				p.t.Errorf("%d devices in the house before the reset counts", n)
			}
			p.rest(3 * 24 * time.Hour)
			if n := p.leaves("cal/1", "house"); n != 2 {
				p.t.Errorf("%d devices in the house after the reset counts, want ann's and cal's", n)
			}
			p.takes("ann/1", "bob", "bob/9")
		}},

		// The server names another account for bob, and does not log it.
		{name: "liar-renames-without-log", tell: func(p *play) {
			p.lies = true
			p.people("ann", "bob", "eve")
			var eve proto.AccountID
			b, err := hex.DecodeString(p.account("eve/1"))
			p.must(err)
			copy(eve[:], b)
			p.Net.Liar = func(device string, _ proto.Method, _, resp proto.Message) error {
				if r, ok := resp.(*proto.LookupResponse); ok && device == "ann/1" {
					r.Account = eve
				}
				return nil
			}
			p.stops("ann/1", "new chat", newChat("house", "bob"), "another name in its log")
		}},

		// The server shows cal a log in which bob's name was taken, and takes it
		// back before the next day.
		{name: "liar-shows-a-reset-and-takes-it-back", disk: true, tell: func(p *play) {
			faces := p.twoFaces("cal/1")
			both := faces.Exec
			p.Net.exec = func(ctx context.Context, remote netip.Addr, m proto.Method, body []byte) ([]byte, error) {
				if remote == remoteOf("bob/9") {
					return faces.Second.Exec(ctx, remote, m, body)
				}
				return both(ctx, remote, m, body)
			}
			p.slowly()
			p.takeOver(faces.Second.store, "bob")
			p.rest(2 * time.Hour)
			p.stops("cal/1", "add bob", newChat("cellar", "bob"), "no device of theirs signed that")
			p.unsuspecting("ann/1")
			p.Net.exec = faces.First.Exec
			p.dev("cal/1").Kill()
			p.rest(3 * time.Hour)
			p.alarmed("cal/1", "log")
			p.stops("cal/1", "add bob", newChat("attic", "bob"), "log")
		}},
	}...)
}

// slowly makes days pass without millions of requests.
func (p *play) slowly() {
	for _, d := range p.Devices() {
		d.SyncMin, d.SyncMax = time.Hour, 2*time.Hour
	}
}

// takenOver is three people in a house, and the server that lets another take
// bob's name.
func (p *play) takenOver() {
	p.t.Helper()
	p.lies = true
	p.people("ann", "bob", "cal")
	p.chat("ann/1", "house", "bob", "cal")
	p.say("house", "ann/1", "bob/1", "cal/1")
	p.rest(time.Minute)
	p.slowly()
	p.takeOver(p.Server.store, "bob")
	p.rest(3 * time.Hour)
}

// takeOver lets device 9 of a handle make its account anew, by an invitation
// the server made itself.
func (p *play) takeOver(st store.Store, handle string) {
	p.t.Helper()
	inv := p.Server.FirstInvitation()
	inv.Token, inv.Reset = proto.New[proto.Token](), handle
	p.must(st.AddInvite(context.Background(), store.Invite{
		Token: inv.Token.ResetHash(handle), Uses: 1, Expires: store.MinuteOf(p.Sched.Now().Add(time.Hour)),
	}))
	d := p.newDevice(handle, 9)
	d.SyncMin, d.SyncMax = time.Hour, 2*time.Hour
	p.must(p.enter(d, func(ctx context.Context, cfg client.Config) (*client.Client, error) {
		c, _, err := client.Join(ctx, cfg, inv, handle)
		return c, err
	}))
}

// alarmed fails unless the device stopped with these words and a way out, and
// evidence was kept.
func (p *play) alarmed(name, words string) {
	p.t.Helper()
	found := slices.ContainsFunc(p.dev(name).Safety, func(s *client.SafetyError) bool {
		return strings.Contains(s.Reason, words) && s.Fix != "" && s.Evidence != ""
	})
	if !found {
		p.t.Errorf("%s was not alarmed with %q: %v", name, words, p.dev(name).Safety)
	}
}

// stops fails unless what a device does is stopped for safety with these words.
func (p *play) stops(name, what string, do func(context.Context, *client.Client) error, words string) {
	p.t.Helper()
	op := p.dev(name).Tell(what, do)
	p.tolerate(op)
	var safety *client.SafetyError
	if !errors.As(op.Err, &safety) || !strings.Contains(safety.Reason, words) {
		p.t.Errorf("%s: %s gives %v, want a stop with %q", name, what, op.Err, words)
	}
}

// takes fails unless the device takes another for the person of that name.
func (p *play) takes(name, who, other string) {
	p.t.Helper()
	var got client.Trust
	p.must(p.Do(p.dev(name), "look at "+who, func(ctx context.Context, c *client.Client) (err error) {
		got, err = c.Trust(ctx, who)
		return err
	}))
	if want := p.account(other); got.Account != want || got.State == client.TrustStop {
		p.t.Errorf("%s takes account %.8s for @%s (%s: %s), want %s", name, got.Account, who, got.State, got.Reason, other)
	}
}

func (p *play) account(name string) (id string) {
	p.t.Helper()
	p.must(p.Do(p.dev(name), "status", func(ctx context.Context, c *client.Client) error {
		s, err := c.Status(ctx)
		id = s.Account
		return err
	}))
	return id
}

// leaves counts the devices in a chat as a device has it.
func (p *play) leaves(name, chat string) (n int) {
	p.t.Helper()
	p.must(p.Do(p.dev(name), "count", func(ctx context.Context, c *client.Client) error {
		all, err := c.Members(ctx, chat)
		n = len(all)
		return err
	}))
	return n
}
