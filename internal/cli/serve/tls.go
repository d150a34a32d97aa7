package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// identity is what the server shows on a TLS connection.
type identity struct {
	config *tls.Config
	// pin is SHA-256 of the certificate's SubjectPublicKeyInfo; nil for a
	// certificate that clients check against public authorities.
	pin []byte
	// there is closed once a certificate that has to be got is there; nil if it
	// is there from the start.
	there <-chan struct{}
	// stop ends the renewals; nil if there are none.
	stop func()
}

// tlsConfig is what every certificate is served with: TLS 1.3, preferring the
// hybrid key exchange, without tickets that would link a client's connections.
func tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		CurvePreferences:       []tls.CurveID{tls.X25519MLKEM768, tls.X25519},
		SessionTicketsDisabled: true,
		NextProtos:             []string{"h2", "http/1.1"},
	}
}

// ownIdentity is the server's own key, made once and kept in dir, with a
// certificate that clients pin by its key. The certificate is made anew when it
// is damaged, about to expire or does not name one of hosts; the pin stays.
func ownIdentity(dir string, hosts []string, now time.Time) (identity, error) {
	key, err := ownKey(filepath.Join(dir, "key.pem"))
	if err != nil {
		return identity{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return identity{}, err
	}
	leaf, err := ownCertificate(filepath.Join(dir, "cert.pem"), key, hosts, now)
	if err != nil {
		return identity{}, err
	}
	pin := sha256.Sum256(spki)
	config := tlsConfig()
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}}
	return identity{config: config, pin: pin[:]}, nil
}

// ownKey reads the key at path, or makes it if there is none. A damaged key is
// an error and never replaced: every client has its pin.
func ownKey(path string) (*ecdsa.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, &damaged{path}
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, &damaged{path}
	}
	return key, nil
}

func makeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// ownCertificate reads the certificate at path if it still serves, else signs
// another one for ten years.
func ownCertificate(path string, key *ecdsa.PrivateKey, hosts []string, now time.Time) (*x509.Certificate, error) {
	if b, err := os.ReadFile(path); err == nil {
		if block, _ := pem.Decode(b); block != nil {
			leaf, err := x509.ParseCertificate(block.Bytes)
			if err == nil && serves(leaf, key, hosts, now) {
				return leaf, nil
			}
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template(hosts, now), template(hosts, now), &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return leaf, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func serves(leaf *x509.Certificate, key *ecdsa.PrivateKey, hosts []string, now time.Time) bool {
	if !key.PublicKey.Equal(leaf.PublicKey) || now.Before(leaf.NotBefore) || now.AddDate(1, 0, 0).After(leaf.NotAfter) {
		return false
	}
	return !slices.ContainsFunc(hosts, func(host string) bool { return leaf.VerifyHostname(host) != nil })
}

// template is a certificate from a day before now, for clocks that are behind.
func template(hosts []string, now time.Time) *x509.Certificate {
	serial := make([]byte, 16)
	rand.Read(serial)
	serial[0] &= 0x7f
	cert := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		Subject:               pkix.Name{CommonName: "huis"},
		NotBefore:             now.AddDate(0, 0, -1),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else {
			cert.DNSNames = append(cert.DNSNames, host)
		}
	}
	return cert
}
