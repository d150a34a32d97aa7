package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/e2e/canary"
)

// memoryLimit is what server and client may hold at most, in bytes.
const memoryLimit = 200 << 20

// soakSize is how much one run does.
type soakSize struct {
	messages int
	files    []int64       // sizes in bytes
	every    time.Duration // mean time between two kills
}

func sizeOfSoak() soakSize {
	size := soakSize{messages: 100, every: 2 * time.Second}
	count, total := 5, int64(20<<20)
	if *long {
		size = soakSize{messages: 1000, every: 3 * time.Second}
		count, total = 20, 200<<20
		size.files = append(size.files, 1<<30)
		count--
	}
	parts := int64(count * (count + 1) / 2)
	for i := range count { // total in all, in growing odd sizes
		size.files = append(size.files, total*int64(i+1)/parts+int64(i*i))
	}
	return size
}

// parcel is one message of the soak and what has to arrive.
type parcel struct {
	chat string // as its sender calls it
	to   string // the conversation's name in the report
	text string
	file string // path, "" without
	sum  string // sha256 of the file, hex
}

// soak is the whole of a run.
type soak struct {
	t       *testing.T
	size    soakSize
	server  *Server
	devices []*Device // two of alice, one of bob
	handles []string
	scan    canary.Scanner
	dir     string
	group   string // its name

	kills, starts atomic.Int64
	spared        [3]atomic.Bool // devices that are not killed just now
	stop          chan struct{}
}

// TestSoak: three devices of two accounts exchange messages and attachments
// while server and clients are killed; everything arrives once, in the same
// order for all, byte for byte, and the server's disk holds none of it.
func TestSoak(t *testing.T) {
	began := time.Now()
	s := newSoak(t)
	parcels := s.parcels()
	t.Logf("set up in %v", time.Since(began).Round(time.Second))
	sending := time.Now()
	s.run(parcels)
	took := time.Since(sending)
	t.Logf("sent in %v, %d kills", took.Round(time.Second), s.kills.Load())
	s.verify(parcels)
	s.memory()
	s.dump()
	if *report != "" && !t.Failed() {
		s.write(*report, began, took)
	}
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t, size: sizeOfSoak(), server: house(t), dir: t.TempDir(), stop: make(chan struct{})}
	group := "group " + s.secret("the group's name")
	alice, _ := join(t, s.server, nil, "alice")
	bob, _ := join(t, s.server, alice, "bob")
	must(t, alice, "chat", "new", group, "@bob")
	second := further(t, s.server, alice, "alice")
	s.devices, s.handles = []*Device{alice, second, bob}, []string{"alice", "alice", "bob"}
	s.group = group
	return s
}

// secret is a fresh canary that must not be found on the server.
func (s *soak) secret(what string) string {
	c := canary.New()
	if err := s.scan.Add(what, []byte(c)); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// parcels makes all messages, each device's own: half into the group, half one
// to one.
func (s *soak) parcels() [][]parcel {
	all := make([][]parcel, len(s.devices))
	direct := []string{"@bob", "@bob", "@alice"}
	for i := range s.size.messages {
		from := i % len(s.devices)
		p := parcel{chat: s.group, to: "group", text: fmt.Sprintf("message %d %s", i, s.secret("a text"))}
		if i/len(s.devices)%2 == 1 {
			p.chat, p.to = direct[from], "direct"
		}
		all[from] = append(all[from], p)
	}
	for i, size := range s.size.files {
		from := i % len(s.devices)
		at := len(all[from]) * (i + 1) / (len(s.size.files) + 1)
		p := &all[from][at]
		p.file, p.sum = s.file(i, size)
	}
	return all
}

// file writes an attachment of noise with a canary in each MiB.
func (s *soak) file(i int, size int64) (path, sum string) {
	name := fmt.Sprintf("plan %d %s.bin", i, s.secret("a file's name"))
	inside := []byte(s.secret("a file's bytes"))
	path = filepath.Join(s.dir, name)
	f, err := os.Create(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	noise := rand.NewChaCha8([32]byte{byte(i), byte(size)})
	block := make([]byte, 1<<20)
	for left := size; left > 0; left -= int64(len(block)) {
		block = block[:min(left, 1<<20)]
		noise.Read(block)
		copy(block, inside)
		h.Write(block)
		if _, err := f.Write(block); err != nil {
			s.t.Fatal(err)
		}
	}
	digest := h.Sum(nil)
	if err := s.scan.Add("a file's digest", digest); err != nil {
		s.t.Fatal(err)
	}
	return path, hex.EncodeToString(digest)
}

// run sends everything while the killer is about.
func (s *soak) run(parcels [][]parcel) {
	var senders, others sync.WaitGroup
	for i, d := range s.devices {
		senders.Go(func() {
			for _, p := range parcels[i] {
				if err := s.send(i, p); err != nil {
					s.t.Errorf("%s: %v", s.handles[i], err)
					return
				}
			}
		})
		follower := &Device{Huis: d.Huis, Profile: d.Profile, Peaks: d.Peaks}
		others.Go(func() { s.follow(follower) })
		others.Go(func() { s.killer(func() bool { return follower.Kill() > 0 }, 4*s.size.every) })
		others.Go(func() { s.killer(func() bool { return !s.spared[i].Load() && d.Kill() > 0 }, 4*s.size.every) })
	}
	others.Go(func() { s.killer(s.restart, 3*s.size.every) })
	senders.Wait()
	close(s.stop)
	others.Wait()
}

// killer calls kill at random times, mean apart; kill says whether it met anyone.
func (s *soak) killer(kill func() bool, mean time.Duration) {
	for {
		select {
		case <-s.stop:
			return
		case <-time.After(mean/2 + rand.N(mean)):
			if kill() {
				s.kills.Add(1)
			}
		}
	}
}

// restart kills the server and starts it again after a moment.
func (s *soak) restart() bool {
	s.server.Kill()
	time.Sleep(rand.N(300 * time.Millisecond))
	if err := s.server.Start(); err != nil {
		s.t.Error(err)
	}
	s.starts.Add(1)
	return true
}

// follow keeps a `read --follow` running; what it prints has to be in order.
func (s *soak) follow(d *Device) {
	done := make(chan struct{})
	go func() {
		select {
		case <-s.stop:
		case <-done:
			return
		}
		for {
			d.Interrupt()
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	defer close(done)
	for {
		last := -1.0
		err := d.Stream(func(o Object) {
			if seq, ok := o["seq"].(float64); !ok || seq <= last {
				s.t.Errorf("--follow: seq %v after %v", o["seq"], last)
			} else {
				last = seq
			}
		}, "read", s.group, "--follow")
		select {
		case <-s.stop:
			return
		case <-time.After(50 * time.Millisecond):
		}
		if f := (*Failure)(nil); errors.As(err, &f) && f.Code == 3 {
			s.t.Error(err)
		}
	}
}

// mercy is how often the sender of one message is killed at most, so that a
// slow machine gets through with a large file too.
const mercy = 6

// send sends a parcel as a careful program does: after a kill it looks whether
// the message was kept before it sends again.
func (s *soak) send(device int, p parcel) error {
	d := s.devices[device]
	defer s.spared[device].Store(false)
	args := []string{"send", p.chat, p.text}
	if p.file != "" {
		args = append(args, "--file", p.file)
	}
	for try := 0; ; try++ {
		_, err := d.One(args...)
		if err == nil {
			return nil
		}
		var f *Failure
		if !errors.As(err, &f) || !f.Killed() {
			return err
		}
		s.spared[device].Store(try+1 >= mercy)
		kept, err := s.kept(d, p)
		if err != nil || kept {
			return err
		}
	}
}

// kept tells whether the device holds the message, in the log or its outbox.
func (s *soak) kept(d *Device, p parcel) (bool, error) {
	for try := 0; ; try++ {
		found := false
		err := d.Stream(func(o Object) { found = found || o["body"] == p.text }, "read", p.chat)
		if found {
			return true, nil
		}
		var status Object
		if err == nil {
			status, err = d.One("status")
		}
		var f *Failure
		switch {
		case err == nil && status["outbox"] == 0.0:
			// It may have gone out between the two looks.
			err = d.Stream(func(o Object) { found = found || o["body"] == p.text }, "read", p.chat)
			if err == nil {
				return found, nil
			}
		case err != nil && !errors.As(err, &f):
			return false, err
		case err != nil && f.Code > 1, try > 200:
			return false, fmt.Errorf("asking whether a message was kept: %w", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// arrived is one line of a transcript, the same on all devices.
type arrived struct {
	Seq                        float64
	ID, From, Device, Kind     string
	Body, Attachments, Problem string
}

// transcript reads a conversation on a device, saving its attachments.
func (s *soak) transcript(d *Device, chat string) []arrived {
	save := filepath.Join(s.dir, "saved", filepath.Base(d.Profile), strings.TrimPrefix(chat, "@"))
	var lines []arrived
	for _, o := range must(s.t, d, "read", chat, "--save", save) {
		a := arrived{
			Seq: o["seq"].(float64), ID: text(s.t, o, "id"), From: text(s.t, o, "from"),
			Device: text(s.t, o, "device"), Kind: text(s.t, o, "kind"), Body: text(s.t, o, "body"),
		}
		for _, x := range o["attachments"].([]any) {
			x := x.(Object)
			a.Attachments += fmt.Sprintf("%v %v\n", x["name"], x["sha256"])
			if got := digest(s.t, text(s.t, x, "path")); got != x["sha256"] {
				a.Problem = fmt.Sprintf("%v saved with digest %s", x["name"], got)
			}
		}
		lines = append(lines, a)
	}
	os.RemoveAll(save)
	return lines
}

func digest(t *testing.T, path string) string {
	t.Helper()
	var s streamDigest
	if err := s.file(path); err != nil {
		t.Fatal(err)
	}
	return s.hex
}

// verify compares the transcripts of all devices with each other and with what
// was sent.
func (s *soak) verify(parcels [][]parcel) {
	chats := map[string][]string{
		"group":  {s.group, s.group, s.group},
		"direct": {"@bob", "@bob", "@alice"},
	}
	for name, chat := range chats {
		first := s.transcript(s.devices[0], chat[0])
		for i, d := range s.devices[1:] {
			if other := s.transcript(d, chat[i+1]); !slices.Equal(first, other) {
				s.t.Errorf("%s differs between devices 1 and %d:\n%v", name, i+2, differences(first, other))
			}
		}
		s.verifyOnce(name, first, parcels)
	}
}

func (s *soak) verifyOnce(name string, got []arrived, parcels [][]parcel) {
	count := make(map[string]int)
	for _, a := range got {
		if a.Problem != "" {
			s.t.Errorf("%s: %s", name, a.Problem)
		}
		if a.Kind == "system" {
			continue
		}
		count[a.From+"\x00"+a.Body+"\x00"+a.Attachments]++
	}
	for i, mine := range parcels {
		for _, p := range mine {
			if p.to != name {
				continue
			}
			want := s.handles[i] + "\x00" + p.text + "\x00"
			if p.file != "" {
				want += filepath.Base(p.file) + " " + p.sum + "\n"
			}
			if count[want] != 1 {
				s.t.Errorf("%s: %.20q of %s arrived %d times", name, p.text, s.handles[i], count[want])
			}
			delete(count, want)
		}
	}
	for extra, n := range count {
		s.t.Errorf("%s: nobody sent %.60q, which arrived %d times", name, extra, n)
	}
}

// differences shows the first places where two transcripts part.
func differences(a, b []arrived) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%d and %d messages\n", len(a), len(b))
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			fmt.Fprintf(&out, "at %d: %.300v\n  and: %.300v\n", i, a[i], b[i])
			break
		}
	}
	return out.String()
}

// memory holds every process to the limit.
func (s *soak) memory() {
	s.server.Stop()
	for kind, peak := range s.server.Peaks.Kinds() {
		if peak > memoryLimit {
			s.t.Errorf("%s held %d MiB", kind, peak>>20)
		}
	}
	if s.server.Peaks.Max("server") == 0 || s.server.Peaks.Max("send") == 0 {
		s.t.Error("no memory was measured")
	}
}

// dump searches what the server left behind for everything that was said.
func (s *soak) dump() {
	if err := s.server.Start(); err != nil { // killed, so that its write-ahead log is there too
		s.t.Fatal(err)
	}
	s.server.Kill()
	searchDump(s.t, &s.scan, s.server)
}

const soakHead = `# The long soak

Written by %s; the short form is part of %s.

Three devices of two people send at once, each followed by a %s. Server, senders
and followers are killed at random times. After a kill a sender looks whether its
message was kept, and sends it again if not; the sender of one message is killed
six times at most, so that a slow machine gets through with a large file too.

| what | figure |
| --- | --- |
`

func (s *soak) write(name string, began time.Time, took time.Duration) {
	var b strings.Builder
	fmt.Fprintf(&b, soakHead, "`make soak`", "`make test`", "`read --follow`")
	row := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
	}
	var bytes int64
	for _, n := range s.size.files {
		bytes += n
	}
	row("date", "%s", began.UTC().Format("2006-01-02"))
	row("devices, accounts", "3, 2")
	row("messages", "%d, half in a group, half one to one", s.size.messages)
	row("attachments", "%d, %.1f MiB in all, the largest %d MiB", len(s.size.files), float64(bytes)/(1<<20), slices.Max(s.size.files)>>20)
	row("kill -9", "%d, of these the server %d; one every %.1f s", s.kills.Load(), s.starts.Load(), took.Seconds()/float64(s.kills.Load()))
	row("time for sending", "%v", took.Round(time.Second))
	row("time with comparing and searching", "%v", time.Since(began).Round(time.Second))
	for _, kind := range slices.Sorted(mapKeys(s.server.Peaks.Kinds())) {
		row("most memory of `"+kind+"`", "%d MiB (limit %d)", s.server.Peaks.Max(kind)>>20, memoryLimit>>20)
	}
	row("arrived", "every message once, in the same order on the three devices, every attachment byte for byte")
	row("plaintext found on the server's disk or in its log", "none (the search finds what is planted)")
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		s.t.Error(err)
	}
}
