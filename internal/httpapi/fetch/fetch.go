//go:build js

package fetch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall/js"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/jsport"
	"codeberg.org/huis/huis/internal/proto"
)

// maxAnswer bounds an answer, in bytes, as package dial does.
const maxAnswer = 2*proto.MaxReadBytes + proto.MaxCommit + 1<<20

// Dialer makes transports to the server that the page at origin came from. An
// account on another server cannot be reached from this page.
func Dialer(server, origin string) client.Dialer {
	return func(ref client.ServerRef) (client.Transport, error) {
		if ref.URL != server {
			return nil, fmt.Errorf("this page belongs to %s, not to %s", server, ref.URL)
		}
		return &transport{origin: origin}, nil
	}
}

type transport struct{ origin string }

// Call implements client.Transport.
func (t *transport) Call(ctx context.Context, lane client.Lane, m proto.Method, req, resp proto.Message) error {
	body, err := proto.Encode(req)
	if err != nil {
		return fmt.Errorf("%s: %w", m, err)
	}
	abort := js.Global().Get("AbortController").New()
	defer abort.Call("abort") // of no effect once the answer is here
	credentials := "same-origin"
	if lane == client.Conversations {
		credentials = "omit"
	}
	options := jsport.Object(
		"method", "POST", "body", jsport.ToJS(body), "headers", jsport.Object("Content-Type", proto.MediaType),
		"credentials", credentials, "cache", "no-store", "redirect", "error", "referrerPolicy", "no-referrer",
		"signal", abort.Get("signal"),
	)
	answer, err := jsport.Await(ctx, js.Global().Call("fetch", t.origin+"/v1/"+string(m), options))
	if err != nil {
		return unreachable(ctx, err)
	}
	return read(ctx, answer, resp)
}

// read takes the server's answer. Anything that is not one of ours, such as a
// proxy's page, leaves the outcome unknown, and so does "unavailable".
func read(ctx context.Context, answer js.Value, resp proto.Message) error {
	raw, err := jsport.Await(ctx, answer.Call("arrayBuffer"))
	if err != nil {
		return unreachable(ctx, err)
	}
	if n := raw.Get("byteLength").Int(); n > maxAnswer {
		return fmt.Errorf("%w: it answers with %d bytes", client.ErrUnreachable, n)
	}
	b, status := jsport.BufferToGo(raw), answer.Get("status").Int()
	kind := answer.Get("headers").Call("get", "Content-Type")
	refusal := new(proto.Error)
	switch {
	case kind.Type() != js.TypeString:
	case kind.String() == proto.MediaTypeError && proto.Decode(b, refusal) == nil:
		if refusal.Code == proto.Unavailable {
			return fmt.Errorf("%w: %v", client.ErrUnreachable, refusal)
		}
		return refusal
	case kind.String() == proto.MediaType && status == 200:
		if err := proto.Decode(b, resp); err != nil {
			return fmt.Errorf("%w: its answer is malformed: %v", client.ErrUnreachable, err)
		}
		return nil
	}
	return fmt.Errorf("%w: what answers there is not a huis server (HTTP %d)", client.ErrUnreachable, status)
}

// unreachable is err as a caller is to see it.
func unreachable(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer in time: %w", client.ErrUnreachable, ctx.Err())
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: %v", client.ErrUnreachable, err)
}

// Listen implements client.Transport.
func (t *transport) Listen(ctx context.Context, _ client.Lane, sub proto.Subscribe, hint func(proto.Hint)) error {
	b, err := proto.Encode(&sub)
	if err != nil {
		return err
	}
	socket, err := jsport.Catch(func() js.Value {
		return js.Global().Get("WebSocket").New("ws" + strings.TrimPrefix(t.origin, "http") + "/v1/push")
	})
	if err != nil {
		return unreachable(ctx, err)
	}
	socket.Set("binaryType", "arraybuffer")
	hints, closed := make(chan []byte, 64), make(chan struct{})
	opened := js.FuncOf(func(js.Value, []js.Value) any { socket.Call("send", jsport.ToJS(b)); return nil })
	got := js.FuncOf(func(_ js.Value, args []js.Value) any {
		if data := args[0].Get("data"); data.Type() == js.TypeObject {
			select {
			case hints <- jsport.BufferToGo(data):
			default: // hints may be lost
			}
		}
		return nil
	})
	ended := js.FuncOf(func(js.Value, []js.Value) any { close(closed); return nil })
	socket.Set("onopen", opened)
	socket.Set("onmessage", got)
	socket.Set("onclose", ended)
	defer func() {
		for _, event := range []string{"onopen", "onmessage", "onclose"} {
			socket.Set(event, js.Null())
		}
		socket.Call("close")
		opened.Release()
		got.Release()
		ended.Release()
	}()
	for {
		select {
		case b := <-hints:
			var h proto.Hint
			if err := proto.Decode(b, &h); err != nil {
				return fmt.Errorf("%w: its hint is malformed", client.ErrUnreachable)
			}
			hint(h)
		case <-closed:
			return fmt.Errorf("%w: the connection ended", client.ErrUnreachable)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
