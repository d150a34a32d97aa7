package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"codeberg.org/huis/huis/internal/webapp"
)

// page gets a path of the web app as a browser does that takes brotli.
func page(t *testing.T, origin, host, path string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, origin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "br")
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, b
}

// TestServedPagesAreThoseOfTheManifest gets what a browser gets on the computer
// of the server.
func TestServedPagesAreThoseOfTheManifest(t *testing.T) {
	s := house(t)
	u, err := url.Parse(s.Web)
	if err != nil || u.Scheme != "http" || u.Hostname() != "127.0.0.1" || u.Path != "/join" || u.Fragment == "" {
		t.Fatalf("the web app is at %q", s.Web)
	}
	origin := "http://" + u.Host
	var config webapp.PageConfig
	_, b := page(t, origin, "", "/config.json")
	if err := json.Unmarshal(b, &config); err != nil || !strings.HasPrefix(config.Server, s.URL+"#") {
		t.Fatalf("config.json is %s (%v)", b, err)
	}
	resp, b := page(t, origin, "", config.Base+"manifest.json")
	sum := sha256.Sum256(decoded(t, resp, b))
	if hex.EncodeToString(sum[:]) != config.Hash || !strings.Contains(resp.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("the manifest is %x, %v", sum, resp.Header)
	}
	var manifest webapp.Manifest
	if err := json.Unmarshal(decoded(t, resp, b), &manifest); err != nil || len(manifest.Files) < 3 {
		t.Fatalf("the manifest names %d files, %v", len(manifest.Files), err)
	}
	for name, want := range manifest.Files {
		resp, b := page(t, origin, "", config.Base+name)
		if sum := sha256.Sum256(decoded(t, resp, b)); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is not what the manifest says", name)
		}
	}
	for path, want := range map[string]int{
		"/": 200, "/join": 200, "/any/view": 200, "/a/0/app.js": 404, "/none.js": 404, config.Base + "none": 404,
	} {
		resp, _ := page(t, origin, "", path)
		if resp.StatusCode != want {
			t.Errorf("%s gives %d", path, resp.StatusCode)
		}
		policy := resp.Header.Get("Content-Security-Policy")
		if resp.StatusCode == 200 && (!strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "require-trusted-types-for 'script'")) {
			t.Errorf("%s comes with the policy %q", path, policy)
		}
	}
	if resp, _ := page(t, origin, "evil.example", "/"); resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("under another name: %d", resp.StatusCode)
	}
}

// decoded is a body without what Accept-Encoding did to it.
func decoded(t *testing.T, resp *http.Response, b []byte) []byte {
	t.Helper()
	out, err := webapp.Decode(resp.Header.Get("Content-Encoding"), b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWebAppCanBeSwitchedOff(t *testing.T) {
	dir := t.TempDir()
	s := &Server{Huis: *binary, Data: filepath.Join(dir, "data"), Log: filepath.Join(dir, "log"), Args: []string{"--no-web"}, Peaks: &Peaks{}}
	t.Cleanup(s.Kill)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if s.Web != "" {
		t.Errorf("the web app is at %s", s.Web)
	}
}
