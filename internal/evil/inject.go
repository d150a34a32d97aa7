//go:build evil

package evil

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// Promise: what you receive is what was sent, and who was shown something else
// can prove it.
func init() {
	register(
		Attack{
			ID: "B-20/a", Name: "a message of the operator's own", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				lie := s.Secret("a text")
				s.Hand("begin", lie)
				got := bob.Try("read", "house")
				s.Told()
				if got.Alert() == "" {
					ann.Try("send", "house", s.Secret("a text"))
					got = bob.Try("read", "house")
				}
				return Facts{Effect: contains(got.Texts(), lie), Alerted: got.Alert(), Detail: got.Error()}
			},
			Hands: map[string]Hand{"begin": hand(inject)},
			Without: []Edit{noHeads, {"internal/client/message.go", "	if err != nil {\n		return t.unread(cv, s, err)\n	}\n	t.delta(cv, p.Delta)\n", `	if err != nil && $W {
		m := cv.group.Members()[0]
		who, _ := memberOf(&m.Credential)
		shown := content.New(content.Text, t.c.now())
		shown.Body = string(s.Entry.Bytes[len(s.Entry.Bytes)-26:])
		e := content.Envelope{}
		e.Content, _ = shown.Encode()
		r := messageRecord{From: who, Leaf: m.Leaf, Epoch: s.Entry.Epoch, M: m.SignatureKey, Envelope: e.Kept()}
		return t.putMessage(cv.id, s.Receipt.Seq, s.Receipt.Minute, shown, &r)
	}
	if err != nil {
		return t.unread(cv, s, err)
	}
	t.delta(cv, p.Delta)
`}},
		},
		Attack{
			ID: "B-20/g", Name: "two members are shown two versions of their conversation", Expected: Evident,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				cal := s.Person("cal")
				ann.Do("chat", "add", "house", "@cal")
				for _, p := range []*Person{cal, bob, ann, cal} { // keys are replaced, receipts go
					p.Do("read", "house")
				}
				s.Hand("hide", "cal") // so that ann's and cal's words cross
				x, y := s.Secret("a text"), s.Secret("a text")
				ann.Do("send", "house", x)
				cal.Do("send", "house", y)
				s.Common("honest", nil, nil)
				s.Hand("begin", []string{"bob"})
				shown := bob.Try("read", "house")
				s.Told()
				f := Facts{Effect: before(shown.Texts(), y, x), Alerted: shown.Alert(), Detail: shown.Stderr}
				for range 3 { // words pass between them
					for _, p := range []*Person{ann, bob, cal} {
						f.Alerted += p.Try("send", "house", s.Secret("a text")).Alert()
						p.Try("status")
					}
				}
				var why string
				f.Proof, why = s.ProofOf(evidence.KindStampConflict, ann, bob, cal)
				f.Detail += " " + why
				return f
			},
			Hands: map[string]Hand{"hide": hand(hideNew), "begin": hand(crossed)}, Without: []Edit{noHeads},
		},
		Attack{
			ID: "B-20/h", Name: "the newest messages are kept from somebody for ever", Expected: Residual, Gains: "availability",
			Play: func(s *Stage) Facts {
				ann, bob, said := s.house()
				bob.Do("read", "house")
				s.Hand("begin", "bob")
				bob.Do("read", "house") // from here on nothing more comes
				late := s.Secret("a text")
				ann.Do("send", "house", late)
				got := bob.Try("read", "house")
				s.Told()
				if !contains(got.Texts(), said[0]) {
					s.Fatal("bob does not have what was not kept from him: %s", got.Stderr)
				}
				return Facts{Effect: !contains(got.Texts(), late), Alerted: got.Alert(), Detail: got.Error()}
			},
			Hands: map[string]Hand{"begin": hand(hideNew)},
		},
	)
}

// hideNew shows somebody nothing that comes after what there is at their next
// look.
func hideNew(_ context.Context, o *Operator, door string) (any, error) {
	end := make(map[proto.ConversationID]int)
	o.Rewrite(door, func(log []proto.Stamped) ([]proto.Stamped, error) {
		id := log[0].Entry.Conversation
		if _, known := end[id]; !known {
			end[id] = len(log)
		}
		return log[:min(end[id], len(log))], nil
	})
	return nil, nil
}

// crossed shows bob the last two messages in the other order, stamped anew.
func crossed(_ context.Context, o *Operator, _ []string) (any, error) {
	var last proto.Hash
	o.Rewrite("bob", func(log []proto.Stamped) ([]proto.Stamped, error) {
		at := texts(log)
		for n := len(at) - 1; n > 0; n-- {
			a, b := &log[at[n-1]].Entry, &log[at[n]].Entry
			if a.MK != b.MK && (last == proto.Hash{} || b.Hash() == last) {
				last = b.Hash()
				*a, *b = *b, *a
				o.Told()
				break
			}
		}
		return log, o.Restamp(log)
	})
	return nil, nil
}

// before tells whether both stand there, the first one first.
func before(all []string, first, second string) bool {
	a, b := slices.Index(all, first), slices.Index(all, second)
	return a >= 0 && b >= 0 && a < b
}

// inject shows bob an entry that no member made, well stamped, and signed by a
// key of the operator's.
func inject(_ context.Context, o *Operator, text string) (any, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	at := 0
	o.Rewrite("bob", func(log []proto.Stamped) ([]proto.Stamped, error) {
		if at == 0 {
			at = len(log)
		}
		e := proto.Entry{Kind: proto.KindApplication, Conversation: log[0].Entry.Conversation, Epoch: log[at-1].Entry.Epoch}
		e.Bytes = privateMessage(e.Conversation[:], e.Epoch, text)
		if err := e.Sign(key); err != nil {
			return nil, err
		}
		log = slices.Insert(log, at, proto.Stamped{Entry: e, Receipt: log[at-1].Receipt})
		return log, o.Restamp(log)
	})
	return nil, nil
}

// privateMessage is a well-formed PrivateMessage that no member sealed.
func privateMessage(group []byte, epoch uint64, text string) []byte {
	aad := proto.AppAAD{Tag: proto.Hash{1}}
	tag := wire.MustEncode(aad.Wire)
	senderData, ciphertext := make([]byte, 28), append(make([]byte, 300), text...)
	return wire.MustEncode(func(c *wire.Codec) {
		version, format, kind := uint16(1), uint16(2), proto.ContentApplication
		wire.Uint16(c, &version)
		wire.Uint16(c, &format)
		wire.Opaque(c, &group)
		wire.Uint64(c, &epoch)
		wire.Uint8(c, &kind)
		wire.Opaque(c, &tag)
		wire.Opaque(c, &senderData)
		wire.Opaque(c, &ciphertext)
	})
}

// judge is B-41: of all that was played, nothing gives an operator what is said
// without anybody being told. rows are those of the other attacks.
func judge(rows []Row) Facts {
	var silent []string
	for _, r := range rows {
		a, err := find(r.ID)
		if err != nil || a.Gains != "" {
			continue
		}
		if r.Outcome == Succeeded || r.Outcome == Residual {
			silent = append(silent, r.ID)
		}
	}
	return Facts{Effect: len(silent) > 0, Detail: fmt.Sprint(silent)}
}

func init() {
	register(Attack{
		ID: "B-41", Name: "of all of these, one that gives what is said and that nobody is told of", Expected: Prevented,
		Judge:   judge,
		Control: "the same question about the rows with their defences off finds some",
	})
}
