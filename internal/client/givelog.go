package client

import (
	"context"
	"errors"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

// logToGive is the end of the log that a restored server lacks.
type logToGive struct {
	from     uint64 // the size it has
	own      logHead
	policies [][]byte
}

// giveLog gives the server the end of its log that it lacks, up to the newest
// checkpoint this device verified, page by page.
func (c *Client) giveLog(ctx context.Context) error {
	k, err := c.logKeys(ctx)
	if err != nil {
		return err
	}
	var got proto.LogHeadResponse
	if err := c.callAnon(ctx, proto.LogHead, &proto.LogHeadRequest{}, &got); err != nil {
		return err
	}
	now, err := kt.VerifyCheckpoint(got.Checkpoint, k.Log, nil)
	if err != nil {
		return c.distrustLog(ctx, "the server's log is not signed with its key", nil)
	}
	var give logToGive
	forked := false
	err = c.step(ctx, func(t *tx) error {
		give = logToGive{from: now.Size}
		if give.own, err = t.logHead(); err != nil || give.own.Size < now.Size {
			return err
		}
		p, err := t.policyChain()
		if err != nil {
			return err
		}
		give.policies = p.Signed
		root, known, err := t.rootAt(now.Size)
		forked = known && root != now.Root
		return err
	})
	if err != nil || give.own.Size < now.Size {
		return err
	}
	if forked {
		return c.forked(ctx, k, give.own, got.Checkpoint, now.TreeHead)
	}
	if err = c.givePages(ctx, &give); refused(err) { // another device may have more luck; if none has, the log stays too short
		c.cfg.Log.Warn("the server did not take back the end of its log", "why", err)
		return nil
	}
	return err
}

// givePages sends the epochs, each page with the proof that the newest
// checkpoint continues it, and the policies with the last one.
func (c *Client) givePages(ctx context.Context, give *logToGive) error {
	var tree treeOf
	for from := give.from; from < give.own.Size || len(give.policies) > 0; {
		req := proto.GiveLogRequest{Checkpoint: give.own.Checkpoint}
		err := c.step(ctx, func(t *tx) (err error) {
			if req.Epochs, err = t.logPageFrom(from, give.own.Size); err != nil {
				return err
			}
			if from+uint64(len(req.Epochs)) < give.own.Size && tree == nil {
				tree, err = t.recordTree(give.own.Size)
			}
			return err
		})
		if err != nil {
			return err
		}
		if from += uint64(len(req.Epochs)); from < give.own.Size {
			if req.Consistency, err = tree.consistency(from, give.own.Size); err != nil {
				return err
			}
		} else {
			req.Policies, give.policies = give.policies, nil
		}
		if err := c.callAnon(ctx, proto.GiveLog, &req, &proto.Empty{}); err != nil {
			return err
		}
	}
	return nil
}

// logPageFrom returns some epochs from a number on, none of them beyond size.
func (t *tx) logPageFrom(from, size uint64) (all []proto.LogEpoch, err error) {
	for n, bytes := from, 0; n < size; n++ {
		e, found, err := t.logEpochAt(n)
		if err != nil || !found {
			return nil, errors.Join(err, errMissingEpoch)
		}
		next := proto.LogEpoch{Record: e.Record.Encode(), Batch: wire.MustEncode(batchWire(&e.Batch))}
		if bytes += len(next.Record) + len(next.Batch); bytes > t.c.givePage && len(all) > 0 {
			break
		}
		all = append(all, next)
	}
	return all, nil
}

// recordTree is the tree of the log at a size.
func (t *tx) recordTree(size uint64) (tree treeOf, err error) {
	for n := range size {
		e, found, err := t.logEpochAt(n)
		if err != nil || !found {
			return nil, errors.Join(err, errMissingEpoch)
		}
		h, err := tlog.StoredHashesForRecordHash(int64(n), tlog.Hash(e.Record.LeafHash()), tree)
		if err != nil {
			return nil, err
		}
		tree = append(tree, h...)
	}
	return tree, nil
}

// consistency proves that the tree of size n continues that of size m.
func (t treeOf) consistency(m, n uint64) (all []proto.Hash, err error) {
	if m == 0 {
		return nil, nil
	}
	p, err := tlog.ProveTree(int64(n), int64(m), t)
	for _, h := range p {
		all = append(all, proto.Hash(h))
	}
	return all, err
}
