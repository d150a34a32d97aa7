package kt

import (
	"slices"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// nameLog is a log that has the values of one name, epoch by epoch.
type nameLog struct {
	*testing.T
	log    testLog
	days   Days
	values [][]byte
}

var nameIndex = numbered(7)

// epoch writes an epoch with some more values at a time.
func (l *nameLog) epoch(at time.Time, values ...[]byte) {
	l.Helper()
	var batch []BatchEntry
	for _, v := range values {
		n := uint32(len(l.values))
		batch = append(batch, entry(7, n, byte(n), byte(n+1)))
		l.values = append(l.values, v)
	}
	l.log.append(l, uint64(at.Unix()), batch)
	l.days = l.days.Add(l.log.replay)
}

func (l *nameLog) name() *Name {
	l.Helper()
	n, err := VerifyName(nameIndex, l.values)
	if err != nil {
		l.Fatal(err)
	}
	return &n
}

func (l *nameLog) holding(now time.Time) Holding {
	l.Helper()
	return l.days.Holder(l.name(), nameIndex, CoolDown, now)
}

// taken is a name that was given to bob, and a day later to mallory.
func taken(t *testing.T) (l *nameLog, bob, mallory *account) {
	l, bob, mallory = &nameLog{T: t}, newAccount(t), newAccount(t)
	l.epoch(t0, bob.links...)
	l.epoch(t0.Add(2*time.Hour), mallory.links...)
	return l, bob, mallory
}

func midnight(days int) time.Time {
	return t0.Truncate(24 * time.Hour).Add(time.Duration(days) * 24 * time.Hour)
}

func TestAResetCountsADayAfterADistinguishedEpochHadIt(t *testing.T) {
	l, bob, mallory := taken(t)
	n := l.name()
	if n.Holders[0].Account() != bob.account || n.Last().Account() != mallory.account || n.Last().First != 1 {
		t.Fatal("the name's holders are wrong")
	}
	check := func(what string, now time.Time, owner, pending int, until time.Time) {
		t.Helper()
		if h := l.holding(now); h.Owner != owner || h.Pending != pending || !h.Until.Equal(until) {
			t.Errorf("%s: %+v", what, h)
		}
	}
	late := midnight(30)
	check("in no distinguished epoch", late, 0, 1, time.Time{})
	l.epoch(midnight(1))
	check("in one", late, 0, 1, midnight(2))
	l.epoch(midnight(2).Add(-time.Hour))
	check("an epoch that is not distinguished", late, 0, 1, midnight(2))
	l.epoch(midnight(2).Add(time.Second))
	check("a day later, the own clock behind", midnight(1), 0, 1, midnight(2))
	check("a day later", midnight(2), 1, -1, time.Time{})
	if h := l.days.Holder(l.name(), nameIndex, StrictCoolDown, late); h.Owner != 0 || h.Pending != 1 || !h.Until.Equal(midnight(4)) {
		t.Errorf("strictly: %+v", h)
	}
}

// TestAServerThatIsLateDoesNotShortenTheWait: the first epoch of a day was
// written in the evening.
func TestAServerThatIsLateDoesNotShortenTheWait(t *testing.T) {
	l, _, _ := taken(t)
	l.epoch(midnight(1).Add(20 * time.Hour))
	l.epoch(midnight(2))
	if h := l.holding(midnight(30)); h.Owner != 0 {
		t.Error("a reset counts after four hours")
	}
	l.epoch(midnight(3))
	if h := l.holding(midnight(30)); h.Owner != 1 {
		t.Error("a reset does not count after two days")
	}
}

func TestAVetoInTimeRefusesTheReset(t *testing.T) {
	l, bob, mallory := taken(t)
	veto, err := bob.Veto(bob.now, bob.devices[0].signer(), mallory.account)
	if err != nil {
		t.Fatal(err)
	}
	l.epoch(midnight(1))
	l.epoch(midnight(2).Add(-time.Hour), veto)
	l.epoch(midnight(2))
	l.epoch(midnight(3))
	if h := l.holding(midnight(30)); h.Owner != 0 || h.Pending != -1 || h.Late {
		t.Errorf("%+v", h)
	}
	if l.name().Last().Account() != bob.account {
		t.Error("the name is not bob's again")
	}
	bob.take(bob.Refresh(bob.now, bob.devices[0].signer()))
	l.epoch(midnight(4), bob.links[1])
	if n := l.name(); n.Holders[0].Chain.Len() != 2 {
		t.Error("bob's chain does not go on")
	}
	// Somebody else asks for the name afterwards.
	next := newAccount(t)
	l.epoch(midnight(5), next.links...)
	l.epoch(midnight(6))
	l.epoch(midnight(7))
	if h := l.holding(midnight(30)); h.Owner != 2 {
		t.Errorf("a later reset: %+v", h)
	}
}

func TestAVetoThatComesTooLateIsNone(t *testing.T) {
	l, bob, mallory := taken(t)
	l.epoch(midnight(1))
	l.epoch(midnight(2))
	veto, err := bob.Veto(bob.now, bob.devices[0].signer(), mallory.account)
	if err != nil {
		t.Fatal(err)
	}
	l.epoch(midnight(2).Add(time.Hour), veto)
	l.epoch(midnight(3))
	if h := l.holding(midnight(30)); h.Owner != 1 || !h.Late {
		t.Errorf("%+v", h)
	}
}

// TestASignedResetCountsAtOnce: a device of the account says who follows.
func TestASignedResetCountsAtOnce(t *testing.T) {
	l, bob, heir := &nameLog{T: t}, newAccount(t), newAccount(t)
	l.epoch(t0, bob.links...)
	bob.take(bob.Chain.Reset(bob.now, bob.devices[0].signer(), heir.account))
	l.epoch(t0.Add(time.Hour), bob.links[1], heir.links[0])
	if h := l.holding(t0); h.Owner != 1 || h.Pending != -1 {
		t.Errorf("%+v", h)
	}
}

func TestNamesAgainstTheRules(t *testing.T) {
	bob, mallory, other := newAccount(t), newAccount(t), newAccount(t)
	veto := func(a *account, by device, against AccountID) []byte {
		b, _ := a.Veto(a.now, by.signer(), against)
		return b
	}
	good := veto(bob, bob.devices[0], mallory.account)
	changed := slices.Clone(good)
	changed[len(changed)-1] ^= 1
	unknown := slices.Clone(good)
	unknown[1] = 9
	b, m := bob.links[0], mallory.links[0]
	mover, stray := renamed(t, nameIndex, numbered(8)), renamed(t, numbered(8), numbered(9))
	mallory.take(mallory.Refresh(mallory.now, mallory.devices[0].signer()))
	refresh := mallory.links[1]
	for what, c := range map[string]struct {
		rule   string
		values [][]byte
	}{
		"nothing":                             {"genesis", nil},
		"a statement first":                   {"veto", [][]byte{good}},
		"a link of no account":                {"genesis", [][]byte{refresh}},
		"a link of another account":           {"prev", [][]byte{b, refresh}},
		"an account twice":                    {"holder", [][]byte{b, m, b}},
		"a veto before there is anything":     {"veto", [][]byte{b, good}},
		"a veto twice":                        {"veto", [][]byte{b, m, good, good}},
		"a veto by the one who took the name": {"veto", [][]byte{b, m, veto(mallory, mallory.devices[0], bob.account)}},
		"a veto by a stranger":                {"veto", [][]byte{b, m, veto(other, other.devices[0], mallory.account)}},
		"a veto against somebody else":        {"veto", [][]byte{b, m, veto(bob, bob.devices[0], other.account)}},
		"a veto of a device not in the chain": {"signer", [][]byte{b, m, veto(bob, other.devices[0], mallory.account)}},
		"a veto with a wrong signature":       {"signature", [][]byte{b, m, changed}},
		"a statement of another type":         {"statement", [][]byte{b, m, unknown}},
		"half a statement":                    {"statement", [][]byte{b, m, good[:50]}},
		"a link after the veto, of the other": {"prev", [][]byte{b, m, good, refresh}},
		"a name left, given away":             {"left", append(slices.Clone(mover.links), b)},
		"a name left, taken by who left it":   {"left", append(slices.Clone(mover.links), mover.links[0])},
		"an account that never had the name":  {"moved", stray.links},
		"behind another, one that never had":  {"moved", append([][]byte{b}, stray.links...)},
	} {
		_, err := VerifyName(nameIndex, c.values)
		wantRule(t, what, err, c.rule)
	}
	if _, err := VerifyName(nameIndex, [][]byte{b, m, good}); err != nil {
		t.Fatal(err)
	}
}

// renamed is an account that went through these names.
func renamed(t *testing.T, names ...Index) *account {
	a := newAccount(t)
	for i := range names[1:] {
		a.take(a.Rename(a.now, a.devices[0].signer(), names[i], names[i+1]))
	}
	return a
}

func TestANameIsLeftByASignature(t *testing.T) {
	a := renamed(t, nameIndex, numbered(8))
	a.add(a.devices[0].signer())
	old, err := VerifyName(nameIndex, a.links[:2])
	if err != nil || !old.Last().Chain.Left(nameIndex) || old.Last().Chain.Name() != numbered(8) {
		t.Fatalf("the old name: %v", err)
	}
	now, err := VerifyName(numbered(8), a.links)
	if err != nil || now.Last().Chain.Left(numbered(8)) || now.Last().Account() != a.account {
		t.Fatalf("the new name: %v", err)
	}
	if r := now.Last().Chain.Renames(); len(r) != 1 || r[0].By != a.devices[0].id || r[0].Link != 1 {
		t.Errorf("the RENAMEs are %+v", r)
	}
	a.take(a.Rename(a.now, a.devices[1].signer(), numbered(8), nameIndex))
	if back, err := VerifyName(nameIndex, a.links); err != nil || back.Last().Chain.Left(nameIndex) {
		t.Errorf("who left a name does not come back to it: %v", err)
	}
}

// Who took a name by a reset does not keep it from its owner by leaving it.
func TestAVetoBringsBackANameThatWasLeft(t *testing.T) {
	bob, mallory := newAccount(t), renamed(t, nameIndex, numbered(8))
	veto, err := bob.Veto(bob.now, bob.devices[0].signer(), mallory.account)
	if err != nil {
		t.Fatal(err)
	}
	values := append(slices.Concat(bob.links, mallory.links), veto)
	n, err := VerifyName(nameIndex, values)
	if err != nil || n.Last().Account() != bob.account {
		t.Errorf("the name is not bob's: %v", err)
	}
}

func FuzzParseStatement(f *testing.F) {
	f.Add(wire.MustEncode((&Statement{Type: TypeVeto}).Wire))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseStatement(b)
		if err != nil {
			return
		}
		if !slices.Equal(wire.MustEncode(s.Wire), b) {
			t.Error("encodes to something else")
		}
	})
}
