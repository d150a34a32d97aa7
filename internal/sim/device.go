package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store"
)

// Device is one simulated computer with a profile: a disk that outlives crashes
// and at most one long-lived process, which works off what it is told and
// synchronises in between, as a running client does.
type Device struct {
	Name   string // "ann/1"
	Handle string // "ann"
	Disk   *Disk
	Clock  *Clock
	Cut    bool // no network
	Off    bool // switched off: no process is started
	Gone   bool // never to be switched on again, such as one that was revoked
	// SyncMin and SyncMax bound the pause between two synchronisations.
	SyncMin, SyncMax time.Duration
	// WriteFaults is the probability of each kind of fault at one write.
	WriteFaults float64
	// Safety are the SafetyErrors this device gave, by reason.
	Safety []*client.SafetyError

	id      string // hex, once joined
	world   *World
	key     store.DeviceKey
	queue   []*Op
	process *Task
	volume  *Volume // of the process
	joined  bool
	pausing bool // the process waits for its next synchronisation
	crashes int
	outbox  int // messages waiting, as of the last synchronisation
}

// Op is something a device is told to do.
type Op struct {
	What   string
	Done   bool
	Killed bool // the process died before it was finished
	Err    error

	device *Device
	after  func() // runs when it is done, nil = nothing
	do     func(ctx context.Context, c *client.Client) error
}

// errKilled is the outcome of an Op whose process was killed.
var errKilled = errors.New("sim: the process was killed")

func (d *Device) config(v *Volume) client.Config {
	return client.Config{
		Store: store.Sealed(v, d.key, "disk of "+d.Name),
		Dial: func(client.ServerRef) (client.Transport, error) {
			return &Line{net: d.world.Net, device: d.Name, volume: v, cut: &d.Cut}, nil
		},
		Clock:    d.Clock,
		Log:      slog.New(slog.DiscardHandler),
		Evidence: d.keepEvidence,
	}
}

// writeFault draws the fault of one write of this device.
func (d *Device) writeFault(int) WriteFault {
	if !d.world.Sched.Chance(d.WriteFaults) {
		return WriteFine
	}
	return WriteFault(1 + d.world.Sched.Rand.IntN(4))
}

// Tell queues an operation for the device's process.
func (d *Device) Tell(what string, do func(ctx context.Context, c *client.Client) error) *Op {
	op := &Op{What: what, device: d, do: do}
	d.queue = append(d.queue, op)
	d.wake()
	return op
}

// start runs the process of a device that has joined, unless it is off.
func (d *Device) start() {
	if d.Off || d.process != nil || !d.joined {
		return
	}
	v := d.Disk.Mount()
	d.volume, d.pausing = v, false
	d.process = d.world.Sched.Go(d.Name, func() { d.run(v) }, func(killed bool) {
		v.Dead = true
		d.process = nil
		d.ended(killed)
	})
}

// ended decides what follows the end of a process: a while later, the next one.
func (d *Device) ended(killed bool) {
	if killed {
		d.crashes++
		d.world.Sched.Trace.Add(d.Name, "process killed")
	}
	if len(d.queue) > 0 && d.queue[0].Killed {
		d.done(errKilled)
	}
	s := d.world.Sched
	s.Go(d.Name+" restarts", func() { s.Sleep(s.Between(time.Second, 30*time.Second)) }, func(bool) { d.start() })
}

// run is the process: it opens the profile and works until it is killed.
func (d *Device) run(v *Volume) {
	ctx := context.Background()
	c, err := client.Open(ctx, d.config(v))
	if err != nil {
		d.note("open", err)
		return
	}
	for !d.Off {
		if len(d.queue) > 0 {
			d.work(ctx, c, d.queue[0])
			continue
		}
		d.note("sync", c.Sync(ctx))
		if held, err := c.Inspect(ctx); err == nil {
			d.outbox = waiting(held)
		}
		d.pause()
	}
}

// waiting counts the messages that can still be sent one day.
func waiting(held []client.Inspection) (n int) {
	for _, h := range held {
		if over := h.State == "left" || h.State == "removed" || h.State == "succeeded"; !over && h.Alarm == "" {
			n += len(h.Waiting)
		}
	}
	return n
}

// pause sleeps until the next synchronisation is due; Tell ends it.
func (d *Device) pause() {
	d.pausing = true
	d.world.Sched.Sleep(d.world.Sched.Between(d.SyncMin, d.SyncMax))
	d.pausing = false
}

// wake ends a pause.
func (d *Device) wake() {
	if d.pausing && d.process != nil {
		d.process.wake = d.world.Sched.Now()
	}
}

func (d *Device) work(ctx context.Context, c *client.Client, op *Op) {
	op.Killed = true // until it has ended otherwise
	d.world.Sched.Trace.Add(d.Name, "begins: %s", op.What)
	err := op.do(ctx, c)
	op.Killed = false
	d.done(err)
	d.note(op.What, op.Err)
}

// done ends the operation that was worked on.
func (d *Device) done(err error) {
	op := d.queue[0]
	op.Done, op.Err = true, err
	d.queue = d.queue[1:]
	if op.after != nil {
		op.after()
	}
}

// note traces the outcome of a step and keeps what stopped it for safety.
func (d *Device) note(what string, err error) {
	if err == nil {
		d.world.Sched.Trace.Add(d.Name, "%s: done", what)
		return
	}
	d.world.Sched.Trace.Add(d.Name, "%s: %v", what, err)
	var safety *client.SafetyError
	if errors.As(err, &safety) {
		d.Safety = append(d.Safety, safety)
	}
}

// Kill ends the device's process now, if it has one.
func (d *Device) Kill() {
	if d.process != nil {
		d.volume.Dead = true
		d.world.Sched.Kill(d.process)
	}
}

// Once runs a process beside the long-lived one, as a second command on the
// same profile does, and lets it end.
func (d *Device) Once(what string, do func(ctx context.Context, c *client.Client) error) *Op {
	op := &Op{What: what, device: d, Killed: true}
	v := d.Disk.Mount()
	d.world.Sched.Go(d.Name+"'", func() {
		c, err := client.Open(context.Background(), d.config(v))
		if err == nil {
			err = do(context.Background(), c)
		}
		op.Err, op.Killed = err, false
		d.note(what, err)
	}, func(killed bool) {
		v.Dead, op.Done = true, true
		if killed {
			op.Err = errKilled
		}
	})
	return op
}

func (o *Op) String() string { return fmt.Sprintf("%s: %s: %v", o.device.Name, o.What, o.Err) }
