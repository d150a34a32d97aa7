package webapp

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// policy is what a browser is told the pages may do: load from here alone,
// compile the core, and make no script of a text.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; " +
	"media-src 'self' blob:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; font-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html huis-worker huis-sw"

// PageConfig is what the interface asks of the server it came from,
// /config.json.
type PageConfig struct {
	Core    string `json:"core"`   // "socket" or "worker"
	Server  string `json:"server"` // worker: as an invitation names it
	Version string `json:"version"`
	Built   bool   `json:"built"`    // worker: there is a core to run
	Base    string `json:"base"`     // where the files are: /a/<hash>/
	Hash    string `json:"manifest"` // SHA-256 of the manifest
}

// Site serves a bundle: the files under the manifest's hash, for ever the same,
// and the page itself under every other path a person may open.
type Site struct {
	bundle *Bundle
	config []byte
	index  *file
}

// NewSite serves b to interfaces that are told c. Built, Base and Hash are
// filled in.
func NewSite(b *Bundle, c PageConfig) (*Site, error) {
	c.Built, c.Hash, c.Base = b.Built, b.Hash, "/a/"+b.Hash+"/"
	config, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	// The page names its files beside itself; it is served at the root.
	page := bytes.ReplaceAll(b.files[indexFile].raw, []byte(`="./`), []byte(`="`+c.Base))
	return &Site{bundle: b, config: config, index: &file{name: indexFile, raw: page}}, nil
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	switch p := r.URL.Path; {
	case strings.HasPrefix(p, "/a/"):
		s.serveNamed(w, r, strings.TrimPrefix(p, "/a/"))
	case p == "/config.json":
		s.give(w, r, &file{name: "config.json", raw: s.config})
	case p == "/"+workerFile && s.bundle.files[workerFile] != nil:
		s.give(w, r, s.bundle.files[workerFile])
	case p == "/"+manifestFile:
		s.give(w, r, s.bundle.files[manifestFile])
	case p == "/robots.txt":
		s.give(w, r, &file{name: "robots.txt", raw: []byte("User-agent: *\nDisallow: /\n")})
	case strings.Contains(p[strings.LastIndexByte(p, '/'):], "."):
		http.NotFound(w, r) // a file, and none of ours
	default:
		s.give(w, r, s.index)
	}
}

// serveNamed serves HASH/FILE. Another hash than the present one is not found:
// the page that asks for it is of another version and loads itself again.
func (s *Site) serveNamed(w http.ResponseWriter, r *http.Request, rest string) {
	hash, name, _ := strings.Cut(rest, "/")
	f := s.bundle.files[name]
	if hash != s.bundle.Hash || f == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	s.give(w, r, f)
}

// give sends a file in the smallest form the browser takes.
func (s *Site) give(w http.ResponseWriter, r *http.Request, f *file) {
	h := w.Header()
	h.Set("Content-Type", mediaType(f.name))
	h.Set("Vary", "Accept-Encoding")
	br, zipped := f.compressed()
	body := f.raw
	switch accepts := r.Header.Get("Accept-Encoding"); {
	case br != nil && accepted(accepts, "br"):
		body = br
		h.Set("Content-Encoding", "br")
	case zipped != nil && accepted(accepts, "gzip"):
		body = zipped
		h.Set("Content-Encoding", "gzip")
	}
	if body != nil {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if r.Method == http.MethodHead {
		return
	}
	if body == nil {
		_, _ = io.Copy(w, f.reader())
		return
	}
	_, _ = w.Write(body)
}

// accepted tells whether a list of encodings has one that is not refused.
func accepted(list, name string) bool {
	for _, part := range strings.Split(list, ",") {
		coding, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(coding, name) {
			return strings.ReplaceAll(q, " ", "") != "q=0"
		}
	}
	return false
}

// secure sets what every answer to a browser says.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(self), microphone=(self), geolocation=(), payment=(), usb=(), interest-cohort=()")
	h.Del("Access-Control-Allow-Origin")
}
