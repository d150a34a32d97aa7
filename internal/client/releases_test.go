package client

import (
	"crypto/sha256"
	"errors"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
)

// release enters what a name stands for as the server does.
func (w *world) release(name string) kt.Hash {
	w.t.Helper()
	sum := kt.Hash(sha256.Sum256([]byte(name)))
	if err := w.accounts.AddToLog(w.t.Context(), kt.KindRelease, kt.ReleaseLabel(kt.ProductWeb, sum), sum[:]); err != nil {
		w.t.Fatal(err)
	}
	return sum
}

func (d *device) checks(offered, used kt.Hash, want Release) {
	d.w.t.Helper()
	got, err := d.CheckWebRelease(d.w.t.Context(), offered, used)
	if err != nil || got != want {
		d.w.t.Errorf("the release is %d, %v; want %d", got, err, want)
	}
}

func TestOnlyLoggedReleasesAreTaken(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	old := w.release("old")
	alice.checks(old, old, ReleaseGood)
	alice.checks(kt.Hash{1}, old, ReleaseUnlogged)
	now := w.release("now")
	alice.checks(now, old, ReleaseGood)
	alice.checks(old, now, ReleaseOlder)
	alice.checks(now, kt.Hash{2}, ReleaseGood) // the one in use never was in the log
	w.release("later")
	alice.checks(now, now, ReleaseGood)
}

// TestReleasesNeedWitnesses: what only the server vouches for is not taken, what
// witnesses saw before they went away is.
func TestReleasesNeedWitnesses(t *testing.T) {
	w := newWatched(t, "w1", "w2")
	alice := w.admin(w.set(2, 0, 1))
	old := w.release("old")
	alice.checks(old, old, ReleaseGood)
	w.away(true)
	now := w.release("now")
	alice.checks(now, old, ReleaseUnvouched)
	alice.checks(old, old, ReleaseGood)
	w.away(false)
	w.release("later")
	alice.checks(now, old, ReleaseGood)
}

// TestAForgedReleaseIsALie: a server cannot make its log hold what it does not.
func TestAForgedReleaseIsALie(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	old, forged := w.release("old"), kt.Hash(sha256.Sum256([]byte("forged")))
	alice.net.set(func(n *wireTo) {
		n.tamper = func(m proto.Method, answer proto.Message) {
			if m == proto.LogEntry {
				answer.(*proto.LogEntryResponse).Values = [][]byte{forged[:]}
			}
		}
	})
	_, err := alice.CheckWebRelease(t.Context(), forged, old)
	var safety *SafetyError
	if !errors.As(err, &safety) {
		t.Fatalf("a forged release: %v", err)
	}
}
