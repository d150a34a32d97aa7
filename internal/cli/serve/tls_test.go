package serve

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheOwnKeyStaysAndItsCertificateFollows(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	first, err := ownIdentity(dir, []string{"127.0.0.1", "localhost"}, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]time.Time{"next day": now.AddDate(0, 0, 1), "after ten years": now.AddDate(10, 0, 0), "clock set back": now.AddDate(-1, 0, 0)} {
		again, err := ownIdentity(dir, []string{"127.0.0.1", "huis.example"}, at)
		if err != nil || !bytes.Equal(again.pin, first.pin) {
			t.Fatalf("%s: the pin changed, or %v", name, err)
		}
		leaf := again.config.Certificates[0].Leaf
		if leaf.VerifyHostname("huis.example") != nil || at.After(leaf.NotAfter) || at.Before(leaf.NotBefore) {
			t.Errorf("%s: the certificate does not serve", name)
		}
	}
}

func TestADamagedOwnKeyIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	if _, err := ownIdentity(dir, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "key.pem")
	whole, _ := os.ReadFile(path)
	for _, bad := range [][]byte{nil, whole[:len(whole)/2], bytes.Replace(whole, []byte("A"), []byte("B"), -1)} {
		os.WriteFile(path, bad, 0o600)
		var d *damaged
		if _, err := ownIdentity(dir, nil, time.Now()); !errors.As(err, &d) {
			t.Errorf("a key of %d bytes: %v", len(bad), err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, bad) {
			t.Error("the damaged key was overwritten")
		}
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v", info.Mode())
	}
}

func TestADamagedOwnCertificateIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	first, _ := ownIdentity(dir, []string{"localhost"}, time.Now())
	os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("garbage"), 0o600)
	again, err := ownIdentity(dir, []string{"localhost"}, time.Now())
	if err != nil || !bytes.Equal(first.pin, again.pin) {
		t.Fatal(err)
	}
}

func TestOnlyTLS13WithTheHybridExchangeFirst(t *testing.T) {
	id, err := ownIdentity(t.TempDir(), []string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	state, err := shake(t, id.config, &tls.Config{InsecureSkipVerify: true})
	if err != nil || state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 {
		t.Errorf("version %x, curve %v, %v", state.Version, state.CurveID, err)
	}
	if _, err := shake(t, id.config, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}

// shake makes one connection and returns what the client saw.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", l.Addr().String(), client)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.ConnectionState(), nil
}

func TestCertificateFilesAreReadAgain(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		if _, err := ownIdentity(dir, []string{"huis.example"}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := filepath.Join(first, "cert.pem"), filepath.Join(first, "key.pem")
	if _, err := fileIdentity(cert, filepath.Join(second, "key.pem"), slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a key of another certificate was taken")
	}
	files := &filePair{cert: cert, key: key, log: slog.New(slog.DiscardHandler)}
	if err := files.load(); err != nil {
		t.Fatal(err)
	}
	before, _ := files.get(nil)
	for _, name := range []string{"key.pem", "cert.pem"} {
		b, _ := os.ReadFile(filepath.Join(second, name))
		os.WriteFile(filepath.Join(first, name), b, 0o600)
	}
	os.Chtimes(cert, time.Now(), time.Now().Add(time.Second))
	files.looked = time.Time{}
	after, _ := files.get(nil)
	if leafOf(t, before).Equal(leafOf(t, after)) {
		t.Error("the renewed certificate is not served")
	}
	os.WriteFile(cert, []byte("garbage"), 0o600)
	os.Chtimes(cert, time.Now(), time.Now().Add(2*time.Second))
	files.looked = time.Time{}
	if still, _ := files.get(nil); !leafOf(t, still).Equal(leafOf(t, after)) {
		t.Error("damaged files took the certificate out of service")
	}
}

func leafOf(t *testing.T, pair *tls.Certificate) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}
