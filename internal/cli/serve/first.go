package serve

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// firstInvitation returns the invitation of the one who is to be admin, or "" if
// somebody has joined. It is the same at each start until then.
func (s *server) firstInvitation(ctx context.Context) (string, error) {
	path := filepath.Join(s.Data, invitationFile)
	joined, err := s.store.HasAccounts(ctx)
	if err != nil {
		return "", err
	}
	if joined {
		s.joined()
		return "", nil
	}
	var token proto.Token
	kept, err := readSecret(path, len(token))
	if bad := (*damaged)(nil); err != nil && !errors.As(err, &bad) {
		return "", err
	}
	if copy(token[:], kept) == 0 { // none yet, or damaged: another one does as well
		token = proto.New[proto.Token]()
		if err := writeFile(path, token[:]); err != nil {
			return "", err
		}
	}
	err = s.store.AddInvite(ctx, store.Invite{Token: token.Hash(), Uses: 1, Expires: store.Minute(math.MaxInt64 / 60)})
	if err != nil && !errors.Is(err, proto.Exists) {
		return "", err
	}
	return client.Invitation{Server: s.ref(), Token: token}.String(), nil
}

// joined forgets the first invitation, which has been used.
func (s *server) joined() {
	err := os.Remove(filepath.Join(s.Data, invitationFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.Log.Warn("the first invitation has been used, but its file cannot be removed", "err", err)
	}
}

// operatorKey reads the key that seals the accounts' names, or makes it at the
// first start. In a folder that has a database it is never made anew.
func (s *server) operatorKey() (key store.OperatorKey, err error) {
	path := s.OperatorKey
	if path == "" {
		path = filepath.Join(s.Data, operatorFile)
	}
	kept, err := readSecret(path, len(key))
	switch {
	case err != nil:
		return key, err
	case kept != nil:
		copy(key[:], kept)
		return key, nil
	case exists(filepath.Join(s.Data, databaseFile)):
		return key, hinted("put the key back from where you keep a copy, or name its file: --operator-key FILE",
			"the operator's key of this data folder is missing")
	}
	key = store.NewOperatorKey()
	return key, writeFile(path, key[:])
}

// explain gives the errors of a start the way out that only this package knows.
func explain(err error) error {
	var known *Error
	var file *damaged
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.As(err, &file):
		return hinted("put the file back from a backup", "%w", err)
	case errors.Is(err, store.ErrOperatorKey):
		return hinted("this folder was made with another key: put that one back, or name its file: --operator-key FILE", "the operator's key is not the right one")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, proto.Full):
		return hinted("make room, then start again; nothing that was acknowledged is lost", "the disk is full")
	case errors.Is(err, store.ErrDamaged):
		return hinted("nothing was changed; put the data folder back from a backup, or keep a copy of it and ask for help", "%w", err)
	}
	return err
}
