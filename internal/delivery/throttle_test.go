package delivery

import (
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

func TestThrottleGivesBackWhatWasNotUsed(t *testing.T) {
	now := storetest.Now
	th := newThrottle[int](10*time.Second, 2)
	for range 50 {
		release, wait := th.take(now, 1)
		if wait != 0 {
			t.Fatalf("wait %v", wait)
		}
		release()
	}
	th.take(now, 1)
	th.take(now, 1)
	if _, wait := th.take(now, 1); wait != 10*time.Second {
		t.Errorf("wait %v", wait)
	}
	if _, wait := th.take(now, 2); wait != 0 {
		t.Error("one key's use counts for another")
	}
	if _, wait := th.take(now.Add(-24*time.Hour), 1); wait <= 0 || wait > 10*time.Second {
		t.Errorf("after the clock went back a day: wait %v", wait)
	}
	if _, wait := th.take(now.Add(10*time.Second), 1); wait != 0 {
		t.Errorf("after 10 s: wait %v", wait)
	}
}

func TestThrottlesForgetAndAreBounded(t *testing.T) {
	now := storetest.Now
	th := newThrottle[int](time.Second, 1)
	for i := range maxThrottled + 10 {
		th.take(now, i)
	}
	if len(th.m) > maxThrottled {
		t.Errorf("%d keys", len(th.m))
	}
	th.purge(now.Add(time.Minute))
	if len(th.m) != 0 {
		t.Errorf("%d keys after a minute", len(th.m))
	}
}

func TestWindowsKnowSeconds(t *testing.T) {
	w, id, now := newWindows(), proto.ConversationID{1}, storetest.Now
	w.ended(id, 1, now)
	w.ended(id, 2, now.Add(30*time.Second))
	for after, want := range map[time.Duration]uint64{0: 1, 59 * time.Second: 1, 60 * time.Second: 2, 89 * time.Second: 2, 90 * time.Second: 0} {
		if got := w.recent(id, now.Add(after)); got != want {
			t.Errorf("after %v: %d, want %d", after, got, want)
		}
	}
	if w.recent(proto.ConversationID{2}, now) != 0 {
		t.Error("another conversation's")
	}
	w.purge(now.Add(2 * time.Minute))
	if len(w.m) != 0 {
		t.Error("not forgotten")
	}
}
