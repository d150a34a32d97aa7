package sim

import (
	"maps"
	"strings"
	"testing"
)

// sound is the evidence of a small run in which all is well: ann makes a
// conversation with bob, cal joins at 3, ann replaces her key at 5, bob is
// removed at 7, dan leaves at 10 and is taken out at 11.
func sound() *Evidence {
	k := func(b byte) ID { return ID{b} }
	conv := ID{0xc0}
	ann, ann2, bob, cal, dan := k(1), k(2), k(3), k(4), k(5)
	log := []Entry{
		{Seq: 1, Kind: kindCreate, Epoch: 1, MK: ann, Hash: k(101), Adds: []ID{ann, bob, dan}},
		{Seq: 2, Kind: kindApplication, Epoch: 1, MK: ann, Hash: k(102)},
		{Seq: 3, Kind: kindCommit, Epoch: 1, MK: bob, Hash: k(103), Adds: []ID{cal}},
		{Seq: 4, Kind: kindApplication, Epoch: 2, MK: bob, Hash: k(104)},
		{Seq: 5, Kind: kindCommit, Epoch: 2, MK: ann, Hash: k(105), Replace: ann2},
		{Seq: 6, Kind: kindApplication, Epoch: 1, MK: bob, Hash: k(106)},
		{Seq: 7, Kind: kindCommit, Epoch: 3, MK: ann2, Hash: k(107), Removes: []ID{bob}},
		{Seq: 8, Kind: kindApplication, Epoch: 4, MK: cal, Hash: k(108)},
		{Seq: 9, Kind: kindApplication, Epoch: 4, MK: ann2, Hash: k(109)},
		{Seq: 10, Kind: kindNotice, Epoch: 4, MK: dan, Hash: k(110), Leave: true},
		{Seq: 11, Kind: kindCommit, Epoch: 4, MK: cal, Hash: k(111), Removes: []ID{dan}},
		{Seq: 12, Kind: kindApplication, Epoch: 5, MK: cal, Hash: k(112)},
	}
	m := map[uint64]Message{
		2: {2, "m2", "ann", "hello"}, 4: {4, "m4", "bob", "hi"}, 6: {6, "m6", "bob", "late"},
		8: {8, "m8", "cal", "he left"}, 9: {9, "m9", "ann", "indeed"}, 12: {12, "m12", "cal", "and dan"},
	}
	pick := func(seqs ...uint64) (out []Message) {
		for _, s := range seqs {
			out = append(out, m[s])
		}
		return out
	}
	view := func(msgs []Message) *View {
		return &View{
			Active: true, Epoch: 5, Authenticator: "a5", Members: []string{"ann", "cal"},
			MKs: map[uint32]ID{0: ann2, 2: cal}, Messages: msgs,
		}
	}
	e := &Evidence{
		Logs:  map[ID][]Entry{conv: log},
		Owner: map[ID]string{ann: "ann", ann2: "ann", bob: "bob", cal: "cal", dan: "dan"},
		Views: map[string]map[ID]*View{
			"ann": {conv: view(pick(2, 4, 6, 8, 9, 12))},
			"cal": {conv: view(pick(4, 8, 9, 12))},
			"bob": {conv: {Messages: pick(2, 4, 6)}},
			"dan": {conv: {Messages: pick(2, 4, 6, 8, 9)}},
		},
		Seals: NewSeals(),
	}
	e.Given = []Given{{conv, ann, Span{1, 5}}, {conv, bob, Span{1, 7}}, {conv, cal, Span{3, 12}}, {conv, dan, Span{9, 10}}}
	for _, en := range log {
		e.Acks = append(e.Acks, Ack{e.Owner[en.MK], conv, en.Hash, en.Seq})
		if msg, ok := m[en.Seq]; ok {
			e.Promises = append(e.Promises, Promise{msg.From, msg.ID, msg.Body})
		}
	}
	return e
}

func TestCheckAcceptsASoundRun(t *testing.T) {
	for _, v := range Check(sound()) {
		t.Error(v)
	}
}

// plants are the positive controls: each breaks a sound run in one way, and the
// named check must say so.
var plants = []struct {
	name, check string
	plant       func(e *Evidence, conv ID)
}{
	{"other authenticator", "agree", func(e *Evidence, c ID) { e.Views["cal"][c].Authenticator = "fork" }},
	{"left behind an epoch", "agree", func(e *Evidence, c ID) { e.Views["cal"][c].Epoch = 4 }},
	{"other member list", "agree", func(e *Evidence, c ID) { e.Views["cal"][c].Members = []string{"ann", "cal", "eve"} }},
	{"other member keys", "agree", func(e *Evidence, c ID) { e.Views["cal"][c].MKs = map[uint32]ID{0: {9}, 2: {4}} }},
	{"keys swapped between leaves", "agree", func(e *Evidence, c ID) { e.Views["cal"][c].MKs = map[uint32]ID{0: {4}, 2: {2}} }},
	{"member without a view", "agree", func(e *Evidence, c ID) { e.Views["cal"][c].Active = false }},
	{"removed one still a member", "agree", func(e *Evidence, c ID) { e.Views["bob"][c] = e.Views["cal"][c] }},

	{"hole in the log", "log", func(e *Evidence, c ID) { e.Logs[c] = append(e.Logs[c][:3:3], e.Logs[c][4:]...) }},
	{"entry twice", "log", func(e *Evidence, c ID) { e.Logs[c][8].Hash = e.Logs[c][7].Hash }},
	{"entry of a removed member", "log", func(e *Evidence, c ID) { e.Logs[c][8].MK = ID{3} }},
	{"entry of one who left", "log", func(e *Evidence, c ID) { e.Logs[c][11].MK = ID{5} }},
	{"two commits of one epoch", "log", func(e *Evidence, c ID) { e.Logs[c][4].Epoch = 1 }},
	{"epoch across a removal", "log", func(e *Evidence, c ID) { e.Logs[c][7].Epoch = 3 }},
	{"epoch of the future", "log", func(e *Evidence, c ID) { e.Logs[c][1].Epoch = 2 }},
	{"key added twice", "log", func(e *Evidence, c ID) { e.Logs[c][6].Adds = []ID{{4}} }},
	{"stranger removed", "log", func(e *Evidence, c ID) { e.Logs[c][6].Removes = []ID{{77}} }},

	{"acknowledged and lost", "acked", func(e *Evidence, c ID) { e.Acks = append(e.Acks, Ack{"ann", c, ID{99}, 13}) }},
	{"acknowledged elsewhere", "acked", func(e *Evidence, c ID) { e.Acks[1].Seq = 4 }},

	{"shown twice", "once", func(e *Evidence, c ID) {
		v := e.Views["cal"][c]
		v.Messages = append(v.Messages, Message{13, "m9", "ann", "indeed"})
	}},
	{"shown out of order", "order", func(e *Evidence, c ID) {
		m := e.Views["cal"][c].Messages
		m[1], m[2] = m[2], m[1]
	}},
	{"other text at one place", "order", func(e *Evidence, c ID) { e.Views["cal"][c].Messages[1].Body = "he stays" }},
	{"promised and nowhere", "delivered", func(e *Evidence, c ID) { e.Promises = append(e.Promises, Promise{"ann", "m13", "lost"}) }},
	{"promised and still waiting", "delivered", func(e *Evidence, c ID) {
		e.Promises = append(e.Promises, Promise{"ann", "m13", "waits"})
		e.Views["ann"][c].Waiting = []string{"m13"}
	}},
	{"missing at one member", "delivered", func(e *Evidence, c ID) { m := &e.Views["cal"][c].Messages; *m = append((*m)[:1:1], (*m)[2:]...) }},
	{"missing before a removal", "delivered", func(e *Evidence, c ID) { m := &e.Views["bob"][c].Messages; *m = (*m)[:2] }},
	{"read after the removal", "outside", func(e *Evidence, c ID) {
		v := e.Views["bob"][c]
		v.Messages = append(v.Messages, e.Views["ann"][c].Messages[3])
	}},
	{"read after leaving", "outside", func(e *Evidence, c ID) {
		v := e.Views["dan"][c]
		v.Messages = append(v.Messages, e.Views["ann"][c].Messages[5])
	}},
	{"read before the joining", "outside", func(e *Evidence, c ID) {
		v := e.Views["cal"][c]
		v.Messages = append([]Message{e.Views["ann"][c].Messages[0]}, v.Messages...)
	}},
	{"read an epoch before its own", "outside", func(e *Evidence, c ID) {
		v := e.Views["cal"][c]
		v.Messages = append([]Message{v.Messages[0], e.Views["ann"][c].Messages[2]}, v.Messages[1:]...)
	}},
	{"given after the removal", "outside", func(e *Evidence, c ID) {
		e.Given = append(e.Given, Given{c, ID{3}, Span{6, 8}})
	}},
	{"given before the joining", "outside", func(e *Evidence, c ID) {
		e.Given = append(e.Given, Given{c, ID{4}, Span{2, 4}})
	}},
	{"message out of nothing", "outside", func(e *Evidence, c ID) {
		v := e.Views["ann"][c]
		v.Messages = append(v.Messages, Message{13, "m13", "cal", "forged"})
	}},
	{"message at a commit", "outside", func(e *Evidence, c ID) {
		v := e.Views["ann"][c]
		v.Messages[2].Seq = 7
	}},
	{"wrong author", "author", func(e *Evidence, c ID) {
		for _, views := range e.Views {
			for i := range views[c].Messages {
				if views[c].Messages[i].Seq == 9 {
					views[c].Messages[i].From = "cal"
				}
			}
		}
	}},
	{"nonce used twice", "keys", func(e *Evidence, c ID) {
		e.Seals.Sealed("ann", []byte("key"), []byte("nonce"), nil)
		e.Seals.Sealed("ann after a crash", []byte("key"), []byte("nonce"), nil)
	}},
	{"file chunk's nonce used twice", "keys", func(e *Evidence, c ID) {
		e.Seals.Repeatable("ann", []byte("key"), []byte("nonce"), []byte("one"))
		e.Seals.Repeatable("ann", []byte("key"), []byte("nonce"), []byte("one"))
		e.Seals.Repeatable("ann", []byte("key"), []byte("nonce"), []byte("two"))
	}},
	{"key sent twice", "keys", func(e *Evidence, c ID) {
		one, two := []byte("sixteen bytes, 1"), []byte("sixteen bytes, 2")
		e.Seals.Sealed("ann", []byte("key"), []byte("nonce 1"), one)
		e.Seals.Sealed("ann", []byte("key"), []byte("nonce 2"), two)
		e.Seals.Left("ann", append([]byte("header"), one...))
		e.Seals.Left("ann", append([]byte("header"), two...))
	}},
}

func TestEveryCheckFindsWhatIsPlanted(t *testing.T) {
	tested := make(map[string]bool)
	for _, p := range plants {
		t.Run(strings.ReplaceAll(p.name, " ", "-"), func(t *testing.T) {
			e := sound()
			for conv := range maps.Keys(e.Logs) {
				p.plant(e, conv)
			}
			for _, v := range Check(e) {
				if v.Check == p.check {
					tested[p.check] = true
					return
				}
			}
			t.Errorf("%q found nothing; all findings: %v", p.check, Check(e))
		})
	}
	for _, check := range []string{"agree", "log", "acked", "once", "order", "delivered", "outside", "author", "keys"} {
		if !tested[check] {
			t.Errorf("no positive control of %q", check)
		}
	}
}

func TestResendingTheSameBytesIsNoReuse(t *testing.T) {
	s := NewSeals()
	ct := []byte("a ciphertext of some length")
	s.Sealed("ann", []byte("key"), []byte("nonce"), ct)
	s.Left("ann", ct)
	s.Left("ann", ct)
	if v := s.Violations(); len(v) != 0 || s.Tracked() != 1 {
		t.Fatal(v, s.Tracked())
	}
}
