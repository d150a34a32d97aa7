//go:build evil

package evil

import (
	"context"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Promise: a false key that stands in the log stands there for everybody, and so
// for the one whose name it has.
func init() {
	register(Attack{
		ID: "B-3/b", Name: "at first contact, a whole account of the operator's, logged under a name before its owner joins", Expected: Evident,
		Play: func(s *Stage) Facts {
			ann, mal := s.Person("ann"), s.Stranger("mal")
			mal.Do("join", s.byDoor("mal", ann.One("invite")["invite"].(string)), "--handle", "bob")
			said := s.Secret("a text")
			ann.Do("send", "@bob", said)
			f := Facts{Effect: contains(mal.Do("read", "@ann").Texts(), said)}
			link := ann.One("invite")["invite"].(string)
			inv, err := client.ParseInvitation(link)
			s.Must(err)
			s.Hand("begin", inv.Token[:])
			bob := s.Stranger("bob")
			bob.Do("join", s.byDoor("bob", link), "--handle", "bob")
			s.Told()
			looked := bob.Try("status")
			f.Alerted, f.Detail = looked.Alert(), looked.Stderr
			var why string
			f.Proof, why = s.ProofOf(kt.EvidenceTakeover, bob)
			f.Detail += " " + why
			return f
		},
		Hands:   map[string]Hand{"begin": hand(secondOfTheName)},
		Without: []Edit{Off("internal/client/takeover.go", "if before != nil {")},
	})
}

// secondOfTheName lets the person who uses an invitation join under a name that
// is taken, as if an admin had the account made anew, and says nothing of it.
func secondOfTheName(ctx context.Context, o *Operator, b []byte) (any, error) {
	var token proto.Token
	copy(token[:], b)
	err := o.OnDisk(ctx, func(db store.Store) error {
		return db.AddInvite(ctx, store.Invite{
			Token: token.ResetHash("bob"), Uses: 1, Expires: store.Minute(time.Now().Add(time.Hour).Unix() / 60),
		})
	})
	if err != nil {
		return nil, err
	}
	o.Lie(func(x *Exchange) error {
		if r, ok := x.Request.(*proto.RegisterRequest); ok && r.Handle == "bob" && !r.Reset {
			r.Reset = true
			o.Told()
		}
		return nil
	})
	return nil, nil
}
