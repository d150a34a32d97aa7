package sim

import (
	"errors"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/client/store/storetest"
)

func TestVolumeIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store {
		return NewDisk(NewSched(1, testStart), "disk").Mount()
	})
}

func TestWriteFaultsKeepWhatTheySay(t *testing.T) {
	for fault, want := range map[WriteFault]struct{ kept, told, killed bool }{
		WriteFine:         {true, false, false},
		WriteFails:        {false, true, false},
		WriteFailsButKept: {true, true, false},
		KilledBeforeWrite: {false, false, true},
		KilledAfterWrite:  {true, false, true},
	} {
		s := NewSched(1, testStart)
		d := NewDisk(s, "disk")
		d.Fault = func(n int) WriteFault { return map[bool]WriteFault{true: fault}[n == 1] }
		var err error
		var dead bool
		v := d.Mount()
		s.Go("process", func() {
			unlock, _ := v.Lock(t.Context())
			defer unlock()
			_, err = v.Commit(t.Context(), store.Batch{Put: []store.Record{{Key: "k", Value: []byte("v")}}})
		}, func(killed bool) { dead = killed })
		if err := s.RunFor(time.Second); err != nil {
			t.Fatal(err)
		}
		_, missing := d.Mount().Get(t.Context(), "k")
		if (missing == nil) != want.kept || errors.Is(err, errDisk) != want.told || dead != want.killed || v.Dead != want.killed {
			t.Errorf("%v: kept %v, told %v, killed %v", fault, missing == nil, err, dead)
		}
		if _, err := d.Mount().Lock(t.Context()); err != nil {
			t.Errorf("%v: the lock outlived its holder", fault)
		}
	}
}

func TestADeadProcessTouchesNothing(t *testing.T) {
	v := NewDisk(NewSched(1, testStart), "disk").Mount()
	v.Dead = true
	if _, err := v.Commit(t.Context(), store.Batch{Put: []store.Record{{Key: "k"}}}); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	if _, err := v.Get(t.Context(), "k"); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
}
