package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// A device watches its own account in the log: every session, and whenever the
// log has a new epoch, what the log says of the own name is compared with what
// this device knows. What no device of the account signed is an alarm, and while
// it does not count yet the device can object.
//
//	takeover/ACCOUNT   the evidence of this account's taking the own name was kept
//	nameisnew          the own account was made under a name nobody was to have before

// ownName is the own name's record, without Holders if there is none yet.
func (t *tx) ownName() (nameRecord, error) {
	me, err := t.identity()
	if err != nil {
		return nameRecord{}, err
	}
	return t.nameRecord(me.Handle)
}

// watchOwn returns the alarm there is about the own account, nil if all is well.
func (c *Client) watchOwn(ctx context.Context) error {
	var alarm error
	var r nameRecord
	var taker *proto.AccountID
	err := c.step(ctx, func(t *tx) (err error) {
		alarm, taker = nil, nil
		if r, err = t.ownName(); err != nil || len(r.Holders) == 0 {
			return err
		}
		if alarm, taker, err = t.ownAlarm(&r); err != nil || taker == nil {
			return err
		}
		if b, err := t.get("takeover/" + taker.Hex()); err != nil || b != nil {
			taker = nil
			return err
		}
		return nil
	})
	if err != nil || alarm == nil || taker == nil {
		return errors.Join(err, alarm)
	}
	return c.keepTakeover(ctx, alarm, *taker)
}

// ownAlarm judges what the log says of the own name. taker is the account that
// has it, or asks for it, without a signature of this one.
func (t *tx) ownAlarm(r *nameRecord) (alarm error, taker *proto.AccountID, err error) {
	me, err := t.identity()
	if err != nil {
		return nil, nil, err
	}
	own := r.find(me.Account)
	if own < 0 {
		return &SafetyError{
			Reason: fmt.Sprintf("the server's log has your name @%s without your account", r.Handle),
			Fix:    "tell your contacts by another way; huis verify @NAME shows the words to compare",
		}, nil, nil
	}
	n, err := t.name(r)
	if err != nil {
		return nil, nil, err
	}
	before, err := t.heldBefore(n, r, own)
	if err != nil {
		return nil, nil, err
	}
	if before != nil {
		return heldAlarm(r, before), &before.Account, nil
	}
	if r.Holders[own].Veto != 0 {
		return &SafetyError{
			Reason: fmt.Sprintf("a device of the account that had the name @%s before refused this account", r.Handle),
			Fix:    "your contacts accept you all the same once they compare safety words with you: huis verify @THEM shows yours",
		}, nil, nil
	}
	for i := own + 1; i < len(r.Holders); i++ {
		k := r.Holders[i]
		if to, closed := n.Holders[own].Chain.Closed(); k.Veto != 0 && !t.late(n, r, i) || closed && to == kt.AccountID(k.Account) {
			continue
		}
		return t.takenAlarm(n, r, i), &k.Account, nil
	}
	return nil, nil, nil
}

// nameIsNewKey says that the own account was made by an invitation for a new
// name: whoever stands before it in the log had the name without this person.
const nameIsNewKey = "nameisnew"

// heldBefore returns who had the own name before, unknown to this person, and is
// still taken for them by whoever met that account first; nil if nobody did.
func (t *tx) heldBefore(n *kt.Name, r *nameRecord, own int) (*holderRecord, error) {
	isNew, err := t.get(nameIsNewKey)
	if err != nil || isNew == nil || own == 0 || t.late(n, r, own) {
		return nil, err
	}
	return &r.Holders[own-1], nil
}

func heldAlarm(r *nameRecord, before *holderRecord) error {
	since := ""
	if before.Logged != 0 {
		since = ", since " + time.Unix(int64(before.Logged), 0).UTC().Format(time.DateOnly)
	}
	return &SafetyError{
		Reason: fmt.Sprintf("the server's log had your name @%s for another account before yours%s: who wrote to @%s before you joined wrote to that one", r.Handle, since, r.Handle),
		Fix:    "tell your contacts by another way; they accept you once they compare safety words with you: huis verify @THEM shows yours",
	}
}

// late tells whether a holder counts: a veto against it comes too late.
func (t *tx) late(n *kt.Name, r *nameRecord, i int) bool {
	days, err := t.witnessedDays()
	return err == nil && days.Holder(n, r.Index, kt.CoolDown, t.c.now()).Owner >= i
}

func (t *tx) takenAlarm(n *kt.Name, r *nameRecord, i int) error {
	since := time.Unix(int64(r.Holders[i].Logged), 0).UTC().Format(time.DateOnly)
	if t.late(n, r, i) {
		return &SafetyError{
			Reason: fmt.Sprintf("your account @%s was made anew on %s, and this device is not part of the new one", r.Handle, since),
			Fix:    "if that was you: huis link adds this device to the new account, in another folder (--profile DIR); if not: tell everybody by another way, and the server's operator",
		}
	}
	return &SafetyError{
		Reason: fmt.Sprintf("somebody made your account @%s anew on %s; your contacts will take the new one for you in about a day", r.Handle, since),
		Fix:    "if that was not you: huis veto stops it, from this or any other device of yours; if it was you: nothing is to be done here",
	}
}

// keepTakeover keeps the proof of what the log says of the own name, once.
func (c *Client) keepTakeover(ctx context.Context, alarm error, taker proto.AccountID) error {
	k, proof, err := c.takeoverProof(ctx)
	if err == nil {
		err = proof.Verify(k.Log)
	}
	if err != nil {
		c.cfg.Log.Warn("the evidence will be kept later", "why", err)
		return alarm
	}
	err = c.step(ctx, func(t *tx) error {
		t.put("takeover/"+taker.Hex(), nil)
		return nil
	})
	if err != nil {
		return errors.Join(alarm, err)
	}
	return c.keepProof(ctx, alarm, proof.Armored(k.Log))
}

// takeoverProof makes the proof out of what the server says now and the log as
// this device has replayed it.
func (c *Client) takeoverProof(ctx context.Context) (k logKeys, p kt.Takeover, err error) {
	me, err := c.whoami(ctx)
	if err != nil {
		return k, p, err
	}
	var got proto.ChainProofResponse
	err = c.callAccount(ctx, proto.ChainProof, func(s proto.SessionID) proto.Message {
		return &proto.ChainProofRequest{Session: s, Account: me.Account}
	}, &got)
	if err != nil {
		return k, p, err
	}
	return c.nameProof(ctx, &got)
}

// nameProof makes the proof of what the log has under a name.
func (c *Client) nameProof(ctx context.Context, got *proto.ChainProofResponse) (k logKeys, p kt.Takeover, err error) {
	if k, err = c.logUpTo(ctx, got.Proof.Epoch); err != nil {
		return k, p, err
	}
	var head logHead
	if err := c.step(ctx, func(t *tx) (err error) { head, err = t.logHead(); return err }); err != nil {
		return k, p, err
	}
	epochs, err := c.ownEpochs(ctx, head.Size)
	if err != nil {
		return k, p, err
	}
	if got.Proof.Epoch >= uint64(len(epochs)) {
		return k, p, errors.New("the server proves by an epoch its log does not have")
	}
	p = kt.Takeover{VRF: k.VRF, Handle: got.Handle, Values: got.Links}
	if p.Sighting, err = sighting(epochs, int(got.Proof.Epoch), head.Checkpoint); err != nil {
		return k, p, err
	}
	proof, err := labelProof(got.Proof.Map, got.Proof.VRF, got.Proof.Openings)
	if err != nil {
		return k, p, err
	}
	p.Proof = *proof
	return k, p, nil
}

// ErrNothingToRefuse: nobody asks for the name of this account.
var ErrNothingToRefuse = errors.New("nobody has taken over the name of this account")

// Veto refuses, as a device of this account, the account that is to have its
// name. Contacts keep to this one. It returns the account refused.
func (c *Client) Veto(ctx context.Context) (refused string, err error) {
	me, err := c.whoami(ctx)
	if err != nil {
		return "", err
	}
	if err := c.refreshChain(ctx, me.Account); err != nil {
		return "", err
	}
	var statement []byte
	err = c.step(ctx, func(t *tx) error {
		r, err := t.ownName()
		if err != nil {
			return err
		}
		_, taker, err := t.ownAlarm(&r)
		if err != nil {
			return err
		}
		if taker == nil || r.last() == me.Account {
			return ErrNothingToRefuse
		}
		chain, _, err := t.chain(me.Account)
		if err != nil {
			return err
		}
		refused = r.last().Hex()
		statement, err = chain.Veto(t.c.now(), me.signer(), kt.AccountID(r.last()))
		return err
	})
	if err != nil {
		return "", err
	}
	err = c.callAccount(ctx, proto.Veto, func(s proto.SessionID) proto.Message {
		return &proto.VetoRequest{Session: s, Statement: statement}
	}, &proto.Empty{})
	if errors.Is(err, proto.Forbidden) {
		return "", &SafetyError{
			Reason: "it is too late to object: the new account counts already",
			Fix:    "tell everybody by another way, and the server's operator; contacts can still compare safety words with you",
		}
	}
	if err != nil {
		return "", err
	}
	return refused, c.refreshChain(ctx, me.Account)
}

// InviteReset makes an invitation by which the person called handle makes their
// account anew under the same name; only admins of the server may.
func (c *Client) InviteReset(ctx context.Context, name string, expires time.Duration) (Invitation, error) {
	h, err := handle(name)
	if err != nil {
		return Invitation{}, err
	}
	me, err := c.whoami(ctx)
	if err != nil {
		return Invitation{}, err
	}
	if h == me.Handle {
		return Invitation{}, fmt.Errorf("%w: your own account is alive; huis devices lists its devices", ErrForbidden)
	}
	var there proto.LookupResponse
	err = c.callAccount(ctx, proto.Lookup, func(s proto.SessionID) proto.Message {
		return &proto.LookupRequest{Session: s, Handle: h}
	}, &there)
	if err == nil {
		err = c.stillCalled(ctx, there.Account, h)
	}
	if errors.Is(err, proto.UnknownAccount) {
		return Invitation{}, fmt.Errorf("%w: @%s", ErrUnknownPerson, h)
	}
	if err != nil {
		return Invitation{}, err
	}
	inv := Invitation{
		Server: c.server, Token: proto.New[proto.Token](), Inviter: me.Account, Reset: h,
		Expires: c.now().Add(expires).UTC().Truncate(time.Second),
	}
	err = c.callAccount(ctx, proto.Invite, func(s proto.SessionID) proto.Message {
		return &proto.InviteRequest{Session: s, TokenHash: inv.Token.ResetHash(h), Uses: 1, Expires: uint64(inv.Expires.Unix())}
	}, &proto.Empty{})
	return inv, err
}
