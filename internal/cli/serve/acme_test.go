package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strconv"
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
	if testing.Short() {
		t.Skip("needs some seconds")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(l.Addr().String())
	port, _ := strconv.Atoi(text)
	directory, own, issued := authority(t, port)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	obtained := make(chan error, 16)
	id, err := acmeIdentity(ctx, t.TempDir(), "localhost", port, ACME{Directory: directory, Roots: own}, func(err error) { obtained <- err })
	if err != nil {
		t.Fatal(err)
	}
	listener := tls.NewListener(l, id.config)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				conn.(*tls.Conn).Handshake()
				conn.Close()
			}()
		}
	}()
	select {
	case err := <-obtained:
		if err != nil {
			t.Fatal(err)
		}
	case <-ctx.Done():
		t.Fatal("no certificate within a minute")
	}
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{ServerName: "localhost", RootCAs: issued()})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
