package rpc

import (
	"context"
	"slices"

	"codeberg.org/huis/huis/internal/client"
)

// alarms are those that stand: of single conversations as they were raised, and
// what the store says of the account and the server.
func (c *Core) alarms(k *Call, _ *Empty) (*AlarmList, error) {
	device, err := c.device()
	if err != nil {
		return new(AlarmList), nil // there is nothing to be alarmed about
	}
	l, err := c.standingAlarms(k.Ctx, device)
	return &AlarmList{Alarms: l}, err
}

func (c *Core) standingAlarms(ctx context.Context, device *client.Client) (all []Alarm, err error) {
	now, err := device.Alarms(ctx)
	for i := range now {
		s := &now[i]
		all = append(all, Alarm{Reason: say(s.Reason), Fix: say(s.Fix), Evidence: s.Evidence, Veto: s.Veto})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.standing {
		known := func(b Alarm) bool { return b.Chat == a.Chat && b.Reason.String() == a.Reason.String() }
		if !slices.ContainsFunc(all, known) {
			all = append(all, a)
		}
	}
	return all, err
}

// tellAlarms tells interfaces which alarms stand, if that changed.
func (c *Core) tellAlarms(ctx context.Context, device *client.Client) {
	now, err := c.standingAlarms(ctx, device)
	if err != nil {
		return
	}
	c.mu.Lock()
	same := slices.EqualFunc(now, c.told, func(a, b Alarm) bool { return a.same(b) && a.Veto == b.Veto })
	c.told = now
	c.mu.Unlock()
	if !same {
		c.event("alarms", &AlarmList{Alarms: now})
	}
}

// veto refuses the account that is to have this one's name.
func (c *Core) veto(k *Call, q *Empty) (*AlarmList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if _, err := device.Veto(k.Ctx); err != nil {
		return nil, err
	}
	return c.alarms(k, q)
}

func (c *Core) strict(k *Call, _ *Empty) (*Strict, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	yes, err := device.Strict(k.Ctx)
	return &Strict{Strict: yes}, err
}

func (c *Core) setStrict(k *Call, q *Strict) (*Strict, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if err := device.SetStrict(k.Ctx, q.Strict); err != nil {
		return nil, err
	}
	return c.strict(k, nil)
}

func (c *Core) policies(k *Call, _ *Empty) (*PolicyList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	all, err := device.Policies(k.Ctx)
	if err != nil {
		return nil, err
	}
	l := new(PolicyList)
	for i := range all {
		p := &all[i]
		out := Policy{N: int64(p.N), Hash: p.Hash, InForce: p.InForce, Counts: p.Counts, Signers: p.Signers, Needed: p.Needed, Waits: say(p.Waits)}
		out.Witnesses, out.Fewest = p.Asked()
		for _, text := range p.Changes {
			out.Changes = append(out.Changes, *say(text))
		}
		l.Policies = append(l.Policies, out)
	}
	return l, nil
}

// acceptPolicy has a policy count that this person compared with a signer.
func (c *Core) acceptPolicy(k *Call, q *PolicyHash) (*PolicyList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if err := device.AcceptPolicy(k.Ctx, q.Hash); err != nil {
		return nil, err
	}
	return c.policies(k, nil)
}

func (c *Core) evidence(k *Call, _ *Empty) (*EvidenceList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	all, err := device.EvidenceFiles(k.Ctx)
	if err != nil {
		return nil, err
	}
	l := new(EvidenceList)
	for _, f := range all {
		l.Files = append(l.Files, Evidence{Name: f.Name, Size: f.Size, Time: millis(f.Time)})
	}
	return l, nil
}

func (c *Core) readEvidence(k *Call, q *EvidenceName) (*Evidence, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	b, err := device.EvidenceFile(k.Ctx, q.Name)
	if err != nil {
		return nil, err
	}
	w := &chunks{call: k, total: int64(len(b))}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	return &Evidence{Name: q.Name, Size: int64(len(b))}, w.flush()
}
