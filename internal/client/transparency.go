package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// A device of a small server replays the server's whole log: it recomputes the
// map from every batch, so that nobody has to be believed about it (protocol,
// sections 1 and 13). What the log says never refuses a commit.
//
//	translog/keys      logKeys, pinned at the first contact
//	translog/head      logHead
//	translog/epoch/N   logEpoch
//	translog/alarm     why no new key is accepted any more

// logAge is how old the newest epoch may be before no new key is accepted:
// there is one each day, and a clock may be off by some hours.
const logAge = 36 * time.Hour

// logKeys are the keys of the server's log.
type logKeys struct {
	Log kt.NoteKey
	VRF kt.VRFPublicKey
}

func (k *logKeys) wire(c *wire.Codec) {
	formatVersion(c)
	k.Log.Wire(c)
	wire.Fixed(c, k.VRF[:])
}

// logHead is the newest checkpoint this device has verified.
type logHead struct {
	Size       uint64
	Root       kt.Hash
	Checkpoint []byte // signed note
}

func (h *logHead) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint64(c, &h.Size)
	wire.Fixed(c, h.Root[:])
	wire.OpaqueMax(c, &h.Checkpoint, proto.MaxCheckpoint)
}

// logEpoch is one epoch, with the root of the log up to it.
type logEpoch struct {
	Record kt.EpochRecord
	Batch  []kt.BatchEntry
	Root   kt.Hash
}

func (e *logEpoch) wire(c *wire.Codec) {
	formatVersion(c)
	e.Record.Wire(c)
	batchWire(&e.Batch)(c)
	wire.Fixed(c, e.Root[:])
}

func batchWire(b *[]kt.BatchEntry) func(*wire.Codec) {
	return func(c *wire.Codec) { wire.Vector(c, b, (*kt.BatchEntry).Wire) }
}

var errMissingEpoch = errors.New("a stored epoch of the log is missing")

func epochKey(n uint64) string { return fmt.Sprintf("translog/epoch/%016x", n) }

func (t *tx) logHead() (h logHead, err error) {
	if err = t.load("translog/head", h.wire); err == nil && h.Size == 0 {
		h.Root = kt.Frontier{}.Root()
	}
	return h, err
}

// logEpochAt returns epoch n, which this device has replayed; found false if
// it has not.
func (t *tx) logEpochAt(n uint64) (e logEpoch, found bool, err error) {
	b, err := t.get(epochKey(n))
	if err != nil || b == nil {
		return e, false, err
	}
	return e, true, wire.Decode(b, e.wire)
}

// replayed returns the log as this device has it. What is in memory is what is
// stored, for an epoch never changes.
func (t *tx) replayed() (kt.Replay, error) {
	head, err := t.logHead()
	if err != nil {
		return kt.Replay{}, err
	}
	if t.c.replay.Size() > head.Size {
		t.c.replay = kt.Replay{}
	}
	for r := t.c.replay; r.Size() < head.Size; t.c.replay = r {
		e, found, err := t.logEpochAt(r.Size())
		if err == nil && !found {
			err = errMissingEpoch
		}
		if err != nil {
			return r, err
		}
		if r.Size() == 0 {
			t.c.days = nil
		}
		if r, err = r.Apply(e.Record, e.Batch); err != nil {
			return r, fmt.Errorf("stored log: %w", err)
		}
		t.c.days = t.c.days.Add(r)
	}
	return t.c.replay, nil
}

// logKeys returns the pinned keys; the first answer pins them.
func (c *Client) logKeys(ctx context.Context) (k logKeys, err error) {
	info, err := c.info(ctx)
	if err != nil {
		return k, err
	}
	now := logKeys{Log: kt.NoteKey{Name: info.Origin, Key: info.LogKey}, VRF: info.VRFKey}
	err = c.step(ctx, func(t *tx) error {
		k = logKeys{}
		b, err := t.get("translog/keys")
		if err != nil {
			return err
		}
		if b == nil {
			k = now
			return t.save("translog/keys", now.wire)
		}
		if err := wire.Decode(b, k.wire); err != nil || k != now {
			return err
		}
		claim, err := t.get(claimedKey)
		if claim != nil {
			t.del(claimedKey) // it shows the pinned one again
		}
		return err
	})
	if err == nil && k != now {
		err = c.otherLog(ctx, k, now)
	}
	return k, err
}

// logInterval is how often the log is looked at while nothing else asks for it.
const logInterval = time.Hour

// logDue tells whether this process has not looked at the log for a while.
func (c *Client) logDue() bool {
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	return c.sessions.logSeen.IsZero() || c.now().Sub(c.sessions.logSeen).Abs() >= logInterval
}

// lookAtLog looks at the log if that is due. What it finds stays as an alarm and
// keeps nothing else from going on.
func (c *Client) lookAtLog(ctx context.Context) error {
	if !c.logDue() {
		return nil
	}
	err := c.syncTranslog(ctx)
	var safety *SafetyError
	if errors.As(err, &safety) {
		c.cfg.Log.Warn("the server's log", "why", err)
		return nil
	}
	return err
}

func (c *Client) logLooked() {
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	c.sessions.logSeen = c.now()
}

// syncTranslog brings the replayed log up to the server's newest checkpoint, and
// the witness policies with it. A *SafetyError says that the server broke the
// log's rules or its word; from then on no new key is accepted.
func (c *Client) syncTranslog(ctx context.Context) error {
	if err := c.syncEpochs(ctx); err != nil {
		return err
	}
	k, err := c.logKeys(ctx)
	if err != nil {
		return err
	}
	return c.syncPolicies(ctx, k)
}

// syncEpochs is syncTranslog without the policies.
func (c *Client) syncEpochs(ctx context.Context) error {
	k, err := c.logKeys(ctx)
	if err != nil {
		return err
	}
	var head logHead
	var r kt.Replay
	err = c.step(ctx, func(t *tx) (err error) {
		if head, err = t.logHead(); err == nil {
			r, err = t.replayed()
		}
		return err
	})
	if err != nil {
		return err
	}
	var got proto.LogHeadResponse
	err = c.callAnon(ctx, proto.LogHead, &proto.LogHeadRequest{From: head.Size}, &got)
	if errors.Is(err, proto.Future) {
		return c.distrustLog(ctx, c.forkReason(ctx, fmt.Sprintf("the server's log is shorter than the %d epochs this device has verified", head.Size)), nil)
	}
	if err != nil {
		return err
	}
	signed, err := kt.VerifyCheckpoint(got.Checkpoint, k.Log, nil)
	if err != nil {
		return c.distrustLog(ctx, "the server's log is not signed with its key", nil)
	}
	if kt.CheckConsistency(ktHashes(got.Consistency), head.Size, head.Root, signed.Size, signed.Root) != nil {
		return c.forked(ctx, k, head, got.Checkpoint, signed.TreeHead)
	}
	epochs, err := c.replayTo(ctx, k, &r, signed.Size)
	if err != nil {
		return err
	}
	c.logLooked()
	if r.Root() != signed.Root {
		return c.distrustLog(ctx, "the server's log does not consist of the epochs it gives out", nil)
	}
	return c.step(ctx, func(t *tx) error {
		now, err := t.logHead()
		if err != nil || now.Size > signed.Size || now.Size < head.Size {
			return err // another process was faster
		}
		for i := range epochs {
			if err := t.save(epochKey(epochs[i].Record.N), epochs[i].wire); err != nil {
				return err
			}
		}
		t.notePolicies(epochs)
		t.noteReleases(epochs)
		h := logHead{Size: signed.Size, Root: signed.Root, Checkpoint: got.Checkpoint}
		if now.Size == h.Size && bytes.Equal(now.Checkpoint, h.Checkpoint) {
			return nil
		}
		return t.save("translog/head", h.wire)
	})
}

func ktHashes(in []proto.Hash) []kt.Hash {
	out := make([]kt.Hash, len(in))
	for i, h := range in {
		out[i] = kt.Hash(h)
	}
	return out
}

// replayTo fetches and replays the epochs up to a size.
func (c *Client) replayTo(ctx context.Context, k logKeys, r *kt.Replay, size uint64) (epochs []logEpoch, err error) {
	for r.Size() < size {
		page, err := c.logPage(ctx, r.Size(), size)
		if err != nil {
			return nil, err
		}
		for i := range page {
			next, err := r.Apply(page[i].Record, page[i].Batch)
			if err != nil {
				return nil, c.falseEpoch(ctx, k, append(epochs, page[i]), err)
			}
			*r = next
			page[i].Root = next.Root()
			epochs = append(epochs, page[i])
		}
	}
	if last, ok := r.Last(); ok && last.VRFKeyHash != kt.HashVRFKey(k.VRF) {
		return nil, c.distrustLog(ctx, "the server's log was made with another VRF key than the server names", nil)
	}
	return epochs, nil
}

// logPage fetches some epochs from a number on, none of them beyond size.
func (c *Client) logPage(ctx context.Context, from, size uint64) ([]logEpoch, error) {
	var got proto.LogEpochsResponse
	err := c.callAccount(ctx, proto.LogEpochs, func(s proto.SessionID) proto.Message {
		return &proto.LogEpochsRequest{Session: s, From: from}
	}, &got)
	if err != nil {
		return nil, err
	}
	if len(got.Epochs) == 0 {
		return nil, c.distrustLog(ctx, "the server does not give out its whole log", nil)
	}
	page := make([]logEpoch, 0, len(got.Epochs))
	for _, e := range got.Epochs[:min(uint64(len(got.Epochs)), size-from)] {
		record, err := kt.ParseEpochRecord(e.Record)
		next := logEpoch{Record: record}
		if err == nil {
			err = wire.Decode(e.Batch, batchWire(&next.Batch))
		}
		if err != nil {
			return nil, c.distrustLog(ctx, "the server's log cannot be read", nil)
		}
		page = append(page, next)
	}
	return page, nil
}

// logProof is evidence against a log.
type logProof interface {
	Verify(log kt.NoteKey) error
	Armored(log kt.NoteKey) []byte
}

// distrustProved is distrustLog with a proof, if it holds: what does not
// convince a third person is not kept as if it did.
func (c *Client) distrustProved(ctx context.Context, reason string, k logKeys, proof logProof) error {
	if proof.Verify(k.Log) != nil {
		return c.distrustLog(ctx, reason, nil)
	}
	return c.distrustLog(ctx, reason, proof.Armored(k.Log))
}

// wentOnOtherwise is what a person is told whose device has verified more of a log
// than a restored server got back before it went on: two histories are signed
// with one key, whatever the reason.
const wentOnOtherwise = "the server was restored from a backup, as it says, and its log went on without the end that this device has verified: which people and devices came or went then is lost there"

// fixOf is what a person can do about a log that is not believed.
func fixOf(reason string) string {
	if reason == wentOnOtherwise {
		return "your conversations go on, and no new device or person is accepted; tell the server's administrator: a log that has two histories is set right by a new one (huis restore --new-log), which this device takes over when you give its fingerprint"
	}
	return "no new device or person is accepted; compare with others, and talk to the server's operator"
}

// forkReason is why a log that lacks what was verified is not believed: reason, or
// that it was restored, if the server says so by a generation that nothing this
// device has read is of.
func (c *Client) forkReason(ctx context.Context, reason string) string {
	c.forgetInfo()
	info, err := c.info(ctx)
	if err != nil {
		return reason
	}
	restored := false
	err = c.step(ctx, func(t *tx) error {
		restored = false
		ids, err := t.conversations()
		if err != nil {
			return err
		}
		for _, id := range ids {
			cv, err := t.conv(id)
			if err != nil {
				return err
			}
			switch cv.head.Generation {
			case info.Generation:
				restored = false
				return nil
			case proto.Generation{}:
			default:
				restored = true
			}
		}
		return nil
	})
	if err != nil || !restored {
		return reason
	}
	return wentOnOtherwise
}

// distrustLog keeps the alarm, and the proof if there is one.
func (c *Client) distrustLog(ctx context.Context, reason string, proof []byte) error {
	err := c.raiseLog(ctx, reason)
	alarm := &SafetyError{Reason: reason, Fix: fixOf(reason), cause: errLogTrouble}
	if err != nil {
		return errors.Join(alarm, err)
	}
	if proof == nil {
		proof = c.logReport(ctx, reason)
	}
	return c.keepLogProof(ctx, alarm, proof)
}

// raiseLog keeps the alarm alone: before the server is asked for anything that
// may prove it, and may take its time.
func (c *Client) raiseLog(ctx context.Context, reason string) error {
	return c.step(ctx, func(t *tx) error {
		t.put("translog/alarm", []byte(reason))
		return nil
	})
}
