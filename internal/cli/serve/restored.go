package serve

import (
	"context"
	"errors"
	"slices"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/directory"
)

// restoration is what is still to be done about a database that was put back from
// a backup; nil if it was not, or all is done.
func (s *server) restoration(ctx context.Context) (store.Restored, *directory.Restoration, error) {
	r, on, err := s.restored(ctx)
	if err != nil || !on {
		return r, nil, err
	}
	return r, &directory.Restoration{
		Hold: r.Hold,
		Ended: func(ctx context.Context) (bool, error) {
			now, _, err := s.restored(ctx)
			return now.Ended, err
		},
		Release: func(ctx context.Context) error {
			if err := s.logStampKeys(ctx); err != nil {
				return err
			}
			return s.store.PutSetting(ctx, store.SettingRestored, nil)
		},
	}, nil
}

func (s *server) restored(ctx context.Context) (store.Restored, bool, error) {
	b, err := s.store.Setting(ctx, store.SettingRestored)
	r, on := store.ParseRestored(b)
	return r, on, err
}

// begun notes that the new generation is there, and forgets what may have been
// used up since the backup.
func (s *server) begun(ctx context.Context, r store.Restored) error {
	s.Log.Warn("this server was restored from a backup: it writes nothing new until its clients have given back what came after it",
		"hold", r.Hold)
	if r.Begun {
		return nil
	}
	r.Begun = true
	return errors.Join(s.store.ForgetPromises(ctx), s.store.PutSetting(ctx, store.SettingRestored, r.Encode()))
}

// neverRestored tells whether this server was never put back from a backup: each
// time that it was began a generation of its own.
func (s *server) neverRestored(ctx context.Context) (bool, error) {
	keys, err := s.store.StampKeys(ctx)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(keys, func(k store.StampKey) bool { return k.Generation != keys[0].Generation }), nil
}
