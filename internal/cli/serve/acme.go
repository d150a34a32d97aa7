package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// ACME says where the certificate of a public host name comes from.
type ACME struct {
	Directory string         // URL of the authority's directory; empty for Let's Encrypt
	Email     string         // where the authority writes to; may be empty
	Roots     *x509.CertPool // authorities the directory's own certificate may have; nil for the system's
}

// acmeIdentity gets and renews the certificate of host, by the TLS-ALPN-01
// challenge on the port the server listens on. This is the only thing in a
// server that opens connections. It returns at once; until the certificate is
// there, handshakes fail. failed is told why it is not there yet.
func acmeIdentity(ctx context.Context, dir, host string, port int, acme ACME, failed func(error)) (identity, error) {
	there := make(chan struct{})
	magic, stop := newMagic(dir, port, acme, sync.OnceFunc(func() { close(there) }), failed)
	if err := magic.ManageAsync(ctx, []string{host}); err != nil {
		stop()
		return identity{}, fmt.Errorf("certificate of %s: %v", host, err)
	}
	config := tlsConfig()
	config.GetCertificate = magic.GetCertificate
	config.NextProtos = append(config.NextProtos, "acme-tls/1")
	return identity{config: config, there: there, stop: stop}, nil
}

func newMagic(dir string, port int, acme ACME, obtained func(), failed func(error)) (magic *certmagic.Config, stop func()) {
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return magic, nil },
		Logger:           zap.NewNop(),
	})
	magic = certmagic.New(cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: filepath.Join(dir, "acme")},
		OCSP:    certmagic.OCSPConfig{DisableStapling: true},
		Logger:  zap.NewNop(),
		OnEvent: func(_ context.Context, event string, data map[string]any) error {
			switch event {
			case "cached_managed_cert": // just got, or kept from before
				obtained()
			case "cert_failed":
				failed(fmt.Errorf("%v", data["error"]))
			}
			return nil
		},
	})
	directory := acme.Directory
	if directory == "" {
		directory = certmagic.LetsEncryptProductionCA
	}
	magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(magic, certmagic.ACMEIssuer{
		CA: directory, TestCA: directory, Email: acme.Email, Agreed: true, TrustedRoots: acme.Roots,
		DisableHTTPChallenge: true, AltTLSALPNPort: port, Logger: zap.NewNop(),
	})}
	return magic, cache.Stop
}

// filePair is a certificate and key read from files, looked at again once a
// minute so that a renewal needs no restart.
type filePair struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex // guards what follows
	pair    *tls.Certificate
	changed time.Time // of the certificate file that pair was read from
	looked  time.Time
}

// fileIdentity serves the certificate and key in two PEM files. A bad pair is an
// error here; one that comes later leaves the pair before in service.
func fileIdentity(cert, key string, log *slog.Logger) (identity, error) {
	files := &filePair{cert: cert, key: key, log: log}
	if err := files.load(); err != nil {
		return identity{}, fmt.Errorf("certificate files: %v", err)
	}
	config := tlsConfig()
	config.GetCertificate = files.get
	return identity{config: config}, nil
}

func (f *filePair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) > time.Minute {
		if err := f.load(); err != nil {
			f.log.Warn("the certificate files cannot be read; the certificate before stays in service", "err", err)
		}
	}
	return f.pair, nil
}

func (f *filePair) load() error {
	f.looked = time.Now()
	info, err := os.Stat(f.cert)
	if err != nil || info.ModTime().Equal(f.changed) {
		return err
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return err
	}
	f.pair, f.changed = &pair, info.ModTime()
	return nil
}
