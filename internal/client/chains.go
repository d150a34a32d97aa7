package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// chainAge is how old what this device knows of a member's devices may be when
// it writes to them (protocol, section 7).
const chainAge = 24 * time.Hour

// chainRecord is an account's chain as this device has verified it.
//
//	chain/ACCOUNT   chainRecord
//	name/ACCOUNT    handle
//	handle/HANDLE   account
//	seek/ACCOUNT    a message waits for this chain to be shown
type chainRecord struct {
	Links   [][]byte
	Checked uint64 // Unix seconds of the server's last answer
}

func (r *chainRecord) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Vector(c, &r.Links, func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, proto.MaxLink) })
	wire.Uint64(c, &r.Checked)
}

func (t *tx) chainRecord(a proto.AccountID) (r chainRecord, err error) {
	err = t.load("chain/"+a.Hex(), r.wire)
	if err == nil && len(r.Links) == 0 {
		var some bool
		if some, err = t.givenOf(a); some && err == nil {
			err = t.load("chain/"+a.Hex(), r.wire)
		}
	}
	t.c.checked[a] = r.Checked
	return r, err
}

// links returns the stored links of an account, none if it is unknown.
func (t *tx) links(a proto.AccountID) ([][]byte, error) {
	r, err := t.chainRecord(a)
	return r.Links, err
}

// chain returns the verified chain of an account; false if it is unknown.
func (t *tx) chain(a proto.AccountID) (kt.Chain, bool, error) {
	if c, ok := t.c.chains[a]; ok {
		return c, true, nil
	}
	links, err := t.links(a)
	if err != nil || len(links) == 0 {
		return kt.Chain{}, false, err
	}
	c, err := kt.Restore(links) // verified when they were stored
	if err != nil {
		return c, false, fmt.Errorf("stored chain: %w", err)
	}
	t.c.chains[a] = c
	return c, true, nil
}

// keepChain verifies links, all from GENESIS on, and keeps them if they go on
// from what is known. A chain that differs from the known one is a split view.
func (t *tx) keepChain(a proto.AccountID, links [][]byte) error {
	r, err := t.chainRecord(a)
	if err != nil {
		return err
	}
	for i := range min(len(r.Links), len(links)) {
		if !bytes.Equal(r.Links[i], links[i]) {
			return &SafetyError{
				Reason: fmt.Sprintf("there are two versions of the device keys of %s", t.handleOf(a)),
				Fix:    "ask the person by another way which devices are theirs",
			}
		}
	}
	if len(links) <= len(r.Links) && len(r.Links) > 0 {
		return nil // nothing this device has not verified
	}
	c, err := kt.Verify(links)
	if err != nil {
		return err
	}
	if err := t.meetPin(a, links); err != nil {
		return err
	}
	if c.Account() != kt.AccountID(a) {
		return &SafetyError{Reason: "a chain of device keys belongs to another account than named", Fix: "tell the server's operator"}
	}
	t.c.chains[a] = c
	r.Links = links
	if err := t.save("chain/"+a.Hex(), r.wire); err != nil {
		return err
	}
	return t.ownChainGrew(a, c)
}

// handleOf returns the name of an account, the start of its identifier if this
// device knows none.
func (t *tx) handleOf(a proto.AccountID) string {
	if b, err := t.get("name/" + a.Hex()); err == nil && len(b) > 0 {
		return string(b)
	}
	if some, err := t.givenOf(a); err == nil && some {
		if b, err := t.get("name/" + a.Hex()); err == nil && len(b) > 0 {
			return string(b)
		}
	}
	return a.Hex()[:12]
}

// accountOf returns the account known under a handle.
func (t *tx) accountOf(handle string) (a proto.AccountID, known bool, err error) {
	b, err := t.get("handle/" + handle)
	if err != nil || len(b) != len(a) {
		return a, false, err
	}
	copy(a[:], b)
	return a, true, nil
}

// keepHandle keeps an account's name. A name this device knows for another
// account is not taken over.
func (t *tx) keepHandle(a proto.AccountID, handle string) error {
	old, known, err := t.accountOf(handle)
	if err != nil || known && old == a {
		return err
	}
	if known {
		return &SafetyError{
			Reason: fmt.Sprintf("the name %q stood for another account until now", handle),
			Fix:    "ask the person by another way whether the account was made anew",
		}
	}
	if b, err := t.get("name/" + a.Hex()); err != nil || b != nil {
		return err
	}
	t.put("handle/"+handle, bytes.Clone(a[:]))
	t.put("name/"+a.Hex(), []byte(handle))
	return nil
}

// freshChain returns an account's chain as the server had it at most maxAge
// ago. Without an answer it returns what is known, with the error.
func (c *Client) freshChain(ctx context.Context, a proto.AccountID, maxAge time.Duration) (kt.Chain, error) {
	var r chainRecord
	err := c.step(ctx, func(t *tx) (err error) {
		r, err = t.chainRecord(a)
		return err
	})
	if err != nil {
		return kt.Chain{}, err
	}
	age := c.now().Sub(time.Unix(int64(r.Checked), 0))
	if len(r.Links) == 0 || age >= maxAge || age < 0 {
		if err := c.refreshChain(ctx, a); err != nil {
			return kt.Chain{}, err
		}
	}
	var chain kt.Chain
	err = c.step(ctx, func(t *tx) (err error) {
		chain, _, err = t.chain(a)
		return err
	})
	return chain, err
}

// refreshChain fetches what the log says of an account, checks it against the
// log as this device has replayed it, and keeps it. A log that has less than
// this device has verified already is asked once more, for another process may
// have been faster.
func (c *Client) refreshChain(ctx context.Context, a proto.AccountID) error {
	err := c.fetchChain(ctx, a)
	if errors.Is(err, errBehind) || errors.Is(err, errStale) {
		err = c.fetchChain(ctx, a)
	}
	if errors.Is(err, errStale) {
		return c.stale(ctx, a)
	}
	if !errors.Is(err, errBehind) {
		return err
	}
	return &SafetyError{
		Reason: "the server's log lacks device keys that this device has verified",
		Fix:    "ask the person by another way which devices are theirs, and tell the server's operator",
	}
}

// stale says that the server shows less of an account than the log has.
func (c *Client) stale(ctx context.Context, a proto.AccountID) error {
	return c.step(ctx, func(t *tx) error {
		name, err := t.knownName(a)
		if err != nil {
			return err
		}
		if name == "" {
			name = t.handleOf(a)
		}
		return staleError(name)
	})
}

func (c *Client) fetchChain(ctx context.Context, a proto.AccountID) error {
	got, k, err := c.askChain(ctx, a, "")
	if err != nil {
		return err
	}
	left, err := c.askLeft(ctx, a, got.Handle)
	if err != nil {
		return err
	}
	err = c.takeChain(ctx, a, k, got, left)
	if !errors.Is(err, errUnvouched) {
		return c.provedFalse(ctx, k, err)
	}
	if err := c.syncTranslog(ctx); err != nil { // witnesses may have come back
		return err
	}
	return c.provedFalse(ctx, k, c.takeChain(ctx, a, k, got, left))
}

// askChain asks what the log says of an account under a name that it left, ""
// for the one it has. What the answer proves by is replayed then.
func (c *Client) askChain(ctx context.Context, a proto.AccountID, handle string) (*proto.ChainProofResponse, logKeys, error) {
	got := new(proto.ChainProofResponse)
	err := c.callAccount(ctx, proto.ChainProof, func(s proto.SessionID) proto.Message {
		return &proto.ChainProofRequest{Session: s, Account: a, Handle: handle}
	}, got)
	if err != nil {
		return nil, logKeys{}, err
	}
	k, err := c.logUpTo(ctx, got.Proof.Epoch)
	return got, k, err
}

// takeChain keeps what a proof shows of an account; left is the proof of the name
// it was known by, if that is another one. Of links that cannot be accepted yet
// it keeps those that only take keys away, and says why.
func (c *Client) takeChain(ctx context.Context, a proto.AccountID, k logKeys, got, left *proto.ChainProofResponse) error {
	var unvouched error
	err := c.step(ctx, func(t *tx) error {
		unvouched = nil
		if err := t.takeLeft(a, k, got, left); err != nil {
			return err
		}
		leaf, err := t.checkLogged(k, got)
		if err == nil && left == nil {
			err = t.checkShown(a, got.Handle)
		}
		if err == nil {
			err = t.checkNewest(leaf)
		}
		if err == nil {
			unvouched, err = t.keepName(a, got, leaf)
		}
		if err != nil {
			return err
		}
		r, err := t.chainRecord(a)
		if err != nil || len(r.Links) == 0 {
			return err
		}
		if unvouched == nil {
			r.Checked = uint64(c.now().Unix())
		}
		c.checked[a] = r.Checked
		return t.save("chain/"+a.Hex(), r.wire)
	})
	return errors.Join(err, unvouched)
}

// settledChain is freshChain for who talks on with what is known: news that
// cannot be accepted yet wait.
func (c *Client) settledChain(ctx context.Context, a proto.AccountID, maxAge time.Duration) error {
	_, err := c.freshChain(ctx, a, maxAge)
	if errors.Is(err, errUnvouched) {
		c.cfg.Log.Warn("new keys of somebody have to wait", "why", err)
		return nil
	}
	return err
}

// logUpTo makes sure that this device has replayed an epoch.
func (c *Client) logUpTo(ctx context.Context, epoch uint64) (k logKeys, err error) {
	var size uint64
	err = c.step(ctx, func(t *tx) error {
		h, err := t.logHead()
		size = h.Size
		return err
	})
	if err != nil {
		return k, err
	}
	if size <= epoch || c.logDue() {
		if err := c.syncTranslog(ctx); err != nil {
			return k, err
		}
	}
	return c.logKeys(ctx)
}

// checkLogged checks the proof of a name's values: exactly they stand in the
// map of an epoch this device has replayed, in the leaf it returns.
func (t *tx) checkLogged(k logKeys, got *proto.ChainProofResponse) (*kt.MapLeaf, error) {
	e, found, err := t.logEpochAt(got.Proof.Epoch)
	if err != nil {
		return nil, err
	}
	lie := &SafetyError{
		Reason: fmt.Sprintf("the keys the server shows for @%s do not stand in its log", got.Handle),
		Fix:    "ask the person by another way which devices are theirs, and tell the server's operator",
	}
	if !found {
		return nil, lie
	}
	proof, err := labelProof(got.Proof.Map, got.Proof.VRF, got.Proof.Openings)
	if err != nil {
		return nil, lie
	}
	leaf, err := proof.Verify(k.VRF, kt.KindAccount, []byte(got.Handle), e.Record.MapRoot, got.Links)
	if err != nil || leaf == nil {
		return nil, lie
	}
	return leaf, nil
}

// lookup returns the account of a handle: the one this device knows, else the
// one the server names. ErrUnknownPerson if there is none.
func (c *Client) lookup(ctx context.Context, handle string) (a proto.AccountID, err error) {
	known := false
	err = c.step(ctx, func(t *tx) (err error) {
		a, known, err = t.accountOf(handle)
		return err
	})
	if err != nil {
		return a, err
	}
	if known {
		return c.knownAs(ctx, handle, a)
	}
	var got proto.LookupResponse
	err = c.callAccount(ctx, proto.Lookup, func(s proto.SessionID) proto.Message {
		return &proto.LookupRequest{Session: s, Handle: handle}
	}, &got)
	if errors.Is(err, proto.UnknownAccount) || errors.Is(err, proto.NoAccount) || errors.Is(err, proto.BadName) {
		return a, fmt.Errorf("%w: @%s", ErrUnknownPerson, handle)
	}
	if err != nil {
		return a, err
	}
	if err := c.refreshChain(ctx, got.Account); err != nil {
		return a, err
	}
	if err := c.findLeft(ctx, got.Account, handle); err != nil {
		return a, err
	}
	return got.Account, c.step(ctx, func(t *tx) error {
		if err := t.mayAcceptKeys(); err != nil {
			return err
		}
		if err := t.settledName(handle); err != nil {
			return err
		}
		if named, known, err := t.accountOf(handle); err != nil || !known || named != got.Account {
			return errors.Join(err, &SafetyError{
				Reason: fmt.Sprintf("the account the server names for @%s has another name in its log", handle),
				Fix:    "ask the person by another way, and tell the server's operator",
			})
		}
		k := contact{Account: got.Account, Handle: t.handleOf(got.Account)}
		return t.tellOwn(eventContact, k.wire)
	})
}

// standing tells what is known of a leaf.
func (t *tx) standing(m *mls.Member) (kt.Standing, member, error) {
	who, err := memberOf(&m.Credential)
	if err != nil {
		return kt.Unproven, who, err
	}
	c, known, err := t.chain(who.Account)
	if err != nil || !known || len(m.SignatureKey) != len(kt.MessagePublicKey{}) {
		return kt.Unproven, who, err
	}
	if gone, err := t.isFormer(who.Account); err != nil || gone {
		return kt.Revoked, who, err
	}
	return c.Leaf(kt.DeviceID(who.Device), kt.MessagePublicKey(m.SignatureKey), t.c.now()), who, nil
}

// errRevoked means that a leaf has to be removed before anything is sent.
var errRevoked = errors.New("a revoked device has to be removed first")

// proven tells why nothing may be encrypted to the conversation now: a leaf
// whose keys do not stand in its account's chain, or one that is revoked
// (protocol, sections 1 and 7).
func (t *tx) proven(cv *conversation) error {
	hidden, err := t.anyWithheld()
	if err != nil {
		return err
	}
	for _, m := range cv.group.Members() {
		s, who, err := t.standing(&m)
		if err != nil {
			return err
		}
		switch s {
		case kt.Revoked:
			if err := t.formerLeaf(cv, who); err != nil {
				return err
			}
			return errRevoked
		case kt.Unproven:
			return unprovenError(t.handleOf(who.Account), who.Device)
		}
		if !hidden {
			continue
		}
		if err := t.withheldFrom(who.Account); err != nil {
			return err
		}
	}
	return nil
}

func unprovenError(handle string, device proto.DeviceID) error {
	return &SafetyError{
		Reason: fmt.Sprintf("device %s in this conversation says it is @%s's, and that account's keys do not vouch for it", device.Hex()[:8], handle),
		Fix:    "ask @" + handle + " by another way; remove them from the conversation if the device is not theirs",
	}
}

// refreshOnce is how many chains are asked for while nothing waits to be sent: in a
// large group the rest comes with later syncs, and holds nobody up meanwhile.
const refreshOnce = 56

// refreshMembers brings the chains of a conversation's members up to date: all
// of them once a day, at once those of leaves that are not proven.
func (c *Client) refreshMembers(ctx context.Context, id proto.ConversationID) error {
	if err := c.takeGiven(ctx); err != nil {
		return err
	}
	var due map[proto.AccountID]time.Duration
	waiting := 0
	err := c.step(ctx, func(t *tx) (err error) {
		due = nil
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.group == nil {
			return err
		}
		if due, err = t.due(cv); err != nil || len(due) <= refreshOnce {
			return err
		}
		waiting, err = t.waiting(id)
		return err
	})
	if err != nil {
		return err
	}
	for i, a := range slices.SortedFunc(maps.Keys(due), compareAccounts) {
		if i == refreshOnce && waiting == 0 {
			return nil
		}
		err := c.settledChain(ctx, a, due[a])
		var bad *kt.InvalidError
		if errors.As(err, &bad) || errors.Is(err, proto.UnknownAccount) {
			c.cfg.Log.Warn("the server has no valid chain of a member", "why", err)
		} else if errors.Is(err, errLogTrouble) { // known devices talk on
			c.cfg.Log.Warn("the keys of members cannot be checked", "why", err)
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// due lists the accounts of a conversation whose chain has to be asked for, and how
// old it may be.
func (t *tx) due(cv *conversation) (map[proto.AccountID]time.Duration, error) {
	ages := map[proto.AccountID]time.Duration{}
	for _, m := range cv.group.Members() {
		s, who, err := t.standing(&m)
		if err != nil {
			return nil, err
		}
		if s == kt.Unproven {
			ages[who.Account] = 0
		} else if _, ok := ages[who.Account]; !ok {
			ages[who.Account] = chainAge
		}
	}
	for a, most := range ages {
		checked, ok := t.c.checked[a]
		if !ok {
			r, err := t.chainRecord(a)
			if err != nil {
				return nil, err
			}
			checked = r.Checked
		}
		if age := t.c.now().Sub(time.Unix(int64(checked), 0)); age >= 0 && age < most {
			delete(ages, a)
		}
	}
	return ages, nil
}

func compareAccounts(a, b proto.AccountID) int { return bytes.Compare(a[:], b[:]) }

func seekKey(a proto.AccountID) string { return "seek/" + a.Hex() }

// seekChains fetches the chains that messages wait for: those of people who
// wrote in a conversation this device was taken out of before it knew them, too.
func (c *Client) seekChains(ctx context.Context) error {
	var sought []store.Record
	err := c.step(ctx, func(t *tx) (err error) {
		sought, err = t.list("seek/", "", 0)
		return err
	})
	for _, r := range sought {
		var a proto.AccountID
		e := parseHex(a[:], strings.TrimPrefix(r.Key, "seek/"))
		if e == nil {
			_, e = c.freshChain(ctx, a, 0)
		}
		if e != nil && !definite(e) {
			return e
		}
		err = errors.Join(err, c.step(ctx, func(t *tx) error {
			t.del(r.Key)
			return nil
		}))
	}
	return err
}
