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
		State: statePlanned, Policy: p, Seed: newSeed(), First: 1, Floor: 1, Pathed: now, Since: now, Wanted: wanted,
	}
	cv.keys = memberKeys{{Leaf: g.OwnLeaf(), MK: cv.meta.Seed.public(), Since: now / 60}}
	t.delta(cv, delta)
	return cv, errors.Join(t.saveMeta(cv), t.saveHead(cv), t.saveKeys(cv))
}

// firstEpoch makes the group and moves it to epoch 1, where logs begin; nobody
// but its creator is ever in epoch 0 (protocol, section 11).
func (t *tx) firstEpoch(id proto.ConversationID, me *identity, ext []mls.Extension) (*mls.Group, mls.Delta, error) {
	g, first, err := mls.NewGroup(suite, id[:], me.M, member{me.Account, me.Device}.credential(), mls.GroupOptions{
		Extensions: ext,
		Leaf:       mls.LeafOptions{Capabilities: capabilities()},
	}, t.options())
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

// createPlanned creates a planned conversation on the server. The answer to an
// earlier try may have been lost: exists means that it succeeded, for nobody
// else can know the id.
func (c *Client) createPlanned(ctx context.Context, id proto.ConversationID) error {
	var token proto.CreateTokenResponse
	err := c.callAccount(ctx, proto.CreateToken, func(s proto.SessionID) proto.Message {
		return &proto.CreateTokenRequest{Session: s}
	}, &token)
	if err != nil {
		return err
	}
	var req proto.CreateRequest
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		req, err = t.createRequest(cv)
		return err
	})
	if err != nil {
		return err
	}
	req.Token = token.Token
	var resp proto.CreateResponse
	err = c.call(ctx, Conversations, proto.Create, &req, &resp)
	if err != nil && !errors.Is(err, proto.Exists) {
		return err
	}
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.meta.State != statePlanned {
			return err
		}
		cv.meta.State = stateLive
		return t.saveMeta(cv)
	})
}

func (t *tx) createRequest(cv *conversation) (req proto.CreateRequest, err error) {
	if req.Extra.Reform, err = t.reformNotice(cv); err != nil {
		return req, err
	}
	mks := make([]proto.MemberKey, len(cv.keys))
	for i, k := range cv.keys {
		mks[i] = k.MK
	}
	req.Entry = proto.Entry{
		Kind: proto.KindCreate, Conversation: cv.id, Epoch: 1,
		Bytes: proto.EncodeMembers(mks), ExtraHash: req.Extra.Hash(),
	}
	return req, req.Entry.Sign(cv.meta.Seed.key())
}

// claim takes a key package of each device of an account, or of one device. The
// packages of devices the account's chain does not carry are left out.
func (c *Client) claim(ctx context.Context, a proto.AccountID, device proto.DeviceID) ([]addition, error) {
	chain, err := c.freshChain(ctx, a, 0)
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
		return nil, fmt.Errorf("%w: no device of theirs can be added now", proto.NoneLeft)
	}
	return all, nil
}
