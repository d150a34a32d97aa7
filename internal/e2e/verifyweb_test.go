package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// between puts somebody between a browser and the server, who gives one user
// what change makes of an answer.
func between(t *testing.T, server, hash string, change func(path string, body []byte) []byte) string {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Del("Accept-Encoding")
			if rest, ok := strings.CutPrefix(r.Out.URL.Path, "/a/"); ok { // what names another hash, too
				_, name, _ := strings.Cut(rest, "/")
				r.Out.URL.Path = "/a/" + hash + "/" + name
			}
		},
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			body = change(r.Request.URL.Path, body)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Del("Content-Length")
			return nil
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL
}

// TestVerifyWebFindsATargetedBundle gives one person other files than everybody
// else: one byte of them, or a whole interface with a manifest of its own.
func TestVerifyWebFindsATargetedBundle(t *testing.T) {
	s := house(t)
	web := strings.SplitN(s.Web, "/join", 2)[0]
	web = strings.TrimSuffix(web, "/")
	d := s.NewDevice(t.TempDir(), "nobody")
	seen := must(t, d, "verify-web", web)[0]
	if seen["same"] != true || seen["logged"] != true || seen["as_manifest"] != true {
		t.Fatalf("the server as it is: %v", seen)
	}
	// By the address of TLS it is the same.
	if o := must(t, d, "verify-web", strings.SplitN(s.Invite, "/join", 2)[0]+"#"+pinOf(t, web)); len(o) != 1 || o[0]["manifest"] != seen["manifest"] {
		t.Errorf("over TLS: %v", o)
	}
	if _, err := d.Run("verify-web", strings.SplitN(s.Invite, "/join", 2)[0]); err == nil || !strings.Contains(err.Error(), "needs its fingerprint") {
		t.Errorf("over TLS without the fingerprint: %v", err)
	}
	flip := func(name string) func(string, []byte) []byte {
		return func(path string, body []byte) []byte {
			if strings.HasSuffix(path, name) {
				body[len(body)/2] ^= 1
			}
			return body
		}
	}
	for name, change := range map[string]func(string, []byte) []byte{
		"one byte of the script":         flip("/app.js"),
		"one byte of the service worker": flip("/sw.js"),
		"the page at the root": func(path string, body []byte) []byte {
			if path == "/" {
				return bytes.Replace(body, []byte("</head>"), []byte("<meta name=x></head>"), 1)
			}
			return body
		},
		"the page of an invitation": func(path string, body []byte) []byte {
			if path == "/join" {
				return append(body, ' ')
			}
			return body
		},
		"an interface with a manifest of its own": otherInterface(t, web),
	} {
		_, err := d.Run("verify-web", between(t, web, seen["manifest"].(string), change))
		var failed *Failure
		if !errors.As(err, &failed) || failed.Code != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pinOf returns the fingerprint of the server's certificate, as config.json
// names it.
func pinOf(t *testing.T, web string) string {
	t.Helper()
	resp, err := http.Get(web + "/config.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var c struct{ Server string }
	if err := json.NewDecoder(resp.Body).Decode(&c); err != nil {
		t.Fatal(err)
	}
	_, pin, _ := strings.Cut(c.Server, "#")
	return pin
}

// otherInterface adds a line to the script, and makes a manifest that fits.
func otherInterface(t *testing.T, web string) func(string, []byte) []byte {
	t.Helper()
	get := func(path string) []byte {
		resp, err := http.Get(web + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var c struct{ Base, Manifest string }
	if err := json.Unmarshal(get("/config.json"), &c); err != nil {
		t.Fatal(err)
	}
	script := append(get(c.Base+"app.js"), "\nfetch('/keys')\n"...)
	var m struct {
		Files map[string]string `json:"files"`
	}
	if err := json.Unmarshal(get("/manifest.json"), &m); err != nil {
		t.Fatal(err)
	}
	sum := func(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:]) }
	m.Files["app.js"] = sum(script)
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	hash := sum(manifest)
	return func(path string, body []byte) []byte {
		switch {
		case strings.HasSuffix(path, "/app.js"):
			return script
		case strings.HasSuffix(path, "/manifest.json"):
			return manifest
		}
		return bytes.ReplaceAll(body, []byte(c.Manifest), []byte(hash))
	}
}
