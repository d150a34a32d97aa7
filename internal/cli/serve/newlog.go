package serve

import (
	"context"
	"path/filepath"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/kt"
)

// logOrigin is what the log is called: the host, and behind it the name of a log
// that was begun in place of the first one.
func (s *server) logOrigin(ctx context.Context, host string) (origin, name string, err error) {
	b, err := s.store.Setting(ctx, store.SettingLog)
	if err != nil || len(b) == 0 {
		return host, "", err
	}
	return host + "/" + string(b), string(b), nil
}

// newLog is the fingerprint of a log that was begun in place of the first one,
// "" if none was: people compare it before their devices take it over.
func (s *server) newLog() string {
	if s.directory.LogName == "" {
		return ""
	}
	log, vrf := s.directory.LogKeys()
	return kt.Fingerprint(log, vrf)
}

// LockFolder keeps servers away from a data folder until unlock; an *Error if one
// is running on it.
func LockFolder(data string) (unlock func() error, err error) {
	if unlock, err = lock(filepath.Join(data, lockFile)); err != nil {
		return nil, lockError(err)
	}
	return unlock, nil
}
