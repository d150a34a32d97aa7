package delivery

import (
	"context"
	"errors"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// maxPendingBytes bounds what is uploaded for a conversation before its create:
// join blobs of a thousand members.
const maxPendingBytes = 64 << 20

// blobOwner says for whom a session uploads and pins: a member key's for its
// conversation, an account's for its backup.
func (s *Service) blobOwner(ctx context.Context, id proto.SessionID) (store.Owner, error) {
	if d, err := s.Sessions.Device(id); err == nil {
		return store.Owner{Account: &d.Account}, nil
	}
	m, err := s.Sessions.Member(id)
	if err != nil {
		return store.Owner{}, err
	}
	if m.Pending {
		return store.Owner{Conversation: &m.Conversation}, nil
	}
	return store.Owner{Conversation: &m.Conversation}, s.live(ctx, m)
}

// live refuses a key that was closed since its session began.
func (s *Service) live(ctx context.Context, m session.Member) error {
	standing, err := s.Store.Member(ctx, m.Conversation, m.MK)
	if err != nil {
		return err
	}
	if standing.Until != 0 {
		return &proto.Error{Code: proto.ClosedKey, Seq: standing.Until}
	}
	return nil
}

// BlobBegin announces a blob under its random id.
func (s *Service) BlobBegin(ctx context.Context, r *proto.BlobBeginRequest) (*proto.Empty, error) {
	owner, err := s.blobOwner(ctx, r.Session)
	if err != nil {
		return nil, err
	}
	if r.Size == 0 || r.Size > proto.MaxBlob {
		return nil, proto.Refuse(proto.TooLarge)
	}
	if owner.Account != nil {
		if err := s.backupQuota(*owner.Account, r.Size); err != nil {
			return nil, err
		}
	}
	quota := s.MaxBlobBytes
	if m, err := s.Sessions.Member(r.Session); err == nil && m.Pending {
		quota = maxPendingBytes
	}
	b := store.Blob{ID: r.ID, Owner: owner.Conversation, Size: r.Size, Hash: r.Hash}
	return &proto.Empty{}, s.Store.BeginBlob(ctx, b, s.today(), quota)
}

// backupQuota counts an account's uploads of today, in memory: the record of
// such a blob does not say whose it is.
func (s *Service) backupQuota(a proto.AccountID, size uint64) error {
	s.backup.Lock()
	defer s.backup.Unlock()
	if today := s.today(); today != s.backup.day || s.backup.bytes == nil {
		s.backup.day, s.backup.bytes = today, map[proto.AccountID]uint64{}
	}
	if s.backup.bytes[a]+size > s.MaxBackupBytesPerDay {
		return proto.Refuse(proto.Quota)
	}
	s.backup.bytes[a] += size
	return nil
}

// upload returns the record of a blob the session may upload.
func (s *Service) upload(ctx context.Context, id proto.SessionID, blob proto.BlobID) (store.Blob, error) {
	owner, err := s.blobOwner(ctx, id)
	if err != nil {
		return store.Blob{}, err
	}
	b, err := s.Store.Blob(ctx, blob)
	if err != nil {
		return b, err
	}
	if (b.Owner == nil) != (owner.Conversation == nil) || b.Owner != nil && *b.Owner != *owner.Conversation {
		return b, proto.Refuse(proto.NoBlob)
	}
	return b, nil
}

// BlobPut stores one part, durable when it returns.
func (s *Service) BlobPut(ctx context.Context, r *proto.BlobPutRequest) (*proto.Empty, error) {
	b, err := s.upload(ctx, r.Session, r.ID)
	if err != nil {
		return nil, err
	}
	if b.Done {
		return &proto.Empty{}, nil
	}
	if uint64(len(r.Bytes)) != partLength(b.Size, r.Part) {
		return nil, proto.Refuse(proto.Malformed)
	}
	return &proto.Empty{}, s.Files.PutPart(r.ID, b.Size, r.Part, r.Bytes)
}

// partLength is how long part n of a blob must be, 0 beyond its end.
func partLength(size uint64, n uint32) uint64 {
	start := uint64(n) * proto.MaxBlobPart
	if start >= size {
		return 0
	}
	return min(size-start, proto.MaxBlobPart)
}

// BlobStat says which parts are on disk.
func (s *Service) BlobStat(ctx context.Context, r *proto.BlobStatRequest) (*proto.BlobStatResponse, error) {
	b, err := s.upload(ctx, r.Session, r.ID)
	if err != nil {
		return nil, err
	}
	if b.Done {
		return &proto.BlobStatResponse{Size: b.Size, Done: true}, nil
	}
	parts, err := s.Files.Parts(b.ID, b.Size)
	if err != nil {
		return nil, err
	}
	return &proto.BlobStatResponse{Size: b.Size, Parts: parts}, nil
}

// BlobFinish compares the hash and makes the blob readable. After bad_hash the
// upload is gone and begins anew.
func (s *Service) BlobFinish(ctx context.Context, r *proto.BlobFinishRequest) (*proto.Empty, error) {
	b, err := s.upload(ctx, r.Session, r.ID)
	if err != nil {
		return nil, err
	}
	if b.Done {
		return &proto.Empty{}, nil
	}
	if err := s.Files.Finish(b.ID, b.Size, b.Hash); err != nil {
		if errors.Is(err, proto.BadHash) {
			err = s.drop(ctx, b.ID, err)
		}
		return nil, err
	}
	return &proto.Empty{}, s.Store.FinishBlob(ctx, b.ID)
}

// drop forgets an upload and returns why, or what failed in forgetting it.
func (s *Service) drop(ctx context.Context, id proto.BlobID, why error) error {
	if err := s.Store.DropBlob(ctx, id); err != nil {
		return err
	}
	if err := s.Files.Remove(id); err != nil {
		return err
	}
	return why
}

// BlobGet reads part of a finished blob; its id is the right to.
func (s *Service) BlobGet(ctx context.Context, r *proto.BlobGetRequest) (*proto.BlobGetResponse, error) {
	b, err := s.Store.Blob(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if !b.Done {
		return nil, proto.Refuse(proto.NoBlob)
	}
	if r.Length > proto.MaxBlobPart || r.Offset > b.Size {
		return nil, proto.Refuse(proto.Malformed)
	}
	buf := make([]byte, min(uint64(r.Length), b.Size-r.Offset))
	n, err := s.Files.ReadAt(r.ID, buf, r.Offset)
	if err != nil {
		return nil, err
	}
	return &proto.BlobGetResponse{Size: b.Size, Bytes: buf[:n]}, nil
}

// Pin keeps finished blobs.
func (s *Service) Pin(ctx context.Context, r *proto.PinRequest) (*proto.Empty, error) {
	owner, err := s.blobOwner(ctx, r.Session)
	if err != nil {
		return nil, err
	}
	if len(r.IDs) > proto.MaxPins {
		return nil, proto.Refuse(proto.TooLarge)
	}
	var until store.Day
	if r.Days > 0 {
		until = s.today() + store.Day(r.Days)
	}
	return &proto.Empty{}, s.Store.Pin(ctx, owner, r.IDs, until)
}

// Unpin ends the session's pins.
func (s *Service) Unpin(ctx context.Context, r *proto.UnpinRequest) (*proto.Empty, error) {
	owner, err := s.blobOwner(ctx, r.Session)
	if err != nil {
		return nil, err
	}
	if len(r.IDs) > proto.MaxPins {
		return nil, proto.Refuse(proto.TooLarge)
	}
	return &proto.Empty{}, s.Store.Unpin(ctx, owner, r.IDs, s.today())
}
