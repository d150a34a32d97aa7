//go:build evil

package evil

import (
	"context"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Promise: nobody is called otherwise, and no name that was left is somebody
// else's, without the signature of the one whose it is.
func init() {
	register(
		Attack{
			ID: "B-9/d", Name: "a person's account is logged and shown under a name that it never took", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				ann.Do("send", "@bob", "hello")
				s.Hand("begin", bob.Account)
				said := s.Secret("a text")
				tried := ann.Try("send", "@director", said)
				return Facts{Effect: contains(bob.Try("read", "@ann").Texts(), said), Alerted: tried.Alert(), Detail: tried.Error()}
			},
			Hands:   map[string]Hand{"begin": hand(calledDirector)},
			Without: []Edit{Off("internal/client/rename.go", "if !leads(a, &n, &now) {")},
		},
		Attack{
			ID: "B-9/e", Name: "a name that its owner left is given to somebody else", Expected: Evident,
			Play: func(s *Stage) Facts {
				_, bob, _ := s.house()
				cal, mal := s.Person("cal"), s.Person("mal")
				bob.Do("rename", "robert", "--yes")
				s.Hand("begin", []string{bob.Account, mal.Account})
				said := s.Secret("a text")
				tried := cal.Try("send", "@bob", said)
				s.Told()
				f := Facts{Effect: contains(mal.Try("read", "@cal").Texts(), said), Alerted: tried.Alert(), Detail: tried.Error()}
				var why string
				f.Proof, why = s.ProofOf(kt.EvidenceFalseName, cal)
				f.Detail += " " + why
				return f
			},
			Hands: map[string]Hand{"begin": hand(heirOfTheName)},
			Without: []Edit{
				Off("kt/name.go", "if now >= 0 && n.Holders[now].Chain.Left(n.Index) {"),
				{"internal/client/names.go", "	r, err := t.nameRecord(handle)\n	if err != nil || len(r.Holders) < 2 {\n", "	r, err := t.nameRecord(handle)\n	if err != nil || len(r.Holders) < 2 || $W {\n"},
				{"internal/client/names.go", "	handle := t.handleOf(a)\n	if gone, err := t.isFormer(a); err != nil || gone {\n		return errors.Join(err, &SafetyError{\n			Reason: fmt.Sprintf(\"the account @%s is no longer", "	handle := t.handleOf(a)\n	if $W {\n		return nil\n	}\n	if gone, err := t.isFormer(a); err != nil || gone {\n		return errors.Join(err, &SafetyError{\n			Reason: fmt.Sprintf(\"the account @%s is no longer"},
				namedOtherwise,
			},
		},
		Attack{
			ID: "B-9/f", Name: "a person's change of name is kept from a contact", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob := s.Person("ann"), s.Person("bob")
				s.Hand("begin", bob.Account)
				ann.Do("verify", "@bob")
				bob.Do("rename", "robert", "--yes")
				tried := ann.Try("chat", "new", "cellar", "@bob")
				s.Told()
				return Facts{Effect: tried.Code == 0, Alerted: tried.Alert(), Detail: tried.Error()}
			},
			Hands: map[string]Hand{"begin": hand(asItWas)},
			Without: []Edit{
				Off("internal/client/shown.go", "if now, ok := log.Map().Get(leaf.Index); ok && now.Seq > leaf.Seq {"),
				Off("internal/client/names.go", "if _, hidden, err := t.withheld(r.Handle); err != nil || hidden {"),
			},
		},
	)
}

// write adds values to a name in the log, where the server's own checks do not
// stand in its way.
func (o *Operator) write(ctx context.Context, db store.Store, handle string, values ...[]byte) error {
	label := kt.MapLabel(kt.KindAccount, []byte(handle))
	_, out := o.keys.vrf.Prove(label)
	x := kt.MapIndex(out)
	there, err := db.Values(ctx, x, 0, 1<<20)
	for i, v := range values {
		if err != nil {
			return err
		}
		n, opening := uint32(len(there)+i), kt.NewOpening()
		err = db.AddValue(ctx, store.LogValue{
			Kind: uint8(kt.KindAccount), Index: x, Seq: n, Opening: opening, Value: v, Commitment: kt.Commit(opening, label, n, v),
		})
	}
	return err
}

// calledDirector writes an account's chain into the log under another name, and
// has the server know it by that.
func calledDirector(ctx context.Context, o *Operator, account string) (any, error) {
	a, err := accountID(account)
	if err != nil {
		return nil, err
	}
	return nil, o.OnDisk(ctx, func(db store.Store) error {
		links, _, err := o.links(ctx, db, a)
		if err != nil {
			return err
		}
		if err := o.write(ctx, db, "director", links...); err != nil {
			return err
		}
		return db.GiveBackRename(ctx, store.Account{
			ID: a, Lookup: o.keys.operator.Lookup("handle", "director"), Handle: o.keys.operator.Seal("handle", a[:], []byte("director")),
		}, store.DayOf(time.Now()))
	})
}

// heirOfTheName logs a second account under the name that the first of a pair
// left, and answers who asks for it with that one.
func heirOfTheName(ctx context.Context, o *Operator, pair []string) (any, error) {
	from, err := accountID(pair[0])
	if err != nil {
		return nil, err
	}
	to, err := accountID(pair[1])
	if err != nil {
		return nil, err
	}
	err = o.OnDisk(ctx, func(db store.Store) error {
		links, _, err := o.links(ctx, db, to)
		if err != nil {
			return err
		}
		return o.write(ctx, db, "bob", links...)
	})
	if err != nil {
		return nil, err
	}
	o.Lie(func(x *Exchange) error {
		if r, ok := x.Answer.(*proto.LookupResponse); ok && r.Account == from {
			r.Account = to
			o.Told()
		}
		if r, ok := x.Request.(*proto.ChainProofRequest); ok && x.Answer == nil && r.Account == to && x.Door == "cal" {
			r.Account, r.Handle = from, "bob"
		}
		return nil
	})
	return nil, nil
}

// asItWas shows ann of an account what she was shown first, for ever.
func asItWas(_ context.Context, o *Operator, account string) (any, error) {
	a, err := accountID(account)
	if err != nil {
		return nil, err
	}
	var first *proto.ChainProofResponse
	o.Lie(func(x *Exchange) error {
		q, asked := x.Request.(*proto.ChainProofRequest)
		r, answered := x.Answer.(*proto.ChainProofResponse)
		if !asked || !answered || x.Door != "ann" || q.Account != a {
			return nil
		}
		if first == nil {
			first = r
		} else if r.Handle != first.Handle || len(r.Links) > len(first.Links) {
			*r = *first
			o.Told()
		}
		return nil
	})
	return nil, nil
}
