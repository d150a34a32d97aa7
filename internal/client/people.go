package client

import (
	"context"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// PersonInfo is somebody this device knows.
type PersonInfo struct {
	Handle   string
	Account  string // lower-case hex
	Self     bool
	Devices  int    // live ones
	Verified bool   // their keys were compared on one of the own devices
	Changed  bool   // … and are others now
	Chat     string // identifier of the direct conversation, "" if there is none
	Links    []LinkInfo
}

// LinkInfo is one change of somebody's keys.
type LinkInfo struct {
	Type   string // as kt names it: "GENESIS", "ADD_DEVICE", …
	Time   time.Time
	Device string // lower-case hex, of the device it is about
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

// Person returns somebody by handle, with the history of their keys; the server
// is asked if this device does not know them.
func (c *Client) Person(ctx context.Context, who string) (p PersonInfo, err error) {
	h, err := handle(who)
	if err != nil {
		return p, err
	}
	a, err := c.lookup(ctx, h)
	if err != nil {
		return p, err
	}
	err = c.step(ctx, func(t *tx) error {
		direct, err := t.directChats()
		if err != nil {
			return err
		}
		if p, err = t.personInfo(a, direct); err != nil {
			return err
		}
		p.Links, err = t.linkInfos(a)
		return err
	})
	return p, err
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
	p.Verified, err = t.isVerified(a)
	return p, err
}

// linkInfos reads the dated changes out of an account's chain, oldest first.
func (t *tx) linkInfos(a proto.AccountID) (all []LinkInfo, err error) {
	links, err := t.links(a)
	if err != nil {
		return nil, err
	}
	for _, b := range links {
		l, err := kt.ParseLink(b)
		if err != nil {
			return nil, err
		}
		all = append(all, LinkInfo{Type: l.Type.String(), Time: time.Unix(int64(l.Time), 0).UTC()})
	}
	return all, nil
}
