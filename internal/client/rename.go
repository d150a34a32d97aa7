package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// An account is called otherwise once one of its devices signed that (RENAME) and
// the log has it: the name it left ends there, the new one has the whole chain.
// Nothing but the name changes: it is the same account, with the same keys, in
// the same conversations. A device finds people by the names they left, too,
// for nobody else gets those.
//
//	renamed   renamings of the own account, oldest first

const renamedKey = "renamed"

// renaming is one change of the own name.
type renaming struct {
	From, To string
	Time     uint64 // Unix seconds, the signer's clock
	By       proto.DeviceID
}

func (r *renaming) wire(c *wire.Codec) {
	wire.String(c, &r.From, proto.MaxHandle)
	wire.String(c, &r.To, proto.MaxHandle)
	wire.Uint64(c, &r.Time)
	r.By.Wire(c)
}

type renamings struct{ All []renaming }

func (r *renamings) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Vector(c, &r.All, (*renaming).wire)
}

// Renamed says how an account was called and is.
type Renamed struct{ From, To string }

// ChangeName gives the own account another name, for everybody. It returns when the
// log has it. proto.NameTaken, proto.TooSoon.
func (c *Client) ChangeName(ctx context.Context, name string) (out Renamed, err error) {
	to, err := handle(name)
	if err != nil {
		return out, proto.Refuse(proto.BadName)
	}
	me, err := c.whoami(ctx)
	if err != nil {
		return out, err
	}
	if out = (Renamed{From: me.Handle, To: to}); to == me.Handle {
		return out, fmt.Errorf("%w: you are called @%s already", ErrExists, to)
	}
	y, err := c.placeOf(ctx, to)
	if err != nil {
		return out, err
	}
	err = c.growChain(ctx, func(chain kt.Chain, me *identity, now time.Time) ([]byte, error) {
		var r nameRecord
		err := c.step(ctx, func(t *tx) (err error) {
			if err := t.logAlarm(); err != nil {
				return err
			}
			r, err = t.ownName()
			return err
		})
		switch {
		case err != nil || chain.Name() == y:
			return nil, err
		case r.find(me.Account) < 0:
			return nil, fmt.Errorf("%w: the server's log has not shown your name yet", ErrUnreachable)
		}
		return chain.Rename(now, me.signer(), r.Index, y)
	}, func(ctx context.Context, link []byte) error {
		return c.callAccount(ctx, proto.Rename, func(s proto.SessionID) proto.Message {
			return &proto.RenameRequest{Session: s, Handle: to, Link: link}
		}, &proto.Empty{})
	})
	if err != nil {
		return out, err
	}
	if me, err = c.whoami(ctx); err == nil && me.Handle != to {
		err = &SafetyError{
			Reason: fmt.Sprintf("the server took the signature by which you are called @%s, and does not show it in its log", to),
			Fix:    "tell the server's operator",
		}
	}
	return out, err
}

// placeOf returns where in the log's map a name is, as the log's VRF proves it:
// the server cannot have one name signed and log another.
func (c *Client) placeOf(ctx context.Context, handle string) (kt.Index, error) {
	k, err := c.logKeys(ctx)
	if err != nil {
		return kt.Index{}, err
	}
	var got proto.NamePlaceResponse
	err = c.callAccount(ctx, proto.NamePlace, func(s proto.SessionID) proto.Message {
		return &proto.NamePlaceRequest{Session: s, Handle: handle}
	}, &got)
	if err != nil {
		return kt.Index{}, err
	}
	out, err := k.VRF.Verify(kt.MapLabel(kt.KindAccount, []byte(handle)), kt.VRFProof(got.VRF))
	if err != nil {
		return kt.Index{}, &SafetyError{
			Reason: fmt.Sprintf("the server does not prove where in its log the name @%s is", handle),
			Fix:    "talk to the server's operator; nothing was changed",
		}
	}
	return kt.MapIndex(out), nil
}

// stillCalled tells who asks for an account by a name it left how it is called.
func (c *Client) stillCalled(ctx context.Context, a proto.AccountID, handle string) error {
	got, _, err := c.askChain(ctx, a, "")
	if err == nil && got.Handle != handle {
		err = fmt.Errorf("%w: @%s is called @%s now", ErrUnknownPerson, handle, got.Handle)
	}
	return err
}

// askLeft asks for the proof of the name an account is known by, if the server
// shows it under another one; nil if not.
func (c *Client) askLeft(ctx context.Context, a proto.AccountID, shown string) (*proto.ChainProofResponse, error) {
	known := ""
	err := c.step(ctx, func(t *tx) (err error) {
		known, err = t.knownName(a)
		return err
	})
	if err != nil || known == "" || known == shown {
		return nil, err
	}
	left, _, err := c.askChain(ctx, a, known)
	if errors.Is(err, proto.UnknownAccount) || err == nil && left.Handle != known {
		return nil, otherName(known, shown)
	}
	return left, err
}

// takeLeft keeps the proof of the name an account was known by: a device of the
// account signed that it leaves it, and the chain under the name it is shown by
// goes on from there.
func (t *tx) takeLeft(a proto.AccountID, k logKeys, got, left *proto.ChainProofResponse) error {
	if left == nil {
		return nil
	}
	leaf, err := t.checkLogged(k, left)
	if err == nil {
		err = t.checkNewest(leaf)
	}
	if err != nil {
		return err
	}
	if _, err := t.keepName(a, left, leaf); err != nil {
		return err
	}
	n, err := kt.VerifyName(leaf.Index, left.Links)
	if err != nil {
		return err
	}
	shown, err := t.checkLogged(k, got)
	if err != nil {
		return err
	}
	now, err := kt.VerifyName(shown.Index, got.Links)
	if err != nil {
		return falseName(got, err)
	}
	if !leads(a, &n, &now) {
		return otherName(left.Handle, got.Handle)
	}
	return nil
}

// leads tells whether an account went by its own links from one name to another:
// it has left the first, has the second, and the chain under
// that goes on from the one under the first.
func leads(a proto.AccountID, from, to *kt.Name) bool {
	i, ok := to.Find(kt.AccountID(a))
	before := from.Last()
	if !ok || before.Account() != kt.AccountID(a) || !before.Chain.Left(from.Index) {
		return false
	}
	now := &to.Holders[i]
	return !now.Chain.Left(to.Index) && len(now.Links) >= len(before.Links) &&
		slices.EqualFunc(now.Links[:len(before.Links)], before.Links, bytes.Equal)
}

// fetchLeft brings up to date what the log says of a name that an account left.
func (c *Client) fetchLeft(ctx context.Context, a proto.AccountID, handle string) error {
	got, k, err := c.askChain(ctx, a, handle)
	if err != nil {
		return err
	}
	err = c.step(ctx, func(t *tx) error {
		leaf, err := t.checkLogged(k, got)
		if err == nil && got.Handle != handle {
			err = otherName(handle, got.Handle)
		}
		if err == nil {
			err = t.checkNewest(leaf)
		}
		if err == nil {
			_, err = t.keepName(a, got, leaf)
		}
		return err
	})
	return c.provedFalse(ctx, k, err)
}

// findLeft makes an account be found by a name it left, if it is called
// otherwise by now.
func (c *Client) findLeft(ctx context.Context, a proto.AccountID, handle string) error {
	found := false
	err := c.step(ctx, func(t *tx) error {
		named, known, err := t.accountOf(handle)
		found = known && named == a
		return err
	})
	if err != nil || found {
		return err
	}
	err = c.fetchLeft(ctx, a, handle)
	if errors.Is(err, proto.UnknownAccount) {
		return nil // the caller says that it is not found
	}
	return err
}

// calledHere tells whether a name is, or was last, what an account is called: by
// its own links; without a RENAME it is the one this device knew first.
func (t *tx) calledHere(a proto.AccountID, r *nameRecord) (bool, error) {
	chain, _, err := t.chain(a)
	if err != nil {
		return false, err
	}
	if now := chain.Name(); now != (kt.Index{}) {
		return now == r.Index, nil
	}
	b, err := t.get("name/" + a.Hex())
	if err != nil || b == nil || bareName(string(b)) == bareName(r.Handle) {
		return true, err
	}
	other, err := t.recordOf(a)
	return other.find(a) < 0 || other.Handle == r.Handle, err
}

// leftName tells whether an account is found by a handle that it left.
func (t *tx) leftName(a proto.AccountID, handle string) bool {
	return bareName(t.handleOf(a)) != handle
}

// dropHearsay forgets a handle that only a member told of an account: the log
// knows it by another one and never by this.
func (t *tx) dropHearsay(a proto.AccountID, handle string) error {
	r, err := t.nameRecord(handle)
	if err != nil || r.find(a) >= 0 {
		return err
	}
	if now, known, err := t.accountOf(handle); err != nil || !known || now != a {
		return err
	}
	t.del("handle/" + handle)
	return nil
}

// nowCalled returns the record of a name, or of the one its account has by now.
func (t *tx) nowCalled(handle string) (nameRecord, error) {
	r, err := t.nameRecord(handle)
	if err != nil || len(r.Holders) == 0 {
		return r, err
	}
	h, err := t.holding(&r)
	if err != nil {
		return r, err
	}
	a := r.Holders[h.Owner].Account
	if chain, _, err := t.chain(a); err != nil || !chain.Left(r.Index) {
		return r, err
	}
	if now, err := t.recordOf(a); err != nil || now.find(a) >= 0 {
		return now, err
	}
	return r, nil
}

// followOwnName takes the name over that a device of the own account signed.
func (t *tx) followOwnName(me *identity, r *nameRecord) error {
	chain, _, err := t.chain(me.Account)
	if err != nil || chain.Name() != r.Index || me.Handle == r.Handle {
		return err
	}
	var all renamings
	if err := t.load(renamedKey, all.wire); err != nil {
		return err
	}
	links := chain.Renames()
	last := links[len(links)-1]
	all.All = append(all.All, renaming{From: me.Handle, To: r.Handle, Time: uint64(last.Time.Unix()), By: proto.DeviceID(last.By)})
	changed := *me
	changed.Handle = r.Handle
	return errors.Join(t.saveIdentity(&changed), t.giveName(me.Account, r.Handle), t.save(renamedKey, all.wire))
}

// nameRenaming tells of a renaming by those of its names that this device knows;
// now is the one the account has.
func (t *tx) nameRenaming(ev *TrustEvent, now string, a proto.AccountID) error {
	chain, _, err := t.chain(a)
	if err != nil {
		return err
	}
	all, err := t.nameRecords()
	if err != nil {
		return err
	}
	called := func(x kt.Index) string {
		i := slices.IndexFunc(all, func(r nameRecord) bool { return r.Index == x })
		if i < 0 {
			return ""
		}
		return all[i].Handle
	}
	for _, r := range chain.Renames() {
		if r.Link == ev.link {
			ev.From, ev.To = called(r.From), called(r.To)
		}
	}
	switch {
	case ev.From != "" && ev.To != "":
		ev.Text = fmt.Sprintf("@%s is called @%s now; a device of theirs signed that", ev.From, ev.To)
	case ev.To != "":
		ev.Text = fmt.Sprintf("The account took the name @%s; a device of theirs signed that", ev.To)
	default:
		ev.Text = fmt.Sprintf("@%s changed names; a device of theirs signed that", now)
	}
	return nil
}

// ownNames are the names of the own account, the present one first.
func (t *tx) ownNames() ([]string, error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	var all renamings
	err = t.load(renamedKey, all.wire)
	names := []string{me.Handle}
	for _, r := range all.All {
		if !slices.Contains(names, r.From) {
			names = append(names, r.From)
		}
	}
	return names, err
}

// ownChains is the own chain under each of its names: up to the RENAME by which
// it left one, whole under the name it has, which comes last.
func (t *tx) ownChains() (all []proto.GiveAccountRequest, err error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	chain, _, err := t.chain(me.Account)
	if err != nil {
		return nil, err
	}
	links, err := t.links(me.Account)
	if err != nil || len(links) == 0 {
		return nil, err
	}
	names, err := t.ownNames()
	if err != nil {
		return nil, err
	}
	for _, name := range names[1:] {
		r, err := t.nameRecord(name)
		if err != nil {
			return nil, err
		}
		for _, left := range slices.Backward(chain.Renames()) {
			if left.From == r.Index {
				all = append(all, proto.GiveAccountRequest{Handle: name, Links: links[:left.Link+1]})
				break
			}
		}
	}
	return append(all, proto.GiveAccountRequest{Handle: me.Handle, Links: links}), nil
}

// tellRenaming is how long a device says that another one changed the name.
const tellRenaming = 14 * 24 * time.Hour

// renameWarnings tells of changes of the own name that another device signed.
func (t *tx) renameWarnings() (out []string, err error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	var all renamings
	if err := t.load(renamedKey, all.wire); err != nil {
		return nil, err
	}
	for _, r := range all.All {
		at := unixTime(r.Time)
		if r.By == me.Device || t.c.now().Sub(at) > tellRenaming {
			continue
		}
		out = append(out, fmt.Sprintf("device %s of yours changed your name from @%s to @%s on %s; if that was not you: huis devices revoke %s",
			r.By.Hex()[:8], r.From, r.To, at.Format(time.DateOnly), r.By.Hex()[:8]))
	}
	return out, nil
}

// falseNameError is an answer by which the log breaks the rules of names.
type falseNameError struct {
	got   *proto.ChainProofResponse
	cause error
}

func (e *falseNameError) Error() string { return e.cause.Error() }
func (e *falseNameError) Unwrap() error { return e.cause }

// falseName keeps the answer with what it breaks, if that proves something.
func falseName(got *proto.ChainProofResponse, err error) error {
	if kt.BreaksName(err) {
		return &falseNameError{got, err}
	}
	return err
}

// provedFalse makes an alarm of an answer that breaks the rules of names, with
// the proof; other errors stay what they are.
func (c *Client) provedFalse(ctx context.Context, k logKeys, err error) error {
	var bad *falseNameError
	if !errors.As(err, &bad) {
		return err
	}
	reason := fmt.Sprintf("the server's log breaks the rules of names, for @%s: %s", bad.got.Handle, strings.TrimPrefix(bad.cause.Error(), "kt: "))
	_, proof, err := c.nameProof(ctx, bad.got)
	if err != nil {
		return c.distrustLog(ctx, reason, nil)
	}
	return c.distrustProved(ctx, reason, k, &kt.FalseName{Takeover: proof})
}
