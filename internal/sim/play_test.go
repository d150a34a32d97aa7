package sim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"
	_ "unsafe" // for linkname

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

var (
	seedFlag = flag.Uint64("seed", 0, "run every scenario with this seed only")
	runsFlag = flag.Int("runs", envRuns(), "seeds per scenario (HUIS_SIM_RUNS)")
	longFlag = flag.Bool("long", false, "many seeds and longer runs")
	echoFlag = flag.Bool("echo", false, "print the trace as it grows")
)

// chunkSealed sees the seals of files: see package files.
//
//go:linkname chunkSealed codeberg.org/huis/huis/internal/client/files.sealed
var chunkSealed func(key, nonce, stored []byte)

// traceShown is how many lines of the trace a failure prints.
const traceShown = 60

func envRuns() int {
	n, _ := strconv.Atoi(os.Getenv("HUIS_SIM_RUNS"))
	return n
}

// seeds are those this run of the tests plays: one, unless told otherwise.
func seeds() []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	n := *runsFlag
	if n == 0 && *longFlag {
		n = 50
	}
	out := []uint64{1}
	for s := uint64(2); len(out) < n; s++ {
		out = append(out, s)
	}
	return out
}

// play is one run of one scenario.
type play struct {
	*World
	t    *testing.T
	long bool
	path string // of the server's database, "" if it is in memory
	// helpExpected: devices may call for help; else a plea fails the run.
	helpExpected bool
	// insiders are modified clients, of which nothing is asked.
	insiders map[string]bool
	// lies: the server lies; SafetyErrors are expected and checked by the
	// scenario, and its members cannot agree.
	lies bool
	// loses: the operator ended a restored server's wait too early, so that some of
	// what was acknowledged is not there, and something else is in its place.
	loses bool
	// written are the recovery keys of people who lost all devices.
	written map[string]kt.RecoveryKey
}

// scenario is a story with all its assertions but those every run has.
type scenario struct {
	name string
	tell func(p *play)
	long bool // only in the long simulation, or by its seed
	disk bool // the server's store is the real file, not the one in memory
}

func (sc *scenario) store(t *testing.T) (store.Store, string, error) {
	if !sc.disk {
		return mem.New(), "", nil
	}
	path := filepath.Join(t.TempDir(), "huis.db")
	st, err := sqlite.Open(t.Context(), path)
	return st, path, err
}

func TestSim(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			if sc.long && !*longFlag && *seedFlag == 0 {
				t.Skip("part of `make sim`")
			}
			for _, seed := range seeds() {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { perform(t, sc, seed) })
			}
		})
	}
}

// perform plays a scenario once and judges it; it returns the trace's hash.
func perform(t *testing.T, sc scenario, seed uint64) (hash string) {
	t.Helper()
	p := open(t, sc, seed)
	defer p.end(sc)
	sc.tell(p)
	p.judge()
	p.report()
	return p.Sched.Trace.Hash()
}

func open(t *testing.T, sc scenario, seed uint64) *play {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	st, path, err := sc.store(t)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWorld(seed, st)
	if err != nil {
		t.Fatal(err)
	}
	mls.SetSealObserver(func(key, nonce, ciphertext []byte) { w.Seals.Sealed(w.actor(), key, nonce, ciphertext) })
	chunkSealed = func(key, nonce, stored []byte) { w.Seals.Repeatable(w.actor(), key, nonce, stored) }
	if *echoFlag {
		w.Sched.Trace.Echo = func(line string) { fmt.Println(line) }
	}
	return &play{World: w, t: t, long: *longFlag, path: path, insiders: make(map[string]bool), written: make(map[string]kt.RecoveryKey)}
}

func (p *play) end(sc scenario) {
	p.t.Helper()
	mls.SetSealObserver(nil)
	chunkSealed = nil
	if p.t.Failed() {
		p.t.Logf("seed %d; repeat: go test ./internal/sim -run 'TestSim/%s' -seed %d\n%s", p.Seed, sc.name, p.Seed, p.Sched.Trace.Tail(traceShown))
	}
	if err := p.Close(); err != nil {
		p.t.Error(err)
	}
}

// judge lets the world come to rest and checks every invariant.
func (p *play) judge() {
	p.t.Helper()
	if p.lies {
		for _, v := range p.Seals.Violations() {
			p.t.Error(v)
		}
		return
	}
	p.must(p.Settle(3 * time.Hour))
	e, err := p.Evidence()
	p.must(err)
	e.Excepted = p.insiders
	for _, d := range p.Devices() {
		if d.Gone {
			e.Excepted[d.Name] = true
		}
	}
	found := slices.DeleteFunc(append(Check(e), p.Net.seen.found...), func(v Violation) bool {
		return p.loses && (v.Check == "acked" || v.Check == "log" && strings.Contains(v.Text, "had two entries"))
	})
	if len(found) > 0 {
		p.t.Log("the logs; in brackets who shows a message:")
		for _, conv := range sortedIDs(e.Logs) {
			p.t.Log("\n" + Describe(e, conv))
		}
	}
	for i, v := range found {
		if i == 12 {
			p.t.Errorf("and more")
			break
		}
		p.t.Error(v)
	}
	p.nothingUnexpected()
	if p.Seals.Count == 0 || p.Seals.Tracked() == 0 && len(p.promises) > 0 {
		p.t.Errorf("the seal recorder saw %d seals, %d of them leave: it is not connected", p.Seals.Count, p.Seals.Tracked())
	}
}

// nothingUnexpected: no device stopped for safety and none called for help
// unless the scenario provokes it.
func (p *play) nothingUnexpected() {
	p.t.Helper()
	for _, d := range p.Devices() {
		for _, s := range d.Safety {
			p.t.Errorf("%s stopped before an honest server: %v", d.Name, s)
		}
	}
	if len(p.Net.seen.pleas) > 0 && !p.helpExpected {
		for _, plea := range p.Net.seen.pleas {
			p.t.Errorf("%s called for help (notice %d) in conversation %v at %d", plea.Device, plea.Type, plea.Conversation, plea.Seq)
		}
	}
}

// report says what a run amounted to, for go test -v.
func (p *play) report() {
	p.t.Helper()
	crashes := 0
	for _, d := range p.Devices() {
		crashes += d.crashes
	}
	p.t.Logf("%v of fake time, %d requests, %d log entries in %d conversations, %d messages taken, %d kills of devices, %d of the server, %d seals, %d keys sent",
		p.Sched.Now().Sub(Start).Round(time.Second), p.Net.calls, p.Net.seen.entries(), len(p.Net.seen.logs), len(p.promises), crashes, p.Server.Crashes, p.Seals.Count, p.Seals.Tracked())
}

func (p *play) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// people lets each of them join with one device.
func (p *play) people(handles ...string) {
	p.t.Helper()
	for _, h := range handles {
		_, err := p.Join(h)
		p.must(err)
	}
}

func (p *play) dev(name string) *Device {
	p.t.Helper()
	d := p.Device(name)
	if d == nil {
		p.t.Fatalf("no device %s", name)
	}
	return d
}

// chat makes a group and waits until every named person's devices are in it.
func (p *play) chat(by, name string, handles ...string) {
	p.t.Helper()
	p.must(p.Do(p.dev(by), "new chat "+name, newChat(name, handles...)))
	p.rest(time.Minute)
}

func newChat(name string, handles ...string) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error {
		_, err := c.NewChat(ctx, name, handles)
		if errors.Is(err, client.ErrExists) {
			return nil // made before a crash
		}
		return err
	}
}

func add(chat string, handles ...string) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error { return c.AddMembers(ctx, chat, handles) }
}

func remove(chat string, handles ...string) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error { return c.RemoveMembers(ctx, chat, handles) }
}

func leave(chat string) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error { return c.Leave(ctx, chat) }
}

// rest lets the world go on for d of fake time.
func (p *play) rest(d time.Duration) {
	p.t.Helper()
	p.must(p.Sched.RunFor(d))
}

// say lets each device send one message to the chat, all at once, and waits.
func (p *play) say(chat string, devices ...string) {
	p.t.Helper()
	var ops []*Op
	for _, name := range devices {
		ops = append(ops, p.Send(p.dev(name), chat))
	}
	p.must(p.Wait(ops...))
}

// tolerate waits for operations that may be killed or refused.
func (p *play) tolerate(ops ...*Op) {
	p.t.Helper()
	p.must(p.Sched.RunUntil(func() bool {
		for _, o := range ops {
			if !o.Done {
				return false
			}
		}
		return true
	}, 6*time.Hour))
}

// pleas counts the calls for help of one kind.
func (p *play) pleas(kind proto.NoticeType) (n int) {
	for _, plea := range p.Net.seen.pleas {
		if plea.Type == kind {
			n++
		}
	}
	return n
}
