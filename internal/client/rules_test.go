package client

import (
	"testing"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// evil is a commit that the server takes: what is altered, only members see.
type evil struct {
	cv    *conversation
	opt   mls.CommitOptions
	delta proto.KeyDelta
	extra proto.Extra
}

func (e *evil) leafOf(t *tx, handle string) mls.LeafIndex {
	a, _, _ := t.accountOf(handle)
	for leaf, who := range e.cv.roster() {
		if who.Account == a {
			return leaf
		}
	}
	return 1 << 20
}

func (e *evil) remove(t *tx, handle string, inDelta bool) {
	leaf := e.leafOf(t, handle)
	e.opt.Proposals = append(e.opt.Proposals, mls.Proposal{Type: mls.ProposalRemove, Remove: &mls.Remove{Removed: leaf}})
	if k, ok := e.cv.keys.find(leaf); ok && inDelta {
		e.delta.Removes = append(e.delta.Removes, k.MK)
	}
}

func (e *evil) add(a addition, inDelta bool) {
	e.opt.Proposals = append(e.opt.Proposals, mls.Proposal{Type: mls.ProposalAdd, Add: &mls.Add{KeyPackage: *a.kp}})
	if inDelta {
		e.delta.Adds = append(e.delta.Adds, newSeed().public())
	}
}

func (e *evil) rules(change func(*policy)) {
	p := e.cv.meta.Policy
	change(&p)
	b := commitBuild{cv: e.cv, ch: &commitChange{policy: &p}}
	e.opt.Proposals = append(e.opt.Proposals, b.contextChange())
}

type commitChange = change

// commitEvil builds and sends it for d, around every check of its own client.
func (d *device) commitEvil(chat string, build func(*tx, *evil) error) {
	d.w.t.Helper()
	var req proto.CommitRequest
	d.at(chat, func(t *tx, cv *conversation) error {
		e := &evil{cv: cv}
		if err := build(t, e); err != nil {
			return err
		}
		e.opt.AuthenticatedData = wire.MustEncode(e.delta.Wire)
		c, err := cv.group.Commit(t.c.now(), e.opt)
		if err != nil {
			return err
		}
		req.Extra = e.extra
		req.Entry = proto.Entry{Kind: proto.KindCommit, Conversation: cv.id, Epoch: cv.group.Epoch(), Bytes: c.Message(), ExtraHash: req.Extra.Hash()}
		return req.Entry.Sign(cv.meta.Seed.key())
	})
	if err := d.call(d.w.t.Context(), Conversations, proto.Commit, &req, &proto.CommitResponse{}); err != nil {
		d.w.t.Fatalf("the server refuses: %v", err)
	}
}

// TestCommitsAgainstTheRules: each is one a hostile member's client could make;
// the others stop at it.
func TestCommitsAgainstTheRules(t *testing.T) {
	for name, c := range map[string]struct {
		by    string // "alice" is the admin
		build func(*tx, *evil, addition) error
		fine  bool
	}{
		"nothing wrong": {"bob", func(*tx, *evil, addition) error { return nil }, true},
		"a member adds": {"bob", func(_ *tx, e *evil, dave addition) error { e.add(dave, true); return nil }, true},
		"an admin removes": {"alice", func(t *tx, e *evil, _ addition) error {
			e.remove(t, "carol", true)
			return nil
		}, true},
		"a member removes another": {"bob", func(t *tx, e *evil, _ addition) error {
			e.remove(t, "alice", true)
			return nil
		}, false},
		"a removal missing in the delta": {"alice", func(t *tx, e *evil, _ addition) error {
			e.remove(t, "bob", false)
			return nil
		}, false},
		"another's key in the delta": {"alice", func(t *tx, e *evil, _ addition) error {
			e.remove(t, "bob", false)
			k, _ := e.cv.keys.find(e.leafOf(t, "carol"))
			e.delta.Removes = append(e.delta.Removes, k.MK)
			return nil
		}, false},
		"a key without an add": {"bob", func(_ *tx, e *evil, _ addition) error {
			e.delta.Adds = append(e.delta.Adds, newSeed().public())
			return nil
		}, false},
		"an add without a key": {"bob", func(_ *tx, e *evil, dave addition) error { e.add(dave, false); return nil }, false},
		"a member renames": {"bob", func(_ *tx, e *evil, _ addition) error {
			e.rules(func(p *policy) { p.Name = "mine" })
			return nil
		}, false},
		"an admin renames": {"alice", func(_ *tx, e *evil, _ addition) error {
			e.rules(func(p *policy) { p.Expiry = 3600 })
			return nil
		}, true},
		"a member becomes admin": {"bob", func(t *tx, e *evil, _ addition) error {
			me, err := t.identity()
			e.rules(func(p *policy) { p.Admins = append(p.Admins, me.Account) })
			return err
		}, false},
		"an admin changes the kind": {"alice", func(_ *tx, e *evil, _ addition) error {
			e.rules(func(p *policy) { p.Kind = kindDirect; p.Admins = p.Admins[:1] })
			return nil
		}, false},
		"an unknown rule": {"alice", func(_ *tx, e *evil, _ addition) error {
			e.rules(func(p *policy) { p.Adders = 7 })
			return nil
		}, false},
		"no policy any more": {"alice", func(_ *tx, e *evil, _ addition) error {
			e.opt.Proposals = append(e.opt.Proposals, mls.Proposal{
				Type: mls.ProposalGroupContextExtensions, GroupContextExtensions: &mls.GroupContextExtensions{},
			})
			return nil
		}, false},
		"outsiders may propose": {"alice", func(_ *tx, e *evil, _ addition) error {
			list := append([]mls.Extension{}, e.cv.group.Context().Extensions...)
			list = append(list, mls.ExternalSendersExtension([]mls.ExternalSender{{SignatureKey: make([]byte, 32), Credential: mls.BasicCredential([]byte("x"))}}))
			e.opt.Proposals = append(e.opt.Proposals, mls.Proposal{
				Type: mls.ProposalGroupContextExtensions, GroupContextExtensions: &mls.GroupContextExtensions{Extensions: list},
			})
			return nil
		}, false},
		"another predecessor": {"alice", func(_ *tx, e *evil, _ addition) error {
			p := predecessor{Epoch: 3}
			e.opt.Proposals = append(e.opt.Proposals, mls.Proposal{
				Type: mls.ProposalGroupContextExtensions, GroupContextExtensions: &mls.GroupContextExtensions{
					Extensions: append(e.cv.group.Context().Extensions[:1:1], p.extension()),
				},
			})
			return nil
		}, false},
		"the group ends for one of another suite": {"alice", func(_ *tx, e *evil, _ addition) error {
			e.opt.Proposals = []mls.Proposal{{Type: mls.ProposalReInit, ReInit: &mls.ReInit{
				GroupID: []byte("another"), Version: mls.MLS10, CipherSuite: mls.X25519AES128SHA256Ed25519,
			}}}
			return nil
		}, false},
		"the committer becomes another device": {"bob", func(t *tx, e *evil, _ addition) error {
			me, err := t.identity()
			k := member{me.Account, proto.DeviceID{1}}.credential()
			e.opt.NewCredential = &k
			return err
		}, false},
		"a reason that proves nothing": {"bob", func(t *tx, e *evil, _ addition) error {
			e.remove(t, "alice", true)
			r := reason{Leaf: e.leafOf(t, "alice")}
			e.opt.Proposals = append(e.opt.Proposals, mls.Proposal{Type: proposalReason, Custom: wire.MustEncode(r.wire)})
			return nil
		}, false},
		"a leave notice the remover signed": {"bob", func(t *tx, e *evil, _ addition) error {
			e.remove(t, "alice", true)
			n := proto.Notice{Type: proto.NoticeLeave}
			notice := &proto.Entry{Kind: proto.KindNotice, Conversation: e.cv.id, Bytes: wire.MustEncode(n.Wire)}
			if err := notice.Sign(e.cv.meta.Seed.key()); err != nil {
				return err
			}
			r := reason{Leaf: e.leafOf(t, "alice"), Notice: notice}
			e.opt.Proposals = append(e.opt.Proposals, mls.Proposal{Type: proposalReason, Custom: wire.MustEncode(r.wire)})
			return nil
		}, false},
		"a chain that revokes nothing": {"bob", func(t *tx, e *evil, _ addition) error {
			e.remove(t, "alice", true)
			a, _, err := t.accountOf("alice")
			if err != nil {
				return err
			}
			links, err := t.links(a)
			r := reason{Leaf: e.leafOf(t, "alice"), Chain: links}
			e.opt.Proposals = append(e.opt.Proposals, mls.Proposal{Type: proposalReason, Custom: wire.MustEncode(r.wire)})
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			people := map[string]*device{}
			for _, h := range []string{"alice", "bob", "carol", "dave"} {
				people[h] = w.person(h)
			}
			people["alice"].newChat("plan", "bob", "carol")
			w.agree("plan", people["alice"], people["bob"], people["carol"])
			dave, err := people[c.by].claim(t.Context(), people["dave"].must().Account, proto.DeviceID{})
			if err != nil {
				t.Fatal(err)
			}
			before := people["alice"].inspect1("plan").Epoch
			people[c.by].commitEvil("plan", func(t *tx, e *evil) error { return c.build(t, e, dave[0]) })
			for h, d := range people {
				if h == c.by || h == "dave" || h == "carol" && c.fine {
					continue
				}
				d.sync()
				// Whose key the delta closed cannot even say that it is broken.
				s := d.state("plan")
				if stopped := s == "broken" || s == "removed"; stopped == c.fine {
					t.Errorf("%s's state is %q", h, s)
				}
				if d.inspect1("plan").Epoch > before && !c.fine {
					t.Errorf("%s processed it", h)
				}
			}
		})
	}
}

func TestMemberKeysFollowTheTree(t *testing.T) {
	mk := func(n byte) proto.MemberKey { return proto.MemberKey{n} }
	keys := memberKeys{{0, mk(1), 0}, {1, mk(2), 0}, {3, mk(4), 0}}
	at := func(l ...mls.LeafIndex) []mls.LeafIndex { return l }
	ptr := func(k proto.MemberKey) *proto.MemberKey { return &k }
	for name, c := range map[string]struct {
		d             proto.KeyDelta
		adds, removes []mls.LeafIndex
		ok            bool
	}{
		"nothing":                   {proto.KeyDelta{}, nil, nil, true},
		"add, remove and replace":   {proto.KeyDelta{Adds: []proto.MemberKey{mk(9)}, Removes: []proto.MemberKey{mk(2)}, Replace: ptr(mk(8))}, at(1), at(1), true},
		"one add too many":          {proto.KeyDelta{Adds: []proto.MemberKey{mk(9)}}, nil, nil, false},
		"one add too few":           {proto.KeyDelta{}, at(2), nil, false},
		"one key for two":           {proto.KeyDelta{Adds: []proto.MemberKey{mk(9), mk(9)}}, at(2, 4), nil, false},
		"a key in use":              {proto.KeyDelta{Adds: []proto.MemberKey{mk(4)}}, at(2), nil, false},
		"a removed key at once":     {proto.KeyDelta{Adds: []proto.MemberKey{mk(2)}, Removes: []proto.MemberKey{mk(2)}}, at(2), at(1), false},
		"another leaf's key":        {proto.KeyDelta{Removes: []proto.MemberKey{mk(4)}}, nil, at(1), false},
		"a leaf without key":        {proto.KeyDelta{Removes: []proto.MemberKey{mk(4)}}, nil, at(2), false},
		"one removal twice":         {proto.KeyDelta{Removes: []proto.MemberKey{mk(2), mk(2)}}, nil, at(1, 3), false},
		"replaced by a key in use":  {proto.KeyDelta{Replace: ptr(mk(2))}, nil, nil, false},
		"replaced by its own key":   {proto.KeyDelta{Replace: ptr(mk(1))}, nil, nil, false},
		"replaced by an added key":  {proto.KeyDelta{Adds: []proto.MemberKey{mk(9)}, Replace: ptr(mk(9))}, at(2), nil, false},
		"replaced by a removed key": {proto.KeyDelta{Removes: []proto.MemberKey{mk(2)}, Replace: ptr(mk(2))}, nil, at(1), false},
	} {
		next, err := keys.apply(&c.d, 0, c.adds, c.removes, 5)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && len(next) != len(keys)+len(c.adds)-len(c.removes) {
			t.Errorf("%s: %d keys", name, len(next))
		}
	}
	if len(keys) != 3 || keys[0].MK != mk(1) {
		t.Error("the present keys were changed")
	}
}
