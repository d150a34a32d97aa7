package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// Whose a name is can change without a signature: somebody lost all devices, and
// an admin lets the account be made anew. This device follows such a reset only
// once the log had it for a day and no device of the account before objected, or
// when its person compared safety words (protocol, section 7).
//
//	label/HANDLE     nameRecord
//	former/ACCOUNT   the account that has its name now: its leaves count as revoked
//	strict           a reset waits for three days instead of one

// nameRecord is what the log says of a name, as this device has verified it.
type nameRecord struct {
	Handle    string
	Index     kt.Index
	Seq       uint32 // of the newest value
	Head      kt.Hash
	Epoch     uint64 // whose map had it so
	Confirmed bool   // a distinguished epoch since then has it too
	Holders   []holderRecord
}

// holderRecord is one account the name was given to, oldest first.
type holderRecord struct {
	Account proto.AccountID
	First   uint32 // number of its GENESIS among the values
	Veto    uint32 // number of the value that refuses it, 0 if none does
	Logged  uint64 // Unix seconds of the epoch that brought it, as far as known
	Seen    uint64 // Unix seconds, own clock, when this device saw it; 0: with the name
}

func (r *nameRecord) wire(c *wire.Codec) {
	formatVersion(c)
	wire.String(c, &r.Handle, proto.MaxHandle)
	wire.Fixed(c, r.Index[:])
	wire.Uint32(c, &r.Seq)
	wire.Fixed(c, r.Head[:])
	wire.Uint64(c, &r.Epoch)
	wire.Bool(c, &r.Confirmed)
	wire.Vector(c, &r.Holders, (*holderRecord).wire)
}

func (h *holderRecord) wire(c *wire.Codec) {
	h.Account.Wire(c)
	wire.Uint32(c, &h.First)
	wire.Uint32(c, &h.Veto)
	wire.Uint64(c, &h.Logged)
	wire.Uint64(c, &h.Seen)
}

func labelKey(handle string) string { return "label/" + handle }

// nameRecord returns what is known of a name; without Holders if nothing is.
func (t *tx) nameRecord(handle string) (r nameRecord, err error) {
	return r, t.load(labelKey(handle), r.wire)
}

func (r *nameRecord) find(a proto.AccountID) int {
	return slices.IndexFunc(r.Holders, func(h holderRecord) bool { return h.Account == a })
}

func (r *nameRecord) last() proto.AccountID { return r.Holders[len(r.Holders)-1].Account }

// errBehind: the log has less of an account than this device has verified.
var errBehind = errors.New("the log is behind")

// keepName verifies and keeps what the log says of a name, which is said to be
// that of account a. Of links that cannot be accepted yet it keeps those that
// only take keys away, and says why: unvouched.
func (t *tx) keepName(a proto.AccountID, got *proto.ChainProofResponse, leaf *kt.MapLeaf) (unvouched, err error) {
	n, err := kt.VerifyName(leaf.Index, got.Links)
	if err != nil {
		return nil, falseName(got, err)
	}
	i, ok := n.Find(kt.AccountID(a))
	if !ok {
		return nil, &SafetyError{Reason: "a chain of device keys belongs to another account than named", Fix: "tell the server's operator"}
	}
	old, err := t.nameRecord(got.Handle)
	if err != nil || len(old.Holders) > 0 && (old.Seq > leaf.Seq || old.Index != leaf.Index) {
		return nil, err // an older answer than another process had
	}
	for k := range n.Holders {
		why, err := t.keepLinks(&n.Holders[k], leaf)
		if err != nil {
			return nil, err
		}
		if k == i {
			unvouched = why
		}
	}
	if len(old.Holders) == 0 || leaf.Seq > old.Seq {
		r := nameRecord{Handle: got.Handle, Index: leaf.Index, Seq: leaf.Seq, Head: leaf.Head, Epoch: got.Proof.Epoch}
		if err := t.keepHolders(&r, &old, &n); err != nil {
			return nil, err
		}
		old = r
	}
	return unvouched, t.settleName(&old)
}

// keepLinks keeps those links of one account that may be accepted now.
func (t *tx) keepLinks(h *kt.Holder, leaf *kt.MapLeaf) (unvouched, err error) {
	a, links := proto.AccountID(h.Account()), h.Links
	known, err := t.links(a)
	if err != nil {
		return nil, err
	}
	if h.Chain.Left(leaf.Index) && len(known) >= len(links) {
		return nil, t.keepChain(a, links) // the rest stands under another name
	}
	if len(known) > len(links) {
		return nil, errBehind
	}
	if err := t.pinMet(a, links); err != nil {
		return nil, err
	}
	may, why := t.acceptable(known, links, leaf)
	if why != nil && !errors.Is(why, errUnvouched) {
		return nil, why
	}
	if len(may) == 0 {
		return why, nil
	}
	return why, t.keepChain(a, may)
}

func (t *tx) keepHolders(r, old *nameRecord, n *kt.Name) (err error) {
	for i := range n.Holders {
		h := &n.Holders[i]
		k := holderRecord{Account: proto.AccountID(h.Account()), First: h.First, Veto: h.Veto}
		if len(old.Holders) > 0 && i >= len(old.Holders) {
			k.Seen = uint64(max(0, t.c.now().Unix()))
		}
		if i < len(old.Holders) {
			k.Logged, k.Seen = old.Holders[i].Logged, old.Holders[i].Seen
		} else if k.Logged, err = t.loggedAt(r.Index, h.First, r.Epoch); err != nil {
			return err
		}
		r.Holders = append(r.Holders, k)
	}
	return t.save(labelKey(r.Handle), r.wire)
}

// loggedAt returns the time of the epoch that brought value seq of an index, at
// most that of the epoch given. Only the last few are looked at: what is older
// is old news.
func (t *tx) loggedAt(x kt.Index, seq uint32, epoch uint64) (uint64, error) {
	var at uint64
	for n := epoch; n+maxLookBack > epoch; n-- {
		e, found, err := t.logEpochAt(n)
		if err != nil || !found {
			return at, err
		}
		at = e.Record.Time
		for i := range e.Batch {
			if e.Batch[i].Index == x && e.Batch[i].Seq == seq {
				return at, nil
			}
		}
		if n == 0 {
			break
		}
	}
	return at, nil
}

const maxLookBack = 1000

// name is the record as package kt judges it.
func (t *tx) name(r *nameRecord) (*kt.Name, error) {
	n := &kt.Name{Values: int(r.Seq) + 1}
	for _, h := range r.Holders {
		chain, _, err := t.chain(h.Account)
		if err != nil {
			return nil, err
		}
		k := kt.Holder{Chain: chain, First: h.First, Veto: h.Veto}
		if h.Seen != 0 {
			// Witnesses vouch for what the log says, not for the times in it:
			// days that passed while this device did not look may be made up.
			k.Seen = time.Unix(int64(h.Seen), 0)
		}
		n.Holders = append(n.Holders, k)
	}
	return n, nil
}

// holding tells whose a name is for this device: by the log, or because its
// person compared the words of a newer account.
func (t *tx) holding(r *nameRecord) (h kt.Holding, err error) {
	n, err := t.name(r)
	if err != nil {
		return h, err
	}
	cool, err := t.coolDown()
	if err != nil {
		return h, err
	}
	days, err := t.witnessedDays()
	if err != nil {
		return h, err
	}
	h = days.Holder(n, r.Index, cool, t.c.now())
	for i := len(r.Holders) - 1; i > h.Owner; i-- {
		if yes, err := t.isVerified(r.Holders[i].Account); err != nil {
			return h, err
		} else if !yes {
			continue
		}
		if h.Owner = i; h.Pending <= i {
			h.Pending = -1
		}
	}
	return h, nil
}

// witnessedDays are the log's days that measure time for this device: those
// that somebody beside the server has seen, if the policy in force wants that.
func (t *tx) witnessedDays() (kt.Days, error) {
	if _, err := t.replayed(); err != nil {
		return nil, err
	}
	w, err := t.witnessing()
	if err != nil {
		return nil, err
	}
	days := t.c.days
	for n := len(days); n > 0 && days[n-1].Size() > w.Head.Size; n-- {
		days = days[:n-1]
	}
	return days, nil
}

func (t *tx) coolDown() (time.Duration, error) {
	b, err := t.get("strict")
	if len(b) > 0 {
		return kt.StrictCoolDown, err
	}
	return kt.CoolDown, err
}

// settleName makes the name be that of the account that holds it. Who held it
// before is former from then on. The own names stay what they are.
func (t *tx) settleName(r *nameRecord) error {
	h, err := t.holding(r)
	if err != nil {
		return err
	}
	me, err := t.identity()
	if err != nil && !errors.Is(err, ErrNoProfile) {
		return err
	}
	if me != nil && r.find(me.Account) >= 0 {
		return t.followOwnName(me, r)
	}
	owner := r.Holders[h.Owner].Account
	if _, known, err := t.chain(owner); err != nil || !known {
		return err // nothing of it could be accepted yet
	}
	for i, k := range r.Holders {
		here, err := t.calledHere(k.Account, r)
		if err != nil {
			return err
		}
		switch {
		case i == h.Owner && !here:
			err = t.findBy(k.Account, r.Handle)
		case i == h.Owner:
			err = t.giveName(k.Account, r.Handle)
		case i < h.Owner && k.Veto == 0:
			err = t.endAccount(k.Account, owner)
			fallthrough
		default:
			if here {
				err = errors.Join(err, t.nameOnly(k.Account, r.Handle))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// giveName makes handle the name of an account, whoever had it before.
func (t *tx) giveName(a proto.AccountID, handle string) error {
	if err := t.findBy(a, handle); err != nil {
		return err
	}
	b, err := t.get("name/" + a.Hex())
	if err != nil || string(b) == handle {
		return err
	}
	t.put("name/"+a.Hex(), []byte(handle))
	return t.dropHearsay(a, bareName(string(b)))
}

// findBy makes an account be found by a handle.
func (t *tx) findBy(a proto.AccountID, handle string) error {
	if old, known, err := t.accountOf(handle); err != nil || known && old == a {
		return err
	}
	t.put("handle/"+handle, slices.Clone(a[:]))
	return nil
}

// nameOnly names an account that does not hold the handle: nobody is found by it.
func (t *tx) nameOnly(a proto.AccountID, handle string) error {
	suffix := "~" + a.Hex()[:6]
	name := handle[:min(len(handle), proto.MaxHandle-len(suffix))] + suffix
	if b, err := t.get("name/" + a.Hex()); err != nil || string(b) == name {
		return err
	}
	t.put("name/"+a.Hex(), []byte(name))
	return nil
}

// bareName is the name without what nameOnly added.
func bareName(name string) string {
	base, _, _ := strings.Cut(name, "~")
	return base
}

func (t *tx) endAccount(a, successor proto.AccountID) error {
	if gone, err := t.isFormer(a); err != nil || gone {
		return err
	}
	t.put("former/"+a.Hex(), slices.Clone(successor[:]))
	t.c.former[a] = true
	return nil
}

// isFormer tells whether another account has the name of a by now.
func (t *tx) isFormer(a proto.AccountID) (bool, error) {
	if t.c.former == nil {
		all, err := t.list("former/", "", 0)
		if err != nil {
			return false, err
		}
		t.c.former = map[proto.AccountID]bool{}
		for _, r := range all {
			var a proto.AccountID
			if parseHex(a[:], strings.TrimPrefix(r.Key, "former/")) == nil {
				t.c.former[a] = true
			}
		}
	}
	return t.c.former[a], nil
}

// settledName tells why nobody may be added under a name now: it is being given
// to another account.
func (t *tx) settledName(handle string) error {
	r, err := t.nameRecord(handle)
	if err != nil || len(r.Holders) < 2 {
		return err
	}
	h, err := t.holding(&r)
	if err != nil || h.Pending < 0 {
		return err
	}
	return &SafetyError{Reason: t.pendingWords(&r, h), Fix: pendingFix(handle)}
}

func pendingFix(handle string) string {
	return "compare the safety words with them, in person or by phone: huis verify @" + handle + "; or wait"
}

func (t *tx) pendingWords(r *nameRecord, h kt.Holding) string {
	when := "a day after the log's next day begins"
	if !h.Until.IsZero() {
		when = h.Until.Format(time.DateTime) + " UTC"
	}
	return fmt.Sprintf("@%s has a new account since %s, and no device of theirs signed that; it counts from %s unless one of their devices objects",
		r.Handle, time.Unix(int64(r.Holders[h.Pending].Logged), 0).UTC().Format(time.DateOnly), when)
}

// mayTakeKeysOf tells why an adder may take no key package of an account now:
// keys count only from a chain that stands in the log, while that is in order,
// and of an account whose the name is (protocol, sections 1 and 7).
func (t *tx) mayTakeKeysOf(a proto.AccountID) error {
	if err := t.mayAcceptKeys(); err != nil {
		return err
	}
	handle := t.handleOf(a)
	if gone, err := t.isFormer(a); err != nil || gone {
		return errors.Join(err, &SafetyError{
			Reason: fmt.Sprintf("the account @%s is no longer in use: it was made anew", handle),
			Fix:    "add the person under the name they have now",
		})
	}
	me, err := t.identity()
	if err != nil || me.Account == a {
		return err
	}
	r, err := t.recordOf(a)
	if err != nil {
		return err
	}
	if _, hidden, err := t.withheld(r.Handle); err != nil || hidden {
		return errors.Join(err, staleError(r.Handle))
	}
	if i := r.find(a); i < 0 {
		return &SafetyError{
			Reason: fmt.Sprintf("the keys of @%s have not been found in the server's log", handle),
			Fix:    "try again when the server can be reached; nothing was changed",
			cause:  errUnvouched,
		}
	} else if h, err := t.holding(&r); err != nil {
		return err
	} else if h.Owner != i {
		return &SafetyError{Reason: fmt.Sprintf("the account @%s does not have the name @%s, or not yet", handle, r.Handle), Fix: pendingFix(r.Handle)}
	}
	return t.settledName(r.Handle)
}

// mayTakeKeysOfAll is mayTakeKeysOf for several accounts.
func (c *Client) mayTakeKeysOfAll(ctx context.Context, accounts []proto.AccountID) error {
	return c.step(ctx, func(t *tx) error {
		for _, a := range accounts {
			if err := t.mayTakeKeysOf(a); err != nil {
				return err
			}
		}
		return nil
	})
}

// nameRecords lists the records of all names this device knows.
func (t *tx) nameRecords() ([]nameRecord, error) {
	records, err := t.list("label/", "", 0)
	all := make([]nameRecord, len(records))
	for i := range records {
		if err := wire.Decode(records[i].Value, all[i].wire); err != nil {
			return nil, fmt.Errorf("stored name: %w", err)
		}
	}
	return all, err
}

// followNames brings what is known of names up to the log: each change of one
// of them is fetched at once, what was accepted is compared with the next
// distinguished epoch, and resets that have cooled down take effect.
func (c *Client) followNames(ctx context.Context) error {
	if c.logDue() {
		if err := c.syncTranslog(ctx); err != nil {
			return err
		}
	}
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	var changed []proto.AccountID
	var left []contact
	err = c.step(ctx, func(t *tx) error {
		changed = nil
		all, err := t.nameRecords()
		if err != nil {
			return err
		}
		log, err := t.replayed()
		if err != nil {
			return err
		}
		own := false
		left = nil
		for i := range all {
			r := &all[i]
			own = own || r.find(me.Account) >= 0
			leaf, ok := log.Map().Get(r.Index)
			if !ok || leaf.Seq <= r.Seq {
				continue
			}
			if now, err := t.knownName(r.last()); err != nil {
				return err
			} else if now == r.Handle {
				changed = append(changed, r.last())
			} else {
				left = append(left, contact{Account: r.last(), Handle: r.Handle})
			}
		}
		if !own {
			changed = append(changed, me.Account)
		}
		return nil
	})
	var found []error
	ask := make([]func() error, 0, len(changed)+len(left))
	for _, a := range changed {
		ask = append(ask, func() error { return c.refreshChain(ctx, a) })
	}
	for _, k := range left {
		ask = append(ask, func() error { return c.fetchLeft(ctx, k.Account, k.Handle) })
	}
	for _, f := range ask {
		e := f()
		var bad *kt.InvalidError
		var safety *SafetyError
		switch {
		case errors.As(e, &safety):
			found = append(found, e)
		case errors.As(e, &bad), errors.Is(e, proto.UnknownAccount), errors.Is(e, errStale), errors.Is(e, errBehind):
			c.cfg.Log.Warn("the server has no valid chain of somebody", "why", e)
		case e != nil:
			return e
		}
	}
	if err == nil {
		err = c.step(ctx, func(t *tx) error {
			alarm, err := t.noteWithheld()
			if alarm != nil && len(found) == 0 {
				found = append(found, alarm)
			}
			return err
		})
	}
	if err == nil {
		err = c.confirmNames(ctx)
	}
	return errors.Join(append(found, err)...)
}

// confirmNames compares what was accepted with the log since then, and settles
// what has cooled down.
func (c *Client) confirmNames(ctx context.Context) error {
	var alarm error
	err := c.step(ctx, func(t *tx) error {
		alarm = nil
		all, err := t.nameRecords()
		if err != nil {
			return err
		}
		log, err := t.replayed()
		if err != nil {
			return err
		}
		for i := range all {
			r := &all[i]
			leaf, ok := log.Map().Get(r.Index)
			if !ok || leaf.Seq < r.Seq || leaf.Seq == r.Seq && leaf.Head != r.Head {
				alarm = rolledBack(r)
				t.put("translog/alarm", []byte(alarm.(*SafetyError).Reason))
				return nil
			}
			if err := t.confirm(r); err != nil {
				return err
			}
			if len(r.Holders) > 1 {
				if err := t.settleName(r); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return errors.Join(err, alarm)
}

func rolledBack(r *nameRecord) error {
	return &SafetyError{
		Reason: fmt.Sprintf("the server's log no longer has what it showed of @%s in epoch %d", r.Handle, r.Epoch),
		Fix:    "no new device or person is accepted; compare safety words with @" + r.Handle + ", and talk to the server's operator",
	}
}

// confirm marks a name whose newest value a distinguished epoch since has.
func (t *tx) confirm(r *nameRecord) error {
	if r.Confirmed {
		return nil
	}
	for _, d := range t.c.days {
		last, _ := d.Last()
		if leaf, ok := d.Map().Get(r.Index); last.N >= r.Epoch && ok && leaf.Seq >= r.Seq {
			r.Confirmed = true
			return t.save(labelKey(r.Handle), r.wire)
		}
	}
	return nil
}

// eventStrict tells the own devices how long a reset waits.
const eventStrict = "strict"

// knownAs returns whose a known name is now, or why that is not settled.
func (c *Client) knownAs(ctx context.Context, handle string, a proto.AccountID) (proto.AccountID, error) {
	if err := c.settledChain(ctx, a, time.Minute); err != nil && !errors.Is(err, ErrUnreachable) {
		return a, err
	}
	return a, c.step(ctx, func(t *tx) error {
		now, _, err := t.accountOf(handle)
		if err == nil {
			a, err = now, t.settledName(handle)
		}
		return err
	})
}

// dropFormer forgets that accounts are wanted in a conversation that were made
// anew meanwhile: the new one is added by somebody's decision only.
func (t *tx) dropFormer(cv *conversation) error {
	var gone error
	before := len(cv.meta.Wanted)
	cv.meta.Wanted = slices.DeleteFunc(slices.Clone(cv.meta.Wanted), func(a proto.AccountID) bool {
		former, err := t.isFormer(a)
		gone = errors.Join(gone, err)
		return former
	})
	if gone != nil || len(cv.meta.Wanted) == before {
		return gone
	}
	return t.saveMeta(cv)
}

// SetStrict makes a reset wait for three days instead of one, on all own
// devices.
func (c *Client) SetStrict(ctx context.Context, strict bool) error {
	return c.step(ctx, func(t *tx) error {
		t.setStrict(strict)
		return t.tellOwn(eventStrict, func(c *wire.Codec) { wire.Bool(c, &strict) })
	})
}

func (t *tx) setStrict(strict bool) {
	if strict {
		t.put("strict", []byte{1})
	} else {
		t.del("strict")
	}
}
