package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
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
		since, err := strconv.ParseInt(string(b), 10, 64)
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
	tried        uint64           // Unix seconds of the last search for a proof
}

func (s *stop) wire(c *wire.Codec) {
	formatVersion(c)
	s.conversation.Wire(c)
	wire.String(c, &s.reason, 4096)
	s.head.Wire(c)
	wire.Optional(c, &s.entry, (*proto.Stamped).Wire)
	wire.Optional(c, &s.other, (*evidence.Placed).Wire)
	wire.Uint64(c, &s.tried)
}

// seekEvery is how often a stopped conversation without proof is looked at for
// one: a log that went back grows anew, and somebody who lied may tell the truth.
const seekEvery = time.Hour

// proof returns the proof against the server, nil if there is none.
func (c *Client) proof(ctx context.Context, s *stop) (file []byte, err error) {
	if err := c.anchorStampKeys(ctx); err != nil {
		c.cfg.Log.Warn("the proof that a stamp key stands in the log is not here", "why", err)
	}
	given := append(s.given(), c.shownNow(ctx, s)...)
	err = c.step(ctx, func(t *tx) error {
		var k logKeys
		if err := t.load("translog/keys", k.wire); err != nil {
			return err
		}
		for i := range given {
			if file, err = t.forged(&given[i], k.Log); err != nil || file != nil {
				return err
			}
		}
		for i := range given {
			if file, err = t.conflict(s.conversation, &given[i], k.Log); err != nil || file != nil {
				return err
			}
			for j := range i {
				if file, err = t.between(&given[j], &given[i], k.Log); err != nil || file != nil {
					return err
				}
			}
		}
		return nil
	})
	return file, err
}

// given is what the server was seen to stamp when the conversation was stopped.
func (s *stop) given() (all []evidence.Placed) {
	if s.other != nil {
		all = append(all, *s.other)
	}
	if s.entry != nil {
		all = append(all, placed(s.entry)...)
	}
	return all
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
		if file, err := t.between(&own, given, log); err != nil || file != nil {
			return file, err
		}
	}
	return nil, nil
}

// between returns the proof that two stamped entries contradict each other, nil
// if they do not.
func (t *tx) between(a, b *evidence.Placed, log kt.NoteKey) ([]byte, error) {
	k, ok, err := t.anchor(&b.Receipt)
	if err != nil || !ok {
		return nil, err
	}
	proof := evidence.StampConflict{Key: k, A: *a, B: *b}
	if a.Receipt.Seq > b.Receipt.Seq {
		proof.A, proof.B = proof.B, proof.A
	}
	if proof.Breach() == "" || proof.Verify(log) != nil {
		return nil, nil
	}
	return kt.ArmorProof(evidence.KindStampConflict, log, &proof), nil
}

// forged returns the proof that the server stamped an entry its submitter did
// not sign, nil if it did not.
func (t *tx) forged(p *evidence.Placed, log kt.NoteKey) ([]byte, error) {
	k, ok, err := t.anchor(&p.Receipt)
	if err != nil || !ok {
		return nil, err
	}
	proof := evidence.StampForged{Key: k, Entry: *p}
	if proof.Verify(log) != nil {
		return nil, nil
	}
	return kt.ArmorProof(evidence.KindStampForged, log, &proof), nil
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
// the alarm. What is not proved is looked for again.
//
//	stop/CONVERSATION   stop
func (c *Client) keepStop(ctx context.Context, alarm error, s *stop) error {
	file := c.seekProof(ctx, s)
	if file == nil {
		file = s.report()
	}
	return c.keepProof(ctx, alarm, file)
}

// seekProof returns the proof of a stop, nil if there is none yet.
func (c *Client) seekProof(ctx context.Context, s *stop) []byte {
	file, err := c.proof(ctx, s)
	if err == nil {
		s.tried = uint64(max(0, c.now().Unix()))
		err = c.step(ctx, func(t *tx) error {
			if file != nil {
				t.del(key("stop", s.conversation))
				return nil
			}
			return t.save(key("stop", s.conversation), s.wire)
		})
	}
	if err != nil {
		c.cfg.Log.Warn("no proof could be made", "why", err)
	}
	return file
}

// proveLater looks again for the proof of why a conversation was stopped.
func (c *Client) proveLater(ctx context.Context, id proto.ConversationID, alarm error) error {
	var s *stop
	err := c.step(ctx, func(t *tx) error {
		s = nil
		b, err := t.get(key("stop", id))
		if err != nil || b == nil {
			return err
		}
		s = new(stop)
		return wire.Decode(b, s.wire)
	})
	if err != nil || s == nil || c.now().Sub(time.Unix(int64(s.tried), 0)).Abs() < seekEvery {
		return errors.Join(alarm, err)
	}
	file := c.seekProof(ctx, s)
	if file == nil {
		return alarm
	}
	return c.keepProof(ctx, alarm, file)
}
