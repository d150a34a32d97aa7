package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"codeberg.org/huis/huis/internal/client"
)

// save writes attachment n of m into the folder, whole or not at all, and
// returns where. A file that is there with the same bytes is taken as it is, so
// that a second run saves nothing twice; one with other bytes is not touched.
func (r *reader) save(m client.Message, n int) (string, error) {
	if err := os.MkdirAll(r.Save, 0o700); err != nil {
		return "", err
	}
	a := m.Attachments[n]
	name := fileName(a.Name)
	for _, candidate := range []string{name, fmt.Sprintf("%.8s-%d-%s", m.ID, n, name)} {
		path := filepath.Join(r.Save, candidate)
		switch same, err := holds(path, a); {
		case err == nil && same:
			return path, nil
		case errors.Is(err, fs.ErrNotExist):
			return path, r.fetch(m, n, path)
		case err != nil:
			return "", err
		}
	}
	return "", &hinted{fmt.Errorf("%s holds other files of the name %s", r.Save, name), "save into an empty folder: --save DIR"}
}

// fileName makes the name a sender chose safe to create.
func fileName(name string) string {
	name = filepath.Base(filepath.FromSlash(strings.ReplaceAll(name, `\`, "/")))
	name = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimLeft(name, ".-")
	if name == "" {
		return "file"
	}
	return name
}

// holds tells whether path is a file with the attachment's bytes.
func holds(path string, a client.AttachmentInfo) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != a.Size {
		return false, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false, err
	}
	return hex.EncodeToString(h.Sum(nil)) == a.SHA256, nil
}

// fetch writes the attachment beside path and moves it there when it is whole.
func (r *reader) fetch(m client.Message, n int, path string) (err error) {
	part, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	defer func() {
		part.Close()
		os.Remove(part.Name())
	}()
	a, h := m.Attachments[n], sha256.New()
	bar := r.bar(a.Name, a.Size)
	defer bar.Finish()
	err = r.c.SaveAttachment(r.ctx, m.ID, n, io.MultiWriter(part, h), func(done int64) { bar.SetCurrent(done) })
	if err != nil {
		return fmt.Errorf("saving %s: %w", a.Name, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != a.SHA256 {
		return &client.SafetyError{Reason: "the bytes received for " + a.Name + " are not those its sender named", Fix: "ask the sender to send it again"}
	}
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return err
	}
	return r.c.Saved(r.ctx, m.ID, n, absolute(path))
}
