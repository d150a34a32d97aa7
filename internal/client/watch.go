package client

import (
	"slices"
	"strconv"
	"strings"

	"codeberg.org/huis/huis/internal/proto"
)

// Change says what a step changed that a person may see.
type Change struct {
	Everything bool // another process changed the store: anything may differ
	Chats      []ChatChange
	People     bool // names, keys, or what was compared
	Names      bool // what somebody is called, and so conversations with them
	Settings   bool
}

// ChatChange is what changed in one log of a chat.
type ChatChange struct {
	Chat string   // identifier, see ChatInfo
	Seqs []uint64 // lines that are new, changed or gone
	New  []uint64 // of these, messages that were not there before
}

// settingPrefix begins the keys of what an interface wants to be remembered.
const settingPrefix = "setting/"

// change reads from a step's changes what a person may see of them.
func (t *tx) change() (out Change) {
	chats := map[proto.ConversationID]*ChatChange{}
	for k, v := range t.changes {
		prefix, rest, _ := strings.Cut(k, "/")
		switch prefix {
		case "msg", "gone", "event", "dud", "rcpt", "about", "out", "chat", "mem", "draft", "warn":
			t.chatChange(chats, prefix, rest, v != nil)
		case "chain", "verified", "label":
			out.People = true
		case "translog":
			out.People = out.People || rest == "alarm"
		case "name":
			out.People, out.Names = true, true
		case "setting":
			out.Settings = true
		}
	}
	for _, c := range chats {
		slices.Sort(c.Seqs)
		c.Seqs = slices.Compact(c.Seqs)
		slices.Sort(c.New)
		out.Chats = append(out.Chats, *c)
	}
	slices.SortFunc(out.Chats, func(a, b ChatChange) int { return strings.Compare(a.Chat, b.Chat) })
	return out
}

func (t *tx) chatChange(chats map[proto.ConversationID]*ChatChange, prefix, rest string, there bool) {
	hex, rest, _ := strings.Cut(rest, "/")
	id, err := parseConversation(hex)
	if err != nil {
		return
	}
	c := chats[id]
	if c == nil {
		c = &ChatChange{Chat: chatID(id)}
		chats[id] = c
	}
	first, _, _ := strings.Cut(rest, "/")
	var seq uint64
	switch prefix {
	case "msg", "gone", "event", "dud", "rcpt":
		seq, _ = strconv.ParseUint(first, 10, 64)
	case "about":
		found, err := t.list("mid/"+first+"/"+hex+"/", "", 1)
		if err == nil && len(found) == 1 {
			seq, _ = strconv.ParseUint(string(found[0].Value), 10, 64)
		}
	}
	cv, err := t.conv(id)
	if seq == 0 || err != nil || cv == nil {
		return
	}
	seq += cv.meta.Offset
	c.Seqs = append(c.Seqs, seq)
	if prefix == "msg" && there {
		c.New = append(c.New, seq)
	}
}

func (c Change) empty() bool {
	return !c.Everything && len(c.Chats) == 0 && !c.People && !c.Names && !c.Settings
}

// tell passes a change on, if somebody wants to know.
func (c *Client) tell(change Change) {
	if c.cfg.Changed != nil && !change.empty() {
		c.cfg.Changed(change)
	}
}
