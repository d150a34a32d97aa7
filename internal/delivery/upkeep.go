package delivery

import (
	"context"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
)

// Upkeep does all that is due now: what its retention no longer covers is
// deleted, files without a record too, expired sessions are forgotten and the
// write-ahead log is emptied. Call it at the start and every hour.
func (s *Service) Upkeep(ctx context.Context) error {
	s.Forget()
	if err := s.Store.Clean(ctx, s.Clock.Now(), store.Retention{Entries: store.Day(s.RetentionDays)}); err != nil {
		return err
	}
	if err := s.sweep(ctx); err != nil {
		return err
	}
	return s.Store.Truncate(ctx)
}

// Forget drops from memory what has expired.
func (s *Service) Forget() {
	s.Sessions.Purge()
	s.throttles.purge(s.Clock.Now())
	s.windows.purge(s.Clock.Now())
}

// sweep removes files whose record is gone. A record is made before its first
// file, so one not there before the sweep began is asked for again.
func (s *Service) sweep(ctx context.Context) error {
	known, err := s.Store.BlobIDs(ctx)
	if err != nil {
		return err
	}
	return s.Files.Sweep(func(id proto.BlobID) bool {
		if known[id] {
			return true
		}
		_, err := s.Store.Blob(ctx, id)
		e, refused := err.(*proto.Error)
		return !(refused && e.Code == proto.NoBlob)
	})
}

// Run does the upkeep until the context ends: Upkeep at the start and hourly,
// Forget every minute. Failures are logged and tried again.
func (s *Service) Run(ctx context.Context) {
	hour, minute := time.NewTicker(time.Hour), time.NewTicker(time.Minute)
	defer hour.Stop()
	defer minute.Stop()
	for {
		if err := s.Upkeep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("clean-up of the data folder failed; it is tried again in an hour", "error", err)
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return
			case <-minute.C:
				s.Forget()
			case <-hour.C:
				again = true
			}
		}
	}
}
