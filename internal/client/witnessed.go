package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"codeberg.org/huis/huis/kt"
)

// A log is witnessed for this device if a checkpoint of it carries the quorum
// of the policy in force. Without that, or when it is too old, no new key is
// accepted; known devices talk on (docs/protocol.md, Sections 1 and 13).
//
//	translog/witnessed   logHead: the newest one with a quorum

const witnessedKey = "translog/witnessed"

// witnessAge is how old cosignatures may be before they vouch for nothing new.
// Servers have them renewed every hour.
const witnessAge = 24 * time.Hour

// errUnvouched is in the chain of errors that say why no new key is accepted
// now, though nobody is known to have lied.
var errUnvouched = errors.New("no new key can be checked now")

// seenBy returns the cosignatures of a policy's witnesses on a head. Those of a
// note that does not verify are none.
func seenBy(p *kt.Policy, k logKeys, h logHead) []kt.CosignedBy {
	if p == nil || h.Size == 0 {
		return nil
	}
	s, err := kt.VerifyCheckpoint(h.Checkpoint, k.Log, p.Witnesses)
	if err != nil || s.Size != h.Size || s.Root != h.Root {
		return nil
	}
	return s.Cosignatures
}

// cosigned tells whether a head has a policy's quorum now.
func (t *tx) cosigned(p *kt.Policy, k logKeys, h logHead) bool {
	return p.Satisfied(seenBy(p, k, h), t.c.now(), witnessAge)
}

// recordWitnessed keeps the newest head if it has the quorum.
func (t *tx) recordWitnessed(chain *policyChain, k logKeys) error {
	p, err := chain.inForce()
	if err != nil || p == nil || p.Unwitnessed() {
		return err
	}
	h, err := t.logHead()
	if err != nil || !t.cosigned(p, k, h) {
		return err
	}
	old, err := t.get(witnessedKey)
	if err != nil {
		return err
	}
	if err := t.save(witnessedKey, h.wire); err != nil {
		return err
	}
	if string(old) == string(t.changes[witnessedKey]) {
		delete(t.changes, witnessedKey) // nothing new to write
	}
	return nil
}

// witnessing is what witnesses say of the log, as far as this device knows.
type witnessing struct {
	Policy *kt.Policy // in force; nil: none in the log
	Head   logHead    // the newest with the quorum; the newest of all if none is wanted
	Seen   []kt.CosignedBy
	Newest []kt.CosignedBy // those on the newest head of all
	Fresh  bool            // the quorum is there and no older than witnessAge
}

// wanted tells whether cosignatures are wanted at all.
func (w *witnessing) wanted() bool { return w.Policy != nil && !w.Policy.Unwitnessed() }

func (t *tx) witnessing() (w witnessing, err error) {
	var k logKeys
	if err := t.load("translog/keys", k.wire); err != nil {
		return w, err
	}
	if w.Policy, err = t.policyInForce(); err != nil {
		return w, err
	}
	if w.Head, err = t.logHead(); err != nil || !w.wanted() {
		return w, err
	}
	w.Newest = seenBy(w.Policy, k, w.Head)
	if w.Seen = w.Newest; w.Policy.Satisfied(w.Seen, t.c.now(), witnessAge) {
		w.Fresh = true
		return w, nil
	}
	var kept logHead
	if err := t.load(witnessedKey, kept.wire); err != nil {
		return w, err
	}
	seen := seenBy(w.Policy, k, kept)
	if w.Policy.Satisfied(seen, time.Time{}, 0) {
		w.Head, w.Seen = kept, seen
		w.Fresh = w.Policy.Satisfied(seen, t.c.now(), witnessAge)
		return w, nil
	}
	if !w.Policy.Satisfied(w.Seen, time.Time{}, 0) {
		w.Head = logHead{Root: kt.Frontier{}.Root()} // nothing was ever witnessed
	}
	return w, nil
}

// mayAcceptKeys tells why no new key can be accepted now, nil if it can: only a
// log in order, not stale and witnessed as the policy in force says, stands for
// one. That a certain key is in the witnessed part of the log tells
// mayAcceptLeaf.
func (t *tx) mayAcceptKeys() error {
	if err := t.logAlarm(); err != nil {
		return err
	}
	if err := t.policyNamed(); err != nil {
		return err
	}
	r, err := t.replayed()
	if err != nil {
		return err
	}
	last, ok := r.Last()
	if age := t.c.now().Sub(time.Unix(int64(last.Time), 0)); !ok || age > logAge {
		return &SafetyError{
			Reason: fmt.Sprintf("the server's log has stood still since %s: keys newer than that cannot be checked", time.Unix(int64(last.Time), 0).UTC().Format(time.DateTime)),
			Fix:    "what you have goes on; adding people and devices has to wait until the log goes on (is the clock of this device right?)",
			cause:  errUnvouched,
		}
	}
	w, err := t.witnessing()
	if err != nil || !w.wanted() || w.Fresh {
		return err
	}
	return w.missing(t.c.now())
}

// missing says that the quorum is not there.
func (w *witnessing) missing(now time.Time) *SafetyError {
	var have []string
	for _, s := range w.Newest {
		if now.Sub(s.Time) <= witnessAge {
			have = append(have, s.Witness.Name)
		}
	}
	only := "none of them does now"
	if len(have) > 0 {
		only = fmt.Sprintf("now only %d can: %s", len(have), strings.Join(have, ", "))
	}
	return &SafetyError{
		Reason: fmt.Sprintf("new keys cannot be checked: of the %d witnesses of the server's log %d have to vouch for it; %s", len(w.Policy.Witnesses), w.Policy.Fewest(), only),
		Fix:    "your conversations go on; to add people or devices try again later, or ask the server's operator which witnesses are away",
		cause:  errUnvouched,
	}
}

// mayAcceptLeaf tells why what the map's newest version says of an account
// cannot be accepted now: nobody but the server has vouched for that part of
// the log yet.
func (t *tx) mayAcceptLeaf(leaf *kt.MapLeaf) error {
	if err := t.mayAcceptKeys(); err != nil {
		return err
	}
	w, err := t.witnessing()
	if err != nil || !w.wanted() {
		return err
	}
	r, err := t.replayedTo(w.Head.Size)
	if err != nil {
		return err
	}
	if then, ok := r.Map().Get(leaf.Index); ok && then.Seq >= leaf.Seq {
		return nil
	}
	return w.missing(t.c.now())
}

// replayedTo returns the log as it was at a size this device has replayed.
func (t *tx) replayedTo(size uint64) (kt.Replay, error) {
	r, err := t.replayed()
	if err == nil && r.Size() == size {
		t.c.replayThen = r // what the two have in common is in memory once
	}
	if err != nil || r.Size() == size {
		return r, err
	}
	if t.c.replayThen.Size() > size {
		t.c.replayThen = kt.Replay{}
	}
	for r = t.c.replayThen; r.Size() < size; t.c.replayThen = r {
		e, found, err := t.logEpochAt(r.Size())
		if err == nil && !found {
			err = errMissingEpoch
		}
		if err != nil {
			return r, err
		}
		if r, err = r.Apply(e.Record, e.Batch); err != nil {
			return r, fmt.Errorf("stored log: %w", err)
		}
	}
	return t.c.replayThen, nil
}

// policyNamed refuses new keys while the log lacks the policy an inviter named,
// or holds one that the server does not show.
func (t *tx) policyNamed() error {
	due, err := t.get(policyDueKey)
	if err != nil {
		return err
	}
	p, err := t.policyChain()
	if err == nil && due != nil && p.Counts > 0 {
		return &SafetyError{
			Reason: "the server's log holds a witness policy that the server does not show",
			Fix:    "your conversations go on; adding people and devices has to wait: tell the server's operator if it stays like this",
			cause:  errUnvouched,
		}
	}
	if err != nil || len(p.Vouched) == 0 || p.Counts > 0 {
		return err
	}
	return &SafetyError{
		Reason: "the server's log does not hold the witness policy that you were invited with",
		Fix:    "no new device or person is accepted; ask the person who invited you, by another way, and tell the server's operator",
	}
}

// WitnessSeen is when a witness last vouched for the server's log.
type WitnessSeen struct {
	Name string
	Time time.Time
}

// LogStatus is how the server's log stands for this device.
type LogStatus struct {
	Size      uint64
	Root      string
	Policy    string        // "none" (unwitnessed), or the quorum in words
	Witnesses []WitnessSeen // those that cosigned the newest witnessed head
	Witnessed bool          // the quorum is there and fresh
}

// logStatus describes the log; the warnings are a person's to act on.
func (t *tx) logStatus() (s LogStatus, warnings []string, err error) {
	head, err := t.logHead()
	if err != nil {
		return s, nil, err
	}
	s = LogStatus{Size: head.Size, Root: head.Root.Hex(), Policy: kt.QuorumNone}
	w, err := t.witnessing()
	if err != nil {
		return s, nil, err
	}
	if w.wanted() {
		s.Policy = fmt.Sprintf("%d of %d", w.Policy.Fewest(), len(w.Policy.Witnesses))
	}
	for _, c := range w.Seen {
		s.Witnesses = append(s.Witnesses, WitnessSeen{c.Witness.Name, c.Time})
	}
	s.Witnessed = w.Fresh
	warnings, err = t.policyWarnings()
	if err != nil {
		return s, nil, err
	}
	again, err := t.compareWarning()
	if again != "" {
		warnings = append(warnings, again)
	}
	if !w.wanted() || err != nil {
		return s, warnings, err
	}
	var safety *SafetyError
	if why := t.mayAcceptKeys(); errors.As(why, &safety) && errors.Is(why, errUnvouched) {
		warnings = append(warnings, safety.Reason)
	}
	return s, warnings, nil
}

// policyWarnings tells of policies in the log that do not count here.
func (t *tx) policyWarnings() (all []string, err error) {
	p, err := t.policyChain()
	if err != nil {
		return nil, err
	}
	if p.Flaw != "" {
		all = append(all, p.Flaw)
	}
	news, err := t.get(policyNewsKey)
	if err != nil {
		return nil, err
	}
	if news != nil {
		all = append(all, string(news))
	}
	for n := int(p.Counts); n < len(p.Signed); n++ {
		next, err := p.policy(n)
		if err != nil {
			return nil, err
		}
		all = append(all, fmt.Sprintf("the server's log has a new witness policy %s: huis policy shows it", shortHash(next.Policy.Hash())))
	}
	return all, nil
}

// shortHash is enough of a hash for two people to compare.
func shortHash(h kt.Hash) string { return h.Hex()[:16] }

// harmless tells that a link takes away keys, or nothing: it may be believed
// while no new key is.
func harmless(link []byte) bool {
	l, err := kt.ParseLink(link)
	return err == nil && (l.Type == kt.TypeRevoke || l.Type == kt.TypeRefresh || l.Type == kt.TypeRename || l.Type == kt.TypeTombstone)
}

// acceptable returns those of links that may be taken over now, and why not
// more of them.
func (t *tx) acceptable(known, links [][]byte, leaf *kt.MapLeaf) ([][]byte, error) {
	if len(links) <= len(known) {
		return links, nil
	}
	why := t.mayAcceptLeaf(leaf)
	if why == nil {
		return links, nil
	}
	n := len(known)
	for n > 0 && n < len(links) && harmless(links[n]) {
		n++
	}
	if n == len(links) && errors.Is(why, errUnvouched) {
		why = nil
	}
	return links[:n], why
}

// vouchedNow tells why no new key can be accepted, after having looked whether
// the log has been vouched for meanwhile.
func (c *Client) vouchedNow(ctx context.Context) error {
	may := func() error { return c.step(ctx, func(t *tx) error { return t.mayAcceptKeys() }) }
	if c.logDue() {
		if err := c.syncTranslog(ctx); err != nil {
			return err
		}
	}
	err := may()
	if !errors.Is(err, errUnvouched) {
		return err
	}
	if err := c.syncTranslog(ctx); err != nil {
		return err
	}
	return may()
}
