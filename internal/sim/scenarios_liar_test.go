package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
)

func init() {
	for _, c := range []struct {
		name   string
		lie    func(*Liar, *proto.ReadResponse)
		forged bool // it can be proved to others at once that nobody signed what was stamped
	}{
		{"drops-an-entry", LieDrop, false},
		{"swaps-entries", LieSwap, false},
		{"replays-an-entry", LieReplay, false},
		{"alters-an-entry", LieAlter, false},
		{"alters-and-stamps-an-entry", LieRestamp, true},
		{"damages-a-signature", LieDamage, false},
		{"stamps-what-nobody-signed", LieUnsigned, true},
		{"attributes-to-another", LieAttribute, true},
		{"rolls-back", LieRollBack, false},
	} {
		scenarios = append(scenarios, scenario{name: "liar-" + c.name, tell: func(p *play) {
			p.lied(c.lie)
			if got := p.proves("cal/1", evidence.KindStampForged); got != c.forged {
				p.t.Errorf("proof of what nobody signed: %v", got)
			}
		}})
	}
}

// proves tells whether a device kept a file of that kind that convinces others.
func (p *play) proves(name, kind string) bool {
	for place, file := range p.proofs {
		f, err := evidence.Verify(file)
		if strings.HasPrefix(place, name+"/") && err == nil && f.Kind == kind && f.Log.Name == origin {
			return true
		}
	}
	return false
}

// lied tells one device the lie while it catches up with six entries. It has to
// stop there, keep the proof, show nothing it could not verify, send nothing
// more into that conversation, and go on elsewhere.
func (p *play) lied(lie func(*Liar, *proto.ReadResponse)) {
	p.lies = true
	p.people("ann", "bob", "cal")
	p.chat("ann/1", "house", "bob", "cal")
	p.chat("cal/1", "garden", "ann")
	p.say("house", "ann/1", "bob/1", "cal/1")
	p.rest(time.Minute)
	p.dev("cal/1").Cut = true
	p.rest(time.Minute)
	for range 3 {
		p.say("house", "ann/1", "bob/1")
	}
	p.rest(time.Minute)
	liar, err := p.NewLiar("cal/1", p.conversation("ann/1", "house"), lie)
	p.must(err)
	p.dev("cal/1").Kill() // the next process opens its sessions with the liar
	p.dev("cal/1").Cut = false
	p.rest(2 * time.Minute)
	if liar.Told == 0 {
		p.t.Fatal("the liar told no lie")
	}
	p.refused("cal/1", "house")
	p.must(p.Do(p.dev("cal/1"), "elsewhere", func(ctx context.Context, c *client.Client) error {
		_, err := c.Send(ctx, "garden", client.Draft{Text: "the other conversation works"})
		return err
	}))
	for _, name := range []string{"ann/1", "bob/1"} {
		if s := p.dev(name).Safety; len(s) > 0 {
			p.t.Errorf("%s was told the truth and stopped: %v", name, s[0])
		}
	}
	p.onlyTruth("cal/1")
}

// refused fails unless the device stopped for safety, with proof and a way out,
// and sends nothing more into the chat.
func (p *play) refused(name, chat string) {
	p.t.Helper()
	d := p.dev(name)
	if len(d.Safety) == 0 {
		p.t.Fatalf("%s noticed nothing", name)
	}
	first := d.Safety[0]
	if first.Reason == "" || first.Fix == "" || first.Evidence == "" {
		p.t.Errorf("%s stopped without reason, way out or proof: %+v", name, first)
	}
	if len(p.proofs) == 0 {
		p.t.Errorf("%s kept no evidence file", name)
	}
	before := p.Net.seen.entries()
	op := d.Tell("send after the lie", func(ctx context.Context, c *client.Client) error {
		_, err := c.Send(ctx, chat, client.Draft{Text: "must not leave"})
		return err
	})
	p.tolerate(op)
	if op.Err == nil || p.Net.seen.entries() != before {
		p.t.Errorf("%s went on writing into a conversation it stopped: %v", name, op.Err)
	}
}

// onlyTruth fails if a device shows a message that is not at that place of the
// honest log, or shows one twice.
func (p *play) onlyTruth(name string) {
	p.t.Helper()
	p.must(p.Server.Gather())
	views, err := p.views(p.dev(name))
	p.must(err)
	for conv, v := range views {
		var seen []string
		for _, m := range v.Messages {
			en, ok := p.Net.seen.logs[conv][m.Seq]
			if !ok || p.Net.seen.owner[en.MK] != m.From || slices.Contains(seen, m.ID) {
				p.t.Errorf("%s shows %q from %s at %d", name, m.Body, m.From, m.Seq)
			}
			seen = append(seen, m.ID)
		}
	}
}

// conversation is the id of a chat as a device knows it.
func (p *play) conversation(name, chat string) (id proto.ConversationID) {
	p.t.Helper()
	p.must(p.Do(p.dev(name), "look up "+chat, func(ctx context.Context, c *client.Client) error {
		held, err := c.Inspect(ctx)
		for _, h := range held {
			if h.Chat == chat && h.State == "" {
				id = h.Conversation
			}
		}
		if err == nil && id == (proto.ConversationID{}) {
			err = fmt.Errorf("no chat %s", chat)
		}
		return err
	}))
	return id
}
