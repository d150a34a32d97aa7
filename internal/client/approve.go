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
	if err := beyondSafety(c.Sync(ctx)); err != nil && !refused(err) {
		return DeviceInfo{}, err
	}
	if err := c.vouchedNow(ctx); err != nil {
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
	me, err := c.whoami(ctx)
	if err != nil {
		return DeviceInfo{}, err
	}
	ids, err := c.toHandOver(ctx)
	if err != nil {
		return DeviceInfo{}, err
	}
	adds, enrolment, err := c.greet(ctx, line, hello, len(ids))
	if err != nil {
		return DeviceInfo{}, err
	}
	if err := c.step(ctx, func(t *tx) error { return t.mayTakeKeysOf(me.Account) }); err != nil {
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
	if err := c.step(ctx, func(t *tx) error { return t.tellVouched() }); err != nil {
		return added, err
	}
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
		if err := t.mayTakeKeysOf(me.Account); err != nil {
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
			if !t.leftName(k.Account, k.Handle) {
				r.Contacts = append(r.Contacts, k)
			}
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
