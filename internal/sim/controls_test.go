package sim

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

// scenarioNamed finds a scenario.
func scenarioNamed(t *testing.T, name string) scenario {
	t.Helper()
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
	if i < 0 {
		t.Fatalf("no scenario %s", name)
	}
	return scenarios[i]
}

// TestSimRepeatsASeed is the promise that a printed seed is enough.
func TestSimRepeatsASeed(t *testing.T) {
	sc := scenarioNamed(t, "random")
	first, again := perform(t, sc, 7), perform(t, sc, 7)
	if first != again {
		t.Errorf("seed 7 gave the traces %s and %s", first, again)
	}
}

// realPlants break the evidence of a real run, one invariant each.
var realPlants = []struct {
	check string
	plant func(e *Evidence, conv ID, v *View)
}{
	{"agree", func(_ *Evidence, _ ID, v *View) { v.Authenticator = "fork" }},
	{"agree", func(_ *Evidence, _ ID, v *View) { v.Members = v.Members[1:] }},
	{"agree", func(_ *Evidence, _ ID, v *View) { v.Epoch-- }},
	{"agree", func(_ *Evidence, _ ID, v *View) { v.Active = false }},
	{"log", func(e *Evidence, c ID, _ *View) { e.Logs[c] = slices.Delete(e.Logs[c], 2, 3) }},
	{"acked", func(e *Evidence, c ID, _ *View) { e.Logs[c][len(e.Logs[c])-1].Hash[0] ^= 1 }},
	{"once", func(_ *Evidence, _ ID, v *View) {
		m := v.Messages[len(v.Messages)-1]
		m.Seq++
		v.Messages = append(v.Messages, m)
	}},
	{"order", func(_ *Evidence, _ ID, v *View) { slices.Reverse(v.Messages) }},
	{"delivered", func(_ *Evidence, _ ID, v *View) { v.Messages = v.Messages[:len(v.Messages)-1] }},
	{"author", func(_ *Evidence, _ ID, v *View) { v.Messages[0].From = "nobody" }},
	{"outside", func(e *Evidence, _ ID, _ *View) { // as if its keys had never been members
		e.Owner = maps.Clone(e.Owner)
		for mk, owner := range e.Owner {
			if owner == "bob/1" {
				e.Owner[mk] = "somebody"
			}
		}
	}},
}

func TestSimFindsPlantsInARealRun(t *testing.T) {
	p := open(t, scenario{name: "plants"}, 1)
	defer p.end(scenario{name: "plants"})
	p.people("ann", "bob")
	p.chat("ann/1", "house", "bob")
	p.say("house", "ann/1", "bob/1")
	p.say("house", "ann/1", "bob/1")
	p.must(p.Settle(time.Hour))
	for _, plant := range realPlants {
		e, err := p.Evidence()
		p.must(err)
		if v := Check(e); len(v) > 0 {
			t.Fatalf("before anything was planted: %v", v[0])
		}
		conv, v := busiest(e, "bob/1")
		if v == nil || len(v.Messages) < 3 {
			t.Fatal("bob shows no messages to plant in")
		}
		plant.plant(e, conv, v)
		if !slices.ContainsFunc(Check(e), func(v Violation) bool { return v.Check == plant.check }) {
			t.Errorf("%q missed what was planted for it; found %v", plant.check, Check(e))
		}
	}
}

// busiest is the conversation of which a device shows the most.
func busiest(e *Evidence, device string) (conv ID, view *View) {
	for _, id := range sortedIDs(e.Views[device]) {
		if v := e.Views[device][id]; view == nil || len(v.Messages) > len(view.Messages) {
			conv, view = id, v
		}
	}
	return conv, view
}

// TestSimARestoredProfileStops puts an older copy of a profile back. Its ratchet
// would repeat itself; the device finds in the log what it does not know it
// said, and stops before it seals anything.
func TestSimARestoredProfileStops(t *testing.T) {
	p := open(t, scenario{name: "restored profile"}, 1)
	defer p.end(scenario{name: "restored profile"})
	p.people("ann", "bob")
	p.chat("ann/1", "house", "bob")
	p.say("house", "ann/1", "bob/1")
	p.rest(2 * time.Minute)
	ann := p.dev("ann/1")
	old, err := ann.Disk.Copy(context.Background())
	p.must(err)
	p.say("house", "ann/1")
	p.rest(time.Minute)
	p.switchOff("ann/1")
	ann.Disk = old
	op := ann.Once("send with the old state", p.sending(ann, "house", "something else"))
	p.tolerate(op)
	var safety *client.SafetyError
	if !errors.As(op.Err, &safety) || !strings.Contains(safety.Reason, "older copy") {
		t.Errorf("a profile that fell back went on: %v", op.Err)
	}
	if found := p.Seals.Violations(); len(found) > 0 {
		t.Errorf("it used keys twice: %v", found)
	}
}
