//go:build evil

package evil

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve"
	"codeberg.org/huis/huis/internal/e2e"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// Promise: there is one log, the same for everybody, and it goes forward only.
// Three witnesses are processes of their own; two have to vouch. Those that
// collude sign whatever the operator shows them.
func init() {
	register(
		Attack{
			ID: "B-4/a", Name: "a log for each of two people, with one witness of three in league", Expected: Prevented,
			Play: fork(1), Hands: map[string]Hand{"witnesses": hand(withWitnesses), "relay": hand(relay)},
			Without: []Edit{noQuorum},
		},
		Attack{
			ID: "B-4/b", Name: "a log for each of two people, with the quorum in league", Expected: Evident,
			Play: fork(2), Hands: map[string]Hand{"witnesses": hand(withWitnesses), "relay": hand(relay)},
			Without: []Edit{
				Off("internal/client/gossip.go", "if t.c.now().Sub(time.Unix(int64(k.Since), 0)).Abs() < withheldAfter {"),
				{"internal/client/gossip.go", "	s.By = from\n", "	if $W {\n		return nil\n	}\n	s.By = from\n"},
			},
		},
		Attack{
			ID: "B-5", Name: "the log stands still for one person", Expected: Detected, Within: "when its newest cosignatures are 24 h old",
			Play: func(s *Stage) Facts {
				s.witnesses(3, "")
				ann, bob := s.first1("ann"), s.Person("bob")
				ann.Do("send", "@bob", s.Secret("a text"))
				bob.Do("read", "@ann")
				s.collude("old") // as if nobody had cosigned since yesterday
				cal := s.Person("cal")
				_ = cal
				t := ann.Try("chat", "new", "house", "@cal")
				on := ann.Try("send", "@bob", s.Secret("a text"))
				return Facts{Effect: on.Code == 0, Alerted: t.Alert(), Detail: t.Error() + " " + on.Error()}
			},
			Hands:   map[string]Hand{"witnesses": hand(withWitnesses)},
			Without: []Edit{noQuorum},
		},
		Attack{
			ID: "B-6", Name: "the log is put back to an older copy and grows differently", Expected: Evident,
			Play: func(s *Stage) Facts {
				s.witnesses(1, "")
				ann := s.first1("ann")
				s.Person("bob")
				early, late := ann.One("invite")["invite"].(string), ann.One("invite")["invite"].(string)
				more := ann.One("invite")["invite"].(string)
				s.Common("copy", nil, nil)
				s.joins("cal", early, 0)
				ann.Do("chat", "new", "one", "@cal")
				s.joins("dan", late, 1)
				s.joins("eve", more, 1)
				s.turn("ann", 1)
				t := ann.Try("chat", "new", "two", "@dan")
				proof, why := s.ProofOf(kt.EvidenceSplitView, ann)
				return Facts{Effect: t.Code == 0, Alerted: t.Alert(), Proof: proof, Detail: why + " " + t.Stderr}
			},
			Hands: map[string]Hand{"witnesses": hand(withWitnesses)},
			Without: []Edit{noQuorum, Off("internal/client/names.go", "if !ok || leaf.Seq < r.Seq || leaf.Seq == r.Seq && leaf.Head != r.Head {"),
				{"internal/client/transparency.go", "	var got proto.LogHeadResponse\n	err = c.callAnon", "	if $W {\n		head, r, c.replay, c.replayThen = logHead{Root: kt.Frontier{}.Root()}, kt.Replay{}, kt.Replay{}, kt.Replay{}\n	}\n	var got proto.LogHeadResponse\n	err = c.callAnon"},
			},
		},
	)
}

// noQuorum is a client that wants no witnesses.
var noQuorum = Edit{"internal/client/witnessed.go", "bool { return w.Policy != nil && !w.Policy.Unwitnessed() }", "bool { return w.Policy != nil && !w.Policy.Unwitnessed() && !$W }"}

// fork shows ann and bob two logs that part after both have joined. The attacker
// wants each to take over a key that stands in one of them only. Then a message
// passes between the two.
func fork(inLeague int) func(*Stage) Facts {
	return func(s *Stage) Facts {
		s.witnesses(inLeague, "")
		ann, bob := s.first1("ann"), s.Person("bob")
		ann.Do("send", "@bob", s.Secret("a text"))
		bob.Do("read", "@ann")
		cal, dan := ann.One("invite")["invite"].(string), ann.One("invite")["invite"].(string)
		s.Common("copy", nil, nil)
		s.Hand("relay", nil)
		s.turn("bob", 1)
		s.joins("cal", cal, 0)
		s.joins("dan", dan, 1)
		one, two := ann.Try("chat", "new", "one", "@cal"), bob.Try("chat", "new", "two", "@dan")
		f := Facts{Effect: one.Code == 0 && two.Code == 0, Alerted: one.Alert() + two.Alert(), Detail: one.Error() + " " + two.Error()}
		if !f.Effect || inLeague < 2 {
			return f
		}
		ann.Try("send", "@bob", s.Secret("a text"))
		for range 2 { // what was shown differs, then the signed word for it
			f.Alerted += bob.Try("read", "@ann").Alert()
			bob.Try("send", "@ann", s.Secret("a text"))
			f.Alerted += ann.Try("read", "@bob").Alert()
			ann.Try("send", "@bob", s.Secret("a text"))
		}
		var why string
		f.Proof, why = s.ProofOf(kt.EvidenceSplitView, ann, bob)
		f.Detail += why
		return f
	}
}

// witnesses starts three, of which some are in league with the operator, and has
// the server ask them. how is what those in league do.
func (s *Stage) witnesses(inLeague int, how string) {
	var log string
	s.Common("log", nil, &log)
	s.collude(how)
	policy, names, urls := "", "", []string{}
	for n := range 3 {
		name := fmt.Sprintf("w%d", n+1)
		w := &e2e.Server{
			Command: "witness", Huis: s.huis, Data: filepath.Join(s.Dir, name), Log: filepath.Join(s.Dir, name+".log"),
			Args: []string{"--name", name, "--log", log}, Env: s.env,
		}
		if n < inLeague {
			self, err := os.Executable()
			s.Must(err)
			w.Command, w.Huis, w.Args = witnessCommand, self, nil
			w.Env = append(append([]string{}, s.env...), leagueKey+"="+s.league())
		}
		s.Must(w.Start())
		s.atEnd(w.Kill)
		policy += "witness " + name + " " + w.Key + "\n"
		names += " " + name
		urls = append(urls, w.URL)
	}
	s.policy = s.Note(policy + "group enough 2" + names + "\nquorum enough")
	s.Hand("witnesses", urls)
}

// league is the file that says what witnesses in league with the operator do.
func (s *Stage) league() string { return filepath.Join(s.Dir, "league") }

func (s *Stage) collude(how string) { s.Must(os.WriteFile(s.league(), []byte(how), 0o600)) }

// first1 is the first person, who brings the policy.
func (s *Stage) first1(name string) *Person {
	p := s.Stranger(name)
	p.Account = p.One("join", s.byDoor(name, s.first.Invite), "--handle", name, "--witnesses", s.policy)["account"].(string)
	return p
}

// joins lets somebody join one of the houses.
func (s *Stage) joins(name, invite string, house int) *Person {
	link := s.byDoor(name, invite)
	s.turn(name, house)
	p := s.Stranger(name)
	p.Try("join", link, "--handle", name)
	return p
}

func (s *Stage) turn(door string, house int) {
	s.Common("turn", map[string]any{"Door": door, "House": house}, nil)
}

// withWitnesses has the server ask witnesses from now on.
func withWitnesses(ctx context.Context, o *Operator, urls []string) (any, error) {
	for _, u := range urls {
		a, err := serve.ParseAddress(u)
		if err != nil {
			return nil, err
		}
		o.witnesses = append(o.witnesses, a)
	}
	return nil, o.restart(ctx)
}

// relay passes what either house takes on to the other, as an operator does who
// wants nobody to notice.
func relay(_ context.Context, o *Operator, _ struct{}) (any, error) {
	o.Lie(func(x *Exchange) error {
		if x.Answer == nil {
			return nil
		}
		switch x.Method {
		case proto.Append, proto.Commit:
		default:
			return nil
		}
		o.mu.Lock()
		others := append([]*house{}, o.houses...)
		o.mu.Unlock()
		for _, h := range others {
			if h != o.house(x.Door) {
				_ = h.ask(x.ctx, x.Method, x.Request, empty(x.Method)) // may know it already
			}
		}
		return nil
	})
	return nil, nil
}

func empty(m proto.Method) proto.Message {
	for _, c := range proto.Calls() {
		if c.Method == m {
			return c.Response()
		}
	}
	return nil
}

// witnessCommand starts a witness that is in league with the operator; it is
// not for people. leagueKey names the file that says what it does.
const (
	witnessCommand = "attack-witness"
	leagueKey      = "HUIS_LEAGUE"
)

// accomplice is a witness that remembers nothing and signs whatever it is shown.
// With "old" it signs as of 25 hours ago.
func accomplice(ctx context.Context, data string, out io.Writer) error {
	name := filepath.Base(data)
	seed := sha256.Sum256([]byte(data))
	signer, err := kt.NewNoteSigner(name, seed[:])
	if err != nil {
		return err
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprintln(w, signer.Public().WitnessText())
			return
		}
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		_, note, _ := bytes.Cut(body, []byte("\n\n"))
		text, err := kt.NoteText(note)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		at := time.Now()
		if how, _ := os.ReadFile(os.Getenv(leagueKey)); strings.TrimSpace(string(how)) == "old" {
			at = at.Add(-25 * time.Hour)
		}
		w.Write(signer.Cosign(text, at))
	}))
	defer s.Close()
	pin := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	err = json.NewEncoder(out).Encode(map[string]string{
		"event": "ready", "url": s.URL + "#" + hex.EncodeToString(pin[:]), "key": signer.Public().WitnessText(),
	})
	<-ctx.Done()
	return err
}

// dataFlag is the folder that an accomplice is started with, for its name.
func dataFlag(args []string) (string, error) {
	for i, a := range args {
		if a == "--data" && i+1 < len(args) {
			return args[i+1], nil
		}
	}
	return "", errors.New("no --data")
}
