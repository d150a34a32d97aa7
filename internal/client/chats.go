package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// names gives every conversation a person may see the name commands take: a
// direct one "@handle", a group its own, with the start of its id where two
// share one.
func (t *tx) names() (map[proto.ConversationID]string, error) {
	ids, err := t.conversations()
	if err != nil {
		return nil, err
	}
	names, count := map[proto.ConversationID]string{}, map[string]int{}
	for _, id := range ids {
		cv, err := t.conv(id)
		if err != nil {
			return nil, err
		}
		name, err := t.plainName(cv)
		if err != nil || name == "" {
			if err != nil {
				return nil, err
			}
			continue
		}
		names[id] = name
		if cv.meta.Policy.Kind == kindGroup && t.continuedBy(cv) == nil {
			count[name]++
		}
	}
	for id, name := range names {
		if cv, _ := t.conv(id); count[name] > 1 && t.continuedBy(cv) == nil {
			names[id] = name + "~" + id.Hex()[:6]
		}
	}
	return names, t.inherit(names)
}

// continuedBy returns the conversation that goes on in place of one that was
// re-formed, or of a successor that came second when two members offered one at
// the same moment; nil if there is none.
func (t *tx) continuedBy(cv *conversation) *proto.ConversationID {
	if cv.meta.State == stateSucceeded {
		return &cv.meta.Successor
	}
	if cv.group == nil {
		return nil
	}
	p, err := predecessorOf(&cv.group.GroupView)
	if err != nil || p == nil {
		return nil
	}
	old, err := t.conv(p.Conversation)
	if err != nil || old == nil || old.meta.State != stateSucceeded || old.meta.Successor == cv.id {
		return nil
	}
	return &old.meta.Successor
}

// inherit gives a conversation that was re-formed the name of its successor.
func (t *tx) inherit(names map[proto.ConversationID]string) error {
	for id := range names {
		last := id
		for range names { // bounds the walk
			cv, err := t.conv(last)
			if err != nil {
				return err
			}
			if cv == nil {
				break
			}
			next := t.continuedBy(cv)
			if next == nil || names[*next] == "" {
				break
			}
			last = *next
		}
		names[id] = names[last]
	}
	return nil
}

// plainName returns "" for a conversation no person writes in.
func (t *tx) plainName(cv *conversation) (string, error) {
	switch cv.meta.Policy.Kind {
	case kindDirect:
		peer, err := t.peer(cv)
		return "@" + t.handleOf(peer), err
	case kindGroup:
		return cv.meta.Policy.Name, nil
	}
	return "", nil
}

// peer returns the other account of a direct conversation.
func (t *tx) peer(cv *conversation) (proto.AccountID, error) {
	me, err := t.identity()
	if err != nil {
		return proto.AccountID{}, err
	}
	for _, a := range cv.meta.Policy.Admins {
		if a != me.Account {
			return a, nil
		}
	}
	return me.Account, nil // notes to oneself
}

// resolve returns the conversations of a name, the one to write in first: two
// people who wrote to each other for the first time at the same moment have two
// direct ones, and both use that of the smaller id.
func (t *tx) resolve(name string) ([]proto.ConversationID, error) {
	names, err := t.names()
	if err != nil {
		return nil, err
	}
	name = named(names, name)
	if h, person := strings.CutPrefix(name, "@"); person {
		// by a name they left, too
		if a, known, err := t.accountOf(h); err != nil {
			return nil, err
		} else if known && t.leftName(a, h) {
			name = "@" + t.handleOf(a)
		}
	}
	var found []proto.ConversationID
	for id, n := range names {
		if n == name {
			found = append(found, id)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrUnknownChat, name)
	}
	slices.SortFunc(found, func(a, b proto.ConversationID) int {
		return strings.Compare(t.rank(a)+a.Hex(), t.rank(b)+b.Hex())
	})
	return found, nil
}

// rank puts conversations one can write in before those that are over, and a
// re-formed one last.
func (t *tx) rank(id proto.ConversationID) string {
	cv, err := t.conv(id)
	switch {
	case err != nil || cv == nil || t.continuedBy(cv) != nil:
		return "2"
	case t.alone(cv):
		return "1"
	case cv.active() || cv.meta.State == statePlanned:
		return "0"
	}
	return "1"
}

// alone tells whether the other person of a direct conversation has gone.
func (t *tx) alone(cv *conversation) bool {
	if cv.meta.Policy.Kind != kindDirect || cv.meta.State != stateLive || cv.group == nil {
		return false
	}
	peer, err := t.peer(cv)
	return err == nil && !slices.Contains(cv.accounts(), peer) && !slices.Contains(cv.meta.Wanted, peer)
}

// find returns the conversation to write in or to change; after a sync if this
// device does not know it yet.
func (c *Client) find(ctx context.Context, name string) (id proto.ConversationID, err error) {
	local := func() error {
		return c.step(ctx, func(t *tx) error {
			found, err := t.resolve(name)
			if err == nil {
				id = found[0]
			}
			return err
		})
	}
	if err = local(); !errors.Is(err, ErrUnknownChat) {
		return id, err
	}
	if err := beyondSafety(c.Sync(ctx)); err != nil && !errors.Is(err, ErrUnreachable) {
		return id, err
	}
	return id, local()
}

// handle returns the name in "@name" or "name", or an error.
func handle(s string) (string, error) {
	h := strings.TrimPrefix(s, "@")
	if len(h) < 2 || len(h) > proto.MaxHandle || strings.Trim(h, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return "", fmt.Errorf("%w: %q is not a handle", ErrUnknownPerson, shorten(s))
	}
	return h, nil
}

// people returns the accounts of handles, without the own one.
func (c *Client) people(ctx context.Context, handles []string) ([]proto.AccountID, error) {
	me, err := c.whoami(ctx)
	if err != nil {
		return nil, err
	}
	var all []proto.AccountID
	for _, s := range handles {
		h, err := handle(s)
		if err != nil {
			return nil, err
		}
		a, err := c.lookup(ctx, h)
		if err != nil {
			return nil, err
		}
		if a != me.Account && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all, nil
}

func checkName(name string) error {
	switch {
	case name == "" || len(name) > maxName || !utf8.ValidString(name):
		return fmt.Errorf("a conversation's name has 1 to %d bytes", maxName)
	case name[0] == '@':
		return fmt.Errorf("a conversation's name does not begin with @")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("a conversation's name has printable characters only")
	}
	return nil
}

// NewChat makes a group of all devices of the named people.
func (c *Client) NewChat(ctx context.Context, name string, handles []string) (Chat, error) {
	if err := checkName(name); err != nil {
		return Chat{}, err
	}
	if err := beyondSafety(c.Sync(ctx)); err != nil {
		return Chat{}, err
	}
	accounts, err := c.people(ctx, handles)
	if err == nil {
		err = c.mayTakeKeysOfAll(ctx, accounts)
	}
	if err != nil {
		return Chat{}, err
	}
	var id proto.ConversationID
	err = c.step(ctx, func(t *tx) error {
		if found, err := t.resolve(name); err == nil && t.rank(found[0]) == "0" {
			return fmt.Errorf("%w: %s", ErrExists, name)
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		p := policy{Kind: kindGroup, Name: name, Creator: me.Account, Admins: []proto.AccountID{me.Account}}
		cv, err := t.newConversation(p, append(accounts, me.Account))
		if err == nil {
			id = cv.id
		}
		return err
	})
	if err != nil {
		return Chat{}, err
	}
	if err := c.syncConv(ctx, id); err != nil {
		return Chat{}, err
	}
	return c.chat(ctx, id)
}

// directChat returns the direct conversation with a person, planned if there is
// none yet.
func (c *Client) directChat(ctx context.Context, name string) (id proto.ConversationID, err error) {
	id, err = c.find(ctx, name)
	if over, e := c.nowhere(ctx, id, err); !over {
		return id, e
	}
	h, err := handle(name)
	if err != nil {
		return id, err
	}
	a, err := c.lookup(ctx, h)
	if err != nil {
		return id, err
	}
	return id, c.step(ctx, func(t *tx) error {
		if found, err := t.resolve("@" + h); err == nil && t.rank(found[0]) == "0" {
			id = found[0]
			return nil
		}
		if err := t.mayTakeKeysOf(a); err != nil && !errors.Is(err, errUnvouched) {
			return err
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		p := policy{Kind: kindDirect, Creator: me.Account, Admins: []proto.AccountID{me.Account}}
		if a != me.Account {
			p.Admins = append(p.Admins, a)
		}
		cv, err := t.newConversation(p, p.Admins)
		if err == nil {
			id = cv.id
		}
		return err
	})
}

// nowhere tells, of what find returned, whether there is no conversation to write
// in: none at all, or one that this device has left.
func (c *Client) nowhere(ctx context.Context, id proto.ConversationID, err error) (bool, error) {
	if errors.Is(err, ErrUnknownChat) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	over := false
	err = c.step(ctx, func(t *tx) error {
		over = t.rank(id) != "0"
		return nil
	})
	return over, err
}

func (c *Client) chat(ctx context.Context, id proto.ConversationID) (out Chat, err error) {
	err = c.step(ctx, func(t *tx) error {
		names, err := t.names()
		if err != nil {
			return err
		}
		out, err = t.describe(id, names[id])
		return err
	})
	return out, err
}

// Chats lists the conversations of this device by name.
func (c *Client) Chats(ctx context.Context) (all []Chat, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		names, err := t.names()
		if err != nil {
			return err
		}
		for id, name := range names {
			logs, err := t.resolve(name)
			if err != nil {
				return err
			}
			if logs[0] != id { // one of a chat's other logs
				continue
			}
			chat, err := t.describe(id, name)
			if err != nil {
				return err
			}
			for _, other := range logs[1:] {
				o, err := t.describe(other, name)
				if err != nil {
					return err
				}
				chat.Unread += o.Unread
			}
			all = append(all, chat)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Chat) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

func (t *tx) describe(id proto.ConversationID, name string) (Chat, error) {
	cv, err := t.conv(id)
	if err != nil || cv == nil {
		return Chat{}, errors.Join(err, ErrUnknownChat)
	}
	unread, err := t.unreadCount(cv)
	chat := Chat{
		Name: name, Kind: cv.meta.Policy.Kind.String(), Unread: unread, Members: len(cv.keys),
		State: cv.meta.State.String(), Expiry: time.Duration(cv.meta.Policy.Expiry) * time.Second,
	}
	if cv.group != nil {
		chat.Epoch = cv.group.Epoch()
	}
	if cv.meta.Alarm != "" {
		chat.State = "stopped"
	}
	return chat, err
}

// Members lists the devices in a conversation, by the tree of MLS.
func (c *Client) Members(ctx context.Context, chat string) (all []Member, err error) {
	id, err := c.find(ctx, chat)
	if err != nil {
		return nil, err
	}
	err = c.step(ctx, func(t *tx) error {
		all = nil
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		if cv.group == nil {
			return ErrNotMember
		}
		for _, m := range cv.group.Members() {
			d, err := t.memberInfo(cv, &m)
			if err != nil {
				return err
			}
			all = append(all, d)
		}
		return nil
	})
	return all, err
}

func (t *tx) memberInfo(cv *conversation, m *mls.Member) (Member, error) {
	s, who, err := t.standing(m)
	if err != nil {
		return Member{}, err
	}
	d := Member{Handle: t.handleOf(who.Account), Account: who.Account.Hex(), Device: who.Device.Hex(), Role: "member"}
	if cv.meta.Policy.admin(who.Account) && cv.meta.Policy.Kind == kindGroup {
		d.Role = roleAdmin
	}
	if k, ok := cv.keys.find(m.Leaf); ok && k.Since != 0 {
		d.Since = time.Unix(int64(k.Since)*60, 0).UTC()
	}
	switch s {
	case kt.Revoked:
		d.Warning = "revoked by its account"
		if gone, err := t.isFormer(who.Account); gone && err == nil {
			d.Warning = "its account was made anew"
		}
	case kt.Unproven:
		d.Warning = "its account's keys do not vouch for it"
	}
	if d.Trust, d.Why, err = t.trustOf(who.Account); s == kt.Unproven {
		d.Trust, d.Why = TrustStop, d.Warning
	}
	return d, err
}
