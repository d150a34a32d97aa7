// Package serve runs a server: the data folder, the certificate, the services
// and their interface, from start to stop. Start with Run.
//
// A server opens no connection to anybody, except for its certificate if it is
// given a public host name, and to the witnesses and peers it is told of.
//
// RunWitness runs a witness for other servers.
package serve

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/blobdir"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/directory"
	"codeberg.org/huis/huis/internal/httpapi"
	"codeberg.org/huis/huis/internal/witness"
	"codeberg.org/huis/huis/kt"
)

const (
	// stopTime is how long requests under way have to finish at a stop.
	stopTime = 10 * time.Second
	// certificateTime is how long a start waits for a certificate by ACME.
	certificateTime = 15 * time.Second
	// memory is what the program aims to stay below, in bytes; not a hard bound.
	memory      = 160 << 20
	defaultPort = "8443"
)

// Clock is the server's time.
type Clock interface{ Now() time.Time }

// Config says how to run. Only Data is needed.
type Config struct {
	Data   string // the data folder; made if it is not there
	Listen string // host:port; port 0 draws one once and keeps it; see Config.address
	Host   string // public name; with it the certificate comes by ACME, unless from files
	Cert   string // PEM files of a certificate and its key, instead of an own one
	Key    string
	ACME   ACME

	OperatorKey   string // file of the key that seals names; in the data folder if empty
	RetentionDays int    // entries live that long; 0 for 30

	NoWeb   bool   // browsers are shown nothing
	Version string // of the program, for the web app to show
	// Witnesses are asked to cosign the log.
	Witnesses []Address
	// Peers are other servers: each is asked to cosign this one's log, and its
	// log is cosigned here.
	Peers []Address

	Event    func(Event) // told of each state, one call at a time; may be nil
	Log      *slog.Logger
	Clock    Clock
	Listener net.Listener // instead of Listen, for tests
}

// Event is a state the server came to.
type Event struct {
	Event       string `json:"event"` // ready, stopping, stopped
	URL         string `json:"url,omitempty"`
	Invite      string `json:"invite,omitempty"`      // the first invitation, while nobody has joined
	Fingerprint string `json:"fingerprint,omitempty"` // SHA-256 of the own certificate's key, hex
	Log         string `json:"log,omitempty"`         // fingerprint of a log that was begun anew, for people to compare
	Web         string `json:"web,omitempty"`         // where a browser on this computer opens the web app, with the first invitation
	Key         string `json:"key,omitempty"`         // a witness's own key
	Witness     string `json:"witness,omitempty"`     // with peers: the key of the witness inside this server
}

// Error is why a server does not start, with the way out.
type Error struct {
	err  error
	hint string
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Hint says what to do.
func (e *Error) Hint() string { return e.hint }

func hinted(hint, format string, args ...any) error {
	return &Error{fmt.Errorf(format, args...), hint}
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (c *Config) setDefaults() {
	if c.Listen == "" && c.Host != "" {
		c.Listen = ":443"
	}
	if c.Event == nil {
		c.Event = func(Event) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = systemClock{}
	}
}

// Run runs a server until ctx ends, and then stops it: requests under way
// finish, connections close, the database is put in order. The error says why it
// could not start or go on; those with a way out are *Error.
func Run(ctx context.Context, c Config) error {
	c.setDefaults()
	if err := noCoreDumps(); err != nil {
		c.Log.Warn("core dumps could not be switched off", "err", err)
	}
	boundMemory()
	if err := makeFolder(c.Data); err != nil {
		return hinted("choose a folder this user may write to: --data DIR", "the data folder cannot be made: %w", err)
	}
	if isNetworkFolder(c.Data) {
		return hinted("choose a folder on a disk of this machine: --data DIR", "the data folder is on a network file system, which gives neither the locks nor the flushes a database needs")
	}
	unlock, err := lock(filepath.Join(c.Data, lockFile))
	if err != nil {
		return lockError(err)
	}
	defer unlock()
	s := &server{Config: c}
	if err := s.open(ctx); err != nil {
		return errors.Join(explain(err), s.close())
	}
	err = s.serve(ctx)
	return errors.Join(explain(err), s.close())
}

// boundMemory has the garbage collector hold the program below the size a server
// is meant to have, unless GOMEMLIMIT says otherwise.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory)
	}
}

func lockError(err error) error {
	if errors.Is(err, errLocked) {
		return hinted("stop the other one first, or choose another folder: --data DIR", "%w", err)
	}
	return hinted("is the folder on a local disk, and may this user write to it?", "the data folder cannot be locked: %w", err)
}

// server is a running server's parts.
type server struct {
	Config
	key       store.OperatorKey
	store     store.Store
	files     store.Files
	listener  net.Listener
	identity  identity
	url       string // https://host[:port]
	http      *http.Server
	delivery  *delivery.Service
	directory *directory.Service
	web       web
	witness   *witness.Witness // for the logs of peers
	served    bool             // until it was told to stop
}

// open makes everything ready to serve, in the order in which it can fail with
// the least effect.
func (s *server) open(ctx context.Context) (err error) {
	if s.key, err = s.operatorKey(); err != nil {
		return err
	}
	if err := s.openStore(ctx); err != nil {
		return err
	}
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.identify(ctx); err != nil {
		return err
	}
	return s.wire(ctx)
}

// openStore opens the database and the blobs.
func (s *server) openStore(ctx context.Context) error {
	db, err := sqlite.Open(ctx, filepath.Join(s.Data, databaseFile))
	if err != nil {
		return err
	}
	s.store = db
	s.files, err = blobdir.Open(filepath.Join(s.Data, blobsFolder))
	return err
}

// wire puts the services together.
func (s *server) wire(ctx context.Context) (err error) {
	host := s.url[len("https://"):]
	origin, logName, err := s.logOrigin(ctx, host)
	if err != nil {
		return err
	}
	sessions := session.New(s.Clock)
	restored, restoration, err := s.restoration(ctx)
	if err != nil {
		return err
	}
	s.delivery, err = delivery.Open(ctx, delivery.Config{
		NewGeneration: restoration != nil && !restored.Begun,
		Store:         s.store, Files: s.files, Sessions: sessions, Clock: s.Clock, Key: s.key,
		Origin: origin, Log: s.Log, RetentionDays: s.RetentionDays,
	})
	if err != nil {
		return err
	}
	whole, err := s.neverRestored(ctx)
	if err != nil {
		return err
	}
	s.directory, err = directory.Open(ctx, directory.Config{
		Store: s.store, Key: s.key, Clock: s.Clock, Sessions: sessions, Origin: origin, LogName: logName, Joined: s.joined,
		LogDir: filepath.Join(s.Data, logFolder), Log: s.Log, Restoration: restoration,
		Whole: whole && logName == "", Witnesses: s.witnesses(),
	})
	if err != nil {
		return err
	}
	if err := s.openWitness(host); err != nil {
		return err
	}
	if restoration != nil {
		err = s.begun(ctx, restored)
	} else {
		err = s.logStampKeys(ctx)
	}
	if err != nil {
		return err
	}
	s.directory.Restoring(ctx) // ended by the operator while it was stopped
	page, err := s.openWeb(ctx)
	if err != nil {
		return err
	}
	s.http = httpapi.NewHTTP(httpapi.NewHandler(httpapi.Config{
		Directory: s.directory, Delivery: s.delivery, Sessions: sessions, Clock: s.Clock, Log: s.Log, Web: page,
		Witness: s.witness.Handler(),
	})).Server()
	s.web.prepare(s.http)
	return nil
}

// logStampKeys puts every key the server ever stamped with into its log, under
// its kid, and the generation it belongs to.
func (s *server) logStampKeys(ctx context.Context) error {
	info, err := s.delivery.Info(ctx, nil)
	if err != nil {
		return err
	}
	for _, k := range info.StampKeys {
		if err := s.directory.AddToLog(ctx, kt.KindStampKey, k.KID[:], k.Public[:]); err != nil {
			return err
		}
		if err := s.directory.AddToLog(ctx, kt.KindGeneration, k.Generation[:], k.KID[:]); err != nil {
			return err
		}
	}
	return nil
}

// serve answers until ctx ends or the listener fails.
func (s *server) serve(ctx context.Context) error {
	invite, err := s.firstInvitation(ctx)
	if err != nil {
		return err
	}
	upkeep, stop := context.WithCancel(ctx)
	var kept sync.WaitGroup
	kept.Go(func() { s.delivery.Run(upkeep) })
	kept.Go(func() { s.directory.RunLog(upkeep) })
	defer func() { stop(); kept.Wait() }()
	failed := make(chan error, 2)
	go func() { failed <- s.http.Serve(tls.NewListener(httpapi.Gate(s.listener), s.identity.config)) }()
	if s.web.listener != nil {
		go func() { failed <- s.web.serve() }()
	}
	if s.awaitCertificate(ctx) {
		notify("READY=1")
		s.Event(Event{Event: "ready", URL: s.url, Invite: invite, Fingerprint: hex.EncodeToString(s.identity.pin), Web: s.web.link(invite), Witness: s.witnessText(), Log: s.newLog()})
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

// awaitCertificate waits for a certificate that comes by ACME, but not so long
// that nobody is told of the server; false if ctx ended.
func (s *server) awaitCertificate(ctx context.Context) bool {
	if s.identity.there == nil {
		return ctx.Err() == nil
	}
	select {
	case <-s.identity.there:
	case <-time.After(certificateTime):
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// stop lets requests under way finish, within stopTime.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return errors.Join(shutdown(ctx, s.http), s.web.stop(ctx))
}

func shutdown(ctx context.Context, server *http.Server) error {
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}

// close gives back what open took.
func (s *server) close() (err error) {
	if s.identity.stop != nil {
		s.identity.stop()
	}
	if s.listener != nil {
		s.listener.Close()
	}
	if s.web.listener != nil {
		s.web.listener.Close()
	}
	if s.store != nil {
		err = s.store.Close()
	}
	if err == nil && s.served {
		s.Event(Event{Event: "stopped"})
	}
	return err
}

// listen opens the port.
func (s *server) listen() (err error) {
	if s.Listener != nil {
		s.listener = s.Listener
		return s.name()
	}
	address, drawn, err := s.address()
	if err != nil {
		return hinted("write it as 127.0.0.1:8443 or :443", "the address to listen on is not one: %w", err)
	}
	s.listener, err = net.Listen("tcp", address)
	if s.Listen == "" && lastPort(s.Data) == 0 && errors.Is(err, syscall.EADDRINUSE) {
		s.listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return hinted("choose another address with --listen, or stop the program that uses it", "cannot listen on %s: %w", address, cause(err))
	}
	if drawn {
		if err := rememberPort(s.Data, s.port()); err != nil {
			return err
		}
	}
	return s.name()
}

// cause drops the address that package net puts before its errors.
func cause(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

// address is where to listen, and whether the port was not asked for: then the
// one had last stays. Without any wish it is on loopback, at the default port if
// that is free at the first start.
func (s *server) address() (address string, drawn bool, err error) {
	host, port := "127.0.0.1", defaultPort
	if s.Listen != "" {
		if host, port, err = net.SplitHostPort(s.Listen); err != nil {
			return "", false, err
		}
	}
	drawn = port == "0" || s.Listen == ""
	if last := lastPort(s.Data); drawn && last != 0 {
		port = strconv.Itoa(last)
	}
	return net.JoinHostPort(host, port), drawn, nil
}

func (s *server) port() int {
	if a, ok := s.listener.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// name sets the URL under which clients reach the server.
func (s *server) name() error {
	host := s.Host
	if host == "" {
		host = reachable(s.listener.Addr())
	}
	port := strconv.Itoa(s.port())
	s.url = "https://" + strings.TrimSuffix(net.JoinHostPort(host, port), ":443")
	return nil
}

// reachable is the host to call a listener by: its own, or for "any" the first
// address of this machine that is not loopback.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return "localhost"
	}
	if !tcp.IP.IsUnspecified() {
		return tcp.IP.String()
	}
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return "127.0.0.1"
}

// identify gets the certificate.
func (s *server) identify(ctx context.Context) (err error) {
	switch {
	case s.Cert != "" || s.Key != "":
		s.identity, err = fileIdentity(s.Cert, s.Key, s.Log)
		if err != nil {
			return hinted("--cert and --key each name a PEM file, and belong together", "%w", err)
		}
	case s.Host != "":
		s.identity, err = acmeIdentity(ctx, s.Data, s.Host, s.port(), s.ACME, s.notObtained)
	default:
		hosts := []string{reachable(s.listener.Addr()), "localhost", "127.0.0.1", "::1"}
		s.identity, err = ownIdentity(filepath.Join(s.Data, tlsFolder), hosts, s.Clock.Now())
	}
	return err
}

// notObtained tells the operator why a certificate by ACME is not there.
func (s *server) notObtained(err error) {
	s.Log.Warn("the certificate could not be got yet; is port 443 reachable under the host's name? it is tried again", "err", err)
}

// ref is the server as an invitation names it.
func (s *server) ref() client.ServerRef { return client.ServerRef{URL: s.url, Pin: s.identity.pin} }
