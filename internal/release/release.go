// Package release is a folder of files that are given out as one version of the
// program: its sums, who signed them, and what is in them. Start with Make, which
// writes SHA256SUMS and the list of modules; Sign adds the signature; Open reads
// such a folder, and File checks one file of it. It opens no connection: that a
// log holds a release is for the caller to ask.
package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"codeberg.org/huis/huis/kt"
)

// The names of what is in a release besides its files.
const (
	SumsFile = "SHA256SUMS"      // as sha256sum writes and checks it, sorted by name
	NoteFile = "SHA256SUMS.note" // the same text as a signed note (C2SP signed-note)
	BOMFile  = "huis.cdx.json"   // the modules in the programs (CycloneDX 1.6)
)

// maxSums bounds the sums, in bytes.
const maxSums = 1 << 20

// ErrDiffers is in the chain of errors of files that are not what the sums say.
var ErrDiffers = errors.New("not what was released")

// Release is a folder that was opened.
type Release struct {
	Dir  string
	Text []byte            // of SumsFile
	Sum  kt.Hash           // SHA-256 of Text: what a log holds
	Sums map[string]string // file to SHA-256, lower-case hex
	Note []byte            // nil if nobody signed
}

// Make writes the list of modules and the sums of everything in a folder of
// programs, the same bytes each time.
func Make(dir string) (*Release, error) {
	names, err := files(dir)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no files", dir)
	}
	bom, err := billOfMaterials(dir, names)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, BOMFile), bom, 0o644); err != nil {
		return nil, err
	}
	names = append(names, BOMFile)
	slices.Sort(names)
	var text bytes.Buffer
	for _, name := range names {
		sum, err := sumOf(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&text, "%s  %s\n", sum, name)
	}
	if err := os.WriteFile(filepath.Join(dir, SumsFile), text.Bytes(), 0o644); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(dir, NoteFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // it would be of other sums
	}
	return Open(dir)
}

// files are the programs in a folder, without what Make and Sign write.
func files(dir string) (names []string, err error) {
	all, err := os.ReadDir(dir)
	for _, f := range all {
		if n := f.Name(); f.Type().IsRegular() && n != SumsFile && n != NoteFile && n != BOMFile {
			names = append(names, n)
		}
	}
	return names, err
}

// Sign writes the sums as a note signed by key, in place of another.
func (r *Release) Sign(key *kt.NoteSigner) error {
	r.Note = key.SignNote(string(r.Text))
	return os.WriteFile(filepath.Join(r.Dir, NoteFile), r.Note, 0o644)
}

// Open reads the sums of a folder, and their note if there is one. The files are
// not checked.
func Open(dir string) (*Release, error) {
	text, err := limited(filepath.Join(dir, SumsFile))
	if err != nil {
		return nil, err
	}
	r := &Release{Dir: dir, Text: text, Sum: sha256.Sum256(text)}
	if r.Sums, err = parse(string(text)); err != nil {
		return nil, err
	}
	r.Note, err = limited(filepath.Join(dir, NoteFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return r, err
}

func limited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSums+1))
	if err == nil && len(b) > maxSums {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxSums)
	}
	return b, err
}

// parse reads sums: names without folders, in order, each once.
func parse(text string) (map[string]string, error) {
	sums := make(map[string]string)
	last := ""
	for line := range strings.Lines(text) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		b, err := hex.DecodeString(sum)
		if !ok || err != nil || len(b) != sha256.Size || sum != strings.ToLower(sum) || !strings.HasSuffix(line, "\n") ||
			name <= last || name == ".." || name == "." || strings.ContainsAny(name, `/\`) {
			return nil, fmt.Errorf("%s is malformed", SumsFile)
		}
		sums[name], last = sum, name
	}
	if len(sums) == 0 {
		return nil, fmt.Errorf("%s is empty", SumsFile)
	}
	return sums, nil
}

// SignedBy tells why the sums are not those that key signed, nil if they are.
func (r *Release) SignedBy(key kt.NoteKey) error {
	if r.Note == nil {
		return fmt.Errorf("%w: there is no %s", ErrDiffers, NoteFile)
	}
	text, err := kt.VerifyNote(r.Note, key)
	if err != nil {
		return fmt.Errorf("%w: %s is not signed by %s", ErrDiffers, NoteFile, key.Name)
	}
	if text != string(r.Text) {
		return fmt.Errorf("%w: %s and %s are of two releases", ErrDiffers, SumsFile, NoteFile)
	}
	return nil
}

// Check compares a file of the folder with its sum.
func (r *Release) Check(name string) error {
	want, ok := r.Sums[name]
	if !ok {
		return fmt.Errorf("%w: %s does not name %s", ErrDiffers, SumsFile, name)
	}
	sum, err := sumOf(filepath.Join(r.Dir, name))
	if err == nil && sum != want {
		err = fmt.Errorf("%w: %s is another file", ErrDiffers, name)
	}
	return err
}

// Present are the files of the sums that the folder has: who fetched one program
// need not have the others.
func (r *Release) Present() (names []string, err error) {
	for name := range r.Sums {
		_, err := os.Stat(filepath.Join(r.Dir, name))
		if err == nil {
			names = append(names, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	slices.Sort(names)
	return names, nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Key is who signs the releases of this program, as kt.NoteKey.LogText writes
// it; "" if it was not linked in.
var Key string
