package serve

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/witness"
	"codeberg.org/huis/huis/kt"
	"golang.org/x/net/publicsuffix"
)

// WitnessConfig says how to run a witness. Only Data is needed.
type WitnessConfig struct {
	Data   string
	Listen string
	Host   string
	Cert   string
	Key    string
	ACME   ACME

	// Name is what the witness is called in its key; it is chosen at the first
	// start and stays. Empty: the host, with its port if that is not 443.
	Name string
	// Logs are keys (NAME+HASH+KEY), or addresses of servers, of logs to cosign.
	Logs []string
	// Enrol has the witness cosign any log whose origin is the name of a host
	// that gives out the log's key, up to MaxLogs (0: 10,000).
	Enrol   bool
	MaxLogs int
	// Private lets enrolment reach hosts that have no public address.
	Private bool

	Event    func(Event)
	Log      *slog.Logger
	Clock    Clock
	Listener net.Listener
}

// The files of a witness's folder, beside those of tls and lock.
const (
	witnessKeyFile = "witness.key"
	logsFolder     = "logs"
)

// RunWitness runs a witness until ctx ends.
func RunWitness(ctx context.Context, c WitnessConfig) error {
	s := &server{Config: Config{Data: c.Data, Listen: c.Listen, Host: c.Host, Cert: c.Cert, Key: c.Key, ACME: c.ACME,
		Event: c.Event, Log: c.Log, Clock: c.Clock, Listener: c.Listener}}
	s.setDefaults()
	c.Log, c.Clock = s.Log, s.Clock
	if err := noCoreDumps(); err != nil {
		c.Log.Warn("core dumps could not be switched off", "err", err)
	}
	if err := makeFolder(c.Data); err != nil {
		return hinted("choose a folder this user may write to: --data DIR", "the data folder cannot be made: %w", err)
	}
	if isNetworkFolder(c.Data) {
		return hinted("choose a folder on a disk of this machine: --data DIR", "the data folder is on a network file system, which gives no promise that what a witness remembers is on the disk")
	}
	unlock, err := lock(filepath.Join(c.Data, lockFile))
	if err != nil {
		return lockError(err)
	}
	defer unlock()
	err = s.runWitness(ctx, &c)
	return errors.Join(explainWitness(err), s.close())
}

func explainWitness(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return hinted("make room, then start again; nothing that was cosigned is forgotten", "the disk is full")
	}
	return explain(err)
}

func (s *server) runWitness(ctx context.Context, c *WitnessConfig) error {
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.identify(ctx); err != nil {
		return err
	}
	signer, err := witnessSigner(filepath.Join(c.Data, witnessKeyFile), c.Name, strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		return err
	}
	keys, named, err := c.logs()
	if err != nil {
		return err
	}
	e := &enroller{named: named, open: c.Enrol, client: publicHTTP(c.Private), missed: map[string]time.Time{}}
	w, err := witness.New(witness.Config{
		Dir: filepath.Join(c.Data, logsFolder), Signer: signer, Now: c.Clock.Now, Logs: keys, Enrol: e.enrol, MaxLogs: c.MaxLogs,
	})
	if err != nil {
		return hinted("read docs/operating.md on witnesses; nothing was changed", "%w", err)
	}
	e.known = w.Logs
	s.http = witnessServer(w.Handler(), s.Log)
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(tls.NewListener(httpapi.Gate(s.listener), s.identity.config)) }()
	if s.awaitCertificate(ctx) {
		notify("READY=1")
		s.Event(Event{Event: "ready", URL: Address{s.url, s.identity.pin}.String(), Key: signer.Public().WitnessText(), Fingerprint: hex.EncodeToString(s.identity.pin)})
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	notify("STOPPING=1")
	s.Event(Event{Event: "stopping"})
	s.served = true
	return s.stop()
}

// logs sorts what the operator named into keys and addresses.
func (c *WitnessConfig) logs() (keys []kt.NoteKey, named *namedLogs, err error) {
	named = &namedLogs{}
	for _, l := range c.Logs {
		if strings.HasPrefix(l, "https://") {
			a, err := ParseAddress(l)
			if err != nil {
				return nil, nil, hinted("huis serve prints its address; with an own certificate it needs the part after #", "%w", err)
			}
			named.hosts = append(named.hosts, a)
			continue
		}
		k, err := kt.ParseLogKey(l)
		if err != nil {
			return nil, nil, hinted("a server shows its log's key at https://HOST/log/key", "--log %s: %w", l, err)
		}
		keys = append(keys, k)
	}
	return keys, named, nil
}

// witnessKey is the file of a witness's own key.
type witnessKey struct {
	Name string `json:"name"`
	Seed []byte `json:"seed"`
}

// witnessSigner reads the witness's key, or makes it at the first start.
func witnessSigner(path, name, host string) (*kt.NoteSigner, error) {
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	k := witnessKey{Name: name, Seed: make([]byte, 32)}
	if err == nil {
		if err := json.Unmarshal(b, &k); err != nil {
			return nil, &damaged{path}
		}
		if name != "" && name != k.Name {
			return nil, hinted("a witness keeps its name: leave --name away, or start another witness in another folder", "this witness is called %s", k.Name)
		}
		signer, err := kt.NewNoteSigner(k.Name, k.Seed)
		if err != nil {
			return nil, &damaged{path}
		}
		return signer, nil
	}
	if k.Name == "" {
		k.Name = host
	}
	rand.Read(k.Seed)
	signer, err := kt.NewNoteSigner(k.Name, k.Seed)
	if err != nil {
		return nil, hinted("a name has no spaces and no plus sign", "%q cannot be the name of a witness", name)
	}
	if b, err = json.Marshal(k); err != nil {
		return nil, err
	}
	return signer, writeFile(path, b)
}

// witnessServer bounds what a witness's connections may cost.
func witnessServer(h http.Handler, l *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "This is a huis witness: it looks after the logs of huis servers.\n")
	})
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: 30 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 90 * time.Second, MaxHeaderBytes: 8 << 10, ErrorLog: log.New(io.Discard, "", 0),
	}
}

// enroller finds the keys of logs a witness does not know yet.
type enroller struct {
	named  *namedLogs
	open   bool // to any host
	client *http.Client

	// known gives the logs looked after by now.
	known func() []kt.TreeHead

	mu     sync.Mutex
	tokens float64 // questions that may be asked of strangers now
	filled time.Time
	missed map[string]time.Time // when an origin was asked in vain
}

// Strangers can have a witness open connections to hosts they name: at most
// enrolBurst at once and one each enrolEvery after that, and not to the same
// host within enrolAgain.
const (
	enrolBurst = 20
	enrolEvery = 10 * time.Second
	enrolAgain = 10 * time.Minute
	maxMissed  = 1000
	// maxOfDomain is how many logs strangers may have under one domain that
	// somebody registered, so that one of them cannot take every place.
	maxOfDomain = 100
)

var (
	errEnrolLater  = errors.New("too many logs want to be enrolled now")
	errEnrolDomain = errors.New("this domain has as many logs here as one may have")
)

func (e *enroller) enrol(ctx context.Context, origin string) (kt.NoteKey, error) {
	k, err := e.named.find(ctx, origin)
	if err == nil || !e.open {
		return k, err
	}
	if err := e.admit(origin, time.Now()); err != nil {
		return k, err
	}
	if ofDomain(e.known(), origin) >= maxOfDomain {
		return k, errEnrolDomain
	}
	return witness.FetchKey(ctx, e.client, origin)
}

// ofDomain counts the logs under the registered domain of an origin.
func ofDomain(logs []kt.TreeHead, origin string) (n int) {
	domain := registered(origin)
	for _, l := range logs {
		if registered(l.Origin) == domain {
			n++
		}
	}
	return n
}

// registered is the domain somebody registered that an origin's host is under,
// by the public suffix list; the host itself where there is none, as for an
// address.
func registered(origin string) string {
	host, _, _ := strings.Cut(origin, "/")
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if domain, err := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(host)); err == nil && net.ParseIP(host) == nil {
		return domain
	}
	return host
}

// admit takes one question from the limits.
func (e *enroller) admit(origin string, now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.filled.IsZero() {
		e.tokens, e.filled = enrolBurst, now
	}
	e.tokens = min(enrolBurst, e.tokens+float64(now.Sub(e.filled))/float64(enrolEvery))
	e.filled = now
	if now.Sub(e.missed[origin]) < enrolAgain || e.tokens < 1 {
		return errEnrolLater
	}
	e.tokens--
	if len(e.missed) >= maxMissed {
		clear(e.missed)
	}
	e.missed[origin] = now
	return nil
}

// publicHTTP reaches hosts with public addresses only, unless private: nobody
// shall make a witness knock at doors inside its own network.
func publicHTTP(private bool) *http.Client {
	c := dial.HTTP(nil)
	if private {
		return c
	}
	d := net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil || !a.Addr().Unmap().IsGlobalUnicast() || a.Addr().Unmap().IsPrivate() {
			return fmt.Errorf("%s is no public address", address)
		}
		return nil
	}}
	c.Transport.(*http.Transport).DialContext = d.DialContext
	return c
}
