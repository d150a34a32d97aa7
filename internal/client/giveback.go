package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// A server that lost its disk and was put back from a backup lacks what it
// acknowledged since. Its clients have that, with the server's own signatures:
// the log of the accounts, their own chain, and the ends of the conversations'
// logs, entry by entry with its receipt. They give it back, and the logs go on
// where they stood, in a new generation that the log declares (protocol, section
// 12).
//
//	tail/HEX/SEQ      the entry as it was read, for tailKept
//	generation/GEN    its first kid: declared in the log

// tailKept is for how long a device keeps entries to give them back, in minutes:
// backups are made daily.
const tailKept = 7 * 24 * 60

// errWaiting is what a person is told while others' devices are waited for.
var errWaiting = proto.Refuse(proto.Restoring)

// giveBack gives a restored server everything this device has of what it lost.
// The error is errWaiting until others have done so too.
func (c *Client) giveBack(ctx context.Context) error {
	c.forgetInfo()
	if err := c.giveLog(ctx); err != nil {
		return err
	}
	if err := c.giveAccount(ctx); err != nil {
		return err
	}
	ids, err := c.allConversations(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := c.giveEntries(ctx, id); err != nil && !refused(err) {
			return err
		} else if err != nil {
			c.cfg.Log.Warn("the server did not take back the end of a conversation", "why", err)
		}
	}
	if err := c.step(ctx, func(t *tx) error { t.put("files/due", nil); return nil }); err != nil {
		return err
	}
	var done proto.GiveDoneResponse
	err = c.callAccount(ctx, proto.GiveDone, func(s proto.SessionID) proto.Message {
		return &proto.GiveDoneRequest{Session: s}
	}, &done)
	if err == nil && done.Waiting {
		return errWaiting
	}
	c.forgetInfo()
	return err
}

func (c *Client) allConversations(ctx context.Context) (ids []proto.ConversationID, err error) {
	err = c.step(ctx, func(t *tx) (err error) {
		ids, err = t.conversations()
		return err
	})
	return ids, err
}

// giveAccount gives the own chain back, under every name it stands under.
func (c *Client) giveAccount(ctx context.Context) error {
	var all []proto.GiveAccountRequest
	err := c.step(ctx, func(t *tx) (err error) {
		all, err = t.ownChains()
		return err
	})
	for i := range all {
		if err == nil {
			err = c.giveChain(ctx, &all[i])
		}
	}
	return err
}

func (c *Client) giveChain(ctx context.Context, req *proto.GiveAccountRequest) error {
	err := c.callAnon(ctx, proto.GiveAccount, req, &proto.Empty{})
	if refused(err) {
		c.cfg.Log.Warn("the server did not take back the own chain", "why", err)
		return nil
	}
	return err
}

// giveEntries gives the server the entries of a conversation that follow its
// head. whole tells whether the server then has all this device has verified.
func (c *Client) giveEntries(ctx context.Context, id proto.ConversationID) (whole bool, err error) {
	req := proto.GiveEntriesRequest{Conversation: id}
	for {
		var got proto.GiveEntriesResponse
		if err := c.call(ctx, Conversations, proto.GiveEntries, &req, &got); err != nil {
			return false, err
		}
		if len(req.Entries) > 0 && got.Seq < req.Entries[len(req.Entries)-1].Receipt.Seq {
			return false, nil // it took them and does not have them
		}
		err := c.step(ctx, func(t *tx) error {
			req.Entries, whole = nil, false
			cv, err := t.conv(id)
			if err != nil || cv == nil || cv.meta.State == statePlanned {
				return err
			}
			req.Entries, whole, err = t.after(cv, got.Seq, got.Chain)
			return errors.Join(err, t.unackAll(cv))
		})
		if err != nil || len(req.Entries) == 0 {
			return whole, err
		}
	}
}

// after returns some kept entries after the server's head, none if this device
// cannot continue it.
func (t *tx) after(cv *conversation, seq uint64, chain proto.Hash) (all []proto.Stamped, whole bool, err error) {
	if seq >= cv.head.Seq {
		return nil, true, nil
	}
	own, known, err := t.chainAt(cv, seq)
	if err != nil || !known || own != chain {
		return nil, false, err
	}
	records, err := t.list(key("tail", cv.id, ""), key("tail", cv.id, seqKey(seq)), readMax)
	size := 0
	for i, rec := range records {
		var s proto.Stamped
		if err := wire.Decode(rec.Value, s.Wire); err != nil {
			return nil, false, fmt.Errorf("stored entry: %w", err)
		}
		if size += len(rec.Value); s.Receipt.Seq != seq+1+uint64(i) || size > proto.MaxGiveEntries-(64<<10) && i > 0 {
			break
		}
		all = append(all, s)
	}
	return all, false, err
}

// unackAll makes messages be sent again that have a receipt and were not read
// back: the log that had them may be lost. The server knows the bytes if not.
func (t *tx) unackAll(cv *conversation) error {
	all, err := t.list(key("out", cv.id, ""), "", 0)
	for _, rec := range all {
		r := new(outRecord)
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return fmt.Errorf("stored outbox: %w", err)
		}
		if r.Acked == 0 {
			continue
		}
		r.Acked = 0
		if err := t.save(key("out", cv.id, rec.Key[strings.LastIndexByte(rec.Key, '/')+1:]), r.wire); err != nil {
			return err
		}
	}
	return err
}

// keepTail keeps an entry as it was read.
func (t *tx) keepTail(cv *conversation, s *proto.Stamped) error {
	return t.save(key("tail", cv.id, seqKey(s.Receipt.Seq)), s.Wire)
}

// forgetTail deletes some kept entries that are too old to be lost by a server
// that is backed up.
func (t *tx) forgetTail(cv *conversation) error {
	oldest, err := t.list(key("tail", cv.id, ""), "", readMax)
	for _, rec := range oldest {
		var s proto.Stamped
		if err := wire.Decode(rec.Value, s.Wire); err != nil {
			return fmt.Errorf("stored entry: %w", err)
		}
		if !t.tooOldToLose(s.Receipt.Minute) {
			break
		}
		t.del(rec.Key)
		t.del(key("roster", cv.id, seqKey(s.Receipt.Seq)))
	}
	return err
}

func generationKey(g proto.Generation) string { return "generation/" + hex.EncodeToString(g[:]) }

// declared tells whether a receipt's generation, with its key, stands in the
// server's log.
func (t *tx) declared(r *proto.Receipt) (bool, error) {
	kid, err := t.get(generationKey(r.Generation))
	return bytes.Equal(kid, r.KID[:]), err
}

// learnGenerations looks up, in the server's log, the generations of entries
// that are not the one this device has read so far.
func (c *Client) learnGenerations(ctx context.Context, id proto.ConversationID, entries []proto.Stamped) error {
	var fresh []*proto.Receipt
	err := c.step(ctx, func(t *tx) error {
		fresh = nil
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return err
		}
		last := cv.head.Generation
		for i := range entries {
			r := &entries[i].Receipt
			if r.Generation == last || last == (proto.Generation{}) {
				last = r.Generation
				continue
			}
			last = r.Generation
			if ok, err := t.declared(r); err != nil {
				return err
			} else if !ok {
				fresh = append(fresh, r)
			}
		}
		return nil
	})
	for _, r := range fresh {
		if err == nil {
			err = c.learnGeneration(ctx, r.Generation, r.KID)
		}
	}
	return err
}

// learnGeneration notes a generation if the log declares it.
func (c *Client) learnGeneration(ctx context.Context, g proto.Generation, kid proto.KID) error {
	if err := c.syncTranslog(ctx); err != nil {
		if !errors.Is(err, errLogTrouble) {
			return err
		}
		return c.learnShown(ctx, g, kid)
	}
	k, err := c.logKeys(ctx)
	if err != nil {
		return err
	}
	var got proto.LogEntryResponse
	err = c.callAnon(ctx, proto.LogEntry, &proto.LogEntryRequest{Kind: uint8(kt.KindGeneration), Label: g[:]}, &got)
	if err != nil || len(got.Values) != 1 || !bytes.Equal(got.Values[0], kid[:]) {
		return err
	}
	if k, err = c.logUpTo(ctx, got.Proof.Epoch); err != nil {
		return err
	}
	return c.step(ctx, func(t *tx) error {
		e, found, err := t.logEpochAt(got.Proof.Epoch)
		if err != nil || !found {
			return err
		}
		proof, err := labelProof(got.Proof.Map, got.Proof.VRF, got.Proof.Openings)
		if err != nil {
			return nil // as if it were not there
		}
		leaf, err := proof.Verify(k.VRF, kt.KindGeneration, g[:], e.Record.MapRoot, got.Values)
		if err == nil && leaf != nil {
			t.put(generationKey(g), kid[:])
			t.put("files/due", nil)
		}
		return nil
	})
}

// newGeneration tells whether the server declares to be another one than this
// device last read a conversation in.
func (c *Client) newGeneration(ctx context.Context, id proto.ConversationID) (bool, error) {
	c.forgetInfo()
	info, err := c.info(ctx)
	if err != nil || len(info.StampKeys) == 0 {
		return false, err
	}
	r := proto.Receipt{Generation: info.Generation, KID: info.StampKeys[len(info.StampKeys)-1].KID}
	if err := c.learnGenerations(ctx, id, []proto.Stamped{{Receipt: r}}); err != nil {
		return false, err
	}
	declared := false
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.head.Generation == info.Generation {
			return err
		}
		declared, err = t.declared(&r)
		return err
	})
	return declared, err
}

// wentOnWithout is what a person is told whose device came too late to give back
// what only it had.
const wentOnWithout = "the server was restored from a backup, and others wrote in this conversation before this device could give back what only it has"

// giveLate gives a restored server the end of a conversation that it lacks after
// the wait for it was over: that goes as long as nobody wrote there.
func (c *Client) giveLate(ctx context.Context, id proto.ConversationID) (late bool, err error) {
	whole, err := c.giveEntries(ctx, id)
	if refused(err) || err == nil && !whole {
		return true, c.comeLate(ctx, id)
	}
	return false, err
}

// anotherGeneration tells whether a sender's head is of a generation that its
// log had not where it says.
func (t *tx) anotherGeneration(cv *conversation, h *proto.Head) (bool, error) {
	if h.Generation == cv.head.Generation {
		return false, nil
	}
	own, err := t.logged(cv, h.Seq)
	if err != nil {
		return false, err
	}
	if own != nil {
		return own.Receipt.Generation != h.Generation, nil
	}
	named, err := t.list(stampPrefix, "", 0)
	for _, k := range named {
		if strings.HasSuffix(k.Key, hex.EncodeToString(h.Generation[:])) {
			return false, err
		}
	}
	return true, err
}
