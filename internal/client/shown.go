package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// A server that shows what stands in its log can still show the wrong part: an
// older version of a name, the same account under another name, or nothing. The
// replayed log tells how much there is of each name.
//
//	withheld/HANDLE   Unix seconds since when the log has more of a name than
//	                  the server shows

const withheldPrefix = "withheld/"

// errStale: the log has more of a name than the answer.
var errStale = errors.New("an answer is older than the log")

// checkShown checks that an account is shown under the name this device knows it
// by.
func (t *tx) checkShown(a proto.AccountID, handle string) error {
	known, err := t.knownName(a)
	if err != nil || known == "" || known == handle {
		return err
	}
	return otherName(known, handle)
}

func otherName(known, shown string) error {
	return &SafetyError{
		Reason: fmt.Sprintf("the server shows the account of @%s under another name, @%s, and none of its devices signed that", known, shown),
		Fix:    "nothing of it was taken over; tell the server's operator",
	}
}

// checkNewest checks that what the server proves of a name is all that the log
// has of it. errStale.
func (t *tx) checkNewest(leaf *kt.MapLeaf) error {
	log, err := t.replayed()
	if err != nil {
		return err
	}
	if now, ok := log.Map().Get(leaf.Index); ok && now.Seq > leaf.Seq {
		return errStale
	}
	return nil
}

// knownName is the name an account has in the log as this device has verified
// it, "" if it has none.
func (t *tx) knownName(a proto.AccountID) (string, error) {
	me, err := t.identity()
	if err == nil && me.Account == a {
		return me.Handle, nil
	}
	if err != nil && !errors.Is(err, ErrNoProfile) {
		return "", err
	}
	r, err := t.recordOf(a)
	return r.Handle, err
}

func staleError(handle string) error {
	return &SafetyError{
		Reason: fmt.Sprintf("the server shows less of @%s than its log has", handle),
		Fix:    "no new key of theirs is accepted; ask the person by another way which devices are theirs, and tell the server's operator",
	}
}

// noteWithheld keeps since when the log has more of a name than the server
// shows, and returns the alarm if the name is the own one.
func (t *tx) noteWithheld() (alarm error, err error) {
	all, err := t.nameRecords()
	if err != nil {
		return nil, err
	}
	log, err := t.replayed()
	if err != nil {
		return nil, err
	}
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	for i := range all {
		r := &all[i]
		leaf, ok := log.Map().Get(r.Index)
		old, err := t.get(withheldPrefix + r.Handle)
		switch {
		case err != nil:
			return nil, err
		case !ok || leaf.Seq <= r.Seq:
			if old != nil {
				t.del(withheldPrefix + r.Handle)
			}
			continue
		case old == nil:
			t.put(withheldPrefix+r.Handle, binary.BigEndian.AppendUint64(nil, uint64(max(0, t.c.now().Unix()))))
		}
		if r.find(me.Account) >= 0 {
			alarm = staleError(r.Handle)
		}
	}
	return alarm, nil
}

// withheld tells since when the log has more of a name than the server shows;
// false if it has not.
func (t *tx) withheld(handle string) (since time.Time, yes bool, err error) {
	b, err := t.get(withheldPrefix + handle)
	if err != nil || len(b) != 8 {
		return since, false, err
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), 0), true, nil
}

// withheldFrom tells why nothing is sent to an account: for a day the log has
// had a change of its keys that the server does not show. It may be that a
// device was revoked (docs/protocol.md, Section 7: the bound is a day).
func (t *tx) withheldFrom(a proto.AccountID) error {
	handle, err := t.knownName(a)
	if err != nil || handle == "" {
		return err
	}
	since, yes, err := t.withheld(handle)
	if err != nil || !yes || t.c.now().Sub(since) < chainAge {
		return err
	}
	return &SafetyError{
		Reason: fmt.Sprintf("the server has not shown for a day how the keys of @%s changed, and its log says that they did", handle),
		Fix:    "ask @" + handle + " by another way; remove them from the conversation to go on without them, and tell the server's operator",
	}
}

func (t *tx) anyWithheld() (bool, error) {
	all, err := t.list(withheldPrefix, "", 1)
	return len(all) > 0, err
}
