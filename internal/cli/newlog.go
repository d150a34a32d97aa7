package cli

import (
	"errors"
	"fmt"
	"strings"

	"codeberg.org/huis/huis/internal/client"
)

type logCommands struct {
	Show   logShow   `cmd:"" default:"withargs" help:"Show which log of the server this device checks, and whether the server shows another one."`
	Accept logAccept `cmd:"" help:"Go over to the server's new log, by the fingerprint that its administrator told you in person or by phone."`
}

type logShow struct{}

// logLine is the log for a program.
type logLine struct {
	Origin      string   `json:"origin"`
	Fingerprint string   `json:"fingerprint"`
	Size        uint64   `json:"size"` // epochs
	Root        string   `json:"root"`
	Claimed     string   `json:"claimed"` // origin of the log the server shows instead; "": none
	Since       *string  `json:"since"`   // when it began to
	Former      []string `json:"former"`  // origins of the logs before
	Compare     []string `json:"compare"` // whose safety words are to be compared again
}

// Run shows the log from what is on this device; what the server says now is the
// error.
func (*logShow) Run(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		l, err := c.Log(e.ctx)
		if err != nil {
			return err
		}
		line := logLine{Origin: l.Origin, Fingerprint: l.Fingerprint, Size: l.Size, Root: l.Root, Claimed: l.Claimed, Since: stamp(l.Since),
			Former: append([]string{}, l.Former...), Compare: append([]string{}, l.Compare...)}
		text := fmt.Sprintf("log %s\n    fingerprint %s\n    %d epochs checked", l.Origin, l.Fingerprint, l.Size)
		for _, f := range l.Former {
			text += "\n    in place of " + f
		}
		if l.Claimed != "" {
			text += fmt.Sprintf("\nthe server shows another one since %s: %s\n    huis log accept FINGERPRINT goes over to it", local(l.Since), l.Claimed)
		}
		if len(l.Compare) > 0 {
			text += "\ncompare words again with @" + strings.Join(l.Compare, ", @")
		}
		if err := e.print(line, "%s", printable(text)); err != nil {
			return err
		}
		return stale
	})
}

type logAccept struct {
	Fingerprint []string `arg:"" help:"The new log's fingerprint: eight groups of four digits."`
}

// Run goes over to the new log.
func (k *logAccept) Run(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		if errors.Is(stale, client.ErrUnreachable) {
			return stale
		}
		if err := c.AcceptLog(e.ctx, strings.Join(k.Fingerprint, " ")); err != nil {
			return orHint(err, "huis log shows which log this device checks; nothing was changed")
		}
		l, err := c.Log(e.ctx)
		if err != nil {
			return err
		}
		return e.print(struct {
			Origin      string   `json:"origin"`
			Fingerprint string   `json:"fingerprint"`
			Compare     []string `json:"compare"`
		}{l.Origin, l.Fingerprint, append([]string{}, l.Compare...)},
			"This device checks the log %s from now on. Compare safety words again with the people you need to be sure of: huis verify @NAME", printable(l.Origin))
	})
}
