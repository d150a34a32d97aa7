package client

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// A server of which nobody has the end of the log any more begins another one,
// under a new origin and key (protocol, section 12). To a device that looks
// exactly like a server that wants the log it has signed to be forgotten. So no
// device takes a new log over by itself: it stops taking new keys, says so, talks
// on with the devices it knows, and goes over to the new log when its person gives
// the fingerprint that the server's administrator told by another way.
//
//	translog/claimed   logClaim: the log the server shows in place of the pinned one
//	formerlog/N        formerLog: what was pinned before, with its newest checkpoint
//	compare/ACCOUNT    the words of that person are to be compared again

const (
	claimedKey      = "translog/claimed"
	formerLogPrefix = "formerlog/"
	comparePrefix   = "compare/"
)

// errLogTrouble is in the chain of errors that say why the log cannot be
// believed. Conversations go on all the same (protocol, section 1).
var errLogTrouble = errors.New("the log cannot be believed")

// logClaim is a log that a server shows in place of the pinned one.
type logClaim struct {
	Keys  logKeys
	Since uint64 // Unix seconds
}

func (l *logClaim) wire(c *wire.Codec) {
	formatVersion(c)
	l.Keys.wire(c)
	wire.Uint64(c, &l.Since)
}

// formerLog is a log that this device's person gave up for another.
type formerLog struct {
	Keys     logKeys
	Head     logHead
	At       uint64    // Unix seconds
	Policies []kt.Hash // of witnesses, that counted or were named for it
}

func (l *formerLog) wire(c *wire.Codec) {
	formatVersion(c)
	l.Keys.wire(c)
	l.Head.wire(c)
	wire.Uint64(c, &l.At)
	wire.Vector(c, &l.Policies, func(h *kt.Hash, c *wire.Codec) { wire.Fixed(c, h[:]) })
}

// isNewLog tells whether what a server shows is a log begun in place of the pinned
// one, as a restored server begins it: another origin and another key.
func isNewLog(pinned, shown logKeys) bool {
	return pinned.Log.Name != shown.Log.Name && pinned.Log.Key != shown.Log.Key
}

// claimAlarm is what a person is told of a new log.
func claimAlarm(l *logClaim) *SafetyError {
	return &SafetyError{
		Reason: fmt.Sprintf("the server shows a new log, %s, in place of the one this device has checked until now: its records of everybody's devices were lost, or somebody wants them forgotten", shorten(l.Keys.Log.Name)),
		Fix: "your conversations go on, and no new device or person is accepted; ask the server's administrator, in person or by phone, for the fingerprint of the new log, give it with huis log accept FINGERPRINT, " +
			"and then compare safety words with your contacts again (huis verify @NAME)",
		cause: errLogTrouble,
	}
}

// claimedLog returns the log a server shows in place of the pinned one, nil if it
// shows none.
func (t *tx) claimedLog() (*logClaim, error) {
	b, err := t.get(claimedKey)
	if err != nil || b == nil {
		return nil, err
	}
	l := new(logClaim)
	return l, wire.Decode(b, l.wire)
}

// otherLog deals with a server whose log has other keys than those pinned.
func (c *Client) otherLog(ctx context.Context, pinned, shown logKeys) error {
	if !isNewLog(pinned, shown) {
		return &SafetyError{
			Reason: "the server's log has another key than before",
			Fix:    "do not add anybody; ask the operator, by another way, what happened",
			cause:  errLogTrouble,
		}
	}
	claim, fresh := &logClaim{Keys: shown}, false
	err := c.step(ctx, func(t *tx) error {
		old, err := t.claimedLog()
		if fresh = old == nil || old.Keys != shown; err != nil || !fresh {
			return err
		}
		claim.Since = uint64(max(0, t.c.now().Unix()))
		return t.save(claimedKey, claim.wire)
	})
	alarm := claimAlarm(claim)
	if err != nil || !fresh {
		return errors.Join(alarm, err)
	}
	return c.keepLogProof(ctx, alarm, c.claimReport(ctx, alarm, claim))
}

// noteLog keeps, as soon as a server shows another log, that it does.
func (c *Client) noteLog(ctx context.Context, r *proto.InfoResponse) error {
	shown := logKeys{Log: kt.NoteKey{Name: r.Origin, Key: r.LogKey}, VRF: r.VRFKey}
	var pinned logKeys
	err := c.step(ctx, func(t *tx) error { return t.load("translog/keys", pinned.wire) })
	if err != nil || pinned == (logKeys{}) || !isNewLog(pinned, shown) {
		return err
	}
	if err := c.otherLog(ctx, pinned, shown); !isSafety(err) {
		return err
	}
	return nil
}

// orClaimed is the alarm of a new log if the server shows one, else err.
func (c *Client) orClaimed(ctx context.Context, err error) error {
	failed := c.step(ctx, func(t *tx) error {
		claim, failed := t.claimedLog()
		if failed == nil && claim != nil {
			err = t.logAlarm()
		}
		return failed
	})
	return errors.Join(failed, err)
}

// claimReport is what this device had checked and what it is shown now.
func (c *Client) claimReport(ctx context.Context, alarm *SafetyError, claim *logClaim) []byte {
	var k logKeys
	var head logHead
	err := c.step(ctx, func(t *tx) (err error) {
		if head, err = t.logHead(); err == nil {
			err = t.load("translog/keys", k.wire)
		}
		return err
	})
	if err != nil {
		return evidence.Report(alarm.Reason)
	}
	return evidence.Report(alarm.Reason, "log until now: "+k.Log.LogText(),
		fmt.Sprintf("verified up to: size %d, root %s", head.Size, head.Root.Hex()),
		"its newest checkpoint: "+base64.StdEncoding.EncodeToString(head.Checkpoint),
		"log shown now: "+claim.Keys.Log.LogText(),
		"its fingerprint, as the server shows it: "+kt.Fingerprint(claim.Keys.Log, claim.Keys.VRF))
}

// LogInfo describes the server's log as this device has it.
type LogInfo struct {
	Origin      string
	Fingerprint string
	Size        uint64
	Root        string
	Claimed     string    // origin of the log the server shows instead; "": none
	Since       time.Time // when it began to
	Former      []string  // origins of the logs before, oldest first
	Compare     []string  // handles whose words are to be compared again
}

// Log describes the server's log, from the store alone.
func (c *Client) Log(ctx context.Context) (out LogInfo, err error) {
	err = c.step(ctx, func(t *tx) error {
		var k logKeys
		if err := t.load("translog/keys", k.wire); err != nil {
			return err
		}
		h, err := t.logHead()
		if err != nil {
			return err
		}
		out = LogInfo{Origin: k.Log.Name, Size: h.Size, Root: h.Root.Hex()}
		if k != (logKeys{}) {
			out.Fingerprint = kt.Fingerprint(k.Log, k.VRF)
		}
		claim, err := t.claimedLog()
		if err != nil {
			return err
		}
		if claim != nil {
			out.Claimed, out.Since = claim.Keys.Log.Name, time.Unix(int64(claim.Since), 0).UTC()
		}
		former, err := t.formerLogs()
		if err != nil {
			return err
		}
		for _, l := range former {
			out.Former = append(out.Former, l.Keys.Log.Name)
		}
		out.Compare, err = t.toCompare()
		return err
	})
	return out, err
}

// toCompare lists the handles of those whose words are to be compared again.
func (t *tx) toCompare() (handles []string, err error) {
	all, err := t.list(comparePrefix, "", 0)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		var a proto.AccountID
		if parseHex(a[:], strings.TrimPrefix(r.Key, comparePrefix)) == nil {
			handles = append(handles, t.handleOf(a))
		}
	}
	slices.Sort(handles)
	return handles, nil
}

// ErrNoNewLog: the server shows the log that this device has checked.
var ErrNoNewLog = errors.New("the server shows no new log")

// AcceptLog goes over to the log the server shows in place of the pinned one, if
// it has the fingerprint that a person was told. All of it is replayed before
// anything is given up. Contacts are to be compared again: what the old log said
// last of their devices the new one may lack.
func (c *Client) AcceptLog(ctx context.Context, fingerprint string) error {
	c.forgetInfo()
	info, err := c.info(ctx)
	if err != nil {
		return err
	}
	shown := logKeys{Log: kt.NoteKey{Name: info.Origin, Key: info.LogKey}, VRF: info.VRFKey}
	var pinned logKeys
	if err := c.step(ctx, func(t *tx) error { return t.load("translog/keys", pinned.wire) }); err != nil {
		return err
	}
	if !isNewLog(pinned, shown) {
		return ErrNoNewLog
	}
	if !kt.SameFingerprint(kt.Fingerprint(shown.Log, shown.VRF), fingerprint) {
		return &SafetyError{
			Reason: "the log the server shows does not have the fingerprint you gave",
			Fix:    "nothing was changed; ask the server's administrator again, by another way than this server, and if they say the same do not go on: somebody answers in the server's place",
		}
	}
	if err := c.giveAccount(ctx); err != nil { // a device of the lost end is let in by it
		return err
	}
	r, head, epochs, err := c.replayShown(ctx, shown)
	if err != nil {
		return err
	}
	if err := c.step(ctx, func(t *tx) error { return t.goOver(pinned, shown, r, head, epochs) }); err != nil {
		return err
	}
	return c.syncTranslog(ctx)
}

// replayShown replays a log from its first epoch on and changes nothing.
func (c *Client) replayShown(ctx context.Context, k logKeys) (r kt.Replay, head logHead, epochs []logEpoch, err error) {
	var got proto.LogHeadResponse
	if err := c.callAnon(ctx, proto.LogHead, &proto.LogHeadRequest{}, &got); err != nil {
		return r, head, nil, err
	}
	bad := func(why string) error {
		return &SafetyError{Reason: "the new log cannot be taken over: " + why, Fix: "nothing was changed; tell the server's administrator", cause: errLogTrouble}
	}
	signed, err := kt.VerifyCheckpoint(got.Checkpoint, k.Log, nil)
	if err != nil {
		return r, head, nil, bad("it is not signed with its key")
	}
	for r.Size() < signed.Size {
		page, err := c.logPage(ctx, r.Size(), signed.Size)
		if err != nil {
			return r, head, nil, err
		}
		for i := range page {
			if r, err = r.Apply(page[i].Record, page[i].Batch); err != nil {
				return r, head, nil, bad(err.Error())
			}
			page[i].Root = r.Root()
		}
		epochs = append(epochs, page...)
	}
	last, ok := r.Last()
	if !ok || r.Root() != signed.Root || last.VRFKeyHash != kt.HashVRFKey(k.VRF) {
		return r, head, nil, bad("it does not consist of the epochs it gives out")
	}
	return r, logHead{Size: signed.Size, Root: signed.Root, Checkpoint: got.Checkpoint}, epochs, nil
}

// goOver puts a new log in the place of the pinned one. Chains stay as they are
// known: no account's is ever taken over shorter than it was.
func (t *tx) goOver(pinned, shown logKeys, r kt.Replay, head logHead, epochs []logEpoch) error {
	if err := t.keepFormer(pinned); err != nil {
		return err
	}
	policy, err := t.policyInForce()
	if err != nil {
		return err
	}
	for _, prefix := range []string{"translog/", stampInPrefix, stampWaitPrefix, withheldPrefix} {
		if err := t.delAll(prefix); err != nil {
			return err
		}
	}
	t.c.replay, t.c.replayThen, t.c.days = kt.Replay{}, kt.Replay{}, nil
	for i := range epochs {
		if err := t.save(epochKey(epochs[i].Record.N), epochs[i].wire); err != nil {
			return err
		}
	}
	if policy != nil && !policy.Unwitnessed() {
		// An admin's device asks for the same witnesses in the new log.
		set := policy.Set()
		t.put(wantedKey, []byte(set.Text()))
	}
	t.notePolicies(epochs)
	t.del(acceptKey)
	fingerprint := kt.Fingerprint(shown.Log, shown.VRF)
	err = t.tellOwn(eventNewLog, func(c *wire.Codec) { wire.String(c, &fingerprint, 64) })
	return errors.Join(err, t.save("translog/keys", shown.wire), t.save("translog/head", head.wire), t.moveNames(r), t.forgetComparedLog())
}

// keepFormer keeps what is given up: it is what the server signed.
func (t *tx) keepFormer(pinned logKeys) error {
	l := formerLog{Keys: pinned, At: uint64(max(0, t.c.now().Unix()))}
	var err error
	if l.Head, err = t.logHead(); err != nil {
		return err
	}
	p, err := t.policyChain()
	if err != nil {
		return err
	}
	l.Policies = slices.Clone(p.Vouched)
	for n := range p.Signed {
		s, err := p.policy(n)
		if err != nil {
			return err
		}
		l.Policies = append(l.Policies, s.Policy.Hash())
	}
	all, err := t.list(formerLogPrefix, "", 0)
	if err != nil {
		return err
	}
	return t.save(formerLogPrefix+seqKey(uint64(len(all))), l.wire)
}

// formerLogs lists the logs that were given up, oldest first.
func (t *tx) formerLogs() ([]formerLog, error) {
	records, err := t.list(formerLogPrefix, "", 0)
	if err != nil {
		return nil, err
	}
	all := make([]formerLog, len(records))
	for i := range records {
		if err := wire.Decode(records[i].Value, all[i].wire); err != nil {
			return nil, fmt.Errorf("stored log: %w", err)
		}
	}
	return all, nil
}

// ofFormerLog tells whether a policy was one of a log that was given up.
func (t *tx) ofFormerLog(h kt.Hash) (bool, error) {
	all, err := t.formerLogs()
	return slices.ContainsFunc(all, func(l formerLog) bool { return slices.Contains(l.Policies, h) }), err
}

// moveNames carries what is known of names over to a new log: as it is, where the
// new log has exactly that; anew, where it has something else. Whose words were
// compared is to be compared again.
func (t *tx) moveNames(r kt.Replay) error {
	all, err := t.nameRecords()
	if err != nil {
		return err
	}
	me, err := t.identity()
	if err != nil {
		return err
	}
	for i := range all {
		n := &all[i]
		for _, h := range n.Holders {
			if yes, err := t.isVerified(h.Account); err != nil {
				return err
			} else if yes && h.Account != me.Account {
				t.put(comparePrefix+h.Account.Hex(), nil)
			}
		}
		leaf, ok := r.Map().Get(n.Index)
		if !ok || leaf.Seq != n.Seq || leaf.Head != n.Head {
			t.del(labelKey(n.Handle))
			continue
		}
		n.Epoch, n.Confirmed = 0, false
		if err := t.save(labelKey(n.Handle), n.wire); err != nil {
			return err
		}
	}
	return nil
}

// forgetComparedLog forgets what a backup knew of the old log.
func (t *tx) forgetComparedLog() error {
	var rec recoveredRecord
	if err := t.load(recoveredKey, rec.wire); err != nil || rec.LogSize == 0 {
		return err
	}
	rec.LogSize = 0
	return t.save(recoveredKey, rec.wire)
}

// compareWarning asks for the comparison that a new log makes necessary, "" if
// nobody is left.
func (t *tx) compareWarning() (string, error) {
	handles, err := t.toCompare()
	if err != nil || len(handles) == 0 {
		return "", err
	}
	const most = 5
	names := "@" + strings.Join(handles[:min(most, len(handles))], ", @")
	if more := len(handles) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return newLogReason + ": compare safety words again with " + names + " (huis verify @NAME)", nil
}

const newLogReason = "the server began a new log, which may lack what was last known of people's devices"

// eventNewLog tells the own devices that their person accepted a log, by its
// fingerprint.
const eventNewLog = "newlog"

const acceptKey = "acceptlog" // the fingerprint another own device told

// hearNewLog keeps what another own device tells.
func (t *tx) hearNewLog(data []byte) error {
	var fingerprint string
	if err := wire.Decode(data, func(c *wire.Codec) { wire.String(c, &fingerprint, 64) }); err != nil {
		return err
	}
	t.put(acceptKey, []byte(fingerprint))
	return nil
}

// followNewLog goes over to the log that the person has accepted on another own
// device, if it is the one the server shows here.
func (c *Client) followNewLog(ctx context.Context) error {
	var told []byte
	var claim *logClaim
	err := c.step(ctx, func(t *tx) (err error) {
		if told, err = t.get(acceptKey); err == nil && told != nil {
			claim, err = t.claimedLog()
		}
		return err
	})
	if err != nil || claim == nil || kt.Fingerprint(claim.Keys.Log, claim.Keys.VRF) != string(told) {
		return err
	}
	return c.AcceptLog(ctx, string(told))
}

// learnShown notes a generation that the log declares which the server shows,
// while that is not believed: conversations go on in it, and the alarm stands.
func (c *Client) learnShown(ctx context.Context, g proto.Generation, kid proto.KID) error {
	var k logKeys
	err := c.step(ctx, func(t *tx) error {
		claim, err := t.claimedLog()
		if err != nil || claim == nil {
			return errors.Join(err, t.load("translog/keys", k.wire))
		}
		k = claim.Keys
		return nil
	})
	if err != nil {
		return err
	}
	for range 3 { // the log may grow in between
		var got proto.LogEntryResponse
		err := c.callAnon(ctx, proto.LogEntry, &proto.LogEntryRequest{Kind: uint8(kt.KindGeneration), Label: g[:]}, &got)
		if err != nil || len(got.Values) != 1 || string(got.Values[0]) != string(kid[:]) {
			return err
		}
		var head proto.LogHeadResponse
		if err := c.callAnon(ctx, proto.LogHead, &proto.LogHeadRequest{}, &head); err != nil {
			return err
		}
		if done, err := c.takeShown(ctx, k, g, kid, &got, &head); done || err != nil {
			return err
		}
	}
	return nil // as if it were not there
}

// takeShown verifies that a generation stands in the newest epoch of a log; done
// false if the answers are of different ones.
func (c *Client) takeShown(ctx context.Context, k logKeys, g proto.Generation, kid proto.KID, got *proto.LogEntryResponse, head *proto.LogHeadResponse) (done bool, err error) {
	signed, err := kt.VerifyCheckpoint(head.Checkpoint, k.Log, nil)
	if err != nil {
		return true, nil
	}
	record, err := kt.ParseEpochRecord(head.Record)
	if err != nil || kt.CheckInclusion(ktHashes(head.Inclusion), signed.Size, signed.Root, record.N, record.LeafHash()) != nil {
		return true, nil
	}
	if record.N != got.Proof.Epoch {
		return false, nil
	}
	proof, err := labelProof(got.Proof.Map, got.Proof.VRF, got.Proof.Openings)
	if err != nil {
		return true, nil
	}
	leaf, err := proof.Verify(k.VRF, kt.KindGeneration, g[:], record.MapRoot, got.Values)
	if err != nil || leaf == nil {
		return true, nil
	}
	return true, c.step(ctx, func(t *tx) error {
		t.put(generationKey(g), kid[:])
		t.put("files/due", nil)
		return nil
	})
}
