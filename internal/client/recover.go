package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// Recovering (protocol, section 8), when all devices are lost:
//
//	ask        the recovery key names the account: chain, place of the backup
//	open       the backup tells which account it has to be
//	add        the recovery key signs ADD_DEVICE
//	keep       identity, contacts, conversations, all in one commit
//	return     in each conversation: the notice rejoin, by the old member key,
//	           which any member's device answers
//
// Killed anywhere it goes on when it is started again: before keep with the same
// device, after it by any Sync.

// recovering is a device that is not part of an account yet.
type recovering struct {
	Server   ServerRef
	Recovery kt.RecoveryPublicKey
	Me       identity
}

const recoveringKey = "recovering"

func (r *recovering) wire(c *wire.Codec) {
	formatVersion(c)
	refWire(&r.Server, c)
	wire.Fixed(c, r.Recovery[:])
	r.Me.wire(c)
}

// recoveredRecord is how this device came to be, until everything has followed.
type recoveredRecord struct {
	At      uint64 // Unix seconds
	Made    uint64 // of the backup, Unix seconds; 0: there was none
	Before  []proto.DeviceID
	End     bool   // the devices in Before are to be revoked
	LogSize uint64 // of the log the backup had verified; 0: compared already
	LogRoot kt.Hash
	Former  bool   // a device that is revoked wrote the backup
	Active  uint64 // Unix seconds of the last that a lost device is known to have done
}

const recoveredKey = "recovered"

func (r *recoveredRecord) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint64(c, &r.At)
	wire.Uint64(c, &r.Made)
	wire.Vector(c, &r.Before, (*proto.DeviceID).Wire)
	wire.Bool(c, &r.End)
	wire.Uint64(c, &r.LogSize)
	wire.Fixed(c, r.LogRoot[:])
	wire.Bool(c, &r.Former)
	wire.Uint64(c, &r.Active)
}

// RecoverOptions are what a person decides.
type RecoverOptions struct {
	// WithoutBackup goes on if the server has none that opens: the device is
	// let in, and every conversation has to add it anew.
	WithoutBackup bool
	// EndOthers revokes the account's other devices once this one is back.
	EndOthers bool
}

// Recovered is what a recovered device knows at once.
type Recovered struct {
	Account string
	Handle  string
	Device  string
	Backup  time.Time // when it was made; zero: there was none
	Others  []string  // live devices of the account from before, lower-case hex
}

// ErrNoBackup: the server has no backup of the account that opens.
var ErrNoBackup = errors.New("there is no backup of this account that the recovery key opens")

// Recover makes this the account's newest device, by its recovery key alone.
// The same call again goes on with what was begun. It returns when the device
// is in the account; the conversations follow with every Sync.
func Recover(ctx context.Context, cfg Config, server ServerRef, handle string, key kt.RecoveryKey, opt RecoverOptions) (*Client, Recovered, error) {
	c, err := newClient(cfg, server)
	if err != nil {
		return nil, Recovered{}, err
	}
	me, done, err := c.beginRecover(ctx, server, handle, key)
	if err != nil {
		return nil, Recovered{}, err
	}
	if !done {
		if err := c.recoverAccount(ctx, me, key, opt); err != nil {
			return nil, Recovered{}, err
		}
	}
	r, err := c.recovered(ctx, opt)
	if err != nil {
		return nil, Recovered{}, err
	}
	if err := c.compareLog(ctx); err != nil {
		c.cfg.Log.Warn("the server's log is compared with the backup later", "why", err)
	}
	c.settleIn(ctx, proto.AccountID{})
	return c, r, nil
}

// beginRecover returns the identity of the device to be, stored; done if it is
// in the account already.
func (c *Client) beginRecover(ctx context.Context, server ServerRef, handle string, key kt.RecoveryKey) (me *identity, done bool, err error) {
	err = c.step(ctx, func(t *tx) error {
		old, err := t.get(meKey)
		if err != nil {
			return err
		}
		if old != nil {
			before, err := t.get(recoveredKey)
			if me, err2 := t.identity(); err2 != nil || before == nil || me.Handle != handle {
				return errors.Join(err, err2, errHasProfile)
			}
			done = true
			return err
		}
		var r recovering
		if err := t.load(recoveringKey, r.wire); err != nil {
			return err
		}
		if me = &r.Me; r.Server.URL == server.URL && r.Recovery == key.Public() && r.Me.Handle == handle {
			return nil
		}
		if me, err = newIdentity(handle); err != nil {
			return err
		}
		r = recovering{Server: server, Recovery: key.Public(), Me: *me}
		return t.save(recoveringKey, r.wire)
	})
	return me, done, err
}

// recoverAccount does all up to keeping the new device.
func (c *Client) recoverAccount(ctx context.Context, me *identity, key kt.RecoveryKey, opt RecoverOptions) error {
	got, chain, err := c.askRecovery(ctx, key, nil)
	if err != nil {
		return err
	}
	if got.Handle != me.Handle {
		return fmt.Errorf("this recovery key is of @%s, not of @%s", got.Handle, me.Handle)
	}
	b, former, err := c.fetchBackup(ctx, got.Backup, key, chain)
	if errors.Is(err, ErrNoBackup) && opt.WithoutBackup {
		err = nil
	}
	if err != nil {
		return err
	}
	if b != nil && !b.Own.chainIs(got.Links) {
		return &SafetyError{
			Reason: "the server shows an older or another version of your devices than your backup knew",
			Fix:    "talk to the server's operator before you go on; nothing was changed",
		}
	}
	before := chain.Live()
	me.Account = proto.AccountID(chain.Account())
	if got, chain, err = c.addRecovered(ctx, got, chain, me, key); err != nil {
		return err
	}
	d, ok := chain.Device(kt.DeviceID(me.Device))
	if !ok || d.Revoked || d.M() != kt.MessagePublicKey(me.M.PublicKey()) || chain.Account() != kt.AccountID(me.Account) {
		return errors.New("the server did not add this device to the account")
	}
	return c.step(ctx, func(t *tx) error { return t.keepRecovered(me, key, got.Links, before, b, former, opt) })
}

// askRecovery makes one request recover, and more for the rest of a long chain.
func (c *Client) askRecovery(ctx context.Context, key kt.RecoveryKey, link []byte) (got *proto.RecoverResponse, chain kt.Chain, err error) {
	info, err := c.info(ctx)
	if err != nil {
		return nil, chain, err
	}
	for {
		req := proto.RecoverRequest{Key: key.Public(), Link: link}
		if got != nil {
			req.From, req.Link = uint32(len(got.Links)), nil
		}
		if req.Nonce, err = c.nonce(ctx, Anonymous); err != nil {
			return nil, chain, err
		}
		req.Sig = key.Sign(proto.RecoverProof(info.Origin, &req))
		page := new(proto.RecoverResponse)
		if err := c.callAnon(ctx, proto.Recover, &req, page); err != nil {
			return nil, chain, err
		}
		n := len(page.Links)
		if got != nil {
			page.Links = append(got.Links, page.Links...)
		}
		got = page
		if n < proto.MaxLinks || len(got.Links) > kt.MaxLinks {
			break
		}
	}
	if chain, err = kt.Verify(got.Links); err != nil {
		return nil, chain, fmt.Errorf("the account's chain: %w", err)
	}
	if set, ok := chain.Recovery(); !ok || set != key.Public() || chain.Account() != kt.AccountID(got.Account) {
		return nil, chain, &SafetyError{
			Reason: "the server shows another account than that of the recovery key",
			Fix:    "talk to the server's operator; nothing was changed",
		}
	}
	return got, chain, nil
}

// fetchBackup reads and opens what the pointer leads to. ErrNoBackup if there is
// none, or one of an earlier recovery key.
func (c *Client) fetchBackup(ctx context.Context, pointer []byte, key kt.RecoveryKey, chain kt.Chain) (b *backup, former bool, err error) {
	var p backupPointer
	if len(pointer) == 0 {
		return nil, false, ErrNoBackup
	}
	if err := wire.Decode(pointer, p.wire); err != nil {
		return nil, false, fmt.Errorf("%w: its place cannot be read", ErrNoBackup)
	}
	sealed, err := c.getBlobOn(ctx, Account, p.Blob, p.Size, maxBackup)
	if errors.Is(err, proto.NoBlob) {
		return nil, false, fmt.Errorf("%w: the server has lost it", ErrNoBackup)
	}
	if err != nil {
		return nil, false, err
	}
	refused := func(why error) error {
		return &SafetyError{
			Reason: "the backup the server gives out is not the account's: " + why.Error(),
			Fix:    "talk to the server's operator; nothing was changed",
		}
	}
	if sha256.Sum256(sealed) != p.Hash {
		return nil, false, refused(errors.New("it is not the bytes a device stored"))
	}
	b, former, err = openBackup(sealed, key, chain)
	switch {
	case errors.Is(err, errNotOurs):
		return nil, false, fmt.Errorf("%w: it is sealed for another key", ErrNoBackup)
	case err != nil:
		return nil, false, refused(err)
	case b.Counter != p.Nr:
		return nil, false, refused(errors.New("it is another one than its place says"))
	}
	return b, former, nil
}

// addRecovered puts the device into the chain, unless it stands there already.
func (c *Client) addRecovered(ctx context.Context, got *proto.RecoverResponse, chain kt.Chain, me *identity, key kt.RecoveryKey) (*proto.RecoverResponse, kt.Chain, error) {
	e, err := me.enrolment()
	if err != nil {
		return nil, chain, err
	}
	for range linkTries {
		if _, ok := chain.Device(e.ID); ok {
			return got, chain, nil
		}
		link, err := chain.AddDevice(c.now(), kt.RecoverySigner(key), e)
		if err != nil {
			return nil, chain, err
		}
		if _, _, err = c.askRecovery(ctx, key, link); err != nil && !errors.Is(err, proto.Conflict) && !errors.Is(err, ErrUnreachable) {
			return nil, chain, err
		}
		// Whatever the answer: the chain tells whether the link is in it.
		err = c.untilReached(ctx, func() (err error) {
			got, chain, err = c.askRecovery(ctx, key, nil)
			return err
		})
		if err != nil {
			return nil, chain, err
		}
	}
	return nil, chain, errors.New("the account's devices change too often; try again later")
}

// keepRecovered stores, in one step, all that the device starts with.
func (t *tx) keepRecovered(me *identity, key kt.RecoveryKey, links [][]byte, before []kt.Device, b *backup, former bool, opt RecoverOptions) error {
	sealing, err := ownSealingKey(key)
	if err != nil {
		return err
	}
	r := recoveredRecord{At: uint64(max(0, t.c.now().Unix())), End: opt.EndOthers, Former: former}
	for _, d := range before {
		if id := proto.DeviceID(d.ID); id != me.Device {
			r.Before = append(r.Before, id)
		}
	}
	ref := t.c.server
	t.del(recoveringKey)
	err = errors.Join(
		t.save(serverKey, func(c *wire.Codec) { refWire(&ref, c) }),
		t.saveIdentity(me),
		t.keepChain(me.Account, links),
		t.keepHandle(me.Account, me.Handle),
		t.save(sealingKeyKey, sealing),
	)
	if err == nil && b != nil {
		r.Made, r.LogSize, r.LogRoot, r.Active = b.Made, b.LogSize, b.LogRoot, lastByDevice(links)
		err = t.restoreBackup(b)
	}
	return errors.Join(err, t.save(recoveredKey, r.wire))
}

// lastByDevice returns when a device last signed a link, Unix seconds.
func lastByDevice(links [][]byte) (last uint64) {
	for _, b := range links {
		if l, err := kt.ParseLink(b); err == nil && l.Signer != (kt.DeviceID{}) {
			last = max(last, l.Time)
		}
	}
	return last
}

// restoreBackup puts what a backup holds in its places.
func (t *tx) restoreBackup(b *backup) error {
	if b.LogKeys != (logKeys{}) {
		if err := t.save("translog/keys", b.LogKeys.wire); err != nil {
			return err
		}
	}
	for _, r := range b.Records {
		if slices.ContainsFunc(carried, func(prefix string) bool { return strings.HasPrefix(r.Key, prefix) }) {
			t.put(r.Key, r.Value)
		}
	}
	for _, k := range b.Contacts {
		if err := t.keepHandle(k.Account, k.Handle); err != nil {
			return err
		}
		if k.Chain.Links > 0 && k.Account != b.Account {
			if err := t.save(pinKey(k.Account), k.Chain.wire); err != nil {
				return err
			}
		}
	}
	for i := range b.Chats {
		if err := t.restoreChat(&b.Chats[i]); err != nil {
			return err
		}
	}
	made := backupMade{Nr: b.Counter, Size: minBackup} // its history goes on in the next one
	return t.save(backupMadeKey, made.wire)
}

// restoreChat makes a conversation of which the state of MLS is gone.
func (t *tx) restoreChat(h *backupChat) error {
	cv := &conversation{id: h.Conversation}
	var was meta
	if err := wire.Decode(h.Meta, was.wire); err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	if err := wire.Decode(h.Head, cv.head.wire); err != nil {
		return fmt.Errorf("the backup: %w", err)
	}
	cv.meta = meta{
		State: was.State, Policy: was.Policy, Seed: was.Seed, First: was.First, Read: was.Read, Told: was.Told,
		Since: was.Since, Reforms: was.Reforms, Successor: was.Successor, Offset: was.Offset,
	}
	if was.State == stateLive || was.State == stateBroken || was.State == stateLost {
		cv.meta.State = stateLost
		if err := t.save(returnKey(cv.id), func(c *wire.Codec) { wire.Uint32(c, &h.Others) }); err != nil {
			return err
		}
	}
	for i := range h.History {
		p := &h.History[i]
		if err := t.save(key("kept", cv.id, seqKey(p.First)), p.wire); err != nil {
			return err
		}
	}
	return errors.Join(t.saveMeta(cv), t.saveHead(cv), t.saveKeys(cv))
}

// recovered tells what has become of it, and takes a decision that was made
// now.
func (c *Client) recovered(ctx context.Context, opt RecoverOptions) (out Recovered, err error) {
	err = c.step(ctx, func(t *tx) error {
		var r recoveredRecord
		if err := t.load(recoveredKey, r.wire); err != nil {
			return err
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		out = Recovered{Account: me.Account.Hex(), Handle: me.Handle, Device: me.Device.Hex()}
		if r.Made > 0 {
			out.Backup = time.Unix(int64(r.Made), 0).UTC()
		}
		for _, d := range r.Before {
			out.Others = append(out.Others, d.Hex())
		}
		if opt.EndOthers && !r.End {
			r.End = true
			return t.save(recoveredKey, r.wire)
		}
		return nil
	})
	return out, err
}
