package client

import (
	"context"
	"strings"

	"codeberg.org/huis/huis/internal/proto"
)

// Who joins a large group is given the chains of all its people by the member that
// added it. To verify a thousand of them takes longer than to join, so they are kept
// as they came, and verified when somebody asks for one (chainRecord), or some at a
// time before anything is said in the group (takeGiven). Until then this device does
// not know them.
//
//	given/ACCOUNT   profile

// atOnce is up to how many chains are verified in the step they come with, and how
// many in one step later: 16 are some 20 ms in a browser.
const atOnce = 16

func givenKey(a proto.AccountID) string { return "given/" + a.Hex() }

// keepProfiles keeps what a join blob says of people.
func (t *tx) keepProfiles(all []profile) error {
	if len(all) > atOnce {
		for _, prefix := range []string{"chain/", "name/", "handle/", "given/"} {
			// Of most nothing is known: one look instead of thousands.
			if _, err := t.list(prefix, "", 0); err != nil {
				return err
			}
		}
	}
	for i := range all {
		p := &all[i]
		known, err := t.get("chain/" + p.Account.Hex())
		if err != nil {
			return err
		}
		if len(all) <= atOnce || known != nil {
			err = t.keepProfile(p)
		} else if err = t.save(givenKey(p.Account), p.wire); err == nil && p.Handle != "" {
			err = t.keepHandle(p.Account, p.Handle)
		}
		if err != nil {
			t.c.cfg.Log.Warn("a member's chain does not verify", "why", err)
		}
	}
	return nil
}

// given verifies and keeps the chain that was given of an account, if there is one.
func (t *tx) given(a proto.AccountID) error {
	b, err := t.get(givenKey(a))
	if err != nil || b == nil {
		return err
	}
	var p profile
	if err := decode(b, p.wire); err != nil {
		return err
	}
	t.del(givenKey(a))
	if err := t.keepChain(a, p.Links); err != nil {
		t.c.cfg.Log.Warn("a member's chain does not verify", "why", err)
	}
	return nil
}

// takeGiven verifies everything that was given, a little in each step, so that other
// steps come in between.
func (c *Client) takeGiven(ctx context.Context) error {
	for more := true; more; {
		err := c.step(ctx, func(t *tx) error {
			some, err := t.list("given/", "", atOnce)
			more = len(some) == atOnce
			for _, r := range some {
				var a proto.AccountID
				if err := parseHex(a[:], strings.TrimPrefix(r.Key, "given/")); err != nil {
					return err
				}
				if err := t.given(a); err != nil {
					return err
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		c.breathe()
	}
	return nil
}
