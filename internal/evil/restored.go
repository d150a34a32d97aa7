//go:build evil

package evil

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/kt"
)

// Promise: what an operator declares about its own disk undoes nothing. A backup
// put back, and a log that calls the one before lost, are real events that honest
// operators have; a liar declares them when it suits.
func init() {
	register(
		Attack{
			ID: "B-6/b", Name: "the log is called lost, and a new one has keys that the old one never had", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				invite := ann.One("invite")["invite"].(string)
				s.Hand("begin", nil)
				s.Stranger("dan").Do("join", s.byDoor("dan", invite), "--handle", "dan")
				t := ann.Try("chat", "add", "house", "@dan")
				on := ann.Try("send", "house", s.Secret("a text")) // known devices talk on
				_ = bob
				return Facts{Effect: t.Code == 0 || on.Code != 0, Alerted: t.Alert(), Detail: t.Error() + " " + on.Error()}
			},
			Hands: map[string]Hand{"begin": hand(func(ctx context.Context, o *Operator, _ struct{}) (any, error) {
				return nil, o.OnDisk(ctx, func(db store.Store) error { return db.BeginLog(ctx, "log-00000000", uint8(kt.KindPolicy)) })
			})},
			Without: []Edit{
				{"internal/client/newlog.go", "if err != nil || pinned == (logKeys{}) || !isNewLog(pinned, shown) {", "if $W || err != nil || pinned == (logKeys{}) || !isNewLog(pinned, shown) {"},
				{"internal/client/transparency.go", "	if err == nil && k != now {\n", `	if $W && err == nil && k != now {
		k = now
		err = c.step(ctx, func(t *tx) error {
			t.c.replay, t.c.replayThen, t.c.days = kt.Replay{}, kt.Replay{}, nil
			if err := t.delAll("translog/"); err != nil {
				return err
			}
			return t.save("translog/keys", now.wire)
		})
	}
	if err == nil && k != now {
`},
			},
		},
		Attack{
			ID: "B-6/c", Name: "a backup is put back, as if it had to be, to undo a removal", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				cal := s.Person("cal")
				ann.Do("chat", "add", "house", "@cal")
				cal.Do("read", "house")
				bob.Do("read", "house")
				s.Hand("keep", nil)
				ann.Do("chat", "remove", "house", "@cal")
				said := s.Secret("a text")
				ann.Do("send", "house", said)
				s.Hand("back", nil)
				cal.Try("send", "house", "I am here again")
				bob.Try("read", "house")
				f := Facts{}
				for range 12 { // ann is added again by one of the two, and goes on
					f.Alerted += ann.Try("read", "house").Alert()
					bob.Try("read", "house")
					f.Effect = f.Effect || contains(cal.Try("read", "house").Texts(), said)
					if contains(bob.Try("read", "house").Texts(), said) {
						f.Detail = "bob has what ann sent again"
						break
					}
					time.Sleep(time.Second)
				}
				f.Effect = f.Effect || contains(cal.Try("read", "house").Texts(), said)
				return f
			},
			Hands:   map[string]Hand{"keep": hand(keepFolder), "back": hand(putFolderBack)},
			Without: []Edit{Off("internal/client/late.go", "if a != me.Account && slices.Contains(here, a) {")},
		},
	)
}

// keepFolder keeps a copy of the first house's folder.
func keepFolder(_ context.Context, o *Operator, _ struct{}) (any, error) {
	return nil, o.whileStopped(func(data string) error { return os.CopyFS(data+"-kept", os.DirFS(data)) })
}

// putFolderBack puts that copy back as huis restore does, and waits for nobody.
func putFolderBack(ctx context.Context, o *Operator, _ struct{}) (any, error) {
	return nil, o.whileStopped(func(data string) error {
		if err := os.Rename(data, data+"-lost"); err != nil {
			return err
		}
		if err := os.CopyFS(data, os.DirFS(data+"-kept")); err != nil {
			return err
		}
		db, err := sqlite.Open(ctx, filepath.Join(data, "huis.db"))
		if err != nil {
			return err
		}
		return errors.Join(db.PutSetting(ctx, store.SettingRestored, store.Restored{Ended: true}.Encode()), db.Close())
	})
}

// whileStopped lets f at the folder of the first house between a stop and a start.
func (o *Operator) whileStopped(f func(data string) error) error {
	o.mu.Lock()
	h := o.houses[0]
	o.mu.Unlock()
	if err := h.stop(); err != nil {
		return err
	}
	if err := f(h.data); err != nil {
		return err
	}
	at, err := net.ResolveTCPAddr("tcp", o.origin)
	if err != nil {
		return err
	}
	next, _, err := o.start(h.data, at)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.houses[0] = next
	return nil
}
