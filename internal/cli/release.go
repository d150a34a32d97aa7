package cli

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/release"
	"codeberg.org/huis/huis/kt"
)

type releaseCommands struct {
	Key     releaseKey     `cmd:"" help:"Make the key that signs releases; keep FILE where the releases are made, and nowhere else."`
	Make    releaseMake    `cmd:"" help:"Write the sums of a folder of programs, the list of what is in them, and with --key the signature."`
	Publish releasePublish `cmd:"" help:"Enter a release into the log of your server (admins of the server)."`
}

type releaseKey struct {
	Name string `arg:"" help:"What the key is called, such as a domain and a year: huis.example/2026."`
	File string `arg:"" help:"A new file for the secret half."`
}

// Run makes a key.
func (k *releaseKey) Run(e *env) error {
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return err
	}
	key, err := kt.NewNoteSigner(k.Name, seed[:])
	if err != nil {
		return &hinted{err, "a name without spaces and plus signs"}
	}
	f, err := os.OpenFile(k.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &hinted{err, "name a file that does not exist"}
	}
	_, err = fmt.Fprintf(f, "%s %s\n", k.Name, base64.StdEncoding.EncodeToString(seed[:]))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	text := key.Public().LogText()
	return e.print(struct {
		Key  string `json:"key"`
		File string `json:"file"`
	}{text, k.File}, "%s", text)
}

func readReleaseKey(file string) (*kt.NoteSigner, error) {
	wrong := &hinted{fmt.Errorf("%s is not a key that signs releases", file), "huis release key NAME FILE makes one"}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, &hinted{err, wrong.hint}
	}
	name, secret, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	seed, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		return nil, wrong
	}
	key, err := kt.NewNoteSigner(name, seed)
	if err != nil {
		return nil, wrong
	}
	return key, nil
}

type releaseMake struct {
	Dir string `arg:"" help:"The folder of the programs."`
	Key string `name:"key" placeholder:"FILE" help:"Sign with this key."`
}

// releaseMade is what it prints for a program.
type releaseMade struct {
	Dir   string `json:"dir"`
	Sum   string `json:"sum"` // of SHA256SUMS
	Files int    `json:"files"`
	Key   string `json:"key"` // "" if it is not signed
}

// Run writes the sums.
func (k *releaseMake) Run(e *env) error {
	r, err := release.Make(k.Dir)
	if err != nil {
		return &hinted{err, "make release builds the programs"}
	}
	made := releaseMade{Dir: k.Dir, Sum: r.Sum.Hex(), Files: len(r.Sums)}
	signed := "not signed"
	if k.Key != "" {
		key, err := readReleaseKey(k.Key)
		if err != nil {
			return err
		}
		if err := r.Sign(key); err != nil {
			return err
		}
		made.Key = key.Public().LogText()
		signed = "signed by " + made.Key
	}
	return e.print(made, "%d files, %s of %s, %s", made.Files, release.SumsFile, made.Sum, signed)
}

type releasePublish struct {
	Dir string `arg:"" help:"The folder with SHA256SUMS."`
}

// Run enters the sums into the log and waits until they stand there.
func (k *releasePublish) Run(e *env) error {
	r, err := release.Open(k.Dir)
	if err != nil {
		return &hinted{err, "make release writes it"}
	}
	return e.with(func(c *client.Client, stale error) error {
		if err := c.PublishRelease(e.ctx, r.Sum); err != nil {
			return err
		}
		return e.print(releaseMade{Dir: k.Dir, Sum: r.Sum.Hex(), Files: len(r.Sums)}, "The log of %s holds it: %s", printable(c.Server().URL), r.Sum.Hex())
	})
}

type verifyReleaseCommand struct {
	Path string `arg:"" help:"A program of a release, with SHA256SUMS and SHA256SUMS.note beside it, or the folder of them."`
	URL  string `arg:"" optional:"" help:"The server whose log holds the releases (default: yours); with a fingerprint after # if no authority vouches for it."`
	Key  string `name:"key" placeholder:"KEY" help:"Who signs the releases (default: who signed this program)."`
}

// releaseVerified is what it prints for a program.
type releaseVerified struct {
	Path      string   `json:"path"`
	Files     []string `json:"files"` // that were compared
	Sum       string   `json:"sum"`
	Signer    string   `json:"signer"`
	Server    string   `json:"server"`
	Logged    bool     `json:"logged"`
	Witnessed bool     `json:"witnessed"` // as the log's policy wants
}

// Run checks the files, the signature and the log, and stops for safety at the
// first that is not as it has to be.
func (k *verifyReleaseCommand) Run(e *env) error {
	key, err := k.signer()
	if err != nil {
		return err
	}
	r, names, err := k.open()
	if err != nil {
		return &hinted{err, "put SHA256SUMS and SHA256SUMS.note of the release beside the program"}
	}
	v := releaseVerified{Path: k.Path, Sum: r.Sum.Hex(), Signer: key.LogText(), Files: names}
	if err := r.SignedBy(key); err != nil {
		return k.stop(err)
	}
	for _, name := range names {
		if err := r.Check(name); err != nil {
			return k.stop(err)
		}
	}
	if err := k.log(e, r, &v); err != nil {
		return errors.Join(e.printIfJSON(v), err)
	}
	return e.print(v, "Released: %s\nsigned by %s, in the log of %s, vouched for as that log's policy says.", strings.Join(names, ", "), v.Signer, printable(v.Server))
}

func (k *verifyReleaseCommand) signer() (kt.NoteKey, error) {
	text := k.Key
	if text == "" {
		text = release.Key
	}
	if text == "" {
		return kt.NoteKey{}, &hinted{errors.New("this program does not know who signs its releases"), "get the key by a way you trust and name it: --key KEY"}
	}
	key, err := kt.ParseLogKey(text)
	if err != nil {
		return key, &hinted{err, "a key looks like NAME+HASH+KEY; huis release key prints it"}
	}
	return key, nil
}

// open gives the release of the path, and which of its files are meant.
func (k *verifyReleaseCommand) open() (*release.Release, []string, error) {
	info, err := os.Stat(k.Path)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		r, err := release.Open(filepath.Dir(k.Path))
		return r, []string{filepath.Base(k.Path)}, err
	}
	r, err := release.Open(k.Path)
	if err != nil {
		return nil, nil, err
	}
	names, err := r.Present()
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s has none of the files of %s", k.Path, release.SumsFile)
	}
	return r, names, err
}

func (k *verifyReleaseCommand) stop(err error) error {
	if !errors.Is(err, release.ErrDiffers) {
		return err
	}
	return &client.SafetyError{Reason: printable(k.Path) + ": " + printable(err.Error()), Fix: "do not run it; fetch it again, by another way, and tell who gave it to you"}
}

// log asks the log that was named, as anybody does, or that of the profile's
// server, which this device has checked from its first entry.
func (k *verifyReleaseCommand) log(e *env, r *release.Release, v *releaseVerified) error {
	fix := "do not run it: what is given to everybody stands in a log; ask, by another way, whether others are given the same"
	if k.URL == "" {
		return k.ownLog(e, r, v, fix)
	}
	ref, err := client.ParseServerRef(k.URL)
	if err != nil {
		return &hinted{err, "name it as a browser opens it: https://HOST[:PORT]"}
	}
	a, err := askLog(e, ref, kt.ReleaseLabel(kt.ProductProgram, r.Sum), r.Sum, fix)
	if err != nil {
		return err
	}
	v.Server, v.Logged, v.Witnessed = ref.URL, a.Holds, a.Holds && a.Vouched
	return v.judge(fix)
}

func (k *verifyReleaseCommand) ownLog(e *env, r *release.Release, v *releaseVerified, fix string) error {
	c, err := e.open()
	if errors.Is(err, client.ErrNoProfile) {
		return &hinted{errors.New("no log was asked"), "name the server whose log holds the releases: huis verify-release " + k.Path + " URL"}
	}
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // only read
	found, err := c.CheckProgramRelease(e.ctx, r.Sum)
	if err != nil {
		return err
	}
	v.Server, v.Logged, v.Witnessed = c.Server().URL, found != client.ReleaseUnlogged, found == client.ReleaseGood
	return v.judge(fix)
}

// judge stops for safety unless the log vouches for the release.
func (v *releaseVerified) judge(fix string) error {
	switch {
	case !v.Logged:
		return &client.SafetyError{Reason: fmt.Sprintf("%s is signed, and the log of %s does not hold it", printable(v.Path), printable(v.Server)), Fix: fix}
	case !v.Witnessed:
		return &client.SafetyError{Reason: fmt.Sprintf("%s is in the log of %s, and the log's witnesses do not vouch for that", printable(v.Path), printable(v.Server)), Fix: "wait an hour and try again; " + fix}
	}
	return nil
}
