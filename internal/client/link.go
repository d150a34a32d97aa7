package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
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

// LinkRequest is what the old device shows before it signs.
type LinkRequest struct {
	Device string // lower-case hex
	Code   string
}

// Approve lets the device that shows code into this account. confirm nil or
// true goes on. It returns when the new device has all conversations or, after
// a while, when the rest goes on by itself.
func (c *Client) Approve(ctx context.Context, code string, confirm func(LinkRequest) bool) (DeviceInfo, error) {
	k, err := parseLinkCode(code)
	if err != nil {
		return DeviceInfo{}, err
	}
	if err := c.Sync(ctx); err != nil && !refused(err) {
		return DeviceInfo{}, err
	}
	line := &linkLine{c: c, code: k, side: oldSide}
	var hello linkHello
	if err := line.receive(ctx, 5*time.Second, hello.wire); err != nil {
		if errors.Is(err, errNoAnswer) {
			err = errors.New("no device waits with this code; compare it with what the new device shows")
		}
		return DeviceInfo{}, err
	}
	if confirm != nil && !confirm(LinkRequest{Device: hello.Device.Hex(), Code: k.String()}) {
		return DeviceInfo{}, errors.New("not approved")
	}
	added, err := c.takeIn(ctx, line, &hello)
	if err != nil {
		return added, err
	}
	if err := c.Sync(ctx); err != nil { // gives the history
		c.cfg.Log.Warn("the new device gets the rest later", "why", err)
	}
	return added, nil
}

func (c *Client) takeIn(ctx context.Context, line *linkLine, hello *linkHello) (DeviceInfo, error) {
	ids, err := c.toHandOver(ctx)
	if err != nil {
		return DeviceInfo{}, err
	}
	adds, enrolment, err := c.greet(ctx, line, hello, len(ids))
	if err != nil {
		return DeviceInfo{}, err
	}
	if err := c.enrol(ctx, enrolment); err != nil {
		return DeviceInfo{}, err
	}
	added, err := c.sendAdded(ctx, line, hello.Device, ids)
	if err != nil {
		return added, err
	}
	var r linkResult
	for i, id := range ids {
		join, err := c.handOver(ctx, id, adds[i])
		if err != nil {
			c.cfg.Log.Warn("a conversation will be handed over later", "why", err)
			continue
		}
		if r.Joins = append(r.Joins, join); len(r.Joins) < joinsPerResult {
			continue
		}
		if err := line.send(ctx, r.wire); err != nil {
			return added, err
		}
		r.Joins = nil
	}
	r.Done = true
	return added, c.farewell(ctx, line, hello.Device, &r)
}

// toHandOver lists the conversations a new device is added to, that of the own
// devices first; it is made if there is none.
func (c *Client) toHandOver(ctx context.Context) (ids []proto.ConversationID, err error) {
	own, err := c.devicesConversation(ctx)
	if err != nil {
		return nil, err
	}
	err = c.step(ctx, func(t *tx) error {
		ids = []proto.ConversationID{own}
		all, err := t.conversations()
		if err != nil {
			return err
		}
		for _, id := range all {
			cv, err := t.conv(id)
			if err != nil {
				return err
			}
			if id != own && cv.usable() == nil {
				ids = append(ids, id)
			}
		}
		return nil
	})
	return ids, err
}

// greet tells the new device whose it becomes and gets its keys.
func (c *Client) greet(ctx context.Context, line *linkLine, hello *linkHello, n int) ([]*mls.KeyPackage, kt.Enrolment, error) {
	var a linkAccount
	var e kt.Enrolment
	me, err := c.whoami(ctx)
	if err != nil {
		return nil, e, err
	}
	err = c.step(ctx, func(t *tx) (err error) {
		a = linkAccount{Handle: me.Handle, Packages: uint16(min(n, 1<<16-1))}
		a.Links, err = t.links(me.Account)
		return err
	})
	if err != nil {
		return nil, e, err
	}
	if err := line.send(ctx, a.wire); err != nil {
		return nil, e, err
	}
	var all []*mls.KeyPackage
	for o := (linkOffer{More: true}); o.More; {
		if err := line.receive(ctx, linkAnswer, o.wire); err != nil {
			return nil, e, err
		}
		if err := wire.Decode(o.Enrolment, e.Wire); err != nil {
			return nil, e, fmt.Errorf("the new device's enrolment: %w", err)
		}
		for _, b := range o.Packages {
			kp, err := mls.ParseKeyPackage(b)
			if err != nil {
				return nil, e, err
			}
			all = append(all, kp)
		}
		if len(all) > n {
			break
		}
	}
	switch {
	case len(all) != n:
		return nil, e, fmt.Errorf("the new device sent %d key packages for %d conversations", len(all), n)
	case proto.DeviceID(e.ID) != hello.Device:
		return nil, e, errors.New("the new device enrols as another than it said")
	}
	return all, e, e.Verify(kt.AccountID(me.Account))
}

// enrol puts a device into the account's chain, unless it stands there already
// from an earlier try.
func (c *Client) enrol(ctx context.Context, e kt.Enrolment) error {
	return c.appendLink(ctx, func(chain kt.Chain, me *identity, now time.Time) ([]byte, error) {
		if d, ok := chain.Device(e.ID); ok && !d.Revoked && d.D == e.D && d.M() == e.M {
			return nil, nil
		}
		return chain.AddDevice(now, me.signer(), e)
	})
}

// sendAdded tells the new device that it is part of the account, and keeps the
// jobs of adding it everywhere.
func (c *Client) sendAdded(ctx context.Context, line *linkLine, device proto.DeviceID, ids []proto.ConversationID) (DeviceInfo, error) {
	var r linkResult
	info := DeviceInfo{Device: device.Hex()}
	err := c.step(ctx, func(t *tx) error {
		me, err := t.identity()
		if err != nil {
			return err
		}
		chain, _, err := t.chain(me.Account)
		if err != nil {
			return err
		}
		d, _ := chain.Device(kt.DeviceID(device))
		info.Added = d.Added
		for _, id := range ids {
			t.addJob(job{Kind: jobAdd, Device: device, Conversation: id})
			if id != ids[0] { // that of the own devices has none worth giving
				t.addJob(job{Kind: jobHistory, Device: device, Conversation: id})
			}
		}
		r.Links, err = t.links(me.Account)
		return err
	})
	if err != nil {
		return info, err
	}
	return info, line.send(ctx, r.wire)
}

// handOver adds the new device to one conversation and returns its join
// package. A leaf of an earlier try, whose join package was lost, is replaced.
func (c *Client) handOver(ctx context.Context, id proto.ConversationID, kp *mls.KeyPackage) ([]byte, error) {
	me, err := c.whoami(ctx)
	if err != nil {
		return nil, err
	}
	handed, err := c.commit(ctx, id, func(t *tx, cv *conversation) (*change, error) {
		chain, _, err := t.chain(me.Account)
		if err != nil {
			return nil, err
		}
		add, err := c.vetPackage(me.Account, chain, kp)
		if err != nil {
			return nil, err
		}
		return &change{adds: []addition{add}, removes: cv.leavesOf(add.who)}, nil
	})
	if err != nil {
		return nil, err
	}
	if len(handed) != 1 {
		return nil, errors.New("the join package is gone")
	}
	return handed[0], nil
}

// leavesOf returns the leaf of a device, if it has one.
func (cv *conversation) leavesOf(who member) (all []mls.LeafIndex) {
	for leaf, m := range cv.roster() {
		if m == who {
			all = append(all, leaf)
		}
	}
	return all
}

// maxContacts bounds the last item of linking.
const maxContacts = 8000

// farewell sends the last item, with the contacts, and, once the new device says that it has
// stored everything, forgets the jobs.
func (c *Client) farewell(ctx context.Context, line *linkLine, device proto.DeviceID, r *linkResult) error {
	err := c.step(ctx, func(t *tx) error {
		r.Contacts = nil
		all, err := t.list("handle/", "", maxContacts)
		for _, rec := range all {
			k := contact{Handle: rec.Key[len("handle/"):]}
			copy(k.Account[:], rec.Value)
			r.Contacts = append(r.Contacts, k)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := line.send(ctx, r.wire); err != nil {
		return err
	}
	if err := line.receive(ctx, 20*time.Second, new(linkReceived).wire); err != nil {
		c.cfg.Log.Warn("the new device did not confirm; it will be added again", "why", err)
		return nil
	}
	return c.step(ctx, func(t *tx) error { return t.delAll(jobPrefix(jobAdd, device)) })
}
