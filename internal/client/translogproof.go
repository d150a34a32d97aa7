package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"golang.org/x/mod/sumdb/tlog"
)

// treeOf is the log's tree over some records, for proofs a server would not
// give against itself.
type treeOf []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (t treeOf) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = t[x]
	}
	return out, nil
}

func newTree(epochs []logEpoch) (t treeOf, err error) {
	for i := range epochs {
		h, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(epochs[i].Record.LeafHash()), t)
		if err != nil {
			return nil, err
		}
		t = append(t, h...)
	}
	return t, nil
}

// sighting shows epoch n of a log of all these epochs under its checkpoint.
func sighting(epochs []logEpoch, n int, checkpoint []byte) (kt.Sighting, error) {
	s := kt.Sighting{Checkpoint: checkpoint, Record: &epochs[n].Record}
	tree, err := newTree(epochs)
	if err != nil {
		return s, err
	}
	p, err := tlog.ProveRecord(int64(len(epochs)), int64(n), tree)
	for _, h := range p {
		s.Proof = append(s.Proof, kt.Hash(h))
	}
	return s, err
}

// ownEpochs returns the replayed epochs before a size.
func (c *Client) ownEpochs(ctx context.Context, size uint64) (all []logEpoch, err error) {
	err = c.step(ctx, func(t *tx) (err error) {
		all, err = t.epochsTo(size)
		return err
	})
	return all, err
}

func (t *tx) epochsTo(size uint64) (all []logEpoch, err error) {
	for n := range size {
		e, found, err := t.logEpochAt(n)
		if err != nil || !found {
			return nil, errors.Join(err, errMissingEpoch)
		}
		all = append(all, e)
	}
	return all, nil
}

// forked raises the alarm of a checkpoint that does not continue the one this
// device has verified. The proof is complete if the server gives out what its
// new checkpoint stands for; and without that it has two signed checkpoints.
func (c *Client) forked(ctx context.Context, k logKeys, known logHead, checkpoint []byte, now kt.TreeHead) error {
	reason := c.forkReason(ctx, "the server's log was rewritten: it does not continue the log this device has verified")
	if err := c.raiseLog(ctx, reason); err != nil {
		return err
	}
	proof := kt.SplitView{A: kt.Sighting{Checkpoint: known.Checkpoint}, B: kt.Sighting{Checkpoint: checkpoint}}
	if now.Size != known.Size {
		if own, err := c.ownEpochs(ctx, known.Size); err == nil {
			c.firstDifference(ctx, &proof, own, now.Size)
		}
	}
	return c.distrustProved(ctx, reason, k, &proof)
}

// maxProof bounds of how many epochs a server may make a device prove that its
// log is another one.
const maxProof = 1 << 17

// firstDifference completes the proof by the first epoch the two logs do not
// have in common.
func (c *Client) firstDifference(ctx context.Context, proof *kt.SplitView, own []logEpoch, size uint64) {
	var theirs []logEpoch
	if size > maxProof {
		return
	}
	for uint64(len(theirs)) < size {
		page, err := c.logPage(ctx, uint64(len(theirs)), size)
		if err != nil {
			return
		}
		for _, e := range page {
			theirs = append(theirs, logEpoch{Record: e.Record})
		}
	}
	for n := range min(len(own), len(theirs)) {
		if own[n].Record == theirs[n].Record {
			continue
		}
		a, errA := sighting(own, n, proof.A.Checkpoint)
		b, errB := sighting(theirs, n, proof.B.Checkpoint)
		if errA == nil && errB == nil {
			proof.A, proof.B = a, b
		}
		return
	}
}

// falseEpoch raises the alarm of an epoch that breaks a rule of the log, the
// last of news.
func (c *Client) falseEpoch(ctx context.Context, k logKeys, news []logEpoch, breach error) error {
	reason := "the server's log breaks its own rules: " + breach.Error()
	if err := c.raiseLog(ctx, reason); err != nil {
		return err
	}
	epochs, err := c.ownEpochs(ctx, news[0].Record.N)
	if err != nil {
		return c.distrustLog(ctx, reason, nil)
	}
	proof := kt.FalseEpoch{}
	for _, e := range append(epochs, news...) {
		proof.Records = append(proof.Records, e.Record)
		proof.Batches = append(proof.Batches, e.Batch)
	}
	var got proto.LogHeadResponse
	if err := c.callAnon(ctx, proto.LogHead, &proto.LogHeadRequest{From: uint64(len(proof.Records))}, &got); err != nil {
		return c.distrustLog(ctx, reason, nil)
	}
	proof.Checkpoint, proof.Consistency = got.Checkpoint, ktHashes(got.Consistency)
	return c.distrustProved(ctx, reason, k, &proof)
}

// rootAt returns the root this device has for a size of the log; false if it
// has not seen that size.
func (t *tx) rootAt(size uint64) (kt.Hash, bool, error) {
	head, err := t.logHead()
	if err != nil || size == 0 || size > head.Size {
		return kt.Hash{}, false, err
	}
	e, found, err := t.logEpochAt(size - 1)
	return e.Root, found, err
}

// logReport is the file for an alarm about the log that nothing proves to
// others.
func (c *Client) logReport(ctx context.Context, reason string) []byte {
	var k logKeys
	var head logHead
	err := c.step(ctx, func(t *tx) (err error) {
		if head, err = t.logHead(); err == nil {
			err = t.load("translog/keys", k.wire)
		}
		return err
	})
	if err != nil {
		return evidence.Report(reason)
	}
	return evidence.Report(reason, "key of the log: "+k.Log.LogText(),
		fmt.Sprintf("verified up to: size %d, root %s", head.Size, head.Root.Hex()),
		"checkpoint: "+base64.StdEncoding.EncodeToString(head.Checkpoint))
}

// labelProof reads the server's proof of a label.
func labelProof(m []byte, vrf [80]byte, openings [][16]byte) (*kt.LabelProof, error) {
	p := &kt.LabelProof{VRF: vrf}
	for _, o := range openings {
		p.Openings = append(p.Openings, o)
	}
	return p, wire.Decode(m, p.Map.Wire)
}
