package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// Create implements store.Conversations.
func (s *Store) Create(ctx context.Context, token proto.Hash, members []proto.MemberKey, sub store.Submission, at store.Attached, reform *store.Submission) (a store.Accepted, err error) {
	err = s.writer.submit(ctx, sizeOf(&sub, &at), func(t *tx) (err error) {
		a, err = create(t, token, members, &sub, &at, reform)
		return err
	})
	return a, err
}

func create(t *tx, token proto.Hash, members []proto.MemberKey, sub *store.Submission, at *store.Attached, reform *store.Submission) (a store.Accepted, err error) {
	id := sub.Entry.Conversation
	if a, err = known(t, sub); a.Known || err != nil {
		return knownReform(t, a, reform, err)
	}
	if _, found, err := loadLog(t, id); found || err != nil {
		return a, either(err, proto.Exists)
	}
	if err := checkToken(t, token, at.Today); err != nil {
		return a, err
	}
	var predecessor store.Log
	if reform != nil {
		if predecessor, err = checkAppend(t, reform); err != nil {
			return a, err
		}
	}
	to, err := checkAttached(t, at)
	if err != nil {
		return a, err
	}
	if err := t.run("DELETE FROM token WHERE hash = $1", token); err != nil {
		return a, err
	}
	log := store.Log{Epoch: sub.Entry.Epoch, Floor: sub.Entry.Epoch}
	if err := saveNewLog(t, id, &log); err != nil {
		return a, err
	}
	if a.Receipt, err = add(t, log, sub); err != nil {
		return a, err
	}
	if err := addMembers(t, id, members, a.Receipt.Seq); err != nil {
		return a, err
	}
	if a.Inboxes, err = to, attach(t, id, at, to); err != nil || reform == nil {
		return a, err
	}
	r, err := add(t, predecessor, reform)
	a.Reform = &r
	return a, err
}

// knownReform completes the answer to a create made before.
func knownReform(t *tx, a store.Accepted, reform *store.Submission, err error) (store.Accepted, error) {
	if err != nil || reform == nil {
		return a, err
	}
	first, err := known(t, reform)
	if first.Known {
		a.Reform = &first.Receipt
	}
	return a, err
}

// Append implements store.Conversations.
func (s *Store) Append(ctx context.Context, sub store.Submission) (a store.Accepted, err error) {
	err = s.writer.submit(ctx, sizeOf(&sub, nil), func(t *tx) (err error) {
		a, err = appendEntry(t, &sub)
		return err
	})
	return a, err
}

func appendEntry(t *tx, sub *store.Submission) (a store.Accepted, err error) {
	if err := checkLive(t, sub); err != nil {
		return a, err
	}
	if a, err = known(t, sub); a.Known || err != nil {
		return a, err
	}
	log, err := checkAppend(t, sub)
	if err != nil {
		return a, err
	}
	if a.Receipt, err = add(t, log, sub); err != nil || !sub.Leave {
		return a, err
	}
	return a, closeKey(t, sub.Entry.Conversation, sub.Entry.MK, a.Receipt.Seq)
}

// checkAppend holds what an entry that is not known yet is refused for.
func checkAppend(t *tx, sub *store.Submission) (log store.Log, err error) {
	if err := checkLive(t, sub); err != nil {
		return log, err
	}
	if sub.Tag != (proto.Hash{}) {
		used, err := exists(t, "SELECT 1 FROM tag WHERE conversation = $1 AND tag = $2", sub.Entry.Conversation, sub.Tag)
		if used || err != nil {
			return log, either(err, proto.Duplicate)
		}
	}
	log, found, err := loadLog(t, sub.Entry.Conversation)
	if !found || err != nil {
		return log, either(err, proto.NotMember)
	}
	if err := log.Admit(sub); err != nil {
		return log, err
	}
	return log, log.Room(sub)
}

// Commit implements store.Conversations.
func (s *Store) Commit(ctx context.Context, sub store.Submission, d proto.KeyDelta, at store.Attached) (a store.Accepted, err error) {
	err = s.writer.submit(ctx, sizeOf(&sub, &at), func(t *tx) (err error) {
		a, err = commit(t, &sub, &d, &at)
		return err
	})
	return a, err
}

func commit(t *tx, sub *store.Submission, d *proto.KeyDelta, at *store.Attached) (a store.Accepted, err error) {
	if a, err = known(t, sub); a.Known || err != nil {
		return a, err
	}
	log, to, err := checkCommit(t, sub, d, at)
	if err != nil {
		return a, err
	}
	log = log.EndEpoch(sub.Now, len(d.Removes) > 0)
	if a.Receipt, err = add(t, log, sub); err != nil {
		return a, err
	}
	if err := changeKeys(t, sub.Entry, d, a.Receipt.Seq); err != nil {
		return a, err
	}
	a.Inboxes = to
	return a, attach(t, sub.Entry.Conversation, at, to)
}

func checkCommit(t *tx, sub *store.Submission, d *proto.KeyDelta, at *store.Attached) (log store.Log, to []store.Inbox, err error) {
	if err := checkLive(t, sub); err != nil {
		return log, nil, err
	}
	log, found, err := loadLog(t, sub.Entry.Conversation)
	if !found || err != nil {
		return log, nil, either(err, proto.NotMember)
	}
	if err := log.Follows(sub); err != nil {
		return log, nil, err
	}
	if err := checkDelta(t, sub.Entry, d); err != nil {
		return log, nil, err
	}
	if to, err = checkAttached(t, at); err != nil {
		return log, nil, err
	}
	return log, to, log.Room(sub)
}

// checkDelta: every key added is new to this conversation, every key removed
// is one of its keys. A key that left by a notice is still to be removed.
func checkDelta(t *tx, e *proto.Entry, d *proto.KeyDelta) error {
	fresh := d.Adds
	if d.Replace != nil {
		fresh = append(append([]proto.MemberKey{}, fresh...), *d.Replace)
	}
	for want, keys := range map[bool][]proto.MemberKey{false: fresh, true: d.Removes} {
		for _, mk := range keys {
			_, found, err := loadMember(t, e.Conversation, mk)
			if found != want || err != nil {
				return either(err, proto.BadDelta)
			}
		}
	}
	return nil
}

// changeKeys applies a delta at the commit's place.
func changeKeys(t *tx, e *proto.Entry, d *proto.KeyDelta, seq uint64) error {
	if err := addMembers(t, e.Conversation, d.Adds, seq); err != nil {
		return err
	}
	for _, mk := range d.Removes {
		if err := closeKey(t, e.Conversation, mk, seq); err != nil {
			return err
		}
	}
	if d.Replace == nil {
		return nil
	}
	// The same member goes on, so what it could read it still can.
	old, _, err := loadMember(t, e.Conversation, e.MK)
	if err != nil {
		return err
	}
	if err := closeKey(t, e.Conversation, e.MK, seq); err != nil {
		return err
	}
	return addMembers(t, e.Conversation, []proto.MemberKey{*d.Replace}, old.From)
}

func addMembers(t *tx, id proto.ConversationID, keys []proto.MemberKey, from uint64) error {
	for _, mk := range keys {
		if err := t.run("INSERT INTO member (conversation, mk, from_seq, until_seq) VALUES ($1, $2, $3, 0)", id, mk, from); err != nil {
			return err
		}
	}
	return nil
}

// closeKey ends a key at seq, unless it ended before.
func closeKey(t *tx, id proto.ConversationID, mk proto.MemberKey, seq uint64) error {
	return t.run("UPDATE member SET until_seq = $3 WHERE conversation = $1 AND mk = $2 AND until_seq = 0", id, mk, seq)
}

// add stores the entry at the log's next place, and the log after it.
func add(t *tx, log store.Log, sub *store.Submission) (proto.Receipt, error) {
	last, _, err := receiptWhere(t, "seq = $2", sub.Entry.Conversation, log.Seq)
	if err != nil {
		return last, err
	}
	log.Last = store.Minute(last.Minute)
	log, r, err := log.Add(sub)
	if err != nil {
		return r, err
	}
	e := sub.Entry
	err = t.run(`INSERT INTO entry (conversation, seq, minute, hash, kind, epoch, mk, extra_hash, sig,
		generation, chain_prev, kid, stamp, receipt_sum, bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		e.Conversation, r.Seq, r.Minute, sub.Hash, uint64(e.Kind), e.Epoch, e.MK, e.ExtraHash, e.Sig,
		r.Generation, r.ChainPrev, r.KID, r.Stamp, receiptSum(&r), e.Bytes)
	if err != nil {
		return r, err
	}
	if sub.Tag != (proto.Hash{}) {
		if err := t.run("INSERT INTO tag (conversation, tag) VALUES ($1, $2)", e.Conversation, sub.Tag); err != nil {
			return r, err
		}
	}
	return r, t.run(`UPDATE conversation SET epoch = $2, floor = $3, seq = $4, chain = $5, bytes = $6,
		ended1 = $7, ended2 = $8, ended3 = $9, sum = $10 WHERE id = $1`, e.Conversation, log.Epoch, log.Floor, log.Seq, log.Chain,
		log.Bytes, uint64(log.Ended[0]), uint64(log.Ended[1]), uint64(log.Ended[2]), logSum(e.Conversation, &log))
}

func saveNewLog(t *tx, id proto.ConversationID, log *store.Log) error {
	return t.run(`INSERT INTO conversation (id, epoch, floor, seq, chain, bytes, ended1, ended2, ended3, sum)
		VALUES ($1, $2, $3, 0, $4, 0, 0, 0, 0, $5)`, id, log.Epoch, log.Floor, log.Chain, logSum(id, log))
}

// logSum keeps a damaged disk from being stamped upon: clients would take what
// follows for a lie.
func logSum(id proto.ConversationID, l *store.Log) []byte {
	h := sha256.New()
	h.Write(id[:])
	h.Write(l.Chain[:])
	for _, v := range []uint64{l.Epoch, l.Floor, l.Seq, uint64(l.Ended[0]), uint64(l.Ended[1]), uint64(l.Ended[2])} {
		h.Write(binary.BigEndian.AppendUint64(nil, v))
	}
	return h.Sum(nil)[:8]
}

var errSum = errors.New("a record does not have its sum") // explain makes it store.ErrDamaged

func loadLog(q querier, id proto.ConversationID) (l store.Log, found bool, err error) {
	var sum []byte
	found, err = one(q, []any{&l.Epoch, &l.Floor, &l.Seq, &l.Chain, &l.Bytes, &l.Ended[0], &l.Ended[1], &l.Ended[2], &sum},
		"SELECT epoch, floor, seq, chain, bytes, ended1, ended2, ended3, sum FROM conversation WHERE id = $1", id)
	if found && err == nil && !bytes.Equal(sum, logSum(id, &l)) {
		err = errSum
	}
	return l, found, err
}

func loadMember(q querier, id proto.ConversationID, mk proto.MemberKey) (m store.Member, found bool, err error) {
	found, err = one(q, []any{&m.From, &m.Until}, "SELECT from_seq, until_seq FROM member WHERE conversation = $1 AND mk = $2", id, mk)
	return m, found, err
}

func checkLive(q querier, sub *store.Submission) error {
	m, found, err := loadMember(q, sub.Entry.Conversation, sub.Entry.MK)
	if !found || m.Until != 0 || err != nil {
		return either(err, proto.NotMember)
	}
	return nil
}

// known returns the first receipt of an entry that is in the log.
func known(q querier, sub *store.Submission) (a store.Accepted, err error) {
	a.Receipt, a.Known, err = receipt(q, sub.Entry.Conversation, sub.Hash)
	return a, err
}

// receiptSum lets a damaged disk be told from a server that lies: a receipt read
// back wrong is not handed out.
func receiptSum(r *proto.Receipt) []byte {
	sum := sha256.Sum256(wire.MustEncode(r.Wire))
	return sum[:8]
}

func receipt(q querier, id proto.ConversationID, hash proto.Hash) (proto.Receipt, bool, error) {
	return receiptWhere(q, "hash = $2", id, hash)
}

// receiptWhere returns the receipt of a conversation's entry; which compares one
// column with $2.
func receiptWhere(q querier, which string, id proto.ConversationID, is any) (r proto.Receipt, found bool, err error) {
	var sum []byte
	found, err = one(q, []any{&r.Seq, &r.Minute, &r.Generation, &r.ChainPrev, &r.KID, &r.Stamp, &sum},
		"SELECT seq, minute, generation, chain_prev, kid, stamp, receipt_sum FROM entry WHERE conversation = $1 AND "+which, id, is)
	if found && err == nil && !bytes.Equal(sum, receiptSum(&r)) {
		err = errSum
	}
	return r, found, err
}

// Known implements store.Conversations.
func (s *Store) Known(ctx context.Context, id proto.ConversationID, hash proto.Hash) (r proto.Receipt, ok bool, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		r, ok, err = receipt(q, id, hash)
		return err
	})
	return r, ok, err
}

// Member implements store.Conversations.
func (s *Store) Member(ctx context.Context, id proto.ConversationID, mk proto.MemberKey) (m store.Member, err error) {
	err = s.read(ctx, func(q querier) error {
		found, err := false, error(nil)
		if m, found, err = loadMember(q, id, mk); !found || err != nil {
			return either(err, proto.NotMember)
		}
		return nil
	})
	return m, err
}

// Read implements store.Conversations.
func (s *Store) Read(ctx context.Context, id proto.ConversationID, mk proto.MemberKey, after uint64, max, maxBytes int) (r store.Reading, err error) {
	err = s.read(ctx, func(q querier) (err error) {
		r, err = page(q, id, mk, after, max, maxBytes)
		return err
	})
	return r, err
}

func page(q querier, id proto.ConversationID, mk proto.MemberKey, after uint64, most, maxBytes int) (r store.Reading, err error) {
	m, found, err := loadMember(q, id, mk)
	if !found || err != nil {
		return r, either(err, proto.NotMember)
	}
	log, _, err := loadLog(q, id)
	if err != nil {
		return r, err
	}
	r.Head, r.Epoch = log.Seq, log.Epoch
	if m.Until != 0 {
		r.Head = m.Until
		if after >= m.Until {
			return r, &proto.Error{Code: proto.ClosedKey, Seq: m.Until}
		}
		if _, err := one(q, []any{&r.Epoch}, "SELECT epoch FROM entry WHERE conversation = $1 AND seq = $2", id, m.Until); err != nil {
			return r, err
		}
	}
	first := max(after+1, m.From)
	if first > r.Head {
		return r, nil
	}
	if r.Entries, err = entries(q, id, first, r.Head, most, maxBytes); err != nil {
		return r, err
	}
	return r, gone(q, id, first, r)
}

// gone refuses when the page does not begin where it should: what is missing
// has been deleted.
func gone(q querier, id proto.ConversationID, first uint64, r store.Reading) error {
	if len(r.Entries) > 0 && r.Entries[0].Receipt.Seq == first {
		return nil
	}
	there := r.Head + 1
	if len(r.Entries) > 0 {
		there = r.Entries[0].Receipt.Seq
	}
	return &proto.Error{Code: proto.Gone, Seq: there}
}

var errEnough = errors.New("enough entries")

// entries returns those from first to head, as many as the bounds allow.
func entries(q querier, id proto.ConversationID, first, head uint64, most, maxBytes int) (all []proto.Stamped, err error) {
	size := 0
	err = each(q, func(scan func(...any) error) error {
		e := proto.Stamped{Entry: proto.Entry{Conversation: id}}
		var hash proto.Hash
		var sum []byte
		if err := scan(&e.Receipt.Seq, &e.Receipt.Minute, &hash, &e.Entry.Kind, &e.Entry.Epoch, &e.Entry.MK, &e.Entry.ExtraHash,
			&e.Entry.Sig, &e.Receipt.Generation, &e.Receipt.ChainPrev, &e.Receipt.KID, &e.Receipt.Stamp, &sum, &e.Entry.Bytes); err != nil {
			return err
		}
		if e.Entry.Hash() != hash || !bytes.Equal(sum, receiptSum(&e.Receipt)) {
			return errSum
		}
		if size += len(e.Entry.Bytes) + 400; size > maxBytes && len(all) > 0 {
			return errEnough
		}
		all = append(all, e)
		return nil
	}, `SELECT seq, minute, hash, kind, epoch, mk, extra_hash, sig, generation, chain_prev, kid, stamp, receipt_sum, bytes
		FROM entry WHERE conversation = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq LIMIT $4`, id, first, head, most)
	if err == errEnough {
		err = nil
	}
	return all, err
}

// AddToken implements store.Conversations.
func (s *Store) AddToken(ctx context.Context, token proto.Hash, expires store.Day) error {
	return s.writer.submit(ctx, 64, func(t *tx) error {
		return t.run("INSERT INTO token (hash, expires_day) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING", token, expires)
	})
}

// CheckToken implements store.Conversations.
func (s *Store) CheckToken(ctx context.Context, token proto.Hash, today store.Day) error {
	return s.read(ctx, func(q querier) error { return checkToken(q, token, today) })
}

func checkToken(q querier, token proto.Hash, today store.Day) error {
	ok, err := exists(q, "SELECT 1 FROM token WHERE hash = $1 AND expires_day >= $2", token, today)
	if !ok || err != nil {
		return either(err, proto.BadToken)
	}
	return nil
}

// sizeOf is about what a submission writes, in bytes.
func sizeOf(s *store.Submission, a *store.Attached) int {
	n := len(s.Entry.Bytes) + 1000
	if a != nil {
		for _, d := range a.Deliveries {
			n += len(d.Sealed) + 200
		}
	}
	return n
}

// either is err, or the refusal if there is none.
func either(err error, c proto.Code) error {
	if err != nil {
		return err
	}
	return proto.Refuse(c)
}

func exists(q querier, query string, args ...any) (bool, error) {
	var n int
	return one(q, []any{&n}, query, args...)
}
