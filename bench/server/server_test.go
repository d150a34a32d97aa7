// Package server measures a running server: memory, processor time and delays
// with a hundred devices connected that write every ten seconds.
package server

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve/servetest"
	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/proto"
)

var (
	lasting = flag.Duration("lasting", time.Minute, "how long the devices write")
	report  = flag.String("report", "", "file to write the figures to")
)

const (
	people     = 50
	ownDevices = 2
	rhythm     = 10 * time.Second // of each device's writing
	room       = 1000             // bytes of a message
	limit      = 256 << 20        // of the server's memory, in bytes
)

// process is a server in a process of its own.
type process struct {
	*exec.Cmd
	ready struct{ URL, Invite string }
}

func run(b *testing.B) *process {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "huis")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/huis").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	p := &process{Cmd: exec.Command(binary, "serve", "--json", "--data", b.TempDir(), "--listen", "127.0.0.1:0")}
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Process.Signal(os.Interrupt); p.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &p.ready) != nil {
		b.Fatalf("%q, %v", line, err)
	}
	return p
}

// memory is the most memory the process had resident so far, in bytes.
func (p *process) memory(b *testing.B) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		b.Skip("needs /proc: ", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return kib << 10
		}
	}
	b.Fatal("no VmHWM")
	return 0
}

// processor is the time the process has used, user and system.
func (p *process) processor(b *testing.B) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * (time.Second / 100)
}

// device is one connected device: it holds both push connections, writes into
// the group and reads what comes.
type device struct {
	*servetest.Seat
	read   uint64 // seq it has read up to
	hinted chan struct{}
}

func BenchmarkHundredDevices(b *testing.B) {
	for b.Loop() {
		measure(b)
	}
}

func measure(b *testing.B) {
	p := run(b)
	devices := connect(b, p)
	idle := p.memory(b)
	before := p.processor(b)
	ctx, cancel := context.WithTimeout(b.Context(), *lasting)
	defer cancel()
	var figures figures
	var all sync.WaitGroup
	for i, d := range devices {
		all.Go(func() { d.follow(ctx) })
		all.Go(func() { d.write(ctx, time.Duration(i)*rhythm/time.Duration(len(devices)), &figures) })
	}
	all.Wait()
	used := p.processor(b) - before
	sent := len(figures.delays)
	slices.Sort(figures.delays)
	most := p.memory(b)
	for _, d := range devices {
		if err := d.catchUp(); err != nil {
			b.Fatal(err)
		}
		if d.read != uint64(sent)+1 {
			b.Errorf("a device read up to %d of %d", d.read, sent+1)
		}
	}
	text := fmt.Sprintf("| %d | %s | %d | %d MB | %d MB | %.1f %% | %s | %s |\n", len(devices), *lasting, sent,
		idle>>20, most>>20, 100*used.Seconds()/lasting.Seconds(), figures.at(0.5), figures.at(0.99))
	b.Log("\n" + heading + text)
	b.ReportMetric(float64(most)/(1<<20), "MB")
	if most > limit {
		b.Errorf("the server took %d MB", most>>20)
	}
	if *report != "" {
		about := fmt.Sprintf("\n%s, %d processors, %s/%s, load %s; the clients run on the same machine. The delays are as good as the machine is idle; memory does not depend on it.\n\nMade by `go test ./bench/server -run '^$' -bench HundredDevices -benchtime 1x -args -lasting 3m -report $PWD/bench/server/figures.md`. Each of the devices (two of each of 50 people) holds both push connections, writes 1,000 bytes into one group every ten seconds, and reads what all others write.\n",
			runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, load())
		if err := os.WriteFile(*report, []byte("# A server with connected devices\n\n"+heading+text+about), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

// load is how many programs wanted a processor over the last minutes.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:2], ", ")
}

const heading = "| devices | time | messages | memory, connected | memory, most | processor | append p50 | append p99 |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n"

type figures struct {
	mu     sync.Mutex // guards delays
	delays []time.Duration
}

func (f *figures) add(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delays = append(f.delays, d)
}

func (f *figures) at(share float64) time.Duration {
	if len(f.delays) == 0 {
		return 0
	}
	return f.delays[int(share*float64(len(f.delays)-1))].Round(10 * time.Microsecond)
}

// connect makes the people, their devices and one group of all devices.
func connect(b *testing.B, p *process) []*device {
	b.Helper()
	invitation, err := client.ParseInvitation(p.ready.Invite)
	if err != nil {
		b.Fatal(err)
	}
	fresh := func() client.Transport {
		t, err := dial.New(invitation.Server)
		if err != nil {
			b.Fatal(err)
		}
		return t
	}
	admin := servetest.NewPeer(b, fresh())
	admin.Join(invitation.Token, "person0")
	peers := []*servetest.Peer{admin}
	for i := 1; i < people; i++ {
		one := servetest.NewPeer(b, fresh())
		one.Join(admin.Invitation(), fmt.Sprintf("person%d", i))
		peers = append(peers, one)
	}
	for _, first := range peers[:people] {
		for range ownDevices - 1 {
			peers = append(peers, first.AddDevice(fresh()))
		}
	}
	return seat(peers)
}

// seat puts every device into one conversation.
func seat(peers []*servetest.Peer) []*device {
	var keys []proto.MemberKey
	var seats []func(proto.ConversationID) *servetest.Seat
	for _, p := range peers[1:] {
		key, mk := servetest.NewKey()
		keys = append(keys, mk)
		seats = append(seats, func(id proto.ConversationID) *servetest.Seat { return p.Sit(id, key, 1) })
	}
	first := peers[0].Create(nil, keys...)
	devices := []*device{{Seat: first, hinted: make(chan struct{}, 1)}}
	for _, sit := range seats {
		devices = append(devices, &device{Seat: sit(first.ID), hinted: make(chan struct{}, 1)})
	}
	return devices
}

// follow listens on both lanes and reads at each hint.
func (d *device) follow(ctx context.Context) {
	account := proto.Subscribe{Sessions: []proto.SessionID{d.Peer.Session}}
	conversation := proto.Subscribe{Sessions: []proto.SessionID{d.Session}}
	go d.Net.Listen(ctx, client.Account, account, func(proto.Hint) {})
	go d.Net.Listen(ctx, client.Conversations, conversation, func(proto.Hint) {
		select {
		case d.hinted <- struct{}{}:
		default:
		}
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.hinted:
			d.catchUp()
		}
	}
}

func (d *device) catchUp() error {
	got, err := d.Read(d.read)
	if n := len(got); n > 0 {
		d.read = got[n-1].Receipt.Seq
	}
	return err
}

// write appends a message at each beat, the first after delay.
func (d *device) write(ctx context.Context, delay time.Duration, f *figures) {
	for timer := time.NewTimer(delay); ; timer.Reset(rhythm) {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		entry, began := d.Entry(room), time.Now()
		d.Append(entry)
		f.add(time.Since(began))
	}
}
