package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// What happens to a conversation is kept beside its messages: who came and went,
// what it is called, who may do what. It is read from the commits as they are
// merged, so it says what the keys say, and with the names people had then.
//
//	event/HEX/SEQ   happened

// The kinds of what happens.
const (
	EventCreated = "created"
	EventAdded   = "added"   // people, by somebody
	EventRemoved = "removed" // people, by somebody
	EventLeft    = "left"    // by oneself
	EventDevice  = "device"  // a further device of somebody
	EventDropped = "dropped" // a device of somebody went
	EventRenamed = "renamed"
	EventRoles   = "roles"
	EventExpiry  = "expiry"
	EventBack    = "back" // this device was let in again
)

// Event is something that happened in a conversation.
type Event struct {
	Kind   string
	By     string   // handle; "" if it is not known
	People []string // handles
	Text   string   // renamed: the new name; roles: "admin" or "member"
	Number uint32   // expiry: seconds, 0: never
}

// happened is what one entry of the log changed.
type happened struct {
	Minute uint64 // stamp
	Events []happening
	Names  []nameThen // as far as they were known then
}

// happening is an Event by accounts.
type happening struct {
	Kind   string
	By     proto.AccountID // zero: not known
	People []proto.AccountID
	Text   string
	Number uint32
}

type nameThen struct {
	Account proto.AccountID
	Name    string
}

func (h *happened) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint64(c, &h.Minute)
	wire.Vector(c, &h.Events, (*happening).wire)
	wire.Vector(c, &h.Names, (*nameThen).wire)
}

func (e *happening) wire(c *wire.Codec) {
	wire.String(c, &e.Kind, 16)
	e.By.Wire(c)
	wire.Vector(c, &e.People, (*proto.AccountID).Wire)
	wire.String(c, &e.Text, maxName)
	wire.Uint32(c, &e.Number)
}

func (n *nameThen) wire(c *wire.Codec) {
	n.Account.Wire(c)
	wire.String(c, &n.Name, proto.MaxHandle)
}

// event says who it was by the names of then, or by those known since.
func (t *tx) event(h *happened, e *happening) Event {
	name := func(a proto.AccountID) string {
		if i := slices.IndexFunc(h.Names, func(n nameThen) bool { return n.Account == a }); i >= 0 {
			return h.Names[i].Name
		}
		return t.handleOf(a)
	}
	out := Event{Kind: e.Kind, Text: e.Text, Number: e.Number}
	if e.By != (proto.AccountID{}) {
		out.By = name(e.By)
	}
	for _, a := range e.People {
		out.People = append(out.People, name(a))
	}
	slices.Sort(out.People)
	return out
}

// String is the event in English, as one sentence.
func (e *Event) String() string {
	by, people := "@"+e.By, "@"+strings.Join(e.People, ", @")
	if e.By == "" {
		by = "somebody"
	}
	switch e.Kind {
	case EventCreated:
		return by + " made this group"
	case EventAdded:
		return by + " added " + people
	case EventRemoved:
		return by + " removed " + people
	case EventLeft:
		return people + " left"
	case EventDevice:
		return "a device of " + people + " was added"
	case EventDropped:
		return "a device of " + people + " is no longer here"
	case EventRenamed:
		return fmt.Sprintf("%s named the group %q", by, e.Text)
	case EventRoles:
		if e.Text == roleAdmin {
			return by + " made " + people + " an admin"
		}
		return by + " made " + people + " an ordinary member"
	case EventExpiry:
		if e.Number == 0 {
			return by + " lets messages stay"
		}
		return by + " lets messages disappear after " + (time.Duration(e.Number) * time.Second).String()
	}
	return "this device was let in again; what was written meanwhile is on other devices"
}

// state of a conversation before a commit, to tell what it changed.
type membership struct {
	policy policy
	people []proto.AccountID
	roster map[mls.LeafIndex]member
	left   map[mls.LeafIndex]bool // that said so
}

func (cv *conversation) membership() membership {
	m := membership{cv.meta.Policy, cv.accounts(), cv.roster(), map[mls.LeafIndex]bool{}}
	for _, mk := range cv.meta.Left {
		if leaf, ok := cv.keys.leafOf(mk); ok {
			m.left[leaf] = true
		}
	}
	return m
}

// tellCommit keeps what a merged commit changed; by made it.
func (t *tx) tellCommit(cv *conversation, before membership, by mls.LeafIndex, c *mls.StagedCommit, s *proto.Stamped) error {
	who := before.roster[by].Account
	events := comings(cv, before, who, c)
	now := &cv.meta.Policy
	if now.Name != before.policy.Name {
		events = append(events, happening{Kind: EventRenamed, By: who, Text: now.Name})
	}
	events = append(events, roleEvents(cv, &before.policy, now, who)...)
	if now.Expiry != before.policy.Expiry {
		events = append(events, happening{Kind: EventExpiry, By: who, Number: now.Expiry})
	}
	return t.keepEvents(cv, s, events)
}

// comings are those who came and went.
func comings(cv *conversation, before membership, who proto.AccountID, c *mls.StagedCommit) (events []happening) {
	people := cv.accounts()
	var added, removed []proto.AccountID
	for _, a := range people {
		if !slices.Contains(before.people, a) {
			added = append(added, a)
		}
	}
	for _, a := range before.people {
		if slices.Contains(people, a) {
			continue
		}
		if before.wentByItself(a) {
			events = append(events, happening{Kind: EventLeft, By: a, People: []proto.AccountID{a}})
		} else {
			removed = append(removed, a)
		}
	}
	if len(removed) > 0 {
		events = append(events, happening{Kind: EventRemoved, By: who, People: removed})
	}
	if len(added) > 0 {
		events = append(events, happening{Kind: EventAdded, By: who, People: added})
	}
	return append(events, deviceEvents(before, people, c)...)
}

func (m *membership) wentByItself(a proto.AccountID) bool {
	for leaf := range m.left {
		if m.roster[leaf].Account == a {
			return true
		}
	}
	return false
}

// deviceEvents are the devices that came and went of people who were there
// before and are still; one that was exchanged for another leaf did neither.
func deviceEvents(before membership, people []proto.AccountID, c *mls.StagedCommit) (events []happening) {
	count := map[proto.AccountID]int{}
	for _, a := range c.Adds {
		if who, err := memberOf(&a.Credential); err == nil {
			count[who.Account]++
		}
	}
	for _, r := range c.Removes {
		if who, err := memberOf(&r.Credential); err == nil {
			count[who.Account]--
		}
	}
	for _, a := range people {
		if !slices.Contains(before.people, a) || count[a] == 0 {
			continue
		}
		e := happening{Kind: EventDevice, By: a, People: []proto.AccountID{a}}
		if count[a] < 0 {
			e.Kind = EventDropped
		}
		events = append(events, e)
	}
	return events
}

// The two roles, as Event.Text has them.
const (
	roleAdmin  = "admin"
	roleMember = "member"
)

// roleEvents are the roles that changed of people who are still there.
func roleEvents(cv *conversation, before, now *policy, who proto.AccountID) (events []happening) {
	var up, down []proto.AccountID
	for _, a := range cv.accounts() {
		switch was, is := before.admin(a), now.admin(a); {
		case is && !was:
			up = append(up, a)
		case was && !is:
			down = append(down, a)
		}
	}
	if len(up) > 0 {
		events = append(events, happening{Kind: EventRoles, By: who, People: up, Text: roleAdmin})
	}
	if len(down) > 0 {
		events = append(events, happening{Kind: EventRoles, By: who, People: down, Text: roleMember})
	}
	return events
}

// tellBegin keeps how this membership began: with the group, or by being added.
func (t *tx) tellBegin(cv *conversation, s *proto.Stamped) error {
	if cv.meta.Policy.Kind != kindGroup || cv.meta.Offset != 0 {
		return nil
	}
	me, err := t.identity()
	if err != nil {
		return err
	}
	if s.Entry.Kind == proto.KindCreate {
		return t.keepEvents(cv, s, []happening{{Kind: EventCreated, By: cv.meta.Policy.Creator}})
	}
	e := happening{Kind: EventAdded, People: []proto.AccountID{me.Account}}
	if leaf, ok := cv.keys.leafOf(s.Entry.MK); ok { // else the commit changed its maker's key
		e.By = cv.roster()[leaf].Account
	}
	if e.By == me.Account {
		e.Kind = EventDevice
	}
	earlier, err := t.list(key("log", cv.id, ""), "", 1)
	if err != nil {
		return err
	}
	if len(earlier) > 0 && !strings.HasSuffix(earlier[0].Key, seqKey(s.Receipt.Seq)) {
		e = happening{Kind: EventBack, By: me.Account}
	}
	return t.keepEvents(cv, s, []happening{e})
}

// tellRemoved keeps that this device was removed by the member of a leaf.
func (t *tx) tellRemoved(cv *conversation, by mls.LeafIndex, s *proto.Stamped) error {
	me, err := t.identity()
	if err != nil || cv.meta.State == stateLeft {
		return err
	}
	e := happening{Kind: EventRemoved, By: cv.roster()[by].Account, People: []proto.AccountID{me.Account}}
	if e.By == me.Account {
		e.Kind = EventDropped
	}
	return t.keepEvents(cv, s, []happening{e})
}

// tellLeft keeps that this person left.
func (t *tx) tellLeft(cv *conversation, s *proto.Stamped) error {
	me, err := t.identity()
	if err != nil {
		return err
	}
	return t.keepEvents(cv, s, []happening{{Kind: EventLeft, By: me.Account, People: []proto.AccountID{me.Account}}})
}

// keepEvents keeps what an entry changed. A conversation of two has no history of
// its own but its timer and the devices in it.
func (t *tx) keepEvents(cv *conversation, s *proto.Stamped, events []happening) error {
	switch cv.meta.Policy.Kind {
	case kindGroup:
	case kindDirect:
		events = slices.DeleteFunc(events, func(e happening) bool {
			return e.Kind != EventExpiry && e.Kind != EventDevice && e.Kind != EventDropped
		})
	default: // the own devices' conversation shows nothing
		return nil
	}
	if len(events) == 0 {
		return nil
	}
	h := happened{Minute: s.Receipt.Minute, Events: events}
	for _, e := range events {
		for _, a := range append([]proto.AccountID{e.By}, e.People...) {
			if b, err := t.get("name/" + a.Hex()); err != nil {
				return err
			} else if len(b) > 0 && !slices.Contains(h.Names, nameThen{a, string(b)}) {
				h.Names = append(h.Names, nameThen{a, string(b)})
			}
		}
	}
	return t.save(key("event", cv.id, seqKey(s.Receipt.Seq)), h.wire)
}

// eventLine is the line of what happened at a place.
func (t *tx) eventLine(cv *conversation, p place) (line Line, show bool, err error) {
	var h happened
	if err := wire.Decode(p.event, h.wire); err != nil {
		return line, false, errors.New("stored event of a conversation")
	}
	line.Seq, line.Kind = p.seq+cv.meta.Offset, "event"
	line.ID = "event-" + cv.id.Hex()[:8] + "-" + strconv.FormatUint(p.seq, 10)
	line.Time = time.Unix(int64(h.Minute)*60, 0).UTC()
	var all []string
	for i := range h.Events {
		e := t.event(&h, &h.Events[i])
		line.Events, all = append(line.Events, e), append(all, e.String())
	}
	line.Body = strings.Join(all, "; ")
	if len(line.Events) == 0 {
		return line, false, nil
	}
	line.From = line.Events[0].By
	me, err := t.identity()
	line.Own = err == nil && h.Events[0].By == me.Account
	return line, true, err
}

// Events lists what happened in a chat since this device is in it, as notes for
// its timeline, in order. Devices that came and went have notes by their
// account's keys already, see Notes.
func (c *Client) Events(ctx context.Context, chat string) (all []Note, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		logs, err := t.logsOf(chat)
		if err != nil {
			return err
		}
		for _, cv := range logs {
			records, err := t.list(key("event", cv.id, ""), "", 0)
			if err != nil {
				return err
			}
			for _, rec := range records {
				seq, err := seqOf(rec)
				if err != nil {
					return err
				}
				line, show, err := t.eventLine(cv, place{seq: seq, event: rec.Value})
				if err != nil {
					return err
				}
				for i := range line.Events {
					if e := &line.Events[i]; show && e.Kind != EventDevice && e.Kind != EventDropped {
						all = append(all, Note{Time: line.Time, Handle: e.By, Kind: e.Kind, Text: e.String(), Seq: line.Seq})
					}
				}
			}
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b Note) int { return cmp.Compare(a.Seq, b.Seq) })
	return all, err
}
