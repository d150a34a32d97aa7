package sim

import (
	"context"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

// lose destroys all devices of a person, who kept the recovery key.
func (p *play) lose(handle string, devices ...string) {
	p.t.Helper()
	p.rest(2 * time.Hour) // the newest messages are in the backup
	key, err := p.RecoveryKey(p.dev(handle + "/1"))
	p.must(err)
	p.written[handle] = key
	for _, name := range devices {
		p.Lose(p.dev(name))
	}
}

// recover brings a person back as device number n and waits for the others.
func (p *play) recover(handle string, n int, opt client.RecoverOptions) {
	p.t.Helper()
	d, err := p.Recover(handle, n, p.written[handle], opt)
	p.must(err)
	p.must(p.Back(d))
}

var recoverScenarios = []scenario{
	// All devices lost: the recovery key brings back contacts, conversations and
	// history, in groups, with a single contact, and alone.
	{name: "all-devices-lost", tell: func(p *play) {
		p.helpExpected = true
		p.people("ann", "bob", "cal")
		p.link("ann", 2)
		p.chat("ann/1", "house", "bob", "cal")
		p.chat("ann/1", "alone")
		p.say("house", "ann/1", "bob/1", "cal/1", "ann/2")
		p.say("@bob", "ann/1")
		p.say("alone", "ann/1")
		p.lose("ann", "ann/1", "ann/2")
		p.recover("ann", 3, client.RecoverOptions{EndOthers: true})
		p.rest(2 * time.Minute)
		p.say("house", "ann/3", "bob/1", "cal/1")
		p.say("@ann", "bob/1")
		p.say("@bob", "ann/3")
		p.say("alone", "ann/3")
		p.shows("ann/3", "house", 7)
		p.shows("ann/3", "@bob", 3)
		p.shows("ann/3", "alone", 2)
	}},

	// The only contact comes back a day later.
	{name: "recovered-before-its-contact", tell: func(p *play) {
		p.helpExpected = true
		p.people("ann", "bob")
		p.say("@bob", "ann/1")
		p.rest(time.Minute)
		p.dev("bob/1").Off = true
		p.dev("bob/1").Kill()
		p.lose("ann", "ann/1")
		_, err := p.Recover("ann", 2, p.written["ann"], client.RecoverOptions{})
		p.must(err)
		p.rest(20 * time.Hour)
		p.dev("bob/1").Off = false
		p.dev("bob/1").start()
		p.must(p.Back(p.dev("ann/2")))
		p.say("@ann", "bob/1")
		p.say("@bob", "ann/2")
		p.shows("ann/2", "@bob", 3)
	}},

	// A network that loses one request in ten.
	{name: "recovered-over-a-bad-network", tell: func(p *play) {
		p.helpExpected = true
		p.people("ann", "bob", "cal")
		p.chat("ann/1", "house", "bob", "cal")
		p.say("house", "ann/1", "bob/1")
		p.lose("ann", "ann/1")
		p.Net.Faults = Rough
		p.recover("ann", 2, client.RecoverOptions{})
		p.Net.Faults = Calm
		p.say("house", "ann/2", "bob/1", "cal/1")
		p.shows("ann/2", "house", 5)
	}},
}

// shows counts the texts a device holds of a chat.
func (p *play) shows(device, chat string, want int) {
	p.t.Helper()
	p.rest(time.Minute)
	n := 0
	p.must(p.Do(p.dev(device), "count", func(ctx context.Context, c *client.Client) error {
		n = 0
		for m, err := range c.Messages(ctx, chat, 0) {
			if err != nil {
				return err
			}
			if m.Kind == "text" {
				n++
			}
		}
		return nil
	}))
	if n != want {
		p.t.Errorf("%s shows %d messages of %s, want %d", device, n, chat, want)
	}
}

func TestSimRecover(t *testing.T) {
	for _, sc := range recoverScenarios {
		for _, seed := range seeds() {
			t.Run(sc.name, func(t *testing.T) { perform(t, sc, seed) })
		}
	}
}
