package kt

import (
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/wire"
)

// handovers are proofs that a name went from one account to another.
func (m *maker) handovers() {
	bob, mallory := newAccount(m.t), newAccount(m.t)
	l := lostName(m.t, bob, mallory)
	m.takeovers(l, bob, mallory)
	m.successions(l, bob, mallory)
	m.falseNames()
}

// lostName is a log in which bob's name was given to mallory: epoch 0 has bob,
// 1 the reset, 2 to 4 are the days after it and 5 is no day's first.
func lostName(t *testing.T, bob, mallory *account) *handleLog {
	l := newHandleLog(t)
	l.epoch(t0, bob.links...)
	l.epoch(t0.Add(time.Hour), mallory.links...)
	for day := range 3 {
		l.epoch(midnight(day + 1))
	}
	l.epoch(midnight(3).Add(time.Hour))
	return l
}

func (l *handleLog) takeover(n int) *Takeover {
	s := l.succession(n, n)
	return &Takeover{Sighting: s.Late, VRF: s.VRF, Handle: s.Handle, Proof: s.Then, Values: s.Values}
}

func (m *maker) takeovers(l *handleLog, bob, mallory *account) {
	key := l.signer.Public()
	of := func(change func(*Takeover)) input {
		p := l.takeover(2)
		if change != nil {
			change(p)
		}
		return input{"file": string(p.Armored(key))}
	}
	m.accepted("evidence", "a name given to another account", of(nil))
	for name, change := range ordered(map[string]func(*Takeover){
		"a takeover without its epoch":          func(p *Takeover) { p.Record = nil },
		"a takeover by another VRF key":         func(p *Takeover) { p.VRF = NewVRFKey([32]byte{9}).Public() },
		"a takeover of another name":            func(p *Takeover) { p.Handle = "alice" },
		"a takeover by an epoch of another map": func(p *Takeover) { p.Sighting = l.sighting(0) },
	}) {
		m.refused("evidence", "K-812", "", name, of(change))
	}
	m.refused("evidence", "K-812", "label", "a takeover with fewer values", of(func(p *Takeover) { p.Values = p.Values[:1] }))
	alone := newHandleLog(l.T)
	alone.epoch(t0, bob.links...)
	m.refused("evidence", "K-811", "", "a name that one account always had", input{"file": string(alone.takeover(0).Armored(key))})
	signed := newHandleLog(l.T)
	reset, err := bob.Reset(bob.now, bob.devices[0].signer(), mallory.account)
	if err != nil {
		m.t.Fatal(err)
	}
	signed.epoch(t0, append(append([][]byte{}, bob.links...), reset)...)
	signed.epoch(t0.Add(time.Hour), mallory.links...)
	m.refused("evidence", "K-811", "", "a new account that the one before signed", input{"file": string(signed.takeover(1).Armored(key))})
}

func (m *maker) successions(l *handleLog, bob, mallory *account) {
	key := l.signer.Public().LogText()
	of := func(p *Succession) input { return input{"log_key": key, "proof": hexOf(wire.MustEncode(p.Wire))} }
	m.accepted("succession", "a day after the reset", of(l.succession(2, 3)))
	m.accepted("succession", "two days after it", of(l.succession(2, 4)))
	changed := func(change func(*Succession)) input {
		p := l.succession(2, 3)
		change(p)
		return of(p)
	}
	m.refused("succession", "K-901", "", "one day alone", of(l.succession(2, 2)))
	m.refused("succession", "K-901", "", "two days in the wrong order", of(l.succession(3, 2)))
	m.refused("succession", "K-901", "", "an epoch that is no day's first", of(l.succession(2, 5)))
	m.refused("succession", "K-901", "", "a checkpoint without its epoch", changed(func(p *Succession) { p.Late.Record = nil }))
	m.refused("succession", "K-901", "", "another VRF key", changed(func(p *Succession) { p.VRF = NewVRFKey([32]byte{9}).Public() }))
	stranger := of(l.succession(2, 3))
	stranger["log_key"] = NoteKey{Name: l.signer.Public().Name, Key: logSigner.Public().Key}.LogText()
	m.refused("succession", "K-901", "", "checkpoints that the log's key did not sign", stranger)
	m.refused("succession", "K-902", "", "another name", changed(func(p *Succession) { p.Handle = "alice" }))
	m.refused("succession", "K-902", "", "fewer values", changed(func(p *Succession) { p.Values = p.Values[:1] }))
	m.refused("succession", "K-902", "", "the place in an earlier map", changed(func(p *Succession) { p.Before = l.maps[0].Prove(Index{}) }))
	m.refused("succession", "K-902", "", "an earlier epoch with other values under the name", of(l.rewritten(bob)))
	m.refused("succession", "K-903", "", "a reset that came after the earlier epoch", of(l.lateReset(bob, mallory).succession(1, 3)))
	m.refused("succession", "K-903", "", "a reset that was refused", of(l.vetoed(bob, mallory).succession(2, 4)))
}

// rewritten is a succession whose earlier epoch is of a log in which bob still
// had the name, under a second link of his own.
func (l *handleLog) rewritten(bob *account) *Succession {
	link, err := bob.Refresh(bob.now, bob.devices[0].signer())
	if err != nil {
		l.Fatal(err)
	}
	other := newHandleLog(l.T)
	other.epoch(t0, append(append([][]byte{}, bob.links...), link)...)
	other.epoch(midnight(1))
	first, p := other.succession(1, 1), l.succession(2, 4)
	p.Early, p.Before = first.Early, first.Before
	return p
}

func (l *handleLog) lateReset(bob, mallory *account) *handleLog {
	o := newHandleLog(l.T)
	o.epoch(t0, bob.links...)
	o.epoch(midnight(1))
	o.epoch(midnight(1).Add(time.Hour), mallory.links...)
	o.epoch(midnight(2))
	return o
}

func (l *handleLog) vetoed(bob, mallory *account) *handleLog {
	o := newHandleLog(l.T)
	o.epoch(t0, bob.links...)
	o.epoch(t0.Add(time.Hour), mallory.links...)
	o.epoch(midnight(1))
	veto, err := bob.Veto(bob.now, bob.devices[0].signer(), mallory.account)
	if err != nil {
		l.Fatal(err)
	}
	o.epoch(midnight(1).Add(time.Hour), veto)
	o.epoch(midnight(2))
	return o
}

func FuzzSuccession(f *testing.F) {
	f.Add([]byte{0})
	key := logSigner.Public()
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Succession
		if wire.Decode(b, p.Wire) == nil {
			_, _ = p.Verify(key)
		}
		var q Takeover
		if wire.Decode(b, q.Wire) == nil {
			_ = q.Verify(key)
		}
	})
}
