package rpc

import (
	"slices"
	"unicode/utf16"

	"codeberg.org/huis/huis/internal/client"
)

func personOf(p client.PersonInfo) Person {
	out := Person{
		Handle: p.Handle, Account: p.Account, Self: p.Self, Trust: Trust(p.Trust), Reason: say(p.Reason), Devices: p.Devices,
		Verified: millis(p.Verified), Chat: p.Chat,
	}
	if p.Self || out.Trust == "" {
		out.Trust = TrustChecked
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
	t, err := device.Trust(k.Ctx, q.Handle)
	if err != nil {
		return nil, err
	}
	return c.detail(k, device, t)
}

// detail is a person with what is known of their keys.
func (c *Core) detail(k *Call, device *client.Client, t client.Trust) (*PersonDetail, error) {
	all, err := device.People(k.Ctx)
	if err != nil {
		return nil, err
	}
	p := client.PersonInfo{Handle: t.Handle, Account: t.Account}
	if i := slices.IndexFunc(all, func(p client.PersonInfo) bool { return p.Handle == t.Handle }); i >= 0 {
		p = all[i]
	}
	p.Trust, p.Reason, p.Verified = t.State, t.Reason, t.Verified
	d := &PersonDetail{Person: personOf(p), Words: t.Code.Words, Digits: t.Code.Digits, Fix: say(t.Fix), Checked: millis(t.Checked)}
	for _, e := range slices.Backward(t.Events) {
		d.History = append(d.History, PersonEvent{
			Kind: PersonEventKind(e.Kind), Time: millis(e.Time), Device: e.Device, Signed: e.Signed, Text: e.Text, From: e.From, To: e.To,
		})
	}
	return d, nil
}

func (c *Core) verify(k *Call, q *Verify) (*PersonDetail, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	t, err := device.SetVerified(k.Ctx, q.Handle, q.Said, q.Yes)
	if err != nil {
		return nil, err
	}
	return c.detail(k, device, t)
}

// Bounds of a search.
const (
	defaultHits = 30
	maxHits     = 100
)

func (c *Core) search(k *Call, q *SearchRequest) (*SearchResult, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	hits, cursor, err := device.Search(k.Ctx, client.Query{
		Text: q.Text, Chat: q.Chat, From: bare(q.From), N: min(orElse(max(q.Limit, 0), defaultHits), maxHits), Cursor: q.Cursor,
	})
	if err != nil {
		return nil, err
	}
	r := &SearchResult{Cursor: cursor}
	for i := range hits {
		h := &hits[i]
		r.Hits = append(r.Hits, SearchHit{Message: messageOf(h.ChatID, &h.Line), Ranges: units(h.Body, h.Places)})
	}
	return r, nil
}

// units turns places in bytes into such in UTF-16 code units.
func units(s string, places [][2]int) (all [][2]int) {
	count, at := 0, 0
	upTo := func(end int) int {
		for _, r := range s[at:end] {
			count += utf16.RuneLen(r)
		}
		at = end
		return count
	}
	for _, p := range places {
		begin := upTo(p[0])
		all = append(all, [2]int{begin, upTo(p[1])})
	}
	return all
}
