package httpapi

import (
	"bytes"
	"context"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// Bounds of the linking mailboxes, which live in memory alone.
const (
	mailboxLife     = 15 * time.Minute
	mailboxMessages = 256      // of one side
	mailboxBytes    = 16 << 20 // of one mailbox
	mailboxesBytes  = 64 << 20 // of all
	mailboxes       = 4096     // at once
	mailboxWait     = 25 * time.Second
)

// mailroom holds the one-time mailboxes over which two devices speak while one
// links the other (protocol.md, 8). What is in them is sealed with a code the
// server never sees.
type mailroom struct {
	now func() time.Time

	mu     sync.Mutex // guards what follows; every change of a box happens under it
	boxes  map[proto.MailboxID]*mailbox
	bytes  int           // of all boxes
	swept  time.Time     // when boxes were last looked through for old ones
	posted chan struct{} // closed and replaced at each post, into whatever box
}

type mailbox struct {
	sides [2][][]byte
	bytes int
	ends  time.Time
}

func newMailroom(now func() time.Time) *mailroom {
	return &mailroom{now: now, boxes: make(map[proto.MailboxID]*mailbox), posted: make(chan struct{})}
}

// post adds message number index (from 0) of a side. The same bytes at the same
// index again are accepted, so that a post may be repeated.
func (r *mailroom) post(id proto.MailboxID, side uint8, index uint32, sealed []byte) error {
	if side > 1 || len(sealed) == 0 {
		return proto.Refuse(proto.Malformed)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep()
	box := r.boxes[id]
	if box == nil {
		if len(r.boxes) >= mailboxes {
			return proto.RefuseWait(proto.Busy, 10*time.Second)
		}
		box = &mailbox{ends: r.now().Add(mailboxLife)}
	}
	messages := box.sides[side]
	switch n := uint32(len(messages)); {
	case index < n && bytes.Equal(messages[index], sealed):
		return nil
	case index < n:
		return proto.Refuse(proto.Exists)
	case index > n:
		return proto.Refuse(proto.Malformed)
	case len(sealed) > proto.MaxMailboxItem || len(messages) >= mailboxMessages || box.bytes+len(sealed) > mailboxBytes:
		return proto.Refuse(proto.TooLarge)
	case r.bytes+len(sealed) > mailboxesBytes:
		return proto.RefuseWait(proto.Busy, 10*time.Second)
	}
	r.boxes[id] = box
	box.sides[side] = append(messages, bytes.Clone(sealed))
	box.bytes += len(sealed)
	r.bytes += len(sealed)
	close(r.posted)
	r.posted = make(chan struct{})
	return nil
}

// fetch returns the messages of a side from number after on, at most max bytes
// of them unless the first alone is larger. With none it waits for one, at most
// wait, and then returns none.
func (r *mailroom) fetch(ctx context.Context, id proto.MailboxID, side uint8, after uint32, wait time.Duration, max int) ([][]byte, error) {
	if side > 1 {
		return nil, proto.Refuse(proto.Malformed)
	}
	deadline := time.NewTimer(min(wait, mailboxWait))
	defer deadline.Stop()
	for {
		found, posted := r.look(id, side, after, max)
		if len(found) > 0 {
			return found, nil
		}
		select {
		case <-posted:
		case <-deadline.C:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// look returns what is there, and the channel that the next post closes.
func (r *mailroom) look(id proto.MailboxID, side uint8, after uint32, max int) ([][]byte, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep()
	box := r.boxes[id]
	if box == nil {
		return nil, r.posted
	}
	var found [][]byte
	size := 0
	for _, m := range box.sides[side][min(int(after), len(box.sides[side])):] {
		if size += len(m); size > max && len(found) > 0 {
			break
		}
		found = append(found, m)
	}
	return found, r.posted
}

// sweep forgets the mailboxes whose time is over, once a second at most. The
// caller holds mu.
func (r *mailroom) sweep() {
	now := r.now()
	if now.Sub(r.swept).Abs() < time.Second {
		return
	}
	r.swept = now
	for id, box := range r.boxes {
		if now.After(box.ends) {
			r.bytes -= box.bytes
			delete(r.boxes, id)
		}
	}
}
