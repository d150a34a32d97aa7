package httpapi

import (
	"context"
	"errors"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

type testClock struct{ t time.Time }

func (c *testClock) Now() time.Time { return c.t }

func room() (*mailroom, *testClock) {
	clock := &testClock{time.Unix(1_800_000_000, 0)}
	return newMailroom(clock.Now), clock
}

func TestAMailboxGivesEachSideTheOthersMessagesInOrder(t *testing.T) {
	r, _ := room()
	id := proto.New[proto.MailboxID]()
	for i, m := range []string{"one", "two", "three"} {
		if err := r.post(id, 0, uint32(i), []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.fetch(t.Context(), id, 0, 1, 0, 1<<20)
	if err != nil || len(got) != 2 || string(got[0]) != "two" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, _ := r.fetch(t.Context(), id, 1, 0, 0, 1<<20); got != nil {
		t.Errorf("the other side holds %q", got)
	}
	if got, _ := r.fetch(t.Context(), id, 0, 0, 0, 4); len(got) != 1 {
		t.Errorf("an answer of at most 4 bytes holds %q", got)
	}
}

func TestAMailboxTakesNoMessageTwice(t *testing.T) {
	r, _ := room()
	id := proto.New[proto.MailboxID]()
	for range 2 {
		if err := r.post(id, 0, 0, []byte("a")); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.post(id, 0, 0, []byte("b")); !errors.Is(err, proto.Exists) {
		t.Errorf("another message at a taken place: %v", err)
	}
	if err := r.post(id, 0, 2, []byte("c")); !errors.Is(err, proto.Malformed) {
		t.Errorf("a message after a gap: %v", err)
	}
	if err := r.post(id, 2, 0, []byte("d")); !errors.Is(err, proto.Malformed) {
		t.Errorf("a third side: %v", err)
	}
	if r.bytes != 1 {
		t.Errorf("%d bytes are held", r.bytes)
	}
}

func TestAFetchWaitsForThePost(t *testing.T) {
	r, _ := room()
	id := proto.New[proto.MailboxID]()
	got := make(chan [][]byte)
	go func() {
		m, _ := r.fetch(context.Background(), id, 1, 0, 10*time.Second, 1<<20)
		got <- m
	}()
	time.Sleep(10 * time.Millisecond)
	r.post(proto.New[proto.MailboxID](), 1, 0, []byte("elsewhere"))
	r.post(id, 1, 0, []byte("here"))
	if m := <-got; len(m) != 1 || string(m[0]) != "here" {
		t.Errorf("%q", m)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.fetch(ctx, id, 0, 0, time.Minute, 1<<20); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller that went away: %v", err)
	}
}

func TestMailboxesEndAfterAQuarterOfAnHour(t *testing.T) {
	r, clock := room()
	id := proto.New[proto.MailboxID]()
	r.post(id, 0, 0, []byte("a"))
	clock.t = clock.t.Add(mailboxLife + time.Second)
	if got, _ := r.fetch(t.Context(), id, 0, 0, 0, 1<<20); got != nil || r.bytes != 0 || len(r.boxes) != 0 {
		t.Errorf("%q is still held", got)
	}
}

func TestMailboxesAreBounded(t *testing.T) {
	r, _ := room()
	id := proto.New[proto.MailboxID]()
	large := make([]byte, proto.MaxMailboxItem)
	large[0] = 1
	var err error
	for i := uint32(0); err == nil && i < 1000; i++ {
		err = r.post(id, 0, i, large)
	}
	if !errors.Is(err, proto.TooLarge) || r.bytes > mailboxBytes {
		t.Errorf("one mailbox holds %d bytes: %v", r.bytes, err)
	}
	for err = nil; err == nil || errors.Is(err, proto.TooLarge); {
		id := proto.New[proto.MailboxID]()
		for i := uint32(0); err == nil; i++ {
			err = r.post(id, 1, i, large)
		}
		if errors.Is(err, proto.TooLarge) {
			err = nil
		}
	}
	if !errors.Is(err, proto.Busy) || r.bytes > mailboxesBytes {
		t.Errorf("all mailboxes hold %d bytes: %v", r.bytes, err)
	}
	few, _ := room()
	for range mailboxes {
		few.post(proto.New[proto.MailboxID](), 0, 0, []byte("a"))
	}
	if err := few.post(proto.New[proto.MailboxID](), 0, 0, []byte("a")); !errors.Is(err, proto.Busy) {
		t.Errorf("one mailbox too many: %v", err)
	}
}
