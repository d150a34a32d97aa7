package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// Linking (protocol, section 8). Over a one-time mailbox sealed with the code:
//
//	new                                     old
//	show(code)   hello ────────────────►    Approve(code), the person agrees
//	             ◄──────────────── account  chain, how many key packages
//	             offer ────────────────►    enrolment, key packages
//	                                        signs ADD_DEVICE, then for each
//	                                        conversation commits an Add
//	stored as    ◄─────────────── result    chain · join package · … · contacts
//	they come    received ─────────────►    forgets its jobs
//
// Both may die at any point. The new device keeps its keys and begins again
// with a new code; what it was not handed in time it gets through its inbox.

// linking is a device that is not part of an account yet. It is kept so that
// trying again does not leave a second device in the chain.
type linking struct {
	Server ServerRef
	Me     identity
}

const (
	linkingKey = "linking"
	lineKey    = "linkline" // an open mailbox of a device that is in the chain
)

func (l *linking) wire(c *wire.Codec) {
	formatVersion(c)
	refWire(&l.Server, c)
	l.Me.wire(c)
}

// openLine is a mailbox with join packages that may still come.
type openLine struct {
	Code linkCode
	Sent uint32
	Got  uint32
	Ends uint64 // Unix seconds
}

func (o *openLine) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Fixed(c, o.Code[:])
	wire.Uint32(c, &o.Sent)
	wire.Uint32(c, &o.Got)
	wire.Uint64(c, &o.Ends)
}

// Link makes this a further device of an account; show gets the code that
// Approve on an old device takes. It returns when the old device has handed
// over what it has.
func Link(ctx context.Context, cfg Config, server ServerRef, handle string, show func(code string)) (*Client, error) {
	c, err := newClient(cfg, server)
	if err != nil {
		return nil, err
	}
	me, err := c.beginLink(ctx, server, handle)
	if err != nil {
		return nil, err
	}
	line := &linkLine{c: c, code: newLinkCode(), side: newSide}
	hello := linkHello{Handle: handle, Device: me.Device}
	if err := line.send(ctx, hello.wire); err != nil {
		return nil, err
	}
	show(line.code.String())
	account, err := c.awaitAccount(ctx, line, handle)
	if err != nil {
		return nil, err
	}
	if err := c.offer(ctx, line, me, account); err != nil {
		return nil, err
	}
	if err := c.awaitAdded(ctx, line, me, account); err != nil {
		return nil, err
	}
	if err := c.drainLine(ctx, linkAnswer); err != nil {
		c.cfg.Log.Warn("some conversations will come later", "why", err)
	}
	c.settleIn(ctx, proto.AccountID{})
	return c, nil
}

// beginLink returns the identity of a device to be, stored.
func (c *Client) beginLink(ctx context.Context, server ServerRef, handle string) (me *identity, err error) {
	err = c.step(ctx, func(t *tx) error {
		if old, err := t.get(meKey); err != nil || old != nil {
			return errors.Join(err, errHasProfile)
		}
		var l linking
		if err := t.load(linkingKey, l.wire); err != nil {
			return err
		}
		if me = &l.Me; l.Server.URL == server.URL && l.Me.Handle == handle && !l.Me.M.IsZero() {
			return nil
		}
		if me, err = newIdentity(handle); err != nil {
			return err
		}
		l = linking{Server: server, Me: *me}
		return t.save(linkingKey, l.wire)
	})
	return me, err
}

// awaitAccount waits for the old device's owner.
func (c *Client) awaitAccount(ctx context.Context, line *linkLine, handle string) (*linkAccount, error) {
	a := new(linkAccount)
	err := line.receive(ctx, linkPatience, a.wire)
	if errors.Is(err, errNoAnswer) {
		return nil, errors.New("nobody approved this device within 14 minutes; link again for a new code")
	}
	if err != nil {
		return nil, err
	}
	if a.Handle != handle {
		return nil, fmt.Errorf("the code was approved by @%s, not by @%s", a.Handle, handle)
	}
	return a, nil
}

// How much goes into one item of a mailbox, which takes 256 items of 1 MiB and
// 16 MiB in all: enough for 2,000 conversations.
const (
	packagesPerOffer = 200
	joinsPerResult   = 16
)

// offer makes the enrolment and the key packages, and keeps their secrets
// before they go out.
func (c *Client) offer(ctx context.Context, line *linkLine, me *identity, a *linkAccount) error {
	chain, err := kt.Verify(a.Links)
	if err != nil {
		return fmt.Errorf("the account's chain: %w", err)
	}
	me.Account = proto.AccountID(chain.Account())
	enrolment, err := me.enrolment()
	if err != nil {
		return err
	}
	var packages [][]byte
	err = c.step(ctx, func(t *tx) error {
		packages = nil
		l := linking{Server: c.server, Me: *me}
		for range a.Packages {
			kp, err := t.keyPackageOf(me, false)
			if err != nil {
				return err
			}
			b, err := kp.Encode()
			if err != nil {
				return err
			}
			packages = append(packages, b)
		}
		return t.save(linkingKey, l.wire)
	})
	if err != nil {
		return err
	}
	o := linkOffer{Enrolment: wire.MustEncode(enrolment.Wire)}
	for {
		n := min(len(packages), packagesPerOffer)
		o.Packages, packages = packages[:n], packages[n:]
		o.More = len(packages) > 0
		if err := line.send(ctx, o.wire); err != nil || !o.More {
			return err
		}
	}
}

// awaitAdded waits until the account's chain carries this device, and makes the
// profile of it.
func (c *Client) awaitAdded(ctx context.Context, line *linkLine, me *identity, a *linkAccount) error {
	var r linkResult
	if err := line.receive(ctx, linkAnswer, r.wire); err != nil {
		return err
	}
	chain, err := kt.Verify(r.Links)
	if err != nil {
		return fmt.Errorf("the account's chain: %w", err)
	}
	d, ok := chain.Device(kt.DeviceID(me.Device))
	if chain.Account() != kt.AccountID(me.Account) || !ok || d.Revoked || d.M() != kt.MessagePublicKey(me.M.PublicKey()) {
		return errors.New("the old device did not add this one to the account's chain")
	}
	open := openLine{Code: line.code, Sent: line.sent, Got: line.got, Ends: uint64(c.now().Add(linkPatience).Unix())}
	return c.step(ctx, func(t *tx) error {
		t.del(linkingKey)
		ref := c.server
		return errors.Join(
			t.save(serverKey, func(c *wire.Codec) { refWire(&ref, c) }),
			t.saveIdentity(me),
			t.keepChain(me.Account, r.Links),
			t.keepHandle(me.Account, a.Handle),
			t.save(lineKey, open.wire),
		)
	})
}

// drainLine takes what the old device still has to say over the mailbox, if
// one is open. Each item is stored before the next is taken.
func (c *Client) drainLine(ctx context.Context, wait time.Duration) error {
	var open openLine
	err := c.step(ctx, func(t *tx) error { return t.load(lineKey, open.wire) })
	if err != nil || open.Ends == 0 {
		return err
	}
	line := &linkLine{c: c, code: open.Code, side: newSide, sent: open.Sent, got: open.Got}
	for {
		var r linkResult
		err := line.receive(ctx, wait, r.wire)
		if err != nil && uint64(c.now().Unix()) > open.Ends {
			return c.step(ctx, func(t *tx) error { t.del(lineKey); return nil })
		}
		if err != nil {
			return err
		}
		if err := c.takeResult(ctx, &r); err != nil {
			return err
		}
		open.Got = line.got
		if err := c.step(ctx, func(t *tx) error { return t.save(lineKey, open.wire) }); err != nil {
			return err
		}
		if r.Done {
			if err := line.send(ctx, new(linkReceived).wire); err != nil {
				c.cfg.Log.Info("the old device will not know that all arrived", "why", err)
			}
			return c.step(ctx, func(t *tx) error { t.del(lineKey); return nil })
		}
	}
}

// takeLine is drainLine for a Sync after an interrupted Link.
func (c *Client) takeLine(ctx context.Context) error {
	err := c.drainLine(ctx, time.Second)
	if errors.Is(err, errNoAnswer) {
		return nil
	}
	return err
}

func (c *Client) takeResult(ctx context.Context, r *linkResult) error {
	for _, join := range r.Joins {
		if err := c.acceptJoinPackage(ctx, join); err != nil && !errors.Is(err, errUseless) {
			return err
		} else if err != nil {
			c.cfg.Log.Warn("a conversation could not be joined", "why", err)
		}
	}
	return c.step(ctx, func(t *tx) error {
		for _, k := range r.Contacts {
			if err := t.keepHandle(k.Account, k.Handle); err != nil {
				return err
			}
		}
		return nil
	})
}
