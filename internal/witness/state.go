package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"codeberg.org/huis/huis/kt"
)

// state is what a witness remembers of one log. Immutable.
type state struct {
	Log        kt.NoteKey
	Head       kt.TreeHead // Size 0: nothing cosigned yet
	Checkpoint []byte      // signed note of Head; empty at size 0
}

// advance returns the state after a checkpoint whose signature is verified.
func (s *state) advance(old uint64, proof []kt.Hash, head kt.TreeHead, checkpoint []byte) (*state, error) {
	if old != s.Head.Size {
		return nil, &ConflictError{Size: s.Head.Size}
	}
	if head.Size == old && old > 0 {
		if head.Root != s.Head.Root {
			return nil, &ConflictError{Size: s.Head.Size}
		}
		return s, nil
	}
	before := s.Head.Root
	if old == 0 {
		before = kt.Frontier{}.Root()
	}
	if err := kt.CheckConsistency(proof, old, before, head.Size, head.Root); err != nil {
		return nil, ErrProof
	}
	return &state{Log: s.Log, Head: head, Checkpoint: bytes.Clone(checkpoint)}, nil
}

const suffix = ".log"

func fileOf(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:16]) + suffix
}

// save is durable when it returns: before the cosignature leaves, whatever
// happens to the process or the machine after it.
func (s *state) save(dir string) error {
	file := append([]byte(s.Log.LogText()+"\n"), s.Checkpoint...)
	return writeDurably(filepath.Join(dir, fileOf(s.Log.Name)), file)
}

func writeDurably(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// load reads all states of a folder, making it if needed.
func load(dir string) (map[string]*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	states := map[string]*state{}
	files, err := fs.Glob(os.DirFS(dir), "*"+suffix)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		s, err := parse(b)
		if err != nil || fileOf(s.Log.Name) != name {
			return nil, fmt.Errorf("witness: %s is damaged; a witness that forgot what it signed must not go on: start a new one under a new name", filepath.Join(dir, name))
		}
		states[s.Log.Name] = s
	}
	return states, nil
}

func parse(b []byte) (*state, error) {
	key, checkpoint, _ := strings.Cut(string(b), "\n")
	log, err := kt.ParseLogKey(key)
	if err != nil || checkpoint == "" {
		return &state{Log: log}, err
	}
	signed, err := kt.VerifyCheckpoint([]byte(checkpoint), log, nil)
	return &state{Log: log, Head: signed.TreeHead, Checkpoint: []byte(checkpoint)}, err
}

// keepConflict writes down a checkpoint that the log signed for the size this
// witness stands at, with another root: the log's own proof of a split view.
func (w *Witness) keepConflict(s *state, head kt.TreeHead, checkpoint []byte) {
	if head.Size != s.Head.Size || head.Root == s.Head.Root || head.Size == 0 {
		return
	}
	proof := kt.SplitView{A: kt.Sighting{Checkpoint: s.Checkpoint}, B: kt.Sighting{Checkpoint: checkpoint}}
	name := filepath.Join(w.Dir, strings.TrimSuffix(fileOf(s.Log.Name), suffix)+".evidence")
	if _, err := os.Stat(name); err == nil {
		return // the first proof is enough
	}
	// What cannot be written is not missed: the refusal stands by itself.
	_ = writeDurably(name, proof.Armored(s.Log))
}
