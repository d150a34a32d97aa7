//go:build evil

package evil

import (
	"os"
	"path/filepath"
)

// Promise: nobody takes an account over unseen, not the operator and not the
// help desk.
func init() {
	register(
		Attack{
			ID: "B-9/a", Name: "the help desk gives a person's name to somebody else", Expected: Evident,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				cal := s.Person("cal")
				mal := s.Stranger("mal")
				reset := ann.One("invite", "--reset", "@bob")["invite"].(string)
				mal.Do("join", s.byDoor("mal", reset), "--handle", "bob")
				said := s.Secret("a text")
				cal.Try("send", "@bob", said)
				alarmed := bob.Try("status")
				proof, why := s.Proof(bob)
				return Facts{
					Effect: contains(mal.Try("read", "@cal").Texts(), said), Alerted: alarmed.Alert(), Proof: proof,
					Detail: why + " " + alarmed.Stderr,
				}
			},
			Without: []Edit{
				{"internal/client/takeover.go", "	if err != nil || alarm == nil || taker == nil {\n", "	if $W {\n		return err\n	}\n	if err != nil || alarm == nil || taker == nil {\n"},
				{"internal/client/names.go", "	r, err := t.nameRecord(handle)\n	if err != nil || len(r.Holders) < 2 {\n", "	r, err := t.nameRecord(handle)\n	if err != nil || len(r.Holders) < 2 || $W {\n"},
				{"internal/client/names.go", "	handle := t.handleOf(a)\n	if gone, err := t.isFormer(a); err != nil || gone {\n		return errors.Join(err, &SafetyError{\n			Reason: fmt.Sprintf(\"the account @%s is no longer", "	handle := t.handleOf(a)\n	if $W {\n		return nil\n	}\n	if gone, err := t.isFormer(a); err != nil || gone {\n		return errors.Join(err, &SafetyError{\n			Reason: fmt.Sprintf(\"the account @%s is no longer"},
				namedOtherwise,
			},
		},
		Attack{
			ID: "B-9/b", Name: "a stolen recovery key", Expected: Detected, Within: "at the next sync of the own devices",
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				bob.Do("status")
				mal := s.Stranger("mal")
				mal.Do("recover", s.Server(bob, "mal"), "--handle", "bob", "--wait", "5s", "--recovery-key-file", s.Note(bob.Recovery))
				ann.Do("status")
				said := s.Secret("a text")
				ann.Do("send", "house", said)
				f := Facts{Effect: contains(mal.Try("read", "house").Texts(), said)}
				if len(bob.Try("devices").Objects) > 1 {
					f.Alerted = "the list of devices shows another one"
				}
				return f
			},
			Without: []Edit{{"internal/client/account.go", "		for _, d := range chain.Devices() {\n			list", "		for _, d := range chain.Devices() {\n			if d.ID != kt.DeviceID(me.Device) && $W {\n				continue\n			}\n			list"}},
		},
		Attack{
			ID: "B-9/c", Name: "a stolen recovery key that was replaced", Expected: Prevented,
			Play: func(s *Stage) Facts {
				bob := s.Person("bob")
				old := bob.Recovery
				bob.Do("devices", "new-recovery-key")
				mal := s.Stranger("mal")
				t := mal.Try("recover", s.Server(bob, "mal"), "--handle", "bob", "--wait", "5s", "--without-backup", "--recovery-key-file", s.Note(old))
				return Facts{Effect: t.Code == 0, Detail: t.Error()}
			},
			Without: []Edit{{"kt/chain.go", "	c.recovery = b.Key\n", "	if !$W || c.recovery == (RecoveryPublicKey{}) {\n		c.recovery = b.Key\n	}\n"}},
		},
	)
}

// Note is a file with a few words.
func (s *Stage) Note(text string) string {
	f, err := os.CreateTemp(s.Dir, "note-")
	s.Must(err)
	_, err = f.WriteString(text + "\n")
	s.Must(err)
	s.Must(f.Close())
	return filepath.Clean(f.Name())
}
