package sim

import (
	"context"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

func init() {
	scenarios = append(scenarios, []scenario{
		// The server loses a day: its clients give it back.
		{name: "restored-from-yesterday", disk: true, tell: func(p *play) {
			p.people("ann", "bob", "cal")
			p.chat("ann/1", "house", "bob", "cal")
			p.say("house", "ann/1", "bob/1", "cal/1")
			p.rest(time.Minute)
			old := p.copyStore()
			p.day()
			p.must(p.Server.Restore(old))
			p.rest(3 * time.Minute)
			p.hasAll()
			p.say("house", "ann/1", "ann/2", "bob/1", "dan/1")
			p.say("attic", "bob/1", "ann/1")
			p.say("@dan", "bob/1")
			p.rest(time.Minute)
		}},

		// The same while the network loses requests and everybody is killed now
		// and then, the server too.
		{name: "restored-in-bad-weather", disk: true, tell: func(p *play) {
			p.people("ann", "bob", "cal")
			p.chat("ann/1", "house", "bob", "cal")
			p.say("house", "ann/1", "bob/1", "cal/1")
			p.rest(time.Minute)
			old := p.copyStore()
			p.day()
			p.Net.Faults = Rough
			p.must(p.Server.Restore(old))
			for i := range 12 {
				p.rest(20 * time.Second)
				p.Devices()[i%len(p.Devices())].Kill()
				if i%4 == 3 {
					p.Server.Stop()
					p.must(p.Server.Start())
				}
			}
			p.Net.Faults = Calm
			p.rest(5 * time.Minute)
			p.hasAll()
			p.say("house", "ann/1", "bob/1", "dan/1")
			p.rest(time.Minute)
		}},

		// Only cal has what was said last, and comes when the wait is over and
		// others have written: cal goes on with them, and says it again.
		{name: "restored-and-too-late", disk: true, tell: func(p *play) {
			p.people("ann", "bob", "cal")
			p.chat("ann/1", "house", "bob", "cal")
			p.say("house", "ann/1", "bob/1", "cal/1")
			p.rest(time.Minute)
			p.tooLate(func() { p.say("house", "cal/1") })
			p.say("house", "cal/1", "ann/1")
			p.rest(3 * time.Minute)
		}},

		// The same with a change of the group among it, while everybody is killed
		// now and then: cal is added again.
		{name: "restored-and-too-late-for-a-change", disk: true, tell: func(p *play) {
			p.people("ann", "bob", "cal", "dan")
			p.chat("ann/1", "house", "bob", "cal", "dan")
			p.must(p.Do(p.dev("ann/1"), "make cal an admin", func(ctx context.Context, c *client.Client) error {
				return c.SetAdmin(ctx, "house", "cal", true)
			}))
			p.say("house", "ann/1", "bob/1", "cal/1", "dan/1")
			p.rest(time.Minute)
			p.tooLate(func() {
				p.must(p.Do(p.dev("cal/1"), "remove dan", func(ctx context.Context, c *client.Client) error {
					return c.RemoveMembers(ctx, "house", []string{"dan"})
				}))
				p.say("house", "cal/1")
			})
			p.rest(5 * time.Minute)
			p.say("house", "cal/1", "ann/1")
			p.rest(3 * time.Minute)
		}},
	}...)
}

// tooLate has everybody away but cal, who does what the server then loses and
// gives back only when the others have gone on.
func (p *play) tooLate(does func()) {
	p.t.Helper()
	p.loses = true
	old := p.copyStore()
	p.switchOff("ann/1")
	p.switchOff("bob/1")
	does()
	p.rest(time.Minute)
	p.switchOff("cal/1")
	p.must(p.Server.Restore(old))
	p.switchOn("ann/1")
	p.switchOn("bob/1")
	p.rest(time.Hour)
	if !p.Server.Waiting() {
		p.t.Error("it does not wait for cal")
	}
	p.rest(Hold)
	p.hasAll()
	p.say("house", "ann/1", "bob/1")
	p.switchOn("cal/1")
	p.rest(3 * time.Minute)
	for _, name := range []string{"ann/1", "bob/1", "cal/1"} {
		p.unsuspecting(name)
	}
}

// day is everything that may happen in one: messages, a new person, a new
// device, a removal, new conversations.
func (p *play) day() {
	p.t.Helper()
	p.say("house", "ann/1", "bob/1", "cal/1")
	p.people("dan")
	p.must(p.Do(p.dev("ann/1"), "add dan", func(ctx context.Context, c *client.Client) error {
		return c.AddMembers(ctx, "house", []string{"dan"})
	}))
	p.link("ann", 2)
	p.rest(time.Minute)
	p.say("house", "ann/2", "dan/1", "cal/1")
	p.must(p.Do(p.dev("ann/1"), "remove cal", func(ctx context.Context, c *client.Client) error {
		return c.RemoveMembers(ctx, "house", []string{"cal"})
	}))
	p.chat("bob/1", "attic", "ann", "dan")
	p.say("attic", "bob/1", "ann/2")
	p.say("@dan", "bob/1")
	p.say("house", "ann/1", "bob/1", "dan/1")
	p.rest(2 * time.Minute)
}

// hasAll fails if the server still waits.
func (p *play) hasAll() {
	p.t.Helper()
	if p.Server.Waiting() {
		p.t.Fatalf("after %v the server still waits", p.Sched.Now().Sub(Start))
	}
}
