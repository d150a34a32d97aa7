package mls

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Record is one keyed value of a group's durable state. Keys are relative to the
// group: the caller prefixes them. A nil Value deletes the key.
type Record struct {
	Key   string
	Value []byte
}

// Delta is what one operation changed, each key once.
// The caller writes all of it in one transaction; when that fails it throws the
// Group away and restores it.
//
//	head               which of the others there are
//	epoch/N            secrets and context of the current epoch N
//	tree/N             the tree at epoch N, or what changed in it since N-1
//	past/N             of an ended epoch: context, sender data secret, old leaves
//	keys/N/…           secret tree and ratchets of an epoch, a record each
//	export/N/…         exporter tree
//	proposal/N/I       proposals that travelled alone
//	resumption/N       resumption PSK of an ended epoch
type Delta []Record

const stateVersion uint16 = 1

func epochKey(n uint64) string       { return fmt.Sprintf("epoch/%d", n) }
func treeKey(n uint64) string        { return fmt.Sprintf("tree/%d", n) }
func pastKey(n uint64) string        { return fmt.Sprintf("past/%d", n) }
func resumptionKey(n uint64) string  { return fmt.Sprintf("resumption/%d", n) }
func keysPrefix(n uint64) string     { return fmt.Sprintf("keys/%d", n) }
func exporterPrefix(n uint64) string { return fmt.Sprintf("export/%d", n) }

// head says which records there are.
type head struct {
	version    uint16
	removed    bool
	epoch      uint64
	treeBase   uint64 // tree/treeBase is whole, those after it are changes
	past       []uint64
	resumption []uint64
}

func (h *head) wire(c *wire.Codec) {
	wire.Uint16(c, &h.version)
	if h.version != stateVersion {
		c.Fail(fmt.Sprintf("state of version %d, this program knows %d", h.version, stateVersion))
		return
	}
	wire.Bool(c, &h.removed)
	wire.Uint64(c, &h.epoch)
	wire.Uint64(c, &h.treeBase)
	wire.Vector(c, &h.past, number64)
	wire.Vector(c, &h.resumption, number64)
}

func number64(v *uint64, c *wire.Codec) { wire.Uint64(c, v) }

func (g *Group) storeHead() Record {
	h := head{
		version: stateVersion, removed: g.removed, epoch: g.epoch.context.Epoch,
		treeBase: g.stored.base, resumption: slices.Sorted(maps.Keys(g.resumption)),
	}
	for _, p := range g.past {
		h.past = append(h.past, p.view.context.Epoch)
	}
	return Record{"head", wire.MustEncode(h.wire)}
}

func (g *Group) storeEpoch() Record {
	return Record{epochKey(g.epoch.context.Epoch), wire.MustEncode(g.epoch.wire)}
}

func (e *epoch) wire(c *wire.Codec) {
	e.context.wire(c)
	wire.Opaque(c, &e.interim)
	wire.Opaque(c, &e.confirmationTag)
	if c.Decoding() {
		e.secrets = new(epochSecrets)
	}
	e.secrets.wire(c)
	wire.Uint32(c, &e.own)
	e.private.wire(c, &e.private)
	member := !e.signer.IsZero()
	wire.Bool(c, &member)
	if member {
		wireSigner(c, &e.signer, e.context.CipherSuite)
	}
	wire.Optional(c, &e.reinit, (*ReInit).wire)
}

// wire codes the keys in the order of their nodes.
func (privateKeys) wire(c *wire.Codec, keys *privateKeys) {
	type entry struct {
		node nodeIndex
		key  HPKEPrivateKey
	}
	var list []entry
	for _, x := range slices.Sorted(maps.Keys(*keys)) {
		list = append(list, entry{x, (*keys)[x]})
	}
	wire.Vector(c, &list, func(e *entry, c *wire.Codec) {
		wire.Uint32(c, &e.node)
		wireHPKEKey(c, &e.key)
	})
	if c.Decoding() {
		*keys = privateKeys{}
		for i, e := range list {
			if i > 0 && list[i-1].node >= e.node {
				c.Fail("private keys are not in the order of their nodes")
			}
			(*keys)[e.node] = e.key
		}
	}
}

// encode returns the record of a past epoch. Its leaves are stored as what
// differs from the next epoch's.
func (p *pastEpoch) encode(next *ratchetTree) []byte {
	r := pastRecord{
		context: *p.view.context, senderData: p.keys.senderData, own: p.keys.own, leaves: p.view.tree.leafCount(),
		endedAt: uint64(p.endedAt.UnixNano()), endedBy: p.endedBy, ended: p.own,
	}
	for l := range LeafIndex(r.leaves) {
		if n := p.view.tree.leaf(l); n != next.leaf(l) {
			r.changed = append(r.changed, treeChange{node: l.node(), leaf: n})
		}
	}
	return wire.MustEncode(r.wire)
}

type pastRecord struct {
	context    GroupContext
	senderData Secret
	own        LeafIndex
	leaves     uint32
	endedAt    uint64 // nanoseconds since the Unix epoch
	endedBy    []byte
	ended      bool
	changed    []treeChange
}

func (r *pastRecord) wire(c *wire.Codec) {
	r.context.wire(c)
	wire.Opaque(c, &r.senderData)
	wire.Uint32(c, &r.own)
	wire.Uint32(c, &r.leaves)
	wire.Uint64(c, &r.endedAt)
	wire.Opaque(c, &r.endedBy)
	wire.Bool(c, &r.ended)
	wire.Vector(c, &r.changed, (*treeChange).wire)
}

// restorePast reads a past epoch back; next is the tree of the epoch after it.
func (g *Group) restorePast(get getter, n uint64, next *ratchetTree) (*pastEpoch, error) {
	r, err := read(get, pastKey(n), (*pastRecord).wire)
	if err != nil {
		return nil, err
	}
	tree, err := next.withLeaves(r.leaves, r.changed)
	if err != nil {
		return nil, err
	}
	if tree.leaf(r.own) == nil {
		return nil, fmt.Errorf("mls: stored record %s is damaged: there is no leaf %d", pastKey(n), r.own)
	}
	secrets, err := restoreSecretTree(tree.suite, keysPrefix(n), r.leaves, get)
	if err != nil {
		return nil, err
	}
	return &pastEpoch{
		keys: &messageKeys{
			suite: tree.suite, groupID: r.context.GroupID, epoch: n, own: r.own,
			senderData: r.senderData, tree: secrets, limits: g.opt.limits(),
		},
		view:    &GroupView{context: &r.context, tree: tree},
		endedAt: time.Unix(0, int64(r.endedAt)), endedBy: r.endedBy, own: r.ended,
	}, nil
}

type getter = func(key string) ([]byte, error)

// read reads a record that must be there.
func read[T any](get getter, key string, fields func(*T, *wire.Codec)) (*T, error) {
	b, err := get(key)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, fmt.Errorf("mls: stored record %s is missing", key)
	}
	v, err := parse(b, fields)
	if err != nil {
		return nil, fmt.Errorf("mls: stored record %s is damaged: %w", key, err)
	}
	return v, nil
}

// Restore returns the group as its deltas left it. get returns nil, nil for a
// key that is not there.
func Restore(get func(key string) ([]byte, error), opt Options) (*Group, error) {
	h, err := read(get, "head", (*head).wire)
	if err != nil {
		return nil, err
	}
	e, err := read(get, epochKey(h.epoch), (*epoch).wire)
	if err != nil {
		return nil, err
	}
	g := &Group{opt: opt, epoch: e, removed: h.removed, resumption: map[uint64]Secret{}}
	tree, err := g.restoreTree(get, h, e)
	if err != nil {
		return nil, err
	}
	g.GroupView = GroupView{context: &e.context, tree: tree}
	g.proposals = proposalCache{suite: g.Suite()}
	if h.removed {
		return g, nil
	}
	if tree.leaf(e.own) == nil {
		return nil, fmt.Errorf("mls: stored record %s is damaged: there is no leaf %d", epochKey(h.epoch), e.own)
	}
	for _, restore := range []func(getter, *head) error{g.restoreKeys, g.restoreProposals, g.restorePasts} {
		if err := restore(get, h); err != nil {
			return nil, err
		}
	}
	return g, nil
}

func (g *Group) restoreKeys(get getter, h *head) error {
	tree, err := restoreSecretTree(g.suite(), keysPrefix(h.epoch), g.tree.leafCount(), get)
	if err != nil {
		return err
	}
	g.keys = g.messageKeys(g.epoch, tree)
	g.exporter, err = restoreExporterTree(g.suite(), exporterPrefix(h.epoch), get)
	return err
}

func (g *Group) restoreProposals(get getter, h *head) error {
	for i := 0; ; i++ {
		key := proposalKey(h.epoch, i)
		b, err := get(key)
		if err != nil || b == nil {
			return err
		}
		p := new(keptProposal)
		if err := decode(b, func(c *wire.Codec) { p.wire(c, g.Suite()) }); err != nil {
			return fmt.Errorf("mls: stored record %s is damaged: %w", key, err)
		}
		g.proposals.keep(p)
	}
}

// restorePasts reads the past epochs, newest first because each builds on the
// tree after it, and the resumption PSKs.
func (g *Group) restorePasts(get getter, h *head) error {
	next := g.tree
	for _, n := range slices.Backward(h.past) {
		p, err := g.restorePast(get, n, next)
		if err != nil {
			return err
		}
		g.past = slices.Insert(g.past, 0, p)
		next = p.view.tree
	}
	for _, n := range h.resumption {
		b, err := get(resumptionKey(n))
		if err != nil {
			return err
		}
		if b == nil {
			return fmt.Errorf("mls: stored record %s is missing", resumptionKey(n))
		}
		g.resumption[n] = b
	}
	return nil
}

func wireHPKEKey(c *wire.Codec, k *HPKEPrivateKey) {
	raw := k.Bytes()
	wire.Opaque(c, &raw)
	if c.Decoding() && c.Err() == nil {
		*k = NewHPKEPrivateKey(raw)
	}
}

func wireSigner(c *wire.Codec, k *SignaturePrivateKey, suite CipherSuite) {
	raw := k.Bytes()
	wire.Opaque(c, &raw)
	if !c.Decoding() || c.Err() != nil {
		return
	}
	var err error
	if *k, err = ParseSignaturePrivateKey(suite, raw); err != nil {
		c.Fail(err.Error())
	}
}
