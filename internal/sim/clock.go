package sim

import (
	"context"
	"time"
)

// Clock is one machine's clock: the fake time plus how wrong the machine is.
// It implements the clocks of client and server.
type Clock struct {
	sched *Sched
	Skew  time.Duration
}

// Now is what this machine believes.
func (c *Clock) Now() time.Time { return c.sched.Now().Add(c.Skew) }

// Sleep parks the calling task for d of fake time, or returns ctx's error.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.sched.Sleep(d)
	return ctx.Err()
}
