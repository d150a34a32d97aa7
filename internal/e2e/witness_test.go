package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"codeberg.org/huis/huis/kt"
)

// lyingKey names, in the environment, the file that says how a witness lies:
// "anything" signs whatever it is shown, "wrong" signs something else.
const lyingKey = "HUIS_LYING_WITNESS"

// lie is a witness that remembers nothing and checks nothing.
func lie() {
	signer, err := kt.NewNoteSigner("liar", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		panic(err)
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprintln(rw, signer.Public().WitnessText())
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, note, _ := bytes.Cut(body, []byte("\n\n"))
		text, err := kt.NoteText(note)
		if err != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		if how, _ := os.ReadFile(os.Getenv(lyingKey)); string(how) == "wrong" {
			text = strings.Replace(text, "\n", "\n1", 1)
		}
		rw.Write(signer.Cosign(text, time.Now()))
	}))
	pin := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	json.NewEncoder(os.Stdout).Encode(Object{
		"event": "ready", "url": s.URL + "#" + hex.EncodeToString(pin[:]), "key": signer.Public().WitnessText(),
	})
	select {}
}

// watchers are a server's three witnesses as processes: an honest one, one that
// is honest and killed all the time, and a liar.
type watchers struct {
	honest, killed, liar *Server
	how                  string // file that says how the liar lies
}

func newWatchers(t *testing.T, of *Server) *watchers {
	t.Helper()
	dir := t.TempDir()
	w := &watchers{how: filepath.Join(dir, "how")}
	start := func(name, program, command string, args, env []string) *Server {
		s := &Server{Command: command, Huis: program, Data: filepath.Join(dir, name), Log: filepath.Join(dir, name+".log"), Peaks: of.Peaks, Args: args, Env: env}
		t.Cleanup(s.Kill)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	log := of.URL + "#" + of.Fingerprint
	w.honest = start("honest", of.Huis, "witness", []string{"--name", "honest", "--log", log}, nil)
	w.killed = start("killed", of.Huis, "witness", []string{"--name", "killed", "--log", log}, nil)
	w.lies(t, "anything")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w.liar = start("liar", self, "witness", nil, []string{lyingKey + "=" + w.how})
	return w
}

func (w *watchers) lies(t *testing.T, how string) {
	t.Helper()
	if err := os.WriteFile(w.how, []byte(how), 0o600); err != nil {
		t.Fatal(err)
	}
}

// policy asks for two of the three.
func (w *watchers) policy() string {
	text := ""
	for _, s := range []*Server{w.honest, w.killed, w.liar} {
		name, _, _ := strings.Cut(s.Key, "+")
		text += "witness " + name + " " + s.Key + "\n"
	}
	return text + "group enough 2 honest killed liar\nquorum enough\n"
}

// killing kills the one witness at random moments and starts it again, until
// the function it returns is called; that one returns how often.
func (w *watchers) killing(t *testing.T) (stop func() int) {
	ending, ended := make(chan struct{}), make(chan struct{})
	n := 0
	go func() {
		defer close(ended)
		r := rand.New(rand.NewPCG(3, 1))
		for {
			select {
			case <-ending:
				return
			case <-time.After(time.Duration(r.IntN(400)) * time.Millisecond):
			}
			w.killed.Kill()
			n++
			if err := w.killed.Start(); err != nil {
				t.Errorf("the witness does not start after a kill: %v", err)
				return
			}
		}
	}()
	return sync.OnceValue(func() int { close(ending); <-ended; return n })
}

func TestThreeWitnesses(t *testing.T) {
	s := house(t)
	dir := filepath.Dir(s.Data)
	w := newWatchers(t, s)
	s.Stop()
	s.Args = []string{"--witness", w.honest.URL, "--witness", w.killed.URL, "--witness", w.liar.URL}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(dir, "policy")
	if err := os.WriteFile(policy, []byte(w.policy()), 0o600); err != nil {
		t.Fatal(err)
	}
	alice := s.NewDevice(dir, "alice")
	must(t, alice, "join", s.Invite, "--handle", "alice", "--witnesses", policy)
	must(t, alice, "chat", "new", "house")
	people := 0
	joined := func() string { // somebody new, and their name
		people++
		name := fmt.Sprintf("person%d", people)
		inv := must(t, alice, "invite")[0]["invite"].(string)
		must(t, s.NewDevice(dir, name), "join", inv, "--handle", name)
		return "@" + name
	}
	refused := func(who string) {
		t.Helper()
		_, err := alice.Run("chat", "add", "house", who)
		var f *Failure
		if !errors.As(err, &f) || f.Code != 3 || !strings.Contains(f.Stderr, "2 have to vouch for it") || !strings.Contains(f.Stderr, "huis: hint: your conversations go on") {
			t.Fatalf("%s without a quorum: %v", who, err)
		}
	}
	accepted := func(who string) {
		t.Helper()
		var err error
		for end := time.Now().Add(ReadyWithin); time.Now().Before(end); {
			if _, err = alice.Run("chat", "add", "house", who); err == nil {
				return
			}
		}
		t.Fatalf("%s with the quorum back: %v", who, err)
	}

	// While a quorum lives, new people and devices are accepted at the first try.
	stop := w.killing(t)
	defer stop()
	for range 4 {
		must(t, alice, "chat", "add", "house", joined())
	}
	bob := s.NewDevice(dir, "person1")
	further(t, s, bob, "person1")
	must(t, bob, "send", "house", "from a person with two devices")

	// The liar is not believed and the others are away: nobody new.
	kills := stop()
	w.lies(t, "wrong")
	w.killed.Kill()
	late := joined()
	refused(late)
	w.honest.Kill()
	later := joined()
	refused(later)
	must(t, alice, "send", "house", "we talk on")

	// With the honest two back it goes on, and none of them has forgotten.
	for _, back := range []*Server{w.honest, w.killed} {
		if err := back.Start(); err != nil {
			t.Fatal(err)
		}
	}
	accepted(late)
	accepted(later)
	if found, _ := filepath.Glob(filepath.Join(filepath.Dir(w.killed.Data), "*", "logs", "*.evidence")); len(found) > 0 {
		t.Errorf("an honest server's log is accused: %v", found)
	}
	status := must(t, alice, "status")[0]["log"].(Object)
	if status["witnessed"] != true {
		t.Errorf("status says %v", status)
	}
	t.Logf("%d people joined, the witness was killed %d times", people, kills)
}

func TestTwoServersLookAfterEachOther(t *testing.T) {
	a, b := house(t), house(t)
	for _, pair := range [][2]*Server{{a, b}, {b, a}} {
		pair[0].Stop()
		pair[0].Args = []string{"--peer", pair[1].URL + "#" + pair[1].Fingerprint}
		if err := pair[0].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*Server{a, b} {
		other := map[*Server]*Server{a: b, b: a}[s]
		name, _, _ := strings.Cut(other.Key, "+")
		policy := filepath.Join(filepath.Dir(s.Data), "policy")
		if err := os.WriteFile(policy, []byte("witness w "+other.Key+"\nquorum w\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		d := s.NewDevice(filepath.Dir(s.Data), "alice")
		var err error
		for end := time.Now().Add(ReadyWithin); time.Now().Before(end); { // until they have found each other
			if _, err = d.Run("join", s.Invite, "--handle", "alice", "--witnesses", policy); err == nil {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		log := must(t, d, "status")[0]["log"].(Object)
		seen, _ := json.Marshal(log["witnesses"])
		if log["witnessed"] != true || !strings.Contains(string(seen), name) {
			t.Errorf("status says %v", log)
		}
	}
}
