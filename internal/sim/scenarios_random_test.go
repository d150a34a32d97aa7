package sim

import (
	"time"
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
		p.rest(p.Sched.Between(0, 30*time.Second))
		for _, d := range p.Devices() {
			d.Cut = d.Cut && p.Sched.Chance(0.6)
		}
	}
}

// chance starts a few things at once.
func (p *play) chance() (ops []*Op) {
	r := p.Sched.Rand
	devices := p.Devices()
	for range 1 + r.IntN(3) {
		d := devices[r.IntN(len(devices))]
		who := []string{"bob", "cal", "dan", "eve"}[r.IntN(4)]
		admin := p.dev([]string{"ann/1", "ann/2"}[r.IntN(2)])
		switch n := r.IntN(100); {
		case n < 50:
			ops = append(ops, p.Send(d, "house"))
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
		case n < 95:
			d.Cut = true
		default:
			ops = append(ops, d.Once("send beside", p.sending(d, "house", p.text(d))))
		}
	}
	return ops
}
