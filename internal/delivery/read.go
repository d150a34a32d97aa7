package delivery

import (
	"context"
	"crypto/ed25519"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/proto"
)

// Open opens the session of a member key, live or closed, signed over a nonce.
func (s *Service) Open(ctx context.Context, r *proto.OpenRequest) (*proto.OpenResponse, error) {
	if !ed25519.Verify(r.MK[:], proto.OpenProof(r.Nonce, s.Origin, r.Conversation), r.Sig[:]) {
		return nil, proto.Refuse(proto.Forbidden)
	}
	if !s.Sessions.TakeNonce(r.Nonce) {
		return nil, proto.Refuse(proto.BadSession)
	}
	if r.Token != nil {
		return s.openPending(ctx, r)
	}
	m, err := s.Store.Member(ctx, r.Conversation, r.MK)
	if err != nil {
		return nil, err
	}
	id, err := s.Sessions.OpenMember(session.Member{Conversation: r.Conversation, MK: r.MK})
	if err != nil {
		return nil, err
	}
	return &proto.OpenResponse{Session: id, From: m.From, Until: m.Until}, nil
}

// openPending opens the session that uploads the blobs of a create to come.
func (s *Service) openPending(ctx context.Context, r *proto.OpenRequest) (*proto.OpenResponse, error) {
	token := r.Token.Hash()
	if err := s.Store.CheckToken(ctx, token, s.today()); err != nil {
		return nil, err
	}
	if _, wait := s.throttles.pending.take(s.Clock.Now(), token); wait > 0 {
		return nil, proto.RefuseWait(proto.Throttled, wait)
	}
	id, err := s.Sessions.OpenMember(session.Member{Conversation: r.Conversation, MK: r.MK, Pending: true})
	if err != nil {
		return nil, err
	}
	return &proto.OpenResponse{Session: id}, nil
}

// Read returns entries a member key may read: from_seq ≤ seq ≤ until_seq.
func (s *Service) Read(ctx context.Context, r *proto.ReadRequest) (*proto.ReadResponse, error) {
	m, err := s.Sessions.Member(r.Session)
	if err != nil {
		return nil, err
	}
	if m.Pending {
		return nil, proto.Refuse(proto.BadSession)
	}
	most := proto.MaxReadEntries
	if r.Max > 0 {
		most = min(most, int(r.Max))
	}
	got, err := s.Store.Read(ctx, m.Conversation, m.MK, r.After, most, proto.MaxReadBytes)
	if err != nil {
		return nil, err
	}
	return &proto.ReadResponse{Entries: got.Entries, HeadSeq: got.Head, Epoch: got.Epoch}, nil
}
