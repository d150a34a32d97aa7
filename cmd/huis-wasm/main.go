//go:build js

// Command huis-wasm is the client core for a browser's Worker. web/src/core
// starts it and connects interfaces to it; see internal/rpc.
package main

import (
	"context"
	"errors"
	"syscall/js"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store/idb"
	"codeberg.org/huis/huis/internal/httpapi/fetch"
	"codeberg.org/huis/huis/internal/jsport"
	"codeberg.org/huis/huis/internal/rpc"
)

// profile is the name of the database; one origin has one profile.
const profile = "huis"

// around is where bench/web puts its meter.
var around = func(c client.Config) client.Config { return c }

// main reads huisConfig, {server, origin, version}, opens the profile, and calls
// huisReady with what connects an interface's MessagePort, or with an error's
// code and text.
func main() {
	config := js.Global().Get("huisConfig")
	server, origin := config.Get("server").String(), config.Get("origin").String()
	ref, err := client.ParseServerRef(server)
	if err != nil {
		fail(&rpc.Error{Code: rpc.CodeInternal, Text: err.Error()})
		return
	}
	ctx := context.Background()
	core, err := rpc.NewCore(ctx, rpc.Config{
		Where: rpc.WhereBrowser, Version: config.Get("version").String(), Server: server, Page: origin,
		Open: func(ctx context.Context, create bool) (client.Config, error) {
			s, err := idb.OpenProfile(ctx, profile, create)
			if err != nil {
				return client.Config{}, err
			}
			return around(client.Config{Store: s, Dial: fetch.Dialer(ref.URL, origin), Breathe: jsport.Turn}), nil
		},
	})
	if err != nil {
		fail(rpc.Explain(err))
		return
	}
	js.Global().Call("huisReady", js.FuncOf(func(_ js.Value, args []js.Value) any {
		go func() { _ = core.Serve(ctx, newPort(args[0])) }()
		return nil
	}), "", "")
	select {}
}

func fail(e *rpc.Error) { js.Global().Call("huisReady", js.Null(), string(e.Code), e.Text) }

// port is a rpc.Conn over a MessagePort. A message is [JSON of the frame, bytes]
// either way; null ends the connection.
type port struct {
	port   js.Value
	frames chan rpc.Frame
	closed chan struct{}
}

var errClosed = errors.New("the page is gone")

func newPort(v js.Value) *port {
	p := &port{port: v, frames: make(chan rpc.Frame, 1024), closed: make(chan struct{})}
	v.Set("onmessage", js.FuncOf(func(_ js.Value, args []js.Value) any {
		p.take(args[0].Get("data"))
		return nil
	}))
	return p
}

func (p *port) take(data js.Value) {
	if data.IsNull() {
		select {
		case <-p.closed:
		default:
			close(p.closed)
		}
		return
	}
	f, err := rpc.ParseJSON([]byte(data.Index(0).String()))
	if err != nil {
		return
	}
	if b := data.Index(1); b.Truthy() {
		f.Bytes = jsport.ToGo(b)
	}
	select {
	case p.frames <- f:
	default: // a page that calls faster than it is answered loses
	}
}

// Read implements rpc.Conn.
func (p *port) Read(ctx context.Context) (rpc.Frame, error) {
	select {
	case f := <-p.frames:
		return f, nil
	case <-p.closed:
		return rpc.Frame{}, errClosed
	case <-ctx.Done():
		return rpc.Frame{}, ctx.Err()
	}
}

// Write implements rpc.Conn.
func (p *port) Write(_ context.Context, f rpc.Frame) error {
	head := f.JSON()
	if f.Bytes == nil {
		p.port.Call("postMessage", js.ValueOf([]any{string(head), nil}))
		return nil
	}
	b := jsport.ToJS(f.Bytes)
	p.port.Call("postMessage", js.ValueOf([]any{string(head), b}), js.ValueOf([]any{b.Get("buffer")}))
	return nil
}
