package delivery

import (
	"slices"
	"testing"

	"codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

// restored is a server with the same keys on an empty store, in a generation of
// its own: the worst backup there is.
func restored(r *rig) *rig {
	config := r.Config
	s := mem.New()
	keys, err := r.Store.StampKeys(r.ctx)
	r.must(err)
	for _, k := range keys {
		r.must(s.AddStampKey(r.ctx, k))
	}
	config.Store, config.NewGeneration = s, true
	service, err := Open(r.ctx, config)
	r.must(err)
	again := *r
	again.Service = service
	return &again
}

func (r *rig) give(id proto.ConversationID, all ...proto.Stamped) (*proto.GiveEntriesResponse, error) {
	return r.GiveEntries(r.ctx, &proto.GiveEntriesRequest{Conversation: id, Entries: all})
}

// eventful is a conversation in which everything has happened.
func eventful(r *rig) (storetest.Conversation, []proto.Stamped) {
	c := r.chat(3)
	for range 2 {
		_, err := r.send(c, c.Keys[0], 1)
		r.must(err)
	}
	added := storetest.NewKey()
	_, err := r.commit(c, c.Keys[0], 1, proto.KeyDelta{Adds: []proto.MemberKey{added.MK()}}, proto.Extra{})
	r.must(err)
	_, err = r.send(c, c.Keys[1], 1) // of the epoch before, just in time
	r.must(err)
	_, err = r.Append(r.ctx, &proto.AppendRequest{Entry: *storetest.NoticeEntry(c.ID, c.Keys[2], 2, proto.Notice{Type: proto.NoticeLeave})})
	r.must(err)
	_, err = r.commit(c, c.Keys[1], 2, proto.KeyDelta{Removes: []proto.MemberKey{c.Keys[2].MK()}}, proto.Extra{})
	r.must(err)
	_, err = r.send(c, added, 3)
	r.must(err)
	got, err := r.Read(r.ctx, &proto.ReadRequest{Session: r.session(c, c.Keys[0])})
	r.must(err)
	return c, got.Entries
}

func TestTheEndOfALogIsGivenBack(t *testing.T) {
	r := newRig(t)
	c, all := eventful(r)
	after := restored(r)
	if after.stamp.current.Generation == r.stamp.current.Generation {
		t.Fatal("the generation stays")
	}
	for _, part := range [][]proto.Stamped{nil, all[:3], all[2:], all} { // by several, and twice
		_, err := after.give(c.ID, part...)
		after.must(err)
	}
	got, err := after.give(c.ID)
	after.must(err)
	if got.Seq != uint64(len(all)) {
		t.Fatalf("head %d", got.Seq)
	}
	read, err := after.Read(after.ctx, &proto.ReadRequest{Session: after.session(c, c.Keys[0])})
	after.must(err)
	if !slices.EqualFunc(read.Entries, all, func(a, b proto.Stamped) bool { return a.Receipt == b.Receipt && a.Entry.Hash() == b.Entry.Hash() }) {
		t.Error("other entries than there were")
	}
	if _, err := after.send(c, c.Keys[2], 3); err == nil {
		t.Error("who left writes")
	}
	receipt, err := after.send(c, c.Keys[1], 3)
	after.must(err)
	if receipt.Generation != after.stamp.current.Generation || receipt.ChainPrev != got.Chain {
		t.Error("the log does not go on in the new generation")
	}
}

func TestWhatIsGivenBackMustBeOurOwn(t *testing.T) {
	r := newRig(t)
	c, all := eventful(r)
	after := restored(r)
	_, err := after.give(c.ID, all[:2]...)
	after.must(err)
	last := func(change func(*proto.Stamped)) []proto.Stamped {
		e := all[2]
		e.Entry.Bytes = slices.Clone(e.Entry.Bytes)
		change(&e)
		return []proto.Stamped{e}
	}
	stranger := storetest.NewStamp()
	for name, x := range map[string]struct {
		give []proto.Stamped
		want proto.Code
	}{
		"with a gap":                {all[3:], proto.Conflict},
		"another minute":            {last(func(e *proto.Stamped) { e.Receipt.Minute++ }), proto.Forbidden},
		"another place":             {last(func(e *proto.Stamped) { e.Receipt.Seq++ }), proto.Forbidden},
		"other bytes":               {last(func(e *proto.Stamped) { e.Entry.Bytes[50] ^= 1 }), proto.Forbidden},
		"stamped by somebody else":  {last(func(e *proto.Stamped) { _, err := stranger.Sign(&e.Entry, &e.Receipt); r.must(err) }), proto.Forbidden},
		"of another generation":     {last(func(e *proto.Stamped) { e.Receipt.Generation[0] ^= 1 }), proto.Forbidden},
		"of another conversation":   {last(func(e *proto.Stamped) { e.Entry.Conversation[0] ^= 1 }), proto.Malformed},
		"signed by nobody":          {last(func(e *proto.Stamped) { e.Entry.Sig[0] ^= 1 }), proto.Forbidden},
		"an entry made up entirely": {[]proto.Stamped{{Entry: *storetest.Application(c.ID, c.Keys[0], 1, nil), Receipt: all[2].Receipt}}, proto.Forbidden},
	} {
		_, err := after.give(c.ID, x.give...)
		t.Log(name)
		r.refused(err, x.want)
	}
	_, err = after.send(c, c.Keys[0], 1) // somebody writes before the rest is there
	after.must(err)
	_, err = after.give(c.ID, all[2:]...)
	r.refused(err, proto.Conflict)
	if got, err := after.give(c.ID); err != nil || got.Seq != 3 {
		t.Errorf("head %d, %v", got.Seq, err)
	}
}
