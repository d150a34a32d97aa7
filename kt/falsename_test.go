package kt

import (
	"errors"
	"testing"
)

// falseName is what a log proves of a name in its first epoch.
func (l *handleLog) falseName() *FalseName {
	l.Helper()
	return &FalseName{*l.takeover(0)}
}

// logged is a log whose first epoch has these values of one name.
func logged(t *testing.T, values ...[]byte) *handleLog {
	l := newHandleLog(t)
	l.epoch(t0, values...)
	return l
}

func TestFalseNamesAreProved(t *testing.T) {
	_, x := newHandleLog(t).place()
	bob, mover, stray := newAccount(t), renamed(t, x, numbered(8)), renamed(t, numbered(8), numbered(9))
	log := newHandleLog(t).signer.Public()
	for what, values := range map[string][][]byte{
		"a name that was left, given away": append(mover.links[:2:2], bob.links[0]),
		"an account that never took it":    stray.links,
	} {
		p := logged(t, values...).falseName()
		if err := p.Verify(log); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if kind, by, err := VerifyEvidence(p.Armored(log)); err != nil || kind != EvidenceFalseName || by != log {
			t.Errorf("%s, as a file: %s, %v", what, kind, err)
		}
		p.Values = p.Values[:1]
		if err := p.Verify(log); err == nil {
			t.Errorf("%s: proved by other values than the log has", what)
		}
	}
	for what, values := range map[string][][]byte{
		"a name that was left":        mover.links,
		"made anew by an admin":       append(bob.links[:1:1], newAccount(t).links[0]),
		"values that break no rule":   bob.links,
		"a link that cannot be read":  {bob.links[0], []byte("news")},
		"a chain that does not go on": append(bob.links[:1:1], mover.links[1]),
	} {
		if err := logged(t, values...).falseName().Verify(log); err == nil || !errors.Is(err, ErrEvidence) {
			t.Errorf("%s: accused by it: %v", what, err)
		}
	}
}

func (m *maker) falseNames() {
	_, x := newHandleLog(m.t).place()
	bob, mover := newAccount(m.t), renamed(m.t, x, numbered(8))
	log := newHandleLog(m.t).signer.Public()
	of := func(p *FalseName) input { return input{"file": string(p.Armored(log))} }
	away := append(mover.links[:2:2], bob.links[0])
	m.accepted("evidence", "a name that was left, given to another account", of(logged(m.t, away...).falseName()))
	m.accepted("evidence", "an account under a third name", of(logged(m.t, renamed(m.t, numbered(8), numbered(9)).links...).falseName()))
	m.refused("evidence", "K-813", "", "a name that was left, and no more", of(logged(m.t, mover.links...).falseName()))
	m.refused("evidence", "K-813", "", "a name given to another account that nobody left", of(logged(m.t, bob.links[0], mover.links[0]).falseName()))
	cut := logged(m.t, away...).falseName()
	cut.Handle = "alice"
	m.refused("evidence", "K-812", "", "a false name by the values of another one", of(cut))
	cut = logged(m.t, away...).falseName()
	cut.Record = nil
	m.refused("evidence", "K-812", "", "a false name without its epoch", of(cut))
}
