package client

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/mls"
)

// state is where this device stands in a conversation.
//
//	planned ─► live ─► left | removed | succeeded
//	             │ ▲
//	   broken ◄──┤ │ a new join package
//	   lost   ◄──┘─┘
type state uint8

const (
	statePlanned   state = 1 // made here, not yet created on the server
	stateLive      state = 2
	stateBroken    state = 3 // a commit could not be processed; asked for help
	stateLost      state = 4 // the log or the state is gone; asked to be added again
	stateLeft      state = 5
	stateRemoved   state = 6
	stateSucceeded state = 7 // goes on as another conversation
)

func (s state) String() string {
	return [...]string{"", "planned", "", "broken", "rejoining", "left", "removed", "succeeded"}[min(int(s), 7)]
}

// conversation is what memory holds of one conversation. Its parts are stored
// under separate keys; the save methods put what changed into the step.
type conversation struct {
	id    proto.ConversationID
	meta  meta
	head  head
	keys  memberKeys // of the current epoch
	group *mls.Group // nil: no state of MLS

	ownKey ownKey
}

// Key layout of the store. HEX is the conversation in lower-case hex, SEQ
// twenty digits.
//
//	chat/HEX       meta            mls/HEX/…      the group's records
//	head/HEX       head            pend/HEX       pending commit
//	mem/HEX        memberKeys      pendblob/HEX   its join blob
//	log/HEX/SEQ    logRecord       msg/HEX/SEQ    messageRecord
//	tail/HEX/SEQ   proto.Stamped   event/HEX/SEQ  happened
//	mid/HEX/ID     SEQ of a message
//	out/HEX/N      outRecord       outh/HEX/HASH  N of a sealed entry
func key(prefix string, id proto.ConversationID, rest ...string) string {
	return strings.Join(append([]string{prefix, id.Hex()}, rest...), "/")
}

func seqKey(n uint64) string { return fmt.Sprintf("%020d", n) }

// epochEnd is an ended epoch of which messages may still come.
type epochEnd struct {
	Epoch  uint64
	Minute uint64 // stamp of the commit that ended it
}

func (e *epochEnd) wire(c *wire.Codec) {
	wire.Uint64(c, &e.Epoch)
	wire.Uint64(c, &e.Minute)
}

// meta is what changes seldom.
type meta struct {
	State     state
	Policy    policy
	Seed      seed   // of the own member key
	Given     bool   // drawn by who added this device; to be replaced
	ReplaceAt uint64 // when, Unix seconds
	First     uint64 // first epoch of this membership
	Pathed    uint64 // Unix seconds of this device's last commit with a path
	Floor     uint64 // messages of earlier epochs cannot come any more
	Ended     []epochEnd
	Left      []proto.MemberKey // keys that left by notice and are still in the tree
	Wanted    []proto.AccountID // to be added as soon as possible
	Alarm     string            // why nothing is sent any more; "" if all is well
	Read      uint64            // seq up to which a person has seen it
	Told      uint64            // seq up to which others were told so
	ToldAt    uint64            // Unix seconds
	Since     uint64            // Unix seconds of creation or joining
	Asked     uint64            // minute of the last rejoin notice sent
	Broken    brokenAt
	Reforms   proto.ConversationID // predecessor; zeros: none
	Successor proto.ConversationID
	Offset    uint64 // of this log's seq in the chat, after a predecessor's
}

// brokenAt is a commit that could not be processed.
type brokenAt struct {
	Seq     uint64 // 0: none
	Hash    proto.Hash
	Minute  uint64
	By      proto.MemberKey
	Told    bool              // the notice is in the log
	Removes []proto.MemberKey // what its key delta removes
}

func (b *brokenAt) wire(c *wire.Codec) {
	wire.Uint64(c, &b.Seq)
	b.Hash.Wire(c)
	wire.Uint64(c, &b.Minute)
	b.By.Wire(c)
	wire.Bool(c, &b.Told)
	wire.Vector(c, &b.Removes, (*proto.MemberKey).Wire)
}

func (m *meta) wire(c *wire.Codec) {
	v := uint8(1)
	wire.Uint8(c, &v)
	if c.Err() == nil && v != 1 {
		c.Fail("conversation record of another version")
		return
	}
	wire.Uint8(c, &m.State)
	m.Policy.wire(c)
	m.Seed.wire(c)
	wire.Bool(c, &m.Given)
	wire.Uint64(c, &m.ReplaceAt)
	wire.Uint64(c, &m.First)
	wire.Uint64(c, &m.Pathed)
	wire.Uint64(c, &m.Floor)
	wire.Vector(c, &m.Ended, (*epochEnd).wire)
	wire.Vector(c, &m.Left, (*proto.MemberKey).Wire)
	wire.Vector(c, &m.Wanted, (*proto.AccountID).Wire)
	wire.String(c, &m.Alarm, 4096)
	wire.Uint64(c, &m.Read)
	wire.Uint64(c, &m.Told)
	wire.Uint64(c, &m.ToldAt)
	wire.Uint64(c, &m.Since)
	wire.Uint64(c, &m.Asked)
	m.Broken.wire(c)
	m.Reforms.Wire(c)
	m.Successor.Wire(c)
	wire.Uint64(c, &m.Offset)
}

// head is how far this device has verified the log.
type head struct {
	proto.Head
	Minute uint64
	Known  bool // Chain is that of Seq; false before the first entry of a membership
}

func (h *head) wire(c *wire.Codec) {
	h.Head.Wire(c)
	wire.Uint64(c, &h.Minute)
	wire.Bool(c, &h.Known)
}

func (t *tx) options() mls.Options { return mlsOptions() }

func mlsOptions() mls.Options {
	return mls.Options{
		MaxPastEpochs:   3,
		PastEpochAge:    math.MaxInt64, // the client deletes them itself, see pastEpochAge
		Padding:         pad,
		CustomProposals: map[mls.ProposalType]bool{proposalReason: false},
	}
}

// pad adds what fills n bytes up to a bucket: 256 bytes, then steps of an
// eighth of the size.
func pad(n int) int {
	step := 256
	for step*8 < n {
		step *= 2
	}
	return (step - n%step) % step
}

// conv returns a conversation, nil if this device has none of that id.
func (t *tx) conv(id proto.ConversationID) (*conversation, error) {
	if cv, ok := t.c.convs[id]; ok {
		return cv, nil
	}
	b, err := t.get(key("chat", id))
	if err != nil || b == nil {
		return nil, err
	}
	cv := &conversation{id: id}
	if err := wire.Decode(b, cv.meta.wire); err != nil {
		return nil, fmt.Errorf("stored conversation: %w", err)
	}
	if err := t.load(key("head", id), cv.head.wire); err != nil {
		return nil, err
	}
	if err := t.load(key("mem", id), cv.keys.wire); err != nil {
		return nil, err
	}
	if err := t.restore(cv); err != nil {
		return nil, err
	}
	t.c.convs[id] = cv
	return cv, nil
}

// restore reads the group's state, if there is any.
func (t *tx) restore(cv *conversation) error {
	any, err := t.list(key("mls", cv.id, ""), "", 1)
	if err != nil || len(any) == 0 {
		return err
	}
	g, err := mls.Restore(func(k string) ([]byte, error) { return t.get(key("mls", cv.id, k)) }, t.options())
	if err != nil {
		return fmt.Errorf("stored group: %w", err)
	}
	cv.group = g
	return nil
}

// load decodes the value of a key, if there is one.
func (t *tx) load(k string, fields func(*wire.Codec)) error {
	b, err := t.get(k)
	if err != nil || b == nil {
		return err
	}
	if err := wire.Decode(b, fields); err != nil {
		return fmt.Errorf("stored record %s: %w", strings.SplitN(k, "/", 2)[0], err)
	}
	return nil
}

func (t *tx) save(k string, fields func(*wire.Codec)) error {
	b, err := wire.Encode(fields)
	if err == nil {
		t.put(k, b)
	}
	return err
}

func (t *tx) saveMeta(cv *conversation) error {
	t.c.convs[cv.id] = cv
	return t.save(key("chat", cv.id), cv.meta.wire)
}

func (t *tx) saveHead(cv *conversation) error { return t.save(key("head", cv.id), cv.head.wire) }
func (t *tx) saveKeys(cv *conversation) error { return t.save(key("mem", cv.id), cv.keys.wire) }

// delta puts what an operation of MLS changed into the step.
func (t *tx) delta(cv *conversation, d mls.Delta) {
	for _, r := range d {
		k := key("mls", cv.id, r.Key)
		if r.Value == nil {
			t.del(k)
		} else {
			t.put(k, r.Value)
		}
	}
}

// conversations returns the ids of all conversations, in order.
func (t *tx) conversations() ([]proto.ConversationID, error) {
	all, err := t.list("chat/", "", 0)
	if err != nil {
		return nil, err
	}
	ids := make([]proto.ConversationID, 0, len(all))
	for _, r := range all {
		id, err := parseConversation(strings.TrimPrefix(r.Key, "chat/"))
		if err != nil {
			return nil, fmt.Errorf("stored conversation: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// own returns the member of this device's leaf.
func (cv *conversation) sender(l mls.LeafIndex) (member, mls.Member, error) {
	m, ok := cv.group.Member(l)
	if !ok {
		return member{}, m, fmt.Errorf("leaf %d is empty", l)
	}
	who, err := memberOf(&m.Credential)
	return who, m, err
}

// roster lists whose devices are in the current epoch, by leaf.
func (cv *conversation) roster() map[mls.LeafIndex]member {
	all := map[mls.LeafIndex]member{}
	if cv.group == nil {
		return all
	}
	for _, m := range cv.group.Members() {
		if who, err := memberOf(&m.Credential); err == nil {
			all[m.Leaf] = who
		}
	}
	return all
}

// accounts lists the accounts of the current epoch, sorted.
func (cv *conversation) accounts() []proto.AccountID {
	var all []proto.AccountID
	for _, who := range cv.roster() {
		all = append(all, who.Account)
	}
	slices.SortFunc(all, compareAccounts)
	return slices.Compact(all)
}

// active tells whether this device takes part, if perhaps only asking for help.
func (cv *conversation) active() bool {
	return cv.meta.State == stateLive || cv.meta.State == stateBroken || cv.meta.State == stateLost
}
