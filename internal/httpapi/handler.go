// Package httpapi is the server's interface: package proto over HTTP and
// WebSocket, with its limits.
//
// Start with NewHandler: its Call answers one request, however it came, and its
// Listen passes hints on; simulations drive these. NewHTTP puts HTTP before it,
// and HTTP.Server bounds every time and size. The native client end is package
// httpapi/dial. Requests are not logged, and what limits them is in memory only.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/proto"
)

// Clock is the server's time.
type Clock interface{ Now() time.Time }

// Config is what a Handler stands on.
type Config struct {
	Directory *directory.Service
	Delivery  *delivery.Service
	Sessions  *session.Table // those of both
	Clock     Clock
	Log       *slog.Logger
	Web       http.Handler // what browsers are shown beside the interface; may be nil
	Witness   http.Handler // serves /witness/…, without that prefix; nil: nothing does
}

// Handler answers requests. Safe for concurrent use.
type Handler struct {
	Config
	routes map[proto.Method]route
	limits *limits
	mail   *mailroom
}

// route is how one method is served.
type route struct {
	max       int        // bytes of its body
	costs     *byAddress // what it costs beside its share of every request's limit, or nil
	restoring bool       // answered while a restored server takes back what it lost
	waits     bool       // it may be asked to wait, and then ends early at a stop
	serve     func(ctx context.Context, body []byte) ([]byte, error)
}

// NewHandler returns a handler for every method of package proto.
func NewHandler(c Config) *Handler {
	h := &Handler{Config: c, limits: newLimits(), mail: newMailroom(c.Clock.Now)}
	h.routes = h.allRoutes()
	return h
}

// MaxBody is the size a request of method m may have, in bytes; 0 for a method
// that does not exist.
func (h *Handler) MaxBody(m proto.Method) int { return h.routes[m].max }

// Waits tells whether a request of method m may be asked to wait for something.
func (h *Handler) Waits(m proto.Method) bool { return h.routes[m].waits }

// Call answers one request of a client at remote: body is the encoded request,
// the result the encoded answer. The error is a *proto.Error or stands for one
// (Refusal).
func (h *Handler) Call(ctx context.Context, remote netip.Addr, m proto.Method, body []byte) ([]byte, error) {
	r, ok := h.routes[m]
	switch {
	case !ok:
		return nil, proto.Refuse(proto.Malformed)
	case len(body) > r.max:
		return nil, proto.Refuse(proto.TooLarge)
	}
	if err := h.admit(remote, r.costs); err != nil {
		return nil, err
	}
	if !r.restoring && h.Directory != nil && h.Directory.Restoring(ctx) {
		return nil, proto.Refuse(proto.Restoring)
	}
	answer, err := r.serve(ctx, body)
	if err != nil {
		return nil, h.refusal(ctx, m, err)
	}
	return answer, nil
}

// refusal is what the client is told of err; what it is not told is logged,
// without a word of who asked.
func (h *Handler) refusal(ctx context.Context, m proto.Method, err error) *proto.Error {
	var refusal *proto.Error
	var code proto.Code
	if !errors.As(err, &refusal) && !errors.As(err, &code) && ctx.Err() == nil {
		h.Log.Error("a request failed for a reason that is the server's", "method", string(m), "err", err)
	}
	return Refusal(err)
}

// request is a message that T's pointer codes.
type request[T any] interface {
	*T
	proto.Message
}

// on makes a route of a method's function, for bodies of at most max bytes.
func on[Req, Resp any, PReq request[Req], PResp request[Resp]](max int, f func(context.Context, PReq) (PResp, error)) route {
	return route{max: max, serve: func(ctx context.Context, body []byte) ([]byte, error) {
		req := PReq(new(Req))
		if err := proto.Decode(body, req); err != nil {
			return nil, proto.Refuse(proto.Malformed)
		}
		resp, err := f(ctx, req)
		if err != nil {
			return nil, err
		}
		return proto.Encode(resp)
	}}
}

// costing is r with a limit of its own on addresses.
func (r route) costing(limit *byAddress) route {
	r.costs = limit
	return r
}

// whileRestoring is r as one that a restored server answers before everything
// that came after its backup was given back.
func (r route) whileRestoring() route {
	r.restoring = true
	return r
}

// waiting is r as one that may wait.
func (r route) waiting() route {
	r.waits = true
	return r
}

// Listen passes hints for the sessions of sub on to hint, one at a time, until
// ctx ends or hint fails. The sessions must be of one lane.
func (h *Handler) Listen(ctx context.Context, sub proto.Subscribe, hint func(proto.Hint) error) error {
	if !h.oneLane(sub) {
		return proto.Refuse(proto.Forbidden)
	}
	u := h.Delivery.Subscribe()
	defer u.Close()
	if err := u.Set(ctx, &sub); err != nil {
		return h.refusal(ctx, "push", err)
	}
	for {
		next, err := u.Next(ctx)
		if err != nil {
			return err
		}
		// A session may have ended, by a revocation for one, since it was named.
		next.Ended = next.Ended || !h.isDevice(next.Session) && !h.isMember(next.Session)
		if err := hint(next); err != nil {
			return err
		}
	}
}

// oneLane tells whether sub names not both an account's and a member key's
// session: that would join them on one connection.
func (h *Handler) oneLane(sub proto.Subscribe) bool {
	return !slices.ContainsFunc(sub.Sessions, h.isDevice) || !slices.ContainsFunc(sub.Sessions, h.isMember)
}

func (h *Handler) isDevice(id proto.SessionID) bool {
	_, err := h.Sessions.Device(id)
	return err == nil
}

func (h *Handler) isMember(id proto.SessionID) bool {
	_, err := h.Sessions.Member(id)
	return err == nil
}
