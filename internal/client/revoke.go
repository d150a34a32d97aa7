package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// Revoke ends a device of the account for ever; device is its hex name or a
// unique beginning of it. Its removal from the conversations is begun at once;
// what is left of it is part of every Sync, of this device and of all members,
// until no tree has a leaf that its account's chain revokes.
func (c *Client) Revoke(ctx context.Context, device string) error {
	var safety *SafetyError
	if err := c.Sync(ctx); err != nil && !refused(err) && !errors.As(err, &safety) {
		return err
	}
	d, err := c.findDevice(ctx, device)
	if err != nil {
		return err
	}
	err = c.appendLink(ctx, func(chain kt.Chain, me *identity, now time.Time) ([]byte, error) {
		if known, ok := chain.Device(kt.DeviceID(d)); ok && known.Revoked {
			return nil, nil
		}
		return chain.Revoke(now, me.signer(), kt.DeviceID(d))
	})
	if err != nil {
		return err
	}
	err = c.step(ctx, func(t *tx) error {
		return errors.Join(t.delAll(jobPrefix(jobAdd, d)), t.delAll(jobPrefix(jobHistory, d)))
	})
	if err != nil {
		return err
	}
	if err := c.Sync(ctx); err != nil {
		c.cfg.Log.Warn("the device is revoked; some conversations still have to remove it", "why", err)
	}
	return nil
}

// findDevice returns the own device a text names.
func (c *Client) findDevice(ctx context.Context, text string) (d proto.DeviceID, err error) {
	text = strings.ToLower(strings.TrimSpace(text))
	list, err := c.Devices(ctx)
	if err != nil {
		return d, err
	}
	var found []DeviceInfo
	for _, i := range list {
		if text != "" && strings.HasPrefix(i.Device, text) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return d, fmt.Errorf("no device of yours begins with %q", shorten(text))
	case len(found) > 1:
		return d, fmt.Errorf("several devices of yours begin with %q", shorten(text))
	case found[0].Revoked:
		return d, fmt.Errorf("device %s is revoked already", found[0].Device)
	}
	return d, parseHex(d[:], found[0].Device)
}

// rotateEvery is how long a message key serves (protocol, section 7).
const rotateEvery = 30 * 24 * time.Hour

// Rotate replaces this device's message key. Its leaves follow by their next
// commits, which every Sync makes.
func (c *Client) Rotate(ctx context.Context) error {
	next, _, err := mls.GenerateSignatureKey(suite)
	if err != nil {
		return err
	}
	// The key is kept before the chain names it: after a crash the chain tells
	// which one counts.
	err = c.step(ctx, func(t *tx) error {
		me, err := t.identity()
		if err != nil {
			return err
		}
		changed := *me
		changed.Next = append(slices.Clone(me.Next), next)
		return t.saveIdentity(&changed)
	})
	if err != nil {
		return err
	}
	err = c.appendLink(ctx, func(chain kt.Chain, me *identity, now time.Time) ([]byte, error) {
		return chain.Rotate(now, me.signer(), kt.MessagePublicKey(next.PublicKey()), signWith(next))
	})
	if err != nil {
		return err
	}
	// Packages of the key before could still be claimed, and refused.
	return c.republish(ctx)
}

// rotateIfDue rotates once a month.
func (c *Client) rotateIfDue(ctx context.Context) error {
	due := false
	err := c.step(ctx, func(t *tx) error {
		me, err := t.identity()
		if err != nil {
			return err
		}
		chain, _, err := t.chain(me.Account)
		if err != nil {
			return err
		}
		d, ok := chain.Device(kt.DeviceID(me.Device))
		due = ok && !d.Revoked && t.c.now().Sub(d.Messages[len(d.Messages)-1].Since) > rotateEvery
		return nil
	})
	if err != nil || !due {
		return err
	}
	return c.Rotate(ctx)
}

// maxFormer bounds the message keys kept for leaves that have not followed.
const maxFormer = 4

// ownChainGrew follows what the own chain says of this device: that it is
// revoked, or which of its message keys counts.
func (t *tx) ownChainGrew(a proto.AccountID, chain kt.Chain) error {
	me, err := t.identity()
	if errors.Is(err, ErrNoProfile) {
		return nil
	}
	if err != nil || me.Account != a {
		return err
	}
	d, ok := chain.Device(kt.DeviceID(me.Device))
	if !ok {
		return nil
	}
	changed := *me
	changed.Revoked = d.Revoked
	for _, k := range me.Next {
		if d.M() == kt.MessagePublicKey(k.PublicKey()) {
			changed.Former = append(slices.Clone(me.Former), me.M)
			changed.Former = changed.Former[max(0, len(changed.Former)-maxFormer):]
			changed.M, changed.Next = k, nil
		}
	}
	if changed.Revoked == me.Revoked && len(changed.Next) == len(me.Next) {
		return nil
	}
	return t.saveIdentity(&changed)
}
