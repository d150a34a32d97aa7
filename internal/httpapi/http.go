package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// What a connection may cost while it does nothing useful.
const (
	headerTime  = 30 * time.Second // for the TLS handshake, and for a request's header
	idleTime    = 90 * time.Second
	bodyTime    = 30 * time.Second // to read or write a body, and one second more for each
	slowestRate = 16 << 10         // … of so many bytes
	maxHeader   = 8 << 10
	windowBytes = 256 << 10 // what may be on its way without having been read (HTTP/2)
)

// HTTP serves the requests of a Handler as POST /v1/<method>, push connections
// as /v1/push, and a word to those who open an invitation in a browser.
type HTTP struct {
	api    *Handler
	mux    *http.ServeMux
	bodies *budget
	// patience is bodyTime; tests have less.
	patience time.Duration
	// ending ends the push connections, which http.Server.Shutdown leaves alone.
	ending context.Context
	end    context.CancelFunc
}

// NewHTTP serves h.
func NewHTTP(h *Handler) *HTTP {
	s := &HTTP{api: h, mux: http.NewServeMux(), bodies: newBudget(), patience: bodyTime}
	s.ending, s.end = context.WithCancel(context.Background())
	s.mux.HandleFunc("POST /v1/{method}", s.call)
	s.mux.HandleFunc("GET /v1/push", s.push)
	s.mux.HandleFunc("GET /log/key", s.logKey)
	s.mux.HandleFunc("GET /log/{path...}", s.logFile)
	if h.Witness != nil {
		s.mux.HandleFunc("GET /witness/", s.witness)
		s.mux.HandleFunc("POST /witness/", s.witness)
	}
	if h.Web != nil {
		s.mux.HandleFunc("GET /{path...}", s.web)
		return s
	}
	s.mux.HandleFunc("GET /join", word("This is an invitation to a huis server. Open it with:\n\n    huis join 'THIS-WHOLE-ADDRESS' --handle YOUR-NAME\n\nThe part after # is the secret; your browser did not send it here.\n"))
	s.mux.HandleFunc("GET /{$}", word("This is a huis server. Ask its operator for an invitation.\n"))
	return s
}

// maxPage is the size of the largest file of the web app, in bytes.
const maxPage = 4 << 20

// web shows the web app to a browser.
func (s *HTTP) web(w http.ResponseWriter, r *http.Request) {
	if !s.admitted(w, r) {
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.allowance(maxPage)))
	s.api.Web.ServeHTTP(w, r)
}

// ServeHTTP implements http.Handler.
func (s *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	// net/http waits for the rest of a body that nobody read: not for long.
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.patience))
	s.mux.ServeHTTP(w, r)
}

// Server returns an http.Server for s with every time and size bounded. Of what
// it has to log only bugs are: the rest names addresses.
func (s *HTTP) Server() *http.Server {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(bugs{s.api.Log}, "", 0),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 32, MaxReceiveBufferPerConnection: windowBytes, MaxReceiveBufferPerStream: windowBytes,
		},
	}
	server.RegisterOnShutdown(s.end)
	return server
}

// bugs logs that a request panicked and where, without the address and the
// message that net/http puts in the first line.
type bugs struct{ log *slog.Logger }

func (b bugs) Write(line []byte) (int, error) {
	if bytes.HasPrefix(line, []byte("http: panic serving")) {
		_, stack, _ := bytes.Cut(line, []byte{'\n'})
		b.log.Error("a request ended in a bug of this program", "stack", string(stack))
	}
	return len(line), nil
}

func word(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, text)
	}
}

func (s *HTTP) call(w http.ResponseWriter, r *http.Request) {
	remote := address(r)
	method := proto.Method(r.PathValue("method"))
	body, release, err := s.read(w, r, remote, s.api.MaxBody(method))
	defer release()
	var answer []byte
	if err == nil {
		answer, err = s.answer(r.Context(), remote, method, body)
	}
	size := max(len(answer), 1<<10)
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.allowance(size)))
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", proto.MediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.Write(answer)
}

// answer calls the handler. A request is finished even if its client went away
// or the server is to stop; only those who wait for something are let go.
func (s *HTTP) answer(ctx context.Context, remote netip.Addr, method proto.Method, body []byte) ([]byte, error) {
	if !s.api.Waits(method) {
		return s.api.Call(context.WithoutCancel(ctx), remote, method, body)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	return s.api.Call(ctx, remote, method, body)
}

// read returns the request's body of at most max bytes. The caller releases it
// when it has answered, whatever the error.
func (s *HTTP) read(w http.ResponseWriter, r *http.Request, remote netip.Addr, max int) (body []byte, release func(), err error) {
	held := s.bodies.hold(remote)
	switch {
	case r.Header.Get("Content-Type") != proto.MediaType:
		return nil, held.release, proto.Refuse(proto.Malformed)
	case r.ContentLength > int64(max):
		return nil, held.release, proto.Refuse(proto.TooLarge)
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(s.allowance(max)))
	if body, err = held.readAll(r.Body, max); err == nil {
		control.SetReadDeadline(time.Time{})
	}
	return body, held.release, err
}

// allowance is the time a body of size bytes may take.
func (s *HTTP) allowance(size int) time.Duration {
	return s.patience + time.Duration(size/slowestRate)*time.Second
}

// address is where the request comes from.
func address(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(host)
	return addr.Unmap().WithZone("")
}

// refuse answers with the refusal that err is, or that stands for it.
func refuse(w http.ResponseWriter, err error) {
	refusal := Refusal(err)
	b, err := proto.Encode(refusal)
	if err != nil {
		b = nil
	}
	h := w.Header()
	h.Set("Content-Type", proto.MediaTypeError)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	if refusal.Retriable() {
		h.Set("Retry-After", strconv.Itoa(int(refusal.Wait/time.Second)+1))
	}
	w.WriteHeader(status(refusal.Code))
	w.Write(b)
}

// Refusal is the refusal err stands for: itself if it is one, Unavailable for
// what only the operator may know more about.
func Refusal(err error) *proto.Error {
	var refusal *proto.Error
	var code proto.Code
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.As(err, &code):
		return proto.Refuse(code)
	}
	return proto.Refuse(proto.Unavailable)
}

func status(c proto.Code) int {
	switch c {
	case proto.Malformed, proto.BadName, proto.BadChain, proto.BadDelta, proto.BadHash:
		return http.StatusBadRequest
	case proto.BadSession, proto.BadToken:
		return http.StatusUnauthorized
	case proto.Forbidden, proto.NotMember, proto.ClosedKey:
		return http.StatusForbidden
	case proto.UnknownAccount, proto.NoAccount, proto.NoBlob, proto.NoneLeft, proto.InviteUnknown:
		return http.StatusNotFound
	case proto.Gone, proto.InviteExpired, proto.InviteUsed:
		return http.StatusGone
	case proto.TooLarge:
		return http.StatusRequestEntityTooLarge
	case proto.Throttled:
		return http.StatusTooManyRequests
	case proto.Busy, proto.Unavailable:
		return http.StatusServiceUnavailable
	case proto.Full, proto.Quota, proto.InboxFull:
		return http.StatusInsufficientStorage
	}
	return http.StatusConflict
}
