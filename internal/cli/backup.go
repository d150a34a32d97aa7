package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"codeberg.org/huis/huis/internal/cli/backup"
	"codeberg.org/huis/huis/internal/cli/serve"
)

// backupSecret is how a backup is sealed and opened.
type backupSecret struct {
	Key            string `placeholder:"FILE" help:"File of 32 bytes that seals backups; huis backup makes it if it is not there. Keep a copy elsewhere."`
	PassphraseFile string `placeholder:"FILE" help:"File whose first line is the passphrase, instead of asking for it."`
}

// errNoSecret asks for what seals a backup.
func errNoSecret() error {
	return usagef("--key FILE, or --passphrase-file FILE, or run it on a terminal", "a backup is always sealed: there is neither a key nor a passphrase")
}

// secret reads what opens a backup; with create it may be made first.
func (b *backupSecret) secret(e *env, create bool) (backup.Secret, error) {
	switch {
	case b.Key != "" && b.PassphraseFile != "":
		return backup.Secret{}, usagef("choose one of them", "--key and --passphrase-file exclude each other")
	case b.Key != "":
		return keyFile(e, b.Key, create)
	case b.PassphraseFile != "":
		text, err := os.ReadFile(b.PassphraseFile)
		if err != nil {
			return backup.Secret{}, &hinted{err, "--passphrase-file names the file whose first line is the passphrase"}
		}
		line, _, _ := strings.Cut(string(text), "\n")
		return passphrase(strings.TrimSuffix(line, "\r"))
	case !e.onTerminal():
		return backup.Secret{}, errNoSecret()
	}
	return askPassphrase(e, create)
}

func passphrase(p string) (backup.Secret, error) {
	if len(p) < backup.MinPassphrase {
		return backup.Secret{}, usagef("six words drawn at random are good and can be remembered", "a passphrase has at least %d letters", backup.MinPassphrase)
	}
	return backup.Secret{Passphrase: p}, nil
}

// askPassphrase asks on the terminal, twice for a new one.
func askPassphrase(e *env, create bool) (backup.Secret, error) {
	in, ok := e.std.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return backup.Secret{}, errNoSecret()
	}
	ask := func(prompt string) (string, error) {
		fmt.Fprint(e.std.Err, prompt)
		b, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(e.std.Err)
		return string(b), err
	}
	p, err := ask("passphrase of the backup: ")
	if err != nil || !create {
		return backup.Secret{Passphrase: p}, err
	}
	again, err := ask("the same again: ")
	if err != nil {
		return backup.Secret{}, err
	}
	if p != again {
		return backup.Secret{}, usagef("type it once more", "the two passphrases differ")
	}
	return passphrase(p)
}

// keyFile reads a key, or makes it.
func keyFile(e *env, path string, create bool) (backup.Secret, error) {
	var key [32]byte
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && create:
		return makeKeyFile(e, path)
	case err != nil:
		return backup.Secret{}, &hinted{fmt.Errorf("the key cannot be read: %w", err), "--key names the file that huis backup made"}
	case len(b) != len(key):
		return backup.Secret{}, &hinted{fmt.Errorf("%s is no key: it has %d bytes, not %d", path, len(b), len(key)), "name a file that is not there, and it is made"}
	}
	copy(key[:], b)
	return backup.Secret{Key: &key}, nil
}

func makeKeyFile(e *env, path string) (backup.Secret, error) {
	var key [32]byte
	rand.Read(key[:])
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return backup.Secret{}, &hinted{err, "choose a file this user may write to: --key FILE"}
	}
	_, err = f.Write(key[:])
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return backup.Secret{}, err
	}
	e.note("huis: note: %s was made. Without it no backup opens: keep a copy of it, not beside the backups", path)
	return backup.Secret{Key: &key}, nil
}

// backupCommand backs a server up.
type backupCommand struct {
	Data string `default:"./huis-data" placeholder:"DIR" help:"Folder of everything the server keeps (default ./huis-data)."`
	To   string `placeholder:"FILE" required:"" help:"The file to write."`
	backupSecret
}

// Run writes the backup; the server may run meanwhile.
func (k *backupCommand) Run(e *env) error {
	s, err := k.secret(e, true)
	if err != nil {
		return err
	}
	m, err := backup.Make(e.ctx, backup.Config{Data: k.Data, To: k.To, Secret: s, Version: e.version, Now: time.Now})
	if err != nil {
		return err
	}
	if !m.OperatorKey {
		e.note("huis: note: the operator's key is not in the data folder, so it is not in the backup: keep a copy of it")
	}
	return e.print(m, "%s: %s, %d files, in %.1f s\nto see that it can be put back: huis restore --drill %s%s", m.File, size(m.Bytes), m.Blobs, m.Seconds, m.File, k.flag())
}

// flag is the option that names the same secret again.
func (s *backupSecret) flag() string {
	switch {
	case s.Key != "":
		return " --key " + s.Key
	case s.PassphraseFile != "":
		return " --passphrase-file " + s.PassphraseFile
	}
	return ""
}

// restoreCommand puts a backup back, or tries whether it could be.
type restoreCommand struct {
	File        string        `arg:"" optional:"" help:"The file that huis backup wrote."`
	Data        string        `placeholder:"DIR" help:"The folder to put it into, empty or new."`
	Drill       bool          `help:"Only try: put it into a temporary folder, check everything, remove it again."`
	Temp        string        `placeholder:"DIR" help:"Where --drill makes its folder (default: the system's)."`
	Hold        time.Duration `default:"24h" placeholder:"D" help:"How long the restored server waits, after the first device came, for the others to give back what came after the backup (default 24h)."`
	Finish      bool          `help:"With --data: end that wait now, also while the server runs."`
	NewLog      bool          `name:"new-log" help:"With --data, of a stopped server: begin a log under a new name, because nobody has the end of the old one any more. Everybody has to accept it."`
	OperatorKey string        `placeholder:"FILE" help:"With --drill: the operator's key, if it is not in the backup."`
	backupSecret
}

// Run restores or drills.
func (k *restoreCommand) Run(e *env) error {
	switch {
	case k.NewLog && (k.Drill || k.Finish || k.Data == "" || k.File != ""):
		return usagef("put the backup back, have people come and give back what they have, stop the server, then: huis restore --new-log --data DIR", "--new-log needs the server's folder and nothing else")
	case k.NewLog:
		return k.newLog(e)
	case k.Finish && (k.Drill || k.Data == "" || k.File != ""):
		return usagef("huis restore --finish --data DIR", "--finish needs the server's folder and nothing else")
	case k.Finish:
		return backup.Finish(e.ctx, k.Data)
	case k.File == "":
		return usagef("huis restore FILE --data DIR", "name the backup")
	case k.Hold < 0 || k.Hold > 30*24*time.Hour:
		return usagef("a day is --hold 24h", "a server waits at most 30 days")
	}
	if k.Drill == (k.Data != "") {
		return usagef("--data DIR puts it back, --drill only tries", "say what to do with the backup: one of --data and --drill")
	}
	s, err := k.secret(e, false)
	if err != nil {
		return err
	}
	if k.Drill {
		return k.drill(e, s)
	}
	data, err := filepath.Abs(k.Data)
	if err != nil {
		return err
	}
	r, err := backup.Restore(e.ctx, k.File, data, s, k.Hold)
	if err != nil {
		return err
	}
	if !r.OperatorKey {
		e.note("huis: note: the operator's key is not in the backup: start with --operator-key FILE")
	}
	return e.print(r, "the backup of %s is in %s, %d files, in %.1f s\nhuis serve --data %s begins with taking back from everybody's devices what came after it", r.Made, r.Data, r.Blobs, r.Seconds, k.Data)
}

func (k *restoreCommand) newLog(e *env) error {
	unlock, err := serve.LockFolder(k.Data)
	if err != nil {
		return err
	}
	name, err := backup.NewLog(e.ctx, k.Data)
	if err := errors.Join(err, unlock()); err != nil {
		return err
	}
	e.note("huis: note: every device stops taking new keys until its person has compared the new log's fingerprint with you, by another way than this server, and said: huis log accept FINGERPRINT")
	return e.print(struct {
		Log string `json:"log"`
	}{name}, "the server's next start begins the log %s and prints its fingerprint", name)
}

func (k *restoreCommand) drill(e *env, s backup.Secret) error {
	r, err := backup.Drill(e.ctx, k.File, k.Temp, k.OperatorKey, s)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("the backup of %s, %d files, in %.1f s", r.Made, r.Blobs, r.Seconds)
	for _, c := range r.Checks {
		text += fmt.Sprintf("\n  %-32s %8d  %s", c.Name, c.Count, outcome(c.Error))
	}
	if err := e.print(r, "%s", text); err != nil {
		return err
	}
	if !r.OK {
		return &hinted{errors.New("this backup cannot be relied on"), "make another at once, while the server runs; check the disk it came from"}
	}
	return nil
}

func outcome(err string) string {
	if err == "" {
		return "ok"
	}
	return "FAILED: " + err
}
