package client

import (
	"context"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// idMark begins the identifier of a chat, which may stand wherever its name
// may; no name has a character that is not printable.
const idMark = "\x01"

// stableID is the identifier of the chat that consists of some logs.
func stableID(logs []proto.ConversationID) string {
	return chatID(slices.MinFunc(logs, func(a, b proto.ConversationID) int { return strings.Compare(a.Hex(), b.Hex()) }))
}

// chatID leads to the chat that a conversation is part of.
func chatID(id proto.ConversationID) string { return idMark + id.Hex() }

// named returns the name of a chat that is named by an identifier.
func named(names map[proto.ConversationID]string, name string) string {
	hex, ok := strings.CutPrefix(name, idMark)
	if !ok {
		return name
	}
	id, err := parseConversation(hex)
	if err != nil {
		return name
	}
	return names[id]
}

// ChatInfo is a chat as the list of an interface shows it.
type ChatInfo struct {
	Chat
	ID        string // takes the place of the name; all its logs lead to it
	Person    string // direct: the other's handle
	Trust     string // the worst of its people, as Trust.State
	People    int    // accounts
	Admin     bool   // this account is one, of a group
	Mentioned bool
	Last      *Line
	Draft     string
	Stopped   string    // why, of one that was stopped
	Time      time.Time // of the newest line, or of its beginning
	Read      uint64
}

// Overview lists the chats, newest first.
func (c *Client) Overview(ctx context.Context) (all []ChatInfo, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		names, err := t.names()
		if err != nil {
			return err
		}
		for name, logs := range t.grouped(names) {
			info, err := t.chatInfo(name, logs)
			if err != nil {
				return err
			}
			all = append(all, info)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b ChatInfo) int {
		if n := b.Time.Compare(a.Time); n != 0 {
			return n
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all, err
}

// ChatInfo returns one chat, by name or identifier.
func (c *Client) ChatInfo(ctx context.Context, chat string) (info ChatInfo, err error) {
	err = c.step(ctx, func(t *tx) error {
		names, err := t.names()
		if err != nil {
			return err
		}
		logs, err := t.resolve(chat)
		if err != nil {
			return err
		}
		info, err = t.chatInfo(names[logs[0]], logs)
		return err
	})
	return info, err
}

// grouped puts the logs of each chat together, that to write in first.
func (t *tx) grouped(names map[proto.ConversationID]string) map[string][]proto.ConversationID {
	all := map[string][]proto.ConversationID{}
	for id, name := range names {
		all[name] = append(all[name], id)
	}
	for _, logs := range all {
		slices.SortFunc(logs, func(a, b proto.ConversationID) int {
			return strings.Compare(t.rank(a)+a.Hex(), t.rank(b)+b.Hex())
		})
	}
	return all
}

func (t *tx) chatInfo(name string, logs []proto.ConversationID) (info ChatInfo, err error) {
	if info.Chat, err = t.describe(logs[0], name); err != nil {
		return info, err
	}
	info.ID = stableID(logs)
	cv, err := t.conv(logs[0])
	if err != nil {
		return info, err
	}
	if err := t.chatPeople(cv, &info); err != nil {
		return info, err
	}
	info.Unread = 0
	for _, id := range logs {
		if err := t.addLog(id, &info); err != nil {
			return info, err
		}
	}
	if info.Last != nil {
		info.Time = info.Last.Time
	}
	var d draft
	err = t.load(draftKey(logs[0]), d.wire)
	info.Draft = d.Text
	return info, err
}

// chatPeople says who is in a conversation and what this account is there.
func (t *tx) chatPeople(cv *conversation, info *ChatInfo) error {
	me, err := t.identity()
	if err != nil {
		return err
	}
	info.People = len(cv.accounts())
	if info.Trust, err = t.worstTrust(cv); err != nil {
		return err
	}
	info.Time = unixTime(cv.meta.Since)
	info.Stopped = cv.meta.Alarm
	switch cv.meta.Policy.Kind {
	case kindGroup:
		info.Admin = cv.meta.Policy.admin(me.Account)
	case kindDirect:
		peer, err := t.peer(cv)
		if err != nil {
			return err
		}
		info.Person = t.handleOf(peer)
	}
	return nil
}

// addLog adds what one log has unread and its newest line.
func (t *tx) addLog(id proto.ConversationID, info *ChatInfo) error {
	cv, err := t.conv(id)
	if err != nil {
		return err
	}
	if cv.meta.Read != 0 {
		info.Read = max(info.Read, cv.meta.Read+cv.meta.Offset)
	}
	unread, mentioned, err := t.unreadLines(cv)
	if err != nil {
		return err
	}
	info.Unread += unread
	info.Mentioned = info.Mentioned || mentioned
	last, err := t.newest(cv)
	if err != nil || last == nil {
		return err
	}
	if info.Last == nil || last.Waiting || !info.Last.Waiting && last.Seq > info.Last.Seq {
		info.Last = last
	}
	return nil
}

// unreadShown bounds how many unread messages are counted one by one.
const unreadShown = 200

// unreadLines counts others' lines after the read mark, up to unreadShown.
func (t *tx) unreadLines(cv *conversation) (n int, mentioned bool, err error) {
	if cv.meta.Read >= cv.head.Seq {
		return 0, false, nil
	}
	all, err := t.forwards(cv, cv.meta.Read, unreadShown)
	for _, l := range all {
		if !l.Own && !l.Gone && l.Events == nil && l.Unreadable == nil {
			n++
			mentioned = mentioned || l.Mention
		}
	}
	return n, mentioned, err
}

// newest returns the last line of a log, what waits included; nil if there is
// none.
func (t *tx) newest(cv *conversation) (*Line, error) {
	waiting, err := t.waitingLines(cv)
	if err != nil {
		return nil, err
	}
	if len(waiting) > 0 {
		return &waiting[len(waiting)-1], nil
	}
	all, err := t.backwards(cv, cv.head.Seq+1, 1)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// MarkRead tells that a person has seen a chat up to a line.
func (c *Client) MarkRead(ctx context.Context, chat string, seq uint64) error {
	return c.step(ctx, func(t *tx) error {
		logs, err := t.logsOf(chat)
		if err != nil {
			return err
		}
		for _, cv := range logs {
			if seq <= cv.meta.Offset {
				continue
			}
			upTo := min(seq-cv.meta.Offset, cv.head.Seq)
			if upTo > cv.meta.Read {
				cv.meta.Read = upTo
				if err := t.saveMeta(cv); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// ChatID gives the identifier of a chat by its name, or by the identifier of one
// of its logs.
func (c *Client) ChatID(ctx context.Context, chat string) (id string, err error) {
	err = c.step(ctx, func(t *tx) error {
		logs, err := t.resolve(chat)
		if err == nil {
			id = stableID(logs)
		}
		return err
	})
	return id, err
}

// Direct returns the identifier of the direct conversation with a person, which
// is made by its first message if there is none.
func (c *Client) Direct(ctx context.Context, person string) (string, error) {
	id, err := c.directChat(ctx, "@"+person)
	if err != nil {
		return "", err
	}
	return c.ChatID(ctx, chatID(id))
}

// Reach tells whether the server answers: nil, or an error that wraps
// ErrUnreachable.
func (c *Client) Reach(ctx context.Context) error {
	return c.call(ctx, Anonymous, proto.Info, &proto.InfoRequest{}, &proto.InfoResponse{})
}

// worstTrust is the loudest state of a conversation's people; verified only if
// all of them are.
func (t *tx) worstTrust(cv *conversation) (worst string, err error) {
	rank := map[string]int{"": 0, TrustVerified: 1, TrustChecked: 2, TrustChanged: 3, TrustStop: 4}
	for _, a := range cv.accounts() {
		state, _, err := t.trustOf(a)
		if err != nil {
			return "", err
		}
		if rank[state] > rank[worst] {
			worst = state
		}
	}
	if worst == "" {
		worst = TrustChecked
	}
	return worst, nil
}
