package sim

import (
	"context"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

func init() {
	scenarios = append(scenarios, scenario{name: "random", tell: random})
}

// random mixes everything an honest world does, with every fault, as the seed
// says.
func random(p *play) {
	people := []string{"ann", "bob", "cal", "dan", "eve"}
	p.people(people...)
	p.link("ann", 2)
	p.chat("ann/1", "house", "bob", "cal")
	p.chat("bob/1", "garden", "ann", "dan", "eve")
	p.rest(time.Minute)
	p.Net.Faults = Rough
	p.Server.WriteFaults = 0.01
	for _, d := range p.Devices() {
		d.WriteFaults = 0.01
	}
	steps := 25
	if p.long {
		steps = 120
	}
	for range steps {
		p.tolerate(p.chance()...)
		p.weather()
		p.rest(p.Sched.Between(0, 30*time.Second))
		for _, d := range p.Devices() {
			d.Cut = d.Cut && p.Sched.Chance(0.6)
		}
	}
}

// weather changes what surrounds the devices: a server away for a while, a wrong
// clock, another device of a person, the end of one.
func (p *play) weather() {
	r := p.Sched.Rand
	switch n := r.IntN(100); {
	case n < 4:
		p.Server.Stop()
		p.rest(p.Sched.Between(time.Minute, time.Hour))
		p.must(p.Server.Heal())
		p.Server.WriteFaults = 0.01
	case n < 10:
		// A jump in the very minute after a commit may cost a message of the
		// epoch before (protocol, section 5).
		p.rest(2 * time.Minute)
		d := p.Devices()[r.IntN(len(p.Devices()))]
		d.Clock.Skew = p.Sched.Between(-24*time.Hour, 24*time.Hour)
	case n < 14 && len(p.Devices()) < 9:
		who := []string{"bob", "cal", "dan"}[r.IntN(3)]
		if p.Device(who+"/2") == nil && !p.dev(who+"/1").Cut {
			p.link(who, 2)
			p.dev(who + "/2").WriteFaults = 0.01
		}
	case n < 16:
		d := p.Devices()[r.IntN(len(p.Devices()))]
		if strings.HasSuffix(d.Name, "/2") && !d.Gone {
			p.revoke(d)
		}
	}
}

// revoke ends a device for good, once its owner's first has done it.
func (p *play) revoke(d *Device) {
	op := p.dev(d.Handle+"/1").Tell("revoke", again(func(ctx context.Context, c *client.Client) error {
		return c.Revoke(ctx, d.id)
	}))
	p.tolerate(op)
	if op.Err == nil {
		d.Gone = true
		p.switchOff(d.Name)
	}
}

// chance starts a few things at once.
func (p *play) chance() (ops []*Op) {
	r := p.Sched.Rand
	devices := p.Devices()
	for range 1 + r.IntN(3) {
		d := devices[r.IntN(len(devices))]
		who := []string{"bob", "cal", "dan", "eve"}[r.IntN(4)]
		file := p.file(1 + r.IntN(200_000))
		admin := p.dev([]string{"ann/1", "ann/2"}[r.IntN(2)])
		if admin.Gone {
			admin = p.dev("ann/1")
		}
		switch n := r.IntN(100); {
		case d.Gone:
		case n < 35:
			ops = append(ops, p.Send(d, "house"))
		case n < 50:
			ops = append(ops, p.Send(d, "garden"))
		case n < 58:
			ops = append(ops, p.Send(d, "@ann"))
		case n < 70:
			ops = append(ops, admin.Tell("add "+who, add("house", who)))
		case n < 80:
			ops = append(ops, admin.Tell("remove "+who, remove("house", who)))
		case n < 84:
			ops = append(ops, d.Tell("leave", leave("house")))
		case n < 90:
			d.Kill()
		case n < 93:
			d.Cut = true
		case n < 96:
			ops = append(ops, d.Tell("send a file", p.sendingFile(d, "garden", p.text(d), file)))
		default:
			ops = append(ops, d.Once("send beside", p.sending(d, "house", p.text(d))))
		}
	}
	return ops
}
