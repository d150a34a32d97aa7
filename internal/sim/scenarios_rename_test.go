package sim

import (
	"context"
	"errors"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

func init() {
	scenarios = append(scenarios, []scenario{
		// Two devices of bob change his name while the network loses requests
		// and everybody is killed now and then. Whatever came first: everybody
		// has one name for him, finds him by the others, and talks on.
		{name: "renamed-in-bad-weather", tell: func(p *play) {
			p.people("ann", "bob", "cal")
			p.link("bob", 2)
			p.chat("ann/1", "house", "bob", "cal")
			p.say("house", "ann/1", "bob/1", "bob/2", "cal/1")
			p.Net.Faults = Rough
			one := p.dev("bob/1").Tell("become robert", called("robert"))
			two := p.dev("bob/2").Tell("become rob", called("rob"))
			for i := range 6 {
				p.rest(20 * time.Second)
				p.Devices()[i%len(p.Devices())].Kill()
			}
			p.tolerate(one, two)
			p.Net.Faults = Calm
			p.rest(3 * time.Hour)
			bob := p.account("bob/1")
			name := p.calls("bob/1", bob)
			for _, d := range []string{"ann/1", "cal/1", "bob/2"} {
				if got := p.calls(d, bob); got != name || name == "bob" {
					p.t.Errorf("%s calls bob @%s, he calls himself @%s", d, got, name)
				}
			}
			for _, d := range []string{"ann/1", "cal/1"} {
				p.takes(d, "bob", "bob/1")
				p.takes(d, name, "bob/1")
			}
			p.say("house", "ann/1", "bob/1", "bob/2", "cal/1")
			p.say("@bob", "cal/1")
			p.people("dan")
			p.chat("dan/1", "cellar", "bob")
			p.say("cellar", "dan/1", "bob/2")
			p.rest(time.Minute)
		}},

		// The server loses the day on which bob changed his name: his devices
		// give that back, too.
		{name: "renamed-and-restored", disk: true, tell: func(p *play) {
			p.people("ann", "bob", "cal")
			p.chat("ann/1", "house", "bob", "cal")
			p.say("house", "ann/1", "bob/1", "cal/1")
			p.rest(time.Minute)
			old := p.copyStore()
			p.must(p.Do(p.dev("bob/1"), "become robert", called("robert")))
			p.rest(2 * time.Hour)
			p.takes("ann/1", "robert", "bob/1")
			p.say("house", "ann/1", "bob/1")
			p.must(p.Server.Restore(old))
			p.rest(3 * time.Minute)
			p.hasAll()
			p.rest(2 * time.Hour)
			for _, d := range []string{"ann/1", "cal/1"} {
				p.takes(d, "bob", "bob/1")
				p.takes(d, "robert", "bob/1")
			}
			p.people("dan")
			p.chat("dan/1", "cellar", "bob")
			p.say("cellar", "dan/1", "bob/1")
			p.say("house", "ann/1", "bob/1", "cal/1")
			p.rest(time.Minute)
		}},
	}...)
}

// called changes a device's own name, if it is not that already.
func called(name string) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error {
		_, err := c.ChangeName(ctx, name)
		if errors.Is(err, client.ErrExists) {
			return nil // changed before a crash
		}
		return err
	}
}

// calls is how a device calls the person with an account.
func (p *play) calls(name, account string) (handle string) {
	p.t.Helper()
	p.must(p.Do(p.dev(name), "names", func(ctx context.Context, c *client.Client) error {
		all, err := c.People(ctx)
		for _, q := range all {
			if q.Account == account {
				handle = q.Handle
			}
		}
		return err
	}))
	return handle
}
