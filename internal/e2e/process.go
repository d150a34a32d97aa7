package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Object is one line of --json output.
type Object = map[string]any

// Failure is a run that did not end with 0.
type Failure struct {
	Args   []string
	Code   int // -1: ended by a signal
	Stderr string
}

func (f *Failure) Error() string {
	return fmt.Sprintf("huis %s: exit %d: %s", strings.Join(f.Args, " "), f.Code, strings.TrimSpace(f.Stderr))
}

// Killed tells that a signal ended the run.
func (f *Failure) Killed() bool { return f.Code < 0 }

// Peaks collects the largest resident memory of processes, in bytes.
type Peaks struct {
	mu  sync.Mutex
	max map[string]int64
}

// sampled is the time between two looks at a process. The kernel keeps the
// maximum, so only what grows after the last look is missed.
const sampled = 20 * time.Millisecond

// watch looks at a process until it is gone. What wait reports of a child is of
// no use: it begins with the size of the program that started it.
func (p *Peaks) watch(kind string, pid int) {
	if p == nil {
		return
	}
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, after, found := strings.Cut(string(status), "VmHWM:")
		if err != nil || !found { // gone, or waiting to be buried
			return
		}
		var kib int64
		fmt.Sscan(after, &kib)
		p.mu.Lock()
		if p.max == nil {
			p.max = make(map[string]int64)
		}
		p.max[kind] = max(p.max[kind], kib<<10)
		p.mu.Unlock()
		time.Sleep(sampled)
	}
}

// Max returns the largest seen of a kind: "server" or a command's name.
func (p *Peaks) Max(kind string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.max[kind]
}

// Kinds returns a copy of all of them.
func (p *Peaks) Kinds() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string]int64)
	for k, v := range p.max {
		all[k] = v
	}
	return all
}

// Device is a profile folder and the program.
type Device struct {
	Huis    string   // the binary
	Wrap    []string // put before the binary, such as strace and its flags
	Profile string
	Env     []string
	Peaks   *Peaks

	mu      sync.Mutex
	running map[*exec.Cmd]bool
}

// Run runs a command with --json to its end. The objects it printed are
// returned also when it fails.
func (d *Device) Run(args ...string) ([]Object, error) {
	var out []Object
	err := d.Stream(func(o Object) { out = append(out, o) }, args...)
	return out, err
}

// One is Run for commands that print one object.
func (d *Device) One(args ...string) (Object, error) {
	out, err := d.Run(args...)
	if err == nil && len(out) != 1 {
		err = fmt.Errorf("huis %s: %d objects, want 1: %v", strings.Join(args, " "), len(out), out)
	}
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// Stream is Run that hands each object over as it is printed.
func (d *Device) Stream(each func(Object), args ...string) error {
	all := append([]string{}, args...)
	all = append(all, "--json", "--profile", d.Profile)
	for i, a := range args { // flags would be texts after --
		if a == "--" {
			all = append(append(append([]string{}, args[:i]...), "--json", "--profile", d.Profile), args[i:]...)
		}
	}
	line := append(append([]string{}, d.Wrap...), append([]string{d.Huis}, all...)...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), d.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := d.start(cmd); err != nil {
		return err
	}
	go d.Peaks.watch(args[0], cmd.Process.Pid)
	bad := objects(stdout, each)
	err = cmd.Wait()
	d.ended(cmd)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &Failure{args, exit.ExitCode(), stderr.String()}
	}
	return errors.Join(err, bad)
}

// objects reads a line at a time; anything but an object is an error. A last
// line that was cut off by a kill is left out.
func objects(r io.Reader, each func(Object)) error {
	var bad error
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return bad
		}
		var o Object
		if err := json.Unmarshal(line, &o); err != nil {
			bad = fmt.Errorf("standard output has %q: %w", line, err)
			continue
		}
		each(o)
	}
}

func (d *Device) start(cmd *exec.Cmd) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	if d.running == nil {
		d.running = make(map[*exec.Cmd]bool)
	}
	d.running[cmd] = true
	return nil
}

func (d *Device) ended(cmd *exec.Cmd) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.running, cmd)
}

// Kill ends every running process of the device with SIGKILL and says how many
// there were.
func (d *Device) Kill() int { return d.signal(syscall.SIGKILL) }

// Interrupt asks every running process of the device to end.
func (d *Device) Interrupt() int { return d.signal(syscall.SIGTERM) }

// Abort makes every running process of the device crash and say where it was.
func (d *Device) Abort() int { return d.signal(syscall.SIGQUIT) }

func (d *Device) signal(s syscall.Signal) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for cmd := range d.running {
		syscall.Kill(-cmd.Process.Pid, s) // its group: a wrapper's child too
	}
	return len(d.running)
}

// Server is a running `huis serve`, or `huis witness`, and its data folder.
type Server struct {
	Command string // "serve" if empty
	Huis    string
	Wrap    []string
	Data    string // data folder
	Log     string // file that receives standard error, over all starts
	Args    []string
	Env     []string
	Peaks   *Peaks

	URL, Invite, Fingerprint string // of the ready event; Invite of the first start
	Web                      string // where a browser opens the web app, of the last start
	Key                      string // a witness's; that of the witness inside a server with peers
	NewLog                   string // fingerprint of a log that was begun anew, of the last start

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{}
}

// ReadyWithin is the time the design gives a start.
const ReadyWithin = 20 * time.Second

// Start starts the server and waits until it says it is ready. A second start
// has the port of the first.
func (s *Server) Start() error {
	command := s.Command
	if command == "" {
		command = "serve"
	}
	args := append([]string{command, "--json", "--data", s.Data}, s.Args...)
	if !slices.Contains(s.Args, "--listen") { // a port of its own, kept over all starts
		args = append(args, "--listen", "127.0.0.1:0")
	}
	line := append(append([]string{}, s.Wrap...), append([]string{s.Huis}, args...)...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.OpenFile(s.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ready, gone := make(chan Object, 1), make(chan struct{})
	go func() {
		objects(stdout, func(o Object) { s.event(o, ready) })
		cmd.Wait()
		close(gone)
	}()
	go s.Peaks.watch("server", cmd.Process.Pid)
	s.mu.Lock()
	s.cmd, s.gone = cmd, gone
	s.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-gone:
		return fmt.Errorf("huis %s ended with %v: %s", command, cmd.ProcessState, tail(s.Log))
	case <-time.After(ReadyWithin):
		s.Kill()
		return fmt.Errorf("huis %s was not ready after %v: %s", command, ReadyWithin, tail(s.Log))
	}
}

func (s *Server) event(o Object, ready chan<- Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for field, to := range map[string]*string{"url": &s.URL, "invite": &s.Invite, "fingerprint": &s.Fingerprint, "web": &s.Web, "key": &s.Key, "witness": &s.Key, "log": &s.NewLog} {
		if v, ok := o[field].(string); ok && v != "" {
			*to = v
		}
	}
	if o["event"] == "ready" {
		select {
		case ready <- o:
		default:
		}
	}
}

// Pid returns the process id of the running server.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop asks the server to end and waits until it has.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

func (s *Server) end(sig syscall.Signal) {
	s.mu.Lock()
	cmd, gone := s.cmd, s.gone
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	syscall.Kill(-cmd.Process.Pid, sig)
	select {
	case <-gone:
	case <-time.After(ReadyWithin):
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-gone
	}
}

func tail(name string) string {
	b, _ := os.ReadFile(name)
	return string(b[max(0, len(b)-2000):])
}

// NewDevice makes a device of the server's machine with a fresh profile.
func (s *Server) NewDevice(dir, name string) *Device {
	return &Device{Huis: s.Huis, Profile: filepath.Join(dir, name), Peaks: s.Peaks}
}
