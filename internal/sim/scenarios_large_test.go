package sim

import (
	"fmt"
	"time"
)

func init() {
	scenarios = append(scenarios, scenario{name: "fifty", long: true, tell: fifty})
}

// fifty is the group of fifty: several devices of its admin add and remove at
// once, others leave and write, and it ends in one epoch for all.
func fifty(p *play) {
	people := make([]string, 56)
	for i := range people {
		people[i] = fmt.Sprintf("p%02d", i)
	}
	p.people(people...)
	admin := people[0]
	p.link(admin, 2)
	p.link(admin, 3)
	p.idle(30*time.Second, 2*time.Minute)
	p.chat(admin+"/1", "house", people[1:49]...)
	p.rest(5 * time.Minute)
	p.say("house", admin+"/1", "p01/1", "p20/1", "p48/1")
	p.must(p.Wait(
		p.dev(admin+"/1").Tell("add", add("house", people[49:53]...)),
		p.dev(admin+"/2").Tell("remove", remove("house", people[1:5]...)),
		p.dev(admin+"/3").Tell("add", add("house", people[53:]...)),
		p.dev("p10/1").Tell("leave", leave("house")),
		p.dev("p11/1").Tell("leave", leave("house")),
		p.dev("p12/1").Tell("leave", leave("house")),
		p.Send(p.dev("p20/1"), "house"), p.Send(p.dev("p30/1"), "house"), p.Send(p.dev("p40/1"), "house"),
	))
	p.rest(10 * time.Minute)
	p.say("house", admin+"/1", admin+"/2", admin+"/3", "p20/1", "p49/1", "p55/1")
}
