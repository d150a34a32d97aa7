package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check judges a run and returns what it found broken, in a fixed order.
func Check(e *Evidence) []Violation {
	var out []Violation
	for _, conv := range sortedIDs(e.Logs) {
		c := judge{Evidence: e, conv: conv, log: e.Logs[conv]}
		c.model()
		c.agree()
		c.shown()
		c.delivered()
		c.handedOut()
		out = append(out, c.found...)
	}
	out = append(out, promised(e)...)
	out = append(out, acked(e)...)
	if e.Seals != nil {
		out = append(out, e.Seals.Violations()...)
	}
	return out
}

// judge checks one conversation.
type judge struct {
	*Evidence
	conv  ID
	log   []Entry
	found []Violation

	spans map[ID]memberSpan // by member key, from the log alone
	epoch uint64            // after the last entry
}

// memberSpan is the naive reading of protocol, section 14: a message is a
// member's if from < seq ≤ until. until is forever for a live key.
type memberSpan struct {
	from, until uint64
	epoch       uint64 // first epoch this key's leaf is in
	gone        bool   // its leaf has left the tree, or holds another key
}

const forever = ^uint64(0)

func (j *judge) report(check, format string, args ...any) {
	j.found = append(j.found, violation(check, "conversation %v: "+format, append([]any{j.conv}, args...)...))
}

// model replays the log by the rules of protocol, sections 4, 5 and 11, without
// anything of the server's code, and reports entries that should not stand there.
func (j *judge) model() {
	j.spans = make(map[ID]memberSpan)
	seen := make(map[ID]bool)
	var floor uint64
	for i, en := range j.log {
		if en.Seq != j.log[0].Seq+uint64(i) {
			j.report("log", "entry %d follows entry %d", en.Seq, j.log[0].Seq+uint64(i)-1)
		}
		if seen[en.Hash] {
			j.report("log", "entry %d stands there twice", en.Seq)
		}
		seen[en.Hash] = true
		if i == 0 && en.Kind == kindCreate {
			j.epoch, floor = en.Epoch, en.Epoch
			j.open(en)
			continue
		}
		if s, member := j.spans[en.MK]; !member || en.Seq <= s.from || en.Seq > s.until {
			j.report("log", "entry %d is of a key that is no member then", en.Seq)
		}
		switch en.Kind {
		case kindCommit:
			if en.Epoch != j.epoch {
				j.report("log", "entry %d commits epoch %d, current is %d", en.Seq, en.Epoch, j.epoch)
			}
			j.epoch++
			j.commit(en)
			floor = max(floor, j.epoch-min(j.epoch, 3))
			if len(en.Removes) > 0 {
				floor = j.epoch
			}
		case kindApplication:
			if en.Epoch > j.epoch || en.Epoch < floor {
				j.report("log", "entry %d is of epoch %d outside %d to %d", en.Seq, en.Epoch, floor, j.epoch)
			}
		case kindNotice:
			if en.Leave {
				j.end(en.MK, en.Seq)
			}
		}
	}
}

// commit changes the member keys as entry en says.
func (j *judge) commit(en Entry) {
	for _, mk := range en.Removes {
		if s, known := j.spans[mk]; !known || s.gone {
			j.report("log", "entry %d removes a key that is no member", en.Seq)
		}
		j.end(mk, en.Seq)
		s := j.spans[mk]
		s.gone = true
		j.spans[mk] = s
	}
	if en.Replace != (ID{}) {
		old := j.spans[en.MK]
		j.begin(en.Replace, memberSpan{from: en.Seq, until: forever, epoch: old.epoch}, en.Seq)
		j.end(en.MK, en.Seq)
		old = j.spans[en.MK]
		old.gone = true
		j.spans[en.MK] = old
	}
	j.open(en)
}

// open begins the keys that en adds; their leaves are in the tree from the
// epoch that en makes.
func (j *judge) open(en Entry) {
	for _, mk := range en.Adds {
		j.begin(mk, memberSpan{from: en.Seq, until: forever, epoch: j.epoch}, en.Seq)
	}
}

func (j *judge) begin(mk ID, s memberSpan, seq uint64) {
	if _, known := j.spans[mk]; known {
		j.report("log", "entry %d begins a member key for the second time", seq)
	}
	j.spans[mk] = s
}

func (j *judge) end(mk ID, seq uint64) {
	s := j.spans[mk]
	s.until = min(s.until, seq)
	j.spans[mk] = s
}

// entitled tells whether device may read the entry: one of its keys spans it,
// and the entry is not of an epoch before the device's leaf (section 5).
func (j *judge) entitled(device string, en Entry) bool {
	for mk, s := range j.spans {
		if j.Owner[mk] == device && en.Seq > s.from && en.Seq <= s.until && s.epoch <= en.Epoch {
			return true
		}
	}
	return false
}

func (j *judge) holdsKey(device string) bool {
	for mk, s := range j.spans {
		if j.Owner[mk] == device && !s.gone {
			return true
		}
	}
	return false
}

// ownHistory tells whether another device of the same person may read the entry:
// an account's devices hand their history to each other.
func (j *judge) ownHistory(device string, en Entry) bool {
	for _, other := range j.Owner {
		if other != device && person(other) == person(device) && j.entitled(other, en) {
			return true
		}
	}
	return false
}

// person is the first part of a device's name, "ann" of "ann/1".
func person(device string) string {
	handle, _, _ := strings.Cut(device, "/")
	return handle
}

// live are the keys whose leaves are in the tree.
func (j *judge) live() map[ID]bool {
	keys := make(map[ID]bool)
	for mk, s := range j.spans {
		if !s.gone {
			keys[mk] = true
		}
	}
	return keys
}

// agree: all members are in one epoch with one state, and it is the log's.
func (j *judge) agree() {
	live := j.live()
	var first string
	var want *View
	for _, device := range slices.Sorted(maps.Keys(j.Views)) {
		v := j.Views[device][j.conv]
		if v == nil || !v.Active || j.Excepted[device] {
			continue
		}
		if !j.holdsKey(device) {
			j.report("agree", "%s was removed and does not know it", device)
			continue
		}
		if v.Epoch != j.epoch {
			j.report("agree", "%s is in epoch %d, the log in %d", device, v.Epoch, j.epoch)
		}
		keys := make(map[ID]bool)
		for _, mk := range v.MKs {
			keys[mk] = true
		}
		if !maps.Equal(keys, live) || len(keys) != len(v.MKs) {
			j.report("agree", "%s maps %d leaves to other member keys than the log's %d", device, len(v.MKs), len(live))
		}
		if want == nil {
			first, want = device, v
			continue
		}
		if v.Authenticator != want.Authenticator {
			j.report("agree", "%s and %s hold different epoch authenticators in epoch %d", device, first, v.Epoch)
		}
		if !slices.Equal(v.Members, want.Members) {
			j.report("agree", "%s lists %v, %s lists %v", device, v.Members, first, want.Members)
		}
		if !maps.Equal(v.MKs, want.MKs) {
			j.report("agree", "%s and %s map leaves to different member keys", device, first)
		}
	}
	for mk := range live {
		device := j.Owner[mk]
		if v := j.Views[device][j.conv]; device != "" && !j.Excepted[device] && (v == nil || !v.Succeeded) && j.spans[mk].until == forever && (v == nil || !v.Active) {
			j.report("agree", "%s is a member by the log and does not know it", device)
		}
	}
}

// shown: every device shows a message once, in the log's order, at the same
// place as all others, from its true author, and only while it was a member.
func (j *judge) shown() {
	type where struct {
		device string
		m      Message
	}
	at := make(map[uint64]where)
	for _, device := range slices.Sorted(maps.Keys(j.Views)) {
		v := j.Views[device][j.conv]
		if v == nil {
			continue
		}
		ids := make(map[string]bool)
		var last uint64
		for _, m := range v.Messages {
			if ids[m.ID] {
				j.report("once", "%s shows message %s twice", device, m.ID)
			}
			ids[m.ID] = true
			if m.Seq <= last {
				j.report("order", "%s shows entry %d after %d", device, m.Seq, last)
			}
			last = m.Seq
			if o, known := at[m.Seq]; known && o.m != m {
				j.report("order", "at %d %s shows %s %q, %s shows %s %q", m.Seq, o.device, o.m.ID, o.m.Body, device, m.ID, m.Body)
			} else if !known {
				at[m.Seq] = where{device, m}
			}
			j.mayShow(device, v, m)
		}
	}
}

func (j *judge) mayShow(device string, v *View, m Message) {
	en, found := j.entry(m.Seq)
	if !found || en.Kind != kindApplication {
		j.report("outside", "%s shows a message at %d, where the log holds none", device, m.Seq)
		return
	}
	if j.Owner[en.MK] != m.From {
		j.report("author", "%s shows entry %d as from %s, the key is %s's", device, m.Seq, m.From, j.Owner[en.MK])
	}
	if !j.entitled(device, en) && !j.ownHistory(device, en) {
		j.report("outside", "%s read entry %d of epoch %d, before it joined or after it was removed", device, m.Seq, en.Epoch)
	}
}

func (j *judge) entry(seq uint64) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(j.log, seq, func(en Entry, seq uint64) int { return cmp.Compare(en.Seq, seq) })
	if !ok {
		return Entry{}, false
	}
	return j.log[i], true
}

// delivered: whatever one device shows is shown by everybody entitled to it.
func (j *judge) delivered() {
	place := make(map[string]uint64)
	for _, views := range j.Views {
		if v := views[j.conv]; v != nil {
			for _, m := range v.Messages {
				place[m.ID] = m.Seq
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(place)) {
		if en, found := j.entry(place[id]); found {
			j.reached(id, en)
		}
	}
}

func (j *judge) reached(id string, en Entry) {
	for _, device := range slices.Sorted(maps.Keys(j.Views)) {
		v := j.Views[device][j.conv]
		if v == nil {
			v = &View{}
		}
		has := slices.ContainsFunc(v.Messages, func(m Message) bool { return m.ID == id })
		if has || j.Excepted[device] || !j.entitled(device, en) || excused(v, en.Seq) {
			continue
		}
		j.report("delivered", "message %s at %d did not reach %s", id, en.Seq, device)
	}
}

// Describe is a conversation's log in words, to understand a violation by.
func Describe(e *Evidence, conv ID) string {
	var b strings.Builder
	for _, en := range e.Logs[conv] {
		fmt.Fprintf(&b, "%v %3d %s epoch %d by %s", conv, en.Seq, [...]string{"create", "commit", "message", "notice"}[en.Kind], en.Epoch, e.Owner[en.MK])
		for _, mk := range en.Adds {
			fmt.Fprintf(&b, " +%s", e.Owner[mk])
		}
		for _, mk := range en.Removes {
			fmt.Fprintf(&b, " -%s", e.Owner[mk])
		}
		for _, device := range slices.Sorted(maps.Keys(e.Views)) {
			if v := e.Views[device][conv]; v != nil && slices.ContainsFunc(v.Messages, func(m Message) bool { return m.Seq == en.Seq }) {
				fmt.Fprintf(&b, " (%s)", device)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// handedOut: the server gave every key only the entries from the one that made
// it a member to the one that ended that (section 14).
func (j *judge) handedOut() {
	for _, g := range j.Given {
		if g.Conversation != j.conv {
			continue
		}
		if s, member := j.spans[g.MK]; !member || g.Span.First < s.from || g.Span.Last > s.until {
			j.report("outside", "the server gave entries %d to %d to a key of %s that may read %d to %d", g.Span.First, g.Span.Last, j.Owner[g.MK], s.from, s.until)
		}
	}
}

func excused(v *View, seq uint64) bool {
	return slices.ContainsFunc(v.Excused, func(s Span) bool { return s.First <= seq && seq <= s.Last })
}

// promised: what a client promised its user is shown by the sender's device, so
// it stands in a log; or it waits, visibly, in a conversation the device is no
// longer in.
func promised(e *Evidence) []Violation {
	var out []Violation
	for _, p := range e.Promises {
		shown := false
		for _, v := range e.Views[p.Device] {
			shown = shown || !v.Active && slices.Contains(v.Waiting, p.Message)
			shown = shown || slices.ContainsFunc(v.Messages, func(m Message) bool { return m.ID == p.Message && m.Body == p.Body })
		}
		if !shown {
			out = append(out, violation("delivered", "message %s %q that %s sent is nowhere", p.Message, p.Body, p.Device))
		}
	}
	return out
}

// acked: what the server acknowledged stands in its log, where it said.
func acked(e *Evidence) []Violation {
	var out []Violation
	type place struct {
		conv ID
		seq  uint64
	}
	held := make(map[place]ID)
	first := make(map[ID]uint64)
	for conv, log := range e.Logs {
		for _, en := range log {
			held[place{conv, en.Seq}] = en.Hash
		}
		if len(log) > 0 {
			first[conv] = log[0].Seq
		}
	}
	for _, a := range e.Acks {
		if a.Seq < first[a.Conversation] {
			continue // its time of retention is over
		}
		if held[place{a.Conversation, a.Seq}] != a.Hash {
			out = append(out, violation("acked", "conversation %v: entry %d acknowledged to %s is not there", a.Conversation, a.Seq, a.Device))
		}
	}
	return out
}

func sortedIDs[V any](m map[ID]V) []ID {
	return slices.SortedFunc(maps.Keys(m), func(a, b ID) int { return slices.Compare(a[:], b[:]) })
}
