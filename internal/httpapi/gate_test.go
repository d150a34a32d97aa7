package httpapi

import (
	"net"
	"testing"
	"time"
)

func TestTheGateBoundsConnections(t *testing.T) {
	g := Gate(nil).(*gate)
	for range maxConnsPerRange {
		if !g.enter(far) {
			t.Fatal("refused below the bound")
		}
	}
	if g.enter(far) {
		t.Error("one address has more connections than allowed")
	}
	for g.enter(near) {
	}
	if g.all != maxConns {
		t.Errorf("%d connections are open", g.all)
	}
	for range maxConnsPerRange {
		g.leave(far)
	}
	if len(g.byRange) != 1 || !g.enter(far) {
		t.Error("closing makes no room")
	}
}

func TestClosingAConnectionTwiceMakesRoomOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := Gate(l).(*gate)
	defer g.Close()
	go func() {
		if conn, err := net.DialTimeout("tcp", l.Addr().String(), time.Second); err == nil {
			conn.Close()
		}
	}()
	conn, err := g.Accept()
	if err != nil || g.all != 1 {
		t.Fatal(g.all, err)
	}
	conn.Close()
	conn.Close()
	if g.all != 0 || len(g.byRange) != 0 {
		t.Errorf("%d connections are counted", g.all)
	}
}
