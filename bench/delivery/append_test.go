// Package delivery measures durable appends: how many a second, by how many
// senders at once, and how many fsyncs the disk did for each.
//
//	go test ./bench/delivery -bench . -benchtime 3s
//	go test -c -o append.test ./bench/delivery
//	strace -f -c -e trace=fsync ./append.test -test.bench Append/senders=16 -test.benchtime 2000x
//
// The second counts the fsyncs from outside, those of opening the database and
// of its checkpoints among them.
package delivery

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery"
	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

// service is the real service on a real disk, without the network.
func service(b *testing.B) (*delivery.Service, *sqlite.Store) {
	b.Helper()
	s, err := sqlite.Open(context.Background(), filepath.Join(b.TempDir(), "huis.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	v, err := delivery.Open(context.Background(), delivery.Config{Store: s, Sessions: session.New(systemClock{}), Clock: systemClock{},
		Key: store.NewOperatorKey(), Origin: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	return v, s
}

// BenchmarkAppend: every message of 1 KiB is signed, verified, stamped, stored
// and synced before it is acknowledged. Each sender waits for its answer before
// it sends the next one, and writes to conversations of its own.
func BenchmarkAppend(b *testing.B) {
	for _, senders := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) { appends(b, senders) })
	}
}

func appends(b *testing.B, senders int) {
	v, s := service(b)
	w := storetest.NewWorld(b, s)
	w.Now = time.Now()
	work := make([][]*proto.Entry, senders)
	for i := range work {
		var c storetest.Conversation
		for n := range (b.N + senders - 1) / senders {
			if n%500 == 0 { // below what a member may send at once
				c = w.NewConversation(1)
			}
			work[i] = append(work[i], storetest.Application(c.ID, c.Keys[0], 1, make([]byte, 1024)))
		}
	}
	took := make([][]time.Duration, senders)
	syncs, used := s.Syncs(), processor(b)
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range work {
		all.Go(func() { took[i] = send(b, v, work[i]) })
	}
	all.Wait()
	b.StopTimer()
	used = processor(b) - used
	n := float64(senders * len(work[0]))
	sorted := slices.Concat(took...)
	slices.Sort(sorted)
	b.ReportMetric(n/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64(s.Syncs()-syncs)/n, "commits/append")
	b.ReportMetric(float64(used.Microseconds())/n, "cpu-us/append")
	b.ReportMetric(float64(sorted[len(sorted)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(sorted[len(sorted)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// processor is the processor time of the process so far. Unlike the clock it
// hardly depends on what else the machine does.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func send(b *testing.B, v *delivery.Service, work []*proto.Entry) (took []time.Duration) {
	for _, e := range work {
		start := time.Now()
		for {
			_, err := v.Append(context.Background(), &proto.AppendRequest{Entry: *e})
			if err == nil {
				break
			}
			if !wait(err) {
				b.Error(err)
				return took
			}
		}
		took = append(took, time.Since(start))
	}
	return took
}

// wait does what a client does on busy.
func wait(err error) bool {
	e, ok := err.(*proto.Error)
	if ok && e.Retriable() {
		time.Sleep(e.Wait)
		return true
	}
	return false
}

// BenchmarkDisk is the floor: append 4 KiB to a file and sync it.
func BenchmarkDisk(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "floor"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := []byte(strings.Repeat("x", 4096))
	for b.Loop() {
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
}
