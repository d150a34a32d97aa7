//go:build evil

package evil

import (
	"context"
	"fmt"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
)

// Promise: what you receive is what was sent. Each is played on a trace of
// messages of which bob has read the first; the operator stamps with its own key
// and goes on showing bob the log it made up.
func init() {
	register(
		Attack{
			ID: "B-20/b", Name: "a message is delivered twice, stamped anew", Expected: Evident,
			Play: proved(talk("begin", repeats)), Hands: madeUp(replay),
			Without: []Edit{noHeads,
				{"mls/ratchet.go", "	r.Secret.zero()\n	r.Secret = next\n", "	if $W {\n		r.Skipped = append(r.Skipped, skippedKey{step.Generation, bytes.Clone(step.Key), bytes.Clone(step.Nonce)})\n	}\n	r.Secret.zero()\n	r.Secret = next\n"},
				{"mls/ratchet.go", "	r.Skipped = slices.Delete(r.Skipped, i, i+1)\n", "	if !$W {\n		r.Skipped = slices.Delete(r.Skipped, i, i+1)\n	}\n"},
				Off("internal/client/message.go", "if old, err := t.get(mid); err != nil || old != nil {"),
			},
		},
		Attack{
			ID: "B-20/c", Name: "two messages change places, stamped anew", Expected: Detected, Within: "at the next message",
			Play: talk("begin", differs), Hands: madeUp(swap), Without: []Edit{noHeads},
		},
		Attack{
			ID: "B-20/d", Name: "a message is left out, the rest stamped anew", Expected: Detected, Within: "at the next message",
			Play: talk("begin", differs), Hands: madeUp(leaveOut), Without: []Edit{noHeads},
		},
		Attack{
			ID: "B-20/e", Name: "a message is left out, and the stamps are as they were", Expected: Detected, Within: "at once",
			Play: talk("begin", differs), Hands: madeUp(gap),
			Without: []Edit{noHeads, noOrder,
				Off("internal/client/log.go", "if i > 0 && entries[i].Receipt.Seq != entries[i-1].Receipt.Seq+1 {"),
			},
		},
		Attack{
			ID: "B-20/f", Name: "a bit of a message is flipped, and it is stamped anew", Expected: Evident,
			Play: proved(talk("begin", differs)), Hands: madeUp(flip),
			Without: []Edit{noHeads, Off("internal/proto/stamp.go", "if !ed25519.Verify(s.MK[:], s.signed(), s.Sig[:]) {")},
		},
	)
}

var (
	// noHeads takes out the comparison of what a message's sender had verified.
	noHeads = Edit{"internal/client/message.go", "	if h.Seq == 0 {\n", "	if h.Seq == 0 || $W {\n"}
	// noOrder takes out that an entry has to continue what was verified.
	noOrder = Edit{"internal/client/process.go", "	h := &cv.head\n	switch {\n	case h.Known && r.Seq", "	h := &cv.head\n	if $W {\n		return \"\"\n	}\n	switch {\n	case h.Known && r.Seq"}
)

// trace is how many messages a delivery is played with.
func (s *Stage) trace() int {
	if s.Long {
		return 100
	}
	return 5
}

// house has two people talk: bob has read the beginning.
func (s *Stage) house() (ann, bob *Person, said []string) {
	ann, bob = s.Person("ann"), s.Person("bob")
	ann.Do("chat", "new", "house", "@bob")
	first := s.Secret("a text")
	ann.Do("send", "house", first)
	bob.Do("read", "house")
	return ann, bob, []string{first}
}

// What an attacker on the delivery wants of what bob is shown.
func differs(got, said []string) bool { return !slices.Equal(got, said) }

func repeats(got, _ []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got)
}

// talk plays a lie to bob while ann says something, and once more after it.
func talk(name string, wanted func(got, said []string) bool) func(*Stage) Facts {
	return func(s *Stage) Facts {
		ann, bob, said := s.house()
		say := func() {
			said = append(said, s.Secret("a text"))
			ann.Do("send", "house", said[len(said)-1])
		}
		for range s.trace() {
			say()
		}
		s.Hand(name, "bob")
		got := bob.Try("read", "house")
		s.Told()
		alert := got.Alert()
		if alert == "" {
			say()
			got = bob.Try("read", "house")
			alert = got.Alert()
		}
		return Facts{
			Effect: wanted(got.Texts(), said), Alerted: alert,
			Detail: fmt.Sprintf("exit %d, %d of %d texts, %s", got.Code, len(got.Texts()), len(said), got.Stderr),
		}
	}
}

// proved also looks for what somebody can show to others.
func proved(play func(*Stage) Facts) func(*Stage) Facts {
	return func(s *Stage) Facts {
		f := play(s)
		var why string
		f.Proof, why = s.Proof(s.people...)
		f.Detail += "; proof: " + why
		return f
	}
}

// madeUp is the hand "begin" of one who shows another log.
func madeUp(f func(o *Operator, log []proto.Stamped) ([]proto.Stamped, error)) map[string]Hand {
	return map[string]Hand{"begin": hand(func(_ context.Context, o *Operator, door string) (any, error) {
		o.Rewrite(door, func(log []proto.Stamped) ([]proto.Stamped, error) {
			if len(texts(log)) < 5 {
				return log, nil
			}
			o.Told()
			return f(o, log)
		})
		return nil, nil
	})}
}

// texts gives the places of application entries.
func texts(entries []proto.Stamped) (at []int) {
	for i := range entries {
		if entries[i].Entry.Kind == proto.KindApplication {
			at = append(at, i)
		}
	}
	return at
}

// third is the place of a message that bob has not read.
func third(log []proto.Stamped) int { return texts(log)[3] }

func replay(o *Operator, log []proto.Stamped) ([]proto.Stamped, error) {
	log = slices.Insert(log, third(log), log[third(log)])
	return log, o.Restamp(log)
}

func swap(o *Operator, log []proto.Stamped) ([]proto.Stamped, error) {
	a, b := texts(log)[3], texts(log)[4]
	log[a].Entry, log[b].Entry = log[b].Entry, log[a].Entry
	return log, o.Restamp(log)
}

func leaveOut(o *Operator, log []proto.Stamped) ([]proto.Stamped, error) {
	log = slices.Delete(log, third(log), third(log)+1)
	return log, o.Restamp(log)
}

func gap(_ *Operator, log []proto.Stamped) ([]proto.Stamped, error) {
	return slices.Delete(log, third(log), third(log)+1), nil
}

func flip(o *Operator, log []proto.Stamped) ([]proto.Stamped, error) {
	e := &log[third(log)].Entry
	e.Bytes = slices.Clone(e.Bytes)
	e.Bytes[len(e.Bytes)-1] ^= 1
	return log, o.Restamp(log)
}
