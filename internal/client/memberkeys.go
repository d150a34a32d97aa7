package client

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// seed is the private half of a member key (protocol, section 3).
type seed [ed25519.SeedSize]byte

func (seed) String() string   { return "[redacted]" }
func (seed) GoString() string { return "[redacted]" }

func newSeed() (s seed) {
	rand.Read(s[:])
	return s
}

func (s *seed) wire(c *wire.Codec) { wire.Fixed(c, s[:]) }

func (s seed) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(s[:]) }

func (s seed) public() (mk proto.MemberKey) {
	copy(mk[:], s.key().Public().(ed25519.PublicKey))
	return mk
}

// ownKey is the public half of a conversation's seed, computed once: each message
// received is compared with it.
type ownKey struct {
	of seed
	mk proto.MemberKey
}

// own returns the member key of this device.
func (cv *conversation) own() proto.MemberKey {
	k := &cv.ownKey
	if k.mk == (proto.MemberKey{}) || subtle.ConstantTimeCompare(k.of[:], cv.meta.Seed[:]) == 0 {
		*k = ownKey{cv.meta.Seed, cv.meta.Seed.public()}
	}
	return k.mk
}

// memberKey is the key of one leaf.
type memberKey struct {
	Leaf  mls.LeafIndex
	MK    proto.MemberKey
	Since uint64 // minute of the commit that added the leaf; 0: not known
}

func (k *memberKey) wire(c *wire.Codec) {
	wire.Uint32(c, &k.Leaf)
	k.MK.Wire(c)
	wire.Uint64(c, &k.Since)
}

// memberKeys maps the leaves of one epoch to their keys, in leaf order.
type memberKeys []memberKey

func (k *memberKeys) wire(c *wire.Codec) {
	list := []memberKey(*k)
	wire.Vector(c, &list, (*memberKey).wire)
	*k = list
}

func (k memberKeys) find(l mls.LeafIndex) (memberKey, bool) {
	i, ok := slices.BinarySearchFunc(k, l, func(m memberKey, l mls.LeafIndex) int { return cmp.Compare(m.Leaf, l) })
	if !ok {
		return memberKey{}, false
	}
	return k[i], true
}

// leafOf returns the leaf whose key mk is.
func (k memberKeys) leafOf(mk proto.MemberKey) (mls.LeafIndex, bool) {
	for _, m := range k {
		if m.MK == mk {
			return m.Leaf, true
		}
	}
	return 0, false
}

// leaves returns the leaves in ascending order.
func leaves[T any](members []T, leaf func(*T) mls.LeafIndex) []mls.LeafIndex {
	out := make([]mls.LeafIndex, len(members))
	for i := range members {
		out[i] = leaf(&members[i])
	}
	slices.Sort(out)
	return out
}

// apply returns the keys after a commit by sender that adds and removes the
// given leaves, and refuses a delta that is not exactly about them: one key per
// Add in leaf order, exactly the keys of the removed leaves, all new ones
// distinct and unused (protocol, section 3.3). minute is when.
func (k memberKeys) apply(d *proto.KeyDelta, sender mls.LeafIndex, adds, removes []mls.LeafIndex, minute uint64) (memberKeys, error) {
	if len(d.Adds) != len(adds) || len(d.Removes) != len(removes) {
		return nil, breaks("its key delta has %d adds and %d removes, the commit %d and %d", len(d.Adds), len(d.Removes), len(adds), len(removes))
	}
	used := make(map[proto.MemberKey]bool, len(k)+len(adds))
	for _, m := range k {
		used[m.MK] = true
	}
	gone := make(map[proto.MemberKey]bool, len(removes))
	next := slices.Clone(k)
	for _, l := range removes {
		m, ok := k.find(l)
		if !ok {
			return nil, breaks("it removes a leaf without a member key")
		}
		gone[m.MK] = true
		next = slices.DeleteFunc(next, func(m memberKey) bool { return m.Leaf == l })
	}
	for _, mk := range d.Removes {
		if !gone[mk] {
			return nil, breaks("its key delta removes a key that is not of a removed leaf")
		}
		delete(gone, mk)
	}
	fresh := func(mk proto.MemberKey) bool {
		ok := !used[mk]
		used[mk] = true
		return ok
	}
	for i, l := range adds {
		if !fresh(d.Adds[i]) {
			return nil, breaks("its key delta adds a key twice")
		}
		next = append(next, memberKey{Leaf: l, MK: d.Adds[i], Since: minute})
	}
	if d.Replace != nil {
		i := slices.IndexFunc(next, func(m memberKey) bool { return m.Leaf == sender })
		if i < 0 || !fresh(*d.Replace) {
			return nil, breaks("its key delta replaces by a key in use")
		}
		next[i].MK = *d.Replace
	}
	slices.SortFunc(next, func(a, b memberKey) int { return cmp.Compare(a.Leaf, b.Leaf) })
	return next, nil
}
