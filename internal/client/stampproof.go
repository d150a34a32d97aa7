package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// A key the server stamps with has to stand in its log: only then is what it
// stamped the operator's word to somebody who was not there (protocol, section
// 6). The proof is fetched once for each key and kept for the day it is needed.
//
//	stampin/KID GENERATION     evidence.StampKey
//	stampwait/KID GENERATION   Unix seconds since when the proof is asked for

const (
	stampInPrefix   = "stampin/"
	stampWaitPrefix = "stampwait/"
	// stampPatience is how long a server may owe the proof of a stamp key.
	stampPatience = 24 * time.Hour
)

// anchorStampKeys fetches the proofs that are missing. A *SafetyError says that
// the server stamps with a key its log does not have.
func (c *Client) anchorStampKeys(ctx context.Context) error {
	var missing []proto.StampKey
	err := c.step(ctx, func(t *tx) (err error) {
		missing, err = t.unanchored()
		return err
	})
	for i := range missing {
		err = errors.Join(err, c.anchorStampKey(ctx, &missing[i]))
	}
	return err
}

// settleStamps fetches what is missing; only what is unsafe is an error.
func (c *Client) settleStamps(ctx context.Context) error {
	err := c.anchorStampKeys(ctx)
	var safety *SafetyError
	if err == nil || errors.As(err, &safety) {
		return err
	}
	c.cfg.Log.Warn("the proof of a stamp key has to wait", "why", err)
	return nil
}

// unanchored returns the stamp keys whose proof is not here.
func (t *tx) unanchored() (missing []proto.StampKey, err error) {
	all, err := t.list(stampPrefix, "", 0)
	if err != nil {
		return nil, err
	}
	for _, rec := range all {
		name := strings.TrimPrefix(rec.Key, stampPrefix)
		if there, err := t.get(stampInPrefix + name); err != nil || there != nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		var k proto.StampKey
		if err := wire.Decode(rec.Value, k.Wire); err != nil {
			return nil, err
		}
		missing = append(missing, k)
	}
	return missing, nil
}

func (c *Client) anchorStampKey(ctx context.Context, k *proto.StampKey) error {
	var got proto.LogEntryResponse
	err := c.call(inPassing(ctx), Anonymous, proto.LogEntry, &proto.LogEntryRequest{Kind: uint8(kt.KindStampKey), Label: k.KID[:]}, &got)
	if refused(err) {
		return c.awaitStampKey(ctx, k)
	}
	if err != nil {
		return err
	}
	keys, err := c.logUpTo(ctx, got.Proof.Epoch)
	if err != nil {
		return err
	}
	all, head, err := c.ownLog(ctx)
	if err != nil || uint64(len(all)) <= got.Proof.Epoch {
		return errors.Join(err, c.awaitStampKey(ctx, k))
	}
	a := evidence.StampKey{Key: *k, VRF: keys.VRF}
	if a.Seen, err = sighting(all, int(got.Proof.Epoch), head.Checkpoint); err != nil {
		return err
	}
	proof, err := labelProof(got.Proof.Map, got.Proof.VRF, got.Proof.Openings)
	if err == nil {
		a.Map = *proof
		err = a.Verify(keys.Log)
	}
	if err != nil {
		return c.distrustLog(ctx, "the server stamps messages with a key that does not stand in its log", nil)
	}
	return c.step(ctx, func(t *tx) error {
		t.del(stampWaitPrefix + stampName(k))
		return t.save(stampInPrefix+stampName(k), a.Wire)
	})
}

// awaitStampKey gives the server some time to show a key in its log.
func (c *Client) awaitStampKey(ctx context.Context, k *proto.StampKey) error {
	late := false
	err := c.step(ctx, func(t *tx) error {
		b, err := t.get(stampWaitPrefix + stampName(k))
		if err != nil {
			return err
		}
		if b == nil {
			t.put(stampWaitPrefix+stampName(k), fmt.Appendf(nil, "%d", t.c.now().Unix()))
			return nil
		}
		var since int64
		_, err = fmt.Sscan(string(b), &since)
		late = t.c.now().Sub(time.Unix(since, 0)) > stampPatience
		return err
	})
	if err != nil || !late {
		return err
	}
	return c.distrustLog(ctx, "the server has not shown for a day that the key it stamps messages with stands in its log", nil)
}

func stampName(k *proto.StampKey) string { return k.KID.Hex() + fmt.Sprintf("%x", k.Generation[:]) }

// ownLog returns the replayed log and its checkpoint.
func (c *Client) ownLog(ctx context.Context) (all []logEpoch, head logHead, err error) {
	err = c.step(ctx, func(t *tx) (err error) {
		if head, err = t.logHead(); err == nil {
			all, err = t.epochsTo(head.Size)
		}
		return err
	})
	return all, head, err
}

// anchor returns a key with the proof that it stands in the log, false if this
// device has none.
func (t *tx) anchor(r *proto.Receipt) (k evidence.StampKey, ok bool, err error) {
	b, err := t.get(stampInPrefix + r.KID.Hex() + fmt.Sprintf("%x", r.Generation[:]))
	if err != nil || b == nil {
		return k, false, err
	}
	return k, true, wire.Decode(b, k.Wire)
}

// stop is why a conversation was stopped, and what may prove it.
type stop struct {
	conversation proto.ConversationID
	reason       string
	head         proto.Head       // what this device had verified
	entry        *proto.Stamped   // what did not fit; nil: nothing was given
	other        *evidence.Placed // what another member was shown; nil: unknown
}

// proof returns the proof against the server, nil if there is none.
func (c *Client) proof(ctx context.Context, s *stop) (file []byte, err error) {
	if err := c.anchorStampKeys(ctx); err != nil {
		c.cfg.Log.Warn("the proof that a stamp key stands in the log is not here", "why", err)
	}
	var given []evidence.Placed
	if s.other != nil {
		given = append(given, *s.other)
	}
	if s.entry != nil {
		given = append(given, placed(s.entry)...)
	}
	if s.entry == nil {
		given = append(given, c.shownNow(ctx, s)...)
	}
	err = c.step(ctx, func(t *tx) error {
		var k logKeys
		if err := t.load("translog/keys", k.wire); err != nil {
			return err
		}
		for i := range given {
			if file, err = t.conflict(s.conversation, &given[i], k.Log); err != nil || file != nil {
				return err
			}
		}
		return nil
	})
	return file, err
}

func placed(s *proto.Stamped) []evidence.Placed {
	sk, err := s.Entry.Skeleton()
	if err != nil {
		return nil
	}
	return []evidence.Placed{{Entry: sk, Receipt: s.Receipt}}
}

// shownNow asks the server once more for the entries this device has verified
// last: a log that went back and grew anew has others in their places.
func (c *Client) shownNow(ctx context.Context, s *stop) (all []evidence.Placed) {
	after := s.head.Seq - min(s.head.Seq, readMax/2)
	var got proto.ReadResponse
	err := c.callConv(inPassing(ctx), s.conversation, proto.Read, func(id proto.SessionID) proto.Message {
		return &proto.ReadRequest{Session: id, After: after, Max: readMax}
	}, &got)
	if err != nil {
		return nil
	}
	for i := range got.Entries {
		all = append(all, placed(&got.Entries[i])...)
	}
	return all
}

// nearby is among how many of the last verified entries a contradiction is
// looked for.
const nearby = 256

// conflict returns the proof that a stamped entry contradicts one this device
// has verified, nil if none does.
func (t *tx) conflict(id proto.ConversationID, given *evidence.Placed, log kt.NoteKey) ([]byte, error) {
	k, ok, err := t.anchor(&given.Receipt)
	if err != nil || !ok {
		return nil, err
	}
	from := given.Receipt.Seq - min(given.Receipt.Seq, nearby)
	records, err := t.list(key("log", id, ""), key("log", id, seqKey(from)), nearby+1)
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		var r logRecord
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return nil, err
		}
		own := evidence.Placed{Entry: *r.skeleton(id), Receipt: r.Receipt}
		proof := evidence.StampConflict{Key: k, A: own, B: *given}
		if own.Receipt.Seq > given.Receipt.Seq {
			proof.A, proof.B = proof.B, proof.A
		}
		if proof.Verify(log) == nil {
			return kt.ArmorProof(evidence.KindStampConflict, log, &proof), nil
		}
	}
	return nil, nil
}

// report is the file for a stop that nothing proves to others.
func (s *stop) report() []byte {
	facts := []string{
		"conversation: " + s.conversation.Hex(),
		fmt.Sprintf("verified up to: entry %d, chain %s, generation %x", s.head.Seq, s.head.Chain.Hex(), s.head.Generation[:]),
	}
	if s.entry != nil {
		facts = append(facts, "given by the server: "+base64.StdEncoding.EncodeToString(wire.MustEncode(s.entry.Wire)))
	}
	return evidence.Report("A conversation was stopped for safety: "+s.reason, facts...)
}

// keepStop keeps the proof of a stop, or a report of it, and puts its place into
// the alarm.
func (c *Client) keepStop(ctx context.Context, alarm error, s *stop) error {
	file, err := c.proof(ctx, s)
	if err != nil {
		c.cfg.Log.Warn("no proof could be made", "why", err)
	}
	if file == nil {
		file = s.report()
	}
	return c.keepProof(ctx, alarm, file)
}
