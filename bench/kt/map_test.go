package kt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// cpuTime is what this process has used, garbage collection included: unlike the
// clock on the wall it does not depend on what else the machine does.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cost returns the processor time of one of n calls: the best of some batches.
func cost(batches, n int, f func(i int)) time.Duration {
	best := time.Duration(math.MaxInt64)
	for b := range batches {
		start := cpuTime()
		for i := range n {
			f(b*n + i)
		}
		best = min(best, (cpuTime()-start)/time.Duration(n))
	}
	return best
}

// primitives are what every figure is compared with.
type primitives struct{ Hash, Verify, Sign time.Duration }

func measurePrimitives() (p primitives) {
	node := make([]byte, 67) // 0x03, depth, left, right
	p.Hash = cost(10, 20_000, func(i int) { node[5] = byte(i); sha256.Sum256(node) })
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err)
	}
	sig := ed25519.Sign(key, node)
	public := key.Public().(ed25519.PublicKey)
	p.Verify = cost(10, 200, func(int) {
		if !ed25519.Verify(public, node, sig) {
			panic("signature")
		}
	})
	p.Sign = cost(10, 200, func(int) { ed25519.Sign(key, node) })
	return p
}

// readTime is one read of memory whose place is known only after the read
// before it, in as much memory as a map takes: what walking down a tree costs.
func readTime(bytes int) time.Duration {
	n := uint32(max(bytes/64, 64))
	next := make([]uint32, n*16) // one used of each cache line
	for i := range n {
		next[i*16] = i * 16
	}
	for i := n - 1; i > 0; i-- { // one cycle through all (Sattolo)
		j := rand.Uint32N(i)
		next[i*16], next[j*16] = next[j*16], next[i*16]
	}
	at := uint32(0)
	t := cost(5, 500_000, func(int) { at = next[at] })
	runtime.KeepAlive(at)
	return t
}

func indexOf(i int) kt.Index {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(i))
	return sha256.Sum256(b[:])
}

// people are accounts whose indexes come from the VRF, as all do on a server;
// the others' are drawn, since 10^7 proofs would take an hour.
const people = 64

// world is a log with so many accounts, and how it was made.
type world struct {
	replay kt.Replay
	n      int
	time   uint64
	vrf    *kt.VRFKey
	proofs [people]kt.VRFProof
	bytes  int // of memory for the map, all in all
}

func label(i int) []byte { return fmt.Appendf(nil, "account%d", i) }

var (
	value   = make([]byte, 360) // the largest link
	opening = kt.Opening{1}
)

// grow makes a log with n accounts, 65,536 an epoch.
func grow(t testing.TB, n int) *world {
	w := &world{vrf: kt.NewVRFKey([32]byte{1}), time: 1_800_000_000 / 86400 * 86400}
	before := heap()
	var batch []kt.BatchEntry
	for i := range n {
		e := kt.BatchEntry{Kind: kt.KindAccount, Index: indexOf(i), NewHead: kt.Hash{1}}
		if i < people {
			pi, out := w.vrf.Prove(kt.MapLabel(kt.KindAccount, label(i)))
			head, err := kt.LabelHead(kt.MapLabel(kt.KindAccount, label(i)), []kt.Opening{opening}, [][]byte{value})
			if err != nil {
				t.Fatal(err)
			}
			w.proofs[i], e.Index, e.NewHead = pi, kt.MapIndex(out), head
		}
		if batch = append(batch, e); len(batch) == kt.MaxBatch || i == n-1 {
			w.epoch(t, batch)
			batch = batch[:0]
		}
	}
	w.n, w.bytes = n, heap()-before
	return w
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// epoch takes a batch into the log.
func (w *world) epoch(t testing.TB, batch []kt.BatchEntry) {
	record, _ := w.record(w.replay.Map(), batch)
	next, err := w.replay.Apply(record, batch)
	if err != nil {
		t.Fatal(err)
	}
	w.replay = next
}

// record is the honest record of a batch on a map, and the map after it.
func (w *world) record(m kt.Map, batch []kt.BatchEntry) (kt.EpochRecord, kt.Map) {
	m = changed(m, batch)
	r := kt.EpochRecord{N: w.replay.Size(), Time: w.time, MapRoot: m.Root(), MapCount: uint64(m.Len()), BatchRoot: kt.BatchRoot(batch),
		BatchCount: uint32(len(batch)), VRFKeyHash: kt.HashVRFKey(w.vrf.Public())}
	return r, m
}

func changed(m kt.Map, batch []kt.BatchEntry) kt.Map {
	edit := m.Edit()
	for _, e := range batch {
		edit.Put(kt.MapLeaf{Index: e.Index, Seq: e.Seq, Head: e.NewHead})
	}
	return edit.Done()
}

// updates are k changes of accounts drawn at random, the b-th such batch.
func (w *world) updates(m kt.Map, b, k int) (batch []kt.BatchEntry) {
	seen := map[kt.Index]bool{}
	for i := 0; len(batch) < k; i++ {
		d := indexOf(-1 - b*1_000_003 - i)
		x := indexOf(people + int(binary.BigEndian.Uint64(d[:])%uint64(w.n-people)))
		leaf, ok := m.Get(x)
		if seen[x] || !ok {
			continue
		}
		seen[x] = true
		batch = append(batch, kt.BatchEntry{Kind: kt.KindAccount, Index: x, Seq: leaf.Seq + 1, PrevHead: leaf.Head, NewHead: kt.Hash{2}})
	}
	return batch
}

// proofOf is what a server answers about one of the people.
func (w *world) proofOf(i int) kt.LabelProof {
	_, out := w.vrf.Prove(kt.MapLabel(kt.KindAccount, label(i)))
	return kt.LabelProof{VRF: w.proofs[i], Map: w.replay.Map().Prove(kt.MapIndex(out)), Openings: []kt.Opening{opening}}
}

func size(p kt.LabelProof) int { return len(wire.MustEncode(p.Wire)) }

// bytesFrom is a lookup's bytes by the structure: VRF proof, leaf, opening, the
// lengths, and 33 bytes for each of log2 N + 1/3 siblings.
func bytesFrom(n float64) float64 { return 80 + 1 + 68 + 1 + 16 + 2 + 33*(math.Log2(n)+1./3) }
