package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// onCurrent tells whether v is the epoch of current, in the same history.
func onCurrent(v *GroupView, current *GroupContext) error {
	if v.context.Epoch != current.Epoch || !bytes.Equal(v.context.GroupID, current.GroupID) {
		return fmt.Errorf("%w: commit on %d, this is %d", ErrStaleEpoch, v.context.Epoch, current.Epoch)
	}
	if !bytes.Equal(wire.MustEncode(v.context.wire), wire.MustEncode(current.wire)) {
		return fmt.Errorf("%w: at epoch %d", ErrFork, current.Epoch)
	}
	return nil
}

var errForeignStage = errors.New("mls: staged commit was made by another kind of group")

// pastEpoch is what is kept of an ended epoch: enough to read messages that come
// late, and to know the commit that ended it.
type pastEpoch struct {
	keys    *messageKeys
	view    *GroupView // of its tree only the leaves are good after a restore
	endedAt time.Time
	endedBy []byte // hash of the commit's message
	own     bool   // the commit was this member's
}

// echo is the result for the commit that ended the epoch, seen again.
func (p *pastEpoch) echo() error {
	if p.own {
		return ErrOwnMessage
	}
	return fmt.Errorf("%w: the commit that ended epoch %d", ErrDuplicate, p.view.context.Epoch)
}

// pastEpoch returns what is kept of an epoch, nil if nothing is or it is too old.
func (g *Group) pastEpoch(epoch uint64, now time.Time) *pastEpoch {
	for _, p := range g.past {
		if p.view.context.Epoch == epoch && now.Sub(p.endedAt) <= g.opt.pastEpochAge() {
			return p
		}
	}
	return nil
}

// retire turns the current epoch into a past one.
func (g *Group) retire(now time.Time, c *StagedCommit) Delta {
	epoch := g.epoch.context.Epoch
	d := Delta{{Key: epochKey(epoch)}}
	d = append(d, g.proposals.forget(epoch)...)
	d = append(d, g.exporter.forget()...)
	d = append(d, g.keepResumption(epoch)...)
	tree := *g.tree
	tree.index = nil
	p := &pastEpoch{
		keys: g.keys, view: &GroupView{context: g.context, tree: &tree},
		endedAt: now, endedBy: g.suite().digest(c.message),
		own: c.Sender.SenderType == SenderMember && c.Sender.LeafIndex == g.epoch.own,
	}
	g.past = append(g.past, p)
	d = append(d, g.dropPast(now, 0)...)
	if slices.Contains(g.past, p) {
		d = append(d, Record{pastKey(epoch), p.encode(c.nextView.tree)})
	}
	return d
}

// keepResumption remembers the epoch's resumption PSK within the limit.
func (g *Group) keepResumption(epoch uint64) Delta {
	limit := uint64(max(g.opt.MaxResumptionEpochs, 0))
	if limit == 0 {
		return nil
	}
	g.resumption[epoch] = g.epoch.secrets.ResumptionPSK
	d := Delta{{resumptionKey(epoch), g.epoch.secrets.ResumptionPSK}}
	for n := range g.resumption {
		if n+limit <= epoch {
			delete(g.resumption, n)
			d = append(d, Record{Key: resumptionKey(n)})
		}
	}
	return d
}

// ForgetPast deletes what is kept of the epochs before the given one, and of
// those too old for the options at now.
func (g *Group) ForgetPast(now time.Time, before uint64) Delta {
	d := g.dropPast(now, before)
	if len(d) > 0 {
		d = append(d, g.storeHead())
	}
	return d
}

// dropPast is ForgetPast without the head record. The newest epoch may have no
// record yet; deleting it does no harm.
func (g *Group) dropPast(now time.Time, before uint64) Delta {
	var d Delta
	kept := g.past[:0:0]
	for i, p := range g.past {
		excess := len(g.past)-i > g.opt.maxPastEpochs()
		if !excess && p.view.context.Epoch >= before && now.Sub(p.endedAt) <= g.opt.pastEpochAge() {
			kept = append(kept, p)
			continue
		}
		d = append(d, Record{Key: pastKey(p.view.context.Epoch)})
		d = append(d, p.keys.tree.forget()...)
	}
	g.past = kept
	return d
}

// leave deletes all secrets: this member was removed. What is public stays, at
// the last epoch it was in.
func (g *Group) leave() Delta {
	d := g.dropPast(time.Time{}, 1<<64-1)
	d = append(d, g.keys.tree.forget()...)
	d = append(d, g.exporter.forget()...)
	d = append(d, g.proposals.forget(g.epoch.context.Epoch)...)
	for n := range g.resumption {
		d = append(d, Record{Key: resumptionKey(n)})
	}
	e := *g.epoch
	e.secrets, e.private, e.signer = &epochSecrets{}, privateKeys{}, SignaturePrivateKey{}
	g.epoch, g.removed, g.resumption = &e, true, map[uint64]Secret{}
	g.proposals = proposalCache{suite: g.Suite()}
	return append(d, g.storeEpoch(), g.storeHead())
}

// PastEpoch is an ended epoch whose messages can still be read.
type PastEpoch struct {
	Epoch   uint64
	EndedAt time.Time
}

// PastEpochs lists them, oldest first.
func (g *Group) PastEpochs() []PastEpoch {
	list := make([]PastEpoch, len(g.past))
	for i, p := range g.past {
		list[i] = PastEpoch{p.view.context.Epoch, p.endedAt}
	}
	return list
}
