package cli

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/webapp"
	"codeberg.org/huis/huis/kt"
)

type verifyWebCommand struct {
	URL string `arg:"" help:"The web app, as a browser opens it; with a fingerprint after # if no authority vouches for the server."`
}

// webVerified is what it prints for a program.
type webVerified struct {
	URL       string   `json:"url"`
	Manifest  string   `json:"manifest"`
	Files     int      `json:"files"`
	Consist   bool     `json:"as_manifest"` // everything is served as the manifest says
	Same      bool     `json:"same"`        // as this program was built with
	Core      bool     `json:"core"`        // the core was compared, too
	Logged    bool     `json:"logged"`      // the server's log has the manifest
	Origin    string   `json:"origin"`
	Key       string   `json:"key"`
	Size      uint64   `json:"size"`
	Witnesses int      `json:"witnesses"` // who cosigned that size
	Differs   []string `json:"differs"`
}

// Run fetches the web app as any browser does, and compares.
func (k *verifyWebCommand) Run(e *env) error {
	page, ref, err := parseWebURL(k.URL)
	if err != nil {
		return &hinted{err, "name it as a browser opens it: https://HOST[:PORT]"}
	}
	own, err := webapp.Load()
	if err != nil {
		return err
	}
	served, err := webapp.Inspect(e.ctx, anonymous(page, ref.Pin))
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) && len(ref.Pin) == 0 {
		return &hinted{err, "a server with a certificate of its own needs its fingerprint too: https://HOST:PORT#FINGERPRINT, as huis serve prints it"}
	}
	if err != nil {
		return orHint(err, "is the address right, and does the server have a web app (huis serve without --no-web)?")
	}
	if ref.URL == "" { // loopback without TLS: the server says who it is with it
		if ref, err = client.ParseServerRef(served.Server); err != nil {
			return fmt.Errorf("the server does not say who it is: %w", err)
		}
	}
	v := webVerified{URL: k.URL, Manifest: served.Hash, Files: len(served.Files), Consist: len(served.Wrong) == 0, Core: own.Built}
	v.Differs = own.Differs(served)
	v.Same = len(v.Differs) == 0
	v.Differs = append(append([]string{}, served.Wrong...), v.Differs...)
	if err := v.log(e, ref, served); err != nil {
		return err
	}
	return k.report(e, v)
}

// report says what was found, and stops for safety unless all of it is well.
func (k *verifyWebCommand) report(e *env, v webVerified) error {
	if !v.Consist || !v.Same || !v.Logged {
		why := "it is not what this program was built with: " + strings.Join(v.Differs, "; ")
		switch {
		case !v.Consist:
			why = "it does not serve what it says: " + strings.Join(v.Differs, "; ")
		case !v.Logged:
			why = "its log does not have the manifest it serves"
		}
		fix := "do not open it in a browser; use huis on your computer, and ask the server's operator which version it is"
		return errors.Join(e.printIfJSON(v), &client.SafetyError{Reason: "the web app at " + printable(k.URL) + ": " + printable(why), Fix: fix})
	}
	seen := "No witness has signed that log here"
	if v.Witnesses > 0 {
		seen = fmt.Sprintf("%d witnesses signed it", v.Witnesses)
	}
	core := ""
	if !v.Core {
		core = "\nThe core was not compared: this program was built without it (make build)."
	}
	return e.print(v, "The same: %d files, manifest %s, as this program was built with.\nThe server's log has it (%s, %d epochs). %s.\nLog key %s%s",
		v.Files, v.Manifest, printable(v.Origin), v.Size, seen, printable(v.Key), core)
}

func (e *env) printIfJSON(object any) error {
	if !e.JSON {
		return nil
	}
	return e.print(object, "")
}

// parseWebURL reads https://HOST[:PORT][#fingerprint], or http on loopback, for
// which there is no server to name yet.
func parseWebURL(s string) (page string, ref client.ServerRef, err error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", ref, err
	}
	if u.Scheme == "http" && net.ParseIP(u.Hostname()).IsLoopback() {
		return "http://" + u.Host, ref, nil
	}
	ref, err = client.ParseServerRef(s)
	return ref.URL, ref, err
}

// anonymous fetches as a browser that is there for the first time: the server
// must not know that it is being checked.
func anonymous(page string, pin []byte) webapp.Fetch {
	c := dial.HTTP(pin)
	return func(ctx context.Context, path string) ([]byte, http.Header, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, page+path, nil)
		if err != nil {
			return nil, nil, err
		}
		req.Header.Set("Accept", "*/*")
		req.Header.Set("Accept-Encoding", "gzip")
		req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		answer, err := c.Do(req)
		if err != nil {
			return nil, nil, err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return nil, nil, fmt.Errorf("%s: the server answers %d", printable(path), answer.StatusCode)
		}
		body, err := unpacked(answer)
		return body, answer.Header, err
	}
}

func unpacked(answer *http.Response) (body []byte, err error) {
	in := io.Reader(answer.Body)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if in, err = gzip.NewReader(in); err != nil {
			return nil, err
		}
	}
	body, err = io.ReadAll(io.LimitReader(in, webapp.MaxFetched+1))
	if err == nil && len(body) > webapp.MaxFetched {
		err = errors.New("a file of the web app is too large")
	}
	return body, err
}

// log asks the server's log for the manifest, and verifies what it answers.
func (v *webVerified) log(e *env, ref client.ServerRef, served *webapp.Served) error {
	label, sum, err := kt.ParseRelease(kt.ProductWeb, served.Hash)
	if err != nil {
		return err
	}
	a, err := askLog(e, ref, label, sum, "do not open the web app; tell the server's operator")
	v.Logged, v.Origin, v.Key, v.Size, v.Witnesses = a.Holds, a.Origin, a.Key, a.Size, a.Witnesses
	return err
}
