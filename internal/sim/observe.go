package sim

import (
	"maps"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
)

// observer is what a bystander with all answers of the server learned of the
// conversations: their logs, and which device speaks with which member key.
type observer struct {
	acks  []Ack
	owner map[ID]string // member key → the device that first signed with it
	logs  map[ID]map[uint64]Entry
	read  map[string]map[ID]uint64 // the last entry each device was given
	keys  map[proto.SessionID]ID   // session → the member key that opened it
	given []Given
	pleas map[ID]Plea // calls for help, by hash of the notice
	found []Violation
}

// Plea is a member's notice that it cannot go on: broken or rejoin.
type Plea struct {
	Device       string
	Conversation ID
	Type         proto.NoticeType
	Seq          uint64 // of the notice
	After        uint64 // the last entry the device could process
}

func newObserver() *observer {
	return &observer{
		owner: make(map[ID]string),
		logs:  make(map[ID]map[uint64]Entry),
		read:  make(map[string]map[ID]uint64),
		keys:  make(map[proto.SessionID]ID),
		pleas: make(map[ID]Plea),
	}
}

// entries counts what stands in all logs.
func (o *observer) entries() (n int) {
	for _, log := range o.logs {
		n += len(log)
	}
	return n
}

// reached notes what a read answer brought to a device.
func (o *observer) reached(device string, resp *proto.ReadResponse) {
	for _, s := range resp.Entries {
		if o.read[device] == nil {
			o.read[device] = make(map[ID]uint64)
		}
		conv := ID(s.Entry.Conversation)
		o.read[device][conv] = max(o.read[device][conv], s.Receipt.Seq)
	}
}

// plea notes a call for help.
func (o *observer) plea(device string, e *proto.Entry, seq uint64) {
	if e.Kind != proto.KindNotice {
		return
	}
	n, err := proto.ParseNotice(e.Bytes)
	if err != nil || n.Type != proto.NoticeBroken && n.Type != proto.NoticeRejoin {
		return
	}
	conv := ID(e.Conversation)
	p := Plea{Device: device, Conversation: conv, Type: n.Type, Seq: seq, After: o.read[device][conv]}
	if n.Type == proto.NoticeBroken {
		p.After = n.Seq - min(n.Seq, 1)
	}
	if _, known := o.pleas[ID(e.Hash())]; !known {
		o.pleas[ID(e.Hash())] = p
	}
}

// excused are the spans of a conversation that a device could not process, from
// a plea of its own to the commit that added it anew.
func (o *observer) excused(device string, conv ID) (spans []Span) {
	for _, p := range o.pleas {
		if p.Device == device && p.Conversation == conv {
			spans = append(spans, Span{p.After + 1, o.addedAfter(device, conv, p.Seq)})
		}
	}
	return spans
}

func (o *observer) addedAfter(device string, conv ID, seq uint64) uint64 {
	for _, en := range o.log(conv) {
		if en.Seq > seq && slices.ContainsFunc(en.Adds, func(mk ID) bool { return o.owner[mk] == device }) {
			return en.Seq
		}
	}
	return forever
}

// executed notes a request that the server answered positively.
func (o *observer) executed(device string, req proto.Message, answer []byte) {
	switch r := req.(type) {
	case *proto.OpenRequest:
		o.signs(device, r.MK)
		var resp proto.OpenResponse
		decoded(answer, &resp)
		o.keys[resp.Session] = ID(r.MK)
	case *proto.ReadRequest:
		var resp proto.ReadResponse
		decoded(answer, &resp)
		o.gave(o.keys[r.Session], resp.Entries)
	case *proto.CreateRequest:
		var resp proto.CreateResponse
		o.entry(device, &r.Entry, answer, &resp, &resp.Receipt)
		if r.Extra.Reform != nil && resp.Reform != nil {
			o.acked(device, r.Extra.Reform, resp.Reform)
		}
	case *proto.AppendRequest:
		var resp proto.AppendResponse
		o.entry(device, &r.Entry, answer, &resp, &resp.Receipt)
	case *proto.CommitRequest:
		var resp proto.CommitResponse
		o.entry(device, &r.Entry, answer, &resp, &resp.Receipt)
	}
}

func (o *observer) entry(device string, e *proto.Entry, answer []byte, resp proto.Message, receipt *proto.Receipt) {
	decoded(answer, resp)
	o.acked(device, e, receipt)
}

// decoded reads an answer of the honest server, which decodes.
func decoded(answer []byte, resp proto.Message) {
	if err := proto.Decode(answer, resp); err != nil {
		panic("sim: an answer of the server: " + err.Error())
	}
}

// gave notes which entries a member key was given.
func (o *observer) gave(mk ID, entries []proto.Stamped) {
	if n := len(entries); n > 0 {
		o.given = append(o.given, Given{
			Conversation: ID(entries[0].Entry.Conversation), MK: mk,
			Span: Span{entries[0].Receipt.Seq, entries[n-1].Receipt.Seq},
		})
	}
}

func (o *observer) acked(device string, e *proto.Entry, r *proto.Receipt) {
	o.signs(device, e.MK)
	o.acks = append(o.acks, Ack{device, ID(e.Conversation), ID(e.Hash()), r.Seq})
	o.stored(e, r.Seq)
	o.plea(device, e, r.Seq)
}

// stored notes an entry at its place, and reports another one at that place.
func (o *observer) stored(e *proto.Entry, seq uint64) {
	log := o.logs[ID(e.Conversation)]
	if log == nil {
		log = make(map[uint64]Entry)
		o.logs[ID(e.Conversation)] = log
	}
	en := plainEntry(e, seq)
	if had, known := log[seq]; known && had.Hash != en.Hash {
		o.found = append(o.found, violation("log", "conversation %v had two entries %d", ID(e.Conversation), seq))
	}
	log[seq] = en
}

func (o *observer) signs(device string, mk proto.MemberKey) {
	if _, known := o.owner[ID(mk)]; !known {
		o.owner[ID(mk)] = device
	}
}

// log returns a conversation's entries in order.
func (o *observer) log(conv ID) []Entry {
	var out []Entry
	for _, seq := range slices.Sorted(maps.Keys(o.logs[conv])) {
		out = append(out, o.logs[conv][seq])
	}
	return out
}

// memberKeys are all keys that a conversation's log ever named.
func (o *observer) memberKeys(conv ID) (keys []ID) {
	for _, en := range o.log(conv) {
		keys = append(keys, en.Adds...)
		if en.Replace != (ID{}) {
			keys = append(keys, en.Replace)
		}
	}
	return keys
}

// plainEntry reads what everybody can of an entry.
func plainEntry(e *proto.Entry, seq uint64) Entry {
	en := Entry{Seq: seq, Kind: int(e.Kind), Epoch: e.Epoch, MK: ID(e.MK), Hash: ID(e.Hash())}
	switch e.Kind {
	case proto.KindCreate:
		keys, _ := proto.ParseMembers(e.Bytes)
		en.Adds = ids(keys)
	case proto.KindCommit:
		f, _ := proto.ParseFrame(e.Bytes)
		d, _ := f.KeyDelta()
		en.Adds, en.Removes = ids(d.Adds), ids(d.Removes)
		if d.Replace != nil {
			en.Replace = ID(*d.Replace)
		}
	case proto.KindNotice:
		n, _ := proto.ParseNotice(e.Bytes)
		en.Leave = n.Type == proto.NoticeLeave
	}
	return en
}

func ids(keys []proto.MemberKey) (out []ID) {
	for _, k := range keys {
		out = append(out, ID(k))
	}
	return out
}
