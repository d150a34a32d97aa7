package client

import (
	"context"
	"errors"
	"fmt"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// Any member removes the leaves of an account that was made anew. Whose role
// does not allow it gives the log's own proof, which every member verifies by
// the log key they all have pinned: the same bytes convince all of them, at
// whatever time they see them (protocol, section 1).
//
//	succession/ACCOUNT   kt.Succession by which the account lost its name

func successionKey(a proto.AccountID) string { return "succession/" + a.Hex() }

// verifySuccession returns the accounts that a proof says have lost their name.
func (t *tx) verifySuccession(b []byte) ([]kt.AccountID, error) {
	var p kt.Succession
	if err := wire.Decode(b, p.Wire); err != nil {
		return nil, err
	}
	var k logKeys
	if err := t.load("translog/keys", k.wire); err != nil {
		return nil, err
	}
	return p.Verify(k.Log)
}

// whyFormer returns the reason to remove a leaf of an account that was made
// anew, nil if this device can give none that the members accept.
func (t *tx) whyFormer(cv *conversation, who member, err error) (*reason, error) {
	me, e := t.identity()
	if err != nil || e != nil {
		return nil, errors.Join(err, e)
	}
	if cv.meta.Policy.mayRemove(me.Account, who.Account) {
		return &reason{}, nil
	}
	b, err := t.get(successionKey(who.Account))
	if err != nil || b == nil {
		return nil, err
	}
	return &reason{Succession: b}, nil
}

// formerLeaf tells why nothing is sent while an account that was made anew is
// in a conversation and this device cannot remove it; nil if it can.
func (t *tx) formerLeaf(cv *conversation, who member) error {
	gone, err := t.isFormer(who.Account)
	if err != nil || !gone {
		return err
	}
	why, err := t.whyFormer(cv, who, nil)
	if err != nil || why != nil {
		return err
	}
	return &SafetyError{
		Reason: fmt.Sprintf("the account @%s was made anew, and its old devices are still in this conversation", t.handleOf(who.Account)),
		Fix:    "an admin of it removes them with any command (huis chat members CHAT shows who is); so does this device once the log shows the new account for a day",
	}
}

// proveFormer gets the proofs for the accounts in a conversation that were made
// anew and that this device may not remove by its role.
func (c *Client) proveFormer(ctx context.Context, id proto.ConversationID) error {
	var wanted []proto.AccountID
	err := c.step(ctx, func(t *tx) error {
		wanted = nil
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.group == nil {
			return err
		}
		for _, a := range cv.accounts() {
			gone, err := t.isFormer(a)
			if err != nil {
				return err
			}
			if !gone {
				continue
			}
			if why, err := t.whyFormer(cv, member{Account: a}, nil); err != nil {
				return err
			} else if why == nil {
				wanted = append(wanted, a)
			}
		}
		return nil
	})
	for _, a := range wanted {
		if e := c.proveSuccession(ctx, a); e != nil && !refused(e) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// proveSuccession makes and keeps the proof that an account lost its name; it
// does nothing while the log does not show it.
func (c *Client) proveSuccession(ctx context.Context, a proto.AccountID) error {
	var owner proto.AccountID
	var handle string
	var early, late uint64
	var head logHead
	var k logKeys
	shown := false
	err := c.step(ctx, func(t *tx) error {
		r, err := t.recordOf(a)
		if err != nil || len(r.Holders) == 0 {
			return err
		}
		h, err := t.holding(&r)
		if err != nil {
			return err
		}
		n, err := t.name(&r)
		if err != nil {
			return err
		}
		days, err := t.witnessedDays()
		if err != nil {
			return err
		}
		owner, handle = r.Holders[h.Owner].Account, r.Handle
		if h.Owner > r.find(a) {
			early, late, shown = days.Succeeded(n, r.Index, h.Owner, t.c.now())
		}
		if head, err = t.logHead(); err != nil {
			return err
		}
		return t.load("translog/keys", k.wire)
	})
	if err != nil || !shown {
		return err
	}
	epochs, err := c.ownEpochs(ctx, head.Size)
	if err != nil || late >= uint64(len(epochs)) {
		return err
	}
	p := kt.Succession{VRF: k.VRF}
	before, err := c.chainProofAt(ctx, owner, handle, early)
	if err != nil {
		return err
	}
	then, err := c.chainProofAt(ctx, owner, handle, late)
	if err != nil {
		return err
	}
	p.Handle, p.Values = then.Handle, then.Links
	first, err1 := labelProof(before.Proof.Map, before.Proof.VRF, before.Proof.Openings)
	last, err2 := labelProof(then.Proof.Map, then.Proof.VRF, then.Proof.Openings)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	p.Before, p.Then = first.Map, *last
	p.Early, err1 = sighting(epochs, int(early), head.Checkpoint)
	p.Late, err2 = sighting(epochs, int(late), head.Checkpoint)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if _, err := p.Verify(k.Log); err != nil {
		c.cfg.Log.Warn("the server does not prove what its log says", "why", err)
		return nil
	}
	return c.step(ctx, func(t *tx) error { return t.save(successionKey(a), p.Wire) })
}

// chainProofAt asks what a distinguished epoch says of an account's name.
func (c *Client) chainProofAt(ctx context.Context, a proto.AccountID, handle string, at uint64) (*proto.ChainProofResponse, error) {
	got := new(proto.ChainProofResponse)
	return got, c.callAccount(ctx, proto.ChainProof, func(s proto.SessionID) proto.Message {
		return &proto.ChainProofRequest{Session: s, Account: a, At: at, Handle: handle}
	}, got)
}
