package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"codeberg.org/huis/huis/internal/evidence"
	"codeberg.org/huis/huis/kt"
)

type verifyCommand struct {
	What    string `arg:"" name:"@NAME|FILE" help:"A person, or an evidence file."`
	Matches bool   `help:"You compared the safety words, and they are the same."`
	Words   string `placeholder:"WORDS" help:"The words or digits as the other person reads them: compared, and kept if they are right."`
	Undo    bool   `help:"You did not compare them after all."`
	Strict  string `enum:"on,off," default:"" placeholder:"on|off" help:"Somebody's new account, signed by none of their devices, waits for three days instead of one (for everybody you know)."`
}

// Run compares keys with a person, or checks an evidence file: a leading @ says
// which.
func (k *verifyCommand) Run(e *env) error {
	if strings.HasPrefix(k.What, "@") {
		return k.person(e)
	}
	if k.Matches || k.Words != "" || k.Undo || k.Strict != "" {
		return usagef("a person's name begins with @: huis verify @NAME", "an evidence file has no safety words")
	}
	return k.file(e)
}

// verified is what verify FILE prints for a program.
type verified struct {
	File   string `json:"file"`
	Proved bool   `json:"proved"`
	Kind   string `json:"kind"`
	Origin string `json:"origin"`
	Key    string `json:"key"`
	Says   string `json:"says"`
	Pinned *bool  `json:"pinned"` // whether it is the key of the profile's server; null: no profile
}

// file needs no profile and no network.
func (k *verifyCommand) file(e *env) error {
	file, err := readFile(k.What)
	if err != nil {
		return &hinted{err, "name the file as the alarm did; it lies in the folder evidence of the profile"}
	}
	f, err := evidence.Verify(file)
	v := verified{File: k.What, Proved: err == nil, Kind: f.Kind, Says: f.Proves}
	if errors.Is(err, evidence.ErrReport) {
		v.Kind = "report"
	}
	if f.Log.Name != "" {
		v.Origin, v.Key, v.Pinned = f.Log.Name, f.Log.LogText(), k.pinned(e, f.Log)
	}
	if err != nil {
		v.Says = err.Error()
		return errors.Join(k.unproved(err), e.printJSON(v))
	}
	whose := "compare this key with the one the server is known by, for the file cannot say whose it is."
	switch {
	case v.Pinned == nil:
	case *v.Pinned:
		whose = "it is the key of your server, as this device pinned it."
	default:
		whose = "it is not the key of your server; compare it with the one the accused server is known by."
	}
	return e.print(v, "Proved: %s\nWho holds the log key %s did it: %s", printable(f.Proves), printable(v.Key), whose)
}

// pinned compares a log's key with the one this profile pinned, nil if there is
// none to compare with. Neither network nor a writable profile is needed.
func (k *verifyCommand) pinned(e *env, log kt.NoteKey) *bool {
	c, err := e.open()
	if err != nil {
		return nil
	}
	defer func() { _ = c.Close() }() // only read
	own, _, known, err := c.PinnedLog(e.ctx)
	if err != nil || !known {
		return nil
	}
	same := own == log
	return &same
}

func (k *verifyCommand) unproved(err error) error {
	hint := "accuse nobody by it; if it came by mail, ask for the file itself"
	if errors.Is(err, evidence.ErrReport) {
		hint = "read it; what it says has to be believed or compared with what others saw"
	}
	return &hinted{fmt.Errorf("%s: %w", k.What, err), hint}
}

// printJSON writes the object if a program asked for it.
func (e *env) printJSON(object any) error {
	if !e.JSON {
		return nil
	}
	return writeJSON(e.std.Out, object)
}

// readFile reads a file that may not be what its sender says.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return io.ReadAll(io.LimitReader(f, evidence.MaxFile+1))
}
