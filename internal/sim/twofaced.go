package sim

import (
	"context"
	"net/netip"

	"codeberg.org/huis/huis/internal/proto"
)

// TwoFaced is one operator with two copies of the server, both with its keys:
// one device is answered by the second, all others by the first. What either
// takes is put into the other's log as well, unless the operator holds it back.
type TwoFaced struct {
	Victim        string
	First, Second *Server
	// Hold tells whether an entry is kept from the victim's copy for now;
	// Release puts in what was held, in the order given. nil holds nothing.
	Hold func(*proto.Entry) bool

	held []relayed
}

type relayed struct {
	method proto.Method
	body   []byte
}

// operator is the address the copies know each other by.
var operator = netip.MustParseAddr("127.0.0.1")

// Exec answers one request from the face that the device is shown.
func (t *TwoFaced) Exec(ctx context.Context, remote netip.Addr, m proto.Method, body []byte) ([]byte, error) {
	shown, other := t.First, t.Second
	if remote == remoteOf(t.Victim) {
		shown, other = t.Second, t.First
	}
	answer, err := shown.Exec(ctx, remote, m, body)
	if err != nil || m != proto.Append && m != proto.Commit {
		return answer, err
	}
	if other == t.Second && t.holds(body) {
		t.held = append(t.held, relayed{m, body})
		return answer, nil
	}
	_, _ = other.Exec(ctx, operator, m, body)
	return answer, nil
}

func (t *TwoFaced) holds(body []byte) bool {
	var r proto.AppendRequest
	return t.Hold != nil && proto.Decode(body, &r) == nil && t.Hold(&r.Entry)
}

// Release shows the victim the entries that were held back so far.
func (t *TwoFaced) Release(ctx context.Context) {
	for _, r := range t.held {
		_, _ = t.Second.Exec(ctx, operator, r.method, r.body)
	}
	t.held, t.Hold = nil, nil
}
