package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/client/store/sqlite"
	"codeberg.org/huis/huis/internal/httpapi/dial"
)

// env is what a client command runs in.
type env struct {
	globals
	ctx     context.Context
	std     Streams
	version string
	chat    string // the conversation the command is about, "" if it is about none
}

// profile is the folder of this device's state.
func (e *env) profile() (string, error) {
	if e.Profile != "" {
		return e.Profile, nil
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return "", &hinted{fmt.Errorf("this system names no configuration folder: %w", err), "say where to keep the state: --profile DIR"}
	}
	return filepath.Join(config, "huis"), nil
}

// config opens the profile for the client core. The caller closes config.Store.
func (e *env) config(create bool) (client.Config, error) {
	dir, err := e.profile()
	if err != nil {
		return client.Config{}, err
	}
	s, err := sqlite.OpenProfile(e.ctx, dir, create)
	if err != nil {
		return client.Config{}, err
	}
	return client.Config{
		Store:    s,
		Dial:     dial.New,
		Log:      e.log(),
		OpenFile: func(path string) (io.ReadSeekCloser, error) { return os.Open(path) },
		Evidence: func(name string, data []byte) (string, error) {
			path := filepath.Join(dir, "evidence", filepath.Base(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return "", err
			}
			return path, os.WriteFile(path, data, 0o600)
		},
	}, nil
}

func (e *env) log() *slog.Logger {
	level := slog.LevelError
	if e.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(e.std.Err, &slog.HandlerOptions{Level: level}))
}

// open gives the device of the profile. The caller closes it.
func (e *env) open() (*client.Client, error) {
	cfg, err := e.config(false)
	if err != nil {
		return nil, err
	}
	c, err := client.Open(e.ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, cfg.Store.Close())
	}
	return c, nil
}

// with runs f on the device of the profile, brought up to date. An error of
// bringing it up to date does not stop f: what is held can be shown, and what
// is sent is kept. f is told of it, but not of what was found in another
// conversation than the one the command is about (e.chat): huis status lists it.
func (e *env) with(f func(c *client.Client, stale error) error) (err error) {
	c, err := e.open()
	if err != nil {
		return err
	}
	defer func() {
		if cerr := c.Close(); err == nil {
			err = cerr
		}
	}()
	if err := e.showRecoveryKey(c); err != nil {
		return err
	}
	if err := f(c, client.Concerning(c.Sync(e.ctx), e.chat)); err != nil {
		return err
	}
	if err := c.BackUp(e.ctx); err != nil {
		e.log().Warn("the account's backup is made later", "why", err)
	}
	return nil
}

// change is with for commands that change something: they need the present
// state, so they do not begin without it. What is unsafe in one conversation
// does not hinder them: removing a device is the way out of it.
func (e *env) change(f func(c *client.Client) error) error {
	return e.with(func(c *client.Client, stale error) error {
		var safety *client.SafetyError
		if errors.As(stale, &safety) {
			e.note("huis: warning: %s", printable(stale.Error()))
		} else if stale != nil {
			return stale
		}
		return f(c)
	})
}

// print writes one result: the object for a program, else the text.
func (e *env) print(object any, format string, args ...any) error {
	if e.JSON {
		return writeJSON(e.std.Out, object)
	}
	if format == "" {
		return nil
	}
	_, err := fmt.Fprintf(e.std.Out, format+"\n", args...)
	return err
}

// writeJSON writes one object and a line end in one write.
func writeJSON(w io.Writer, object any) error {
	b, err := json.Marshal(object)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

// note tells a person something on standard error; programs are not told.
func (e *env) note(format string, args ...any) {
	if !e.JSON {
		fmt.Fprintf(e.std.Err, format+"\n", args...)
	}
}

// onTerminal tells that a person watches standard error.
func (e *env) onTerminal() bool {
	f, ok := e.std.Err.(*os.File)
	return ok && !e.JSON && term.IsTerminal(int(f.Fd()))
}

// printable shows control characters of others' texts as what they are, so that
// no message can move the cursor, change colours or ring the bell.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// stamp is a time in an object; null when there is none.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339)
	return &s
}

// day is a date for a person.
func day(t time.Time) string { return t.Local().Format("2 January 2006") }

// local is a time for a person, to the minute.
func local(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// handles strips the @ that a person may write before a name.
func handles(people []string) []string {
	bare := make([]string, len(people))
	for i, p := range people {
		bare[i] = strings.TrimPrefix(p, "@")
	}
	return bare
}
