package client

import (
	"context"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// PersonInfo is somebody this device knows.
type PersonInfo struct {
	Handle   string
	Account  string // lower-case hex
	Self     bool
	Devices  int       // live ones
	Trust    string    // one of the four states; "" of oneself
	Reason   string    // of changed and stop, in words
	Verified time.Time // when words were compared; zero: never
	Chat     string    // identifier of the direct conversation, "" if there is none
}

// People lists whom this device knows by name, by handle.
func (c *Client) People(ctx context.Context) (all []PersonInfo, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		records, err := t.list("handle/", "", 0)
		if err != nil {
			return err
		}
		direct, err := t.directChats()
		if err != nil {
			return err
		}
		for _, rec := range records {
			var a proto.AccountID
			if len(rec.Value) != len(a) {
				continue
			}
			copy(a[:], rec.Value)
			if t.leftName(a, strings.TrimPrefix(rec.Key, "handle/")) {
				continue
			}
			p, err := t.personInfo(a, direct)
			if err != nil {
				return err
			}
			all = append(all, p)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b PersonInfo) int { return strings.Compare(a.Handle, b.Handle) })
	return all, err
}

// directChats gives the direct conversation of each account.
func (t *tx) directChats() (map[proto.AccountID]string, error) {
	ids, err := t.conversations()
	if err != nil {
		return nil, err
	}
	all := map[proto.AccountID]string{}
	for _, id := range ids {
		cv, err := t.conv(id)
		if err != nil {
			return nil, err
		}
		if cv.meta.Policy.Kind != kindDirect || t.rank(id) != "0" {
			continue
		}
		a, err := t.peer(cv)
		if err != nil {
			return nil, err
		}
		if _, there := all[a]; !there {
			all[a] = chatID(id)
		}
	}
	return all, nil
}

func (t *tx) personInfo(a proto.AccountID, direct map[proto.AccountID]string) (PersonInfo, error) {
	me, err := t.identity()
	if err != nil {
		return PersonInfo{}, err
	}
	p := PersonInfo{Handle: t.handleOf(a), Account: a.Hex(), Self: a == me.Account, Chat: direct[a]}
	chain, known, err := t.chain(a)
	if err != nil {
		return p, err
	}
	if known {
		p.Devices = len(chain.Live())
	}
	if p.Trust, p.Reason, err = t.trustOf(a); err != nil {
		return p, err
	}
	v, err := t.verifiedOf(a)
	if v.Yes {
		p.Verified = unixTime(v.At)
	}
	return p, err
}
