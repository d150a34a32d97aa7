package sim

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

// counted is a network over a server that only counts.
func counted(f Faults) (*Sched, *Line, *int) {
	s := NewSched(1, testStart)
	executed := new(int)
	n := &Network{Faults: f, Seals: NewSeals(), sched: s, seen: newObserver()}
	n.exec = func(context.Context, netip.Addr, proto.Method, []byte) ([]byte, error) {
		*executed++
		return proto.Encode(&proto.NonceResponse{})
	}
	return s, &Line{net: n, device: "d", volume: NewDisk(s, "d").Mount(), cut: new(bool)}, executed
}

func ask(s *Sched, l *Line) (err error) {
	s.Go("ask", func() {
		err = l.Call(context.Background(), client.Anonymous, proto.GetNonce, &proto.NonceRequest{}, &proto.NonceResponse{})
	}, nil)
	if e := s.RunFor(time.Hour); e != nil {
		return e
	}
	return err
}

func TestNetworkFaultsDoWhatTheySay(t *testing.T) {
	for name, c := range map[string]struct {
		faults   Faults
		cut      bool
		executed int
		answered bool
	}{
		"calm":        {Faults{}, false, 1, true},
		"drop":        {Faults{Drop: 1}, false, 0, false},
		"lose answer": {Faults{LoseAnswer: 1}, false, 1, false},
		"duplicate":   {Faults{Duplicate: 1}, false, 2, true},
		"late":        {Faults{Late: 1, LateBy: time.Minute}, false, 2, true},
		"cut":         {Faults{}, true, 0, false},
	} {
		s, l, executed := counted(c.faults)
		*l.cut = c.cut
		err := ask(s, l)
		if *executed != c.executed || (err == nil) != c.answered {
			t.Errorf("%s: executed %d times, answer %v", name, *executed, err)
		}
		if err != nil && !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("%s: %v is not an unknown outcome", name, err)
		}
	}
}

func TestADeadProcessSendsNothing(t *testing.T) {
	s, l, executed := counted(Calm)
	l.volume.Dead = true
	if err := ask(s, l); !errors.Is(err, client.ErrUnreachable) || *executed != 0 {
		t.Fatal(err, *executed)
	}
}

func TestEveryMethodHasItsLane(t *testing.T) {
	lanes := make(map[client.Lane]int)
	for _, c := range proto.Calls() {
		lanes[wantLane(c.Method)]++
	}
	if lanes[client.Anonymous] != 11 || lanes[client.Account] != 21 {
		t.Errorf("lanes %v: a new method needs a place in wantLane", lanes)
	}
}
