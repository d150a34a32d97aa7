package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

func init() {
	scenarios = append(scenarios, []scenario{
		// The server dies at writes, and its disk fails.
		{name: "server-crashes", tell: func(p *play) {
			p.people("ann", "bob", "cal")
			p.Server.WriteFaults = 0.3
			p.tolerate(p.dev("ann/1").Tell("new chat", again(newChat("house", "bob", "cal"))))
			for range 8 {
				p.tolerate(p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house"), p.Send(p.dev("cal/1"), "house"))
				p.rest(20 * time.Second)
			}
			if p.Server.Crashes == 0 {
				p.t.Error("the server never died: nothing was tested")
			}
		}},

		// Devices die at writes, and their disks fail.
		{name: "device-crashes", tell: func(p *play) {
			p.people("ann", "bob", "cal", "dan")
			p.chat("ann/1", "house", "bob", "cal")
			for _, d := range p.Devices() {
				d.WriteFaults = 0.12
			}
			for i := range 10 {
				ops := []*Op{p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house"), p.Send(p.dev("cal/1"), "house")}
				if i%2 == 0 {
					ops = append(ops, p.dev("ann/1").Tell("add dan", add("house", "dan")))
				} else {
					ops = append(ops, p.dev("ann/1").Tell("remove dan", remove("house", "dan")))
				}
				p.tolerate(ops...)
				p.rest(time.Minute)
			}
			crashes := 0
			for _, d := range p.Devices() {
				crashes += d.crashes
			}
			if crashes == 0 {
				p.t.Error("no device ever died: nothing was tested")
			}
		}},

		// kill -9 at any moment, in the middle of requests.
		{name: "killed-at-any-moment", tell: func(p *play) {
			p.people("ann", "bob", "cal")
			p.chat("ann/1", "house", "bob", "cal")
			for range 12 {
				ops := []*Op{p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house")}
				p.rest(p.Sched.Between(0, 200*time.Millisecond))
				p.dev([]string{"ann/1", "bob/1", "cal/1"}[p.Sched.Rand.IntN(3)]).Kill()
				p.tolerate(ops...)
			}
		}},

		// Off for longer than entries live: gone, rejoin.
		{name: "away-longer-than-retention", tell: func(p *play) {
			p.helpExpected = true
			p.people("ann", "bob", "cal")
			p.chat("ann/1", "house", "bob", "cal")
			p.say("house", "ann/1", "bob/1", "cal/1")
			p.rest(time.Minute)
			p.switchOff("cal/1")
			p.idle(6*time.Hour, 12*time.Hour)
			for range 5 {
				p.say("house", "ann/1", "bob/1")
				p.rest(8 * 24 * time.Hour)
			}
			p.busy()
			p.switchOn("cal/1")
			p.rest(15 * time.Minute)
			if p.pleas(proto.NoticeRejoin) == 0 {
				p.t.Error("cal asked nobody to be added again")
			}
			p.say("house", "ann/1", "cal/1", "bob/1")
		}},

		// A message is taken after the commit that ended its epoch, when a member
		// has read that commit and goes off for a day: it reads it then.
		{name: "away-within-the-window", tell: func(p *play) {
			p.people("ann", "bob", "cal", "dan")
			p.chat("ann/1", "house", "bob", "cal")
			p.rest(5 * time.Minute)
			sealed := false
			p.Net.Slow = func(device string, m proto.Method) time.Duration {
				if device == "bob/1" && m == proto.Append {
					sealed = true
					return 20 * time.Second
				}
				return 0
			}
			late := p.Send(p.dev("bob/1"), "house")
			for !sealed && !late.Done {
				p.rest(time.Second)
			}
			p.must(p.Do(p.dev("ann/1"), "add dan", add("house", "dan")))
			p.must(p.Do(p.dev("cal/1"), "sync", func(ctx context.Context, c *client.Client) error { return c.Sync(ctx) }))
			p.switchOff("cal/1")
			p.must(p.Wait(late))
			p.Net.Slow = nil
			if log := p.Net.seen.log(ID(p.conversation("ann/1", "house"))); !slices.ContainsFunc(log, func(en Entry) bool {
				return en.Kind == kindApplication && en.Epoch < epochAt(log, en.Seq)
			}) {
				p.t.Error("no message came after the end of its epoch: nothing is tested")
			}
			p.idle(time.Hour, 2*time.Hour)
			p.rest(24 * time.Hour)
			p.busy()
			p.switchOn("cal/1")
			p.rest(time.Minute)
			p.say("house", "ann/1", "cal/1", "dan/1")
		}},

		// Clean-up of the log while everybody keeps up.
		{name: "retention-while-present", tell: func(p *play) {
			p.people("ann", "bob")
			p.chat("ann/1", "house", "bob")
			p.idle(6*time.Hour, 12*time.Hour)
			for range 5 {
				p.say("house", "ann/1", "bob/1")
				p.rest(9 * 24 * time.Hour)
			}
			p.busy()
			p.say("house", "ann/1", "bob/1")
		}},
	}...)
	for _, skew := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		scenarios = append(scenarios, scenario{name: fmt.Sprintf("clock-wrong-by-%v", skew), tell: func(p *play) { wrongClock(p, skew) }})
	}
}

func wrongClock(p *play, skew time.Duration) {
	p.people("ann", "bob", "cal")
	p.chat("ann/1", "house", "bob")
	p.dev("bob/1").Clock.Skew = skew // set wrong while it runs
	p.say("house", "ann/1", "bob/1")
	p.dev("bob/1").Kill()
	p.rest(time.Minute)
	p.say("house", "ann/1", "bob/1")
	p.must(p.Do(p.dev("ann/1"), "add cal", add("house", "cal")))
	p.rest(time.Minute)
	p.say("house", "ann/1", "bob/1", "cal/1")
	p.must(p.Do(p.dev("bob/1"), "new chat", newChat("wrong", "ann", "cal"))) // it commits by its clock
	p.rest(time.Minute)
	p.say("wrong", "ann/1", "bob/1", "cal/1")
	p.dev("bob/1").Clock.Skew = 0 // set right again
	p.say("house", "ann/1", "bob/1", "cal/1")
}

// again repeats an operation while the server is in trouble.
func again(do func(context.Context, *client.Client) error) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) (err error) {
		for range 30 {
			if err = do(ctx, c); err == nil {
				return nil
			}
			_ = c.Sync(ctx)
		}
		return err
	}
}

// epochAt is the epoch a log is in before an entry.
func epochAt(log []Entry, seq uint64) (epoch uint64) {
	for _, en := range log {
		if en.Seq >= seq {
			break
		}
		if epoch = max(epoch, en.Epoch); en.Kind == kindCommit {
			epoch = en.Epoch + 1
		}
	}
	return epoch
}

func (p *play) switchOff(name string) {
	d := p.dev(name)
	d.Off = true
	d.Kill()
	p.rest(time.Minute)
}

func (p *play) switchOn(name string) {
	d := p.dev(name)
	d.Off = false
	d.start()
}

// idle makes all devices synchronise rarely, so that weeks can pass.
func (p *play) idle(lo, hi time.Duration) {
	for _, d := range p.Devices() {
		d.SyncMin, d.SyncMax = lo, hi
	}
}

func (p *play) busy() {
	p.idle(2*time.Second, 20*time.Second)
	for _, d := range p.Devices() {
		d.Kill() // out of its long pause
	}
	p.rest(2 * time.Minute)
}
