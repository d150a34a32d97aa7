package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var (
	binary = flag.String("huis", "", "the huis program to test; built if empty")
	long   = flag.Bool("long", false, "run the long soak")
	report = flag.String("report", "", "write what the soak found to this file")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(lyingKey) != "" { // started again as a witness
		lie()
	}
	if os.Getenv(insideKey) != "" { // started again in a namespace of its own
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "huis-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	if *binary == "" {
		*binary, err = Build(dir)
	}
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// house is a server in a folder of its own, started.
func house(t *testing.T) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{Huis: *binary, Data: filepath.Join(dir, "data"), Log: filepath.Join(dir, "server.log"), Peaks: &Peaks{}}
	t.Cleanup(s.Kill)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// must runs a command that has to succeed.
func must(t *testing.T, d *Device, args ...string) []Object {
	t.Helper()
	out, err := d.Run(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// text is a field of an object.
func text(t *testing.T, o Object, field string) string {
	t.Helper()
	v, ok := o[field].(string)
	if !ok {
		t.Fatalf("%s is not a text in %v", field, o)
	}
	return v
}

// join makes the account handle by an invitation; the first comes from the
// server, the others from the device admin.
func join(t *testing.T, s *Server, admin *Device, handle string) (*Device, Object) {
	t.Helper()
	invite := s.Invite
	if admin != nil {
		invite = text(t, must(t, admin, "invite")[0], "invite")
	}
	d := s.NewDevice(t.TempDir(), handle)
	return d, must(t, d, "join", invite, "--handle", handle)[0]
}

// further links one more device to the account of old.
func further(t *testing.T, s *Server, old *Device, handle string) *Device {
	t.Helper()
	d := s.NewDevice(t.TempDir(), handle+"-more")
	server := text(t, must(t, old, "status")[0], "server")
	code, ended := make(chan string, 2), make(chan error, 1)
	go func() {
		ended <- d.Stream(func(o Object) {
			if c, ok := o["code"].(string); ok {
				select {
				case code <- c:
				default:
				}
			}
		}, "link", server, "--handle", handle)
	}()
	select {
	case c := <-code:
		must(t, old, "approve", c)
	case err := <-ended:
		t.Fatalf("link ended without a code: %v", err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return d
}
