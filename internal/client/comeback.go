package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// What follows for everybody when a device was added with the recovery key.
//
//	return/CONV   uint32: other people's devices in a conversation this device
//	              is on its way back to
//	pin/ACCOUNT   chainPin: what a backup knew of an account's chain, until the
//	              chain itself is here
func returnKey(id proto.ConversationID) string { return key("return", id) }
func pinKey(a proto.AccountID) string          { return "pin/" + a.Hex() }

// recoveredIn lists the devices that the recovery key added, revoked ones too.
func recoveredIn(chain kt.Chain) (all []kt.Device) {
	for i, d := range chain.Devices() {
		if i > 0 && d.AddedBy == (kt.DeviceID{}) {
			all = append(all, d)
		}
	}
	return all
}

// supersedes tells whether device d was added with the recovery key when other
// was there already: then other counts as lost.
func supersedes(chain kt.Chain, d, other proto.DeviceID) bool {
	at := func(id proto.DeviceID) int {
		return slices.IndexFunc(chain.Devices(), func(d kt.Device) bool { return d.ID == kt.DeviceID(id) })
	}
	byKey := slices.ContainsFunc(recoveredIn(chain), func(r kt.Device) bool { return r.ID == kt.DeviceID(d) })
	return byKey && at(other) >= 0 && at(other) < at(d)
}

// successorOf returns the device that takes the place of one that calls: the
// newest that the recovery key has added since and that is not here yet, else
// the device itself.
func (c *Client) successorOf(ctx context.Context, id proto.ConversationID, chain kt.Chain, who member) (d proto.DeviceID, err error) {
	d = who.Device
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		d = cv.successorOf(chain, who)
		return nil
	})
	return d, err
}

func (cv *conversation) successorOf(chain kt.Chain, who member) proto.DeviceID {
	here, d := cv.devices(), who.Device
	for _, r := range recoveredIn(chain) {
		id := proto.DeviceID(r.ID)
		if !r.Revoked && !here[member{who.Account, id}] && supersedes(chain, id, who.Device) {
			d = id
		}
	}
	return d
}

// callPatience is how long a revoked leaf that calls to be exchanged is left to
// whoever answers, before it is removed like others.
const callPatience = 10 * time.Minute

// comesBack tells whether a revoked leaf is to be exchanged for another device
// of its account that is not here yet, rather than removed.
func (t *tx) comesBack(cv *conversation, leaf mls.LeafIndex, a proto.AccountID) (bool, error) {
	k, ok := cv.keys.find(leaf)
	if !ok {
		return false, nil
	}
	b, err := t.get(key("call", cv.id, k.MK.Hex()))
	if err != nil || b == nil {
		return false, err
	}
	var call callRecord
	if err := wire.Decode(b, call.wire); err != nil {
		return false, fmt.Errorf("stored call: %w", err)
	}
	if age := t.c.now().Sub(time.Unix(int64(call.Seen), 0)); age < 0 || age >= callPatience {
		return false, nil
	}
	chain, _, err := t.chain(a)
	here := cv.devices()
	return slices.ContainsFunc(chain.Live(), func(d kt.Device) bool { return !here[member{a, proto.DeviceID(d.ID)}] }), err
}

// meetPin compares a chain with what a backup knew of it, and forgets the pin
// once the chain is here. A shorter one proves nothing: an old archive may bring
// it.
func (t *tx) meetPin(a proto.AccountID, links [][]byte) error {
	var p chainPin
	if err := t.load(pinKey(a), p.wire); err != nil || p.Links == 0 || len(links) < int(p.Links) {
		return err
	}
	if !p.chainIs(links) {
		return &SafetyError{
			Reason: fmt.Sprintf("the device keys of %s are others than your backup knew", t.handleOf(a)),
			Fix:    "ask the person by another way which devices are theirs",
		}
	}
	t.del(pinKey(a))
	return nil
}

// pinMet refuses what the server shows if it ends before what a backup knew.
func (t *tx) pinMet(a proto.AccountID, links [][]byte) error {
	var p chainPin
	if err := t.load(pinKey(a), p.wire); err != nil || len(links) >= int(p.Links) {
		return err
	}
	return &SafetyError{
		Reason: fmt.Sprintf("the server shows older device keys of %s than your backup knew", t.handleOf(a)),
		Fix:    "ask the person by another way which devices are theirs, and tell the server's operator",
	}
}

// onlyLost tells whether the missing devices of the own account are all to be
// revoked: those are not added again.
func (c *Client) onlyLost(ctx context.Context, missing []proto.DeviceID) (lost bool, err error) {
	err = c.step(ctx, func(t *tx) error {
		var r recoveredRecord
		if err := t.load(recoveredKey, r.wire); err != nil {
			return err
		}
		lost = r.End && !slices.ContainsFunc(missing, func(d proto.DeviceID) bool { return !slices.Contains(r.Before, d) })
		return nil
	})
	return lost, err
}

// comeBack does what is left of a recovery: compares the log with what the
// backup knew, brings the history, goes on alone where nobody else is, and ends
// the lost devices.
func (c *Client) comeBack(ctx context.Context) error {
	var r recoveredRecord
	err := c.step(ctx, func(t *tx) error { return t.load(recoveredKey, r.wire) })
	if err != nil || r.At == 0 {
		return err
	}
	if err := c.compareLog(ctx); err != nil {
		return err
	}
	if err := c.importKept(ctx); err != nil {
		return err
	}
	if err := c.noteActivity(ctx); err != nil {
		return err
	}
	if err := c.goOnAlone(ctx); err != nil {
		return err
	}
	return c.endLost(ctx, &r)
}

// compareLog refuses a log that does not contain the one the backup had seen.
func (c *Client) compareLog(ctx context.Context) error {
	var r recoveredRecord
	err := c.step(ctx, func(t *tx) error { return t.load(recoveredKey, r.wire) })
	if err != nil || r.LogSize == 0 {
		return err
	}
	if err := c.syncTranslog(ctx); err != nil {
		return err
	}
	var size uint64
	var e logEpoch
	err = c.step(ctx, func(t *tx) error {
		h, err := t.logHead()
		if size = h.Size; err != nil || size < r.LogSize {
			return err
		}
		e, _, err = t.logEpochAt(r.LogSize - 1)
		return err
	})
	switch {
	case err != nil:
		return err
	case size < r.LogSize:
		return c.distrustLog(ctx, fmt.Sprintf("the server's log is shorter than the %d epochs your backup had verified", r.LogSize), nil)
	case e.Root != r.LogRoot:
		return c.distrustLog(ctx, "the server's log is another one than your backup had verified", nil)
	}
	return c.step(ctx, func(t *tx) error {
		var now recoveredRecord
		if err := t.load(recoveredKey, now.wire); err != nil {
			return err
		}
		now.LogSize = 0
		return t.save(recoveredKey, now.wire)
	})
}

// backupLate is how long after the newest backup a device may still have been
// online: it makes one each day.
const backupLate = backupEvery + 2*time.Hour

// noteActivity finds out when a lost device last wrote, by the entries under its
// member keys: a backup much older than that is not the newest there was.
func (c *Client) noteActivity(ctx context.Context) error {
	return c.step(ctx, func(t *tx) error {
		var r recoveredRecord
		if err := t.load(recoveredKey, r.wire); err != nil {
			return err
		}
		all, err := t.list("return/", "", 0)
		if err != nil {
			return err
		}
		before := r.Active
		for _, rec := range all {
			id, err := parseConversation(rec.Key[len("return/"):])
			if err != nil {
				return err
			}
			cv, err := t.conv(id)
			if err != nil || cv == nil || cv.meta.State != stateLost {
				continue
			}
			last, err := t.lastWritten(cv)
			if err != nil {
				return err
			}
			r.Active = max(r.Active, last)
		}
		if r.Active == before {
			return nil
		}
		return t.save(recoveredKey, r.wire)
	})
}

// lastWritten returns the time of the last message under the own member key,
// Unix seconds.
func (t *tx) lastWritten(cv *conversation) (last uint64, err error) {
	entries, err := t.list(key("log", cv.id, ""), "", 0)
	for _, rec := range entries {
		var l logRecord
		if err := wire.Decode(rec.Value, l.wire); err != nil {
			return 0, fmt.Errorf("stored entry: %w", err)
		}
		if l.MK == cv.own() && l.Kind != proto.KindNotice {
			last = max(last, 60*l.Receipt.Minute)
		}
	}
	return last, err
}

// goOnAlone makes a new conversation of each in which nobody is who could let
// this device in: no other person was there at the backup, and nothing in the
// log says that somebody came.
func (c *Client) goOnAlone(ctx context.Context) error {
	return c.step(ctx, func(t *tx) error {
		all, err := t.list("return/", "", 0)
		if err != nil {
			return err
		}
		for _, rec := range all {
			id, err := parseConversation(rec.Key[len("return/"):])
			if err != nil {
				return err
			}
			var others uint32
			if err := wire.Decode(rec.Value, func(c *wire.Codec) { wire.Uint32(c, &others) }); err != nil {
				return err
			}
			cv, err := t.conv(id)
			if err != nil {
				return err
			}
			if cv == nil || cv.meta.State != stateLost {
				t.del(rec.Key)
				continue
			}
			if alone, err := t.nobodyThere(cv, others); err != nil || !alone {
				if err != nil {
					return err
				}
				continue
			}
			t.del(rec.Key)
			if err := t.beginAnew(cv); err != nil {
				return err
			}
		}
		return nil
	})
}

// nobodyThere tells whether a conversation has no other person's device. It asks
// only once the call to be let in was made, after the log was read.
func (t *tx) nobodyThere(cv *conversation, others uint32) (bool, error) {
	if others > 0 || cv.meta.Asked == 0 {
		return false, nil
	}
	entries, err := t.list(key("log", cv.id, ""), "", 0)
	if err != nil {
		return false, err
	}
	var since recoveredRecord
	if err := t.load(recoveredKey, since.wire); err != nil {
		return false, err
	}
	for _, rec := range entries {
		var l logRecord
		if err := wire.Decode(rec.Value, l.wire); err != nil {
			return false, fmt.Errorf("stored entry: %w", err)
		}
		if l.Kind == proto.KindCommit && l.Receipt.Minute > since.Made/60 {
			return false, nil // somebody may have been added
		}
	}
	return true, nil
}

// beginAnew continues a conversation this account is alone in under another id.
func (t *tx) beginAnew(cv *conversation) error {
	me, err := t.identity()
	if err != nil {
		return err
	}
	next, err := t.newConversation(cv.meta.Policy, []proto.AccountID{me.Account})
	if err != nil {
		return err
	}
	next.meta.Offset = cv.meta.Offset + cv.head.Seq
	cv.meta.State, cv.meta.Successor = stateSucceeded, next.id
	return errors.Join(t.endMembership(cv), t.saveMeta(cv), t.saveMeta(next))
}

// endLostAfter is when lost devices are revoked even though some conversation
// has not let this device in yet.
const endLostAfter = 7 * 24 * time.Hour

// endLost revokes the devices from before the recovery, if that was asked for
// and this one is back everywhere: until then their member keys are its way in.
func (c *Client) endLost(ctx context.Context, r *recoveredRecord) error {
	if !r.End {
		return nil
	}
	waiting, err := c.Returning(ctx)
	if err != nil {
		return err
	}
	if age := c.now().Sub(time.Unix(int64(r.At), 0)); len(waiting) > 0 && age >= 0 && age < endLostAfter {
		return nil
	}
	for _, d := range r.Before {
		err := c.appendLink(ctx, func(chain kt.Chain, me *identity, now time.Time) ([]byte, error) {
			if known, ok := chain.Device(kt.DeviceID(d)); !ok || known.Revoked {
				return nil, nil
			}
			return chain.Revoke(now, me.signer(), kt.DeviceID(d))
		})
		if err != nil {
			return err
		}
	}
	return c.step(ctx, func(t *tx) error {
		var now recoveredRecord
		if err := t.load(recoveredKey, now.wire); err != nil {
			return err
		}
		now.End = false
		return t.save(recoveredKey, now.wire)
	})
}

// Returning lists the conversations, by name, that this device waits to be let
// into again.
func (c *Client) Returning(ctx context.Context) (names []string, err error) {
	err = c.step(ctx, func(t *tx) error {
		names = nil
		all, err := t.names()
		if err != nil {
			return err
		}
		for id, name := range all {
			cv, err := t.conv(id)
			if err != nil {
				return err
			}
			if cv.meta.State == stateLost && t.continuedBy(cv) == nil {
				names = append(names, name)
			}
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// recentlyRecovered is how long a device added with the recovery key is pointed
// out.
const recentlyRecovered = 14 * 24 * time.Hour

// recoveryWarnings tells of devices that the recovery key added, the own
// account's and others', and of a backup that may not be the newest.
func (t *tx) recoveryWarnings() (all []string, err error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	var r recoveredRecord
	if err := t.load(recoveredKey, r.wire); err != nil {
		return nil, err
	}
	if r.Made > 0 && r.Active > r.Made+uint64(backupLate.Seconds()) {
		all = append(all, fmt.Sprintf("the backup this device began with is of %s, and a lost device was still there on %s: "+
			"the server may have kept back a newer one; what is missing since then others can tell", dayOf(r.Made), dayOf(r.Active)))
	}
	if r.Former {
		all = append(all, "the backup this device began with was written by a device that is revoked: compare your contacts (huis verify)")
	}
	chains, err := t.list("chain/", "", 0)
	if err != nil {
		return nil, err
	}
	own, _, err := t.chain(me.Account)
	if err != nil {
		return nil, err
	}
	for _, id := range r.Before {
		d, ok := own.Device(kt.DeviceID(id))
		if ok && !d.Revoked && !r.End && t.c.now().Sub(time.Unix(int64(r.At), 0)) < recentlyRecovered {
			all = append(all, fmt.Sprintf("device %s of yours, from before you came back, still receives everything; if it is lost: huis devices revoke %s", id.Hex()[:8], id.Hex()[:8]))
		}
	}
	for _, rec := range chains {
		var a proto.AccountID
		if err := parseHex(a[:], rec.Key[len("chain/"):]); err != nil {
			return nil, err
		}
		chain, _, err := t.chain(a)
		if err != nil {
			return nil, err
		}
		for _, d := range recoveredIn(chain) {
			if d.Revoked || proto.DeviceID(d.ID) == me.Device || t.c.now().Sub(d.Added) >= recentlyRecovered {
				continue
			}
			all = append(all, t.recoveredText(a, a == me.Account, &d))
		}
	}
	return all, nil
}

func dayOf(seconds uint64) string { return time.Unix(int64(seconds), 0).UTC().Format(time.DateOnly) }

func (t *tx) recoveredText(a proto.AccountID, own bool, d *kt.Device) string {
	short, day := d.ID.Hex()[:8], d.Added.UTC().Format(time.DateOnly)
	if own {
		return fmt.Sprintf("device %s was added to your account with the recovery key on %s; if that was not you: "+
			"huis devices revoke %s, then huis devices new-recovery-key", short, day, short)
	}
	return fmt.Sprintf("@%s lost all devices and came back with the recovery key on %s (device %s); if in doubt ask them by another way", t.handleOf(a), day, short)
}
