package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve"
)

// crash finds the traces of a Go program that broke.
var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |runtime error|goroutine \d+ \[|SIG[A-Z]+: )`)

// clearly checks that a run ended well or with an error a person can use.
func clearly(t *testing.T, what string, err error) {
	t.Helper()
	var f *Failure
	switch {
	case err == nil:
	case !errors.As(err, &f):
		t.Errorf("%s: %v", what, err)
	case crash.MatchString(f.Stderr), f.Code != 1 && f.Code != 3,
		!strings.Contains(f.Stderr, "huis: error: "), !strings.Contains(f.Stderr, "huis: hint: "):
		t.Errorf("%s: not a clear error: %v", what, f)
	}
}

// damage is one way a file can be harmed.
type damage struct {
	name string
	do   func(b []byte) []byte
}

// damages gives truncations and flipped bits, at places drawn from seed.
func damages(seed uint64, n int) []damage {
	r := rand.New(rand.NewPCG(seed, 1))
	all := []damage{
		{"emptied", func([]byte) []byte { return nil }},
		{"cut by one byte", func(b []byte) []byte { return b[:len(b)-1] }},
		{"cut in half", func(b []byte) []byte { return b[:len(b)/2] }},
		{"first page zeroed", func(b []byte) []byte { clear(b[:min(len(b), 4096)]); return b }},
	}
	for range n {
		at := r.Float64()
		bit := byte(1) << r.IntN(8)
		all = append(all, damage{fmt.Sprintf("bit %02x flipped at %.4f", bit, at), func(b []byte) []byte {
			b[int(at*float64(len(b)))] ^= bit
			return b
		}})
	}
	return all
}

// harm copies the folder from to a new one, with one file harmed.
func harm(t *testing.T, from, file string, d damage) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), filepath.Base(from))
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, file)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, d.do(b), info.Mode()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// talk is two people who said a few things.
func talk(t *testing.T) (s *Server, alice, bob *Device) {
	t.Helper()
	s = house(t)
	alice, _ = join(t, s, nil, "alice")
	bob, _ = join(t, s, alice, "bob")
	must(t, alice, "chat", "new", "kitchen", "@bob")
	for i := range 3 {
		must(t, alice, "send", "kitchen", fmt.Sprintf("question %d", i))
		must(t, bob, "send", "kitchen", fmt.Sprintf("answer %d", i))
	}
	return s, alice, bob
}

// TestDamagedProfile: a client whose store was harmed says so or shows all it
// had; it never shows less in silence and never breaks.
func TestDamagedProfile(t *testing.T) {
	s, alice, _ := talk(t)
	whole := must(t, alice, "read", "kitchen")
	for i, file := range []string{"state.db", "device.key"} {
		for _, d := range damages(uint64(i), 10) {
			what := file + " " + d.name
			harmed := &Device{Huis: s.Huis, Profile: harm(t, alice.Profile, file, d)}
			got, err := harmed.Run("read", "kitchen")
			clearly(t, what, err)
			if err == nil && !reflect.DeepEqual(got, whole) {
				t.Errorf("%s: %d of %d messages, and no error", what, len(got), len(whole))
			}
			_, err = harmed.Run("send", "kitchen", "after "+d.name)
			clearly(t, what+", send", err)
		}
	}
}

// TestDamagedServer: a server whose database was harmed does not start, and
// says why, or its clients notice, or nothing was lost.
func TestDamagedServer(t *testing.T) {
	s, alice, bob := talk(t)
	whole := must(t, bob, "read", "kitchen")
	must(t, alice, "read", "kitchen")
	s.Stop()
	for _, d := range damages(7, 12) {
		harmed := &Server{Huis: s.Huis, Data: harm(t, s.Data, "huis.db", d), Log: filepath.Join(t.TempDir(), "log"),
			Args: []string{"--listen", strings.TrimPrefix(s.URL, "https://")}}
		err := harmed.Start()
		log, rerr := os.ReadFile(harmed.Log)
		if rerr != nil {
			t.Fatal(rerr)
		}
		if crash.Match(log) {
			t.Errorf("huis.db %s: the server broke: %s", d.name, log)
		}
		if err != nil {
			if !strings.Contains(string(log), "huis: hint: ") {
				t.Errorf("huis.db %s: no hint: %v", d.name, err)
			}
			continue
		}
		got, err := bob.Run("read", "kitchen")
		clearly(t, "huis.db "+d.name, err)
		if err == nil && !reflect.DeepEqual(got, whole) {
			t.Errorf("huis.db %s: %d of %d messages, and no error", d.name, len(got), len(whole))
		}
		harmed.Kill()
		if log, _ := os.ReadFile(harmed.Log); crash.Match(log) {
			t.Errorf("huis.db %s: the server broke: %s", d.name, log)
		}
	}
}

// shifted is a clock that is wrong by a constant.
type shifted time.Duration

func (s shifted) Now() time.Time { return time.Now().Add(time.Duration(s)) }

// TestClockWrongByADay: server and clients disagree about the day; people join,
// talk and read all the same.
func TestClockWrongByADay(t *testing.T) {
	for _, by := range []time.Duration{26 * time.Hour, -26 * time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			s := started(t, func(c *serve.Config) { c.Clock = shifted(by) })
			alice, _ := join(t, s, nil, "alice")
			bob, _ := join(t, s, alice, "bob")
			must(t, alice, "chat", "new", "kitchen", "@bob")
			must(t, alice, "send", "kitchen", "what day is it?")
			must(t, bob, "send", "kitchen", "who knows")
			phone := further(t, s, alice, "alice")
			must(t, phone, "send", "kitchen", "it is today")
			if got := must(t, bob, "read", "kitchen"); !said(got, "what day is it?", "who knows", "it is today") {
				t.Errorf("%v", got)
			}
		})
	}
}

// said tells whether the texts, and no others, were said in this order.
func said(lines []Object, texts ...string) bool {
	var got []string
	for _, o := range lines {
		if o["kind"] == "text" {
			got = append(got, o["body"].(string))
		}
	}
	return reflect.DeepEqual(got, texts)
}

// TestDiskFull runs where it may mount small disks.
func TestDiskFull(t *testing.T) {
	mount := func(command ...string) *exec.Cmd {
		args := []string{"--mount"}
		if os.Getuid() != 0 {
			args = append(args, "--user", "--map-root-user")
		}
		return exec.Command("unshare", append(args, command...)...)
	}
	if out, err := mount("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", t.TempDir()).CombinedOutput(); err != nil {
		NotChecked("what a full disk does", fmt.Sprintf("no mount namespace: %v %s", err, out))
		return
	}
	for _, inside := range []string{"TestInsideServerDiskFull", "TestInsideClientDiskFull"} {
		cmd := mount(os.Args[0], "-test.run", "^"+inside+"$", "-test.v", "-huis", *binary)
		cmd.Env = append(os.Environ(), insideKey+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+inside) {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// smallDisk mounts a disk of so many MiB at dir.
func smallDisk(t *testing.T, dir string, mib int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=0700", mib), "tmpfs", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "--lazy", dir).Run() })
}

func fill(t *testing.T, name string, size int) string {
	t.Helper()
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(b)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestInsideServerDiskFull: the server's disk fills up with files; each refusal
// is clear, what was acknowledged stays, and with room again it goes on.
func TestInsideServerDiskFull(t *testing.T) {
	if os.Getenv(insideKey) == "" {
		return // part of TestDiskFull
	}
	dir := t.TempDir()
	s := &Server{Huis: *binary, Data: filepath.Join(dir, "data"), Log: filepath.Join(dir, "log"), Peaks: &Peaks{}}
	smallDisk(t, s.Data, 16)
	t.Cleanup(s.Kill)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	alice, _ := join(t, s, nil, "alice")
	bob, _ := join(t, s, alice, "bob")
	must(t, alice, "chat", "new", "kitchen", "@bob")
	must(t, alice, "send", "kitchen", "before")
	ballast := fill(t, filepath.Join(s.Data, "ballast"), 4<<20)
	file := fill(t, filepath.Join(dir, "large"), 6<<20)
	refused := 0
	for i := range 4 {
		_, err := alice.Run("send", "kitchen", fmt.Sprintf("file %d", i), "--file", file)
		clearly(t, "send", err)
		if err != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Fatal("24 MiB went onto a disk of 16")
	}
	for i := 1 << 20; i > 0; i /= 2 { // to the last block
		f, err := os.OpenFile(ballast, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			break
		}
		for err == nil {
			_, err = f.Write(make([]byte, i))
		}
		f.Close()
	}
	for range 3 {
		_, err := bob.Run("chat", "list")
		clearly(t, "chat list", err)
	}
	if log, _ := os.ReadFile(s.Log); crash.Match(log) {
		t.Fatalf("the server broke: %s", log)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	must(t, bob, "send", "kitchen", "room again")
	var before, after bool
	for _, o := range must(t, bob, "read", "kitchen") {
		before, after = before || o["body"] == "before", after || o["body"] == "room again"
	}
	if !before || !after {
		t.Errorf("before: %v, after: %v", before, after)
	}
}

// TestInsideClientDiskFull: the profile's disk is full; commands say so, and go
// on where they were when there is room.
func TestInsideClientDiskFull(t *testing.T) {
	if os.Getenv(insideKey) == "" {
		return // part of TestDiskFull
	}
	s := house(t)
	alice, _ := join(t, s, nil, "alice")
	bob := s.NewDevice(t.TempDir(), "bob")
	smallDisk(t, bob.Profile, 4)
	must(t, bob, "join", text(t, must(t, alice, "invite")[0], "invite"), "--handle", "bob")
	must(t, alice, "chat", "new", "kitchen", "@bob")
	must(t, bob, "chat", "list")
	ballast := filepath.Join(bob.Profile, "ballast")
	os.WriteFile(ballast, make([]byte, 8<<20), 0o600) // as much as there is room
	for i := range 3 {
		must(t, alice, "send", "kitchen", fmt.Sprintf("hello %d", i))
		_, err := bob.Run("send", "kitchen", fmt.Sprintf("never sent %d", i))
		clearly(t, "send", err)
		if err == nil {
			t.Error("a message was kept on a full disk")
		}
		_, err = bob.Run("read", "kitchen")
		clearly(t, "read", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	must(t, bob, "send", "kitchen", "room again")
	for _, d := range []*Device{alice, bob} {
		if got := must(t, d, "read", "kitchen"); !said(got, "hello 0", "hello 1", "hello 2", "room again") {
			t.Errorf("%v", got)
		}
	}
}
