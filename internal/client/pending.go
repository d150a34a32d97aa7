package client

import (
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// pending is a commit this device made and does not know the outcome of. It is
// stored before it is sent (protocol, section 4); its entry's hash in the log,
// or another's commit on the same epoch, decides.
type pending struct {
	Entry  proto.Entry
	Extra  proto.Extra
	Staged []byte     // mls.StagedCommit
	Keys   memberKeys // of the next epoch
	Seed   seed       // the own next member key; zeros: the same
	Blob   proto.BlobID
	// Handed are the join packages that travel by hand, in the order of their
	// Adds: devices being linked have no inbox yet.
	Handed [][]byte
}

func (p *pending) wire(c *wire.Codec) {
	formatVersion(c)
	p.Entry.Wire(c)
	p.Extra.Wire(c)
	wire.Opaque(c, &p.Staged)
	p.Keys.wire(c)
	p.Seed.wire(c)
	p.Blob.Wire(c)
	wire.Vector(c, &p.Handed, func(b *[]byte, c *wire.Codec) { wire.OpaqueMax(c, b, proto.MaxJoinPackage) })
}

// pending returns the commit whose outcome is open, nil if there is none.
func (t *tx) pending(cv *conversation) (*pending, error) {
	b, err := t.get(key("pend", cv.id))
	if err != nil || b == nil {
		return nil, err
	}
	p := new(pending)
	return p, wire.Decode(b, p.wire)
}

func (t *tx) dropPending(cv *conversation) error {
	t.del(key("pend", cv.id))
	t.del(key("pendblob", cv.id))
	return nil
}
