package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/client/safety"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// The four states of trust in a person's keys, in the words of the interface.
const (
	TrustChecked  = "checked"  // the public log agrees
	TrustVerified = "verified" // safety words were compared
	TrustChanged  = "changed"  // a device of theirs signed a change lately, or since the words were compared
	TrustStop     = "stop"     // two answers exist: compare words by phone
)

// lately is for how long a signed change is news.
const lately = 7 * 24 * time.Hour

// Trust is what this device knows of a person's keys.
type Trust struct {
	Handle   string
	Account  string // lower-case hex; of the newest account that asks for the name
	State    string // one of the four
	Reason   string // of changed and stop, in words
	Fix      string // of stop: what the person can do
	Code     safety.Code
	Verified time.Time    // when the words of this account were compared; zero: never
	Checked  time.Time    // when the log was compared last
	Events   []TrustEvent // oldest first
}

// TrustEvent is one event in the history of a person's keys.
type TrustEvent struct {
	Time   time.Time
	Kind   string // "began", "added", "revoked", "rotated", "recovery", "renamed", "ended", "reset", "refused", "verified"
	Device string // lower-case hex, of the device it is about; "" if of none
	Signed bool   // by a device or the recovery key of the account
	Text   string // one sentence
	From   string // "renamed": the handle before and after, "" if this device does not know it
	To     string

	account proto.AccountID // of a link, whose it is
	link    uint32          // its number
}

// trusting is the account of a name that a person would compare words with.
func (t *tx) trusting(r *nameRecord) (a proto.AccountID, h kt.Holding, err error) {
	h, err = t.holding(r)
	if err != nil {
		return a, h, err
	}
	if h.Pending >= 0 {
		return r.Holders[h.Pending].Account, h, nil
	}
	return r.Holders[h.Owner].Account, h, nil
}

// Trust tells how sure this device is of a person's keys; the server is asked
// if it does not know them.
func (c *Client) Trust(ctx context.Context, who string) (out Trust, err error) {
	h, err := handle(who)
	if err != nil {
		return out, err
	}
	if err := c.looked(ctx, h); err != nil {
		return out, err
	}
	err = c.step(ctx, func(t *tx) error {
		r, err := t.nowCalled(h)
		if err != nil {
			return err
		}
		out, err = t.trust(&r)
		return err
	})
	return out, err
}

// looked makes sure that something of a name is known here.
func (c *Client) looked(ctx context.Context, h string) error {
	_, asked := c.lookup(ctx, h)
	return c.step(ctx, func(t *tx) error {
		me, err := t.identity()
		if err == nil && me.Handle == h {
			err = fmt.Errorf("%w: @%s is you; words are compared with somebody else", ErrForbidden, h)
		}
		if err != nil {
			return err
		}
		r, err := t.nameRecord(h)
		if err != nil || len(r.Holders) > 0 {
			return err
		}
		if asked == nil {
			asked = fmt.Errorf("%w: @%s", ErrUnknownPerson, h)
		}
		return asked
	})
}

func (t *tx) trust(r *nameRecord) (Trust, error) {
	a, h, err := t.trusting(r)
	if err != nil {
		return Trust{}, err
	}
	me, err := t.identity()
	if err != nil {
		return Trust{}, err
	}
	out := Trust{Handle: r.Handle, Account: a.Hex()}
	if out.Code, err = safety.Compare(me.Account, a); err != nil {
		return out, err
	}
	rec, err := t.chainRecord(a)
	if err != nil {
		return out, err
	}
	if rec.Checked != 0 {
		out.Checked = time.Unix(int64(rec.Checked), 0).UTC()
	}
	v, err := t.verifiedOf(a)
	if err != nil {
		return out, err
	}
	if v.Yes {
		out.Verified = time.Unix(int64(v.At), 0).UTC()
	}
	if out.Events, err = t.trustEvents(r, h); err != nil {
		return out, err
	}
	return out, t.assess(&out, r, h, v)
}

// assess sets the state.
func (t *tx) assess(out *Trust, r *nameRecord, h kt.Holding, v verified) error {
	var alarm *SafetyError
	if err := t.logAlarm(); errors.As(err, &alarm) {
		out.State, out.Reason, out.Fix = TrustStop, alarm.Reason, alarm.Fix
		return nil
	} else if err != nil {
		return err
	}
	if h.Pending >= 0 {
		out.State, out.Reason, out.Fix = TrustStop, t.pendingWords(r, h), "compare these words with them, in person or by phone: huis verify @"+r.Handle+" --matches accepts the new account; do not accept it if they differ"
		return nil
	}
	if bad, err := t.doubtful(r.Holders[h.Owner].Account); err != nil || bad != nil {
		if bad != nil {
			out.State, out.Reason, out.Fix = TrustStop, bad.Reason, bad.Fix
		}
		return err
	}
	out.State, out.Reason = t.calm(out.Events, v)
	again, err := t.get(comparePrefix + out.Account)
	if again != nil && out.State == TrustVerified {
		out.State, out.Reason = TrustChanged, newLogReason+": compare these words again"
	}
	return err
}

// calm is the state of somebody with whom all is in order.
func (t *tx) calm(events []TrustEvent, v verified) (state, reason string) {
	if state = TrustChecked; v.Yes {
		state = TrustVerified
	}
	for _, ev := range events {
		fresh := t.c.now().Sub(ev.Time) < lately
		if v.Yes {
			fresh = ev.account == v.Account && ev.link >= v.Links || ev.account == (proto.AccountID{}) && ev.Time.After(time.Unix(int64(v.At), 0))
		}
		if fresh && ev.news() {
			state, reason = TrustChanged, ev.Text
		}
	}
	return state, reason
}

// news tells whether a change is worth a note.
func (ev *TrustEvent) news() bool {
	switch ev.Kind {
	case "added", "revoked", "reset", "refused", "ended":
		return true
	}
	return false
}

// doubtful returns why a device of an account in one of the conversations
// cannot be its, nil if all are.
func (t *tx) doubtful(a proto.AccountID) (*SafetyError, error) {
	ids, err := t.conversations()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		cv, err := t.conv(id)
		if err != nil {
			return nil, err
		}
		if cv.group == nil {
			continue
		}
		for _, m := range cv.group.Members() {
			s, who, err := t.standing(&m)
			if err != nil {
				return nil, err
			}
			var bad *SafetyError
			if who.Account == a && s == kt.Unproven && errors.As(unprovenError(t.handleOf(a), who.Device), &bad) {
				return bad, nil
			}
		}
	}
	return nil, nil
}

// trustEvents is the dated history of a name: of the account that has it, the one
// that asks for it, and of how it went from one to the other.
func (t *tx) trustEvents(r *nameRecord, h kt.Holding) (all []TrustEvent, err error) {
	for i, k := range r.Holders {
		links, err := t.links(k.Account)
		if err != nil {
			return nil, err
		}
		for _, ev := range linkEvents(r.Handle, links) {
			ev.account = k.Account
			if ev.Kind == "renamed" {
				if err := t.nameRenaming(&ev, r.Handle, k.Account); err != nil {
					return nil, err
				}
			}
			all = append(all, ev)
		}
		if i > 0 {
			signed := len(all) > 0 && t.followed(r, i)
			all = append(all, TrustEvent{Time: time.Unix(int64(k.Logged), 0).UTC(), Kind: "reset", Signed: signed, Text: resetText(r.Handle, signed)})
		}
		if k.Veto != 0 {
			all = append(all, TrustEvent{Time: time.Unix(int64(k.Logged), 0).UTC(), Kind: "refused", Signed: true, Text: "A device of @" + r.Handle + "’s account before refused the new one"})
		}
		if v, err := t.verifiedOf(k.Account); err != nil {
			return nil, err
		} else if v.Yes {
			all = append(all, TrustEvent{Time: time.Unix(int64(v.At), 0).UTC(), Kind: "verified", Text: "You compared safety words with @" + r.Handle})
		}
	}
	slices.SortStableFunc(all, func(a, b TrustEvent) int { return a.Time.Compare(b.Time) })
	return all, nil
}

// followed tells whether the account before a holder signed that it follows.
func (t *tx) followed(r *nameRecord, i int) bool {
	chain, _, err := t.chain(r.Holders[i-1].Account)
	to, closed := chain.Closed()
	return err == nil && closed && to == kt.AccountID(r.Holders[i].Account)
}

func resetText(handle string, signed bool) string {
	if signed {
		return "@" + handle + " began a new account, and a device of the old one signed that"
	}
	return "@" + handle + " has a new account, and no device of the old one signed that"
}

// linkEvents reads the history out of a verified chain.
func linkEvents(handle string, links [][]byte) (all []TrustEvent) {
	var c kt.Chain
	for _, b := range links {
		l, err := kt.ParseLink(b)
		if err != nil {
			return all // it was verified before it was stored
		}
		next, err := c.Append(b)
		if err != nil {
			return all
		}
		ch := TrustEvent{Time: time.Unix(int64(l.Time), 0).UTC(), Signed: true, link: l.Seq}
		by := "a device of theirs signed that"
		if l.Signer.IsZero() {
			by = "the recovery key signed that"
		}
		switch l.Type {
		case kt.TypeGenesis:
			ch.Kind, ch.Text, ch.Device = "began", "@"+handle+"’s account began", l.Signer.Hex()
		case kt.TypeAddDevice:
			d := next.Devices()
			ch.Kind, ch.Text, ch.Device = "added", "@"+handle+" added a device; "+by, d[len(d)-1].ID.Hex()
		case kt.TypeRevoke:
			ch.Kind, ch.Text, ch.Device = "revoked", "@"+handle+" ended a device", revokedBy(c, next)
		case kt.TypeRotate:
			ch.Kind, ch.Text, ch.Device = "rotated", "A device of @"+handle+" renewed its key", l.Signer.Hex()
		case kt.TypeSetRecovery:
			ch.Kind, ch.Text = "recovery", "@"+handle+" set a recovery key"
		case kt.TypeRename:
			ch.Kind = "renamed"
		case kt.TypeReset, kt.TypeTombstone:
			ch.Kind, ch.Text = "ended", "@"+handle+" ended this account"
		}
		if c = next; ch.Kind != "" {
			all = append(all, ch)
		}
	}
	return all
}

func revokedBy(before, after kt.Chain) string {
	for _, d := range before.Live() {
		if now, _ := after.Device(d.ID); now.Revoked {
			return d.ID.Hex()
		}
	}
	return ""
}

// ErrOtherWords: what was said are not the words of any account of that name.
var ErrOtherWords = errors.New("these are not the safety words")

// SetVerified records, on all own devices, that a person compared safety words
// with somebody, or takes that back. said are the words or digits as they were
// read aloud; "" stands for those Trust gives. Words of an account that waits,
// or was refused, accept it.
func (c *Client) SetVerified(ctx context.Context, who, said string, yes bool) (out Trust, err error) {
	h, err := handle(who)
	if err != nil {
		return out, err
	}
	if err := c.looked(ctx, h); err != nil {
		return out, err
	}
	err = c.step(ctx, func(t *tx) error {
		r, err := t.nowCalled(h)
		if err != nil {
			return err
		}
		a, err := t.saidOf(&r, said)
		if err != nil {
			return err
		}
		if err := errors.Join(t.setVerified(a, yes), t.settleName(&r)); err != nil {
			return err
		}
		out, err = t.trust(&r)
		return err
	})
	return out, err
}

// saidOf returns the account of a name whose words were said.
func (t *tx) saidOf(r *nameRecord, said string) (proto.AccountID, error) {
	a, _, err := t.trusting(r)
	if err != nil || said == "" {
		return a, err
	}
	me, err := t.identity()
	if err != nil {
		return a, err
	}
	for _, k := range slices.Backward(r.Holders) {
		if code, err := safety.Compare(me.Account, k.Account); err != nil {
			return a, err
		} else if code.Same(said) {
			return k.Account, nil
		}
	}
	return a, fmt.Errorf("%w of @%s and you", ErrOtherWords, r.Handle)
}

// Note is a line about somebody's keys in the timeline of a conversation.
type Note struct {
	Time   time.Time
	Handle string
	Kind   string // as TrustEvent has it
	Signed bool
	Text   string
	Seq    uint64 // of the entry that did it; 0: of none, the time tells its place
}

// Notes lists what changed with the keys of a conversation's people since this
// device is in it, oldest first.
func (c *Client) Notes(ctx context.Context, chat string) (all []Note, err error) {
	id, err := c.find(ctx, chat)
	if err != nil {
		return nil, err
	}
	err = c.step(ctx, func(t *tx) error {
		all = nil
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		since := time.Unix(int64(cv.meta.Since), 0)
		for _, a := range cv.accounts() {
			if a == me.Account {
				continue
			}
			events, err := t.eventsOf(a)
			if err != nil {
				return err
			}
			for _, ev := range events {
				if (ev.news() || ev.Kind == "verified" || ev.Kind == "renamed") && !ev.Time.Before(since) {
					all = append(all, Note{ev.Time, bareName(t.handleOf(a)), ev.Kind, ev.Signed, ev.Text, 0})
				}
			}
		}
		return nil
	})
	slices.SortStableFunc(all, func(a, b Note) int { return a.Time.Compare(b.Time) })
	return all, err
}

func (t *tx) eventsOf(a proto.AccountID) ([]TrustEvent, error) {
	r, err := t.recordOf(a)
	if err != nil || len(r.Holders) == 0 {
		return nil, err
	}
	h, err := t.holding(&r)
	if err != nil {
		return nil, err
	}
	return t.trustEvents(&r, h)
}

// recordOf returns the record of the name an account has, had or asks for.
func (t *tx) recordOf(a proto.AccountID) (nameRecord, error) {
	name := t.handleOf(a)
	r, err := t.nameRecord(bareName(name))
	if err != nil || r.find(a) >= 0 {
		return r, err
	}
	if bareName(name) == name {
		return nameRecord{}, nil
	}
	all, err := t.nameRecords() // the handle was cut to make room
	for i := range all {
		if all[i].find(a) >= 0 {
			return all[i], err
		}
	}
	return nameRecord{}, err
}

// trustOf is the state of an account in short, for lists: it does not look for
// its devices in other conversations.
func (t *tx) trustOf(a proto.AccountID) (state, reason string, err error) {
	me, err := t.identity()
	if err != nil || me.Account == a {
		return "", "", err
	}
	r, err := t.recordOf(a)
	if err != nil || len(r.Holders) == 0 {
		return TrustChecked, "", err
	}
	h, err := t.holding(&r)
	if err != nil {
		return "", "", err
	}
	if h.Pending >= 0 {
		return TrustStop, t.pendingWords(&r, h), nil
	}
	v, err := t.verifiedOf(a)
	if err != nil {
		return "", "", err
	}
	events, err := t.trustEvents(&r, h)
	if err != nil {
		return "", "", err
	}
	state, reason = t.calm(events, v)
	return state, reason, nil
}

// nameWarnings lists what a person should know about the names of contacts.
func (t *tx) nameWarnings() (all []string, err error) {
	records, err := t.nameRecords()
	if err != nil {
		return nil, err
	}
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	for i := range records {
		r := &records[i]
		if _, hidden, err := t.withheld(r.Handle); err != nil {
			return nil, err
		} else if hidden {
			all = append(all, staleError(r.Handle).(*SafetyError).Reason)
		}
		if len(r.Holders) < 2 {
			continue
		}
		if r.find(me.Account) >= 0 {
			alarm, _, err := t.ownAlarm(r)
			if err != nil {
				return nil, err
			}
			var safety *SafetyError
			if errors.As(alarm, &safety) {
				all = append(all, safety.Reason)
			}
			continue
		}
		if h, err := t.holding(r); err != nil {
			return nil, err
		} else if h.Pending >= 0 {
			all = append(all, t.pendingWords(r, h))
		}
	}
	return all, nil
}
