//go:build evil

package evil

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
)

// operatorCommand is how the server process is started; it is not for people.
const operatorCommand = "attack-operator"

// attackCommand is the command line of `huis attack`.
type attackCommand struct {
	Names    []string `arg:"" optional:"" name:"name" help:"Attacks to play, such as B-20 or B-20/a (default all)."`
	JSON     bool     `name:"json" help:"Print an object for each, one a line."`
	InToto   string   `name:"in-toto" placeholder:"FILE" help:"Write an in-toto test-result statement over the program's digest."`
	Readme   bool     `help:"Write the table into README.md."`
	Long     bool     `help:"Also what takes long: 10^6 names, 10^5 settings, distributions of times."`
	List     bool     `help:"List the attacks and play none."`
	Huis     string   `placeholder:"FILE" help:"The program that people run (default: this one)."`
	Parallel int      `default:"2" placeholder:"N" help:"How many attacks are played at a time (default 2)."`
	Keep     string   `placeholder:"DIR" help:"Leave the servers' and people's folders there."`
}

// Main runs `huis attack` if args are for it; mine is false otherwise.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int, mine bool) {
	switch {
	case len(args) == 2 && args[0] == operatorCommand:
		return report(stderr, operate(ctx, args[1], stdin, stdout)), true
	case len(args) > 0 && args[0] == witnessCommand:
		data, err := dataFlag(args)
		if err == nil {
			err = accomplice(ctx, data, stdout)
		}
		return report(stderr, err), true
	case len(args) == 0 || args[0] != "attack":
		return 0, false
	}
	var k attackCommand
	parser, err := kong.New(&k, kong.Name("huis attack"), kong.Writers(stdout, stderr), kong.Exit(func(int) {}),
		kong.Description("Plays the malicious operator against real clients and prints what came of it."))
	if err != nil {
		panic("evil: " + err.Error())
	}
	if _, err := parser.Parse(args[1:]); err != nil {
		fmt.Fprintf(stderr, "huis: error: %v\nhuis: hint: huis attack --help shows how it is used\n", err)
		return 2, true
	}
	ok, err := k.run(ctx, stdout, stderr)
	if err == nil && !ok {
		return 1, true
	}
	return report(stderr, err), true
}

func report(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(w, "huis: error: %v\nhuis: hint: the attacks are played in the source of huis: go run -tags evil ./cmd/huis attack\n", err)
	return 1
}

// chosen are the attacks that the names mean: a whole number or one part of it.
func chosen(names []string, long bool) ([]Attack, error) {
	var all []Attack
	used := make(map[string]bool)
	for _, a := range Attacks() {
		whole, _, _ := strings.Cut(a.ID, "/")
		mine := len(names) == 0 && (long || !a.Long)
		for _, n := range names {
			if n == a.ID || n == whole {
				mine, used[n] = true, true
			}
		}
		if mine {
			all = append(all, a)
		}
	}
	for _, n := range names {
		if !used[n] {
			return nil, fmt.Errorf("there is no attack %s; huis attack --list shows them", n)
		}
	}
	return all, nil
}

func (k *attackCommand) run(ctx context.Context, stdout, stderr io.Writer) (ok bool, err error) {
	all, err := chosen(k.Names, k.Long)
	if err != nil {
		return false, err
	}
	if k.List {
		for _, a := range all {
			fmt.Fprintf(stdout, "%-8s %-10s %s\n", a.ID, a.Expected, a.Name)
		}
		for _, l := range later {
			if len(k.Names) == 0 {
				fmt.Fprintf(stdout, "%-8s %-10s comes with %s\n", l.ID, "not yet", l.With)
			}
		}
		return true, nil
	}
	r := &Runner{Huis: k.Huis, Parallel: k.Parallel, Long: k.Long, Keep: k.Keep != "", Dir: k.Keep}
	if r.Huis == "" {
		r.Huis, err = os.Executable()
	} else {
		r.Huis, err = filepath.Abs(k.Huis)
	}
	if err == nil && r.Dir == "" {
		r.Dir, err = os.MkdirTemp("", "huis-attack-")
	} else if err == nil {
		r.Dir, err = filepath.Abs(r.Dir)
		err = errors.Join(err, os.MkdirAll(r.Dir, 0o700))
	}
	if err != nil {
		return false, err
	}
	rows := k.play(ctx, r, all, stdout, stderr)
	if k.Keep == "" {
		err = os.RemoveAll(r.Dir)
	}
	return rows.ok(), errors.Join(err, k.write(r.Huis, rows))
}

type rows []Row

func (all rows) ok() bool {
	for _, r := range all {
		if !r.OK {
			return false
		}
	}
	return true
}

// play plays the attacks and prints each as soon as those before it are.
func (k *attackCommand) play(ctx context.Context, r *Runner, attacks []Attack, stdout, stderr io.Writer) (all rows) {
	if !k.JSON {
		fmt.Fprintf(stderr, "building the weakened program …\n")
	}
	r.Prepare(ctx)
	out := bufio.NewWriter(stdout)
	r.Run(ctx, attacks, func(row Row) {
		all = append(all, row)
		if k.JSON {
			_ = json.NewEncoder(out).Encode(row)
		} else {
			tell(out, row)
		}
		out.Flush()
	})
	if !k.JSON {
		good := 0
		for _, row := range all {
			if row.OK {
				good++
			}
		}
		fmt.Fprintf(stdout, "%d of %d as expected\n", good, len(all))
	}
	return all
}

// write makes the files that were asked for.
func (k *attackCommand) write(program string, all rows) error {
	if k.InToto != "" {
		b, err := statement(program, all)
		if err != nil {
			return err
		}
		if err := os.WriteFile(k.InToto, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if !k.Readme {
		return nil
	}
	document, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	if document, err = putTable(document, readmeTable(all)); err != nil {
		return err
	}
	return os.WriteFile("README.md", document, 0o644)
}
