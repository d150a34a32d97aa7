package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

// both is the store under test and the plain model; whatever is done to one is
// done to the other, and both must say the same.
type both struct {
	*rapid.T
	ctx   context.Context
	path  string
	s     *Store
	model *mem.Store
	world *storetest.World
	chats []storetest.Conversation
	epoch map[proto.ConversationID]uint64
	sent  []*proto.Entry
	delta map[*proto.Entry]proto.KeyDelta
}

// same runs f on both and compares what came out.
func same[R any](b *both, what string, f func(store.Store) (R, error)) (R, error) {
	b.Helper()
	want, wantErr := f(b.model)
	got, err := f(b.s)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) || err == nil && fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		b.Fatalf("%s: %+v, %v; the model says %+v, %v", what, got, err, want, wantErr)
	}
	return got, err
}

func (b *both) chat() storetest.Conversation { return rapid.SampledFrom(b.chats).Draw(b.T, "chat") }

func (b *both) key(c storetest.Conversation) storetest.Key {
	return c.Keys[rapid.IntRange(0, len(c.Keys)-1).Draw(b.T, "key")]
}

// near is an epoch around the present one.
func (b *both) near(c storetest.Conversation) uint64 {
	now := b.epoch[c.ID]
	return now + 1 - min(now, rapid.SampledFrom([]uint64{1, 1, 1, 1, 0, 2, 3, 5}).Draw(b.T, "behind"))
}

func (b *both) create(*rapid.T) {
	token := proto.New[proto.Token]().Hash()
	same(b, "token", func(s store.Store) (int, error) {
		return 0, s.AddToken(b.ctx, token, store.DayOf(b.world.Now)+1)
	})
	c := storetest.Conversation{ID: proto.New[proto.ConversationID]()}
	var members []proto.MemberKey
	for range rapid.IntRange(1, 4).Draw(b.T, "members") {
		c.Keys = append(c.Keys, storetest.NewKey())
		members = append(members, c.Keys[len(c.Keys)-1].MK())
	}
	e := storetest.CreateEntry(c.ID, c.Keys[0], members, &proto.Extra{})
	_, err := same(b, "create", func(s store.Store) (store.Accepted, error) {
		return s.Create(b.ctx, token, members, b.world.Submission(e), b.world.Attached(), nil)
	})
	if err == nil {
		b.chats, b.epoch[c.ID] = append(b.chats, c), 1
	}
}

func (b *both) append(*rapid.T) {
	c := b.chat()
	e := storetest.Application(c.ID, b.key(c), b.near(c), make([]byte, rapid.IntRange(0, 5000).Draw(b.T, "size")))
	b.submit(e)
	b.sent = append(b.sent, e)
}

func (b *both) submit(e *proto.Entry) {
	sub := b.world.Submission(e)
	sub.Recent = uint64(rapid.IntRange(0, 3).Draw(b.T, "recent"))
	same(b, "append", func(s store.Store) (store.Accepted, error) { return s.Append(b.ctx, sub) })
}

func (b *both) leave(*rapid.T) {
	c := b.chat()
	sub := b.world.Submission(storetest.NoticeEntry(c.ID, b.key(c), b.epoch[c.ID], proto.Notice{Type: proto.NoticeLeave}))
	sub.Leave = true
	same(b, "leave", func(s store.Store) (store.Accepted, error) { return s.Append(b.ctx, sub) })
}

func (b *both) commit(*rapid.T) {
	c := b.chat()
	var d proto.KeyDelta
	if rapid.Bool().Draw(b.T, "add") {
		k := storetest.NewKey()
		d.Adds = []proto.MemberKey{k.MK()}
		c.Keys = append(c.Keys, k)
	}
	if rapid.Bool().Draw(b.T, "remove") {
		d.Removes = []proto.MemberKey{b.key(c).MK()}
	}
	if rapid.Bool().Draw(b.T, "replace") {
		k := storetest.NewKey()
		d.Replace = new(proto.MemberKey)
		*d.Replace = k.MK()
		c.Keys = append(c.Keys, k)
	}
	for i := range b.chats {
		if b.chats[i].ID == c.ID {
			b.chats[i] = c
		}
	}
	e := storetest.CommitEntry(c.ID, b.key(c), b.near(c), d, &proto.Extra{})
	b.delta[e] = d
	b.sent = append(b.sent, e)
	b.submitCommit(e)
}

func (b *both) submitCommit(e *proto.Entry) {
	a, err := same(b, "commit", func(s store.Store) (store.Accepted, error) {
		return s.Commit(b.ctx, b.world.Submission(e), b.delta[e], b.world.Attached())
	})
	if err == nil && !a.Known {
		b.epoch[e.Conversation]++
	}
}

// again sends what was sent before, also what was refused then.
func (b *both) again(t *rapid.T) {
	if len(b.sent) == 0 {
		t.Skip("nothing was sent")
	}
	e := rapid.SampledFrom(b.sent).Draw(b.T, "sent")
	if e.Kind == proto.KindCommit {
		b.submitCommit(e)
	} else {
		b.submit(e)
	}
}

func (b *both) read(*rapid.T) {
	c := b.chat()
	mk, after := b.key(c).MK(), uint64(rapid.IntRange(0, 20).Draw(b.T, "after"))
	most, size := rapid.IntRange(1, 30).Draw(b.T, "max"), rapid.IntRange(1, 20000).Draw(b.T, "bytes")
	r, err := same(b, "read", func(s store.Store) (store.Reading, error) {
		r, err := s.Read(b.ctx, c.ID, mk, after, most, size)
		return store.Reading{Head: r.Head, Epoch: r.Epoch, Entries: r.Entries}, err
	})
	if err == nil {
		storetest.CheckChain(b.world.T, r.Entries, b.world.Stamp.Public())
	}
	same(b, "member", func(s store.Store) (store.Member, error) { return s.Member(b.ctx, c.ID, mk) })
}

func (b *both) wait(*rapid.T) {
	b.world.Now = b.world.Now.Add(rapid.SampledFrom([]time.Duration{time.Minute, 2 * time.Minute, 24 * time.Hour, 20 * 24 * time.Hour, -time.Hour}).Draw(b.T, "wait"))
}

func (b *both) clean(*rapid.T) {
	same(b, "clean", func(s store.Store) (int, error) {
		// Twice: a log without entries goes with the second.
		for range 2 {
			if err := s.Clean(b.ctx, b.world.Now, store.Retention{Entries: 30}); err != nil {
				return 0, err
			}
		}
		return 0, nil
	})
}

// reopen is a restart; only the store under test has one.
func (b *both) reopen(*rapid.T) {
	if err := b.s.Close(); err != nil {
		b.Fatal(err)
	}
	s, err := Open(b.ctx, b.path)
	if err != nil {
		b.Fatal(err)
	}
	b.s = s
}

func TestSaysWhatTheModelSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		folder, err := os.MkdirTemp("", "huis-model")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(folder)
		b := &both{T: rt, ctx: context.Background(), path: filepath.Join(folder, "huis.db"), model: mem.New(),
			epoch: map[proto.ConversationID]uint64{}, delta: map[*proto.Entry]proto.KeyDelta{}}
		if b.s, err = Open(b.ctx, b.path); err != nil {
			rt.Fatal(err)
		}
		defer func() { b.s.Close() }()
		b.world = storetest.NewWorld(t, b.s)
		b.create(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"create": b.create, "append": b.append, "leave": b.leave, "commit": b.commit, "again": b.again,
			"read": b.read, "wait": b.wait, "clean": b.clean, "reopen": b.reopen,
			"append more": b.append, "commit more": b.commit, "commit still more": b.commit, "read more": b.read, "read still more": b.read,
		})
	})
}
