package client

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// Store keys of the account: "me" (identity), "server" (ServerRef), "joining"
// (a registration without answer), and those of chains.go.
const (
	meKey      = "me"
	serverKey  = "server"
	joiningKey = "joining"
)

// identity is this device within its account.
type identity struct {
	Handle  string
	Account proto.AccountID
	Device  proto.DeviceID
	M       mls.SignaturePrivateKey // message key: the leaf's in every group that has followed
	D       kt.ChainKey             // chain key: signs links
	// Former are message keys that a leaf of this device may still carry,
	// oldest first.
	Former []mls.SignaturePrivateKey
	// Next are message keys made for a ROTATE whose outcome is open.
	Next []mls.SignaturePrivateKey
	// Revoked is set when the own chain revokes this device: it stops.
	Revoked bool
}

func (m *identity) wire(c *wire.Codec) {
	formatVersion(c)
	wire.String(c, &m.Handle, proto.MaxHandle)
	m.Account.Wire(c)
	m.Device.Wire(c)
	signatureKeyWire(&m.M, c)
	chainKeyWire(&m.D, c)
	wire.Vector(c, &m.Former, signatureKeyWire)
	wire.Vector(c, &m.Next, signatureKeyWire)
	wire.Bool(c, &m.Revoked)
}

func signatureKeyWire(k *mls.SignaturePrivateKey, c *wire.Codec) {
	raw := []byte(k.Bytes())
	wire.OpaqueMax(c, &raw, 64)
	if !c.Decoding() || c.Err() != nil {
		return
	}
	var err error
	if *k, err = mls.ParseSignaturePrivateKey(suite, raw); err != nil {
		c.Fail("message key")
	}
}

func chainKeyWire(k *kt.ChainKey, c *wire.Codec) {
	raw := k.Bytes()
	wire.OpaqueMax(c, &raw, 32)
	if !c.Decoding() || c.Err() != nil {
		return
	}
	var err error
	if *k, err = kt.ParseChainKey(raw); err != nil {
		c.Fail("chain key")
	}
}

// signWith signs by a message key outside MLS: enrolments, sessions, σ.
func signWith(m mls.SignaturePrivateKey) kt.SignFunc {
	return func(b []byte) ([]byte, error) {
		return ed25519.Sign(ed25519.NewKeyFromSeed(m.Bytes()), b), nil
	}
}

// signer signs links as this device.
func (m *identity) signer() kt.Signer { return kt.DeviceSigner(kt.DeviceID(m.Device), m.D) }

// leafKey returns the message key whose public half a leaf carries.
func (m *identity) leafKey(pub mls.SignaturePublicKey) (mls.SignaturePrivateKey, error) {
	for _, k := range append([]mls.SignaturePrivateKey{m.M}, m.Former...) {
		if string(k.PublicKey()) == string(pub) {
			return k, nil
		}
	}
	return mls.SignaturePrivateKey{}, errors.New("the own leaf carries a key this device does not have")
}

// newIdentity draws the keys of a new device.
func newIdentity(handle string) (*identity, error) {
	m, _, err := mls.GenerateSignatureKey(suite)
	if err != nil {
		return nil, err
	}
	return &identity{Handle: handle, Device: proto.New[proto.DeviceID](), M: m, D: kt.GenerateChainKey()}, nil
}

// enrolment states the device's keys for its account.
func (m *identity) enrolment() (kt.Enrolment, error) {
	return kt.NewEnrolment(kt.AccountID(m.Account), kt.DeviceID(m.Device), m.D, kt.MessagePublicKey(m.M.PublicKey()), signWith(m.M))
}

// identity returns who this device is, or ErrNoProfile.
func (t *tx) identity() (*identity, error) {
	if t.c.me != nil {
		return t.c.me, nil
	}
	b, err := t.get(meKey)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, ErrNoProfile
	}
	me := new(identity)
	if err := wire.Decode(b, me.wire); err != nil {
		return nil, fmt.Errorf("stored account: %w", err)
	}
	t.c.me = me
	return me, nil
}

// saveIdentity stores a changed copy of the identity.
func (t *tx) saveIdentity(me *identity) error {
	t.c.me = me
	return t.save(meKey, me.wire)
}

// refWire codes a server's address and pin.
func refWire(r *ServerRef, c *wire.Codec) {
	wire.String(c, &r.URL, 1024)
	wire.OpaqueMax(c, &r.Pin, 32)
}

// storedServer returns the server of the profile, or ErrNoProfile.
func storedServer(ctx context.Context, s store.Store) (ServerRef, error) {
	var ref ServerRef
	// A device that is still being made has a server but no identity.
	if _, err := s.Get(ctx, meKey); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = ErrNoProfile
		}
		return ref, err
	}
	b, err := s.Get(ctx, serverKey)
	if err != nil {
		return ref, fmt.Errorf("stored server: %w", err)
	}
	err = wire.Decode(b, func(c *wire.Codec) { refWire(&ref, c) })
	return ref, err
}

// Joined is what a new account's owner is shown.
type Joined struct {
	Account     string
	Handle      string
	Device      string
	RecoveryKey string // shown once
}

// joining is a registration whose outcome is open. It is stored before it is
// sent: sent again after a crash it makes the same account.
type joiningRecord struct {
	Server   ServerRef
	Inviter  proto.AccountID
	Request  proto.RegisterRequest
	Me       identity
	Recovery string // kt.RecoveryKey.Text, until it has been shown
}

func (j *joiningRecord) wire(c *wire.Codec) {
	formatVersion(c)
	refWire(&j.Server, c)
	j.Inviter.Wire(c)
	j.Request.Wire(c)
	j.Me.wire(c)
	wire.String(c, &j.Recovery, 128)
}

// Join makes an account and its first device. After ErrUnreachable the same
// call again ends what was begun, under the handle given first.
func Join(ctx context.Context, cfg Config, inv Invitation, handle string) (*Client, Joined, error) {
	c, err := newClient(cfg, inv.Server)
	if err != nil {
		return nil, Joined{}, err
	}
	var j *joiningRecord
	err = c.step(ctx, func(t *tx) (err error) {
		if me, err := t.get(meKey); err != nil || me != nil {
			return errors.Join(err, errHasProfile)
		}
		j, err = t.beginJoin(inv, handle)
		return errors.Join(err, t.believeInvitation(inv), t.wantWitnesses(inv))
	})
	if err == nil && inv.Inviter == (proto.AccountID{}) {
		err = c.checkWitnesses(ctx, c.cfg.Witnesses)
	}
	if err != nil {
		return nil, Joined{}, err
	}
	if err := c.register(ctx, j); err != nil {
		return nil, Joined{}, err
	}
	c.settleIn(ctx, j.Inviter)
	return c, Joined{
		Account: j.Me.Account.Hex(), Handle: j.Me.Handle, Device: j.Me.Device.Hex(), RecoveryKey: j.Recovery,
	}, nil
}

var errHasProfile = errors.New("this profile holds a device already")

// beginJoin returns the stored registration for the invitation, or makes one.
func (t *tx) beginJoin(inv Invitation, handle string) (*joiningRecord, error) {
	old := new(joiningRecord)
	if err := t.load(joiningKey, old.wire); err != nil {
		return nil, err
	}
	if old.Request.Invite == inv.Token && old.Server.URL == inv.Server.URL && len(old.Request.Links) > 0 {
		return old, nil
	}
	j, err := newJoining(t.c.now(), inv, handle)
	if err != nil {
		return nil, err
	}
	return j, errors.Join(t.save(joiningKey, j.wire), t.sealTo(j.Recovery))
}

// newJoining makes the keys and the first links of an account: GENESIS and
// SET_RECOVERY.
func newJoining(now time.Time, inv Invitation, handle string) (*joiningRecord, error) {
	me, err := newIdentity(handle)
	if err != nil {
		return nil, err
	}
	e, err := me.enrolment()
	if err != nil {
		return nil, err
	}
	genesis, err := kt.Genesis(now, me.signer(), e)
	if err != nil {
		return nil, err
	}
	chain, err := kt.Verify([][]byte{genesis})
	if err != nil {
		return nil, err
	}
	recovery := kt.GenerateRecoveryKey()
	set, err := chain.SetRecovery(now, me.signer(), recovery.Public())
	if err != nil {
		return nil, err
	}
	me.Account = proto.AccountID(chain.Account())
	return &joiningRecord{
		Server: inv.Server, Inviter: inv.Inviter, Me: *me, Recovery: recovery.Text(),
		Request: proto.RegisterRequest{Invite: inv.Token, Handle: handle, Links: [][]byte{genesis, set}, Reset: inv.Reset != ""},
	}, nil
}

// register sends the registration and makes the device's identity of it. A
// definite refusal ends it: nothing of it is kept.
func (c *Client) register(ctx context.Context, j *joiningRecord) error {
	var resp proto.RegisterResponse
	err := c.call(ctx, Anonymous, proto.Register, &j.Request, &resp)
	switch {
	case definite(err):
		return errors.Join(err, c.step(ctx, func(t *tx) error { t.del(joiningKey); t.del(sealingKeyKey); return nil }))
	case err != nil:
		return err
	case resp.Account != j.Me.Account:
		return &SafetyError{Reason: "the server registered another account than this device made", Fix: "tell its operator; nothing was joined"}
	}
	return c.step(ctx, func(t *tx) error {
		t.del(joiningKey)
		if !j.Request.Reset {
			t.put(nameIsNewKey, []byte{1})
		}
		me := j.Me
		return errors.Join(
			t.save(serverKey, func(c *wire.Codec) { refWire(&j.Server, c) }),
			t.saveIdentity(&me),
			t.keepChain(me.Account, j.Request.Links),
			t.keepHandle(me.Account, me.Handle),
			t.showRecovery(j.Recovery),
		)
	})
}

// settleIn does what may as well be done by the next Sync.
func (c *Client) settleIn(ctx context.Context, inviter proto.AccountID) {
	if err := c.publishPackages(ctx); err != nil {
		c.cfg.Log.Info("key packages will be published later", "why", err)
	}
	if err := errors.Join(c.syncTranslog(ctx), c.firstPolicy(ctx)); err != nil {
		c.cfg.Log.Info("the witness policy will be looked at later", "why", err)
	}
	if inviter == (proto.AccountID{}) {
		return
	}
	if err := c.refreshChain(ctx, inviter); err != nil {
		c.cfg.Log.Info("the inviter's keys will be fetched later", "why", err)
	}
	if err := c.checkInvitation(ctx); err != nil {
		c.cfg.Log.Warn("the invitation", "why", err)
	}
}

// DeviceInfo is one device of the own account.
type DeviceInfo struct {
	Device  string // lower-case hex
	Own     bool   // this one
	Added   time.Time
	Revoked bool
}

// Devices lists the account's devices, revoked ones too.
func (c *Client) Devices(ctx context.Context) (list []DeviceInfo, err error) {
	err = c.step(ctx, func(t *tx) error {
		me, err := t.identity()
		if err != nil {
			return err
		}
		chain, _, err := t.chain(me.Account)
		list = nil
		for _, d := range chain.Devices() {
			list = append(list, DeviceInfo{
				Device: d.ID.Hex(), Own: d.ID == kt.DeviceID(me.Device), Added: d.Added, Revoked: d.Revoked,
			})
		}
		return err
	})
	return list, err
}

// Invite makes an invitation; only admins of the server may. expires is how
// long it holds.
func (c *Client) Invite(ctx context.Context, uses int, expires time.Duration) (Invitation, error) {
	me, err := c.whoami(ctx)
	if err != nil {
		return Invitation{}, err
	}
	inv := Invitation{
		Server: c.server, Token: proto.New[proto.Token](), Inviter: me.Account,
		Expires: c.now().Add(expires).UTC().Truncate(time.Second),
	}
	if uses < 1 || uses > 1<<16-1 {
		return Invitation{}, fmt.Errorf("an invitation is for 1 to %d uses", 1<<16-1)
	}
	err = c.step(ctx, func(t *tx) (err error) {
		inv.Policy, err = t.pinPolicy(&me, inv.Token)
		return err
	})
	if err != nil {
		return Invitation{}, err
	}
	err = c.callAccount(ctx, proto.Invite, func(s proto.SessionID) proto.Message {
		return &proto.InviteRequest{Session: s, TokenHash: inv.Token.Hash(), Uses: uint16(uses), Expires: uint64(inv.Expires.Unix())}
	}, &proto.Empty{})
	return inv, err
}
