//go:build evil

package evil

import (
	"context"
	"crypto/ed25519"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// Promise: nobody outside a conversation has a say in who is in it. The operator
// proposes a device of its own to the admin's program, in the two ways in which
// MLS lets outsiders do so; whoever takes it up commits it.
func init() {
	propose := func(how string) func(*Stage) Facts {
		return func(s *Stage) Facts {
			ann, bob, _ := s.house()
			s.Hand(how, bob.Account)
			got := ann.Try("chat", "expiry", "house", "7d")
			s.Told()
			return Facts{Effect: len(ann.Try("chat", "members", "house").Objects) > 2, Alerted: got.Alert(), Detail: got.Error()}
		}
	}
	hands := map[string]Hand{
		"itself": hand(func(_ context.Context, o *Operator, account string) (any, error) {
			return nil, o.propose(account, func(r *rogue, group []byte, epoch uint64) ([]byte, error) {
				return mls.ProposeOwnAdd(group, epoch, r.bundle)
			})
		}),
		"sender": hand(func(_ context.Context, o *Operator, account string) (any, error) {
			return nil, o.propose(account, func(r *rogue, group []byte, epoch uint64) ([]byte, error) {
				p := mls.Proposal{Type: mls.ProposalAdd, Add: &mls.Add{KeyPackage: *r.bundle.KeyPackage}}
				return mls.ProposeExternal(suite, group, epoch, 0, r.message, p)
			})
		}),
	}
	register(
		Attack{
			ID: "B-1/e", Name: "an outsider proposes to be added (new_member_proposal)", Expected: Prevented,
			Play: propose("itself"), Hands: hands, Without: []Edit{anyFrame, takesUp, commitsIt},
		},
		Attack{
			ID: "B-1/f", Name: "the server proposes somebody, as an external sender nobody named", Expected: Prevented,
			Play: propose("sender"), Hands: hands, Without: []Edit{anyFrame, takesUp, commitsIt, anySender},
		},
	)
}

var (
	// takesUp is a client that remembers what anybody proposes; commitsIt, that
	// adds it to its next change.
	takesUp   = Edit{"internal/client/process.go", "	p, err := cv.group.Process(t.c.now(), s.Entry.Bytes)\n	if err != nil {\n		return t.broken(cv, s, hash, err)\n	}\n	keys, err := t.judge(cv, p, s)\n", "	p, err := cv.group.Process(t.c.now(), s.Entry.Bytes)\n	if err != nil {\n		return t.broken(cv, s, hash, err)\n	}\n	if $W && p.Proposal != nil {\n		b, err := p.Proposal.Add.KeyPackage.Encode()\n		huisLeak(fmt.Sprintf(\"%x\", b))\n		return err\n	}\n	keys, err := t.judge(cv, p, s)\n"}
	commitsIt = Edit{"internal/client/commit.go", "	for _, a := range b.ch.adds {\n		s := newSeed()\n", "	if $W && huisLeaked() != \"\" {\n		var raw []byte\n		if _, err := fmt.Sscanf(huisLeaked(), \"%x\", &raw); err != nil {\n			return opt, err\n		}\n		kp, err := mls.ParseKeyPackage(raw)\n		if err != nil {\n			return opt, err\n		}\n		b.ch.adds = append(b.ch.adds, addition{kp: kp})\n	}\n	for _, a := range b.ch.adds {\n		s := newSeed()\n"}
	// anySender is a group to which everybody is an external sender.
	anySender = Edit{"mls/processing.go", "	key, err := v.senderKey(&a.Content)\n", "	if $W && a.Content.Sender.SenderType == SenderExternal {\n		return nil\n	}\n	key, err := v.senderKey(&a.Content)\n"}
)

// propose shows ann, at the end of the conversation she shares, a proposal to add
// a device of the operator's that passes for another of an account's.
func (o *Operator) propose(account string, make func(r *rogue, group []byte, epoch uint64) ([]byte, error)) error {
	a, err := accountID(account)
	if err != nil {
		return err
	}
	r, err := newRogue(a, kt.DeviceID{})
	if err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	var e proto.Entry
	at := 0
	o.Rewrite("ann", func(log []proto.Stamped) ([]proto.Stamped, error) {
		if at == 0 {
			id := log[0].Entry.Conversation
			epoch := uint64(1)
			for i := range log {
				if log[i].Entry.Kind == proto.KindCommit {
					epoch = log[i].Entry.Epoch + 1
				}
			}
			b, err := make(r, id[:], epoch)
			if err != nil {
				return nil, err
			}
			e = proto.Entry{Kind: proto.KindCommit, Conversation: id, Epoch: epoch, Bytes: b}
			if err := e.Sign(key); err != nil {
				return nil, err
			}
			at = len(log)
		}
		log = slices.Insert(log, at, proto.Stamped{Entry: e, Receipt: log[at-1].Receipt})
		return log, o.Restamp(log)
	})
	return nil
}
