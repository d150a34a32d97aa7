package kt

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/kt"
)

var (
	report   = flag.String("report", "", "file to write all figures to, as a document; the plot goes beside it")
	accounts = flag.Int("accounts", 1_000_000, "the largest number of accounts")
)

// figure is what is measured at one number of accounts.
type figure struct {
	n                      int
	siblings               float64 // mean
	bytes, most            float64 // mean and largest of a lookup
	memory                 float64 // bytes an account
	read                   time.Duration
	prove, check, known    time.Duration
	update                 time.Duration // of batches of 4,096
	audit                  time.Duration // a day's
	auditUpdates, auditMiB float64
	auditHashes            float64 // an update
}

// batchSize is that of a busy server's epochs: the writer takes at most so many.
const batchSize = 4096

// epochsADay is one each 48 seconds.
const epochsADay = 1800

func measure(t testing.TB, n int) (f figure) {
	w := grow(t, n)
	f.n, f.memory = n, float64(w.bytes)/float64(n)
	m := w.replay.Map()
	f.siblings = siblings(m, n)
	f.sizes(w)
	f.read = readTime(w.bytes)
	samples := min(n, 1<<16)
	xs := make([]kt.Index, samples)
	for i := range xs {
		xs[i] = indexOf(people + i*((n-people)/samples))
	}
	f.prove = cost(5, samples, func(i int) { m.Prove(xs[i%samples]) })
	f.checks(t, w)
	k := min(batchSize, n/4)
	batches := make([][]kt.BatchEntry, 5)
	for i := range batches {
		batches[i] = w.updates(m, i, k)
	}
	f.update = cost(5, 1, func(i int) { changed(m, batches[i]) }) / time.Duration(k)
	f.day(t, w)
	return f
}

func siblings(m kt.Map, n int) float64 {
	total, samples := 0, min(n-people, 4096)
	for i := range samples {
		total += len(m.Prove(indexOf(people + i*((n-people)/samples))).Path)
	}
	return float64(total) / float64(samples)
}

func (f *figure) sizes(w *world) {
	for i := range people {
		b := float64(size(w.proofOf(i)))
		f.bytes, f.most = f.bytes+b/people, max(f.most, b)
	}
}

// checks measures what a client does for a new contact, and for a known one.
func (f *figure) checks(t testing.TB, w *world) {
	root, y := w.replay.Map().Root(), w.vrf.Public()
	proofs := make([]kt.LabelProof, people)
	xs := make([]kt.Index, people)
	for i := range proofs {
		proofs[i] = w.proofOf(i)
		_, out := w.vrf.Prove(kt.MapLabel(kt.KindAccount, label(i)))
		xs[i] = kt.MapIndex(out)
	}
	f.check = cost(5, people, func(i int) {
		leaf, err := proofs[i%people].Verify(y, kt.KindAccount, label(i%people), root, [][]byte{value})
		if err != nil || leaf == nil {
			t.Fatal("the proof does not verify", err)
		}
	})
	f.known = cost(5, people*100, func(i int) {
		if leaf, err := proofs[i%people].Map.Verify(root, xs[i%people]); err != nil || leaf == nil {
			t.Fatal("the proof does not verify", err)
		}
	})
}

// day measures a tenth of a day of an auditor's replay: every account changes
// once a month.
func (f *figure) day(t testing.TB, w *world) {
	const epochs = epochsADay / 10
	k := max(1, f.n/30/epochsADay)
	m := w.replay.Map()
	r := w.replay
	f.auditUpdates = float64(k * epochsADay)
	f.auditHashes = math.Log2(float64(f.n)/float64(k)) + 2 + 2 // the map's, and the batch's
	var spent time.Duration
	bytes := 0
	for i := range epochs {
		batch := w.updates(m, 100+i, k)
		w.replay = r
		record, _ := w.record(m, batch)
		bytes += len(record.Encode()) + len(batch)*kt.BatchEntrySize
		start := cpuTime()
		next, err := r.Apply(record, batch)
		if err != nil {
			t.Fatal(err)
		}
		spent += cpuTime() - start
		r, m = next, next.Map()
	}
	f.audit, f.auditMiB = spent*10, float64(bytes)*10/(1<<20)
}

// TestFigures measures little and judges what does not depend on the machine:
// growth is logarithmic, and a lookup at 10^8 accounts stays below 1,100 bytes.
func TestFigures(t *testing.T) {
	for _, n := range []int{1000, 10_000, 30_000} {
		w := grow(t, n)
		want := math.Log2(float64(n)) + 1./3
		if got := siblings(w.replay.Map(), n); math.Abs(got-want) > 0.2 {
			t.Errorf("%d accounts: %.2f siblings, want %.2f", n, got, want)
		}
		var f figure
		f.sizes(w)
		if math.Abs(f.bytes-bytesFrom(float64(n))) > 40 {
			t.Errorf("%d accounts: a lookup has %.0f bytes, by structure %.0f", n, f.bytes, bytesFrom(float64(n)))
		}
		if perAccount := w.bytes / n; perAccount > 200 {
			t.Errorf("%d accounts: %d bytes each in memory", n, perAccount)
		}
		f.n = n
		f.checks(t, w)
		f.day(t, w)
	}
	if b := bytesFrom(1e8); b > 1100 {
		t.Errorf("a lookup at 10^8 accounts has %.0f bytes", b)
	}
}

// TestReport measures everything and writes docs/transparency.md and its plot.
func TestReport(t *testing.T) {
	if *report == "" {
		t.Skip("run with -report FILE")
	}
	debug.SetGCPercent(100)
	debug.SetMemoryLimit(7 << 29) // 3.5 GiB
	p := measurePrimitives()
	var all []figure
	for n := 1000; n <= *accounts; n *= 10 {
		f := measure(t, n)
		t.Logf("%+v", f)
		all = append(all, f)
		runtime.GC()
	}
	if err := os.WriteFile(*report, []byte(document(p, all)), 0o644); err != nil {
		t.Fatal(err)
	}
	svg := strings.TrimSuffix(*report, filepath.Ext(*report)) + ".svg"
	if err := os.WriteFile(svg, []byte(plot(p, all)), 0o644); err != nil {
		t.Fatal(err)
	}
}

const head = "# What transparency costs\n\n" +
	"Written by `go test ./bench/kt -run TestReport -report ../../docs/transparency.md -accounts 10000000 -timeout 0`.\n\n" +
	"The log of everybody's keys ([protocol.md](protocol.md), section 13a), measured at 10³ to\n" +
	"10⁷ accounts in one process. Times are processor time, garbage collection included, the\n" +
	"best of some batches; in brackets how many times the *floor* that is, of what was timed in\n" +
	"the same run on the same machine:\n\n"

func document(p primitives, all []figure) string {
	var b strings.Builder
	b.WriteString(head)
	fmt.Fprintf(&b, "- one SHA-256 of a map's node (67 bytes): %d ns; one Ed25519 verification: %.1f µs; signature: %.1f µs\n", p.Hash.Nanoseconds(), us(p.Verify), us(p.Sign))
	b.WriteString("- one read of memory whose place the read before it tells, in as much memory as the map has: as in the table\n\n")
	fmt.Fprintf(&b, "%s %s/%s, %d processors%s.\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), load())
	table(&b, p, all)
	fmt.Fprintf(&b, "\nBy the structure, which the measured ones follow, a lookup has 168 + 33 · (log₂ N + ⅓) bytes: "+
		"**%.0f at 10⁸ accounts**, %.0f at 10⁹. A client's work grows by one hash for each doubling.\n\n", bytesFrom(1e8), bytesFrom(1e9))
	b.WriteString("![A lookup's bytes and time grow with the logarithm of the number of accounts](transparency.svg)\n\n")
	b.WriteString(foot)
	return b.String()
}

const lookupCommand = "`go test ./bench/kt -run '^$' -bench Lookup`"

const foot = `| row | floor |
| --- | --- |
| proof, in process | as many dependent reads of memory as the proof has siblings |
| check of a new contact | 2 Ed25519 verifications (the VRF's two equations), siblings + 5 hashes |
| check of a known contact | siblings + 1 hashes |
| update, in batches of 4,096 | log₂(N / batch) + 2 hashes |
| audit of a day | for each update log₂(N / batch) + 2 hashes for the map and 2 for the batch; one signature a checkpoint |

A *new contact* is the VRF proof, the way in the map and all values of the label (one link
of 360 bytes here); a *known* one is the way alone. A *lookup*'s bytes leave out the values
themselves. *Memory* is the newest version of the map; older versions share all but what
changed. The *day* has 1,800 epochs and every account changes once in thirty days; a tenth
of it was measured.

Proofs and updates take as many steps as the logarithm says; what grows beside them is the
time of one read, since more of the map lies outside the processor's caches. The upper part
of the map stays in them, so that a proof may cost less than its floor. The row *proof* is the map alone.

## Through the directory

A lookup as the server answers it takes session, account, name and values out of the
database as well. Its VRF proof would cost more than all of that; it is computed once,
with the label's first value, and stored sealed. Nothing is stored by asking, and what is
not there is computed, so that no answer's time tells what others asked for.

| lookup, of 200 people in SQLite | µs of processor | a second and core |
| --- | --- | --- |
| VRF proof computed each time | 308 | 3,250 |
| VRF proof stored | 114 | 8,790 |

Measured with ` + lookupCommand + ` at a load of 11; what is left
is three reads of the database, a third of it their SQL being parsed.
`

func table(b *strings.Builder, p primitives, all []figure) {
	row := func(name string, cell func(f *figure) string) {
		fmt.Fprintf(b, "| %s |", name)
		for i := range all {
			fmt.Fprintf(b, " %s |", cell(&all[i]))
		}
		b.WriteByte('\n')
	}
	row("accounts", func(f *figure) string { return power(f.n) })
	fmt.Fprintf(b, "|%s\n", strings.Repeat(" --- |", len(all)+1))
	row("lookup, mean (largest) bytes", func(f *figure) string { return fmt.Sprintf("%.0f (%.0f)", f.bytes, f.most) })
	row("siblings; log₂ N + ⅓", func(f *figure) string { return fmt.Sprintf("%.2f; %.2f", f.siblings, math.Log2(float64(f.n))+1./3) })
	row("memory, bytes an account", func(f *figure) string { return fmt.Sprintf("%.0f", f.memory) })
	row("one dependent read, ns", func(f *figure) string { return fmt.Sprintf("%d", f.read.Nanoseconds()) })
	row("proof, in process, µs", func(f *figure) string { return ratio(f.prove, f.floorProve()) })
	row("proofs a second and core", func(f *figure) string { return rate(f.prove) })
	row("check of a new contact, µs", func(f *figure) string { return ratio(f.check, f.floorCheck(p)) })
	row("check of a known contact, µs", func(f *figure) string { return ratio(f.known, f.floorKnown(p)) })
	row("update, µs", func(f *figure) string { return ratio(f.update, f.floorUpdate(p)) })
	row("updates a second and core", func(f *figure) string { return rate(f.update) })
	row("audit of a day, s", func(f *figure) string {
		return fmt.Sprintf("%.2f (%.1f)", f.audit.Seconds(), f.audit.Seconds()/f.floorAudit(p).Seconds())
	})
	row("audit of a day, updates; MiB", func(f *figure) string { return fmt.Sprintf("%.0f; %.2f", f.auditUpdates, f.auditMiB) })
}

func (f *figure) floorProve() time.Duration { return times(f.siblings, f.read) }
func (f *figure) floorCheck(p primitives) time.Duration {
	return 2*p.Verify + times(f.siblings+5, p.Hash)
}
func (f *figure) floorKnown(p primitives) time.Duration { return times(f.siblings+1, p.Hash) }
func (f *figure) floorUpdate(p primitives) time.Duration {
	return times(math.Log2(float64(f.n)/float64(min(batchSize, f.n/4)))+2, p.Hash)
}
func (f *figure) floorAudit(p primitives) time.Duration {
	return times(f.auditUpdates*f.auditHashes, p.Hash) + p.Verify
}

func times(n float64, each time.Duration) time.Duration { return time.Duration(n * float64(each)) }
func us(d time.Duration) float64                        { return float64(d.Nanoseconds()) / 1000 }

func ratio(d, floor time.Duration) string {
	return fmt.Sprintf("%.2f (%.1f)", us(d), float64(d)/float64(max(1, floor)))
}

// rate is how often a second, to the thousand.
func rate(each time.Duration) string {
	k := int(math.Round(1e6 / float64(max(1, each.Nanoseconds()))))
	if k >= 1000 {
		return fmt.Sprintf("%d,%03d,000", k/1000, k%1000)
	}
	return fmt.Sprintf("%d,000", k)
}

func power(n int) string {
	digits := []string{"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"}
	return "10" + digits[int(math.Round(math.Log10(float64(n))))%10]
}

// load says how busy the machine was.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return ", load average " + strings.Fields(string(b))[0]
}
