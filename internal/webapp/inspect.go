package webapp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Fetch gets a path of a server's web app. Whoever implements it names no
// account and refuses more than MaxFetched bytes.
type Fetch func(ctx context.Context, path string) (body []byte, header http.Header, err error)

// MaxFetched bounds one file, in bytes, uncompressed; maxFiles how many of them
// a manifest names.
const (
	MaxFetched = 32 << 20
	maxFiles   = 200
)

// Served is what a server gave to somebody who asked as any browser does.
type Served struct {
	Hash   string            // SHA-256 of the manifest, lower-case hex
	Server string            // how the server names itself, as an invitation does
	Files  map[string]string // of the manifest: path to SHA-256
	Wrong  []string          // what was served otherwise than the manifest says
}

var errNoApp = errors.New("there is no web app at this address")

// Inspect fetches a whole web app: every file of the manifest, the page and the
// service worker as they are served at the root, and the policy they come with.
func Inspect(ctx context.Context, fetch Fetch) (*Served, error) {
	body, _, err := fetch(ctx, "/config.json")
	if err != nil {
		return nil, err
	}
	var c PageConfig
	if json.Unmarshal(body, &c) != nil || len(c.Hash) != hex.EncodedLen(sha256.Size) || c.Base != "/a/"+c.Hash+"/" {
		return nil, errNoApp
	}
	s := &Served{Hash: c.Hash, Server: c.Server}
	if body, _, err = fetch(ctx, c.Base+manifestFile); err != nil {
		return nil, err
	}
	if hexSum(body) != c.Hash {
		s.wrong("%s is not what its hash says", manifestFile)
	}
	var m Manifest
	if json.Unmarshal(body, &m) != nil || m.Files[indexFile] == "" || len(m.Files) > maxFiles {
		return nil, errNoApp
	}
	s.Files = m.Files
	return s, s.fetchAll(ctx, fetch, c.Base)
}

func (s *Served) wrong(format string, args ...any) {
	s.Wrong = append(s.Wrong, fmt.Sprintf(format, args...))
}

// fetchAll compares what is served with the manifest.
func (s *Served) fetchAll(ctx context.Context, fetch Fetch, base string) error {
	var index []byte
	for _, name := range sorted(s.Files) {
		body, _, err := fetch(ctx, base+name)
		if err != nil {
			return err
		}
		if hexSum(body) != s.Files[name] {
			s.wrong("%s is not what the manifest says", name)
		}
		if name == indexFile {
			index = body
		}
	}
	page := bytes.ReplaceAll(index, []byte(`="./`), []byte(`="`+base))
	for path, want := range map[string]string{"/": hexSum(page), "/join": hexSum(page), "/" + workerFile: s.Files[workerFile]} {
		if path == "/"+workerFile && want == "" {
			continue
		}
		body, header, err := fetch(ctx, path)
		if err != nil {
			return err
		}
		if hexSum(body) != want {
			s.wrong("%s is not the manifest's", path)
		}
		if !slices.Equal(header.Values("Content-Security-Policy"), []string{policy}) {
			s.wrong("%s comes with another content policy", path)
		}
	}
	slices.Sort(s.Wrong)
	return nil
}

// Differs says, for each file, how what is served differs from b; nothing if it
// is the same. Without a core in b the core is not compared.
func (b *Bundle) Differs(s *Served) []string {
	var m Manifest
	if err := json.Unmarshal(b.Manifest, &m); err != nil {
		return []string{err.Error()} // a bug: seal made it
	}
	var all []string
	for _, name := range sorted(s.Files) {
		switch own, ok := m.Files[name]; {
		case !ok && !b.Built && (name == coreFile || name == startFile):
		case !ok:
			all = append(all, name+" is only there")
		case own != s.Files[name]:
			all = append(all, name+" is another")
		}
	}
	for _, name := range sorted(m.Files) {
		if s.Files[name] == "" {
			all = append(all, name+" is missing there")
		}
	}
	return all
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func sorted(files map[string]string) []string {
	var names []string
	for name := range files {
		if !strings.Contains(name, "..") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
