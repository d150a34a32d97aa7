package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// insideKey tells the test's own program that it was started again inside a
// network namespace that has only loopback.
const insideKey = "HUIS_E2E_INSIDE"

// TestEgressFree: server and clients do their whole work in a network namespace
// with only loopback, and no system call of theirs names an address outside.
func TestEgressFree(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		NotChecked("that nothing leaves for a third party", "no strace: scripts/setup")
		return
	}
	if out, err := inNamespace("true").CombinedOutput(); err != nil {
		NotChecked("that nothing leaves for a third party", fmt.Sprintf("no network namespace: %v %s", err, out))
		return
	}
	for _, inside := range []string{"TestInsideWatchSeesEgress", "TestInsideWholeWork"} {
		cmd := inNamespace(os.Args[0], "-test.run", "^"+inside+"$", "-test.v", "-huis", *binary)
		cmd.Env = append(os.Environ(), insideKey+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+inside) {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// inNamespace runs a command where there is no network but loopback.
func inNamespace(command ...string) *exec.Cmd {
	const up = `ip link set lo up && exec "$@"`
	args := []string{"--net", "sh", "-c", up, "sh"}
	if os.Getuid() != 0 {
		args = append([]string{"--user", "--map-root-user"}, args...)
	}
	return exec.Command("unshare", append(args, command...)...)
}

// watch is strace in front of a program; it writes each call that names a peer.
func watch(trace string) []string {
	return []string{"strace", "-f", "-qq", "-A", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none", "-o", trace}
}

var (
	inet  = regexp.MustCompile(`sa_family=AF_INET6?,.*?(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")`)
	other = regexp.MustCompile(`sa_family=(AF_[A-Z0-9]+)`)
)

// outside gives the calls of a trace that name anything but loopback, and how
// many named loopback.
func outside(t *testing.T, trace string) (calls []string, loopback int) {
	t.Helper()
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := inet.FindStringSubmatch(line); m != nil {
			if net.ParseIP(m[1] + m[2]).IsLoopback() {
				loopback++
				continue
			}
			calls = append(calls, line)
		} else if m := other.FindStringSubmatch(line); m != nil && m[1] != "AF_UNSPEC" {
			calls = append(calls, line)
		}
	}
	return calls, loopback
}

// TestInsideWatchSeesEgress is the positive control: a program that looks up a
// name and connects outside is seen.
func TestInsideWatchSeesEgress(t *testing.T) {
	if os.Getenv(insideKey) == "" {
		return // part of TestEgressFree
	}
	if os.Getenv(insideKey) == "leak" {
		net.DialTimeout("tcp", "192.0.2.1:443", time.Second)
		return
	}
	trace := filepath.Join(t.TempDir(), "trace")
	line := append(watch(trace), os.Args[0], "-test.run", "^TestInsideWatchSeesEgress$")
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), insideKey+"=leak")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if calls, _ := outside(t, trace); len(calls) == 0 {
		t.Fatal("a connection to 192.0.2.1 was not seen")
	}
}

// TestInsideWholeWork does everything once under watch.
func TestInsideWholeWork(t *testing.T) {
	if os.Getenv(insideKey) == "" {
		return // part of TestEgressFree
	}
	dir := t.TempDir()
	traces := []string{filepath.Join(dir, "server.trace"), filepath.Join(dir, "client.trace")}
	s := &Server{Huis: *binary, Wrap: watch(traces[0]), Data: filepath.Join(dir, "data"), Log: filepath.Join(dir, "log")}
	t.Cleanup(s.Kill)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	wrapped := func(name string) *Device {
		d := s.NewDevice(dir, name)
		d.Wrap = watch(traces[1])
		return d
	}
	alice, bob := wrapped("alice"), wrapped("bob")
	must(t, alice, "join", s.Invite, "--handle", "alice")
	must(t, bob, "join", text(t, must(t, alice, "invite")[0], "invite"), "--handle", "bob")
	must(t, alice, "chat", "new", "house", "@bob")
	file := filepath.Join(dir, "plan.txt")
	if err := os.WriteFile(file, []byte("a plan"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Device{alice, bob} {
		must(t, d, "send", "house", "hello", "--file", file)
		must(t, d, "read", "house", "--save", filepath.Join(dir, "saved"))
		must(t, d, "status")
	}
	s.Stop()
	for i, trace := range traces {
		calls, loopback := outside(t, trace)
		for _, c := range calls {
			t.Errorf("%s: %s", filepath.Base(trace), c)
		}
		if i == 1 && loopback == 0 {
			t.Error("the client's connections to the server were not seen")
		}
	}
}
