package client

import (
	"context"
	"errors"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/kt"
)

// Standing is an alarm that concerns the account or the server, as long as it
// stands.
type Standing struct {
	SafetyError
	// The account's own name is being given to another one, and this device can
	// still refuse that: Veto.
	Veto bool
}

// Alarms lists the alarms that stand, from the store alone; those of one
// conversation are in its ChatInfo.
func (c *Client) Alarms(ctx context.Context) (all []Standing, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		r, err := t.ownName()
		if err != nil {
			return err
		}
		if len(r.Holders) > 0 {
			alarm, taker, err := t.ownAlarm(&r)
			if err != nil {
				return err
			}
			var safety *SafetyError
			if errors.As(alarm, &safety) {
				all = append(all, Standing{*safety, taker != nil && t.refusable(&r)})
			}
		}
		var safety *SafetyError
		if err = t.logAlarm(); errors.As(err, &safety) {
			all = append(all, Standing{SafetyError: *safety})
			return nil
		}
		return err
	})
	return all, err
}

// refusable tells whether an account younger than this one asks for the own name
// and does not have it yet.
func (t *tx) refusable(r *nameRecord) bool {
	me, err := t.identity()
	if err != nil || r.last() == me.Account {
		return false
	}
	n, err := t.name(r)
	return err == nil && r.find(me.Account) >= 0 && !t.late(n, r, len(r.Holders)-1)
}

// Strict tells whether this person waits for three days, not one, until somebody
// who was made anew counts: see SetStrict.
func (c *Client) Strict(ctx context.Context) (strict bool, err error) {
	err = c.step(ctx, func(t *tx) error {
		cool, err := t.coolDown()
		strict = cool == kt.StrictCoolDown
		return err
	})
	return strict, err
}

// EvidenceFile is something this device keeps to show to others.
type EvidenceFile struct {
	Name string
	Size int64
	Time time.Time // when it was made; zero: the name does not say
}

// EvidenceFiles lists the proofs and reports this device keeps, oldest first.
func (c *Client) EvidenceFiles(ctx context.Context) (all []EvidenceFile, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		records, err := t.list("evidence/", "", 0)
		for _, r := range records {
			f := EvidenceFile{Name: strings.TrimPrefix(r.Key, "evidence/"), Size: int64(len(r.Value))}
			_, stamp, _ := strings.Cut(f.Name, "-")
			if len(stamp) >= len(evidenceTime) {
				f.Time, _ = time.Parse(evidenceTime, stamp[:len(evidenceTime)])
			}
			all = append(all, f)
		}
		return err
	})
	return all, err
}

// evidenceTime is how the name of an evidence file says when it was made, in UTC.
const evidenceTime = "20060102-150405"

// EvidenceFile returns one of EvidenceFiles.
func (c *Client) EvidenceFile(ctx context.Context, name string) (b []byte, err error) {
	err = c.step(ctx, func(t *tx) (err error) {
		if b, err = t.get("evidence/" + name); err == nil && b == nil {
			err = store.ErrNotFound
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, &hinted{errors.New("this device keeps no evidence file of that name"), "look at the list again"}
	}
	return b, err
}

// Asked returns the names of the witnesses a policy asks, and how many of them have to vouch.
func (i *PolicyInfo) Asked() (names []string, fewest int) {
	p := kt.Policy{Witnesses: i.Set.Witnesses, Groups: i.Set.Groups, Quorum: i.Set.Quorum}
	for _, w := range p.Witnesses {
		names = append(names, w.Name)
	}
	return names, p.Fewest()
}
