//go:build evil

package evil

import (
	"context"
	"slices"
	"strings"

	"codeberg.org/huis/huis/internal/proto"
)

// Promise: nobody is in a conversation without being listed.
func init() {
	register(
		Attack{
			ID: "B-1/d", Name: "an admin is made to add somebody", Expected: Detected, Within: "at the next sync of every member",
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				mal := s.Person("mal")
				ann.Do("chat", "add", "house", "@mal")
				said := s.Secret("a text")
				ann.Do("send", "house", said)
				f := Facts{Effect: contains(mal.Do("read", "house").Texts(), said)}
				if contains(bob.Do("chat", "members", "house").Field("handle"), "mal") {
					f.Alerted = "the list of members names @mal"
				}
				return f
			},
			Without: []Edit{hidden},
		},
		Attack{
			ID: "B-2/b", Name: "somebody is fooled into approving a stranger's device", Expected: Detected, Within: "at the next sync of the contacts and of the own devices",
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				mal := bob.Further("mal")
				said := s.Secret("a text")
				ann.Do("send", "house", said)
				f := Facts{Effect: contains(mal.Do("read", "house").Texts(), said)}
				if n := len(bob.Do("devices").Objects); n != 2 && !s.Weak() {
					s.Fatal("bob's own list has %d devices", n)
				}
				if count(ann.Do("chat", "members", "house").Field("handle"), "bob") == 2 {
					f.Alerted = "the list of members shows two devices of @bob"
				}
				return f
			},
			Without: []Edit{hidden},
		},
		Attack{
			ID: "B-7/a", Name: "the server says that a member is out", Expected: Prevented,
			Play: func(s *Stage) Facts {
				_, bob, _ := s.house()
				s.Hand("begin", "bob")
				bob.Try("read", "house")
				s.Told()
				s.Common("honest", nil, nil)
				out := false
				for _, o := range bob.Do("chat", "list").Objects {
					out = out || o["chat"] == "house" && o["state"] != ""
				}
				return Facts{Effect: out}
			},
			Hands: map[string]Hand{"begin": hand(func(_ context.Context, o *Operator, door string) (any, error) {
				o.Lie(func(x *Exchange) error {
					if r, ok := x.Request.(*proto.ReadRequest); ok && x.Door == door && o.Shared(o.Conversation(r.Session)) {
						x.Answer, x.Refusal = nil, proto.Refuse(proto.NotMember)
						o.Told()
					}
					return nil
				})
				return nil, nil
			})},
			Without: []Edit{Off("internal/client/rejoin.go", "case cv.meta.State == stateLive && cv.head.Known:")},
		},
		Attack{
			ID: "B-7/b", Name: "the removal of a member is kept from one of the others", Expected: Detected, Within: "at the next message",
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				s.Person("cal")
				ann.Do("chat", "add", "house", "@cal")
				bob.Do("read", "house")
				ann.Do("chat", "remove", "house", "@cal")
				s.Hand("begin", "bob")
				ann.Do("send", "house", s.Secret("a text"))
				got := bob.Try("read", "house")
				s.Told()
				members := bob.Try("chat", "members", "house").Field("handle")
				return Facts{Effect: contains(members, "cal"), Alerted: got.Alert(), Detail: got.Stderr + strings.Join(members, " ")}
			},
			Hands: map[string]Hand{"begin": hand(func(_ context.Context, o *Operator, door string) (any, error) {
				var removal proto.Hash // the last commit there is at first
				o.Rewrite(door, func(log []proto.Stamped) ([]proto.Stamped, error) {
					at := -1
					for i := range log {
						if log[i].Entry.Kind == proto.KindCommit && (removal == proto.Hash{} || log[i].Entry.Hash() == removal) {
							at = i
						}
					}
					if at < 0 {
						return log, nil
					}
					removal = log[at].Entry.Hash()
					log = slices.Delete(log, at, at+1)
					return log, o.Restamp(log)
				})
				return nil, nil
			})},
			Without: []Edit{Off("internal/client/message.go", "if s.Entry.Epoch > cv.group.Epoch() {")},
		},
	)
}

// hidden has the list of members be something else than the tree: who came
// after the first two stands in no list.
var hidden = Edit{"internal/client/chats.go", "			d, err := t.memberInfo(cv, &m)\n", "			if m.Leaf > 1 && $W {\n				continue\n			}\n			d, err := t.memberInfo(cv, &m)\n"}

func contains(all []string, one string) bool { return slices.Contains(all, one) }

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}
