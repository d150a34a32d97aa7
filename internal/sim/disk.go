package sim

import (
	"context"
	"errors"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/client/store/mem"
)

// WriteFault is what happens at one store write.
type WriteFault int

// Either the process is told that the write failed and lives on, or it is
// killed there; either nothing of the batch was kept, or all of it.
const (
	WriteFine WriteFault = iota
	WriteFails
	WriteFailsButKept
	KilledBeforeWrite
	KilledAfterWrite
)

var writeFaultNames = [...]string{"fine", "fails", "fails but is kept", "killed before it", "killed after it"}

func (f WriteFault) String() string { return writeFaultNames[f] }

// errDisk is what a failing write returns.
var errDisk = errors.New("sim: the disk failed")

// errDead is what a process that has been killed gets while it unwinds.
var errDead = errors.New("sim: this process is dead")

// Disk is one device's store. It outlives the processes that open it.
type Disk struct {
	Writes int // batches tried so far
	// Fault is asked at every write, n counting from 1; nil = all fine.
	Fault func(n int) WriteFault
	// Written is called with every batch that was kept; nil = nobody asks.
	Written func(store.Batch)

	name  string
	sched *Sched
	inner store.Store
	owner *Volume // holds the lock
}

// NewDisk returns an empty one.
func NewDisk(sched *Sched, name string) *Disk {
	return &Disk{name: name, sched: sched, inner: mem.New()}
}

// Volume is a Disk as one process sees it, a store.Store. Once the process is
// dead every call fails.
type Volume struct {
	*Disk
	Dead bool
}

// Mount opens the disk for a new process.
func (d *Disk) Mount() *Volume { return &Volume{Disk: d} }

// Base implements store.Store.
func (v *Volume) Base(ctx context.Context) (uint64, error) {
	if v.Dead {
		return 0, errDead
	}
	return v.inner.Base(ctx)
}

// Get implements store.Store.
func (v *Volume) Get(ctx context.Context, key string) ([]byte, error) {
	if v.Dead {
		return nil, errDead
	}
	return v.inner.Get(ctx, key)
}

// List implements store.Store.
func (v *Volume) List(ctx context.Context, prefix, after string, n int) ([]store.Record, error) {
	if v.Dead {
		return nil, errDead
	}
	return v.inner.List(ctx, prefix, after, n)
}

// Commit implements store.Store, with the faults of the Disk.
func (v *Volume) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if v.Dead {
		return 0, errDead
	}
	v.sched.Yield()
	v.Writes++
	fault := WriteFine
	if v.Fault != nil {
		fault = v.Fault(v.Writes)
	}
	if fault != WriteFine {
		v.sched.Trace.Add(v.name, "write %d %v", v.Writes, fault)
	}
	if fault == WriteFails {
		return 0, errDisk
	}
	if fault == KilledBeforeWrite {
		v.die()
	}
	base, err := v.inner.Commit(ctx, b)
	if err == nil && v.Written != nil {
		v.Written(b)
	}
	if fault == KilledAfterWrite {
		v.die()
	}
	if fault == WriteFailsButKept && err == nil {
		return 0, errDisk
	}
	return base, err
}

func (v *Volume) die() {
	v.Dead = true
	v.release()
	v.sched.Kill(v.sched.running)
}

// lockPoll is how often a process asks again for a lock that another holds.
const lockPoll = 50 * time.Millisecond

// Lock implements store.Store: it waits in fake time, and a dead holder's lock
// is free, as a file lock is.
func (v *Volume) Lock(ctx context.Context) (func(), error) {
	for v.owner != nil && !v.owner.Dead {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if v.Dead {
			return nil, errDead
		}
		v.sched.Sleep(lockPoll)
	}
	v.owner = v
	return v.release, nil
}

func (v *Volume) release() {
	if v.owner == v {
		v.owner = nil
	}
}

// Close implements store.Store; the disk stays.
func (v *Volume) Close() error { return nil }

// Copy returns a second disk with what this one holds now, to put back later:
// what a careful client never survives unnoticed.
func (d *Disk) Copy(ctx context.Context) (*Disk, error) {
	records, err := d.inner.List(ctx, "", "", 0)
	if err != nil {
		return nil, err
	}
	c := NewDisk(d.sched, d.name)
	c.Fault, c.Written, c.Writes = d.Fault, d.Written, d.Writes
	_, err = c.inner.Commit(ctx, store.Batch{Put: records})
	return c, err
}
