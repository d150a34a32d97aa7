//go:build js

package jsport

import (
	"sync"
	"syscall/js"
)

// turns are the ends of a channel whose messages stand in line behind what came
// before, and what tells that one has come.
type turns struct {
	port js.Value
	came chan struct{}
}

var theTurns = sync.OnceValue(func() turns {
	channel := js.Global().Get("MessageChannel").New()
	t := turns{channel.Get("port2"), make(chan struct{}, 1<<10)}
	channel.Get("port1").Set("onmessage", js.FuncOf(func(js.Value, []js.Value) any {
		select {
		case t.came <- struct{}{}:
		default:
		}
		return nil
	}))
	return t
})

// Turn lets the browser do what waits, such as handing over messages, and other
// goroutines with it. Unlike a timer of 0 ms it costs next to nothing.
func Turn() {
	t := theTurns()
	t.port.Call("postMessage", js.Null())
	<-t.came
}
