package audit

import (
	"context"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

// maxProof bounds the epochs of one proof, in bytes: what is larger is reported.
const maxProof = evidence.MaxFile / 2

// falseEpoch is the Breach of an epoch that breaks a rule, after those replayed.
func (a *Auditor) falseEpoch(ctx context.Context, src Source, r kt.Replay, bad *Epoch, breach error) error {
	reason := "the log breaks its own rules: " + breach.Error()
	var p kt.FalseEpoch
	size := 0
	add := func(e *Epoch) error {
		size += len(e.Batch)*kt.BatchEntrySize + 256
		p.Records, p.Batches = append(p.Records, e.Record), append(p.Batches, e.Batch)
		if size > maxProof {
			return errDamaged
		}
		return nil
	}
	if _, err := a.files.each(r.Size(), add); err != nil || add(bad) != nil {
		return a.report(reason, nil)
	}
	head, err := src.Head(ctx, uint64(len(p.Records)))
	if err != nil {
		return a.report(reason, nil)
	}
	p.Checkpoint, p.Consistency = head.Checkpoint, head.Consistency
	return a.proved(reason, kt.EvidenceFalseEpoch, &p, head.Checkpoint)
}

// rewritten is the Breach of a checkpoint that does not continue the audited
// one. Its proof takes what the new one stands for, where that is longer.
func (a *Auditor) rewritten(ctx context.Context, src Source, note []byte, now kt.TreeHead) error {
	reason := "the log was rewritten: it does not continue what was audited before"
	size := min(a.replay.Size(), now.Size)
	own, err := a.ownLeaves()
	if err != nil {
		return a.report(reason, note)
	}
	theirs, err := leavesOf(ctx, src, now.Size)
	if err != nil && now.Size > size {
		return a.report(reason, note)
	}
	c := kt.Common{Size: size, A: prefix(own, size), B: kt.Prefix{Root: now.Root}}
	if now.Size > size {
		c.B = prefix(theirs, size)
	}
	p := kt.SplitView{A: kt.Sighting{Checkpoint: a.note}, B: kt.Sighting{Checkpoint: note}, Common: &c}
	return a.proved(reason, kt.EvidenceSplitView, &p, note)
}

// tree is the stored hashes of a log.
type tree []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (t tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = t[x]
	}
	return out, nil
}

// leaves is a log's tree while it grows.
type leaves struct {
	tree tree
	size uint64
}

func (l *leaves) add(e *Epoch) error {
	h, err := tlog.StoredHashesForRecordHash(int64(l.size), tlog.Hash(e.Record.LeafHash()), l.tree)
	l.tree, l.size = append(l.tree, h...), l.size+1
	return err
}

func (a *Auditor) ownLeaves() (l leaves, err error) {
	_, err = a.files.each(a.replay.Size(), l.add)
	return l, err
}

func leavesOf(ctx context.Context, src Source, size uint64) (l leaves, err error) {
	for l.size < size {
		page, err := src.Epochs(ctx, l.size)
		if err == nil && len(page) == 0 {
			err = ErrShorter
		}
		if err != nil {
			return l, err
		}
		for i := range page[:min(uint64(len(page)), size-l.size)] {
			if err := l.add(&page[i]); err != nil {
				return l, err
			}
		}
	}
	return l, nil
}

// prefix proves what a log was at a size; what cannot be proved does not verify.
func prefix(l leaves, size uint64) (p kt.Prefix) {
	root, err := tlog.TreeHash(int64(size), l.tree)
	if err != nil || size == 0 || size > l.size {
		return p
	}
	p.Root = kt.Hash(root)
	proof, err := tlog.ProveTree(int64(l.size), int64(size), l.tree)
	if err != nil {
		return kt.Prefix{}
	}
	for _, h := range proof {
		p.Proof = append(p.Proof, kt.Hash(h))
	}
	return p
}
