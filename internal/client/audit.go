package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// An audit recomputes the log apart from what this device keeps of it. Batches
// go to members only: an auditor from elsewhere is invited like anybody else.

// Server returns the server of this device.
func (c *Client) Server() ServerRef { return c.server }

// PinnedLog returns the log's keys as this device pinned them at its first
// contact; false if it has had none. It asks nobody.
func (c *Client) PinnedLog(ctx context.Context) (log kt.NoteKey, vrf kt.VRFPublicKey, known bool, err error) {
	var k logKeys
	err = c.step(ctx, func(t *tx) error { return t.load("translog/keys", k.wire) })
	return k.Log, k.VRF, k != logKeys{}, err
}

// AuditHead asks, without login, for the newest checkpoint as somebody who
// knows the log at size from; proto.Future if it is not that long.
func (c *Client) AuditHead(ctx context.Context, from uint64) (checkpoint []byte, consistency []kt.Hash, err error) {
	if _, err := c.logKeys(ctx); err != nil {
		return nil, nil, err
	}
	var got proto.LogHeadResponse
	err = c.callAnon(ctx, proto.LogHead, &proto.LogHeadRequest{From: from}, &got)
	return got.Checkpoint, ktHashes(got.Consistency), err
}

// AuditEpochs asks for some epochs from a number on.
func (c *Client) AuditEpochs(ctx context.Context, from uint64, each func(kt.EpochRecord, []kt.BatchEntry)) error {
	var got proto.LogEpochsResponse
	err := c.callAccount(ctx, proto.LogEpochs, func(s proto.SessionID) proto.Message {
		return &proto.LogEpochsRequest{Session: s, From: from}
	}, &got)
	if err != nil {
		return err
	}
	for _, e := range got.Epochs {
		record, err := kt.ParseEpochRecord(e.Record)
		var batch []kt.BatchEntry
		if err == nil {
			err = wire.Decode(e.Batch, batchWire(&batch))
		}
		if err != nil {
			return fmt.Errorf("an epoch of the server's log cannot be read: %w", err)
		}
		each(record, batch)
	}
	return nil
}

// PublicReader is what a Transport may also be: it reads what the server shows
// anybody, over a connection of its own without a login.
type PublicReader interface {
	Public(ctx context.Context, path string) ([]byte, error)
}

// recheckEvery is how often the checkpoint that anybody is shown is compared
// (rule 5 of the protocol's section 13).
const recheckEvery = 24 * time.Hour

// recheckLog compares, once a day, what anybody is shown of the log with what
// this device was shown. What differs is found like a member's word.
//
//	translog/recheck   Unix seconds of the last time
func (c *Client) recheckLog(ctx context.Context) error {
	public, ok := c.net.(PublicReader)
	if !ok {
		return nil
	}
	due := false
	err := c.step(ctx, func(t *tx) error {
		b, err := t.get("translog/recheck")
		if err != nil {
			return err
		}
		last, bad := strconv.ParseInt(string(b), 10, 64)
		if due = bad != nil || c.now().Sub(time.Unix(last, 0)).Abs() >= recheckEvery; due {
			t.put("translog/recheck", fmt.Appendf(nil, "%d", c.now().Unix()))
		}
		return nil
	})
	if err != nil || !due {
		return err
	}
	note, err := public.Public(ctx, "/log/checkpoint")
	if err != nil || len(note) > proto.MaxCheckpoint {
		c.cfg.Log.Warn("the public checkpoint could not be read", "why", err)
		return nil
	}
	return c.step(ctx, func(t *tx) error {
		var k logKeys
		if err := t.load("translog/keys", k.wire); err != nil || k == (logKeys{}) {
			return err
		}
		if claim, err := t.claimedLog(); err != nil || claim != nil {
			return err // anybody is shown that log as well
		}
		signed, err := kt.VerifyCheckpoint(note, k.Log, nil)
		if err != nil {
			t.put("translog/alarm", []byte("the checkpoint the server shows anybody is not signed with the key of its log"))
			return nil
		}
		return t.hearNote(proto.ConversationID{}, proto.AccountID{}, &word{Note: note}, signed.TreeHead)
	})
}

// settleLog does what the log is owed beside the conversations: proofs of stamp
// keys, the daily look from outside, and gossip.
func (c *Client) settleLog(ctx context.Context) error {
	return errors.Join(c.settleStamps(ctx), c.recheckLog(ctx), c.settleGossip(ctx))
}
