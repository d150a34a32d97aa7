//go:build js && measured

package main

import (
	"encoding/json"
	"runtime"
	"syscall/js"

	"codeberg.org/huis/huis/bench/web/meter"
)

// Built with the tag measured, for bench/web alone, the core has a meter around
// itself; huisMeter() in its Worker reads it.
func init() {
	m := meter.New()
	around = m.Wrap
	js.Global().Set("huisMeter", js.FuncOf(func(js.Value, []js.Value) any {
		b, err := json.Marshal(m.Take())
		if err != nil {
			return err.Error()
		}
		return string(b)
	}))
	js.Global().Set("huisMemory", js.FuncOf(func(js.Value, []js.Value) any {
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return js.ValueOf(map[string]any{"sys": float64(s.Sys), "live": float64(s.HeapAlloc), "gcs": float64(s.NumGC)})
	}))
}
