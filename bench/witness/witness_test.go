// Package witness measures how long it takes from a change of somebody's devices
// until enough witnesses have cosigned the log with it: a server and three
// witnesses as processes, all honest, one killed, one that hangs.
package witness

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve/servetest"
	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/e2e"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

var (
	changes = flag.Int("changes", 40, "changes of each person, for each state of the witnesses")
	report  = flag.String("report", "", "file to write the figures to")
)

const (
	people = 5 // who change their devices at once
	quorum = 2 // of three
)

func start(b *testing.B, s *e2e.Server) *e2e.Server {
	b.Helper()
	b.Cleanup(s.Kill)
	if err := s.Start(); err != nil {
		b.Fatal(err)
	}
	return s
}

// rig is a server with three witnesses.
type rig struct {
	server    *e2e.Server
	witnesses []*e2e.Server
	keys      []kt.NoteKey
	log       kt.NoteKey
	people    []*servetest.Peer
}

func newRig(b *testing.B) *rig {
	b.Helper()
	dir := b.TempDir()
	huis, err := e2e.Build(dir)
	if err != nil {
		b.Fatal(err)
	}
	r := &rig{server: start(b, &e2e.Server{Huis: huis, Data: filepath.Join(dir, "data"), Log: filepath.Join(dir, "log")})}
	s := r.server
	for i := range 3 {
		name := fmt.Sprintf("w%d", i)
		w := start(b, &e2e.Server{Command: "witness", Huis: huis, Data: filepath.Join(dir, name), Log: filepath.Join(dir, name+".log"),
			Args: []string{"--name", name, "--log", s.URL + "#" + s.Fingerprint}})
		key, err := kt.ParseWitnessKey(w.Key)
		if err != nil {
			b.Fatal(err)
		}
		r.witnesses, r.keys = append(r.witnesses, w), append(r.keys, key)
		s.Args = append(s.Args, "--witness", w.URL)
	}
	s.Stop()
	start(b, s)
	r.join(b)
	return r
}

// join makes the people.
func (r *rig) join(b *testing.B) {
	b.Helper()
	invitation, err := client.ParseInvitation(r.server.Invite)
	if err != nil {
		b.Fatal(err)
	}
	token := invitation.Token
	for i := range people {
		net, err := dial.New(invitation.Server)
		if err != nil {
			b.Fatal(err)
		}
		p := servetest.NewPeer(b, net)
		p.Join(token, fmt.Sprintf("person%d", i))
		if r.people = append(r.people, p); i+1 < people {
			token = r.people[0].Invitation()
		}
	}
	var info proto.InfoResponse
	r.people[0].Call(client.Anonymous, proto.Info, &proto.InfoRequest{}, &info)
	r.log = kt.NoteKey{Name: info.Origin, Key: info.LogKey}
	r.ask(&info)
}

// ask puts the policy that asks for the quorum into the log.
func (r *rig) ask(info *proto.InfoResponse) {
	key, admin := kt.GeneratePolicyKey(), r.people[0]
	group := kt.WitnessGroup{Name: "enough", Threshold: quorum}
	for _, k := range r.keys {
		group.Members = append(group.Members, k.Name)
	}
	p := kt.Policy{Origin: r.log.Name, LogKey: r.log.Key, VRFKey: info.VRFKey, Witnesses: r.keys, Groups: []kt.WitnessGroup{group}, Quorum: "enough",
		Signers: []kt.PolicySigner{{Account: kt.AccountID(admin.Account), Key: key.Public()}}, M: 1}
	s := kt.SignedPolicy{Policy: p, Signatures: []kt.PolicySignature{key.Sign(&p, 0)}}
	admin.Call(client.Account, proto.PolicyPut, &proto.PolicyPutRequest{Session: admin.Session, Policy: s.Encode()}, &proto.Empty{})
}

// change makes one change and returns how long it took until a client that asks
// was shown a checkpoint with the change in it and a quorum under it.
func (r *rig) change(b *testing.B, p *servetest.Peer) (answered, witnessed time.Duration) {
	began := time.Now()
	p.Refresh()
	answered = time.Since(began)
	for {
		var head proto.LogHeadResponse
		p.Call(client.Anonymous, proto.LogHead, &proto.LogHeadRequest{}, &head)
		signed, err := kt.VerifyCheckpoint(head.Checkpoint, r.log, r.keys)
		if err != nil {
			b.Error(err)
			return answered, time.Since(began)
		}
		// The answer leaves when the change is in the log, so any head from now
		// on has it.
		if len(signed.Cosignatures) >= quorum || time.Since(began) > time.Minute {
			return answered, time.Since(began)
		}
	}
}

// measure has everybody change their devices, one change after the other.
func (r *rig) measure(b *testing.B, what string) string {
	var mu sync.Mutex
	var answered, witnessed []time.Duration
	var all sync.WaitGroup
	for _, p := range r.people {
		all.Go(func() {
			for range *changes {
				a, w := r.change(b, p)
				mu.Lock()
				answered, witnessed = append(answered, a), append(witnessed, w)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(answered)
	slices.Sort(witnessed)
	line := fmt.Sprintf("| %s | %d | %s | %s | %s | %s |\n", what, len(witnessed), at(answered, 0.5), at(witnessed, 0.5), at(witnessed, 0.99), at(witnessed, 1))
	b.Log(line)
	return line
}

func at(d []time.Duration, share float64) time.Duration {
	return d[int(share*float64(len(d)-1))].Round(time.Millisecond)
}

func BenchmarkChangeToWitnessed(b *testing.B) {
	r := newRig(b)
	text := r.measure(b, "three witnesses")
	r.witnesses[0].Kill()
	text += r.measure(b, "one killed")
	if err := r.witnesses[0].Start(); err != nil {
		b.Fatal(err)
	}
	pid := r.witnesses[1].Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		b.Fatal(err)
	}
	text += r.measure(b, "one hangs")
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		b.Fatal(err)
	}
	if *report == "" {
		return
	}
	load, _ := os.ReadFile("/proc/loadavg")
	about := fmt.Sprintf("\n%s, %d processors, %s/%s, load %s; server, witnesses and clients run on the same machine. %d people change their devices at once, each one change after the other; *witnessed* is when a client that asks is shown a checkpoint with the change in it and %d of 3 cosignatures under it. Of it 100 ms are the time in which the server gathers changes into one epoch. With a quorum there, a change waits half a second at most for the others.\n\nMade by `go test ./bench/witness -run '^$' -bench . -benchtime 1x -args -report $PWD/bench/witness/figures.md`.\n",
		runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, strings.Join(strings.Fields(string(load))[:2], ", "), people, quorum)
	head := "# From a change to its witnesses\n\n| witnesses | changes | answered p50 | witnessed p50 | witnessed p99 | most |\n| --- | --- | --- | --- | --- | --- |\n"
	if err := os.WriteFile(*report, []byte(head+text+about), 0o644); err != nil {
		b.Fatal(err)
	}
}
