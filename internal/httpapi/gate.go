package httpapi

import (
	"net"
	"net/netip"
	"sync"
)

// Bounds of the connections open at one time. One costs about 40 KiB.
const (
	maxConns         = 4096
	maxConnsPerRange = 1024 // from one range of addresses, loopback apart
)

// Gate closes connections beyond what the server's memory allows at once, in all
// and from one range of addresses.
func Gate(l net.Listener) net.Listener {
	return &gate{Listener: l, byRange: make(map[netip.Prefix]int)}
}

type gate struct {
	net.Listener

	mu      sync.Mutex // guards what follows: what is open
	all     int
	byRange map[netip.Prefix]int
}

// Accept returns the next connection there is room for.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := peer(conn)
		if g.enter(from) {
			return &gated{Conn: conn, leave: sync.OnceFunc(func() { g.leave(from) })}, nil
		}
		conn.Close()
	}
}

func peer(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}

func (g *gate) enter(from netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := addressRange(from)
	if g.all >= maxConns || g.byRange[r] >= maxConnsPerRange && !from.IsLoopback() {
		return false
	}
	g.all++
	g.byRange[r]++
	return true
}

func (g *gate) leave(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := addressRange(from)
	g.all--
	if g.byRange[r]--; g.byRange[r] == 0 {
		delete(g.byRange, r)
	}
}

// gated is a connection that makes room when it is closed.
type gated struct {
	net.Conn
	leave func()
}

func (c *gated) Close() error {
	c.leave()
	return c.Conn.Close()
}
