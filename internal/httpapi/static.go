package httpapi

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
)

// logKey tells witnesses under which key the log verifies.
func (s *HTTP) logKey(w http.ResponseWriter, r *http.Request) {
	if !s.admitted(w, r) {
		return
	}
	key, _ := s.api.Directory.LogKeys()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, key.LogText())
}

// logPath is every file there is: the checkpoint, tiles and entry bundles
// (C2SP tlog-tiles).
var logPath = regexp.MustCompile(`^(checkpoint|tile/(\d|\d\d|entries)/(x\d{3}/)*\d{3}(\.p/\d{1,3})?)$`)

// logFile serves the static files of the log.
func (s *HTTP) logFile(w http.ResponseWriter, r *http.Request) {
	path := r.PathValue("path")
	dir := s.api.Directory.LogDir
	if !s.admitted(w, r) {
		return
	}
	if dir == "" || !logPath.MatchString(path) {
		http.NotFound(w, r)
		return
	}
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if path == "checkpoint" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "public, max-age=604800, immutable")
	}
	_, _ = w.Write(b)
}

// admitted takes a request from its address's limit, or answers that it has to
// wait.
func (s *HTTP) admitted(w http.ResponseWriter, r *http.Request) bool {
	if err := s.api.admit(address(r), nil); err != nil {
		refuse(w, err)
		return false
	}
	return true
}

// witness passes a request on to the witness inside this server.
func (s *HTTP) witness(w http.ResponseWriter, r *http.Request) {
	if s.admitted(w, r) {
		http.StripPrefix("/witness", s.api.Witness).ServeHTTP(w, r)
	}
}
