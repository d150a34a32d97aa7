package serve

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/httpapi/dial"
	"codeberg.org/huis/huis/internal/witness"
	"codeberg.org/huis/huis/kt"
)

// startWitness runs a witness until the test ends.
func startWitness(t *testing.T, c WitnessConfig) (ready Event, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	events, ended := make(chan Event, 4), make(chan error, 1)
	c.Event = func(e Event) { events <- e }
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	go func() { ended <- RunWitness(ctx, c) }()
	stop = func() error { cancel(); return <-ended }
	select {
	case ready = <-events:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	return ready, stop
}

func TestAWitnessKeepsItsNameAndKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "w")
	log := kt.NoteKey{Name: "log.example", Key: [32]byte{1}}.LogText()
	ready, stop := startWitness(t, WitnessConfig{Data: dir, Name: "w", Logs: []string{log}})
	a, err := ParseAddress(ready.URL)
	if err != nil || hex.EncodeToString(a.Pin) != ready.Fingerprint {
		t.Fatalf("%+v, %v", ready, err)
	}
	text, err := fetchText(t.Context(), dial.HTTP(a.Pin), a.URL+"/key")
	if err != nil || text != ready.Key || !strings.HasPrefix(text, "w+") {
		t.Fatalf("%q, %v", text, err)
	}
	other, err := ParseAddress(a.URL + "#" + strings.Repeat("00", 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fetchText(t.Context(), dial.HTTP(other.Pin), a.URL+"/key"); err == nil {
		t.Error("another certificate than the pinned one is taken")
	}
	if err := RunWitness(t.Context(), WitnessConfig{Data: dir, Listen: "127.0.0.1:0", Logs: []string{log}}); err == nil {
		t.Error("two witnesses on one folder")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	again, stop := startWitness(t, WitnessConfig{Data: dir, Logs: []string{log}})
	if again.Key != ready.Key || again.URL != ready.URL {
		t.Errorf("another witness after a restart: %+v", again)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]WitnessConfig{
		"another name":      {Data: dir, Name: "v", Logs: []string{log}},
		"a name with space": {Data: t.TempDir(), Name: "a b", Logs: []string{log}},
		"no key":            {Data: t.TempDir(), Logs: []string{"log.example"}},
		"a witness's key":   {Data: t.TempDir(), Logs: []string{ready.Key}},
	} {
		c.Listen = "127.0.0.1:0"
		var known *Error
		if err := RunWitness(t.Context(), c); !errors.As(err, &known) || known.Hint() == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, witnessKeyFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RunWitness(t.Context(), WitnessConfig{Data: dir, Listen: "127.0.0.1:0", Logs: []string{log}}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged key: %v", err)
	}
}

func TestServersAndWitnessesFindEachOther(t *testing.T) {
	data := t.TempDir()
	first := start(t, Config{Data: data})
	server := first.ready.URL + "#" + first.ready.Fingerprint
	ready, stop := startWitness(t, WitnessConfig{Data: t.TempDir(), Name: "w", Logs: []string{server}})
	defer stop()
	a, err := ParseAddress(ready.URL)
	if err != nil {
		t.Fatal(err)
	}
	key, err := kt.ParseWitnessKey(ready.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, Config{Data: data, Witnesses: []Address{a}})
	ref := again.invitation().Server
	text, err := fetchText(t.Context(), dial.HTTP(ref.Pin), ref.URL+"/log/key")
	if err != nil {
		t.Fatal(err)
	}
	log, err := kt.ParseLogKey(text)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		note, err := fetchText(t.Context(), dial.HTTP(ref.Pin), ref.URL+"/log/checkpoint")
		if err == nil {
			signed, err := kt.VerifyCheckpoint([]byte(note+"\n"), log, []kt.NoteKey{key})
			if err != nil {
				t.Fatal(err)
			}
			if len(signed.Cosignatures) == 1 {
				break
			}
		}
		if time.Now().After(end) {
			t.Fatal("the log is not cosigned")
		}
	}
	// The witness inside a server looks after peers alone.
	inside := &witness.Client{URL: ref.URL + "/witness", HTTP: dial.HTTP(ref.Pin)}
	inside.Key, err = kt.ParseWitnessKey(must(t)(fetchText(t.Context(), inside.HTTP, inside.URL+"/key")))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := kt.NewNoteSigner("stranger.example", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inside.AddCheckpoint(t.Context(), stranger.Public(), 0, nil, stranger.SignCheckpoint(0, kt.Frontier{}.Root())); !errors.Is(err, witness.ErrUnknownLog) {
		t.Errorf("a stranger's log: %v", err)
	}
}

func must(t *testing.T) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestOneDomainCannotTakeEveryPlace(t *testing.T) {
	var logs []kt.TreeHead
	for i := range maxOfDomain {
		logs = append(logs, kt.TreeHead{Origin: fmt.Sprintf("s%d.crowd.co.uk/huis", i)})
	}
	for origin, want := range map[string]int{
		"another.crowd.co.uk/huis": maxOfDomain, "CROWD.co.uk": maxOfDomain, "x.crowd.co.uk:8443": maxOfDomain,
		"quiet.co.uk/huis": 0, "192.0.2.1/huis": 0, "localhost:8443": 0,
	} {
		if n := ofDomain(logs, origin); n != want {
			t.Errorf("%s: %d logs, want %d", origin, n, want)
		}
	}
	asked := false
	e := &enroller{named: &namedLogs{}, open: true, missed: map[string]time.Time{}, known: func() []kt.TreeHead { return logs },
		client: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { asked = true; return nil, errors.New("away") })}}
	if _, err := e.enrol(t.Context(), "another.crowd.co.uk/huis"); !errors.Is(err, errEnrolDomain) || asked {
		t.Errorf("%v, asked %v", err, asked)
	}
	if _, err := e.enrol(t.Context(), "quiet.co.uk/huis"); errors.Is(err, errEnrolDomain) || !asked {
		t.Errorf("%v, asked %v", err, asked)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestEnrolmentIsLimited(t *testing.T) {
	e := &enroller{named: &namedLogs{}, missed: map[string]time.Time{}}
	now := time.Unix(1_800_000_000, 0)
	for i := range enrolBurst {
		if err := e.admit(string(rune('a'+i)), now); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if e.admit("z", now) == nil {
		t.Error("more than the burst")
	}
	if err := e.admit("z", now.Add(enrolEvery)); err != nil {
		t.Errorf("after a while: %v", err)
	}
	if e.admit("a", now.Add(enrolAgain-time.Second)) == nil {
		t.Error("the same host again")
	}
	if err := e.admit("a", now.Add(enrolAgain)); err != nil {
		t.Errorf("the same host much later: %v", err)
	}
	for i := range 3 * maxMissed {
		_ = e.admit(string(rune(0x4e00+i)), now.Add(time.Duration(i)*enrolEvery*10))
	}
	if len(e.missed) > maxMissed {
		t.Errorf("%d hosts are remembered", len(e.missed))
	}
}

func TestEnrolmentKnocksAtNoPrivateDoor(t *testing.T) {
	s := start(t, Config{Data: t.TempDir()})
	_, err := witness.FetchKey(t.Context(), publicHTTP(false), strings.TrimPrefix(s.ready.URL, "https://"))
	if err == nil || !strings.Contains(err.Error(), "no public address") {
		t.Errorf("a host of this machine is asked: %v", err)
	}
	for _, address := range []string{"10.0.0.1:443", "[::1]:443", "192.168.1.1:443", "169.254.169.254:443", "[::ffff:127.0.0.1]:443", "0.0.0.0:443"} {
		if _, err := witness.FetchKey(t.Context(), publicHTTP(false), address); err == nil || !strings.Contains(err.Error(), "no public address") {
			t.Errorf("%s: %v", address, err)
		}
	}
	// Without --enrol nobody is asked at all.
	closed := &enroller{named: &namedLogs{}, missed: map[string]time.Time{}}
	if _, err := closed.enrol(t.Context(), "example.org"); !errors.Is(err, errNotNamed) {
		t.Errorf("an unknown log: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	pin := strings.Repeat("ab", 32)
	a, err := ParseAddress("https://host:8443/witness/#" + pin)
	if err != nil || a.URL != "https://host:8443/witness" || hex.EncodeToString(a.Pin) != pin {
		t.Fatalf("%+v, %v", a, err)
	}
	if b, err := ParseAddress(a.String()); err != nil || b.URL != a.URL || string(b.Pin) != string(a.Pin) {
		t.Errorf("%+v, %v", b, err)
	}
	for _, bad := range []string{"", "host", "http://host", "https://", "https://u@host", "https://host?x", "https://host#zz", "https://host#AAAA"} {
		if _, err := ParseAddress(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
