package delivery

import (
	"context"
	"errors"
	"slices"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Create begins a conversation at epoch 1 (protocol.md, 11 and 14).
func (s *Service) Create(ctx context.Context, r *proto.CreateRequest) (*proto.CreateResponse, error) {
	if len(r.Extra.Packages) > proto.MaxJoinPackages {
		return nil, proto.Refuse(proto.TooLarge)
	}
	sub, err := s.submission(&r.Entry, proto.KindCreate)
	if err != nil {
		return nil, err
	}
	members, attached, err := s.created(r)
	if err != nil {
		return nil, err
	}
	reform, err := s.reform(r)
	if err != nil {
		return nil, err
	}
	a, err := s.Store.Create(ctx, r.Token.Hash(), members, sub, attached, reform)
	if err != nil {
		return nil, err
	}
	s.hintInboxes(a.Inboxes)
	if a.Reform != nil {
		s.hub.conversation(r.Extra.Reform.Conversation, a.Reform.Seq)
	}
	return &proto.CreateResponse{Receipt: a.Receipt, Reform: a.Reform}, nil
}

// created checks what of a create needs no store.
func (s *Service) created(r *proto.CreateRequest) ([]proto.MemberKey, store.Attached, error) {
	members, err := proto.ParseMembers(r.Entry.Bytes)
	if err != nil {
		return nil, store.Attached{}, refusal(err)
	}
	distinct := proto.KeyDelta{Adds: members}
	if r.Entry.Epoch != 1 || !slices.Contains(members, r.Entry.MK) || !distinct.Distinct() ||
		len(r.Extra.Packages) > len(members) {
		return nil, store.Attached{}, proto.Refuse(proto.BadDelta)
	}
	attached, err := s.attached(&r.Entry, &r.Extra)
	return members, attached, err
}

// reform is the submission of a create's notice in the predecessor's log.
func (s *Service) reform(r *proto.CreateRequest) (*store.Submission, error) {
	e := r.Extra.Reform
	if e == nil {
		return nil, nil
	}
	sub, err := s.submission(e, proto.KindNotice)
	if err != nil {
		return nil, err
	}
	n, err := proto.ParseNotice(e.Bytes)
	if err != nil {
		return nil, refusal(err)
	}
	if n.Type != proto.NoticeReform || n.Successor != r.Entry.Conversation || e.Conversation == r.Entry.Conversation {
		return nil, proto.Refuse(proto.Malformed)
	}
	return &sub, nil
}

// Append adds an application entry or a notice. The same entry again has the
// same receipt (protocol.md, 5).
func (s *Service) Append(ctx context.Context, r *proto.AppendRequest) (*proto.AppendResponse, error) {
	e := &r.Entry
	if e.Kind != proto.KindNotice && e.Kind != proto.KindApplication {
		return nil, proto.Refuse(proto.Malformed)
	}
	sub, err := s.submission(e, e.Kind)
	if err != nil {
		return nil, err
	}
	release, err := s.throttleAppend(ctx, &sub)
	if err != nil {
		return nil, err
	}
	a, err := s.Store.Append(ctx, sub)
	release(a, err)
	if err != nil {
		return nil, err
	}
	if !a.Known {
		s.hub.conversation(e.Conversation, a.Receipt.Seq)
		if sub.Leave {
			s.hub.close(e.Conversation, []proto.MemberKey{e.MK})
		}
	}
	return &proto.AppendResponse{Receipt: a.Receipt}, nil
}

// throttleAppend takes an entry's share of the throttles; release is told the
// outcome and gives back what is due.
func (s *Service) throttleAppend(ctx context.Context, sub *store.Submission) (release func(store.Accepted, error), err error) {
	if sub.Entry.Kind == proto.KindNotice {
		back, err := s.notice(ctx, sub)
		return func(a store.Accepted, err error) {
			if err != nil || a.Known {
				back()
			}
		}, err
	}
	back, err := s.throttles.entry(s.Clock.Now(), sub.Entry)
	return func(_ store.Accepted, err error) {
		if errors.Is(err, proto.NotMember) {
			back()
		}
	}, err
}

// notice checks what only notices have: their type and their own throttle. The
// function returned gives the throttle back.
func (s *Service) notice(ctx context.Context, sub *store.Submission) (release func(), err error) {
	n, err := proto.ParseNotice(sub.Entry.Bytes)
	if err != nil {
		return nil, refusal(err)
	}
	if n.Type == proto.NoticeReform { // only in a create
		return nil, proto.Refuse(proto.Forbidden)
	}
	sub.Leave = n.Type == proto.NoticeLeave
	if known, err := s.known(ctx, sub); known || err != nil {
		return func() {}, err
	}
	return s.throttles.notice(s.Clock.Now(), sub.Entry)
}

// Commit ends the conversation's epoch, all or nothing (protocol.md, 4).
func (s *Service) Commit(ctx context.Context, r *proto.CommitRequest) (*proto.CommitResponse, error) {
	e := &r.Entry
	sub, err := s.submission(e, proto.KindCommit)
	if err != nil {
		return nil, err
	}
	if r.Extra.Reform != nil {
		return nil, proto.Refuse(proto.Malformed)
	}
	delta, err := commitDelta(r)
	if err != nil {
		return nil, err
	}
	attached, err := s.attached(e, &r.Extra)
	if err != nil {
		return nil, err
	}
	release, err := s.throttleCommit(ctx, &sub)
	if err != nil {
		return nil, err
	}
	a, err := s.Store.Commit(ctx, sub, delta, attached)
	if err != nil || a.Known {
		release()
	}
	if err != nil {
		return nil, err
	}
	s.committed(e, &sub, delta, a)
	return &proto.CommitResponse{Receipt: a.Receipt}, nil
}

func commitDelta(r *proto.CommitRequest) (proto.KeyDelta, error) {
	f, err := proto.ParseFrame(r.Entry.Bytes)
	if err != nil {
		return proto.KeyDelta{}, refusal(err)
	}
	d, err := f.KeyDelta()
	switch {
	case err != nil:
		return d, refusal(err)
	case len(d.Adds) > proto.MaxAdds:
		return d, proto.Refuse(proto.TooLarge)
	case len(r.Extra.Packages) > len(d.Adds), slices.Contains(d.Removes, r.Entry.MK), !d.Distinct():
		return d, proto.Refuse(proto.BadDelta)
	}
	return d, nil
}

// throttleCommit takes this commit's share of the throttles unless it is known
// already; release gives it back when the commit was not made, since a lost
// compare-and-set must be tried again at once.
func (s *Service) throttleCommit(ctx context.Context, sub *store.Submission) (release func(), err error) {
	if known, err := s.known(ctx, sub); known || err != nil {
		return func() {}, err
	}
	share, err := s.throttles.entry(s.Clock.Now(), sub.Entry)
	if err != nil {
		return nil, err
	}
	turn, err := s.throttles.commit(s.Clock.Now(), sub.Entry)
	if err != nil {
		share()
		return nil, err
	}
	return func() { share(); turn() }, nil
}

func (s *Service) known(ctx context.Context, sub *store.Submission) (bool, error) {
	_, known, err := s.Store.Known(ctx, sub.Entry.Conversation, sub.Hash)
	return known, err
}

// committed tells the memory-only parts of a commit made.
func (s *Service) committed(e *proto.Entry, sub *store.Submission, d proto.KeyDelta, a store.Accepted) {
	if a.Known {
		return
	}
	s.windows.ended(e.Conversation, e.Epoch, s.Clock.Now())
	s.hub.conversation(e.Conversation, a.Receipt.Seq)
	closed := d.Removes
	if d.Replace != nil {
		closed = append(slices.Clone(closed), e.MK)
	}
	s.hub.close(e.Conversation, closed)
	s.hintInboxes(a.Inboxes)
}

// submission verifies an entry of the given kind.
func (s *Service) submission(e *proto.Entry, kind proto.Kind) (store.Submission, error) {
	limit := map[proto.Kind]int{proto.KindCreate: proto.MaxCommit, proto.KindCommit: proto.MaxCommit,
		proto.KindApplication: proto.MaxApplication, proto.KindNotice: proto.MaxNotice}[kind]
	if e.Kind != kind {
		return store.Submission{}, proto.Refuse(proto.Malformed)
	}
	if len(e.Bytes) > limit {
		return store.Submission{}, proto.Refuse(proto.TooLarge)
	}
	if (kind == proto.KindApplication || kind == proto.KindNotice) && e.ExtraHash != (proto.Hash{}) {
		return store.Submission{}, proto.Refuse(proto.Malformed)
	}
	if err := e.Verify(); err != nil {
		return store.Submission{}, refusal(err)
	}
	tag, err := e.Tag()
	if err != nil {
		return store.Submission{}, refusal(err)
	}
	now := s.Clock.Now()
	return store.Submission{
		Entry: e, Hash: e.Hash(), Tag: tag, Now: store.MinuteOf(now), Stamp: s.sign,
		Recent: s.windows.recent(e.Conversation, now), MaxBytes: s.MaxConversationBytes,
	}, nil
}

// attached checks that the entry binds the extra, and prepares it.
func (s *Service) attached(e *proto.Entry, x *proto.Extra) (store.Attached, error) {
	a := store.Attached{Pins: x.Pins, PinUntil: s.retention(), Today: s.today(), MaxInbox: s.MaxInboxItems}
	if x.Hash() != e.ExtraHash {
		return a, proto.Refuse(proto.Forbidden)
	}
	if len(x.Pins) > proto.MaxPins {
		return a, proto.Refuse(proto.TooLarge)
	}
	for _, p := range x.Packages {
		if len(p.Sealed) > proto.MaxJoinPackage {
			return a, proto.Refuse(proto.TooLarge)
		}
		a.Deliveries = append(a.Deliveries, store.Delivery{Ticket: p.Ticket.Hash(), ID: proto.New[proto.InboxItemID](), Sealed: p.Sealed})
	}
	return a, nil
}
