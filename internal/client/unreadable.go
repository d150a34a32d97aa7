package client

import (
	"errors"
	"strconv"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// A message that cannot be shown has a line all the same: somebody wrote, and a
// person who sees nothing would think that nobody did. The line says whose it is
// as far as that is known, whether it may still come, and why in words; what went
// wrong inside stays in `huis status`.
//
//	dud/HEX/SEQ   dudRecord

// Why a message is not shown.
const (
	UnreadableWaiting  = "waiting"  // its sender's keys have to be confirmed first: it comes by itself
	UnreadableUnproven = "unproven" // the sender's account does not vouch for the device it came from
	UnreadableDamaged  = "damaged"  // it does not open: altered on the way, or made so
	UnreadableForeign  = "foreign"  // handed in by another device than wrote it
	UnreadableLate     = "late"     // its keys were deleted before it came
)

// Unreadable says why a message is not shown.
type Unreadable struct {
	Cause string
}

// Waits tells whether the message may still be shown.
func (u *Unreadable) Waits() bool { return u.Cause == UnreadableWaiting }

// errForeign: an entry was submitted by another device than wrote it.
var errForeign = errors.New("submitted by another device than wrote it")

// dudRecord is an entry that could not be opened.
type dudRecord struct {
	From   proto.AccountID // whose key submitted it; zero: not known
	Device proto.DeviceID
	Minute uint64 // stamp
	Cause  string
}

func (r *dudRecord) wire(c *wire.Codec) {
	formatVersion(c)
	r.From.Wire(c)
	r.Device.Wire(c)
	wire.Uint64(c, &r.Minute)
	wire.String(c, &r.Cause, 16)
}

// keepDud keeps that an entry could not be opened.
func (t *tx) keepDud(cv *conversation, s *proto.Stamped, why error) error {
	r := dudRecord{Minute: s.Receipt.Minute, Cause: UnreadableDamaged}
	switch {
	case errors.Is(why, errForeign):
		r.Cause = UnreadableForeign
	case errors.Is(why, mls.ErrStaleEpoch):
		r.Cause = UnreadableLate
	}
	if leaf, ok := cv.keys.leafOf(s.Entry.MK); ok {
		if who, _, err := cv.sender(leaf); err == nil {
			r.From, r.Device = who.Account, who.Device
		}
	}
	return t.save(key("dud", cv.id, seqKey(s.Receipt.Seq)), r.wire)
}

// dudLine is the line of an entry that could not be opened.
func (t *tx) dudLine(cv *conversation, p place) (line Line, show bool, err error) {
	var r dudRecord
	if err := wire.Decode(p.dud, r.wire); err != nil {
		return line, false, errors.New("stored mark of a message that does not open")
	}
	line = t.unreadableLine(cv, p, r.Cause, r.Minute)
	if r.From != (proto.AccountID{}) {
		line.From, line.Device = t.handleOf(r.From), r.Device.Hex()
	}
	return line, true, nil
}

// unprovenLine is the line of a message whose sender's account does not vouch for
// its key, or not yet: for a day its chain may be behind (docs/protocol.md,
// Section 7).
func (t *tx) unprovenLine(cv *conversation, p place, r *messageRecord) (line Line, show bool, err error) {
	chain, known, err := t.chain(r.From.Account)
	if err != nil {
		return line, false, err
	}
	cause := UnreadableUnproven
	_, listed := chain.Device(kt.DeviceID(r.From.Device))
	if age := t.c.now().Sub(time.Unix(int64(r.Minute)*60, 0)); age < chainAge && (!known || !listed) {
		cause = UnreadableWaiting
	}
	line = t.unreadableLine(cv, p, cause, r.Minute)
	line.From, line.Device = t.handleOf(r.From.Account), r.From.Device.Hex()
	return line, true, nil
}

func (t *tx) unreadableLine(cv *conversation, p place, cause string, minute uint64) Line {
	line := Line{Unreadable: &Unreadable{Cause: cause}}
	line.Seq, line.Kind = p.seq+cv.meta.Offset, "unreadable"
	line.ID = "unreadable-" + cv.id.Hex()[:8] + "-" + strconv.FormatUint(p.seq, 10)
	line.Time = time.Unix(int64(minute)*60, 0).UTC()
	return line
}
