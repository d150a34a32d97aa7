package serve

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock holds path for this process until unlock; the system lets go of it when
// the process ends, however it ends. It does not wait: errLocked says that
// another process holds it.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	if err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped)); err != nil {
		f.Close()
		if err == windows.ERROR_LOCK_VIOLATION {
			return nil, errLocked
		}
		return nil, err
	}
	return f.Close, nil
}

// noCoreDumps has nothing to do: the system writes none unless told to.
func noCoreDumps() error { return nil }
