package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

type recoverCommand struct {
	Server  string `arg:"" help:"The server, as huis status printed it on a lost device, or as another member's prints it."`
	Handle  string `required:"" placeholder:"NAME" help:"Your name on the server."`
	KeyFile string `name:"recovery-key-file" placeholder:"FILE" help:"File with the recovery key (default: it is asked for)."`

	EndOthers     bool     `help:"End your other devices as soon as this one is back in your conversations."`
	NewKey        bool     `help:"Replace the recovery key, which this computer has seen now, and show the new one."`
	WithoutBackup bool     `help:"Go on if the server has no backup: every conversation has to add you anew."`
	Wait          duration `default:"60s" placeholder:"D" help:"How long to wait for others to let this device in (default 60s)."`
}

// returned is what recover prints.
type returned struct {
	Account     string   `json:"account"`
	Handle      string   `json:"handle"`
	Device      string   `json:"device"`
	Backup      *string  `json:"backup"`
	Others      []string `json:"others"`
	Waiting     []string `json:"waiting"`
	RecoveryKey string   `json:"recovery_key,omitempty"`
}

func (k *recoverCommand) Run(e *env) error {
	server, err := client.ParseServerRef(k.Server)
	if err != nil {
		return &hinted{err, "huis status on any device of this server's members shows the server to write here"}
	}
	key, err := k.key(e)
	if err != nil {
		return &hinted{err, "it has twelve groups of five letters and figures, as huis join showed it"}
	}
	cfg, err := e.config(true)
	if err != nil {
		return err
	}
	opt := client.RecoverOptions{WithoutBackup: k.WithoutBackup, EndOthers: k.EndOthers}
	c, r, err := client.Recover(e.ctx, cfg, server, strings.TrimPrefix(k.Handle, "@"), key, opt)
	if err != nil {
		return errors.Join(recoverHint(err), cfg.Store.Close())
	}
	return errors.Join(k.comeBack(e, c, r), c.Close())
}

func recoverHint(err error) error {
	switch {
	case errors.Is(err, client.ErrNoBackup):
		return &hinted{err, "to be let in without it, and be added to each conversation by its members: huis recover --without-backup"}
	case errors.Is(err, proto.NoAccount):
		return &hinted{errors.New("the server knows no account of this recovery key"), "was it replaced by a newer one? compare it with what you wrote down"}
	}
	return orHint(err, "run the same command again: it goes on where it was")
}

// key reads the recovery key from the file, or asks for it.
func (k *recoverCommand) key(e *env) (kt.RecoveryKey, error) {
	text, err := k.text(e)
	if err != nil {
		return kt.RecoveryKey{}, err
	}
	return kt.ParseRecoveryKey(text)
}

func (k *recoverCommand) text(e *env) (string, error) {
	if k.KeyFile != "" {
		f, err := os.Open(k.KeyFile)
		if err != nil {
			return "", err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, 1024))
		return string(b), err
	}
	if f, ok := e.std.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(e.std.Err, "Recovery key: ")
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(e.std.Err)
		return string(b), err
	}
	line, err := bufio.NewReader(io.LimitReader(e.std.In, 1024)).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return line, err
}

// comeBack waits for the conversations and tells what came of it.
func (k *recoverCommand) comeBack(e *env, c *client.Client, r client.Recovered) error {
	e.note("You are @%s again; this device is %s.", r.Handle, r.Device)
	waiting, stale := k.await(e, c)
	var safety *client.SafetyError
	if stale != nil && !errors.As(stale, &safety) && !errors.Is(stale, client.ErrUnreachable) {
		return stale
	}
	out := returned{Account: r.Account, Handle: r.Handle, Device: r.Device, Backup: stamp(r.Backup), Others: append([]string{}, r.Others...), Waiting: append([]string{}, waiting...)}
	if k.NewKey {
		text, err := c.NewRecoveryKey(e.ctx)
		if err != nil {
			return errors.Join(stale, orHint(err, "you are back; replace the recovery key later: huis devices new-recovery-key"))
		}
		out.RecoveryKey = text
	}
	if err := e.print(out, "%s", k.told(out)); err != nil {
		return err
	}
	return errors.Join(c.RecoveryKeyShown(e.ctx), stale)
}

// await synchronises until every conversation has let this device in, at most
// for Wait.
func (k *recoverCommand) await(e *env, c *client.Client) (waiting []string, stale error) {
	told := false
	for end := time.Now().Add(k.Wait.std()); ; {
		stale = c.Sync(e.ctx)
		waiting, err := c.Returning(e.ctx)
		if err != nil {
			return nil, err
		}
		var safety *client.SafetyError
		if len(waiting) == 0 || time.Now().After(end) || e.ctx.Err() != nil || errors.As(stale, &safety) {
			if stale == nil && len(waiting) == 0 {
				stale = c.Sync(e.ctx) // what had to wait for that
			}
			return waiting, stale
		}
		if !told {
			e.note("Waiting for others to let this device into: %s …", printable(strings.Join(waiting, ", ")))
			told = true
		}
		if err := (client.SystemClock{}).Sleep(e.ctx, time.Second); err != nil {
			return waiting, stale
		}
	}
}

// told is what a person reads at the end.
func (k *recoverCommand) told(r returned) string {
	var b strings.Builder
	switch {
	case r.Backup == nil:
		b.WriteString("There was no backup: ask the members of each conversation to add you (huis chat add CHAT @" + r.Handle + ").")
	case len(r.Waiting) == 0:
		b.WriteString("All conversations are back, as of the backup of " + *r.Backup + ".")
	default:
		b.WriteString("The backup is of " + *r.Backup + ". Some conversations still wait until a member's device is online: " +
			printable(strings.Join(r.Waiting, ", ")) + ". They come back by themselves at any later command.")
	}
	if len(r.Others) > 0 && !k.EndOthers {
		b.WriteString("\n\nThese devices of yours still receive everything. End those you have lost:\n")
		for _, d := range r.Others {
			b.WriteString("\n    huis devices revoke " + d)
		}
	}
	if r.RecoveryKey != "" {
		b.WriteString("\n\nYour new recovery key, shown only this once; the one before is worth nothing now:\n\n    " + r.RecoveryKey)
	} else {
		b.WriteString("\n\nThis computer has seen your recovery key. If you do not trust it fully: huis devices new-recovery-key")
	}
	return b.String()
}

type newRecoveryKey struct{}

func (*newRecoveryKey) Run(e *env) error {
	return e.change(func(c *client.Client) error {
		text, err := c.NewRecoveryKey(e.ctx)
		if err != nil {
			return orHint(err, "run the same command again: it goes on where it was; until then the key before holds")
		}
		err = e.print(struct {
			RecoveryKey string `json:"recovery_key"`
		}{text}, "Your new recovery key, shown only this once:\n\n    %s\n\nThe one before lets nobody in any more, and reads no backup made from now on.", text)
		if err != nil {
			return err // it is shown by the next command
		}
		return c.RecoveryKeyShown(e.ctx)
	})
}

// showRecoveryKey shows a person the recovery key that an earlier command could
// not. A program gets it from status.
func (e *env) showRecoveryKey(c *client.Client) error {
	text, err := c.RecoveryKeyToShow(e.ctx)
	if err != nil || text == "" || e.JSON {
		return err
	}
	_, err = fmt.Fprintf(e.std.Err, "Your recovery key has not been shown to you yet:\n\n    %s\n\nWrite it down and keep it away from your devices: it is what lets you\nback in when all of them are lost (huis recover), and nobody else can help then.\n\n", text)
	if err != nil {
		return err
	}
	return c.RecoveryKeyShown(e.ctx)
}
