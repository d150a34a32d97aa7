package kt

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Bounds of one chain. A person has a handful of devices and changes them a
// few times a year; with monthly rotation the links last for decades.
const (
	MaxDevices = 64   // live at one time
	MaxLinks   = 4096 // in all
	MaxRenames = 32   // in all: each leaves a name that nobody else gets any more
)

// FollowWithin is how long after a ROTATE a leaf may still carry the key
// before (docs/protocol.md, Section 7).
const FollowWithin = 7 * 24 * time.Hour

// InvalidError says which rule a link breaks.
type InvalidError struct {
	Rule   string // a word, see Append
	Reason string
}

func (e *InvalidError) Error() string { return "kt: " + e.Reason }

func invalid(rule, format string, args ...any) error {
	return &InvalidError{Rule: rule, Reason: fmt.Sprintf(format, args...)}
}

// MessageKeyPeriod is a message key with the link that brought it.
type MessageKeyPeriod struct {
	Key   MessagePublicKey
	Since time.Time
}

// Device is one device as the chain has it.
type Device struct {
	ID        DeviceID
	D         ChainPublicKey
	Messages  []MessageKeyPeriod // oldest first, at least one; the last is M
	Added     time.Time
	AddedBy   DeviceID // zeros: recovery, or the first device
	Revoked   bool
	RevokedAt time.Time // zero if live
}

// M returns the device's present message key.
func (d Device) M() MessagePublicKey { return d.Messages[len(d.Messages)-1].Key }

// Held tells whether m is or was the device's message key.
func (d Device) Held(m MessagePublicKey) bool {
	return slices.ContainsFunc(d.Messages, func(p MessageKeyPeriod) bool { return p.Key == m })
}

// Standing is what a chain says of a leaf.
type Standing uint8

// What a leaf can be. Revoked leaves are to be removed by whoever sees it;
// unproven ones stop this client from sending.
const (
	Unproven Standing = iota // the chain does not carry this device or key
	Proven
	Revoked
)

// Chain is the verified state of an account after a number of links. It is
// immutable; copies share memory. The zero Chain is that of no account.
type Chain struct {
	account   AccountID
	n         int // links
	head      Hash
	last      uint64 // time of the last link
	devices   []Device
	recovery  RecoveryPublicKey // zeros: none
	closed    bool
	successor AccountID
	names     []Renamed
	kept      bool // Restore: signatures were verified before
}

// Renamed is one RENAME of a chain.
type Renamed struct {
	From, To Index
	Time     time.Time
	By       DeviceID
	Link     uint32 // its number
}

// Verify replays links, the first of which is a GENESIS.
func Verify(links [][]byte) (Chain, error) {
	var c Chain
	for _, link := range links {
		next, err := c.Append(link)
		if err != nil {
			return Chain{}, err
		}
		c = next
	}
	if c.n == 0 {
		return Chain{}, invalid("genesis", "a chain without links")
	}
	return c, nil
}

// Restore is Verify for links that this device has verified before and kept where
// nobody else writes: it checks everything but the signatures, which are most of the
// work. What is appended to the result is verified whole.
func Restore(links [][]byte) (Chain, error) {
	if len(links) == 0 {
		return Verify(links)
	}
	c := Chain{kept: true}
	for _, link := range links {
		next, err := c.Append(link)
		if err != nil {
			return Chain{}, err
		}
		c = next
	}
	c.kept = false
	return c, nil
}

// Account returns the account's identifier.
func (c Chain) Account() AccountID { return c.account }

// Len returns the number of links.
func (c Chain) Len() int { return c.n }

// Head returns the hash of the last link.
func (c Chain) Head() Hash { return c.head }

// Devices returns all devices ever, in the order of their links.
func (c Chain) Devices() []Device { return slices.Clone(c.devices) }

// Live returns the devices that are not revoked.
func (c Chain) Live() []Device {
	return slices.DeleteFunc(c.Devices(), func(d Device) bool { return d.Revoked })
}

// Device returns the device id, revoked or not.
func (c Chain) Device(id DeviceID) (Device, bool) {
	if i := c.index(id); i >= 0 {
		return c.devices[i], true
	}
	return Device{}, false
}

func (c Chain) index(id DeviceID) int {
	return slices.IndexFunc(c.devices, func(d Device) bool { return d.ID == id })
}

// Recovery returns the recovery key, false if none was set.
func (c Chain) Recovery() (RecoveryPublicKey, bool) {
	return c.recovery, c.recovery != RecoveryPublicKey{}
}

// Closed tells whether the account has ended; successor is zero after a
// TOMBSTONE. No device of a closed chain is live.
func (c Chain) Closed() (successor AccountID, closed bool) { return c.successor, c.closed }

// Name returns the index of the name the account has by its own links, zeros if
// it never changed: then it is the one it was made with.
func (c Chain) Name() Index {
	if len(c.names) == 0 {
		return Index{}
	}
	return c.names[len(c.names)-1].To
}

// Renames returns the RENAMEs, oldest first.
func (c Chain) Renames() []Renamed { return slices.Clone(c.names) }

// Named tells whether the account has or had the name with index x, as far as
// its links say; without a RENAME they say nothing, and it may.
func (c Chain) Named(x Index) bool {
	return len(c.names) == 0 || slices.ContainsFunc(c.names, func(r Renamed) bool { return r.From == x || r.To == x })
}

// Left tells whether the account has left the name with index x.
func (c Chain) Left(x Index) bool { return len(c.names) > 0 && c.Name() != x }

// Leaf tells what the chain says at now of a leaf of device id with message
// key m.
func (c Chain) Leaf(id DeviceID, m MessagePublicKey, now time.Time) Standing {
	d, ok := c.Device(id)
	switch {
	case !ok || !d.Held(m):
		return Unproven
	case d.Revoked:
		return Revoked
	case d.M() == m:
		return Proven
	}
	i := slices.IndexFunc(d.Messages, func(p MessageKeyPeriod) bool { return p.Key == m })
	if now.Before(d.Messages[i+1].Since.Add(FollowWithin)) {
		return Proven
	}
	return Unproven
}

// Append verifies that link continues the chain and returns the state after
// it. c itself stays as it is. Errors are of ParseLink or an *InvalidError with
// one of these rules; TestRefusals breaks each:
//
//	closed     nothing follows a RESET or TOMBSTONE
//	length     at most MaxLinks links and MaxDevices live devices
//	seq, prev  the link is the next one, and names the hash of the one before
//	genesis    GENESIS is the first link and no other
//	time       no link is older than the one before, or beyond the year 9999
//	signer     a live device signs; recovery, if set, signs ADD_DEVICE alone;
//	           the first device signs GENESIS
//	signature  by the signer's chain key (D) or the recovery key
//	type, body the type is known and the body is exactly of that type
//	device     identifiers are new; REVOKE names a live device, not the last
//	key        no key ever comes twice, for whatever purpose
//	proof      new D and M sign for account and device that they are theirs
//	successor  RESET names another account
//	name       RENAME leads from the name the account has to another one
func (c Chain) Append(link []byte) (Chain, error) {
	l, err := ParseLink(link)
	if err != nil {
		return Chain{}, err
	}
	if err := c.checkPlace(l); err != nil {
		return Chain{}, err
	}
	next := c
	next.devices = slices.Clone(c.devices)
	if err := next.apply(l); err != nil {
		return Chain{}, err
	}
	if c.n == 0 {
		next.account = accountID(link)
	}
	next.n, next.head, next.last = c.n+1, LinkHash(link), l.Time
	return next, nil
}

// checkPlace checks what holds for every type, the signature last.
func (c Chain) checkPlace(l *Link) error {
	switch {
	case c.closed:
		return invalid("closed", "a link after the end of the chain")
	case c.n >= MaxLinks:
		return invalid("length", "a chain of more than %d links", MaxLinks)
	case int64(l.Seq) != int64(c.n):
		return invalid("seq", "link %d where %d is next", l.Seq, c.n)
	case l.Prev != c.head:
		return invalid("prev", "link %d does not follow the link before it", l.Seq)
	case (l.Type == TypeGenesis) != (c.n == 0):
		return invalid("genesis", "%v as link %d", l.Type, l.Seq)
	case l.Time < c.last:
		return invalid("time", "link %d is older than the link before it", l.Seq)
	case l.Time > maxTime:
		return invalid("time", "link %d has no sensible time", l.Seq)
	case l.Type == TypeGenesis:
		return nil // signed by the key it brings: genesis
	}
	return c.checkSigner(l)
}

// maxTime keeps times within what time.Time and databases hold: the year 9999.
const maxTime = 253402300799

func (c Chain) checkSigner(l *Link) error {
	var key []byte
	if l.Signer.IsZero() {
		recovery, ok := c.Recovery()
		if !ok {
			return invalid("signer", "link %d is signed by recovery, which is not set", l.Seq)
		}
		if l.Type != TypeAddDevice {
			return invalid("signer", "the recovery key may not sign %v", l.Type)
		}
		key = recovery[:]
	} else {
		d, ok := c.Device(l.Signer)
		if !ok {
			return invalid("signer", "link %d is signed by a device that is not in the chain", l.Seq)
		}
		if d.Revoked {
			return invalid("signer", "link %d is signed by a revoked device", l.Seq)
		}
		key = d.D[:]
	}
	if c.kept {
		return nil
	}
	if !ed25519.Verify(key, l.signed(), l.Signature[:]) {
		return invalid("signature", "the signature of link %d is wrong", l.Seq)
	}
	return nil
}

// apply changes c, a copy, by a link whose place is right.
func (c *Chain) apply(l *Link) error {
	at := time.Unix(int64(l.Time), 0).UTC()
	switch l.Type {
	case TypeGenesis:
		return c.genesis(l, at)
	case TypeAddDevice:
		return c.addDevice(l, at)
	case TypeRevoke:
		return c.revoke(l, at)
	case TypeRotate:
		return c.rotate(l, at)
	case TypeSetRecovery:
		return c.setRecovery(l)
	case TypeRefresh:
		return body(l, func(*wire.Codec) {})
	case TypeRename:
		return c.rename(l, at)
	case TypeReset:
		return c.reset(l, at)
	case TypeTombstone:
		c.close(at)
		return body(l, func(*wire.Codec) {})
	}
	return invalid("type", "%v is unknown", l.Type)
}

func body(l *Link, fields func(*wire.Codec)) error {
	if err := wire.Decode(l.Body, fields); err != nil {
		return invalid("body", "%v: %v", l.Type, err)
	}
	return nil
}

func (c *Chain) genesis(l *Link, at time.Time) error {
	var e Enrolment
	if err := body(l, e.Wire); err != nil {
		return err
	}
	if l.Signer != e.ID {
		return invalid("signer", "GENESIS is not signed by the device it names")
	}
	if err := c.enrol(&e, at, DeviceID{}); err != nil {
		return err
	}
	if !c.kept && !ed25519.Verify(e.D[:], l.signed(), l.Signature[:]) {
		return invalid("signature", "the signature of GENESIS is wrong")
	}
	return nil
}

func (c *Chain) addDevice(l *Link, at time.Time) error {
	var e Enrolment
	if err := body(l, e.Wire); err != nil {
		return err
	}
	if len(c.Live()) >= MaxDevices {
		return invalid("length", "more than %d devices", MaxDevices)
	}
	return c.enrol(&e, at, l.Signer)
}

// enrol adds a device whose identifier and keys the chain has never seen.
func (c *Chain) enrol(e *Enrolment, at time.Time, by DeviceID) error {
	if e.ID.IsZero() {
		return invalid("device", "a device without identifier")
	}
	if c.index(e.ID) >= 0 {
		return invalid("device", "a device identifier for the second time")
	}
	if c.knows(e.D) || c.knows(e.M) || [32]byte(e.D) == [32]byte(e.M) {
		return invalid("key", "a key for the second time")
	}
	if !c.kept {
		if err := e.Verify(c.account); err != nil {
			return err
		}
	}
	c.devices = append(c.devices, Device{
		ID: e.ID, D: e.D, Messages: []MessageKeyPeriod{{e.M, at}}, Added: at, AddedBy: by,
	})
	return nil
}

// knows tells whether any device has or had key, for whatever purpose, or it
// is the recovery key.
func (c *Chain) knows(key [ed25519.PublicKeySize]byte) bool {
	return RecoveryPublicKey(key) == c.recovery || slices.ContainsFunc(c.devices, func(d Device) bool {
		return d.D == key || d.Held(key)
	})
}

func (c *Chain) revoke(l *Link, at time.Time) error {
	var b revokeBody
	if err := body(l, b.wire); err != nil {
		return err
	}
	i := c.index(b.Device)
	if i < 0 || c.devices[i].Revoked {
		return invalid("device", "REVOKE of a device that is not live")
	}
	if len(c.Live()) == 1 {
		return invalid("device", "REVOKE of the last device; TOMBSTONE ends an account")
	}
	c.devices[i].Revoked, c.devices[i].RevokedAt = true, at
	return nil
}

// rotate replaces the signer's own message key.
func (c *Chain) rotate(l *Link, at time.Time) error {
	var b rotateBody
	if err := body(l, b.wire); err != nil {
		return err
	}
	if c.knows(b.M) {
		return invalid("key", "ROTATE to a key for the second time")
	}
	if !c.kept && !ed25519.Verify(b.M[:], b.proven(c.account, l.Signer), b.ProofM[:]) {
		return invalid("proof", "the new message key did not sign ROTATE")
	}
	d := &c.devices[c.index(l.Signer)] // checkSigner found it
	d.Messages = append(slices.Clone(d.Messages), MessageKeyPeriod{b.M, at})
	return nil
}

func (c *Chain) setRecovery(l *Link) error {
	var b recoveryBody
	if err := body(l, b.wire); err != nil {
		return err
	}
	if c.knows(b.Key) || b.Key == (RecoveryPublicKey{}) {
		return invalid("key", "SET_RECOVERY to zeros or a key for the second time")
	}
	c.recovery = b.Key
	return nil
}

func (c *Chain) rename(l *Link, at time.Time) error {
	var b renameBody
	if err := body(l, b.wire); err != nil {
		return err
	}
	switch {
	case len(c.names) >= MaxRenames:
		return invalid("length", "more than %d RENAMEs", MaxRenames)
	case b.From == Index{} || b.To == Index{} || b.From == b.To:
		return invalid("name", "RENAME from or to no name, or to the same one")
	case c.Left(b.From):
		return invalid("name", "RENAME from a name the account does not have")
	}
	c.names = append(slices.Clone(c.names), Renamed{From: b.From, To: b.To, Time: at, By: l.Signer, Link: l.Seq})
	return nil
}

func (c *Chain) reset(l *Link, at time.Time) error {
	var b resetBody
	if err := body(l, b.wire); err != nil {
		return err
	}
	if b.Successor.IsZero() || b.Successor == c.account {
		return invalid("successor", "RESET to no other account")
	}
	c.successor = b.Successor
	c.close(at)
	return nil
}

func (c *Chain) close(at time.Time) {
	c.closed = true
	for i := range c.devices {
		if !c.devices[i].Revoked {
			c.devices[i].Revoked, c.devices[i].RevokedAt = true, at
		}
	}
}
