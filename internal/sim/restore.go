package sim

import (
	"context"
	"errors"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Hold is how long a restored server of a simulation waits for devices.
const Hold = 24 * time.Hour

// Restore is the loss of the server's disk and its restoring from st, an older
// copy of its store. Its files are lost as well.
func (s *Server) Restore(st store.Store) error {
	s.Stop()
	ctx := context.Background()
	if err := errors.Join(s.store.Close(), st.ForgetPromises(ctx), st.PutSetting(ctx, store.SettingRestored, store.Restored{Hold: Hold}.Encode())); err != nil {
		return err
	}
	s.store = st
	s.sched.Trace.Add("server", "is restored")
	return s.Start()
}

// waits is what the next process has to do about a store that was put back.
func (s *Server) waits() (*directory.Restoration, error) {
	b, err := s.store.Setting(context.Background(), store.SettingRestored)
	r, on := store.ParseRestored(b)
	if err != nil || !on {
		return nil, err
	}
	return &directory.Restoration{
		Hold:  r.Hold,
		Ended: func(context.Context) (bool, error) { return false, nil },
		Release: func(ctx context.Context) error {
			if err := s.logStampKeys(); err != nil {
				return err
			}
			s.sched.Trace.Add("server", "has what it lost")
			return s.store.PutSetting(ctx, store.SettingRestored, nil)
		},
	}, nil
}

// Waiting tells whether the server still waits for what it lost.
func (s *Server) Waiting() bool { return s.directory.Restoring(context.Background()) }

// logStampKeys puts the server's stamp keys and generations into its log.
func (s *Server) logStampKeys() error {
	ctx := context.Background()
	info, err := s.service.Info(ctx, nil)
	if err != nil {
		return err
	}
	for _, k := range info.StampKeys {
		err := s.directory.AddToLog(ctx, kt.KindStampKey, k.KID[:], k.Public[:])
		if err := errors.Join(err, s.directory.AddToLog(ctx, kt.KindGeneration, k.Generation[:], k.KID[:])); err != nil {
			return err
		}
	}
	return nil
}

func stampKey(keys []proto.StampKey, kid proto.KID) (k proto.StampKey) {
	for _, k := range keys {
		if k.KID == kid {
			return k
		}
	}
	return k
}
