package sim

import (
	"context"
	"fmt"
	"math/bits"
	"time"
	_ "unsafe" // for linkname

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/mls"
)

// spoilPath makes commits of the modified client: see package mls.
//
//go:linkname spoilPath codeberg.org/huis/huis/mls.spoilPath
var spoilPath func(recipient uint32, ct *mls.HPKECiphertext)

func init() {
	scenarios = append(scenarios, []scenario{
		// Some cannot process an insider's commit: those who can add them again.
		{name: "bad-commit-for-some", tell: func(p *play) {
			p.helpExpected = true
			p.people("mal", "ann", "bob", "cal")
			p.chat("mal/1", "house", "ann", "bob", "cal")
			p.say("house", "mal/1", "ann/1", "bob/1", "cal/1")
			p.spoil("mal/1", 2)
			p.must(p.Do(p.dev("mal/1"), "bad commit", expire("house", 90*24*time.Hour)))
			p.honest()
			p.rest(8 * time.Minute) // healed before anybody may re-form
			if n := p.pleas(proto.NoticeBroken); n != 2 {
				p.t.Errorf("%d devices said broken, two of four were", n)
			}
			p.oneConversation()
			p.say("house", "ann/1", "bob/1", "cal/1")
		}},

		// Nobody can process it: after ten minutes the others go on without.
		{name: "bad-commit-for-all", tell: func(p *play) {
			p.helpExpected = true
			p.people("mal", "ann", "bob", "cal")
			p.chat("mal/1", "house", "ann", "bob", "cal")
			p.say("house", "mal/1", "ann/1", "bob/1", "cal/1")
			p.spoil("mal/1", 1)
			p.must(p.Do(p.dev("mal/1"), "bad commit", expire("house", 90*24*time.Hour)))
			p.vanish("mal/1")
			p.rest(5 * time.Minute)
			waiting := []*Op{p.Send(p.dev("ann/1"), "house")} // while nobody can
			p.rest(20 * time.Minute)
			p.tolerate(waiting...)
			p.succeeded("ann/1", "bob/1", "cal/1")
			p.say("house", "ann/1", "bob/1", "cal/1")
		}},

		// One was away when it happened and follows the others.
		{name: "reform-while-away", tell: func(p *play) {
			p.helpExpected = true
			p.people("mal", "ann", "bob", "cal")
			p.chat("mal/1", "house", "ann", "bob", "cal")
			p.spoil("mal/1", 1)
			p.dev("cal/1").Cut = true
			p.must(p.Do(p.dev("mal/1"), "bad commit", expire("house", 90*24*time.Hour)))
			p.vanish("mal/1")
			p.rest(30 * time.Minute)
			p.dev("cal/1").Cut = false
			p.rest(5 * time.Minute)
			p.succeeded("ann/1", "bob/1", "cal/1")
			p.say("house", "ann/1", "bob/1", "cal/1")
		}},

		// Many leave at once; everybody else wants to take them out.
		{name: "storm-of-leaving", tell: func(p *play) {
			people := []string{"ann", "bob", "cal", "dan", "eve", "fay", "gus", "hal"}
			p.people(people...)
			p.chat("ann/1", "house", people[1:]...)
			p.say("house", "ann/1", "hal/1")
			var ops []*Op
			for _, h := range people[4:] {
				ops = append(ops, p.dev(h+"/1").Tell("leave", leave("house")))
			}
			ops = append(ops, p.Send(p.dev("ann/1"), "house"), p.Send(p.dev("bob/1"), "house"))
			p.must(p.Wait(ops...))
			p.rest(5 * time.Minute)
			p.say("house", "ann/1", "bob/1", "cal/1", "dan/1")
		}},

		// Several devices of an admin and others commit at once.
		{name: "storm-of-commits", tell: func(p *play) {
			people := []string{"ann", "bob", "cal", "dan", "eve", "fay", "gus", "hal"}
			p.people(people...)
			p.link("ann", 2)
			p.link("ann", 3)
			p.chat("ann/1", "house", "bob", "cal", "dan")
			p.must(p.Wait(
				p.dev("ann/1").Tell("add eve", add("house", "eve")),
				p.dev("ann/2").Tell("add fay", add("house", "fay")),
				p.dev("ann/3").Tell("remove bob", remove("house", "bob")),
				p.dev("cal/1").Tell("leave", leave("house")),
				p.Send(p.dev("dan/1"), "house"),
			))
			p.must(p.Wait(
				p.dev("ann/3").Tell("add gus", add("house", "gus")),
				p.dev("ann/1").Tell("remove fay", remove("house", "fay")),
				p.dev("ann/2").Tell("add hal", add("house", "hal")),
				p.Send(p.dev("dan/1"), "house"),
			))
			p.rest(2 * time.Minute)
			p.say("house", "ann/1", "ann/2", "ann/3", "dan/1", "eve/1", "gus/1", "hal/1")
		}},

		// A second device, and its end.
		{name: "link-and-revoke", tell: func(p *play) {
			p.people("ann", "bob")
			p.chat("ann/1", "house", "bob")
			p.say("house", "ann/1", "bob/1")
			p.link("bob", 2)
			p.rest(time.Minute)
			p.say("house", "ann/1", "bob/1", "bob/2")
			p.say("@ann", "bob/2")
			gone := p.dev("bob/2")
			p.must(p.Do(p.dev("bob/1"), "revoke", func(ctx context.Context, c *client.Client) error { return c.Revoke(ctx, gone.id) }))
			p.rest(2 * time.Minute)
			p.say("house", "ann/1", "bob/1")
			gone.Gone = true
		}},
	}...)
}

func expire(chat string, after time.Duration) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error { return c.SetExpiry(ctx, chat, after) }
}

// spoil makes what insider seals for the leaves from first on useless, from now
// on. The insider made the chat and sits at leaf 0.
func (p *play) spoil(insider string, first uint32) {
	p.t.Helper()
	spoilPath = func(recipient uint32, ct *mls.HPKECiphertext) {
		if p.actor() == insider && lastLeaf(recipient) >= first {
			ct.Ciphertext[0] ^= 1
		}
	}
	p.t.Cleanup(p.honest)
}

// lastLeaf is the rightmost leaf below a node (RFC 9420, Appendix C).
func lastLeaf(node uint32) uint32 {
	level := bits.TrailingZeros32(^node)
	return (node + 1<<level - 1) / 2
}

// vanish switches an insider off before it can heal what it did.
func (p *play) vanish(insider string) {
	p.t.Helper()
	p.honest()
	p.insiders[insider] = true
	p.dev(insider).Gone = true
	p.switchOff(insider)
}

// honest ends spoil.
func (p *play) honest() { spoilPath = nil }

// oneConversation fails if anybody re-formed.
func (p *play) oneConversation() {
	p.t.Helper()
	if n := len(p.Net.seen.logs) - p.ownDevices(); n != 1 {
		p.t.Errorf("there are %d conversations, one was to be healed", n)
	}
}

// ownDevices counts the conversations among devices of one person.
func (p *play) ownDevices() (n int) {
	for _, log := range p.Net.seen.logs {
		handles := make(map[string]bool)
		for _, en := range log {
			for _, mk := range en.Adds {
				if d := p.Device(p.Net.seen.owner[mk]); d != nil {
					handles[d.Handle] = true
				}
			}
		}
		if len(handles) == 1 {
			n++
		}
	}
	return n
}

// succeeded fails unless all these devices are in one successor.
func (p *play) succeeded(devices ...string) {
	p.t.Helper()
	where := make(map[string]string)
	for _, name := range devices {
		p.must(p.Do(p.dev(name), "look", func(ctx context.Context, c *client.Client) error {
			held, err := c.Inspect(ctx)
			at := make(map[proto.ConversationID]client.Inspection)
			for _, h := range held {
				at[h.Conversation] = h
			}
			for _, h := range held {
				if next, ok := at[h.Successor]; ok && next.State == "" {
					where[name] = fmt.Sprintf("%s in epoch %d", next.Conversation.Hex(), next.Epoch)
				}
			}
			return err
		}))
	}
	for _, name := range devices {
		if where[name] == "" || where[name] != where[devices[0]] {
			p.t.Errorf("after the re-forming %s is in %q, %s in %q", name, where[name], devices[0], where[devices[0]])
		}
	}
}

// link gives a person another device, approved by the first.
func (p *play) link(handle string, n int) {
	p.t.Helper()
	_, err := p.Link(handle, n)
	p.must(err)
}
