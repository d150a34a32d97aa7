//go:build evil

package evil

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/webapp"
	"codeberg.org/huis/huis/kt"
)

// Promise: the program, and the web app, that one person is given are those that
// everybody is given. What a browser does by itself is played in one:
// web/e2e/bundle.mjs.
func init() {
	register(Attack{
		ID: "B-10/a", Name: "a program made for one person, signed with the stolen key of the releases, in no log", Expected: Prevented,
		Play: func(s *Stage) Facts {
			ann := s.Person("ann")
			return givenARelease(s, ann)
		},
		Without: []Edit{Off("internal/cli/release.go", "case !v.Logged:"), Off("internal/cli/release.go", "case !v.Witnessed:")},
	}, Attack{
		ID: "B-10/b", Name: "the same, and the server says that its log holds it", Expected: Prevented,
		Play: func(s *Stage) Facts {
			ann := s.Person("ann")
			s.Hand("begin", nil)
			f := givenARelease(s, ann)
			s.Told()
			return f
		},
		Hands: map[string]Hand{"begin": hand(claimReleases)},
		Without: []Edit{{
			File: "internal/client/releases.go",
			Old:  "l, err := proof.Verify(k.VRF, kt.KindRelease, label, e.Record.MapRoot, got.Values)",
			New:  "l, err := proof.Verify(k.VRF, kt.KindRelease, label, e.Record.MapRoot, got.Values)\n\t\tif $W {\n\t\t\tl, err = new(kt.MapLeaf), nil\n\t\t}",
		}},
	}, Attack{
		ID: "B-11", Name: "one person's web app with one byte changed, and somebody looks from outside", Expected: Prevented,
		Play: func(s *Stage) Facts {
			ann := s.Person("ann")
			at := s.Server(ann, "ann")
			s.Hand("begin", nil) // the server starts again, with the web app
			looked := ann.Try("verify-web", at)
			s.Told()
			return Facts{Effect: looked.Code == 0, Alerted: looked.Alert(), Detail: looked.Stderr}
		},
		Hands:   map[string]Hand{"begin": hand(changeTheScript)},
		Without: []Edit{Off("internal/webapp/inspect.go", "if hexSum(body) != s.Files[name] {")},
	})
}

// givenARelease gives somebody a program that is signed and that the server did
// not log: it has its effect if they are told that it was released.
func givenARelease(s *Stage, p *Person) Facts {
	dir, secret := filepath.Join(s.Dir, "release"), filepath.Join(s.Dir, "releases.key")
	self, err := os.Executable()
	s.Must(err)
	program, err := os.ReadFile(self)
	s.Must(err)
	s.Must(os.Mkdir(dir, 0o700))
	s.Must(os.WriteFile(filepath.Join(dir, "huis-v9"), program, 0o700))
	key := p.One("release", "key", "huis.example/1", secret)["key"].(string)
	p.Do("release", "make", dir, "--key", secret)
	looked := p.Try("verify-release", filepath.Join(dir, "huis-v9"), "--key", key)
	return Facts{Effect: looked.Code == 0, Alerted: looked.Alert(), Detail: looked.Stderr}
}

// claimReleases says of every release that the log holds it.
func claimReleases(_ context.Context, o *Operator, _ *struct{}) (any, error) {
	o.Lie(func(x *Exchange) error {
		q, ok := x.Request.(*proto.LogEntryRequest)
		r, answered := x.Answer.(*proto.LogEntryResponse)
		if !ok || !answered || kt.MapKind(q.Kind) != kt.KindRelease {
			return nil
		}
		_, text, _ := strings.Cut(string(q.Label), "/")
		sum, err := hex.DecodeString(text)
		if err != nil {
			return err
		}
		r.Values = [][]byte{sum}
		o.Told()
		return nil
	})
	return nil, nil
}

// changeTheScript changes a byte of the script at one door.
func changeTheScript(ctx context.Context, o *Operator, _ *struct{}) (any, error) {
	o.web = true
	if err := o.restart(ctx); err != nil {
		return nil, err
	}
	bundle, err := webapp.Load()
	if err != nil {
		return nil, err
	}
	site, err := webapp.NewSite(bundle, webapp.PageConfig{})
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.onStatic = func(door string, w http.ResponseWriter, r *http.Request) bool {
		if door != "ann" || !strings.HasSuffix(r.URL.Path, "/app.js") {
			return false
		}
		r.Header.Del("Accept-Encoding")
		honest := httptest.NewRecorder()
		site.ServeHTTP(honest, r)
		body := honest.Body.Bytes()
		body[len(body)/2] ^= 1
		for name, values := range honest.Header() {
			w.Header()[name] = values
		}
		_, err := w.Write(body)
		o.Told()
		return err == nil
	}
	return nil, nil
}
