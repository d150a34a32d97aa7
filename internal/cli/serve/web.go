package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/webapp"
	"codeberg.org/huis/huis/kt"
)

// A browser does not know a certificate by its fingerprint, as other clients do:
// one that no authority vouches for makes it warn. What a browser takes for
// secure without certificate is loopback. So a server that stands on loopback
// with a certificate of its own also answers there without TLS, for the browsers
// of this computer alone.

// web is what browsers are shown.
type web struct {
	listener net.Listener // loopback without TLS; nil if there is none
	origin   string       // http://127.0.0.1:port
	server   *http.Server
}

// webPortFile keeps the port: what a browser stored belongs to it.
const webPortFile = "web.json"

// openWeb makes the web app ready, and enters its manifest into the log.
func (s *server) openWeb(ctx context.Context) (http.Handler, error) {
	if s.NoWeb {
		return nil, nil
	}
	bundle, err := webapp.Load()
	if err != nil {
		return nil, err
	}
	label, sum, err := kt.ParseRelease(kt.ProductWeb, bundle.Hash)
	if err != nil {
		return nil, err
	}
	if err := s.directory.AddToLog(ctx, kt.KindRelease, label, sum[:]); err != nil {
		return nil, err
	}
	if s.plainFits() {
		if err := s.listenPlain(); err != nil {
			return nil, err
		}
	}
	return webapp.NewSite(bundle, webapp.PageConfig{Core: "worker", Server: s.ref().String(), Version: s.Version})
}

// plainFits tells whether browsers of this computer alone reach the server, and
// would warn of its certificate.
func (s *server) plainFits() bool {
	addr, ok := s.listener.Addr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback() && len(s.identity.pin) > 0
}

// listenPlain opens the port without TLS: the one had last, else a free one.
func (s *server) listenPlain() (err error) {
	path := filepath.Join(s.Data, webPortFile)
	var last struct{ Port int }
	if b, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(b, &last) // damaged: a free port does as well
	}
	loopback := net.IPv4(127, 0, 0, 1)
	if last.Port > 0 && last.Port < 1<<16 {
		s.web.listener, err = net.ListenTCP("tcp", &net.TCPAddr{IP: loopback, Port: last.Port})
	}
	if s.web.listener == nil || err != nil {
		if s.web.listener, err = net.ListenTCP("tcp", &net.TCPAddr{IP: loopback}); err != nil {
			return fmt.Errorf("no port for the web app: %w", cause(err))
		}
		last.Port = s.web.listener.Addr().(*net.TCPAddr).Port
		b, err := json.Marshal(last)
		if err != nil {
			return err
		}
		if err := writeFile(path, b); err != nil {
			return err
		}
	}
	s.web.origin = "http://" + s.web.listener.Addr().String()
	return nil
}

// prepare makes ready to answer without TLS what server answers with it, to
// requests that call it by its address: no name that somebody points at this
// computer leads here.
func (w *web) prepare(server *http.Server) {
	if w.listener == nil {
		return
	}
	host := strings.TrimPrefix(w.origin, "http://")
	w.server = &http.Server{
		ReadHeaderTimeout: server.ReadHeaderTimeout, IdleTimeout: server.IdleTimeout, MaxHeaderBytes: server.MaxHeaderBytes,
		ErrorLog: server.ErrorLog,
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Host != host {
				http.Error(rw, "this is not the address the server listens on", http.StatusMisdirectedRequest)
				return
			}
			server.Handler.ServeHTTP(rw, r)
		}),
	}
}

func (w *web) serve() error { return w.server.Serve(httpapi.Gate(w.listener)) }

func (w *web) stop(ctx context.Context) error {
	if w.server == nil {
		return nil
	}
	return shutdown(ctx, w.server)
}

// link is where a browser of this computer opens the web app, with the
// invitation if there is one.
func (w *web) link(invite string) string {
	if w.origin == "" {
		return ""
	}
	u, err := url.Parse(invite)
	if err != nil || invite == "" {
		return w.origin + "/"
	}
	return w.origin + u.Path + "#" + u.Fragment
}
