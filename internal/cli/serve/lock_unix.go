//go:build unix

package serve

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock holds path for this process until unlock; the system lets go of it when
// the process ends, however it ends. It does not wait: errLocked says that
// another process holds it.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if err == unix.EWOULDBLOCK {
			return nil, errLocked
		}
		return nil, err
	}
	return f.Close, nil
}

// noCoreDumps keeps keys in memory from being written to disk at a crash.
func noCoreDumps() error {
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
