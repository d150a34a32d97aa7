package sqlite

import (
	"context"
	"os"
	"sync"
	"time"
)

// fileLock excludes other goroutines by a channel and other processes by an
// advisory lock on a file.
type fileLock struct {
	file *os.File
	held chan struct{} // one token: whoever has put it may ask for the file's lock
}

func newFileLock(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &fileLock{file: f, held: make(chan struct{}, 1)}, nil
}

// pollEvery is how long a process waits between two tries for the file's lock:
// short against a step, which takes an fsync and often a round trip.
const pollEvery = 3 * time.Millisecond

func (l *fileLock) lock(ctx context.Context) (func(), error) {
	select {
	case l.held <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		ok, err := tryLockFile(l.file)
		if err != nil {
			<-l.held
			return nil, err
		}
		if ok {
			return sync.OnceFunc(func() { unlockFile(l.file); <-l.held }), nil
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			<-l.held
			return nil, ctx.Err()
		}
	}
}
