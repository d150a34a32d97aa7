//go:build evil

package evil

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// Promise: nobody is in a conversation without being listed, and nobody gets in
// whom a member did not add.
func init() {
	register(
		Attack{
			ID: "B-1/a", Name: "a ghost joins by itself, with a group's leaked description", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann, bob, _ := s.house()
				ann.Liar().Do("chat", "members", "house") // her device is the leak
				ann.Honest()
				s.Hand("begin", s.leak())
				got := bob.Try("read", "house")
				s.Told()
				return Facts{Effect: len(bob.Try("chat", "members", "house").Objects) > 2, Alerted: got.Alert(), Detail: got.Error()}
			},
			Hands:  map[string]Hand{"begin": hand(ghost)},
			Malice: []Edit{{"internal/client/chats.go", "			return ErrNotMember\n		}\n		for _, m := range cv.group.Members() {\n", "			return ErrNotMember\n		}\n		if $W {\n			if info, err := cv.group.GroupInfo(true); err == nil {\n				b, _ := info.Encode()\n				huisWrite(b)\n			}\n		}\n		for _, m := range cv.group.Members() {\n"}},
			Without: []Edit{
				anyFrame,
				{"internal/client/process.go", "	c := p.Commit\n	if p.Kind", "	if $W {\n		return cv.keys, nil\n	}\n	c := p.Commit\n	if p.Kind"},
			},
		},
		Attack{
			ID: "B-1/c", Name: "a member brings a third into a conversation of two", Expected: Prevented,
			Play: func(s *Stage) Facts {
				people := s.People("ann", "bob", "mal")
				ann, bob := people[0], people[1]
				ann.Do("send", "@bob", s.Secret("a text"))
				bob.Do("read", "@ann")
				bob.Liar().Do("chat", "add", "@ann", "@mal")
				got := ann.Try("read", "@bob")
				return Facts{Effect: contains(ann.Try("chat", "members", "@bob").Field("handle"), "mal"), Alerted: got.Alert(), Detail: got.Error()}
			},
			Malice:  []Edit{Off("internal/client/manage.go", "if cv.meta.Policy.Kind == kindDirect {"), Off("internal/client/manage.go", "if !cv.meta.Policy.mayAdd(me.Account, a) && !slices.Contains(cv.accounts(), a) {"), anyAdd},
			Without: []Edit{anyAdd},
		},
		Attack{
			ID: "B-8", Name: "an archive that reads along: who everything is sealed to, and who is listed", Expected: Prevented,
			Play: func(s *Stage) Facts {
				s.Hand("begin", nil)
				ann, _, _ := s.house()
				s.Person("cal")
				ann.Do("chat", "add", "house", "@cal")
				ann.Do("chat", "expiry", "house", "7d")
				ann.Do("send", "house", s.Secret("a text"))
				var sealed []string
				s.Ask("recipients", nil, &sealed)
				if len(sealed) < 2 {
					s.Fatal("sealed to %v only", sealed)
				}
				listed := ann.Do("chat", "members", "house").Field("handle")
				hidden := slices.DeleteFunc(sealed, func(name string) bool { return slices.Contains(listed, name) })
				return Facts{Effect: len(hidden) > 0, Detail: fmt.Sprint(hidden)}
			},
			Hands:   map[string]Hand{"begin": hand(watchRecipients), "recipients": hand(recipients)},
			Without: []Edit{hidden},
		},
		Attack{
			ID: "B-22", Name: "backups: of the server, and those that accounts keep at it", Expected: Prevented,
			Play: func(s *Stage) Facts {
				ann := s.Person("ann")
				name := "x" + s.Secret("a contact's name")
				bob := s.Person(name)
				ann.Do("send", "@"+name, s.Secret("a text"))
				for range 2 {
					bob.Do("read", "@ann")
					ann.Do("status")
				}
				var detail []string
				blobs := filepath.Join(s.Dir, "data", "blobs")
				found, files, _, err := s.Scan.Tree(blobs)
				s.Must(err)
				if files == 0 {
					s.Fatal("no account keeps a backup")
				}
				backup := filepath.Join(s.Dir, "backup")
				s.Stranger("operator").run("backup", "--data", filepath.Join(s.Dir, "data"), "--to", backup, "--key", filepath.Join(s.Dir, "backup.key"))
				more, err := s.Scan.File(backup)
				s.Must(err)
				for _, f := range append(found, more...) {
					detail = append(detail, f.String())
				}
				return Facts{Effect: len(detail) > 0, Detail: strings.Join(detail, "; ")}
			},
			Without: []Edit{{"internal/client/backup.go", "	return hpke.Seal(public, backupKDF, backupAEAD, backupInfo(k.Recovery), plain)\n", "	if $W {\n		return plain, nil\n	}\n	return hpke.Seal(public, backupKDF, backupAEAD, backupInfo(k.Recovery), plain)\n"}},
		},
	)
}

// anyFrame is an entry that may be any MLS message, signed by anybody.
var anyFrame = Edit{"internal/proto/entry.go", "	f, err := ParseFrame(e.Bytes)\n	if err != nil {\n		return err\n	}\n	want := ContentApplication\n", "	f, err := ParseFrame(e.Bytes)\n	if err != nil && $W {\n		return nil\n	}\n	if err != nil {\n		return err\n	}\n	want := ContentApplication\n"}

// anyAdd is a member who takes whomever another brings.
var anyAdd = Off("internal/client/policy.go", "case !here[who.Account] && !p.mayAdd(by, who.Account):")

// leak is where a liar's program hands things out.
func (s *Stage) leak() string { return filepath.Join(s.Dir, "leak") }

// ghost joins the group of a leaked GroupInfo and shows bob its commit.
func ghost(_ context.Context, o *Operator, leak string) (any, error) {
	b, err := os.ReadFile(leak)
	if err != nil {
		return nil, err
	}
	info, err := mls.ParseGroupInfo(b)
	if err != nil {
		return nil, err
	}
	r, err := newRogue(proto.AccountID{1}, kt.DeviceID{})
	if err != nil {
		return nil, err
	}
	cred := mls.BasicCredential(kt.Identity(kt.AccountID(r.account), r.id))
	delta := []byte{1, 0, 0, 0} // a change of no member keys
	_, commit, _, err := mls.JoinExternal(info, r.message, cred, mls.ExternalJoinOptions{
		Leaf: mls.LeafOptions{Capabilities: &capabilities}, AuthenticatedData: delta,
	}, mls.Options{CustomProposals: map[mls.ProposalType]bool{0xF1A1: false}})
	if err != nil {
		return nil, err
	}
	e := proto.Entry{Kind: proto.KindCommit, Epoch: info.GroupContext.Epoch, Bytes: commit}
	copy(e.Conversation[:], info.GroupContext.GroupID)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	if err := e.Sign(key); err != nil {
		return nil, err
	}
	at := 0
	o.Rewrite("bob", func(log []proto.Stamped) ([]proto.Stamped, error) {
		if at == 0 {
			at = len(log)
		}
		log = slices.Insert(log, at, proto.Stamped{Entry: e, Receipt: log[at-1].Receipt})
		return log, o.Restamp(log)
	})
	return nil, nil
}

// watchRecipients remembers whose device published which key package, and to
// which of them anything was sealed.
func watchRecipients(_ context.Context, o *Operator, _ struct{}) (any, error) {
	owner, sealed := make(map[string]string), make(map[string]bool)
	o.Keep("sealed", sealed)
	o.Lie(func(x *Exchange) error {
		if x.Answer != nil || x.Refusal != nil {
			return nil
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if r, ok := x.Request.(*proto.PublishRequest); ok {
			for _, b := range append(slices.Clone(r.Packages), r.LastResort) {
				kp, err := mls.ParseKeyPackage(b)
				if err != nil {
					continue // none
				}
				ref, err := kp.Ref()
				if err != nil {
					return err
				}
				owner[string(ref)] = x.Door
			}
		}
		for _, p := range packagesOf(x.Request) {
			found := false
			for ref, who := range owner {
				if strings.Contains(string(p.Sealed), ref) {
					sealed[who], found = true, true
				}
			}
			if !found {
				sealed["a key nobody published"] = true
			}
		}
		return nil
	})
	return nil, nil
}

func recipients(_ context.Context, o *Operator, _ struct{}) (all any, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for who := range o.kept["sealed"].(map[string]bool) {
		names = append(names, who)
	}
	return names, nil
}
