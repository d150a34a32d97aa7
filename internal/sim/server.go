package sim

import (
	"context"
	"errors"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

// Server is the real server on fake time.
type Server struct {
	Clock *Clock
	Down  bool

	sched *Sched
}

// NewServer starts a server on an empty store.
func NewServer(s *Sched) (*Server, error) {
	return &Server{Clock: &Clock{sched: s}, sched: s}, nil
}

// Exec runs one request, as if it had come over a connection.
func (s *Server) Exec(ctx context.Context, m proto.Method, body []byte) ([]byte, error) {
	if s.Down {
		return nil, client.ErrUnreachable
	}
	return nil, errors.New("sim: no server in this build")
}

// FirstInvitation is the one the very first start prints.
func (s *Server) FirstInvitation() client.Invitation { return client.Invitation{} }

// Close stops the server for good.
func (s *Server) Close() error { return nil }
