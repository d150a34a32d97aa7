package client

import (
	"context"
	"encoding/hex"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

const (
	packageLife = 28 * 24 * time.Hour // the server takes at most 30 days
	// Clocks differ: a package counts from a day before it was made.
	packageSkew = 24 * time.Hour
	// packageRenewal is when packages nobody took are replaced.
	packageRenewal = 14 * 24 * time.Hour
	poolMax        = 50
)

// ownPackage is a key package of this device that somebody may use.
type ownPackage struct {
	Made   uint64 // Unix seconds
	Last   bool   // last resort
	Bundle []byte
}

func (p *ownPackage) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint64(c, &p.Made)
	wire.Bool(c, &p.Last)
	wire.Opaque(c, &p.Bundle)
}

func packageKey(ref mls.KeyPackageRef) string { return "kp/" + hex.EncodeToString(ref) }

// newKeyPackage makes a key package and keeps its private keys.
func (t *tx) newKeyPackage(last bool) (*mls.KeyPackage, error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	return t.keyPackageOf(me, last)
}

// keyPackageOf is newKeyPackage for a device that may still be being linked.
func (t *tx) keyPackageOf(me *identity, last bool) (*mls.KeyPackage, error) {
	now := t.c.now()
	bundle, err := mls.NewKeyPackage(suite, me.M, member{me.Account, me.Device}.credential(), mls.KeyPackageOptions{
		Lifetime:   mls.Lifetime{NotBefore: uint64(now.Add(-packageSkew).Unix()), NotAfter: uint64(now.Add(packageLife).Unix())},
		Leaf:       mls.LeafOptions{Capabilities: capabilities()},
		LastResort: last,
	})
	if err != nil {
		return nil, err
	}
	ref, err := bundle.KeyPackage.Ref()
	if err != nil {
		return nil, err
	}
	p := ownPackage{Made: uint64(now.Unix()), Last: last}
	if p.Bundle, err = bundle.MarshalBinary(); err != nil {
		return nil, err
	}
	return bundle.KeyPackage, t.save(packageKey(ref), p.wire)
}

// bundle returns the private keys of an own key package, nil if they are gone.
func (t *tx) bundle(ref mls.KeyPackageRef) (*mls.KeyPackageBundle, error) {
	var p ownPackage
	if err := t.load(packageKey(ref), p.wire); err != nil || p.Bundle == nil {
		return nil, err
	}
	b := new(mls.KeyPackageBundle)
	return b, b.UnmarshalBinary(p.Bundle)
}

// spend deletes a used key package; a last resort stays.
func (t *tx) spend(b *mls.KeyPackageBundle) error {
	ref, err := b.KeyPackage.Ref()
	if err == nil && !b.KeyPackage.LastResort() {
		t.del(packageKey(ref))
	}
	return err
}

// publishPackages fills the pool on the server when it has run half empty.
func (c *Client) publishPackages(ctx context.Context) error {
	info, err := c.info(ctx)
	if err != nil {
		return err
	}
	var count proto.PackageCountResponse
	err = c.callAccount(ctx, proto.PackageCount, func(s proto.SessionID) proto.Message {
		return &proto.PackageCountRequest{Session: s}
	}, &count)
	if err != nil {
		return err
	}
	pool := min(int(info.PackagePool), poolMax)
	poolDue, lastDue, err := c.packagesDue(ctx)
	if err != nil || int(count.Count)*2 > pool && count.LastResort && !poolDue && !lastDue {
		return err
	}
	return c.publish(ctx, pool, lastDue || !count.LastResort)
}

// republish replaces the whole pool and the last resort.
func (c *Client) republish(ctx context.Context) error {
	info, err := c.info(ctx)
	if err != nil {
		return err
	}
	return c.publish(ctx, min(int(info.PackagePool), poolMax), true)
}

func (c *Client) publish(ctx context.Context, pool int, last bool) error {
	var req proto.PublishRequest
	err := c.step(ctx, func(t *tx) error {
		req = proto.PublishRequest{}
		if err := t.dropOldPackages(); err != nil {
			return err
		}
		for range pool {
			b, err := t.encodedPackage(false)
			if err != nil {
				return err
			}
			req.Packages = append(req.Packages, b)
		}
		if !last {
			return nil
		}
		var err error
		req.LastResort, err = t.encodedPackage(true)
		return err
	})
	if err != nil {
		return err
	}
	return c.callAccount(ctx, proto.Publish, func(s proto.SessionID) proto.Message {
		req.Session = s
		return &req
	}, &proto.Empty{})
}

func (t *tx) encodedPackage(last bool) ([]byte, error) {
	kp, err := t.newKeyPackage(last)
	if err != nil {
		return nil, err
	}
	return kp.Encode()
}

// dropOldPackages deletes private keys no Welcome can name any more.
func (t *tx) dropOldPackages() error {
	all, err := t.list("kp/", "", 0)
	if err != nil {
		return err
	}
	for _, r := range all {
		var p ownPackage
		if err := wire.Decode(r.Value, p.wire); err != nil {
			return err
		}
		// A claimed package's ticket is good for 7 days more.
		if t.c.now().Sub(time.Unix(int64(p.Made), 0)) > packageLife+7*24*time.Hour {
			t.del(r.Key)
		}
	}
	return nil
}

// packagesDue tells whether the pool and the last resort are so old that new
// ones are wanted.
func (c *Client) packagesDue(ctx context.Context) (pool, last bool, err error) {
	err = c.step(ctx, func(t *tx) error {
		all, err := t.list("kp/", "", 0)
		pool, last = true, true
		for _, r := range all {
			var p ownPackage
			if err := wire.Decode(r.Value, p.wire); err != nil {
				return err
			}
			fresh := t.c.now().Sub(time.Unix(int64(p.Made), 0)) < packageRenewal
			pool, last = pool && (p.Last || !fresh), last && (!p.Last || !fresh)
		}
		return err
	})
	return pool, last, err
}
