package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/mls"
)

// newConversation plans a conversation: its group at epoch 1 with this device
// alone, stored before anything is sent. It is created on the server, and the
// wanted accounts are added, by the next sync.
func (t *tx) newConversation(p policy, wanted []proto.AccountID, more ...mls.Extension) (*conversation, error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	id := proto.New[proto.ConversationID]()
	g, delta, err := t.firstEpoch(id, me, append([]mls.Extension{p.extension()}, more...))
	if err != nil {
		return nil, err
	}
	now := uint64(t.c.now().Unix())
	cv := &conversation{id: id, group: g}
	cv.meta = meta{
		State: statePlanned, Policy: p, Seed: newSeed(), First: 1, Floor: 1, Pathed: now, Since: now, Wanted: slices.Clone(wanted),
	}
	cv.keys = memberKeys{{Leaf: g.OwnLeaf(), MK: cv.meta.Seed.public(), Since: now / 60}}
	t.delta(cv, delta)
	return cv, errors.Join(t.saveMeta(cv), t.saveHead(cv), t.saveKeys(cv))
}

// firstEpoch makes the group and moves it to epoch 1, where logs begin; nobody
// but its creator is ever in epoch 0 (protocol, section 11).
func (t *tx) firstEpoch(id proto.ConversationID, me *identity, ext []mls.Extension) (*mls.Group, mls.Delta, error) {
	g, first, err := t.epochZero(id, me, ext)
	if err != nil {
		return nil, nil, err
	}
	c, err := g.Commit(t.c.now(), mls.CommitOptions{})
	if err != nil {
		return nil, nil, err
	}
	second, err := g.Merge(t.c.now(), c)
	if err != nil {
		return nil, nil, err
	}
	return g, slices.Concat(first, c.Delta, second), nil
}

func (t *tx) epochZero(id proto.ConversationID, me *identity, ext []mls.Extension) (*mls.Group, mls.Delta, error) {
	return mls.NewGroup(suite, id[:], me.M, member{me.Account, me.Device}.credential(), mls.GroupOptions{
		Extensions: ext,
		Leaf:       mls.LeafOptions{Capabilities: capabilities()},
	}, t.options())
}

// createPlanned creates a planned conversation on the server, with the devices
// of the accounts it is for. The request is stored before it is sent and sent
// unchanged until there is an answer.
func (c *Client) createPlanned(ctx context.Context, id proto.ConversationID) error {
	for try := 0; ; try++ {
		req, err := c.planned(ctx, id)
		if err != nil || req == nil {
			return err
		}
		err = c.sendCreate(ctx, id, req)
		if err == nil || errors.Is(err, proto.Exists) { // nobody else can know the id
			return c.created(ctx, id, req)
		}
		if definite(err) && !errors.Is(err, proto.BadToken) {
			// Such as a ticket that has run out: another request is made.
			err = errors.Join(err, c.replan(ctx, id, req))
		}
		if try == 2 || !errors.Is(err, proto.BadTicket) && !errors.Is(err, proto.InboxFull) {
			return err
		}
	}
}

// planned returns the stored request, or makes it; nil if the conversation was
// created meanwhile.
func (c *Client) planned(ctx context.Context, id proto.ConversationID) (req *pending, err error) {
	var wanted []proto.AccountID
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		if err := t.dropFormer(cv); err != nil {
			return err
		}
		wanted = slices.Clone(cv.meta.Wanted)
		req, err = t.pending(cv)
		return err
	})
	if err != nil || req != nil {
		return req, err
	}
	var adds []addition
	for _, a := range wanted {
		got, err := c.claimMissing(ctx, id, a)
		if err != nil && !refused(err) {
			return nil, err
		}
		if err != nil || len(adds)+len(got) > proto.MaxJoinPackages {
			c.cfg.Log.Warn("somebody is added later", "why", err)
			continue
		}
		adds = append(adds, got...)
	}
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		if req, err = t.pending(cv); err != nil || req != nil || cv.meta.State != statePlanned {
			return err // another process was faster
		}
		req, err = t.stageCreate(cv, adds)
		return err
	})
	return req, err
}

// stageCreate makes the group anew with the given devices in epoch 1 and stores
// the request that creates it.
func (t *tx) stageCreate(cv *conversation, adds []addition) (*pending, error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	now := t.c.now()
	g, first, err := t.epochZero(cv.id, me, cv.group.Context().Extensions)
	if err != nil {
		return nil, err
	}
	draft := &conversation{id: cv.id, group: g, meta: cv.meta}
	draft.keys = memberKeys{{Leaf: g.OwnLeaf(), MK: cv.meta.Seed.public()}}
	b := commitBuild{t: t, cv: draft, ch: &change{adds: adds}, p: &pending{}}
	staged, err := b.commit()
	if err != nil {
		return nil, err
	}
	if b.p.Extra.Reform, err = t.reformNotice(cv); err != nil {
		return nil, err
	}
	second, err := g.Merge(now, staged)
	if err != nil {
		return nil, err
	}
	if err := t.delAll(key("mls", cv.id, "")); err != nil {
		return nil, err
	}
	t.delta(cv, slices.Concat(first, staged.Delta, second))
	mks := make([]proto.MemberKey, len(b.p.Keys))
	for i := range b.p.Keys {
		b.p.Keys[i].Since = uint64(now.Unix()) / 60
		mks[i] = b.p.Keys[i].MK
	}
	cv.group, cv.keys = g, b.p.Keys
	b.p.Entry = proto.Entry{
		Kind: proto.KindCreate, Conversation: cv.id, Epoch: 1,
		Bytes: proto.EncodeMembers(mks), ExtraHash: b.p.Extra.Hash(),
	}
	if err := b.p.Entry.Sign(cv.meta.Seed.key()); err != nil {
		return nil, err
	}
	return b.p, errors.Join(t.save(key("pend", cv.id), b.p.wire), t.saveMeta(cv), t.saveKeys(cv))
}

// sendCreate uploads the join blob in a session of the create token, which can
// do nothing else, and sends the request.
func (c *Client) sendCreate(ctx context.Context, id proto.ConversationID, req *pending) error {
	var token proto.CreateTokenResponse
	err := c.callAccount(ctx, proto.CreateToken, func(s proto.SessionID) proto.Message {
		return &proto.CreateTokenRequest{Session: s}
	}, &token)
	if err != nil {
		return err
	}
	if req.Blob != (proto.BlobID{}) {
		var key seed
		err := c.step(ctx, func(t *tx) error {
			cv, err := t.conv(id)
			if err != nil || cv == nil {
				return errors.Join(err, ErrUnknownChat)
			}
			key = cv.meta.Seed
			return nil
		})
		if err != nil {
			return err
		}
		open, err := c.openConv(ctx, id, key, &token.Token)
		if err != nil {
			return err
		}
		err = c.uploadPending(ctx, id, req, func(m proto.Method, build func(proto.SessionID) proto.Message, resp proto.Message) error {
			return c.call(ctx, Conversations, m, build(open.Session), resp)
		})
		if err != nil {
			return err
		}
	}
	create := proto.CreateRequest{Token: token.Token, Entry: req.Entry, Extra: req.Extra}
	return c.call(ctx, Conversations, proto.Create, &create, &proto.CreateResponse{})
}

// asked tells whether a conversation is still planned, and by this very request:
// another task or process may have ended the planning, or begun it anew.
func (t *tx) asked(cv *conversation, req *pending) (bool, error) {
	if cv == nil || cv.meta.State != statePlanned {
		return false, nil
	}
	now, err := t.pending(cv)
	return err == nil && now != nil && now.Entry.Hash() == req.Entry.Hash(), err
}

// created ends the planning.
func (c *Client) created(ctx context.Context, id proto.ConversationID, req *pending) error {
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil {
			return err
		}
		if same, err := t.asked(cv, req); !same {
			return err
		}
		cv.meta.State = stateLive
		in := cv.accounts()
		cv.meta.Wanted = slices.DeleteFunc(cv.meta.Wanted, func(a proto.AccountID) bool { return slices.Contains(in, a) })
		return errors.Join(t.dropPending(cv), t.saveMeta(cv))
	})
}

// replan takes a refused request back: the group is this device alone again.
func (c *Client) replan(ctx context.Context, id proto.ConversationID, req *pending) error {
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil {
			return err
		}
		if same, err := t.asked(cv, req); !same {
			return err
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		g, delta, err := t.firstEpoch(id, me, cv.group.Context().Extensions)
		if err != nil {
			return err
		}
		if err := t.delAll(key("mls", id, "")); err != nil {
			return err
		}
		t.delta(cv, delta)
		cv.group = g
		cv.keys = memberKeys{{Leaf: g.OwnLeaf(), MK: cv.meta.Seed.public(), Since: uint64(c.now().Unix()) / 60}}
		return errors.Join(t.dropPending(cv), t.saveKeys(cv))
	})
}

// claim takes a key package of each device of an account, or of one device. The
// packages of devices the account's chain does not carry are left out.
func (c *Client) claim(ctx context.Context, a proto.AccountID, device proto.DeviceID) ([]addition, error) {
	chain, err := c.freshChain(ctx, a, 0)
	if err == nil {
		err = c.step(ctx, func(t *tx) error { return t.mayTakeKeysOf(a) })
	}
	if err != nil {
		return nil, err
	}
	var got proto.ClaimResponse
	err = c.callAccount(ctx, proto.Claim, func(s proto.SessionID) proto.Message {
		return &proto.ClaimRequest{Session: s, Account: a, Device: device}
	}, &got)
	if err != nil {
		return nil, err
	}
	var all []addition
	for _, p := range got.Packages {
		add, err := c.vet(a, chain, &p)
		if err != nil {
			c.cfg.Log.Warn("key package not used", "why", err)
			continue
		}
		all = append(all, add)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: no device of theirs can be added now", proto.Refuse(proto.NoneLeft))
	}
	return all, nil
}
