// Package cli is the command line of huis: what the commands are called, what
// they print for a person and for a program, and how they end. Start with Main.
//
// Programs rely on it (docs/cli.md): with --json nothing but objects, one a
// line, goes to standard output; errors and hints go to standard error; the exit
// code is 0 done, 1 refused or failed, 2 wrong usage, 3 stopped for safety.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitSafety = 3
)

// Streams are the standard streams of a run.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// commands is the grammar; a field's Run method is the command.
type commands struct {
	globals

	Serve     serveCommand     `cmd:"" help:"Run a server; the first start prints an invitation."`
	Witness   witnessCommand   `cmd:"" help:"Look after the logs of other servers: cosign what continues what was seen before."`
	Invite    inviteCommand    `cmd:"" help:"Make an invitation for another person (admins of the server)."`
	Join      joinCommand      `cmd:"" help:"Make an account with an invitation; this becomes its first device."`
	Link      linkCommand      `cmd:"" help:"Make this a further device of your account: shows a code and waits."`
	Approve   approveCommand   `cmd:"" help:"Let the device that shows CODE into your account."`
	Recover   recoverCommand   `cmd:"" help:"Come back with the recovery key when all your devices are lost."`
	Chat      chatCommands     `cmd:"" help:"Conversations and who is in them."`
	Send      sendCommand      `cmd:"" help:"Send a message, with files if you like."`
	Read      readCommand      `cmd:"" help:"Show the messages of a conversation."`
	Policy    policyCommands   `cmd:"" help:"Which witnesses look after the server's log."`
	Devices   deviceCommands   `cmd:"" help:"The devices of your account."`
	Rename    renameCommand    `cmd:"" help:"Change your name, for everybody."`
	Veto      vetoCommand      `cmd:"" help:"Object to a new account under your name that was not you."`
	Log       logCommands      `cmd:"" help:"Which log of the server this device checks, and going over to a new one."`
	Status    statusCommand    `cmd:"" help:"How this device stands."`
	Backup    backupCommand    `cmd:"" help:"Back a server up, also while it runs."`
	Restore   restoreCommand   `cmd:"" help:"Put a server's backup into an empty folder, or try whether it could be."`
	Audit     auditCommand     `cmd:"" help:"Recompute the server's log and sign what was found."`
	App       appCommand       `cmd:"" help:"The web interface on this computer, with this program as its core."`
	Verify    verifyCommand    `cmd:"" help:"Compare safety words with a person, or check an evidence file, offline."`
	VerifyWeb verifyWebCommand `cmd:"" help:"Check that a server gives browsers the web app this program was built with, and that its log has it."`

	Release       releaseCommands      `cmd:"" help:"Make, sign and log a release of this program."`
	VerifyRelease verifyReleaseCommand `cmd:"" help:"Check that a program was released: files, signature and log."`
}

// globals may stand anywhere after the command.
type globals struct {
	Profile string           `env:"HUIS_PROFILE" placeholder:"DIR" help:"Folder of this device's state (default: huis in your configuration folder)."`
	JSON    bool             `name:"json" help:"Print objects for a program, one a line."`
	Verbose bool             `help:"Say on standard error what is going on."`
	Version kong.VersionFlag `help:"Print the version."`
}

// Main runs the command that args (without the program's name) spell and
// returns the exit code. It ends early, and cleanly, when ctx does.
func Main(ctx context.Context, version string, args []string, std Streams) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("huis"),
		kong.Description("Messages and files for a house of your own. The server cannot read them."),
		kong.Vars{"version": version},
		kong.Writers(std.Out, std.Err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		panic("cli: " + err.Error()) // the grammar above does not hold together
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help or --version
		return exited
	}
	if err != nil {
		return report(std.Err, &usageError{err, usageHint(err)})
	}
	e := &env{ctx: ctx, globals: c.globals, std: std, version: version}
	return report(std.Err, parsed.Run(e))
}

func usageHint(err error) string {
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil && p.Context.Selected() != nil {
		if p.Context.Selected().Name == "send" && strings.HasPrefix(err.Error(), "unknown flag") {
			return "a text that begins with a dash comes after two: huis send CHAT -- TEXT"
		}
		return "huis " + p.Context.Selected().Path() + " --help shows how it is used"
	}
	return "huis --help lists the commands"
}

// Standard gives the process's own streams.
func Standard() Streams { return Streams{os.Stdin, os.Stdout, os.Stderr} }
