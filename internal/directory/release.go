package directory

import (
	"context"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// ReleasePut enters a release of the program into the log, for an admin. The same
// again changes nothing; forbidden.
func (s *Service) ReleasePut(ctx context.Context, r *proto.ReleasePutRequest) (*proto.Empty, error) {
	caller, err := s.Sessions.Device(r.Session)
	if err != nil {
		return nil, err
	}
	if !caller.Admin {
		return nil, proto.Refuse(proto.Forbidden)
	}
	return &proto.Empty{}, s.AddToLog(ctx, kt.KindRelease, kt.ReleaseLabel(kt.ProductProgram, kt.Hash(r.Sum)), r.Sum[:])
}
