package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

// Settle ends all faults, switches everything on and steps the world until
// nothing new appears in any log and no device has anything left to send. limit
// bounds the fake time it may take.
func (w *World) Settle(limit time.Duration) error {
	w.Net.Faults = Calm
	if err := w.Server.Heal(); err != nil {
		return err
	}
	for _, d := range w.Devices() {
		d.WriteFaults, d.Cut, d.Off, d.Disk.Fault = 0, false, d.Gone, nil
		d.SyncMin, d.SyncMax = 5*time.Second, 30*time.Second
		d.start()
	}
	end := w.Sched.Now().Add(limit)
	before := -1
	for quiet := 0; quiet < 3; {
		if w.Sched.Now().After(end) {
			return fmt.Errorf("sim: the world did not come to rest in %v", limit)
		}
		if err := w.Sched.RunFor(quietTime); err != nil {
			return err
		}
		idle := true
		for _, d := range w.Devices() {
			idle = idle && (d.Gone || !d.joined || d.process != nil && len(d.queue) == 0 && d.outbox == 0)
		}
		if n := w.Net.seen.entries(); n == before && idle {
			quiet++
		} else {
			before, quiet = n, 0
		}
	}
	return nil
}

// quietTime is longer than the longest pause between two synchronisations and
// than what a member waits before it answers a call for help in a small group.
const quietTime = time.Minute

// Evidence stops all devices and gathers what each holds and shows, and what
// the server does.
func (w *World) Evidence() (*Evidence, error) {
	e := &Evidence{
		Logs:     make(map[ID][]Entry),
		Promises: w.promises,
		Views:    make(map[string]map[ID]*View),
		Seals:    w.Seals,
	}
	for _, d := range w.Devices() {
		d.Off = true
		d.Kill()
	}
	if err := w.Sched.RunFor(time.Minute); err != nil {
		return nil, err
	}
	for _, d := range w.Devices() {
		if !d.joined {
			continue
		}
		views, err := w.views(d)
		if err != nil {
			return nil, fmt.Errorf("sim: what %s shows: %w", d.Name, err)
		}
		e.Views[d.Name] = views
	}
	if err := w.Server.Gather(); err != nil {
		return nil, err
	}
	for conv := range w.Net.seen.logs {
		e.Logs[conv] = w.Net.seen.log(conv)
	}
	e.Owner, e.Acks, e.Given = w.Net.seen.owner, w.Net.seen.acks, w.Net.seen.given
	return e, nil
}

// views opens a device's profile once more, without network, and reads it out.
func (w *World) views(d *Device) (map[ID]*View, error) {
	d.Cut = true
	views := make(map[ID]*View)
	op := d.Once("read out", func(ctx context.Context, c *client.Client) error {
		held, err := c.Inspect(ctx)
		for _, h := range held {
			v := w.view(d, h)
			for m, e := range c.Held(ctx, h.Conversation) {
				if e != nil {
					return e
				}
				if m.Kind == "text" {
					v.Messages = append(v.Messages, Message{Seq: m.Seq, ID: m.ID, From: w.nameOf(m.Device), Body: m.Body})
				}
			}
			views[ID(h.Conversation)] = v
		}
		return err
	})
	err := w.Sched.RunUntil(func() bool { return op.Done }, time.Hour)
	return views, errors.Join(err, op.Err)
}

func (w *World) view(d *Device, h client.Inspection) *View {
	v := &View{Active: h.State == "", Epoch: h.Epoch, Authenticator: fmt.Sprintf("%x", h.Authenticator), MKs: make(map[uint32]ID)}
	for _, l := range h.Leaves {
		v.Members = append(v.Members, w.nameOf(l.Device))
		v.MKs[uint32(l.Leaf)] = ID(l.MK)
	}
	v.Waiting = h.Waiting
	v.Succeeded = h.State == "succeeded"
	v.Excused = w.Net.seen.excused(d.Name, ID(h.Conversation))
	if h.Broken != 0 {
		v.Excused = append(v.Excused, Span{h.Broken, forever})
	}
	return v
}

// nameOf is the device of that id in hex.
func (w *World) nameOf(id string) string {
	for _, d := range w.devices {
		if d.id == id && id != "" {
			return d.Name
		}
	}
	return "stranger " + id
}
