package rpc

import (
	"slices"

	"codeberg.org/huis/huis/internal/client"
)

// linkKinds gives the types of links in a chain their names here.
var linkKinds = map[string]PersonEventKind{
	"GENESIS": PersonBegan, "ADD_DEVICE": PersonAdded, "REVOKE": PersonRevoked, "ROTATE": PersonRotated,
	"SET_RECOVERY": PersonRecovery, "RESET": PersonReset, "TOMBSTONE": PersonEnded,
}

func personOf(p client.PersonInfo) Person {
	out := Person{Handle: p.Handle, Account: p.Account, Self: p.Self, Trust: TrustChecked, Devices: p.Devices, Chat: p.Chat}
	switch {
	case p.Changed:
		out.Trust = TrustChanged
	case p.Verified:
		out.Trust = TrustVerified
	}
	return out
}

func (c *Core) people(k *Call, _ *Empty) (*PersonList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	all, err := device.People(k.Ctx)
	if err != nil {
		return nil, err
	}
	l := new(PersonList)
	for _, p := range all {
		l.People = append(l.People, personOf(p))
	}
	return l, nil
}

func (c *Core) person(k *Call, q *PersonName) (*PersonDetail, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	p, err := device.Person(k.Ctx, q.Handle)
	if err != nil {
		return nil, err
	}
	d := &PersonDetail{Person: personOf(p)}
	for _, l := range slices.Backward(p.Links) {
		if kind, ok := linkKinds[l.Type]; ok {
			d.History = append(d.History, PersonEvent{Kind: kind, Time: millis(l.Time), Device: l.Device})
		}
	}
	return d, nil
}

func (c *Core) verify(*Call, *Verify) (*PersonDetail, error) {
	return nil, &Error{Code: CodeUnsupported, Text: "not in this version"}
}

func (c *Core) search(*Call, *SearchRequest) (*SearchResult, error) {
	return nil, &Error{Code: CodeUnsupported, Text: "not in this version"}
}
