package store

import (
	"codeberg.org/huis/huis/internal/proto"
)

// Log is a conversation as the rules see it.
type Log struct {
	Epoch uint64
	Floor uint64
	Seq   uint64
	Chain proto.Hash
	Bytes uint64    // of the entries there are
	Ended [3]Minute // when Epoch−1, −2, −3 ended; 0 if there is no such epoch
	Last  Minute    // of the last entry's receipt; 0 if that entry is no longer kept
}

// Admit says whether an application entry or notice of the given epoch may be
// appended (protocol.md, 5): stale, future or nil.
func (l *Log) Admit(s *Submission) error {
	e := s.Entry.Epoch
	switch {
	case e > l.Epoch:
		return proto.Refuse(proto.Future)
	case e == l.Epoch, s.Entry.Kind == proto.KindNotice:
		return nil
	case e < l.Floor || l.Epoch-e > uint64(len(l.Ended)):
		return l.stale()
	}
	// Minutes decide where they can; Recent knows the seconds.
	switch ended := l.Ended[l.Epoch-e-1]; {
	case ended == s.Now:
		return nil
	case ended+1 == s.Now && s.Recent != 0 && e >= s.Recent:
		return nil
	}
	return l.stale()
}

func (l *Log) stale() error { return &proto.Error{Code: proto.Stale, Epoch: l.Epoch, Seq: l.Seq} }

// Follows says whether a commit may end the epoch: conflict, future or nil.
func (l *Log) Follows(s *Submission) error {
	switch e := s.Entry.Epoch; {
	case e < l.Epoch:
		return &proto.Error{Code: proto.Conflict, Seq: l.Seq}
	case e > l.Epoch:
		return proto.Refuse(proto.Future)
	}
	return nil
}

// Room says whether the entry fits into the conversation's share: full or nil.
func (l *Log) Room(s *Submission) error {
	if s.MaxBytes > 0 && l.Bytes+uint64(len(s.Entry.Bytes)) > s.MaxBytes {
		return proto.Refuse(proto.Full)
	}
	return nil
}

// Add gives the entry its place: the log after it, and its receipt. A clock that
// was set back stamps nothing earlier than the entry before: clients stop there.
func (l Log) Add(s *Submission) (Log, proto.Receipt, error) {
	r := proto.Receipt{Seq: l.Seq + 1, Minute: uint64(max(s.Now, l.Last)), ChainPrev: l.Chain}
	chain, err := s.Stamp(s.Entry, &r)
	l.Seq, l.Chain, l.Bytes, l.Last = r.Seq, chain, l.Bytes+uint64(len(s.Entry.Bytes)), Minute(r.Minute)
	return l, r, err
}

// EndEpoch moves on to the next epoch, with the floor of protocol.md, 5: a
// removal shuts out everything before it, another commit what is three behind.
func (l Log) EndEpoch(now Minute, removes bool) Log {
	l.Epoch++
	l.Ended = [3]Minute{now, l.Ended[0], l.Ended[1]}
	if removes {
		l.Floor = l.Epoch
	} else if l.Epoch > 3 {
		l.Floor = max(l.Floor, l.Epoch-3)
	}
	return l
}
