package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/e2e"
	"codeberg.org/huis/huis/internal/proto"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"huis": func() { os.Exit(Main(context.Background(), "test", os.Args[1:], Standard())) },
	})
}

// TestScripts runs testdata/*.txtar: each is a person, or a program, at a
// terminal, with a real server on this machine.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":  server,
			"witness": witness,
			"policy":  policyFile,
			"until":   until,
			"end":     end,
			"exits":   exits,
			"fields":  fields,
			"get":     get,
			"pause":   pause,
			"further": further,
			"same":    same,
			"large":   large,
			"alter":   alter,
		},
	})
}

// running holds the servers by the script's folder and their name.
var running sync.Map

func named(ts *testscript.TestScript, name string) *e2e.Server {
	s, _ := running.Load(ts.MkAbs(name))
	found, _ := s.(*e2e.Server)
	return found
}

// server NAME [FLAG…] starts a server, or starts it again; it sets $URL,
// $INVITE and $FINGERPRINT.
func server(ts *testscript.TestScript, neg bool, args []string) {
	huis, err := exec.LookPath("huis")
	ts.Check(err)
	name := args[0]
	s := named(ts, name)
	if s == nil {
		s = &e2e.Server{Huis: huis, Data: ts.MkAbs("data-" + name), Log: ts.MkAbs(name + ".log")}
		ts.Defer(s.Kill)
	}
	s.Args = args[1:]
	ts.Check(s.Start())
	running.Store(ts.MkAbs(name), s)
	ts.Setenv("URL", s.URL)
	ts.Setenv("ADDRESS", strings.TrimPrefix(s.URL, "https://"))
	ts.Setenv("INVITE", s.Invite)
	ts.Setenv("FINGERPRINT", s.Fingerprint)
}

// witness NAME SERVER [FLAG…] starts a witness of the server's log, or starts it
// again; it sets $NAME to its address and $NAME_KEY to its key.
func witness(ts *testscript.TestScript, neg bool, args []string) {
	huis, err := exec.LookPath("huis")
	ts.Check(err)
	name := args[0]
	s := named(ts, name)
	if s == nil {
		s = &e2e.Server{Command: "witness", Huis: huis, Data: ts.MkAbs("data-" + name), Log: ts.MkAbs(name + ".log")}
		ts.Defer(s.Kill)
	}
	of := named(ts, args[1])
	s.Args = append([]string{"--name", name, "--log", of.URL + "#" + of.Fingerprint}, args[2:]...)
	ts.Check(s.Start())
	running.Store(ts.MkAbs(name), s)
	ts.Setenv(name, s.URL)
	ts.Setenv(name+"_KEY", s.Key)
}

// until COMMAND… runs the command until it succeeds, which it has to within the
// time a start may take.
func until(ts *testscript.TestScript, neg bool, args []string) {
	end := time.Now().Add(e2e.ReadyWithin)
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v: %s", err, ts.ReadFile("stderr"))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// policy FILE N NAME… writes a policy that asks for N of some witnesses.
func policyFile(ts *testscript.TestScript, neg bool, args []string) {
	text := ""
	for _, name := range args[2:] {
		text += "witness " + name + " " + named(ts, name).Key + "\n"
	}
	text += "group enough " + args[1] + " " + strings.Join(args[2:], " ") + "\nquorum enough\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// end NAME [kill] stops a server, or kills it.
func end(ts *testscript.TestScript, neg bool, args []string) {
	s := named(ts, args[0])
	if s == nil {
		ts.Fatalf("no server %s", args[0])
	}
	if len(args) > 1 && args[1] == "kill" {
		s.Kill()
		return
	}
	s.Stop()
}

// exits CODE COMMAND… runs the command, which has to end with that code. A
// failure has to say error and hint on standard error.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	stderr := ts.ReadFile("stderr")
	if code != want {
		ts.Fatalf("exit %d, want %d: %s", code, want, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if code != 0 && (!strings.HasPrefix(stderr, "huis: error: ") || !strings.HasPrefix(lines[len(lines)-1], "huis: hint: ")) {
		ts.Fatalf("a failure without error and hint: %q", stderr)
	}
	if code == exitUsage && ts.ReadFile("stdout") != "" {
		ts.Fatalf("wrong usage wrote to standard output: %q", ts.ReadFile("stdout"))
	}
}

// fields NAME… checks that each line of the last output is an object with
// these fields, and that there is at least one.
func fields(ts *testscript.TestScript, neg bool, args []string) {
	for _, o := range output(ts) {
		for _, f := range args {
			if _, ok := o[f]; !ok {
				ts.Fatalf("no field %s in %v", f, o)
			}
		}
	}
}

func output(ts *testscript.TestScript) []map[string]any {
	var all []map[string]any
	for line := range bytes.Lines([]byte(ts.ReadFile("stdout"))) {
		var o map[string]any
		if err := json.Unmarshal(line, &o); err != nil {
			ts.Fatalf("not an object: %q", line)
		}
		all = append(all, o)
	}
	if len(all) == 0 {
		ts.Fatalf("no output")
	}
	return all
}

// get VAR FIELD sets VAR to a text field of the last output.
func get(ts *testscript.TestScript, neg bool, args []string) {
	v, ok := output(ts)[0][args[1]].(string)
	if !ok {
		ts.Fatalf("no text %s", args[1])
	}
	ts.Setenv(args[0], v)
}

func pause(ts *testscript.TestScript, neg bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	time.Sleep(d)
}

// alter VAR INVITE sets VAR to the invitation with another secret.
func alter(ts *testscript.TestScript, neg bool, args []string) {
	inv, err := client.ParseInvitation(args[1])
	ts.Check(err)
	inv.Token[0]++
	ts.Setenv(args[0], inv.String())
}

// large FILE N makes a file of N letters.
func large(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.Repeat([]byte("a"), n), 0o600))
	ts.Setenv("LARGE", strings.Repeat("a", n))
}

// same A B compares two texts.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if equal := args[0] == args[1]; equal == neg {
		ts.Fatalf("%q and %q", args[0], args[1])
	}
}

// further OLD NEW HANDLE links the profile NEW to the account of OLD.
func further(ts *testscript.TestScript, neg bool, args []string) {
	huis, err := exec.LookPath("huis")
	ts.Check(err)
	older := &e2e.Device{Huis: huis, Profile: ts.MkAbs(args[0])}
	newer := &e2e.Device{Huis: huis, Profile: ts.MkAbs(args[1])}
	status, err := older.One("status")
	ts.Check(err)
	codes, ended := make(chan string, 2), make(chan error, 1)
	go func() {
		ended <- newer.Stream(func(o e2e.Object) { codes <- o["code"].(string) }, "link", status["server"].(string), "--handle", args[2])
	}()
	select {
	case c := <-codes:
		approved, err := older.One("approve", c)
		ts.Check(err)
		if approved["device"] == "" {
			ts.Fatalf("approve says %v", approved)
		}
	case err := <-ended:
		ts.Fatalf("link ended without a code: %v", err)
	}
	ts.Check(<-ended)
}

func TestTerminalsAreNotSteeredByOthers(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 漢\n\tx":      "plain é 漢\n\tx",
		"\x1b[2J\x07\rforged": "\ufffd[2J\ufffd\ufffdforged",
		"a\u202eb\u009bc":     "a\ufffdb\ufffdc",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q shows as %q", in, got)
		}
	}
}

func TestSavedNamesStayInTheFolder(t *testing.T) {
	for in, want := range map[string]string{
		"plan.pdf": "plan.pdf", "../../etc/passwd": "passwd", `..\..\x.txt`: "x.txt",
		".profile": "profile", "..": "file", "": "file", "a\x00b:c": "a_b_c", "-rf": "rf",
	} {
		if got := fileName(in); got != want {
			t.Errorf("%q is saved as %q, want %q", in, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	for in, want := range map[string]time.Duration{"7d": 168 * time.Hour, "90m": 90 * time.Minute, "0.5d": 12 * time.Hour} {
		var d duration
		if err := d.UnmarshalText([]byte(in)); err != nil || d.std() != want {
			t.Errorf("%s: %v, %v", in, d.std(), err)
		}
	}
	for _, in := range []string{"", "d", "-1d", "0s", "soon", "1e9d"} {
		var d duration
		if d.UnmarshalText([]byte(in)) == nil {
			t.Errorf("%q is taken for %v", in, d.std())
		}
	}
}

func TestEveryErrorHasItsOwnWayOut(t *testing.T) {
	seen := make(map[string]string)
	check := func(what string, err error) {
		text, hint, code := explain(err)
		if text == "" || hint == "" || code == exitDone {
			t.Errorf("%s: %q, %q, %d", what, text, hint, code)
		}
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s read alike: %q", what, other, text)
		}
		seen[text] = what
	}
	for code := range refusals {
		check(code.String(), &proto.Error{Code: code})
	}
	var hints []string
	for _, s := range sentinels {
		check(s.is.Error(), s.is)
		hints = append(hints, s.hint)
	}
	slices.Sort(hints)
	if len(slices.Compact(hints)) != len(sentinels) {
		t.Error("two errors of the client have the same hint")
	}
}
