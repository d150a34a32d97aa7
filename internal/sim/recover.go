package sim

import (
	"context"
	"errors"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/kt"
)

// RecoveryKey is what a device's person wrote down when it joined.
func (w *World) RecoveryKey(d *Device) (key kt.RecoveryKey, err error) {
	var text string
	op := d.Tell("look at the recovery key", func(ctx context.Context, c *client.Client) (err error) {
		text, err = c.RecoveryKeyToShow(ctx)
		return err
	})
	if err := w.Wait(op); err != nil {
		return key, err
	}
	return kt.ParseRecoveryKey(text)
}

// Lose destroys a device with all it had.
func (w *World) Lose(d *Device) {
	d.Off, d.Gone = true, true
	d.Kill()
}

// Recover gives a person device number n by the recovery key alone.
func (w *World) Recover(handle string, n int, key kt.RecoveryKey, opt client.RecoverOptions) (*Device, error) {
	d := w.newDevice(handle, n)
	ref := w.Server.FirstInvitation().Server
	return d, w.enter(d, func(ctx context.Context, cfg client.Config) (*client.Client, error) {
		c, _, err := client.Recover(ctx, cfg, ref, handle, key, opt)
		return c, err
	})
}

// errNotBack: nobody let a recovered device in.
var errNotBack = errors.New("sim: a recovered device is not back in its conversations")

// Back steps the world until a recovered device waits for no conversation.
func (w *World) Back(d *Device) error {
	for range 40 {
		var waiting []string
		err := w.Wait(d.Tell("look who is missing", func(ctx context.Context, c *client.Client) (err error) {
			waiting, err = c.Returning(ctx)
			return err
		}))
		if err == nil && len(waiting) == 0 {
			return nil
		}
		if err := w.Sched.RunFor(30 * time.Second); err != nil {
			return err
		}
	}
	return errNotBack
}
