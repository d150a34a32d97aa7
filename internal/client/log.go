package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// logRecord is the skeleton of one verified entry: enough to verify its stamp
// and the chain through it again, without its bytes.
type logRecord struct {
	Kind      proto.Kind
	Epoch     uint64
	MK        proto.MemberKey
	Tag       proto.Hash
	Body      proto.Hash // SHA-256 of the bytes
	ExtraHash proto.Hash
	Sig       proto.Signature // the submitter's
	Entry     proto.Hash      // Entry.Hash
	By        proto.AccountID // whose leaf had MK; zeros: not known
	Receipt   proto.Receipt
}

func (r *logRecord) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint8(c, &r.Kind)
	wire.Uint64(c, &r.Epoch)
	r.MK.Wire(c)
	r.Tag.Wire(c)
	r.Body.Wire(c)
	r.ExtraHash.Wire(c)
	r.Sig.Wire(c)
	r.Entry.Wire(c)
	r.By.Wire(c)
	r.Receipt.Wire(c)
}

// skeleton is what the entry's stamp is made over.
func (r *logRecord) skeleton(id proto.ConversationID) *proto.Skeleton {
	return &proto.Skeleton{
		Kind: r.Kind, Conversation: id, Epoch: r.Epoch, MK: r.MK, Tag: r.Tag, Body: r.Body, ExtraHash: r.ExtraHash, Sig: r.Sig,
	}
}

func (t *tx) keepLog(cv *conversation, s *proto.Stamped, entry proto.Hash) error {
	tag, err := s.Entry.Tag()
	if err != nil {
		return err
	}
	r := logRecord{
		Kind: s.Entry.Kind, Epoch: s.Entry.Epoch, MK: s.Entry.MK, Tag: tag, Body: sha256.Sum256(s.Entry.Bytes),
		ExtraHash: s.Entry.ExtraHash, Sig: s.Entry.Sig, Entry: entry, Receipt: s.Receipt,
	}
	if cv.group != nil {
		if l, ok := cv.keys.leafOf(s.Entry.MK); ok {
			who, _, _ := cv.sender(l)
			r.By = who.Account
		}
	}
	return t.save(key("log", cv.id, seqKey(s.Receipt.Seq)), r.wire)
}

// logged returns the record of an entry, nil if this device has none.
func (t *tx) logged(cv *conversation, seq uint64) (*logRecord, error) {
	b, err := t.get(key("log", cv.id, seqKey(seq)))
	if err != nil || b == nil {
		return nil, err
	}
	r := new(logRecord)
	return r, wire.Decode(b, r.wire)
}

// chainAt returns the chain value after entry seq, false if this device cannot
// tell.
func (t *tx) chainAt(cv *conversation, seq uint64) (proto.Hash, bool, error) {
	if cv.head.Known && seq == cv.head.Seq {
		return cv.head.Chain, true, nil
	}
	next, err := t.logged(cv, seq+1)
	if err != nil || next == nil {
		return proto.Hash{}, false, err
	}
	return next.Receipt.ChainPrev, true, nil
}

// readMax is how many entries one request asks for and one step at most applies.
const readMax = 64

// syncLog reads the conversation's log to its head and applies it. The error is
// a *SafetyError if something in it could not be explained.
func (c *Client) syncLog(ctx context.Context, id proto.ConversationID) error {
	for {
		after, alarm, err := c.position(ctx, id)
		if errors.Is(err, errWentOn) {
			return nil // nothing of this log is this device's before it is added again
		}
		if err != nil {
			return err
		}
		if alarm != nil {
			return c.proveLater(ctx, id, alarm)
		}
		var got proto.ReadResponse
		err = c.callConv(ctx, id, proto.Read, func(s proto.SessionID) proto.Message {
			return &proto.ReadRequest{Session: s, After: after, Max: readMax}
		}, &got)
		if errors.Is(err, proto.ClosedKey) {
			return nil // all that this key may read is read
		}
		if err != nil {
			return c.unreadable(ctx, id, err)
		}
		if err := c.learnStampKeys(ctx, got.Entries); err != nil {
			return err
		}
		if err := c.learnGenerations(ctx, id, got.Entries); err != nil {
			return err
		}
		if len(got.Entries) == 0 {
			if back, err := c.atHead(ctx, id, after, got.HeadSeq); err != nil || !back {
				return err
			}
			continue
		}
		if err := c.applyAll(ctx, id, got.Entries); err != nil {
			return err
		}
	}
}

// errWentOn: the log is in a new generation that the server declares, and does not
// continue what this device has verified.
var errWentOn = errors.New("the log went on without the end this device has")

// position returns the seq to read after, and the alarm that stops reading.
func (c *Client) position(ctx context.Context, id proto.ConversationID) (after uint64, alarm, err error) {
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil {
			return err
		}
		if cv == nil {
			return ErrUnknownChat
		}
		after = cv.head.Seq
		if cv.meta.Alarm != "" {
			alarm = cv.stopped()
		}
		if late, err := t.waitsLate(cv); err != nil || late {
			return errors.Join(err, errWentOn)
		}
		return nil
	})
	return after, alarm, err
}

// stopped is the error of a conversation with an alarm.
func (cv *conversation) stopped() error {
	if cv.meta.Alarm == wentOnWithout {
		return &SafetyError{Reason: cv.meta.Alarm, Fix: "what this device has stays here; have a member remove you from the conversation and add you again"}
	}
	return &SafetyError{Reason: cv.meta.Alarm, Fix: "compare with the other members by another way, and talk to the server's operator"}
}

// learnStampKeys asks the server for its stamp keys if an entry has one this
// device has not seen.
func (c *Client) learnStampKeys(ctx context.Context, entries []proto.Stamped) error {
	missing := false
	err := c.step(ctx, func(t *tx) error {
		missing = false
		for i := range entries {
			_, ok, err := t.stampKey(&entries[i].Receipt)
			if err != nil {
				return err
			}
			missing = missing || !ok
		}
		return nil
	})
	if err != nil || !missing {
		return err
	}
	c.forgetInfo()
	_, err = c.info(ctx)
	return err
}

// applyAll applies entries in steps; the first alarm ends it.
func (c *Client) applyAll(ctx context.Context, id proto.ConversationID, entries []proto.Stamped) error {
	for from := 0; from < len(entries); from += c.perStep() {
		stopped, err := c.applySome(ctx, id, entries, from, min(from+c.perStep(), len(entries)))
		if err != nil || stopped {
			return err
		}
		c.breathe()
	}
	return nil
}

// applySome applies entries[from:to] in one step, and tells whether an alarm ended it.
func (c *Client) applySome(ctx context.Context, id proto.ConversationID, entries []proto.Stamped, from, to int) (stopped bool, err error) {
	var alarm error
	var proof *stop
	late := false
	err = c.step(ctx, func(t *tx) error {
		alarm, proof, late = nil, nil, false
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		for i := from; i < to; i++ {
			if i > 0 && entries[i].Receipt.Seq != entries[i-1].Receipt.Seq+1 {
				cv.meta.Alarm = fmt.Sprintf("the server gave entry %d after entry %d", entries[i].Receipt.Seq, entries[i-1].Receipt.Seq)
			} else if err := t.apply(cv, &entries[i]); errors.Is(err, errWentOn) {
				late = true
				break
			} else if err != nil {
				return err
			}
			if cv.meta.Alarm != "" {
				alarm = cv.stopped()
				proof = &stop{conversation: id, head: cv.head.Head, reason: cv.meta.Alarm, entry: &entries[i], other: t.told}
				break
			}
		}
		return errors.Join(t.saveHead(cv), t.saveMeta(cv))
	})
	if err == nil && late {
		return true, c.comeLate(ctx, id)
	}
	if err != nil || alarm == nil {
		return false, err
	}
	return true, c.keepStop(ctx, alarm, proof)
}

// atHead compares the server's claim with what was verified: a head before it
// is a log that went back. Else all there is has been read, and the own clock
// may end what past epochs are kept for. back tells that there is to be read again.
func (c *Client) atHead(ctx context.Context, id proto.ConversationID, after, headSeq uint64) (back bool, err error) {
	if headSeq == after {
		if late, err := c.otherHead(ctx, id); err != nil || late {
			return late, err
		}
	}
	if headSeq >= after {
		return false, c.step(ctx, func(t *tx) error {
			cv, err := t.conv(id)
			if err == nil && cv != nil {
				t.forgetOld(cv)
				err = errors.Join(t.forgetTail(cv), t.forgetFiles(cv))
			}
			return err
		})
	}
	if restored, err := c.newGeneration(ctx, id); err != nil {
		return false, err
	} else if restored {
		return c.giveLate(ctx, id)
	}
	return false, c.raise(ctx, id, fmt.Sprintf("the server's log of this conversation ends at entry %d; this device has verified entry %d", headSeq, after))
}

// raise stops a conversation for safety.
func (c *Client) raise(ctx context.Context, id proto.ConversationID, reason string) error {
	var alarm error
	var proof *stop
	err := c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		cv.meta.Alarm = reason
		alarm = cv.stopped()
		proof = &stop{conversation: id, head: cv.head.Head, reason: reason}
		return t.saveMeta(cv)
	})
	if err != nil {
		return err
	}
	return c.keepStop(ctx, alarm, proof)
}

// maxEvidence bounds how many evidence files a device keeps.
const maxEvidence = 64

// keepProof stores a file, once, and puts its place into the alarm.
func (c *Client) keepProof(ctx context.Context, alarm error, b []byte) error {
	name, kept, err := c.storeProof(ctx, b)
	var safety *SafetyError
	if err != nil || !kept || !errors.As(alarm, &safety) || c.cfg.Evidence == nil {
		return errors.Join(alarm, err)
	}
	safety.Evidence, err = c.cfg.Evidence(name, b)
	return errors.Join(alarm, err)
}

// storeProof stores a file under its name: what is no proof is called a report.
// kept is false if there are too many.
func (c *Client) storeProof(ctx context.Context, b []byte) (name string, kept bool, err error) {
	sum := sha256.Sum256(b)
	suffix := fmt.Sprintf("-%x.huis", sum[:4])
	kind := "evidence"
	if evidence.IsReport(b) {
		kind, suffix = "report", fmt.Sprintf("-%x.txt", sum[:4])
	}
	err = c.step(ctx, func(t *tx) error {
		name, kept = fmt.Sprintf("%s-%s%s", kind, t.c.now().UTC().Format(evidenceTime), suffix), true
		all, err := t.list("evidence/", "", 0)
		if err != nil {
			return err
		}
		for _, r := range all {
			if strings.HasSuffix(r.Key, suffix) {
				name = strings.TrimPrefix(r.Key, "evidence/")
				return nil
			}
		}
		if kept = len(all) < maxEvidence; kept {
			t.put("evidence/"+name, b)
		}
		return nil
	})
	return name, kept, err
}
