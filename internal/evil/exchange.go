//go:build evil

package evil

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// Exchange is one request on its way through the operator's hands.
type Exchange struct {
	Door    string // whose door it came in by
	Method  proto.Method
	Request proto.Message
	// Answer is what the server said. A lie may alter it, or replace it by
	// Refusal. Both nil: it was not asked yet, and a lie that sets one of them
	// answers in its place.
	Answer  proto.Message
	Refusal *proto.Error
	// Redirect sends the client elsewhere instead.
	Redirect string

	ctx context.Context
}

// front is what clients reach: TLS with the server's own key, and behind it the
// operator's hands.
type front struct {
	o      *Operator
	calls  map[proto.Method]proto.Call
	record string // folder of what came in, one file for each door

	mu    sync.Mutex // guards doors and files
	doors map[string]net.Listener
	files map[string]*os.File
}

func newFront(o *Operator, record string) (*front, error) {
	f := &front{o: o, calls: make(map[proto.Method]proto.Call), record: record,
		doors: make(map[string]net.Listener), files: make(map[string]*os.File)}
	for _, c := range proto.Calls() {
		f.calls[c.Method] = c
	}
	return f, os.MkdirAll(record, 0o700)
}

// open listens at a further door and returns its address. Nothing is answered
// before serve.
func (f *front) open(door string) (net.Addr, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(f.record, door), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.doors[door], f.files[door] = l, file
	return l.Addr(), nil
}

// serve answers at a door with the server's own certificate.
func (f *front) serve(door string, cert tls.Certificate) {
	f.mu.Lock()
	l := f.doors[door]
	f.mu.Unlock()
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if other, ok := f.o.Kept("certificate").(*tls.Certificate); ok {
				return other, nil
			}
			return &cert, nil
		},
	}
	f.o.downgrade(config)
	if made, ok := f.o.Kept("tap").(func(*tape)); ok {
		l = tap{l, made}
	}
	server := &http.Server{Handler: &behind{f, door}, ErrorLog: quiet()}
	go server.Serve(tls.NewListener(l, config))
}

// note records what came in by a door, in clear.
func (f *front) note(door string, r *http.Request, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s\n", r.Method, r.URL)
	r.Header.Write(&head)
	file := f.files[door]
	io.WriteString(file, head.String())
	file.Write(body)
	io.WriteString(file, "\n")
}

// behind answers what comes in by one door.
type behind struct {
	f    *front
	door string
}

func (b *behind) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		return
	}
	if f, ok := b.f.o.Kept("curve").(func(tls.CurveID)); ok && r.TLS != nil {
		f(r.TLS.CurveID)
	}
	b.f.note(b.door, r, body)
	method, isCall := strings.CutPrefix(r.URL.Path, "/v1/")
	call, known := b.f.calls[proto.Method(method)]
	if r.Method == http.MethodPost && isCall && known {
		b.call(w, r, call, body)
		return
	}
	if b.f.o.static(b.door, w, r) {
		return
	}
	h := b.f.o.house(b.door)
	proxy := httputil.ReverseProxy{Transport: h.http, ErrorLog: quiet(), Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "https", Host: h.addr})
	}}
	r.Body = io.NopCloser(bytes.NewReader(body))
	proxy.ServeHTTP(w, r)
}

// call takes one request through the operator's hands.
func (b *behind) call(w http.ResponseWriter, r *http.Request, call proto.Call, body []byte) {
	x := &Exchange{Door: b.door, Method: call.Method, Request: call.Request(), ctx: r.Context()}
	if err := proto.Decode(body, x.Request); err != nil {
		x.Refusal = proto.Refuse(proto.Malformed)
	}
	err := b.f.o.pass(x, call.Response)
	if err != nil {
		b.f.o.fail(fmt.Errorf("%s by %s: %w", call.Method, b.door, err))
		x.Refusal = proto.Refuse(proto.Unavailable)
	}
	if x.Redirect != "" {
		http.Redirect(w, r, x.Redirect, http.StatusTemporaryRedirect)
		return
	}
	answer(w, x)
}

func answer(w http.ResponseWriter, x *Exchange) {
	kind, status, m := proto.MediaType, http.StatusOK, x.Answer
	if x.Refusal != nil {
		kind, status, m = proto.MediaTypeError, http.StatusConflict, x.Refusal
	}
	b, err := proto.Encode(m)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(b)
}

// ask sends a request to a house and returns its answer.
func (h *house) ask(ctx context.Context, m proto.Method, req proto.Message, resp proto.Message) error {
	body, err := proto.Encode(req)
	if err != nil {
		return err
	}
	return h.send(ctx, m, body, resp)
}

// send is ask for a request that is encoded already.
func (h *house) send(ctx context.Context, m proto.Method, body []byte, resp proto.Message) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+h.addr+"/v1/"+string(m), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", proto.MediaType)
	got, err := h.http.RoundTrip(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	if got.Header.Get("Content-Type") == proto.MediaTypeError {
		refusal := new(proto.Error)
		if err := proto.Decode(b, refusal); err != nil {
			return err
		}
		return refusal
	}
	return proto.Decode(b, resp)
}

// Ask makes a request of the operator's own, behind the door of a person. It
// waits as long as its own server wants it to.
func (o *Operator) Ask(ctx context.Context, door string, m proto.Method, req, resp proto.Message) error {
	for {
		err := o.house(door).ask(ctx, m, req, resp)
		wait := throttled(err)
		if wait == 0 {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pass asks the server and lets the lies see the exchange before and after.
func (o *Operator) pass(x *Exchange, empty func() proto.Message) error {
	lies := o.lies()
	for _, f := range lies {
		if x.Answer == nil && x.Refusal == nil {
			if err := f(x); err != nil {
				return err
			}
		}
	}
	if x.Answer != nil || x.Refusal != nil || x.Redirect != "" {
		return nil
	}
	resp := empty()
	err := o.house(x.Door).ask(x.ctx, x.Method, x.Request, resp)
	switch {
	case errors.As(err, &x.Refusal):
	case err != nil:
		return err
	default:
		x.Answer = resp
		o.learn(x)
	}
	for _, f := range lies {
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}
