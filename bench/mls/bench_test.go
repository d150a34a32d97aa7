package mls

import (
	"flag"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/mls"
)

// operation is one thing to measure on a pair. prepare returns what is timed, and
// what has to happen before n times of it.
type operation struct {
	name    string
	floor   func(p *pair) work
	prepare func(t testing.TB, p *pair) (before func(n int), f func())
}

// again is for what can be done again and again.
func again(prepare func(t testing.TB, p *pair) func()) func(testing.TB, *pair) (func(int), func()) {
	return func(t testing.TB, p *pair) (func(int), func()) { return nil, prepare(t, p) }
}

var operations = []operation{
	{"commit", (*pair).commitFloor, again(func(t testing.TB, p *pair) func() { return p.committing(mls.CommitOptions{}) })},
	{"process", (*pair).processFloor, again(func(t testing.TB, p *pair) func() { return p.processing(p.empty) })},
	{"add", (*pair).addFloor, again(func(t testing.TB, p *pair) func() { return p.committing(p.adding()) })},
	{"process add", (*pair).processAddFloor, again(func(t testing.TB, p *pair) func() { return p.processing(p.add) })},
	{"remove", (*pair).removeFloor, again(func(t testing.TB, p *pair) func() { return p.committing(p.removing()) })},
	{"process remove", (*pair).processRemoveFloor, again(func(t testing.TB, p *pair) func() { return p.processing(p.remove) })},
	{"join", (*pair).joinFloor, again(func(t testing.TB, p *pair) func() { return func() { p.join(t) } })},
	{"send", (*pair).sendFloor, again(func(t testing.TB, p *pair) func() { return p.sending(t) })},
	{"receive", (*pair).receiveFloor, func(t testing.TB, p *pair) (func(int), func()) { return p.receiving(t) }},
}

func (p *pair) committing(opt mls.CommitOptions) func() {
	return func() { must(p.committer.Commit(now, opt)) }
}

func (p *pair) sending(t testing.TB) func() {
	data := make([]byte, 1024)
	return func() {
		if _, _, err := p.committer.Protect(data, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *pair) adding() mls.CommitOptions {
	return mls.CommitOptions{NoPath: true, Proposals: []mls.Proposal{{Type: mls.ProposalAdd, Add: &mls.Add{KeyPackage: *p.newcomer.KeyPackage}}}}
}

func (p *pair) removing() mls.CommitOptions {
	last := mls.LeafIndex(p.members - 1)
	return mls.CommitOptions{Proposals: []mls.Proposal{{Type: mls.ProposalRemove, Remove: &mls.Remove{Removed: last}}}}
}

// processing returns the processing, again and again, of one commit.
func (p *pair) processing(message []byte) func() {
	return func() { must(p.receiver.Process(now, message)) }
}

// receiving returns the reading of one of the messages that before made.
func (p *pair) receiving(t testing.TB) (before func(n int), f func()) {
	var messages [][]byte
	data := make([]byte, 1024)
	before = func(n int) {
		for range n {
			m, _, err := p.committer.Protect(data, nil)
			if err != nil {
				t.Fatal(err)
			}
			messages = append(messages, m)
		}
	}
	return before, func() {
		must(p.receiver.Process(now, messages[0]))
		messages = messages[1:]
	}
}

var (
	budget = flag.Duration("budget", 300*time.Millisecond, "processor time to spend on each figure")
	suites = []mls.CipherSuite{mls.X25519AES128SHA256Ed25519, mls.XWingChaChaSHA384Ed25519}
	sizes  = []int{10, 100, 1000, 10000}
)

// cases are what is measured.
func cases() (list []shape) {
	for _, suite := range suites {
		for _, full := range []bool{true, false} {
			for _, n := range sizes {
				list = append(list, shape{suite, n, full})
			}
		}
	}
	return list
}

// BenchmarkMLS reports, for each case, the processor time of one operation, the
// floor and their ratio. It makes its own batches: run it with -benchtime 1x.
func BenchmarkMLS(b *testing.B) {
	floors := map[mls.CipherSuite]primitives{}
	for _, s := range cases() {
		for _, o := range operations {
			b.Run(s.String()+"/"+strings.ReplaceAll(o.name, " ", "-"), func(b *testing.B) {
				if _, ok := floors[s.suite]; !ok {
					floors[s.suite] = measurePrimitives(b, s.suite)
				}
				m := s.measure(b, o, floors[s.suite])
				b.ReportMetric(0, "ns/op") // wall time means little on a shared machine
				b.ReportMetric(float64(m.cost.Nanoseconds()), "cpu-ns/op")
				b.ReportMetric(float64(m.floor.Nanoseconds()), "floor-ns/op")
				b.ReportMetric(m.ratio(), "x-floor")
			})
		}
	}
}

// measured is the cost of an operation beside its floor.
type measured struct{ cost, floor time.Duration }

func (m measured) ratio() float64 { return float64(m.cost) / float64(m.floor) }

func (s shape) measure(t testing.TB, o operation, p primitives) measured {
	group := s.pair(t)
	before, f := o.prepare(t, group)
	return measured{cost(*budget, before, f), o.floor(group).cost(p)}
}
