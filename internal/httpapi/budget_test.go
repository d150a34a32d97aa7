package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/iotest"

	"codeberg.org/huis/huis/internal/proto"
)

var (
	far  = netip.MustParseAddr("203.0.113.7")
	near = netip.MustParseAddr("127.0.0.1")
)

func TestABodyIsReadUpToItsLimit(t *testing.T) {
	for _, n := range []int{0, 1, bodyStep - 1, bodyStep, bodyStep + 1, 100_000} {
		want := bytes.Repeat([]byte{7}, n)
		for _, limit := range []int{n, n + 1, n + 1<<20} {
			h := newBudget().hold(far)
			got, err := h.readAll(iotest.HalfReader(bytes.NewReader(want)), limit)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d allowed: %d, %v", n, limit, len(got), err)
			}
		}
		if n > 0 {
			if _, err := newBudget().hold(far).readAll(bytes.NewReader(want), n-1); !errors.Is(err, proto.TooLarge) {
				t.Errorf("%d bytes of %d allowed: %v", n, n-1, err)
			}
		}
	}
	if _, err := newBudget().hold(far).readAll(iotest.ErrReader(io.ErrUnexpectedEOF), 10); !errors.Is(err, proto.Malformed) {
		t.Errorf("a body that breaks off: %v", err)
	}
}

func TestBodiesAreBoundedByAddressAndInAll(t *testing.T) {
	b := newBudget()
	one := b.hold(far)
	if _, err := one.readAll(zeros{}, 1<<40); !errors.Is(err, proto.Busy) || one.bytes > bodiesPerRange {
		t.Fatalf("one address holds %d bytes: %v", one.bytes, err)
	}
	other := b.hold(netip.MustParseAddr("203.0.113.8"))
	if _, err := other.readAll(bytes.NewReader(make([]byte, 1<<20)), 1<<20); err != nil {
		t.Fatalf("the neighbour has no room: %v", err)
	}
	all := b.hold(near)
	all.readAll(zeros{}, 1<<40)
	if b.used > bodiesBytes {
		t.Errorf("%d bytes are held", b.used)
	}
	for _, h := range []*held{one, other, all} {
		h.release()
		h.release()
	}
	if b.used != 0 || len(b.byRange) != 0 {
		t.Errorf("after the release %d bytes of %d ranges are held", b.used, len(b.byRange))
	}
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestAddressRanges(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.7": "203.0.113.7/32", "::ffff:203.0.113.7": "203.0.113.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64",
	} {
		if got := addressRange(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s counts as %s", addr, got)
		}
	}
}
