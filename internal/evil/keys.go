//go:build evil

package evil

import (
	"context"
	"errors"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Promise: nobody can swap a contact's key unseen. The operator wants ann to
// seal a conversation to a device of its own that passes for bob's.
func init() {
	register(
		Attack{
			ID: "B-2/a", Name: "a device the owner never signed is written into account, log and map", Expected: Prevented,
			Play: func(s *Stage) Facts { return s.meet("unsigned") },
			Hands: map[string]Hand{"caught": caught, "begin": hand(func(ctx context.Context, o *Operator, account string) (any, error) {
				a, err := accountID(account)
				if err != nil {
					return nil, err
				}
				r, err := newRogue(a, kt.DeviceID{})
				if err != nil {
					return nil, err
				}
				e, err := r.enrolment()
				if err != nil {
					return nil, err
				}
				err = o.PutLink(ctx, a, func(c kt.Chain) ([]byte, error) {
					link, err := c.AddDevice(time.Now(), kt.DeviceSigner(c.Live()[0].ID, r.chain), e)
					if bad := (*kt.InvalidError)(nil); err != nil && (!errors.As(err, &bad) || bad.Rule != "signature") {
						return nil, err
					}
					return link, nil // wrong by its signature alone
				})
				if err != nil {
					return nil, err
				}
				return nil, o.Lure(r)
			})},
			Without: []Edit{Off("kt/chain.go", "if !ed25519.Verify(key, l.signed(), l.Signature[:]) {")},
		},
		Attack{
			ID: "B-3/a", Name: "at first contact, a key package with a key of the operator's", Expected: Prevented,
			Play: func(s *Stage) Facts { return s.meet("unlogged") },
			Hands: map[string]Hand{"caught": caught, "begin": hand(func(ctx context.Context, o *Operator, account string) (any, error) {
				a, err := accountID(account)
				if err != nil {
					return nil, err
				}
				device, err := o.deviceOf(a)
				if err != nil {
					return nil, err
				}
				r, err := newRogue(a, device)
				if err != nil {
					return nil, err
				}
				return nil, o.Lure(r)
			})},
			Without: []Edit{Off("internal/client/vet.go", "if chain.Leaf(kt.DeviceID(who.Device), kt.MessagePublicKey(kp.LeafNode.SignatureKey), now) != kt.Proven {")},
		},
		Attack{
			ID: "B-3/c", Name: "at first contact, a name leads to another person's account", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, mal := s.Person("ann"), s.Person("bob"), s.Person("mal")
				s.Hand("begin", []string{bob.Account, mal.Account})
				said := s.Secret("a text")
				tried := ann.Try("chat", "new", "house", "@bob")
				s.Told()
				ann.Try("send", "house", said)
				got := mal.Try("read", "house")
				return Facts{Effect: contains(got.Texts(), said), Alerted: tried.Alert(), Detail: tried.Error()}
			},
			Hands: map[string]Hand{"begin": hand(func(_ context.Context, o *Operator, pair []string) (any, error) {
				from, err := accountID(pair[0])
				if err != nil {
					return nil, err
				}
				to, err := accountID(pair[1])
				if err != nil {
					return nil, err
				}
				o.Lie(func(x *Exchange) error {
					if r, ok := x.Answer.(*proto.LookupResponse); ok && r.Account == from {
						r.Account = to
						o.Told()
					}
					return nil
				})
				return nil, nil
			})},
			Without: []Edit{namedOtherwise},
		},
	)
}

// namedOtherwise is the comparison of the account the server names with the one
// the log has under the name.
var namedOtherwise = Off("internal/client/chains.go", "if named, known, err := t.accountOf(handle); err != nil || !known || named != got.Account {")

// meet lets ann make a conversation with bob, whom she does not know, after the
// operator has prepared a device that passes for his.
func (s *Stage) meet(what string) Facts {
	ann, bob := s.Person("ann"), s.Person("bob")
	s.Hand("begin", bob.Account)
	tried := ann.Try("chat", "new", "house", "@bob")
	ann.Try("send", "house", s.Secret("a text"))
	var caught bool
	s.Ask("caught", nil, &caught)
	return Facts{Effect: caught, Alerted: tried.Alert(), Detail: what + ": " + tried.Error()}
}
