package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// removeGone removes leaves whose key left by notice or whose account's chain
// revokes them; any member may (protocol, sections 7 and 11).
func (c *Client) removeGone(ctx context.Context, id proto.ConversationID) error {
	if err := c.proveFormer(ctx, id); err != nil {
		return err
	}
	_, err := c.commitIf(ctx, id, func(t *tx, cv *conversation) (*change, error) {
		ch := &change{}
		for _, m := range cv.group.Members() {
			if m.Leaf == cv.group.OwnLeaf() {
				continue
			}
			r, err := t.whyGone(cv, &m)
			if err != nil {
				return nil, err
			}
			if r == nil {
				continue
			}
			ch.removes = append(ch.removes, m.Leaf)
			if r.Leaf = m.Leaf; r.Notice != nil || r.Chain != nil || r.Succession != nil {
				ch.reasons = append(ch.reasons, *r)
			}
		}
		if len(ch.removes) == 0 {
			return nil, errNothing
		}
		return ch, nil
	})
	return err
}

// whyGone returns why a leaf has to be removed, nil if it has not.
func (t *tx) whyGone(cv *conversation, m *mls.Member) (*reason, error) {
	s, who, err := t.standing(m)
	if err != nil {
		return nil, err
	}
	if gone, err := t.isFormer(who.Account); err != nil || gone {
		return t.whyFormer(cv, who, err)
	}
	if s == kt.Revoked {
		if called, err := t.comesBack(cv, m.Leaf, who.Account); err != nil || called {
			return nil, err // answerCalls exchanges it
		}
		links, err := t.links(who.Account)
		return &reason{Chain: links}, err
	}
	k, ok := cv.keys.find(m.Leaf)
	if !ok || !slices.Contains(cv.meta.Left, k.MK) {
		return nil, nil
	}
	me, err := t.identity()
	if err != nil || cv.meta.Policy.mayRemove(me.Account, who.Account) {
		return &reason{}, err
	}
	notice, err := t.leaveNotice(cv, k.MK)
	if err != nil || notice == nil {
		return nil, err // one who saw the notice will do it
	}
	return &reason{Notice: notice}, nil
}

// commitIf is commit, but asks first, without the network, whether there is
// anything to do.
func (c *Client) commitIf(ctx context.Context, id proto.ConversationID, p plan) ([][]byte, error) {
	something := false
	err := c.step(ctx, func(t *tx) error {
		something = false
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		if cv.meta.State != stateLive || cv.meta.Alarm != "" {
			return nil
		}
		_, err = p(t, cv)
		something = err == nil
		return orNothing(err)
	})
	if err != nil || !something {
		return nil, err
	}
	return c.commit(ctx, id, p)
}

// orNothing keeps a step that turned out to have nothing to do from looking
// like one that failed, after which memory would be read anew.
func orNothing(err error) error {
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// replaceKey replaces the member key this device was given, by a commit that
// also refreshes its keys of MLS (protocol, section 3.2).
func (c *Client) replaceKey(ctx context.Context, id proto.ConversationID) error {
	_, err := c.commitIf(ctx, id, func(t *tx, cv *conversation) (*change, error) {
		me, err := t.identity()
		if err != nil {
			return nil, err
		}
		now := c.now()
		own, _ := cv.group.Member(cv.group.OwnLeaf())
		due := cv.meta.Given && uint64(now.Unix()) >= cv.meta.ReplaceAt
		rotated := string(own.SignatureKey) != string(me.M.PublicKey())
		if !due && !rotated {
			return nil, errNothing
		}
		ch := &change{}
		if rotated {
			m := me.M
			ch.newSigner = &m
		}
		return ch, nil
	})
	return err
}

// addWanted adds the accounts this conversation was made for.
func (c *Client) addWanted(ctx context.Context, id proto.ConversationID) error {
	var wanted []proto.AccountID
	err := c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return err
		}
		err = t.dropFormer(cv)
		wanted = slices.Clone(cv.meta.Wanted)
		return err
	})
	if err != nil || len(wanted) == 0 {
		return err
	}
	return c.addAccounts(ctx, id, wanted)
}

// addOwnDevices adds the devices of the own account that are missing.
func (c *Client) addOwnDevices(ctx context.Context, id proto.ConversationID) error {
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	missing, err := c.missing(ctx, id, me.Account)
	if err != nil || len(missing) == 0 {
		return err
	}
	if lost, err := c.onlyLost(ctx, missing); err != nil || lost {
		return err
	}
	return c.addAccounts(ctx, id, []proto.AccountID{me.Account})
}

// missing returns the live devices of an account that have no leaf.
func (c *Client) missing(ctx context.Context, id proto.ConversationID, a proto.AccountID) (all []proto.DeviceID, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.group == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		chain, _, err := t.chain(a)
		if err != nil {
			return err
		}
		here := cv.devices()
		for _, d := range chain.Live() {
			if !here[member{a, proto.DeviceID(d.ID)}] {
				all = append(all, proto.DeviceID(d.ID))
			}
		}
		return nil
	})
	return all, err
}

func (cv *conversation) devices() map[member]bool {
	here := map[member]bool{}
	for _, who := range cv.roster() {
		here[who] = true
	}
	return here
}

// addAccounts adds all devices of the accounts, at most proto.MaxAdds a commit.
// A device whose inbox refuses is tried once more with a new ticket. Accounts
// that are complete are no longer wanted.
func (c *Client) addAccounts(ctx context.Context, id proto.ConversationID, accounts []proto.AccountID) error {
	var adds []addition
	var failed error
	for _, a := range accounts {
		got, err := c.claimMissing(ctx, id, a)
		if err != nil && !refused(err) {
			return err
		}
		failed = errors.Join(failed, err)
		adds = append(adds, got...)
	}
	for part := range slices.Chunk(adds, proto.MaxAdds) {
		if err := c.addDevices(ctx, id, part); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return err
		}
		before := len(cv.meta.Wanted)
		cv.meta.Wanted = slices.DeleteFunc(cv.meta.Wanted, func(a proto.AccountID) bool { return slices.Contains(accounts, a) })
		if len(cv.meta.Wanted) == before {
			return nil
		}
		return t.saveMeta(cv)
	})
}

// claimMissing takes key packages for the devices of an account that have no
// leaf yet.
func (c *Client) claimMissing(ctx context.Context, id proto.ConversationID, a proto.AccountID) ([]addition, error) {
	if _, err := c.freshChain(ctx, a, time.Minute); err != nil {
		return nil, err
	}
	missing, err := c.missing(ctx, id, a)
	if err != nil {
		return nil, err
	}
	var all []addition
	for _, d := range missing {
		got, err := c.claim(ctx, a, d)
		if errors.Is(err, proto.NoneLeft) && len(missing) > 1 {
			c.cfg.Log.Warn("a device has no key package left and is added later")
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, got...)
	}
	return all, nil
}

func (c *Client) addDevices(ctx context.Context, id proto.ConversationID, adds []addition) error {
	for retry := 0; ; retry++ {
		_, err := c.commit(ctx, id, func(t *tx, cv *conversation) (*change, error) {
			here := cv.devices()
			ch := &change{}
			for _, a := range adds {
				if !here[a.who] {
					ch.adds = append(ch.adds, a)
				}
			}
			if len(ch.adds) == 0 {
				return nil, errNothing
			}
			adds = ch.adds // their order is that of the server's answer
			return ch, nil
		})
		var refusal *proto.Error
		if retry == 3 || !errors.As(err, &refusal) || refusal.Code != proto.BadTicket && refusal.Code != proto.InboxFull || int(refusal.Index) >= len(adds) {
			return err
		}
		again, claimErr := c.claim(ctx, adds[refusal.Index].who.Account, adds[refusal.Index].who.Device)
		if claimErr != nil {
			return errors.Join(err, claimErr)
		}
		adds = append(slices.Delete(slices.Clone(adds), int(refusal.Index), int(refusal.Index)+1), again...)
	}
}
