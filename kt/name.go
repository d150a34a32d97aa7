package kt

import (
	"crypto/ed25519"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// Statement is a value of a name that is no link: what a device says about
// whose the name is. It is signed by a device's chain key.
type Statement struct {
	Type      StatementType
	Time      uint64    // seconds since 1970, the signer's clock
	Account   AccountID // of the device that signs
	Against   AccountID // VETO: the account that is refused
	Signer    DeviceID
	Signature [ed25519.SignatureSize]byte
}

// StatementType says what a Statement states.
type StatementType uint8

// TypeVeto: a device of the account that had the name objects to the account
// that has it now and that none of its devices signed.
const TypeVeto StatementType = 1

// statementVersion is the first byte of a Statement; no link begins with it.
const statementVersion = 0x81

// Wire codes the statement.
func (s *Statement) Wire(c *wire.Codec) {
	s.content(c)
	wire.Fixed(c, s.Signature[:])
}

func (s *Statement) content(c *wire.Codec) {
	v := uint8(statementVersion)
	wire.Uint8(c, &v)
	if c.Err() == nil && v != statementVersion {
		c.Fail("statement of an unknown version")
	}
	wire.Uint8(c, &s.Type)
	wire.Uint64(c, &s.Time)
	wire.Fixed(c, s.Account[:])
	wire.Fixed(c, s.Against[:])
	wire.Fixed(c, s.Signer[:])
}

// ParseStatement reads a statement; that it is well-formed says nothing about
// its truth: VerifyName tells.
func ParseStatement(b []byte) (*Statement, error) {
	s := new(Statement)
	if err := wire.Decode(b, s.Wire); err != nil {
		return nil, invalid("statement", "a statement that cannot be read: %v", err)
	}
	if s.Type != TypeVeto {
		return nil, invalid("statement", "a statement of an unknown type")
	}
	return s, nil
}

func (s *Statement) signed() []byte {
	return labelled("huis/statement/1", wire.MustEncode(s.content))
}

// Veto returns the statement by which a live device of c refuses the account
// that took over its name.
func (c Chain) Veto(now time.Time, by Signer, against AccountID) ([]byte, error) {
	s := Statement{Type: TypeVeto, Time: uint64(max(0, now.Unix())), Account: c.account, Against: against, Signer: by.id}
	copy(s.Signature[:], ed25519.Sign(by.key, s.signed()))
	return wire.MustEncode(s.Wire), c.verifyVeto(&s)
}

func (c Chain) verifyVeto(s *Statement) error {
	d, ok := c.Device(s.Signer)
	switch {
	case !ok || d.Revoked:
		return invalid("signer", "a veto is not signed by a live device of the account")
	case s.Against == c.account || s.Account != c.account:
		return invalid("veto", "a veto against the own account")
	case !ed25519.Verify(d.D[:], s.signed(), s.Signature[:]):
		return invalid("signature", "the signature of a veto is wrong")
	}
	return nil
}

// Holder is an account a name was given to.
type Holder struct {
	Chain Chain
	Links [][]byte
	First uint32 // number of its GENESIS among the name's values
	Veto  uint32 // number of the value that refuses it, 0 if none does
	// Seen is when the caller saw it first, if the log's times alone do not
	// count for it; VerifyName leaves it zero.
	Seen time.Time
}

// Account returns the holder's account.
func (h *Holder) Account() AccountID { return h.Chain.Account() }

// Name is what a log says of one handle: the accounts it was given to, oldest
// first. All but the first got it without a signature of the one before: a
// reset, by whoever runs the server. It counts only after a while (Days.Holder).
type Name struct {
	Index   Index
	Holders []Holder
	Values  int
}

// VerifyName reads all values of the handle with index x: links and statements.
// A GENESIS that is not the first value gives the name to another account; a
// VETO gives it back to the account that signs it. All other links continue the
// chain of the account that has the name. An account that is renamed leaves the
// name with its RENAME, and nobody else gets it any more; under the new name its
// chain stands from GENESIS on. Errors are those of Chain.Append, or an
// *InvalidError of one of these rules:
//
//	statement, veto, signer, signature   a statement is what it says it is
//	holder   no account gets a name twice
//	left     nobody gets a name that its account left by RENAME
//	moved    a chain with RENAMEs stands under the names they lead from and to
func VerifyName(x Index, values [][]byte) (Name, error) {
	n := Name{Index: x, Values: len(values)}
	now := -1 // the holder whose the name is
	for i, v := range values {
		var err error
		switch {
		case len(v) > 0 && v[0] == statementVersion:
			now, err = n.state(now, uint32(i), v)
		case isGenesis(v):
			now, err = n.give(now, uint32(i), v)
		case now < 0:
			err = invalid("genesis", "a name does not begin with GENESIS")
		default:
			err = n.Holders[now].extend(v)
		}
		if err != nil {
			return Name{}, err
		}
	}
	if now < 0 {
		return Name{}, invalid("genesis", "a name without values")
	}
	for i := range n.Holders {
		if !n.Holders[i].Chain.Named(x) {
			return Name{}, invalid("moved", "an account under a name that its RENAMEs do not lead to")
		}
	}
	return n, nil
}

func isGenesis(link []byte) bool {
	l, err := ParseLink(link)
	return err == nil && l.Type == TypeGenesis
}

func (n *Name) give(now int, i uint32, genesis []byte) (int, error) {
	if now >= 0 && n.Holders[now].Chain.Left(n.Index) {
		return 0, invalid("left", "a name that its account left by RENAME is given to another account")
	}
	h := Holder{First: i}
	if err := h.extend(genesis); err != nil {
		return 0, err
	}
	if _, ok := n.Find(h.Account()); ok {
		return 0, invalid("holder", "an account gets a name for the second time")
	}
	n.Holders = append(n.Holders, h)
	return len(n.Holders) - 1, nil
}

func (h *Holder) extend(link []byte) (err error) {
	if h.Chain, err = h.Chain.Append(link); err == nil {
		h.Links = append(h.Links, link)
	}
	return err
}

// state applies a statement and returns whose the name is after it.
func (n *Name) state(now int, i uint32, v []byte) (int, error) {
	s, err := ParseStatement(v)
	if err != nil {
		return 0, err
	}
	by, ok := n.Find(s.Account)
	if !ok || now <= by || n.Holders[now].Account() != s.Against || n.Holders[by].Veto != 0 {
		return 0, invalid("veto", "a veto by an account whose name was not taken, or against another one than has it")
	}
	if err := n.Holders[by].Chain.verifyVeto(s); err != nil {
		return 0, err
	}
	for k := by + 1; k < len(n.Holders); k++ {
		if n.Holders[k].Veto == 0 {
			n.Holders[k].Veto = i
		}
	}
	return by, nil
}

// Find returns the place of an account among the holders.
func (n *Name) Find(a AccountID) (int, bool) {
	for i := range n.Holders {
		if n.Holders[i].Account() == a {
			return i, true
		}
	}
	return 0, false
}

// Last returns the account the newest values belong to: whose the name is as
// far as the server goes.
func (n *Name) Last() *Holder {
	for i := len(n.Holders) - 1; i > 0; i-- {
		if n.Holders[i].Veto == 0 {
			return &n.Holders[i]
		}
	}
	return &n.Holders[0]
}

// How long a reset waits until it counts: everybody's client looks at the log
// at least once in that time, so that a device of the owner that is alive can
// object.
const (
	CoolDown       = 24 * time.Hour
	StrictCoolDown = 72 * time.Hour
)

// dayJitter is by how much the first epochs of two days may lie nearer to each
// other than a day: a server writes one at midnight, more or less.
const dayJitter = 10 * time.Minute

// maxDays bounds Days. What is older than the oldest has cooled down.
const maxDays = 100

// Days are the distinguished versions of a log, oldest first, which measure its
// time. Immutable.
type Days []Replay

// Add returns the days with r, if it ends in a distinguished epoch.
func (d Days) Add(r Replay) Days {
	if last, ok := r.Last(); !ok || last.LastDistinguished != last.N {
		return d
	}
	d = append(d[:len(d):len(d)], r)
	return d[max(0, len(d)-maxDays):]
}

func (r Replay) has(x Index, seq uint32) bool {
	leaf, ok := r.Map().Get(x)
	return ok && leaf.Seq >= seq
}

func (r Replay) at() time.Time {
	last, _ := r.Last()
	return time.Unix(int64(last.Time), 0).UTC()
}

// cooled returns the day on which a holder of x had been in a distinguished
// epoch for as long as cool, -1 if that is not yet; until is when that will be,
// zero while no distinguished epoch has it.
func (d Days) cooled(x Index, k *Holder, cool time.Duration, now time.Time) (day int, until time.Time) {
	for i := range d {
		if until.IsZero() && d[i].has(x, k.First) {
			until = d[i].at().Add(cool)
			if seen := k.Seen.Add(cool); seen.After(until) {
				until = seen
			}
		}
		// Neither the server's clock nor the own one can make it go faster.
		if !until.IsZero() && !d[i].at().Before(until.Add(-dayJitter)) && !now.Before(until.Add(-dayJitter)) {
			return i, until
		}
	}
	return -1, until
}

// Holding says whose a name is.
type Holding struct {
	Owner   int       // place among the holders: the one that counts
	Pending int       // the newest one that does not count yet, -1 if there is none
	Until   time.Time // when it will, unless it is refused; zero: not known yet
	Late    bool      // there is a veto that came too late
}

// Holder tells whose the name under index x is at now, as far as a log's days
// say: a reset counts once the log has had it for the time cool, by the times of
// its distinguished epochs and by the caller's own clock, and if no veto was in
// the log by then. One that a device of the owner signed (RESET) counts at once.
func (d Days) Holder(n *Name, x Index, cool time.Duration, now time.Time) Holding {
	h := Holding{Pending: -1}
	for i := 1; i < len(n.Holders); i++ {
		k := &n.Holders[i]
		if to, closed := n.Holders[h.Owner].Chain.Closed(); closed && to == k.Account() {
			h.Owner, h.Pending = i, -1
			continue
		}
		day, until := d.cooled(x, k, cool, now)
		switch {
		case k.Veto != 0 && (day < 0 || d[day].has(x, k.Veto)):
		case day >= 0:
			h.Owner, h.Pending, h.Late = i, -1, k.Veto != 0
		default:
			h.Pending, h.Until = i, until
		}
	}
	return h
}
