package webapp

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"codeberg.org/huis/huis/internal/rpc"
)

// Local serves the interface on loopback with the core of this program behind
// it. Whoever has the token of the link is let in, once; what it is exchanged
// for lets in until the program ends. Requests under another name than the
// listener's, or from another page, are refused, so that no web page reaches it
// by pointing a name at this computer.
type Local struct {
	core   *rpc.Core
	site   *Site
	host   string // 127.0.0.1:port
	origin string // http://127.0.0.1:port
	ctx    context.Context

	mu       sync.Mutex // guards what follows
	token    string     // "" once it was used
	sessions []string
}

// maxSessions is how many browsers are let in at once; the oldest goes.
const maxSessions = 16

// NewLocal serves core under http://host, a loopback address with its port,
// until ctx ends.
func NewLocal(ctx context.Context, b *Bundle, core *rpc.Core, host, version string) (*Local, error) {
	site, err := NewSite(b, PageConfig{Core: "socket", Version: version})
	if err != nil {
		return nil, err
	}
	l := &Local{core: core, site: site, host: host, origin: "http://" + host, ctx: ctx}
	l.token = secret()
	return l, nil
}

// Link is what to open in a browser, once.
func (l *Local) Link() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.origin + "/#token=" + l.token
}

func secret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ServeHTTP implements http.Handler.
func (l *Local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host != l.host {
		secure(w.Header())
		http.Error(w, "this is not the address the program listens on", http.StatusMisdirectedRequest)
		return
	}
	switch r.URL.Path {
	case "/rpc/session":
		secure(w.Header())
		w.Header().Set("Cache-Control", "no-store")
		l.session(w, r)
	case "/rpc/socket":
		l.socket(w, r)
	default:
		l.site.ServeHTTP(w, r)
	}
}

// session exchanges the token, by POST, and tells by GET whether a session is
// still good.
func (l *Local) session(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet:
		if !l.knows(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")) {
			http.Error(w, "no such session", http.StatusUnauthorized)
		}
		return
	case r.Method != http.MethodPost:
		http.Error(w, "only GET and POST", http.StatusMethodNotAllowed)
		return
	case r.Header.Get("Origin") != l.origin:
		http.Error(w, "from another page", http.StatusForbidden)
		return
	}
	token, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	s, ok := l.exchange(string(token))
	if err != nil || !ok {
		http.Error(w, "this link was used already: huis app prints another", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, s)
}

// exchange gives a session for the token, which is worth nothing afterwards.
func (l *Local) exchange(token string) (session string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(l.token)) != 1 {
		return "", false
	}
	l.token = ""
	session = secret()
	l.sessions = append(l.sessions, session)
	if len(l.sessions) > maxSessions {
		l.sessions = l.sessions[1:]
	}
	return session, true
}

// Renew makes another link and returns it; the one before is worth nothing.
func (l *Local) Renew() string {
	l.mu.Lock()
	l.token = secret()
	l.mu.Unlock()
	return l.Link()
}

func (l *Local) knows(session string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.sessions, func(s string) bool {
		return subtle.ConstantTimeCompare([]byte(s), []byte(session)) == 1
	})
}

// socket carries an interface's frames. The session comes as the second
// subprotocol: a browser lets a page set no other header of a WebSocket.
func (l *Local) socket(w http.ResponseWriter, r *http.Request) {
	offered := strings.Split(r.Header.Get("Sec-WebSocket-Protocol"), ",")
	if len(offered) != 2 || strings.TrimSpace(offered[0]) != "huis" || !l.knows(strings.TrimSpace(offered[1])) {
		http.Error(w, "no such session", http.StatusUnauthorized)
		return
	}
	if r.Header.Get("Origin") != l.origin {
		http.Error(w, "from another page", http.StatusForbidden)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"huis"}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	_ = l.core.Serve(ctx, &socket{conn})
}

// maxFrame bounds a frame of an interface, in bytes: a piece of a file and more
// than any message.
const maxFrame = 4 << 20

// socket is a rpc.Conn.
type socket struct{ conn *websocket.Conn }

// writeTime is how long a frame may take to be taken by the browser.
const writeTime = 30 * time.Second

func (s *socket) Read(ctx context.Context) (rpc.Frame, error) {
	kind, b, err := s.conn.Read(ctx)
	if err != nil {
		return rpc.Frame{}, err
	}
	if kind != websocket.MessageBinary {
		return rpc.Frame{}, errors.New("a frame is binary")
	}
	return rpc.ParseFrame(b)
}

func (s *socket) Write(ctx context.Context, f rpc.Frame) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageBinary, f.Encode())
}
