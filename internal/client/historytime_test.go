package client

import (
	"slices"
	"sync"
	"testing"

	"codeberg.org/huis/huis/internal/proto"
)

// lateHistory is a person's phone that has been linked and is up to date, but for
// the history: the old device's job of giving it is still to be done.
func lateHistory(t *testing.T) (old, phone *device, want []string) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	if _, err := alice.NewChat(t.Context(), "house", []string{"@bob"}); err != nil {
		t.Fatal(err)
	}
	bob.sync()
	alice.send("house", "before the phone")
	bob.sync()
	var promised []job
	bob.net.set(func(n *wireTo) {
		n.before = func(proto.Method) error { return bob.putOff(&promised) }
	})
	phone = w.further(bob, "phone")
	bob.net.set(func(n *wireTo) { n.before = nil })
	phone.sync()
	if held := phone.held("house"); len(held) != 0 || len(promised) != 1 {
		t.Fatalf("the phone has %q already, %d jobs were put off", held, len(promised))
	}
	err := bob.step(t.Context(), func(t *tx) error { t.addJob(promised[0]); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return bob, phone, []string{"alice: before the phone"}
}

// putOff takes the jobs of giving history away before they are done.
func (d *device) putOff(into *[]job) error {
	return d.step(d.w.t.Context(), func(t *tx) error {
		all, err := t.jobs()
		for _, j := range all {
			if j.Kind == jobHistory {
				*into = append(*into, j)
				t.del(j.key())
			}
		}
		return err
	})
}

func (d *device) own() proto.ConversationID {
	d.w.t.Helper()
	var id proto.ConversationID
	err := d.step(d.w.t.Context(), func(t *tx) (err error) {
		id, _, err = t.ownConversation()
		return err
	})
	if err != nil {
		d.w.t.Fatal(err)
	}
	return id
}

// TestHistoryComesWithItsHint: what the server hints at is enough, nobody waits
// for the next look at everything.
func TestHistoryComesWithItsHint(t *testing.T) {
	old, phone, want := lateHistory(t)
	old.sync()
	n := &news{kick: make(chan struct{}, 1)}
	n.conv(phone.own())
	if err := phone.catchUp(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if got := phone.held("house"); !slices.Equal(got[:min(1, len(got))], want) {
		t.Errorf("the phone has %q, want %q", got, want)
	}
}

// TestHistoryOutlastsARefusal: a server that cannot give the archive now gives it
// later.
func TestHistoryOutlastsARefusal(t *testing.T) {
	for _, code := range []proto.Code{proto.Unavailable, proto.Busy, proto.Throttled, proto.Restoring} {
		old, phone, want := lateHistory(t)
		old.sync()
		phone.net.set(func(n *wireTo) {
			n.before = func(m proto.Method) error {
				if m == proto.BlobGet {
					return &proto.Error{Code: code}
				}
				return nil
			}
		})
		_ = phone.Sync(t.Context()) // restoring fails all of it
		phone.net.set(func(n *wireTo) { n.before = nil })
		phone.sync()
		if got := phone.held("house"); !slices.Equal(got[:min(1, len(got))], want) {
			t.Errorf("after %v the phone has %q, want %q", code, got, want)
		}
	}
}

// TestHistoryIsGivenOnce although two parts of a program look after the jobs at
// the same time, as approving and following do.
func TestHistoryIsGivenOnce(t *testing.T) {
	old, phone, want := lateHistory(t)
	var mu sync.Mutex
	uploads := 0
	old.net.set(func(n *wireTo) {
		n.before = func(m proto.Method) error {
			if m == proto.BlobBegin {
				mu.Lock()
				uploads++
				mu.Unlock()
			}
			return nil
		}
	})
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := old.runJobs(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	phone.sync()
	if got := phone.held("house"); !slices.Equal(got[:min(1, len(got))], want) {
		t.Errorf("the phone has %q, want %q", got, want)
	}
	if uploads != 1 {
		t.Errorf("the history went up %d times", uploads)
	}
}
