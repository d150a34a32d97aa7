package serve

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of a data folder:
//
//	huis.db, blobs/    the store
//	log/               the public log of the accounts' chains
//	lock               held by the running server
//	address.json       the address listened on last, so that :0 stays the same
//	first-invitation   the first invitation's secret, until somebody has joined
//	operator.key       seals the accounts' names (unless --operator-key)
//	witness/           what the witness inside remembers of peers' logs
//	tls/               the server's own key and certificate, or acme/
const (
	databaseFile   = "huis.db"
	blobsFolder    = "blobs"
	logFolder      = "log"
	witnessFolder  = "witness"
	lockFile       = "lock"
	addressFile    = "address.json"
	invitationFile = "first-invitation"
	operatorFile   = "operator.key"
	tlsFolder      = "tls"
)

// makeFolder makes the data folder if it is not there. It is the owner's alone,
// unless it was there and holds something that is not ours.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	held, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(held) > 0 && !exists(filepath.Join(dir, lockFile)) {
		return nil
	}
	return os.Chmod(dir, 0o700)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lastPort is the port listened on last, 0 if none is known.
func lastPort(dir string) int {
	var last struct{ Port int }
	b, err := os.ReadFile(filepath.Join(dir, addressFile))
	if err != nil || json.Unmarshal(b, &last) != nil || last.Port < 1 || last.Port > 65535 {
		return 0
	}
	return last.Port
}

func rememberPort(dir string, port int) error {
	if port == lastPort(dir) {
		return nil
	}
	b, err := json.Marshal(struct{ Port int }{port})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, addressFile), b)
}

// readSecret reads the n bytes at path, or nil if there is no such file.
func readSecret(path string, n int) ([]byte, error) {
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case len(b) != n:
		return nil, &damaged{path}
	}
	return b, nil
}

// writeFile puts b at path for the owner alone, whole or not at all, and durable
// on return.
func writeFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// damaged says that a file of the data folder cannot be used as it is.
type damaged struct{ path string }

func (d *damaged) Error() string { return filepath.Base(d.path) + " is damaged" }

// errLocked says that another process holds the data folder.
var errLocked = errors.New("another huis is running on this data folder")
