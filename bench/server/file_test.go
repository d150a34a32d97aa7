package server

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve/servetest"
	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/proto"
)

var fileSize = flag.Int("file", 256, "size of the file, in MiB")

// hands is how many parts of a file travel at once.
const hands = 4

// BenchmarkLargeFile sends one file up and down and looks at the server's memory.
func BenchmarkLargeFile(b *testing.B) {
	for b.Loop() {
		p := run(b)
		seat := lonely(b, p)
		id, sum := proto.New[proto.BlobID](), sha256.New()
		size := uint64(*fileSize) << 20
		for n := range uint32(*fileSize) {
			sum.Write(part(n))
		}
		began := time.Now()
		upload(seat, id, size, sum)
		up := time.Since(began)
		began = time.Now()
		parallel(*fileSize, func(n uint32) {
			var got proto.BlobGetResponse
			seat.Call(client.Conversations, proto.BlobGet, &proto.BlobGetRequest{ID: id, Offset: uint64(n) << 20, Length: 1 << 20}, &got)
			if string(got.Bytes) != string(part(n)) {
				b.Errorf("part %d is another", n)
			}
		})
		down := time.Since(began)
		most := p.memory(b)
		b.Logf("\n| file | up | down | memory, most |\n| --- | --- | --- | --- |\n| %d MiB | %.0f MB/s | %.0f MB/s | %d MB |",
			*fileSize, float64(size)/1e6/up.Seconds(), float64(size)/1e6/down.Seconds(), most>>20)
		b.ReportMetric(float64(most)/(1<<20), "MB")
		if most > 200<<20 {
			b.Errorf("the server took %d MB", most>>20)
		}
	}
}

// lonely is a conversation of one.
func lonely(b *testing.B, p *process) *servetest.Seat {
	b.Helper()
	invitation, err := client.ParseInvitation(p.ready.Invite)
	if err != nil {
		b.Fatal(err)
	}
	net, err := dial.New(invitation.Server)
	if err != nil {
		b.Fatal(err)
	}
	peer := servetest.NewPeer(b, net)
	peer.Join(invitation.Token, "person")
	return peer.Create(nil)
}

func upload(s *servetest.Seat, id proto.BlobID, size uint64, sum hash.Hash) {
	begin := &proto.BlobBeginRequest{Session: s.Session, ID: id, Size: size, Hash: proto.Hash(sum.Sum(nil))}
	s.Call(client.Conversations, proto.BlobBegin, begin, &proto.Empty{})
	parallel(int(size>>20), func(n uint32) {
		put := &proto.BlobPutRequest{Session: s.Session, ID: id, Part: n, Bytes: part(n)}
		s.Call(client.Conversations, proto.BlobPut, put, &proto.Empty{})
	})
	s.Call(client.Conversations, proto.BlobFinish, &proto.BlobFinishRequest{Session: s.Session, ID: id}, &proto.Empty{})
}

// part is the n-th MiB of the file, each another.
func part(n uint32) []byte {
	b := make([]byte, proto.MaxBlobPart)
	copy(b, fmt.Sprintf("part %d", n))
	return b
}

// parallel calls f for 0 to n−1, hands at a time.
func parallel(n int, f func(uint32)) {
	var next atomic.Uint32
	var all sync.WaitGroup
	for range hands {
		all.Go(func() {
			for i := next.Add(1) - 1; i < uint32(n); i = next.Add(1) - 1 {
				f(i)
			}
		})
	}
	all.Wait()
}
