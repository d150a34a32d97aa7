//go:build evil

package evil

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve"
	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/e2e"
	"codeberg.org/huis/huis/internal/e2e/canary"
)

// commandTime is how long one command of a person may take.
const commandTime = 90 * time.Second

// Stage is where one attack is played once: a server process of its own, and
// people. Its methods end the play when what they do fails; that is a failure
// of the play and never an outcome.
type Stage struct {
	Dir  string          // for the play's files
	Scan *canary.Scanner // searches for what Secret gave out
	Long bool            // --long

	attack  *Attack
	ctx     context.Context
	huis    string   // the people's program
	crafty  string   // the program of liars, and of everybody in a control
	env     []string // of all processes of the stage
	weakErr error    // why there is no crafty one
	weak    bool     // a control: the defences are off
	server  *process
	first   serve.Event
	people  []*Person
	broken  error
	ends    []func()
	policy  string // file of the witness policy
}

// process is the server process with its orders and answers.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Scanner
	errors  *bytes.Buffer
}

// Object is one line of --json output.
type Object = e2e.Object

// Fatal ends the play.
func (s *Stage) Fatal(format string, args ...any) {
	s.broken = fmt.Errorf(format, args...)
	runtime.Goexit()
}

// Must ends the play if err is not nil.
func (s *Stage) Must(err error) {
	if err != nil {
		s.broken = err
		runtime.Goexit()
	}
}

// Weak tells whether this is the control, with the defences off.
func (s *Stage) Weak() bool { return s.weak }

// open starts the server process.
func (s *Stage) open() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if s.weak || s.attack.EvilServer {
		program = s.crafty
	}
	if program == "" {
		return fmt.Errorf("the server's program has to be built: %w", s.weakErr)
	}
	p := &process{cmd: exec.CommandContext(s.ctx, program, operatorCommand, filepath.Join(s.Dir, "data")), errors: new(bytes.Buffer)}
	p.cmd.Env = append(os.Environ(), s.env...)
	if s.attack.EvilServer {
		p.cmd.Env = append(p.cmd.Env, maliceKey+"="+s.attack.ID)
	}
	p.cmd.Stderr = p.errors
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.answers = bufio.NewScanner(out)
	p.answers.Buffer(nil, 64<<20)
	if err := p.cmd.Start(); err != nil {
		return err
	}
	s.server = p
	if !p.answers.Scan() {
		return fmt.Errorf("the server process: %v %s", p.cmd.Wait(), p.errors)
	}
	return json.Unmarshal(p.answers.Bytes(), &s.first)
}

// atEnd does something when the play is over.
func (s *Stage) atEnd(f func()) { s.ends = append(s.ends, f) }

// close ends the server process and whatever a person still runs.
func (s *Stage) close() error {
	for _, f := range s.ends {
		f()
	}
	for _, p := range s.people {
		p.device.Kill()
	}
	if s.server == nil {
		return nil
	}
	s.server.in.Close()
	timer := time.AfterFunc(20*time.Second, func() { s.server.cmd.Process.Kill() })
	defer timer.Stop()
	return s.server.cmd.Wait()
}

// order has the server process do something.
func (s *Stage) order(attack, name string, arg, result any) error {
	raw, err := json.Marshal(arg)
	if err != nil {
		return err
	}
	line, err := json.Marshal(order{attack, name, raw})
	if err != nil {
		return err
	}
	if _, err := s.server.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%w: %s", err, s.server.errors)
	}
	if !s.server.answers.Scan() {
		return fmt.Errorf("the server process ended: %s", s.server.errors)
	}
	var r reply
	if err := json.Unmarshal(s.server.answers.Bytes(), &r); err != nil {
		return err
	}
	if r.Error != "" {
		return fmt.Errorf("%s: %s", name, r.Error)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(r.Result, result)
}

// Hand has the operator use one of the attack's hands.
func (s *Stage) Hand(name string, arg any) { s.Must(s.order(s.attack.ID, name, arg, nil)) }

// Ask is Hand with a result.
func (s *Stage) Ask(name string, arg, result any) {
	s.Must(s.order(s.attack.ID, name, arg, result))
}

// Common uses a hand that every stage has.
func (s *Stage) Common(name string, arg, result any) { s.Must(s.order("", name, arg, result)) }

// Told ends the play if no lie was told: then it shows nothing.
func (s *Stage) Told() {
	var n int
	s.Common("told", nil, &n)
	if n == 0 {
		s.Fatal("the operator told no lie")
	}
}

// Secret returns a unique text that the searches know by name.
func (s *Stage) Secret(what string) string {
	c := canary.New()
	s.Must(s.Scan.Add(what, []byte(c)))
	return c
}

// Person is somebody with one device.
type Person struct {
	Name     string
	Account  string // lower-case hex
	Profile  string
	Recovery string // recovery key

	s      *Stage
	device *e2e.Device
}

// Person lets somebody join: the first by the server's own invitation, the
// others by one of the first.
func (s *Stage) Person(name string) *Person {
	link := s.first.Invite
	if len(s.people) > 0 {
		link = s.people[0].One("invite")["invite"].(string)
	}
	p := s.Stranger(name)
	o := p.One("join", s.byDoor(name, link), "--handle", name)
	p.Account = o["account"].(string)
	p.Recovery, _ = o["recovery_key"].(string)
	return p
}

// People is Person for several.
func (s *Stage) People(names ...string) []*Person {
	all := make([]*Person, len(names))
	for i, n := range names {
		all[i] = s.Person(n)
	}
	return all
}

// Stranger is somebody with an empty profile.
func (s *Stage) Stranger(name string) *Person {
	p := &Person{Name: name, Profile: filepath.Join(s.Dir, name), s: s}
	program := s.huis
	if s.weak {
		program = s.crafty
	}
	p.device = &e2e.Device{Huis: program, Profile: p.Profile, Env: slices.Clone(s.env)}
	s.people = append(s.people, p)
	return p
}

// Server is the server as a person writes it, by a door of somebody's own.
func (s *Stage) Server(p *Person, door string) string {
	ref, err := client.ParseServerRef(p.One("status")["server"].(string))
	s.Must(err)
	s.Common("door", door, &ref.URL)
	return ref.String()
}

// byDoor is an invitation by a door of one person's own.
func (s *Stage) byDoor(name, link string) string {
	inv, err := client.ParseInvitation(link)
	s.Must(err)
	s.Common("door", name, &inv.Server.URL)
	return inv.String()
}

// Liar makes a person's program do what the attack's Malice says.
func (p *Person) Liar() *Person {
	if p.s.crafty == "" {
		p.s.Fatal("a liar's program has to be built: %v", p.s.weakErr)
	}
	p.device.Huis = p.s.crafty
	p.device.Env = append(p.device.Env, maliceKey+"="+p.s.attack.ID, "HUIS_LEAK_FILE="+p.s.leak())
	return p
}

// Honest ends what Liar began.
func (p *Person) Honest() *Person {
	p.device.Env = slices.Clone(p.s.env)
	if !p.s.weak {
		p.device.Huis = p.s.huis
	}
	return p
}

// Try is what came of a command.
type Try struct {
	Objects []Object
	Code    int
	Stderr  string
}

// Alert is what the person was told if it was stopped for safety, else "".
func (t *Try) Alert() string {
	if t.Code != 3 {
		return ""
	}
	return t.Error()
}

// Error is the line that says what went wrong.
func (t *Try) Error() string {
	for line := range strings.Lines(t.Stderr) {
		if text, ok := strings.CutPrefix(line, "huis: error: "); ok {
			return strings.TrimSpace(text)
		}
	}
	return strings.TrimSpace(t.Stderr)
}

// Texts are the bodies of the messages that were printed.
func (t *Try) Texts() (all []string) {
	for _, o := range t.Objects {
		if body, ok := o["body"].(string); ok {
			all = append(all, body)
		}
	}
	return all
}

// Field lists a field of the objects printed.
func (t *Try) Field(name string) (all []string) {
	for _, o := range t.Objects {
		if v, ok := o[name].(string); ok {
			all = append(all, v)
		}
	}
	return all
}

// Try runs a command to its end, whatever that is. A crash of the program ends
// the play.
func (p *Person) Try(args ...string) *Try {
	timer := time.AfterFunc(commandTime, func() { p.device.Kill() })
	defer timer.Stop()
	out, err := p.device.Run(args...)
	t := &Try{Objects: out}
	var failure *e2e.Failure
	if errors.As(err, &failure) {
		t.Code, t.Stderr = failure.Code, failure.Stderr
		if failure.Code < 0 || failure.Code == 2 {
			p.s.Fatal("%s: %v", p.Name, failure)
		}
	} else if err != nil {
		p.s.Fatal("%s: %v", p.Name, err)
	}
	return t
}

// help is what a command says of itself.
func (p *Person) help(command string) string { return p.run(command, "--help") }

// run runs a command that has no profile.
func (p *Person) run(args ...string) string {
	cmd := exec.CommandContext(p.s.ctx, p.device.Huis, args...)
	cmd.Env = append(os.Environ(), p.device.Env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.s.Fatal("huis %s: %v %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Do runs a command that has to succeed.
func (p *Person) Do(args ...string) *Try {
	t := p.Try(args...)
	if t.Code != 0 {
		p.s.Fatal("%s: huis %s: exit %d: %s", p.Name, strings.Join(args, " "), t.Code, t.Stderr)
	}
	return t
}

// One is Do for commands that print one object.
func (p *Person) One(args ...string) Object {
	t := p.Do(args...)
	if len(t.Objects) != 1 {
		p.s.Fatal("%s: huis %s printed %d objects", p.Name, args[0], len(t.Objects))
	}
	return t.Objects[0]
}

// Evidence lists the proofs a person's program kept.
func (p *Person) Evidence() []string {
	found, err := filepath.Glob(filepath.Join(p.Profile, "evidence", "*"))
	p.s.Must(err)
	return found
}

// Proof returns a file that `huis verify` accepts, in an empty folder and with
// no network, out of those that people kept; "" if there is none. why is what
// was said of the last one refused.
func (s *Stage) Proof(people ...*Person) (file, why string) { return s.ProofOf("", people...) }

// ProofOf is Proof of one kind.
func (s *Stage) ProofOf(kind string, people ...*Person) (file, why string) {
	third := s.Stranger("third") // has nothing but the file
	for _, p := range people {
		for _, f := range p.Evidence() {
			t := third.Try("verify", f)
			if t.Code == 0 && len(t.Objects) == 1 && t.Objects[0]["proved"] == true {
				if proved := t.Objects[0]["kind"]; kind == "" || proved == kind {
					return f, ""
				}
			}
			why = fmt.Sprint(t.Error(), t.Objects)
		}
	}
	return "", why
}

// Egress searches everything that left the people's programs, below TLS.
func (s *Stage) Egress() []canary.Finding {
	found, files, size, err := s.Scan.Tree(filepath.Join(s.Dir, "data.egress"))
	s.Must(err)
	if files == 0 || size == 0 {
		s.Fatal("nothing was recorded")
	}
	return found
}

// hexOf decodes lower-case hex of a known length.
func hexOf(s *Stage, text string, n int) []byte {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != n {
		s.Fatal("%q is not %d bytes in hex", text, n)
	}
	return b
}

// Further makes a further device of a person, by a door of its own: it asks, and
// the person approves.
func (p *Person) Further(name string) *Person {
	server := p.s.Server(p, name)
	d := p.s.Stranger(name)
	code, ended := make(chan string, 4), make(chan error, 1)
	go func() {
		ended <- d.device.Stream(func(o Object) {
			if c, ok := o["code"].(string); ok {
				code <- c
			}
		}, "link", server, "--handle", p.Name)
	}()
	select {
	case c := <-code:
		p.Do("approve", c)
	case err := <-ended:
		p.s.Fatal("link: %v", err)
	}
	p.s.Must(<-ended)
	d.Account = p.Account
	return d
}
