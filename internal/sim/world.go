package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/client"
	clientstore "codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/delivery/store"
)

// Start is when every world begins, in fake time.
var Start = time.Date(2030, 1, 7, 9, 0, 0, 0, time.UTC)

// World is a server, its people's devices and the network between them.
type World struct {
	Seed   uint64
	Sched  *Sched
	Net    *Network
	Server *Server
	Seals  *Seals

	devices  map[string]*Device
	admin    *Device // the first that joined
	promises []Promise
	proofs   map[string][]byte // evidence files clients wrote, by device and name
	texts    int
	newFault func(n int) WriteFault // of the disks of devices made from now on
}

// NewWorld makes a world with a fresh server on st, which is empty. The caller
// has seeded crypto/rand and calls Close.
func NewWorld(seed uint64, st store.Store) (*World, error) {
	w := &World{
		Seed:    seed,
		Sched:   NewSched(seed, Start),
		Seals:   NewSeals(),
		devices: make(map[string]*Device),
		proofs:  make(map[string][]byte),
	}
	seen := newObserver()
	server, err := NewServer(w.Sched, seen, st, newMemFiles())
	if err != nil {
		return nil, err
	}
	w.Server = server
	w.Net = &Network{Faults: Calm, Seals: w.Seals, sched: w.Sched, seen: seen, exec: server.Exec}
	return w, nil
}

// Close kills what runs and closes the server.
func (w *World) Close() error { return errors.Join(w.Sched.Close(), w.Server.Close()) }

// Device returns a device by name.
func (w *World) Device(name string) *Device { return w.devices[name] }

// Devices returns all devices in the order of their names.
func (w *World) Devices() []*Device {
	var out []*Device
	for _, name := range slices.Sorted(maps.Keys(w.devices)) {
		out = append(out, w.devices[name])
	}
	return out
}

func (w *World) newDevice(handle string, n int) *Device {
	d := &Device{
		Name: fmt.Sprintf("%s/%d", handle, n), Handle: handle, world: w,
		Clock: &Clock{sched: w.Sched}, key: clientstore.NewDeviceKey(),
		SyncMin: 2 * time.Second, SyncMax: 20 * time.Second,
	}
	d.Disk = NewDisk(w.Sched, d.Name)
	d.Disk.Fault = d.writeFault
	if w.newFault != nil {
		d.Disk.Fault = w.newFault
	}
	d.Disk.Written = func(b clientstore.Batch) {
		for _, r := range b.Put {
			w.Seals.Sealed(d.Name, d.key[:], r.Value[:storeNonce], nil)
		}
	}
	w.devices[d.Name] = d
	return d
}

// storeNonce is the length of the nonce that begins every sealed record.
const storeNonce = 24

// Join makes an account and its first device, by an invitation of the server
// for the first and of that one for all others.
func (w *World) Join(handle string) (*Device, error) {
	inv, err := w.invitation()
	if err != nil {
		return nil, err
	}
	d := w.newDevice(handle, 1)
	return d, w.enter(d, func(ctx context.Context, cfg client.Config) (*client.Client, error) {
		c, _, err := client.Join(ctx, cfg, inv, handle)
		return c, err
	})
}

func (w *World) invitation() (client.Invitation, error) {
	if w.admin == nil {
		return w.Server.FirstInvitation(), nil
	}
	var inv client.Invitation
	err := errKilled
	for range 10 {
		op := w.admin.Tell("invite", func(ctx context.Context, c *client.Client) (err error) {
			inv, err = c.Invite(ctx, 1, 24*time.Hour)
			return err
		})
		if err = w.Wait(op); err == nil {
			break
		}
	}
	return inv, err
}

// enter runs what gives a device its profile, again and again until it has one,
// and then starts its process.
func (w *World) enter(d *Device, how func(context.Context, client.Config) (*client.Client, error)) error {
	var last error
	for range 20 {
		done := false
		v := d.Disk.Mount()
		w.Sched.Go(d.Name, func() {
			// An earlier try may have come as far as it had to.
			c, err := client.Open(context.Background(), d.config(v))
			if err != nil {
				c, err = how(context.Background(), d.config(v))
			}
			if last = err; last == nil {
				var s client.Status
				s, last = c.Status(context.Background())
				d.id = s.Device
			}
			d.note("enter", last)
		}, func(killed bool) {
			v.Dead, done = true, true
			if killed {
				last = errKilled
			}
		})
		if err := w.Sched.RunUntil(func() bool { return done }, time.Hour); err != nil {
			return err
		}
		if last == nil {
			d.joined = true
			if w.admin == nil {
				w.admin = d
			}
			d.start()
			return nil
		}
		if err := w.Sched.RunFor(5 * time.Second); err != nil {
			return err
		}
	}
	return fmt.Errorf("sim: %s could not enter: %w", d.Name, last)
}

// Wait steps the world until all operations ended and returns their errors.
func (w *World) Wait(ops ...*Op) error {
	err := w.Sched.RunUntil(func() bool {
		return !slices.ContainsFunc(ops, func(o *Op) bool { return !o.Done })
	}, 6*time.Hour)
	for _, o := range ops {
		if o.Err != nil {
			err = errors.Join(err, fmt.Errorf("%v: %w", o, o.Err))
		}
	}
	return err
}

// Do is Tell and Wait.
func (w *World) Do(d *Device, what string, do func(ctx context.Context, c *client.Client) error) error {
	return w.Wait(d.Tell(what, do))
}

// Send tells a device to write one message of a text nobody else writes. What
// the client takes is a promise from then on.
func (w *World) Send(d *Device, chat string) *Op {
	text := w.text(d)
	return d.Tell("send "+text+" to "+chat, w.sending(d, chat, text))
}

// text is a message nobody else writes.
func (w *World) text(d *Device) string {
	w.texts++
	return fmt.Sprintf("message %d by %s", w.texts, d.Name)
}

func (w *World) sending(d *Device, chat, text string) func(context.Context, *client.Client) error {
	return func(ctx context.Context, c *client.Client) error {
		sent, err := c.Send(ctx, chat, client.Draft{Text: text})
		if err == nil {
			w.promises = append(w.promises, Promise{Device: d.Name, Message: sent.ID, Body: text})
		}
		return err
	}
}

func (d *Device) keepEvidence(name string, data []byte) (string, error) {
	d.world.proofs[d.Name+"/"+name] = slices.Clone(data)
	return "proofs/" + name, nil
}

// actor is who runs now, for the record of seals.
func (w *World) actor() string {
	if t := w.Sched.running; t != nil {
		return t.Name
	}
	return "nobody"
}

// Link gives a person device number n, approved by its first.
func (w *World) Link(handle string, n int) (*Device, error) {
	d, old := w.newDevice(handle, n), w.devices[handle+"/1"]
	ref := w.Server.FirstInvitation().Server
	return d, w.enter(d, func(ctx context.Context, cfg client.Config) (*client.Client, error) {
		return client.Link(ctx, cfg, ref, handle, func(code string) {
			w.approve(old, code, 5)
		})
	})
}

// approve types the code, and again if it did not work out.
func (w *World) approve(d *Device, code string, tries int) {
	op := d.Tell("approve", func(ctx context.Context, c *client.Client) error {
		_, err := c.Approve(ctx, code, nil)
		return err
	})
	op.after = func() {
		if op.Err != nil && tries > 1 {
			w.approve(d, code, tries-1)
		}
	}
}
