package serve

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// authority runs an ACME server in this process that looks for the challenge on
// port, and returns its directory, the root of its own certificate and of those
// it gives out.
func authority(t *testing.T, port int) (directory string, own *x509.CertPool, issued func() *x509.CertPool) {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "test"}})
	validator := va.New(quiet, 1, port, false, "", store)
	front := wfe.New(quiet, store, validator, issuer, []string{"pebble.test"}, false, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	own = x509.NewCertPool()
	own.AddCert(server.Certificate())
	return server.URL + wfe.DirectoryPath, own, func() *x509.CertPool {
		roots := x509.NewCertPool()
		root := issuer.GetRootCert(0)
		block, _ := pem.Decode(root.PEM())
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		roots.AddCert(parsed)
		return roots
	}
}

func TestACertificateComesByACME(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	directory, own, issued := authority(t, l.Addr().(*net.TCPAddr).Port)
	dir := t.TempDir()
	config := Config{Data: dir, Host: "localhost", Listener: l, ACME: ACME{Directory: directory, Roots: own}}
	r := start(t, config)
	if r.ready.Fingerprint != "" || len(r.invitation().Server.Pin) != 0 || !strings.HasPrefix(r.ready.URL, "https://localhost:") {
		t.Errorf("%+v", r.ready)
	}
	first := certificateOf(t, r.ready.URL, issued())
	r.stop()
	if config.Listener, err = net.Listen("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	again := certificateOf(t, start(t, config).ready.URL, issued())
	if !first.Equal(again) {
		t.Error("a restart asked for another certificate")
	}
}

// certificateOf connects as a client that trusts roots does.
func certificateOf(t *testing.T, url string, roots *x509.CertPool) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func TestAnACMEAuthorityThatIsAwayStopsNothing(t *testing.T) {
	dead := httptest.NewTLSServer(nil)
	dead.Close()
	failed := make(chan error, 1)
	_, err := acmeIdentity(t.Context(), t.TempDir(), "localhost", 1, ACME{Directory: dead.URL}, func(err error) { failed <- err })
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-failed:
	case <-time.After(10 * time.Second):
		t.Error("nobody is told")
	}
}
