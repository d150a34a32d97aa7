package sim

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/proto"
)

func init() {
	all := func(*proto.Entry) bool { return true }
	scenarios = append(scenarios, []scenario{
		// A message never reaches cal; what ann writes next says that it was there.
		{name: "liar-holds-a-message-back", disk: true, tell: func(p *play) {
			faces := p.twoFaces("cal/1")
			faces.Hold = all
			p.say("house", "ann/1")
			p.rest(time.Minute)
			faces.Hold = nil
			p.rest(time.Minute)
			p.unsuspecting("cal/1")
			p.say("house", "ann/1")
			p.rest(time.Minute)
			p.refused("cal/1", "house")
		}},

		// Two messages reach cal in the other order.
		{name: "liar-shows-another-order", disk: true, tell: func(p *play) {
			faces := p.twoFaces("cal/1")
			faces.Hold = all
			p.say("house", "ann/1")
			p.rest(time.Minute)
			faces.Hold = nil
			p.say("house", "bob/1")
			faces.Release(context.Background())
			p.rest(time.Minute)
			p.say("house", "ann/1", "bob/1")
			p.rest(time.Minute)
			p.refused("cal/1", "house")
		}},

		// The log goes on in two versions; joining them again shows it.
		{name: "liar-forks-the-log", disk: true, tell: func(p *play) {
			faces := p.twoFaces("cal/1")
			faces.Hold = all
			p.say("house", "ann/1")
			faces.held = nil // for ever
			p.rest(time.Minute)
			p.say("house", "cal/1") // it takes the same place in the other version
			p.rest(time.Minute)
			faces.Hold = nil
			p.Net.exec, p.Net.Unseen = faces.First.Exec, ""
			p.rest(time.Minute)
			p.dev("cal/1").Kill()
			p.rest(2 * time.Minute)
			p.refused("cal/1", "house")
		}},

		// The whole server goes back to an older copy without saying so.
		{name: "liar-restores-a-backup-silently", disk: true, tell: func(p *play) {
			p.people("ann", "bob", "cal")
			p.chat("ann/1", "house", "bob", "cal")
			p.say("house", "ann/1", "bob/1", "cal/1")
			p.rest(time.Minute)
			old := p.copyServer()
			p.say("house", "ann/1", "bob/1", "cal/1")
			p.rest(time.Minute)
			p.lies = true
			p.Net.exec = old.Exec
			p.Server.Stop()
			p.rest(2 * time.Minute)
			for _, name := range []string{"ann/1", "bob/1", "cal/1"} {
				p.refused(name, "house")
			}
		}},
	}...)
}

// twoFaces lets three people talk and then shows one of them a copy.
func (p *play) twoFaces(victim string) *TwoFaced {
	p.t.Helper()
	p.lies = true
	p.people("ann", "bob", "cal")
	p.chat("ann/1", "house", "bob", "cal")
	p.say("house", "ann/1", "bob/1", "cal/1")
	p.rest(time.Minute)
	faces := &TwoFaced{Victim: victim, First: p.Server, Second: p.copyServer()}
	p.Net.exec, p.Net.Unseen = faces.Exec, victim
	return faces
}

// copyServer starts a twin of the server on a copy of its file.
func (p *play) copyServer() *Server {
	p.t.Helper()
	st := p.copyStore()
	p.t.Cleanup(func() { closeStore(p, st) })
	twin, err := p.Server.Twin(st)
	p.must(err)
	return twin
}

// copyStore is a copy of the server's file, opened.
func (p *play) copyStore() store.Store {
	p.t.Helper()
	p.must(p.Server.store.Truncate(context.Background()))
	b, err := os.ReadFile(p.path)
	p.must(err)
	to := filepath.Join(p.t.TempDir(), "copy.db")
	p.must(os.WriteFile(to, b, 0o600))
	st, err := sqlite.Open(context.Background(), to)
	p.must(err)
	return st
}

func closeStore(p *play, st store.Store) {
	if err := st.Close(); err != nil {
		p.t.Error(err)
	}
}

// unsuspecting fails if the device stopped before it could know.
func (p *play) unsuspecting(name string) {
	p.t.Helper()
	if s := p.dev(name).Safety; len(s) > 0 {
		p.t.Errorf("%s stopped too early: %v", name, s[0])
	}
}
