package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// A device that comes after a restored server's wait, into a conversation where
// others wrote meanwhile, holds an end of the log that stands nowhere any more
// (protocol, section 12):
//
//	0 ─ … ─ fork ─┬─ fork+1 … head    on this device: what it keeps
//	              └─ fork+1 …         on the server, in the new generation
//
// It keeps what it has and offers again what it had sent. Where no change of the
// group was lost it reads on from the fork; where one was, its group is one that
// nobody else has, and it asks to be added again as who cannot process a commit does
// (section 9). Who was removed in the end that was lost is removed again before
// anything is sent.
//
//	late/CONV         lateRecord
//	branch/CONV       the conversation whose lost end CONV is: on this device alone
//	left/CONV/GEN     the lost end was of that generation
//	roster/CONV/SEQ   rosterChange, while the entry may be lost

// lateRecord is what is left to do about a lost end.
type lateRecord struct {
	Waiting bool                 // to be added again
	Fork    uint64               // seq of the last entry both have
	Head    uint64               // seq of the last one that was lost
	Branch  proto.ConversationID // under which this device keeps the lost end
	Removed []proto.AccountID    // in the lost end, and to be removed again
	Added   []proto.AccountID    // in the lost end, and to be added again
}

func (l *lateRecord) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Bool(c, &l.Waiting)
	wire.Uint64(c, &l.Fork)
	wire.Uint64(c, &l.Head)
	l.Branch.Wire(c)
	wire.Vector(c, &l.Removed, (*proto.AccountID).Wire)
	wire.Vector(c, &l.Added, (*proto.AccountID).Wire)
}

// rosterChange is who came and went by a commit.
type rosterChange struct{ Removed, Added []proto.AccountID }

func (r *rosterChange) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Vector(c, &r.Removed, (*proto.AccountID).Wire)
	wire.Vector(c, &r.Added, (*proto.AccountID).Wire)
}

func lateKey(id proto.ConversationID) string { return key("late", id) }
func leftKey(id proto.ConversationID, g proto.Generation) string {
	return key("left", id, hex.EncodeToString(g[:]))
}

func branchKey(id proto.ConversationID) string { return key("branch", id) }

// keepRoster remembers who came and went by the commit that was just merged: the
// server may lose it.
func (t *tx) keepRoster(cv *conversation, c *mls.StagedCommit) error {
	var r rosterChange
	here := cv.accounts()
	left := map[proto.AccountID]bool{}
	for i := range c.Removes {
		who, err := memberOf(&c.Removes[i].Credential)
		if err != nil {
			continue
		}
		if left[who.Account] = true; !slices.Contains(here, who.Account) && !slices.Contains(r.Removed, who.Account) {
			r.Removed = append(r.Removed, who.Account)
		}
	}
	for i := range c.Adds {
		who, err := memberOf(&c.Adds[i].Credential)
		if err == nil && !left[who.Account] && !slices.Contains(r.Added, who.Account) {
			r.Added = append(r.Added, who.Account)
		}
	}
	if len(r.Removed)+len(r.Added) == 0 {
		return nil
	}
	return t.save(key("roster", cv.id, seqKey(cv.head.Seq+1)), r.wire)
}

// isBranch tells whether a conversation is a lost end that this device keeps.
func (t *tx) isBranch(id proto.ConversationID) (bool, error) {
	b, err := t.get(branchKey(id))
	return b != nil, err
}

// waitsLate tells whether a conversation's log is not to be read before this
// device has been added again.
func (t *tx) waitsLate(cv *conversation) (bool, error) {
	if cv.meta.State != stateLost {
		return false, nil
	}
	var l lateRecord
	err := t.load(lateKey(cv.id), l.wire)
	return l.Waiting, err
}

// comeLate deals with a log that went on without what this device has of it. Where
// that cannot be what a restored server does it is an alarm.
func (c *Client) comeLate(ctx context.Context, id proto.ConversationID) error {
	fork, found, err := c.findFork(ctx, id)
	if err != nil {
		return err
	}
	if !found {
		return c.raise(ctx, id, wentOnWithout)
	}
	var report *stop
	err = c.step(ctx, func(t *tx) error {
		report = nil
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		if fork >= cv.head.Seq {
			return nil // nothing of it is lost: it was said otherwise before
		}
		report = &stop{conversation: id, head: cv.head.Head, reason: wentOnWithout}
		return t.beLate(cv, fork)
	})
	if err == nil && report == nil {
		err = c.raise(ctx, id, wentOnWithout)
	}
	if err != nil {
		return err
	}
	// What it was is written down; it is no alarm, for the server says so itself.
	if _, _, err := c.storeProof(ctx, report.report()); err != nil {
		c.cfg.Log.Warn("no report could be kept", "why", err)
	}
	return nil
}

// otherHead finds out, once for each generation the server began since this device
// read a conversation, whether its log ends as the own one does: as many entries may
// be others. It then deals with that; late tells that it had to.
func (c *Client) otherHead(ctx context.Context, id proto.ConversationID) (late bool, err error) {
	info, err := c.info(ctx)
	if err != nil {
		return false, err
	}
	var own head
	done := key("samehead", id)
	due := false
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return err
		}
		seen, err := t.get(done)
		own, due = cv.head, cv.head.Known && cv.head.Generation != info.Generation && string(seen) != string(info.Generation[:])
		return err
	})
	if err != nil || !due {
		return false, err
	}
	var got proto.GiveEntriesResponse
	if err := c.call(ctx, Conversations, proto.GiveEntries, &proto.GiveEntriesRequest{Conversation: id}, &got); err != nil {
		return false, err
	}
	if got.Seq == own.Seq && got.Chain != own.Chain {
		return true, c.comeLate(ctx, id)
	}
	return false, c.step(ctx, func(t *tx) error {
		t.put(done, info.Generation[:])
		return nil
	})
}

// findFork finds the last entry that the server's log has in common with what
// this device has verified; false if this device may not read there, or the log
// is no continuation in a generation that the server declares.
func (c *Client) findFork(ctx context.Context, id proto.ConversationID) (fork uint64, found bool, err error) {
	var before uint64
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		before = cv.head.Seq
		return nil
	})
	for step := uint64(1); err == nil && before > 0; step = min(2*step, readMax) {
		after := before - min(before, step)
		fork, v, err := c.forkAfter(ctx, id, after, before)
		if err != nil || v != forkEarlier {
			return fork, v == forkHere, err
		}
		before = after
	}
	return 0, false, err
}

// forkVerdict is what some entries say of where a log parts from the own one.
type forkVerdict uint8

const (
	forkHere    forkVerdict = iota
	forkEarlier             // the first of them does not follow the own log
	forkNowhere             // they belong to no log a restored server could have
	forkLater               // they are as this device has them
)

// forkAfter looks for the fork between two seqs; the entry behind the second one is
// known to be apart, or not there.
func (c *Client) forkAfter(ctx context.Context, id proto.ConversationID, after, before uint64) (fork uint64, v forkVerdict, err error) {
	for agreed := false; ; agreed = true {
		var got proto.ReadResponse
		err = c.callConv(ctx, id, proto.Read, func(s proto.SessionID) proto.Message {
			return &proto.ReadRequest{Session: s, After: after, Max: uint32(min(before-after+1, readMax))}
		}, &got)
		if errors.Is(err, proto.ClosedKey) || errors.Is(err, proto.NotMember) || errors.Is(err, proto.Gone) {
			return 0, forkNowhere, nil
		}
		if err == nil {
			err = errors.Join(c.learnStampKeys(ctx, got.Entries), c.learnGenerations(ctx, id, got.Entries))
		}
		if err != nil {
			return 0, forkNowhere, err
		}
		if len(got.Entries) == 0 {
			if agreed && got.HeadSeq == after {
				return after, forkHere, nil // nobody wrote; only the rest is lost
			}
			return 0, forkEarlier, nil
		}
		err = c.step(ctx, func(t *tx) error {
			fork, v, err = t.forkIn(id, after, got.Entries)
			return err
		})
		if err != nil || v != forkLater {
			return fork, v, err
		}
		if after = fork; after > before {
			return 0, forkNowhere, nil // it is no other log at all
		}
	}
}

// forkIn looks for the fork among the entries after a seq: the last entry that both
// logs have, so far.
func (t *tx) forkIn(id proto.ConversationID, after uint64, entries []proto.Stamped) (fork uint64, v forkVerdict, err error) {
	cv, err := t.conv(id)
	if err != nil || cv == nil {
		return 0, forkNowhere, errors.Join(err, ErrUnknownChat)
	}
	for i := range entries {
		s := &entries[i]
		if s.Receipt.Seq != after+1+uint64(i) {
			return 0, forkNowhere, nil
		}
		chain, known, err := t.chainAt(cv, s.Receipt.Seq-1)
		switch {
		case err != nil:
			return 0, forkNowhere, err
		case i == 0 && (!known || chain != s.Receipt.ChainPrev):
			return 0, forkEarlier, nil
		case !known || chain != s.Receipt.ChainPrev:
			return 0, forkNowhere, nil
		}
		own, err := t.logged(cv, s.Receipt.Seq)
		if err != nil {
			return 0, forkNowhere, err
		}
		if own != nil && own.Entry == s.Entry.Hash() && own.Receipt == s.Receipt {
			continue
		}
		if ok, err := t.restoredAt(cv, own, s); err != nil || !ok {
			return 0, forkNowhere, err
		}
		return s.Receipt.Seq - 1, forkHere, nil
	}
	return entries[len(entries)-1].Receipt.Seq, forkLater, nil
}

// restoredAt tells whether an entry stands, truly stamped, in a generation that
// the log declares and that is not the one of what this device had there.
func (t *tx) restoredAt(cv *conversation, own *logRecord, s *proto.Stamped) (bool, error) {
	if s.Entry.Conversation != cv.id || s.Entry.Verify() != nil || own == nil || own.Receipt.Generation == s.Receipt.Generation {
		return false, nil
	}
	if ok, err := t.declared(&s.Receipt); err != nil || !ok {
		return false, err
	}
	// One that was given up never comes back: a log moves a bounded number of times.
	if left, err := t.get(leftKey(cv.id, s.Receipt.Generation)); err != nil || left != nil {
		return false, err
	}
	k, ok, err := t.stampKey(&s.Receipt)
	if err != nil || !ok {
		return false, err
	}
	_, err = s.Receipt.Verify(&s.Entry, k)
	return err == nil, nil
}

// beLate puts the lost end aside and what this device sent in it into the outbox,
// and goes back to the fork, or has this device ask to be added again.
func (t *tx) beLate(cv *conversation, fork uint64) error {
	var l lateRecord
	if err := t.load(lateKey(cv.id), l.wire); err != nil {
		return err
	}
	l = lateRecord{Fork: fork, Head: cv.head.Seq, Removed: l.Removed, Added: l.Added}
	h := sha256.Sum256(append(append([]byte("huis/branch/1"), cv.id[:]...), cv.head.Chain[:]...))
	copy(l.Branch[:], h[:])
	if err := t.lostRoster(cv, &l); err != nil {
		return err
	}
	at, sameGroup, err := t.atFork(cv, fork)
	if err != nil {
		return err
	}
	aside := &conversation{id: l.Branch, head: cv.head}
	aside.meta = meta{State: stateSucceeded, Policy: cv.meta.Policy, Successor: cv.id, Offset: cv.meta.Offset, Read: cv.meta.Read, Told: cv.head.Seq, Since: cv.meta.Since}
	mine, err := t.putAside(cv, &l)
	if err != nil {
		return err
	}
	t.put(branchKey(l.Branch), cv.id[:])
	t.put(leftKey(cv.id, cv.head.Generation), nil)
	if err := errors.Join(t.dropPending(cv), t.offerAgain(cv, mine)); err != nil {
		return err
	}
	cv.meta.Alarm = ""
	cv.meta.Read, cv.meta.Told = min(cv.meta.Read, fork), min(cv.meta.Told, fork)
	t.warn(cv, fmt.Sprintf("the server was restored from a backup, and others went on without entries %d to %d, which this device keeps; your messages among them go out again", fork+1, l.Head))
	if l.Waiting = !sameGroup; sameGroup {
		cv.head = at
	} else {
		cv.meta.State, cv.meta.Asked, cv.meta.Broken = stateLost, 0, brokenAt{}
	}
	return errors.Join(t.save(lateKey(cv.id), l.wire), t.saveMeta(aside), t.saveHead(aside), t.saveKeys(aside), t.saveHead(cv), t.saveMeta(cv))
}

// atFork returns the head at the fork, and whether the group is still what it was
// there: then this device can read on from it.
func (t *tx) atFork(cv *conversation, fork uint64) (at head, same bool, err error) {
	own, err := t.logged(cv, fork)
	if err != nil || own == nil {
		return at, false, err
	}
	chain, known, err := t.chainAt(cv, fork)
	if err != nil || !known || cv.meta.State != stateLive || cv.group == nil {
		return at, false, err
	}
	for seq := fork + 1; seq <= cv.head.Seq; seq++ {
		lost, err := t.logged(cv, seq)
		if err != nil || lost == nil || lost.Kind == proto.KindCommit {
			return at, false, err
		}
	}
	at = head{Head: proto.Head{Generation: own.Receipt.Generation, Seq: fork, Chain: chain}, Minute: own.Receipt.Minute, Known: true}
	return at, true, nil
}

// lostRoster finds who came and went in the lost end.
func (t *tx) lostRoster(cv *conversation, l *lateRecord) error {
	changes, err := t.list(key("roster", cv.id, ""), key("roster", cv.id, seqKey(l.Fork)), 0)
	if err != nil {
		return err
	}
	without := func(all, gone []proto.AccountID) []proto.AccountID {
		return slices.DeleteFunc(slices.Clone(all), func(a proto.AccountID) bool { return slices.Contains(gone, a) })
	}
	for _, rec := range changes {
		var r rosterChange
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return fmt.Errorf("stored change of members: %w", err)
		}
		l.Added = append(without(l.Added, append(r.Removed, r.Added...)), r.Added...)
		l.Removed = append(without(l.Removed, append(r.Removed, r.Added...)), r.Removed...)
		t.del(rec.Key)
	}
	return nil
}

// putAside moves what stands behind the fork to the branch, and returns what this
// device wrote of it, which stays out.
func (t *tx) putAside(cv *conversation, l *lateRecord) (mine [][]byte, err error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	records, err := t.list(key("msg", cv.id, ""), key("msg", cv.id, seqKey(l.Fork)), 0)
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		var r messageRecord
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return nil, fmt.Errorf("stored message: %w", err)
		}
		seq, err := seqOf(rec)
		if err != nil {
			return nil, err
		}
		m, err := r.body()
		if err != nil {
			return nil, err
		}
		if err := t.dropMessage(cv.id, seq, m, &r); err != nil {
			return nil, err
		}
		if r.From == (member{me.Account, me.Device}) && m.Kind != content.Receipt && (m.Kind != content.System || m.Event.Type == eventHistory) {
			b, err := m.Encode()
			if err != nil {
				return nil, err
			}
			mine = append(mine, b)
			continue
		}
		t.put(midKey(m.ID, l.Branch, r.From), fmt.Appendf(nil, "%d", seq))
		if err := t.putMessage(l.Branch, seq, r.Minute, m, &r); err != nil {
			return nil, err
		}
	}
	for _, prefix := range []string{"log", "tail", "gone"} {
		if err := t.move(prefix, cv.id, l.Branch, l.Fork); err != nil {
			return nil, err
		}
	}
	return mine, nil
}

// dropMessage deletes a message and what leads to it.
func (t *tx) dropMessage(id proto.ConversationID, seq uint64, m *content.Message, r *messageRecord) error {
	t.del(key("msg", id, seqKey(seq)))
	t.del(midKey(m.ID, id, r.From))
	if r.Expires != 0 {
		t.del(expiryKey(r.Expires, id, seq))
	}
	if m.Kind == content.Reaction || m.Kind == content.Edit {
		t.del(aboutKey(id, m.Targets[0], seqKey(seq)))
	}
	return t.dropText(id, seq)
}

// move renames records of entries after a seq from one conversation to another.
func (t *tx) move(prefix string, from, to proto.ConversationID, after uint64) error {
	records, err := t.list(key(prefix, from, ""), key(prefix, from, seqKey(after)), 0)
	for _, rec := range records {
		seq, err := seqOf(rec)
		if err != nil {
			return err
		}
		t.put(key(prefix, to, seqKey(seq)), rec.Value)
		t.del(rec.Key)
	}
	return err
}

// offerAgain puts messages before all that waits in the outbox.
func (t *tx) offerAgain(cv *conversation, mine [][]byte) error {
	waiting, err := t.list(key("out", cv.id, ""), "", 0)
	if err != nil {
		return err
	}
	for _, rec := range waiting {
		var r outRecord
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return fmt.Errorf("stored outbox: %w", err)
		}
		t.dropOut(cv.id, rec.Key[len(key("out", cv.id, "")):], &r)
		mine = append(mine, r.Content)
	}
	for _, b := range mine {
		if _, err := t.requeue(cv.id, b); err != nil {
			return err
		}
	}
	return nil
}

// comesAgain takes a message of the lost end out of the branch: its sender has
// offered it again.
func (t *tx) comesAgain(cv *conversation, m *content.Message, from member) error {
	var l lateRecord
	if err := t.load(lateKey(cv.id), l.wire); err != nil || l.Branch == (proto.ConversationID{}) {
		return err
	}
	mid := midKey(m.ID, l.Branch, from)
	b, err := t.get(mid)
	if err != nil || b == nil {
		return err
	}
	var seq uint64
	if _, err := fmt.Sscan(string(b), &seq); err != nil {
		return err
	}
	var r messageRecord
	if err := t.load(key("msg", l.Branch, seqKey(seq)), r.wire); err != nil || r.Envelope == nil {
		return err
	}
	old, err := r.body()
	if err != nil {
		return err
	}
	return t.dropMessage(l.Branch, seq, old, &r)
}

// joinedLate notes that this device was added again, and who is to be added.
func (t *tx) joinedLate(cv *conversation) error {
	var l lateRecord
	if err := t.load(lateKey(cv.id), l.wire); err != nil || !l.Waiting {
		return err
	}
	me, err := t.identity()
	if err != nil {
		return err
	}
	l.Waiting = false
	for _, a := range l.Added {
		if !slices.Contains(cv.accounts(), a) && cv.meta.Policy.mayAdd(me.Account, a) {
			cv.meta.Wanted = append(cv.meta.Wanted, a)
		}
	}
	l.Added = nil
	return t.save(lateKey(cv.id), l.wire)
}

// settleLate removes again who was removed in the lost end: what was written after
// that was not written for them. A device that may not do so sends nothing before
// an admin's has.
func (c *Client) settleLate(ctx context.Context, id proto.ConversationID) error {
	var back []proto.AccountID
	var may bool
	var words *SafetyError
	err := c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.usable() != nil {
			return err
		}
		back, may, words, err = t.backAgain(cv)
		return err
	})
	if err != nil || len(back) == 0 {
		return err
	}
	if !may {
		return words
	}
	_, err = c.commitIf(ctx, id, func(t *tx, cv *conversation) (*change, error) {
		ch := &change{}
		for leaf, who := range cv.roster() {
			if slices.Contains(back, who.Account) {
				ch.removes = append(ch.removes, leaf)
			}
		}
		slices.Sort(ch.removes)
		if len(ch.removes) == 0 {
			return nil, errNothing
		}
		return ch, nil
	})
	if err != nil {
		return err
	}
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err == nil && cv != nil {
			_, _, _, err = t.backAgain(cv)
		}
		return err
	})
}

// backAgain returns who of those removed in the lost end is a member, and forgets
// the list once nobody is.
func (t *tx) backAgain(cv *conversation) (back []proto.AccountID, may bool, words *SafetyError, err error) {
	var l lateRecord
	if err := t.load(lateKey(cv.id), l.wire); err != nil || len(l.Removed) == 0 {
		return nil, false, nil, err
	}
	me, err := t.identity()
	if err != nil {
		return nil, false, nil, err
	}
	here := cv.accounts()
	for _, a := range l.Removed {
		if a != me.Account && slices.Contains(here, a) {
			back = append(back, a)
		}
	}
	if len(back) == 0 {
		l.Removed = nil
		return nil, false, nil, t.save(lateKey(cv.id), l.wire)
	}
	name := t.handleOf(back[0])
	words = &SafetyError{
		Reason: fmt.Sprintf("@%s was removed from this conversation before the server was restored from a backup, and is in it again", name),
		Fix: fmt.Sprintf("nothing is sent before an admin of the conversation has removed @%s again (huis chat remove CHAT @%s); if @%s is to stay, say so: huis chat add CHAT @%s",
			name, name, name, name),
	}
	return back, cv.meta.Policy.admin(me.Account), words, nil
}

// letStay takes a person's word that somebody is to be a member, whatever the lost
// end said.
func (c *Client) letStay(ctx context.Context, chat string, handles []string) error {
	id, err := c.find(ctx, chat)
	if err != nil {
		return err
	}
	return c.step(ctx, func(t *tx) error {
		var l lateRecord
		if err := t.load(lateKey(id), l.wire); err != nil || len(l.Removed) == 0 {
			return err
		}
		for _, h := range handles {
			a, known, err := t.accountOf(strings.TrimPrefix(h, "@"))
			if err != nil {
				return err
			}
			if i := slices.Index(l.Removed, a); known && i >= 0 {
				l.Removed = slices.Delete(l.Removed, i, i+1)
			}
		}
		return t.save(lateKey(id), l.wire)
	})
}
