//go:build js

package jsport

import (
	"context"
	"errors"
	"syscall/js"
)

// Error is what a promise was rejected with.
type Error struct {
	Name    string // such as "QuotaExceededError"
	Message string
}

func (e *Error) Error() string { return e.Name + ": " + e.Message }

// ErrorOf reads a value that was thrown.
func ErrorOf(v js.Value) error {
	if v.Type() != js.TypeObject {
		return &Error{Name: "Error", Message: v.String()}
	}
	return &Error{Name: text(v.Get("name")), Message: text(v.Get("message"))}
}

func text(v js.Value) string {
	if v.Type() != js.TypeString {
		return ""
	}
	return v.String()
}

// Is tells whether err is an Error of that name.
func Is(err error, name string) bool {
	var e *Error
	return errors.As(err, &e) && e.Name == name
}

type settled struct {
	value js.Value
	err   error
}

// Await waits for a promise, or for ctx to end; the promise goes on then.
func Await(ctx context.Context, promise js.Value) (js.Value, error) {
	done := make(chan settled, 1)
	var ok, bad js.Func
	free := func() { ok.Release(); bad.Release() }
	ok = js.FuncOf(func(_ js.Value, args []js.Value) any {
		free()
		v := js.Undefined()
		if len(args) > 0 {
			v = args[0]
		}
		done <- settled{value: v}
		return nil
	})
	bad = js.FuncOf(func(_ js.Value, args []js.Value) any {
		free()
		done <- settled{err: ErrorOf(args[0])}
		return nil
	})
	promise.Call("then", ok, bad)
	select {
	case s := <-done:
		return s.value, s.err
	case <-ctx.Done():
		return js.Undefined(), ctx.Err()
	}
}

var uint8Array = js.Global().Get("Uint8Array")

// ToJS copies b into a new Uint8Array.
func ToJS(b []byte) js.Value {
	a := uint8Array.New(len(b))
	js.CopyBytesToJS(a, b)
	return a
}

// ToGo copies a Uint8Array.
func ToGo(a js.Value) []byte {
	b := make([]byte, a.Get("length").Int())
	js.CopyBytesToGo(b, a)
	return b
}

// BufferToGo copies an ArrayBuffer.
func BufferToGo(v js.Value) []byte { return ToGo(uint8Array.New(v)) }

// Object makes an object of name, value, name, value, …
func Object(pairs ...any) js.Value {
	o := js.Global().Get("Object").New()
	for i := 0; i+1 < len(pairs); i += 2 {
		o.Set(pairs[i].(string), pairs[i+1])
	}
	return o
}

// Catch calls f, which throws if the browser does, and gives that as an error.
func Catch(f func() js.Value) (v js.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			thrown, ok := r.(js.Error)
			if !ok {
				panic(r)
			}
			err = ErrorOf(thrown.Value)
		}
	}()
	return f(), nil
}
