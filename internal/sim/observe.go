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
	found []Violation
}

func newObserver() *observer {
	return &observer{owner: make(map[ID]string), logs: make(map[ID]map[uint64]Entry)}
}

// executed notes a request that the server answered positively.
func (o *observer) executed(device string, req proto.Message, answer []byte) {
	switch r := req.(type) {
	case *proto.OpenRequest:
		o.signs(device, r.MK)
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
	if proto.Decode(answer, resp) != nil {
		panic("sim: the server's receipt does not decode")
	}
	o.acked(device, e, receipt)
}

func (o *observer) acked(device string, e *proto.Entry, r *proto.Receipt) {
	o.signs(device, e.MK)
	o.acks = append(o.acks, Ack{device, ID(e.Conversation), ID(e.Hash()), r.Seq})
	o.stored(e, r.Seq)
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
