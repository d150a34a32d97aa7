package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// apply verifies one entry in the order signature, chain, stamp, and does what
// it says. What cannot be explained sets the conversation's alarm.
func (t *tx) apply(cv *conversation, s *proto.Stamped) error {
	if cv.head.Known && s.Receipt.Seq <= cv.head.Seq {
		return nil // another process was faster
	}
	t.told = nil
	chain, reason, err := t.verify(cv, s)
	if err != nil {
		return err
	}
	if reason == wentOnWithout {
		return errWentOn
	}
	if reason != "" {
		cv.meta.Alarm = reason
		return nil
	}
	if !cv.head.Known && !cv.begins(&s.Entry) {
		cv.meta.Alarm = "the log this device is shown does not begin with the change that added it"
		return nil
	}
	hash := s.Entry.Hash()
	if err := errors.Join(t.keepLog(cv, s, hash), t.keepTail(cv, s)); err != nil {
		return err
	}
	if err := t.act(cv, s, hash); err != nil {
		return err
	}
	cv.head = head{
		Head:   proto.Head{Generation: s.Receipt.Generation, Seq: s.Receipt.Seq, Chain: chain},
		Minute: s.Receipt.Minute, Known: true,
	}
	return nil
}

// verify checks an entry and its place in the log. reason says what is wrong
// with it, "" if nothing is; the entry changes nothing then.
func (t *tx) verify(cv *conversation, s *proto.Stamped) (chain proto.Hash, reason string, err error) {
	r := &s.Receipt
	if s.Entry.Conversation != cv.id {
		return chain, "the server gave an entry of another conversation", nil
	}
	if err := s.Entry.Verify(); err != nil {
		return chain, fmt.Sprintf("the signature of entry %d is not its submitter's: %v", r.Seq, err), nil
	}
	if reason := cv.follows(r); reason != "" {
		if r.Generation != cv.head.Generation {
			if ok, err := t.declared(r); err != nil || ok {
				return chain, wentOnWithout, err
			}
		}
		return chain, reason, nil
	}
	if begun := cv.head.Generation != (proto.Generation{}); begun && r.Generation != cv.head.Generation {
		if ok, err := t.declared(r); err != nil || !ok {
			return chain, "the server began a new generation of its log and does not declare it: that is a backup put back by stealth", err
		}
	}
	key, ok, err := t.stampKey(r)
	if err != nil {
		return chain, "", err
	}
	if !ok {
		return chain, fmt.Sprintf("entry %d is stamped with a key the server does not name", r.Seq), nil
	}
	if chain, err = r.Verify(&s.Entry, key); err != nil {
		return chain, fmt.Sprintf("the stamp of entry %d is not the server's: %v", r.Seq, err), nil
	}
	return chain, "", nil
}

// follows tells why a receipt does not continue what this device has verified.
// Before its first entry a joiner knows only the head its adder had seen.
func (cv *conversation) follows(r *proto.Receipt) string {
	h := &cv.head
	switch {
	case h.Known && r.Seq != h.Seq+1:
		return fmt.Sprintf("entry %d follows entry %d in the server's log", r.Seq, h.Seq)
	case r.Seq == h.Seq+1 && r.ChainPrev != h.Chain:
		return fmt.Sprintf("entry %d does not continue the log this device has verified: the server shows two versions of it", r.Seq)
	case r.Seq <= h.Seq:
		return fmt.Sprintf("entry %d comes for the second time", r.Seq)
	case h.Known && r.Minute < h.Minute:
		return fmt.Sprintf("entry %d is stamped earlier than the one before it", r.Seq)
	}
	return ""
}

// begins tells whether an entry is the first of this membership: the creation,
// or the commit into the epoch this device joined.
func (cv *conversation) begins(e *proto.Entry) bool {
	if cv.meta.First <= 1 && e.Kind == proto.KindCreate {
		return true
	}
	return e.Kind == proto.KindCommit && e.Epoch+1 == cv.meta.First
}

// act does what a verified entry says.
func (t *tx) act(cv *conversation, s *proto.Stamped, hash proto.Hash) error {
	if cv.begins(&s.Entry) {
		if err := errors.Join(t.dateKeys(cv, s.Receipt.Minute), t.tellBegin(cv, s)); err != nil {
			return err
		}
	}
	switch s.Entry.Kind {
	case proto.KindCommit:
		return t.applyCommit(cv, s, hash)
	case proto.KindApplication:
		return t.applyApplication(cv, s, hash)
	case proto.KindNotice:
		return t.applyNotice(cv, s)
	}
	return nil // create: the keys of epoch 1, which the creator made
}

// dateKeys says since when those are members of whom the join package could not
// say it: they came with the entry this membership begins with.
func (t *tx) dateKeys(cv *conversation, minute uint64) error {
	for i := range cv.keys {
		if cv.keys[i].Since == 0 {
			cv.keys[i].Since = minute
		}
	}
	return t.saveKeys(cv)
}

// applyCommit moves the group on by one epoch, if it can.
func (t *tx) applyCommit(cv *conversation, s *proto.Stamped, hash proto.Hash) error {
	if cv.group == nil || cv.meta.State != stateLive || s.Entry.Epoch < cv.meta.First {
		return nil // before this membership, or asking for help
	}
	if s.Entry.Epoch != cv.group.Epoch() {
		cv.meta.Alarm = fmt.Sprintf("the server took a commit on epoch %d while the conversation is in epoch %d", s.Entry.Epoch, cv.group.Epoch())
		return nil
	}
	own, err := t.pending(cv)
	if err != nil {
		return err
	}
	if own != nil && own.Entry.Hash() == hash {
		return t.mergeOwn(cv, own, s)
	}
	return t.mergeOther(cv, s, hash)
}

// mergeOther verifies another's commit on copies and then takes it over.
func (t *tx) mergeOther(cv *conversation, s *proto.Stamped, hash proto.Hash) error {
	p, err := cv.group.Process(t.c.now(), s.Entry.Bytes)
	if err != nil {
		return t.broken(cv, s, hash, err)
	}
	keys, err := t.judge(cv, p, s)
	if err != nil {
		return t.broken(cv, s, hash, err)
	}
	if k, ok := cv.keys.find(p.Sender.LeafIndex); !ok || k.MK != s.Entry.MK {
		t.warn(cv, "a change of the conversation was submitted by another device than made it")
	}
	if err := t.dropPending(cv); err != nil { // lost the race
		return err
	}
	if p.Commit.SelfRemoved {
		return errors.Join(t.tellRemoved(cv, p.Sender.LeafIndex, s), t.removed(cv))
	}
	before := cv.membership()
	delta, err := cv.group.Merge(t.c.now(), p.Commit)
	if err != nil {
		return err
	}
	t.delta(cv, delta)
	if err := t.advanced(cv, keys, p.Commit, s.Receipt.Minute); err != nil {
		return err
	}
	return t.tellCommit(cv, before, p.Sender.LeafIndex, p.Commit, s)
}

// judge checks what MLS leaves to the application: the rules of the
// conversation and the change of member keys. It returns the next epoch's.
func (t *tx) judge(cv *conversation, p *mls.Processed, s *proto.Stamped) (memberKeys, error) {
	c := p.Commit
	if p.Kind != mls.ContentCommit || c == nil {
		return nil, breaks("it is no commit")
	}
	excused, err := t.excused(cv, c)
	if err != nil {
		return nil, err
	}
	if err := checkPolicy(&cv.group.GroupView, c.Next(), c, excused); err != nil {
		return nil, err
	}
	var d proto.KeyDelta
	if err := wire.Decode(c.AuthenticatedData, d.Wire); err != nil {
		return nil, breaks("key delta: %v", err)
	}
	return cv.keys.apply(&d, p.Sender.LeafIndex, addedLeaves(c), removedLeaves(c), s.Receipt.Minute)
}

func addedLeaves(c *mls.StagedCommit) []mls.LeafIndex {
	return leaves(c.Adds, func(m *mls.AddedMember) mls.LeafIndex { return m.Leaf })
}

func removedLeaves(c *mls.StagedCommit) []mls.LeafIndex {
	return leaves(c.Removes, func(m *mls.Member) mls.LeafIndex { return m.Leaf })
}

// mergeOwn takes over the commit this device made, now that it stands in the
// log.
func (t *tx) mergeOwn(cv *conversation, own *pending, s *proto.Stamped) error {
	staged, err := cv.group.ParseStagedCommit(own.Staged)
	if err != nil {
		return fmt.Errorf("stored commit: %w", err)
	}
	before := cv.membership()
	delta, err := cv.group.Merge(t.c.now(), staged)
	if err != nil {
		return fmt.Errorf("stored commit: %w", err)
	}
	t.delta(cv, delta)
	if own.Seed != (seed{}) {
		cv.meta.Seed, cv.meta.Given, cv.meta.ReplaceAt = own.Seed, false, 0
	}
	if staged.HasPath {
		cv.meta.Pathed = uint64(t.c.now().Unix())
	}
	for i := range own.Keys {
		if own.Keys[i].Since == 0 {
			own.Keys[i].Since = s.Receipt.Minute
		}
	}
	if err := t.dropPending(cv); err != nil {
		return err
	}
	if err := t.advanced(cv, own.Keys, staged, s.Receipt.Minute); err != nil {
		return err
	}
	return t.tellCommit(cv, before, cv.group.OwnLeaf(), staged, s)
}

// advanced records what a merged commit changed; minute is its stamp.
func (t *tx) advanced(cv *conversation, keys memberKeys, c *mls.StagedCommit, minute uint64) error {
	p, err := policyOf(&cv.group.GroupView)
	if err != nil {
		return err
	}
	epoch := cv.group.Epoch()
	m := &cv.meta
	m.Policy, cv.keys = p, keys
	m.Ended = append(m.Ended, epochEnd{epoch - 1, minute})
	if len(c.Removes) > 0 {
		m.Floor = epoch
	} else if epoch > 3 {
		m.Floor = max(m.Floor, epoch-3)
	}
	m.Left = slices.DeleteFunc(m.Left, func(mk proto.MemberKey) bool {
		_, in := keys.leafOf(mk)
		return !in
	})
	for i := range c.Adds {
		if who, err := memberOf(&c.Adds[i].Credential); err == nil {
			m.Wanted = slices.DeleteFunc(m.Wanted, func(a proto.AccountID) bool { return a == who.Account })
		}
	}
	t.forgetPast(cv)
	return errors.Join(t.saveKeys(cv), t.healed(cv), t.keepRoster(cv, c))
}

// forgetPast deletes the message keys of epochs nothing can come from any more
// (protocol, section 5).
func (t *tx) forgetPast(cv *conversation) {
	m := &cv.meta
	m.Ended = slices.DeleteFunc(m.Ended, func(e epochEnd) bool { return e.Epoch < m.Floor })
	t.delta(cv, cv.group.ForgetPast(t.c.now(), m.Floor))
}

// pastEpochAge is how long, by the own clock, the keys of an ended epoch are
// kept (protocol, section 5). Only a device that has read the log to its end may
// go by it: a message taken in time waits there for one that was away.
const pastEpochAge = 10 * time.Minute

// forgetOld deletes the message keys of epochs that ended too long ago by the
// own clock. The log has been read to its end.
func (t *tx) forgetOld(cv *conversation) {
	if cv.group == nil {
		return
	}
	var before uint64
	for _, p := range cv.group.PastEpochs() {
		if t.c.now().Sub(p.EndedAt) > pastEpochAge {
			before = max(before, p.Epoch+1)
		}
	}
	if before > 0 {
		t.delta(cv, cv.group.ForgetPast(t.c.now(), before))
	}
}

// passed raises the floor by the time of a stamp: an entry is taken up to 60 s
// after its epoch ended, and stamps are whole minutes.
func (t *tx) passed(cv *conversation, minute uint64) {
	floor := cv.meta.Floor
	for _, e := range cv.meta.Ended {
		if minute > e.Minute+1 {
			floor = max(floor, e.Epoch+1)
		}
	}
	if floor > cv.meta.Floor {
		cv.meta.Floor = floor
		t.forgetPast(cv)
	}
}

// removed ends this device's membership by a commit of another.
func (t *tx) removed(cv *conversation) error {
	if cv.meta.State != stateLeft {
		cv.meta.State = stateRemoved
	}
	return t.endMembership(cv)
}

// warn keeps something a person should know about a conversation.
func (t *tx) warn(cv *conversation, text string) {
	t.c.cfg.Log.Warn(text)
	t.put(key("warn", cv.id, seqKey(cv.head.Seq+1)), []byte(text))
}
