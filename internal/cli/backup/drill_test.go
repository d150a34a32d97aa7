package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/cli/serve"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/blobdir"
	"codeberg.org/huis/huis/internal/delivery/store/sqlite"
	"codeberg.org/huis/huis/internal/proto"
)

// folder is a data folder with one file of three parts, changed by harm.
func folder(t *testing.T, harm func(*sqlite.Store, proto.BlobID, string)) string {
	t.Helper()
	dir := t.TempDir()
	key := store.NewOperatorKey()
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	files, err := blobdir.Open(filepath.Join(dir, blobsFolder))
	if err != nil {
		t.Fatal(err)
	}
	id, content := proto.New[proto.BlobID](), make([]byte, 100)
	owner := proto.New[proto.ConversationID]()
	err = errors.Join(os.WriteFile(filepath.Join(dir, operatorFile), key[:], 0o600),
		db.BeginBlob(t.Context(), store.Blob{ID: id, Owner: &owner, Size: 100, Hash: sha256.Sum256(content)}, 1, math.MaxInt64),
		files.PutPart(id, 100, 0, content), files.Finish(id, 100, sha256.Sum256(content)), db.FinishBlob(t.Context(), id))
	if err != nil {
		t.Fatal(err)
	}
	h := id.Hex()
	harm(db, id, filepath.Join(dir, blobsFolder, h[:2], h))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func drilled(t *testing.T, dir string) Report {
	t.Helper()
	to := filepath.Join(t.TempDir(), "backup")
	if _, err := Make(t.Context(), Config{Data: dir, To: to, Secret: key(1), Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	r, err := Drill(t.Context(), to, temp, "", key(1))
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Error("the drill left its folder")
	}
	return r
}

// TestDrillFindsWhatIsWrong: each harm is found by the check named, and a folder
// without harm has none.
func TestDrillFindsWhatIsWrong(t *testing.T) {
	for want, harm := range map[string]func(*sqlite.Store, proto.BlobID, string){
		"": func(*sqlite.Store, proto.BlobID, string) {},
		"files": func(_ *sqlite.Store, _ proto.BlobID, path string) {
			os.WriteFile(path, make([]byte, 99), 0o600)
		},
		"accounts' chains": func(db *sqlite.Store, _ proto.BlobID, _ string) {
			token := proto.New[proto.Token]().Hash()
			err := db.AddInvite(t.Context(), store.Invite{Token: token, Uses: 1, Expires: 9})
			_, err2 := db.CreateAccount(t.Context(), token, 1, store.Account{ID: proto.AccountID{1}, Handle: []byte{1}}, [][]byte{{1}}, nil)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
		},
		"log of the accounts": func(db *sqlite.Store, _ proto.BlobID, _ string) {
			if err := db.AddEpoch(t.Context(), store.LogEpoch{Record: []byte{1}, Batch: []byte{0}}); err != nil {
				t.Fatal(err)
			}
		},
		"operator's key and stamp keys": func(db *sqlite.Store, _ proto.BlobID, _ string) {
			if err := db.AddStampKey(t.Context(), store.StampKey{Sealed: make([]byte, 72)}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		r := drilled(t, folder(t, harm))
		if r.OK != (want == "") {
			t.Errorf("%q: ok is %v", want, r.OK)
		}
		for _, c := range r.Checks {
			if (c.Error != "") != (c.Name == want) {
				t.Errorf("%q: %s: %q", want, c.Name, c.Error)
			}
		}
	}
}

// A file the clean-up removed while the backup was made is taken out of it.
func TestAFileThatWentMeanwhile(t *testing.T) {
	r := drilled(t, folder(t, func(_ *sqlite.Store, _ proto.BlobID, path string) { os.Remove(path) }))
	if !r.OK || r.Blobs != 0 {
		t.Errorf("%+v", r)
	}
}

// A restore that fails leaves the folder as it was; one that succeeds marks it.
func TestRestoreIsWholeOrNothing(t *testing.T) {
	dir := folder(t, func(*sqlite.Store, proto.BlobID, string) {})
	to := filepath.Join(t.TempDir(), "backup")
	if _, err := Make(t.Context(), Config{Data: dir, To: to, Secret: key(1), Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(cut, b[:len(b)-chunkLen/2], 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	if _, err := Restore(t.Context(), cut, data, key(1), time.Hour); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if held, _ := os.ReadDir(data); len(held) > 0 {
		t.Error("something was left")
	}
	if _, err := Restore(t.Context(), to, data, key(1), time.Hour); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(data, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v, err := db.Setting(t.Context(), store.SettingRestored)
	if r, ok := store.ParseRestored(v); err != nil || !ok || r.Hold != time.Hour {
		t.Error("it is not marked", err)
	}
}

// TestEveryFileOfAServerIsThoughtOf: what a server keeps is in its backup, or
// stands in the list of what is not.
func TestEveryFileOfAServerIsThoughtOf(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	ready, ended := make(chan bool, 1), make(chan error, 1)
	go func() {
		ended <- serve.Run(ctx, serve.Config{Data: dir, Listen: "127.0.0.1:0", Event: func(e serve.Event) {
			if e.Event == "ready" {
				ready <- true
			}
		}})
	}()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	held, err := os.ReadDir(dir)
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		t.Fatal(err)
	}
	known := slices.Concat(small, left, []string{databaseFile, blobsFolder})
	for _, f := range held {
		if !slices.Contains(known, f.Name()) {
			t.Errorf("%s is neither backed up nor left out", f.Name())
		}
	}
	if len(held) < 6 {
		t.Errorf("only %d files", len(held))
	}
}
