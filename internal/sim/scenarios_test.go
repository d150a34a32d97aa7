package sim

import (
	"fmt"
	"time"
)

var scenarios = []scenario{
	{name: "calm", tell: func(p *play) {
		p.people("ann", "bob", "cal")
		p.chat("ann/1", "house", "bob", "cal")
		for range 3 {
			p.say("house", "ann/1", "bob/1", "cal/1")
		}
		p.say("@bob", "ann/1")
		p.say("@ann", "bob/1")
	}},

	// Two commit in the same epoch: one wins, the other rebuilds.
	{name: "commit-race", tell: func(p *play) {
		p.people("ann", "bob", "cal", "dan", "eve")
		p.chat("ann/1", "house", "bob", "cal")
		for range 3 {
			a := p.dev("ann/1").Tell("add dan", add("house", "dan"))
			b := p.dev("ann/1").Once("add eve", add("house", "eve"))
			p.must(p.Wait(a, b))
			p.rest(time.Minute)
			p.say("house", "bob/1", "dan/1", "eve/1")
			p.must(p.Do(p.dev("ann/1"), "remove dan", remove("house", "dan")))
			p.must(p.Do(p.dev("ann/1"), "remove eve", remove("house", "eve")))
			p.rest(time.Minute)
		}
	}},

	// Who was removed reads nothing after, who joins nothing before.
	{name: "in-and-out", tell: func(p *play) {
		p.people("ann", "bob", "cal", "dan")
		p.chat("ann/1", "house", "bob")
		p.say("house", "ann/1", "bob/1")
		p.must(p.Do(p.dev("ann/1"), "add cal", add("house", "cal")))
		p.rest(time.Minute)
		p.say("house", "ann/1", "bob/1", "cal/1")
		// A removal between messages that are under way.
		ops := []*Op{p.Send(p.dev("bob/1"), "house"), p.Send(p.dev("cal/1"), "house")}
		ops = append(ops, p.dev("ann/1").Tell("remove bob", remove("house", "bob")))
		p.tolerate(ops...)
		p.say("house", "ann/1", "cal/1")
		p.must(p.Do(p.dev("ann/1"), "add dan and bob", add("house", "dan", "bob")))
		p.rest(time.Minute)
		p.say("house", "ann/1", "bob/1", "cal/1", "dan/1")
		p.must(p.Do(p.dev("cal/1"), "leave", leave("house")))
		p.rest(2 * time.Minute)
		p.say("house", "ann/1", "bob/1", "dan/1")
	}},

	// A bad network all the time.
	{name: "rough-network", tell: func(p *play) {
		p.people("ann", "bob", "cal")
		p.Net.Faults = Rough
		p.must(p.Do(p.dev("ann/1"), "new chat", again(newChat("house", "bob", "cal"))))
		p.rest(5 * time.Minute)
		for range 4 {
			p.tolerate(p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house"), p.Send(p.dev("cal/1"), "house"))
		}
	}},

	// What is written without a network is sent later, once.
	{name: "outbox", tell: func(p *play) {
		p.people("ann", "bob")
		p.chat("ann/1", "house", "bob")
		p.dev("bob/1").Cut = true
		for range 3 {
			p.must(p.Wait(p.Send(p.dev("bob/1"), "house")))
		}
		p.dev("bob/1").Kill()
		p.say("house", "ann/1")
		p.rest(10 * time.Minute)
	}},

	// The server is away for an hour.
	{name: "server-away-an-hour", tell: func(p *play) {
		p.people("ann", "bob")
		p.chat("ann/1", "house", "bob")
		p.say("house", "ann/1", "bob/1")
		p.Server.Stop()
		ops := []*Op{p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house")}
		p.rest(time.Hour)
		p.must(p.Server.Start())
		p.must(p.Wait(ops...))
		p.rest(time.Minute)
		p.say("house", "ann/1", "bob/1")
	}},

	// Two processes on one profile: read --follow and send.
	{name: "two-processes", tell: func(p *play) {
		p.people("ann", "bob")
		p.chat("ann/1", "house", "bob")
		for i := range 4 {
			text := fmt.Sprintf("beside %d", i)
			ops := []*Op{
				p.dev("ann/1").Once("send "+text, p.sending(p.dev("ann/1"), "house", text)),
				p.dev("ann/1").Once("send "+text+"b", p.sending(p.dev("ann/1"), "house", text+"b")),
				p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house"),
			}
			p.must(p.Wait(ops...))
		}
	}},
}
