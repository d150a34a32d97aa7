package directory

import (
	"context"
	"errors"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Recover lets in the holder of an account's recovery key. In order: forbidden
// unless the key signed → bad_session → no_account, the same for a key that was
// never set and one that was replaced → with a link: bad_chain unless it is an
// ADD_DEVICE signed by the key, conflict, as ChainAppend. No name is asked for,
// so there is none to guess: who does not have the key of an account finds none.
func (s *Service) Recover(ctx context.Context, r *proto.RecoverRequest) (*proto.RecoverResponse, error) {
	if !kt.RecoveryPublicKey(r.Key).Verify(proto.RecoverProof(s.Origin, r), r.Sig) {
		return nil, proto.Refuse(proto.Forbidden)
	}
	if !s.Sessions.TakeNonce(r.Nonce) {
		return nil, proto.Refuse(proto.BadSession)
	}
	account, err := s.Store.AccountByRecovery(ctx, s.recoveryLookup(r.Key))
	if err != nil {
		return nil, err
	}
	chain, err := s.chain(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	if key, ok := chain.Recovery(); !ok || key != r.Key {
		return nil, proto.Refuse(proto.NoAccount)
	}
	handle, err := s.handle(ctx, account.ID)
	if err != nil {
		return nil, err
	}
	if len(r.Link) > 0 {
		if err := s.addRecovered(ctx, account.ID, handle, r.Link); err != nil {
			return nil, err
		}
	}
	return s.recovered(ctx, account.ID, handle, r.From)
}

// addRecovered adds the device that the recovery key signs.
func (s *Service) addRecovered(ctx context.Context, id proto.AccountID, handle string, encoded []byte) error {
	link, err := kt.ParseLink(encoded)
	if err != nil || link.Type != kt.TypeAddDevice || link.Signer != (kt.DeviceID{}) {
		return proto.Refuse(proto.BadChain)
	}
	if err := s.extend(ctx, id, handle, link, encoded); err != nil {
		return err
	}
	return s.logged(ctx, handle, encoded)
}

func (s *Service) recovered(ctx context.Context, id proto.AccountID, handle string, from uint32) (*proto.RecoverResponse, error) {
	links, err := s.Store.Links(ctx, id, from, proto.MaxLinks)
	if err != nil {
		return nil, err
	}
	pointer, err := s.Store.Backup(ctx, id)
	return &proto.RecoverResponse{Account: id, Handle: handle, Links: links, Backup: pointer}, err
}

func (s *Service) recoveryLookup(key kt.RecoveryPublicKey) proto.Hash {
	return s.Key.Lookup("recovery", string(key[:]))
}

// recoveryFree refuses a chain whose recovery key is another account's: by that
// key only one can be found.
func (s *Service) recoveryFree(ctx context.Context, id proto.AccountID, chain kt.Chain) error {
	key, ok := chain.Recovery()
	if !ok {
		return nil
	}
	other, err := s.Store.AccountByRecovery(ctx, s.recoveryLookup(key))
	switch {
	case errors.Is(err, proto.NoAccount):
		return nil
	case err == nil && other.ID != id:
		return proto.Refuse(proto.BadChain)
	}
	return err
}

// keepRecovery makes the account found by the recovery key its chain has. What a
// crash left undone is done when the next session opens.
func (s *Service) keepRecovery(ctx context.Context, id proto.AccountID, chain kt.Chain) error {
	key, ok := chain.Recovery()
	if !ok {
		return nil
	}
	lookup := s.recoveryLookup(key)
	stored, err := s.Store.RecoveryOf(ctx, id)
	if err != nil || stored == lookup {
		return err
	}
	err = s.Store.SetRecovery(ctx, id, lookup)
	if errors.Is(err, proto.Exists) { // a key copied into two chains finds the first
		return nil
	}
	return err
}

// storedRecovery is keepRecovery for a link that is sent once more.
func (s *Service) storedRecovery(ctx context.Context, id proto.AccountID, link *kt.Link) error {
	if link.Type != kt.TypeSetRecovery {
		return nil
	}
	chain, err := s.chain(ctx, id)
	if err != nil {
		return err
	}
	return s.keepRecovery(ctx, id, chain)
}

// BackupGet returns where the caller's backup is.
func (s *Service) BackupGet(ctx context.Context, r *proto.BackupGetRequest) (*proto.BackupGetResponse, error) {
	c, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	pointer, err := s.Store.Backup(ctx, c.Account)
	return &proto.BackupGetResponse{Pointer: pointer}, err
}

// BackupSet replaces where the caller's backup is, and what is kept for it:
// malformed → conflict → no_blob.
func (s *Service) BackupSet(ctx context.Context, r *proto.BackupSetRequest) (*proto.Empty, error) {
	c, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	if len(r.Pointer) == 0 {
		return nil, proto.Refuse(proto.Malformed)
	}
	if len(r.Blobs) > proto.MaxBackupBlobs {
		return nil, proto.Refuse(proto.TooLarge)
	}
	today := store.DayOf(s.Clock.Now())
	return &proto.Empty{}, s.Store.SetBackup(ctx, c.Account, r.Previous, r.Pointer, r.Blobs, today)
}
