package sim

import (
	"context"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

// stories are told again and again, with one write of one victim failing or
// killing each time.
var stories = []struct {
	name    string
	victims []string
	begin   func(*play) // before the first write that may fail
	story   func(*play)
}{
	{"chat", []string{"ann/1", "bob/1", "cal/1", "server"}, func(p *play) {
		p.people("ann", "bob", "cal")
	}, func(p *play) {
		p.tolerate(p.dev("ann/1").Tell("new chat", again(newChat("house", "bob"))))
		p.tolerate(p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house"))
		p.tolerate(p.dev("ann/1").Tell("add cal", add("house", "cal")))
		p.tolerate(p.Send(p.dev("bob/1"), "house"), p.Send(p.dev("cal/1"), "house"))
		p.tolerate(p.dev("ann/1").Tell("remove bob", remove("house", "bob")))
		p.tolerate(p.Send(p.dev("ann/1"), "house"))
		p.rest(time.Minute)
	}},
	{"join", []string{"new", "server"}, func(p *play) {
		p.people("ann")
	}, func(p *play) {
		p.people("bob")
		p.tolerate(p.Send(p.dev("bob/1"), "@ann"))
		p.rest(time.Minute)
	}},
	{"link", []string{"ann/1", "new", "bob/1", "server"}, func(p *play) {
		p.people("ann", "bob")
		p.chat("ann/1", "house", "bob")
	}, func(p *play) {
		p.link("ann", 2)
		p.rest(time.Minute)
		p.tolerate(p.Send(p.dev("ann/2"), "house"), p.Send(p.dev("bob/1"), "house"))
		p.tolerate(p.dev("ann/1").Tell("revoke", func(ctx context.Context, c *client.Client) error {
			return c.Revoke(ctx, p.dev("ann/2").id)
		}))
		p.dev("ann/2").Gone = true
		p.rest(5 * time.Minute)
		p.tolerate(p.Send(p.dev("ann/1"), "house"))
	}},
	{"rejoin", []string{"mal/1", "ann/1", "bob/1", "server"}, func(p *play) {
		p.helpExpected = true
		p.people("mal", "ann", "bob", "cal")
		p.chat("mal/1", "house", "ann", "bob", "cal")
	}, func(p *play) {
		p.spoil("mal/1", 2)
		p.tolerate(p.dev("mal/1").Tell("bad commit", expire("house", 90*24*time.Hour)))
		p.honest()
		p.rest(5 * time.Minute)
		p.tolerate(p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house"))
		p.rest(time.Minute)
	}},
	{"recover", []string{"new", "bob/1", "server"}, func(p *play) {
		p.helpExpected = true
		p.people("ann", "bob", "cal")
		p.chat("ann/1", "house", "bob", "cal")
		p.say("@bob", "ann/1")
		p.chat("ann/1", "alone")
		p.lose("ann", "ann/1")
	}, func(p *play) {
		p.recover("ann", 2, client.RecoverOptions{EndOthers: true})
		p.tolerate(p.Send(p.dev("ann/2"), "house"), p.Send(p.dev("bob/1"), "@ann"), p.Send(p.dev("ann/2"), "alone"))
		p.rest(time.Minute)
	}},
	{"reform", []string{"ann/1", "bob/1", "cal/1", "server"}, func(p *play) {
		p.helpExpected = true
		p.people("mal", "ann", "bob", "cal")
		p.chat("mal/1", "house", "ann", "bob", "cal")
		p.spoil("mal/1", 1)
		p.must(p.Do(p.dev("mal/1"), "bad commit", expire("house", 90*24*time.Hour)))
		p.vanish("mal/1")
	}, func(p *play) {
		p.rest(30 * time.Minute)
		p.tolerate(p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house"), p.Send(p.dev("cal/1"), "house"))
		p.rest(5 * time.Minute)
		p.succeeded("ann/1", "bob/1", "cal/1")
	}},
}

// TestSimEveryWrite kills or fails one device, or the server, at each of its
// writes in turn, in each of the four ways. In `make test` it takes one write
// and two of the ways, others with each seed; all in `make sim`.
func TestSimEveryWrite(t *testing.T) {
	for _, st := range stories {
		for _, victim := range st.victims {
			t.Run(st.name+"/"+victim, func(t *testing.T) { everyWrite(t, victim, st.begin, st.story) })
		}
	}
}

func everyWrite(t *testing.T, victim string, begin, story func(*play)) {
	seed := seeds()[0]
	writes := 0
	once := func(at int, f WriteFault) {
		perform(t, scenario{name: "every-write", tell: func(p *play) {
			begin(p)
			n := 0
			p.faultAt(victim, func(int) WriteFault {
				if n++; n == at {
					return f
				}
				return WriteFine
			})
			story(p)
			if at == 0 {
				writes = n
			} else if n < at {
				p.t.Errorf("%s made %d writes, the fault was to come at %d", victim, n, at)
			}
		}}, seed)
	}
	once(0, WriteFine)
	if writes == 0 {
		t.Fatalf("%s wrote nothing: nothing is tested", victim)
	}
	step := 1
	if !*longFlag {
		step = writes
	}
	for f := WriteFails; f <= KilledAfterWrite; f++ {
		if !*longFlag && (int(f)+writes+int(seed))%2 == 0 {
			continue
		}
		for at := 1 + (int(f)*31+int(seed)*7)%step; at <= writes && !t.Failed(); at += step {
			once(at, f)
			if t.Failed() {
				t.Logf("%s at write %d of %d: %v", victim, at, writes, f)
			}
		}
	}
}

// faultAt lets the victim's writes fail as fault says: a device's, the server's,
// or those of devices yet to come ("new").
func (p *play) faultAt(victim string, fault func(int) WriteFault) {
	switch victim {
	case "server":
		p.Server.Fault = fault
	case "new":
		p.newFault = fault
	default:
		p.dev(victim).Disk.Fault = fault
	}
}
