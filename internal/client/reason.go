package client

import (
	"slices"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// reason is a custom proposal that justifies the removal of a leaf by a member
// whose role alone does not: the leaf's own leave notice, its account's chain
// that revokes it, or the log's proof that its account was made anew. It makes the commit's validity follow from the group's
// state and the commit's bytes (protocol, section 1), also for members that
// joined after the notice.
type reason struct {
	Leaf   mls.LeafIndex
	Notice *proto.Entry // leave, signed by the leaf's member key
	Chain  [][]byte     // all links, the leaf's device revoked in them
	// Succession is a kt.Succession by which the leaf's account lost its name;
	// the log that all members have pinned signed it.
	Succession []byte
}

// maxSuccession bounds it, in bytes.
const maxSuccession = 256 << 10

func (r *reason) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint32(c, &r.Leaf)
	wire.Optional(c, &r.Notice, (*proto.Entry).Wire)
	wire.Vector(c, &r.Chain, func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, proto.MaxLink) })
	wire.OpaqueMax(c, &r.Succession, maxSuccession)
}

// excused returns the leaves whose removal a commit justifies by its reasons.
// One that proves nothing makes the commit invalid.
func (t *tx) excused(cv *conversation, c *mls.StagedCommit) (map[mls.LeafIndex]bool, error) {
	all := map[mls.LeafIndex]bool{}
	for _, p := range c.Proposals {
		if p.Proposal.Type != proposalReason {
			continue
		}
		var r reason
		if err := wire.Decode(p.Proposal.Custom, r.wire); err != nil {
			return nil, breaks("reason of a removal: %v", err)
		}
		if !t.proves(cv, &r) {
			return nil, breaks("the reason given for a removal proves nothing")
		}
		all[r.Leaf] = true
	}
	return all, nil
}

func (t *tx) proves(cv *conversation, r *reason) bool {
	who, m, err := cv.sender(r.Leaf)
	if err != nil {
		return false
	}
	if r.Notice != nil {
		k, ok := cv.keys.find(r.Leaf)
		n, err := proto.ParseNotice(r.Notice.Bytes)
		return ok && err == nil && n.Type == proto.NoticeLeave && r.Notice.Kind == proto.KindNotice &&
			r.Notice.Conversation == cv.id && r.Notice.MK == k.MK && r.Notice.Verify() == nil
	}
	if len(r.Succession) > 0 {
		former, err := t.verifySuccession(r.Succession)
		return err == nil && slices.Contains(former, kt.AccountID(who.Account))
	}
	chain, err := kt.Verify(r.Chain)
	if err != nil || chain.Account() != kt.AccountID(who.Account) {
		return false
	}
	d, ok := chain.Device(kt.DeviceID(who.Device))
	return ok && d.Revoked && len(m.SignatureKey) > 0
}
