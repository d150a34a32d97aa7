package client

import (
	"context"
	"fmt"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// Who joins a large group is given the chains of all its people by the member that
// added it. To verify and store a thousand of them takes longer than to join, so they
// are kept as they came, some in one record, and verified when somebody asks for one
// (chainRecord, handleOf), or a record at a time before anything is said in the group
// (takeGiven). Until then this device does not know them.
//
//	given/CONVERSATION/N   givenRecord

// atOnce is up to how many chains are verified in the step they come with, and how
// many in one step later: 16 are some 20 ms in a browser.
const atOnce = 16

// givenRecord is what a join blob said of some people.
type givenRecord struct{ Profiles []profile }

func (r *givenRecord) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Vector(c, &r.Profiles, (*profile).wire)
}

const givenPrefix = "given/"

// keepProfiles keeps what a join blob says of people.
func (t *tx) keepProfiles(id proto.ConversationID, all []profile) error {
	if len(all) > atOnce {
		t.c.given = nil // read anew by who asks
		for n := 0; len(all) > 0; n++ {
			r := givenRecord{all[:min(atOnce, len(all))]}
			all = all[len(r.Profiles):]
			if err := t.save(key("given", id, fmt.Sprintf("%05d", n)), r.wire); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range all {
		if err := t.keepProfile(&all[i]); err != nil {
			t.c.cfg.Log.Warn("a member's chain does not verify", "why", err)
		}
	}
	return nil
}

// givenOf verifies and keeps what was given of an account, and tells whether there
// was something.
func (t *tx) givenOf(a proto.AccountID) (bool, error) {
	if err := t.indexGiven(); err != nil {
		return false, err
	}
	in, ok := t.c.given[a]
	if !ok {
		return false, nil
	}
	delete(t.c.given, a)
	var r givenRecord
	if err := t.load(in, r.wire); err != nil {
		return false, err
	}
	i := slices.IndexFunc(r.Profiles, func(p profile) bool { return p.Account == a })
	if i < 0 {
		return false, nil
	}
	p := r.Profiles[i]
	if r.Profiles = slices.Delete(r.Profiles, i, i+1); len(r.Profiles) == 0 {
		t.del(in)
	} else if err := t.save(in, r.wire); err != nil {
		return false, err
	}
	if err := t.keepProfile(&p); err != nil {
		t.c.cfg.Log.Warn("a member's chain does not verify", "why", err)
	}
	return true, nil
}

// indexGiven reads in which record each account is, unless memory knows.
func (t *tx) indexGiven() error {
	if t.c.given != nil {
		return nil
	}
	records, err := t.list(givenPrefix, "", 0)
	if err != nil {
		return err
	}
	t.c.given = map[proto.AccountID]string{}
	for _, rec := range records {
		var r givenRecord
		if err := decode(rec.Value, r.wire); err != nil {
			return fmt.Errorf("stored profiles: %w", err)
		}
		for i := range r.Profiles {
			t.c.given[r.Profiles[i].Account] = rec.Key
		}
	}
	return nil
}

// takeGiven verifies everything that was given, a record in each step, so that other
// steps come in between.
func (c *Client) takeGiven(ctx context.Context) error {
	for more := true; more; {
		err := c.step(ctx, func(t *tx) error {
			some, err := t.list(givenPrefix, "", 1)
			more = len(some) > 0
			if err != nil || !more {
				return err
			}
			var r givenRecord
			if err := decode(some[0].Value, r.wire); err != nil {
				return fmt.Errorf("stored profiles: %w", err)
			}
			if err := t.indexGiven(); err != nil {
				return err
			}
			t.del(some[0].Key)
			for i := range r.Profiles {
				delete(t.c.given, r.Profiles[i].Account)
				if err := t.keepProfile(&r.Profiles[i]); err != nil {
					t.c.cfg.Log.Warn("a member's chain does not verify", "why", err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if more {
			c.breathe()
		}
	}
	return nil
}
