package rpc

import (
	"context"
	"sync"
)

// Conn carries frames to and from one interface.
type Conn interface {
	// Read waits for the next frame; an error ends the connection.
	Read(ctx context.Context) (Frame, error)
	// Write sends a frame. It may be called concurrently. The frame's bytes are
	// not used afterwards by the caller.
	Write(ctx context.Context, f Frame) error
}

// maxCalls is how many calls of one interface may run at once.
const maxCalls = 256

// session is one interface that is connected.
type session struct {
	core *Core
	conn Conn
	ctx  context.Context

	mu    sync.Mutex // guards calls
	calls map[uint32]*Call
}

// Serve answers one interface until its connection ends or ctx does.
func (c *Core) Serve(ctx context.Context, conn Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &session{core: c, conn: conn, ctx: ctx, calls: map[uint32]*Call{}}
	c.attach(s)
	defer c.detach(s)
	for {
		f, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		s.take(f)
	}
}

// take does what one frame asks for.
func (s *session) take(f Frame) {
	switch f.Kind {
	case KindCall:
		s.begin(f)
	case KindCancel:
		if call := s.call(f.ID); call != nil {
			call.cancel()
		}
	case KindEvent:
		if call := s.call(f.ID); call != nil {
			select {
			case call.answers <- f:
			default: // nobody asked
			}
		}
	}
}

func (s *session) call(id uint32) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[id]
}

func (s *session) begin(f Frame) {
	m, known := methods[f.Method]
	call := &Call{ID: f.ID, session: s, answers: make(chan Frame, 1)}
	call.Ctx, call.cancel = context.WithCancel(s.ctx)
	s.mu.Lock()
	_, used := s.calls[f.ID]
	full := len(s.calls) >= maxCalls
	if known && !used && !full && f.ID != 0 {
		s.calls[f.ID] = call
	}
	s.mu.Unlock()
	switch {
	case f.ID == 0 || used:
		call.fail(&Error{Code: CodeBadRequest, Text: "a call's id is used or 0"})
	case !known:
		call.fail(&Error{Code: CodeBadRequest, Text: "there is no call of this name"})
	case full:
		call.fail(&Error{Code: CodeBusy, Text: "too many calls at once"})
	default:
		go call.run(m, f.Payload)
		return
	}
	call.cancel()
}

// Call is one call of an interface while it runs.
type Call struct {
	ID      uint32
	Ctx     context.Context // ends when the interface cancels or goes
	session *session
	cancel  context.CancelFunc
	answers chan Frame
}

func (k *Call) run(m method, payload []byte) {
	defer func() {
		k.session.mu.Lock()
		delete(k.session.calls, k.ID)
		k.session.mu.Unlock()
		k.cancel()
	}()
	answer, err := m.run(k.session.core, k, payload)
	if err != nil && k.Ctx.Err() != nil {
		err = k.Ctx.Err() // whatever it came out as on the way up
	}
	if err != nil {
		k.fail(err)
		return
	}
	k.write(KindOK, "", answer, nil)
}

func (k *Call) fail(err error) { k.write(KindErr, "", Explain(err), nil) }

func (k *Call) write(kind Kind, name string, payload record, bytes []byte) error {
	return k.session.conn.Write(k.session.ctx, Frame{ID: k.ID, Kind: kind, Method: name, Payload: marshal(payload), Bytes: bytes})
}

// Tell sends an event of this call.
func (k *Call) Tell(name string, payload record) error { return k.write(KindEvent, name, payload, nil) }

// Ask sends an event and waits for the interface's answer to it. A call asks
// one thing at a time.
func (k *Call) Ask(name string, payload record, bytes []byte) (Frame, error) {
	if err := k.write(KindEvent, name, payload, bytes); err != nil {
		return Frame{}, err
	}
	select {
	case f := <-k.answers:
		if f.Method != name {
			return f, &Error{Code: CodeBadRequest, Text: "an answer to something else than was asked"}
		}
		return f, nil
	case <-k.Ctx.Done():
		return Frame{}, k.Ctx.Err()
	}
}

// event sends one to every interface.
func (c *Core) event(name string, payload record) {
	b := marshal(payload)
	c.mu.Lock()
	all := make([]*session, 0, len(c.sessions))
	for s := range c.sessions {
		all = append(all, s)
	}
	c.mu.Unlock()
	for _, s := range all {
		_ = s.conn.Write(s.ctx, Frame{Kind: KindEvent, Method: name, Payload: b})
	}
}

func (c *Core) attach(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[s] = true
}

func (c *Core) detach(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s)
}

// marshal writes a payload; nil is one that says nothing.
func marshal(payload record) []byte {
	if payload == nil {
		return []byte("{}")
	}
	return encode(payload)
}
