package delivery

import (
	"context"
	"errors"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// GiveEntries takes the end of a conversation's log back that a restored server
// does not have (protocol.md, 12). Each entry carries the receipt it had: the
// server's own word that it stood there. It is put where it stood, with what it
// did to epoch and member keys, and nothing is taken that does not follow the
// head; so this may be asked at any time. forbidden if an entry or its stamp
// does not verify; conflict{seq of the head} if the log went on otherwise.
func (s *Service) GiveEntries(ctx context.Context, r *proto.GiveEntriesRequest) (*proto.GiveEntriesResponse, error) {
	if len(r.Entries) > proto.MaxGiveCount {
		return nil, proto.Refuse(proto.TooLarge)
	}
	for i := range r.Entries {
		if err := s.giveEntry(ctx, r.Conversation, &r.Entries[i]); err != nil {
			return nil, err
		}
	}
	seq, chain, err := s.Store.Head(ctx, r.Conversation)
	return &proto.GiveEntriesResponse{Seq: seq, Chain: chain}, err
}

func (s *Service) giveEntry(ctx context.Context, id proto.ConversationID, e *proto.Stamped) error {
	if e.Entry.Conversation != id {
		return proto.Refuse(proto.Malformed)
	}
	sub, err := s.given(e)
	if err != nil {
		return err
	}
	if known, err := s.known(ctx, &sub); known || err != nil {
		return err
	}
	err = s.putBack(ctx, e, &sub)
	if errors.Is(err, errElsewhere) {
		seq, _, err := s.Store.Head(ctx, id)
		return errors.Join(err, &proto.Error{Code: proto.Conflict, Seq: seq})
	}
	return err
}

// errElsewhere is why an entry has not the place its receipt says.
var errElsewhere = errors.New("the log went on otherwise")

// given verifies an entry and its receipt, and prepares it to be stored as it
// was.
func (s *Service) given(e *proto.Stamped) (store.Submission, error) {
	sub, err := s.submission(&e.Entry, e.Entry.Kind)
	if err != nil {
		return sub, err
	}
	chain, err := s.ownStamp(e)
	if err != nil {
		return sub, proto.Refuse(proto.Forbidden)
	}
	sub.Now, sub.Recent = store.Minute(e.Receipt.Minute), e.Entry.Epoch
	sub.Stamp = func(_ *proto.Entry, r *proto.Receipt) (proto.Hash, error) {
		if r.Seq != e.Receipt.Seq || r.ChainPrev != e.Receipt.ChainPrev {
			return proto.Hash{}, errElsewhere
		}
		*r = e.Receipt
		return chain, nil
	}
	return sub, nil
}

// ownStamp verifies that one of this server's own keys stamped an entry.
func (s *Service) ownStamp(e *proto.Stamped) (proto.Hash, error) {
	for _, k := range s.stamp.all {
		if k.KID == e.Receipt.KID && k.Generation == e.Receipt.Generation {
			return e.Receipt.Verify(&e.Entry, k)
		}
	}
	return proto.Hash{}, proto.ErrStampKey
}

// putBack does again what the entry did.
func (s *Service) putBack(ctx context.Context, e *proto.Stamped, sub *store.Submission) error {
	switch e.Entry.Kind {
	case proto.KindCreate:
		members, err := proto.ParseMembers(e.Entry.Bytes)
		if err != nil {
			return refusal(err)
		}
		token := proto.New[proto.Token]().Hash()
		if err := s.Store.AddToken(ctx, token, s.today()); err != nil {
			return err
		}
		_, err = s.Store.Create(ctx, token, members, *sub, store.Attached{Today: s.today()}, nil)
		return err
	case proto.KindCommit:
		d, err := commitDelta(&proto.CommitRequest{Entry: e.Entry})
		if err != nil {
			return err
		}
		a, err := s.Store.Commit(ctx, *sub, d, store.Attached{Today: s.today()})
		if err == nil {
			s.committed(&e.Entry, sub, d, a)
		}
		return err
	case proto.KindNotice:
		n, err := proto.ParseNotice(e.Entry.Bytes)
		if err != nil {
			return refusal(err)
		}
		sub.Leave = n.Type == proto.NoticeLeave
	}
	_, err := s.Store.Append(ctx, *sub)
	if err == nil {
		s.hub.conversation(e.Entry.Conversation, e.Receipt.Seq)
	}
	return err
}
