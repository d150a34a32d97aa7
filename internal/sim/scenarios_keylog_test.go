package sim

import (
	"context"
	"time"

	"codeberg.org/huis/huis/kt"
)

func init() {
	scenarios = append(scenarios, []scenario{
		// The log of everybody's keys goes on in two versions; conversations
		// do not. The first message between people who were shown different
		// ones tells, and each side can prove it to others.
		{name: "liar-forks-the-log-of-keys", disk: true, tell: func(p *play) {
			faces := p.twoFaces("cal/1")
			p.forkKeys(faces)
			p.rest(2 * time.Hour) // everybody has looked at the log
			p.unsuspecting("cal/1")
			p.unsuspecting("ann/1")
			p.say("house", "ann/1")
			p.rest(10 * time.Minute)
			p.provesTwoLogs("cal/1", "ann/1")
		}},

		// The same, found by the one who was shown less of it.
		{name: "liar-forks-the-log-of-keys-at-another-size", disk: true, tell: func(p *play) {
			faces := p.twoFaces("cal/1")
			p.forkKeys(faces)
			p.must(faces.First.directory.AddToLog(context.Background(), kt.KindOrder, []byte("more"), []byte("x")))
			p.must(faces.First.directory.AddToLog(context.Background(), kt.KindOrder, []byte("still more"), []byte("x")))
			p.rest(2 * time.Hour)
			p.say("house", "cal/1")
			p.rest(10 * time.Minute)
			p.provesTwoLogs("cal/1", "ann/1", "bob/1")
		}},
	}...)
}

// forkKeys makes the two faces' logs differ in one epoch.
func (p *play) forkKeys(f *TwoFaced) {
	p.t.Helper()
	for s, text := range map[*Server]string{f.First: "for everybody", f.Second: "for cal"} {
		p.must(s.directory.AddToLog(context.Background(), kt.KindOrder, []byte("1"), []byte(text)))
	}
}

// provesTwoLogs fails unless each of the devices stopped taking new keys and
// has a file that proves two logs to a third person.
func (p *play) provesTwoLogs(devices ...string) {
	p.t.Helper()
	for _, name := range devices {
		if len(p.dev(name).Safety) == 0 {
			p.t.Errorf("%s noticed nothing", name)
		}
		if !p.proves(name, kt.EvidenceSplitView) {
			p.t.Errorf("%s cannot prove it to others", name)
		}
	}
}
