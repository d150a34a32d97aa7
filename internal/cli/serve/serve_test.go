package serve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve/servetest"
	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/proto"
)

// running is a server under test, over real TLS on loopback.
type running struct {
	t      *testing.T
	ready  Event
	events chan Event
	log    *strings.Builder
	stop   func() error // ends it and returns what Run returned
}

// anyAddress stands for no wish.
const anyAddress = "any"

// start runs a server and waits until it is ready.
func start(t *testing.T, c Config) *running {
	t.Helper()
	r, err := tryStart(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func tryStart(t *testing.T, c Config) (*running, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, events: make(chan Event, 16), log: new(strings.Builder)}
	c.Event = func(e Event) { r.events <- e }
	switch c.Listen {
	case "":
		c.Listen = "127.0.0.1:0"
	case anyAddress:
		c.Listen = ""
	}
	c.Log = slog.New(slog.NewTextHandler(r.log, nil))
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, c) }()
	select {
	case r.ready = <-r.events:
	case err := <-ended:
		cancel()
		return nil, err
	case <-time.After(20 * time.Second):
		t.Fatal("not ready within 20 s")
	}
	var result error
	stopped := false
	r.stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			result = <-ended
		}
		return result
	}
	t.Cleanup(func() { r.stop() })
	return r, nil
}

func (r *running) invitation() client.Invitation {
	r.t.Helper()
	i, err := client.ParseInvitation(r.ready.Invite)
	if err != nil {
		r.t.Fatal(err)
	}
	return i
}

func (r *running) dial(ref client.ServerRef) client.Transport {
	r.t.Helper()
	transport, err := dial.New(ref)
	if err != nil {
		r.t.Fatal(err)
	}
	return transport
}

func TestTheFirstStartMakesEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	r := start(t, Config{Data: dir})
	if r.ready.Event != "ready" || r.ready.Invite == "" || len(r.ready.Fingerprint) != 64 {
		t.Fatalf("%+v", r.ready)
	}
	i := r.invitation()
	var info proto.InfoResponse
	if err := r.dial(i.Server).Call(t.Context(), client.Anonymous, proto.Info, &proto.InfoRequest{}, &info); err != nil {
		t.Fatal(err)
	}
	if "https://"+info.Origin != r.ready.URL || len(info.StampKeys) != 1 {
		t.Errorf("%+v", info)
	}
	var check proto.InviteCheckResponse
	if err := r.dial(i.Server).Call(t.Context(), client.Anonymous, proto.InviteCheck, &proto.InviteCheckRequest{Invite: i.Token}, &check); err != nil || check.Uses != 1 {
		t.Errorf("%+v, %v", check, err)
	}
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if info, _ := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others: %v", path, info.Mode())
		}
		return err
	})
	if err := r.stop(); err != nil || (<-r.events).Event != "stopping" || (<-r.events).Event != "stopped" {
		t.Errorf("stop: %v", err)
	}
	if r.log.Len() != 0 {
		t.Errorf("a start and stop without trouble logs %q", r.log)
	}
}

func TestARestartKeepsPortKeyAndFirstInvitation(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Config{Data: dir})
	first.stop()
	second := start(t, Config{Data: dir})
	if first.ready != second.ready {
		t.Errorf("first %+v, then %+v", first.ready, second.ready)
	}
}

func TestADamagedFirstInvitationIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Config{Data: dir})
	first.stop()
	os.Truncate(filepath.Join(dir, invitationFile), 3)
	second := start(t, Config{Data: dir})
	if first.ready.Invite == second.ready.Invite || second.ready.Invite == "" {
		t.Errorf("%q", second.ready.Invite)
	}
	servetest.NewPeer(t, second.dial(second.invitation().Server)).Join(second.invitation().Token, "alice")
}

func TestASecondServerOnTheFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, Config{Data: dir})
	_, err := tryStart(t, Config{Data: dir})
	var hint *Error
	if !errors.Is(err, errLocked) || !errors.As(err, &hint) {
		t.Errorf("got %v", err)
	}
}

func TestAPortInUseIsSaid(t *testing.T) {
	r := start(t, Config{Data: t.TempDir()})
	_, err := tryStart(t, Config{Data: t.TempDir(), Listen: strings.TrimPrefix(r.ready.URL, "https://")})
	var hint *Error
	if !errors.As(err, &hint) || !strings.Contains(err.Error(), "cannot listen") {
		t.Errorf("got %v", err)
	}
}

func TestWithoutAWishAFreePortIsFoundAndKept(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:"+defaultPort)
	if err == nil {
		defer l.Close()
	}
	c := Config{Data: t.TempDir(), Listen: anyAddress}
	first := start(t, c)
	first.stop()
	if l != nil {
		l.Close()
	}
	if second := start(t, c); second.ready.URL != first.ready.URL {
		t.Errorf("first %s, then %s", first.ready.URL, second.ready.URL)
	}
}

func TestAnotherServerIsNotTheOnePinned(t *testing.T) {
	one, other := start(t, Config{Data: t.TempDir()}), start(t, Config{Data: t.TempDir()})
	ref := one.invitation().Server
	ref.URL = other.ready.URL
	var pin *client.PinError
	err := one.dial(ref).Call(t.Context(), client.Anonymous, proto.Info, &proto.InfoRequest{}, &proto.InfoResponse{})
	if !errors.As(err, &pin) || pin.Want != one.ready.Fingerprint || pin.Got != other.ready.Fingerprint {
		t.Errorf("call: %v", err)
	}
	if err := one.dial(ref).Listen(t.Context(), client.Account, proto.Subscribe{}, func(proto.Hint) {}); !errors.As(err, &pin) {
		t.Errorf("listen: %v", err)
	}
	ref.Pin = nil
	err = one.dial(ref).Call(t.Context(), client.Anonymous, proto.Info, &proto.InfoRequest{}, &proto.InfoResponse{})
	if !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("an own certificate without pin: %v", err)
	}
}

func TestTheAddressOfAServer(t *testing.T) {
	for _, c := range []struct{ host, listen, want string }{
		{"", "127.0.0.1:8443", "https://127.0.0.1:8443"},
		{"", "127.0.0.1:443", "https://127.0.0.1"},
		{"", "[::1]:8443", "https://[::1]:8443"},
		{"", "[::1]:443", "https://[::1]"},
		{"chat.example.org", "0.0.0.0:443", "https://chat.example.org"},
		{"chat.example.org", "0.0.0.0:444", "https://chat.example.org:444"},
	} {
		addr, err := net.ResolveTCPAddr("tcp", c.listen)
		if err != nil {
			t.Fatal(err)
		}
		s := &server{Config: Config{Host: c.host}, listener: at{addr: addr}}
		if s.name(); s.url != c.want {
			t.Errorf("%s on %s is %s", c.host, c.listen, s.url)
		}
		if ref, err := client.ParseServerRef(s.url); err != nil || ref.URL != c.want {
			t.Errorf("%s: a client reads %q, %v", c.want, ref.URL, err)
		}
	}
}

// at is a listener of which only the address matters.
type at struct {
	net.Listener
	addr net.Addr
}

func (l at) Addr() net.Addr { return l.addr }

func TestAFolderOfOthersKeepsItsMode(t *testing.T) {
	foreign := t.TempDir()
	os.WriteFile(filepath.Join(foreign, "letter"), nil, 0o644)
	os.Chmod(foreign, 0o755)
	start(t, Config{Data: foreign}).stop()
	if info, _ := os.Stat(foreign); info.Mode().Perm() != 0o755 {
		t.Errorf("its mode is %v", info.Mode())
	}
	empty := t.TempDir()
	os.Chmod(empty, 0o755)
	start(t, Config{Data: empty}).stop()
	if info, _ := os.Stat(empty); info.Mode().Perm() != 0o700 {
		t.Errorf("an empty folder's mode is %v", info.Mode())
	}
}

func TestDamageIsSaid(t *testing.T) {
	dir := t.TempDir()
	start(t, Config{Data: dir}).stop()
	for name, spoil := range map[string]func(path string){
		databaseFile:           func(p string) { os.Truncate(p, 1000) },
		operatorFile:           func(p string) { os.Remove(p) },
		operatorFile + " ":     func(p string) { os.WriteFile(strings.TrimSpace(p), make([]byte, 32), 0o600) },
		operatorFile + "  ":    func(p string) { os.Truncate(strings.TrimSpace(p), 7) },
		tlsFolder + "/key.pem": func(p string) { os.Truncate(p, 20) },
		databaseFile + " ": func(p string) {
			b, _ := os.ReadFile(strings.TrimSpace(p))
			for i := 4096; i < len(b); i += 512 {
				b[i] ^= 0x55
			}
			os.WriteFile(strings.TrimSpace(p), b, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			spoil(filepath.Join(copied, name))
			_, err := tryStart(t, Config{Data: copied})
			var hint *Error
			if !errors.As(err, &hint) || hint.Hint() == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}
