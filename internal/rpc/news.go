package rpc

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

// gather is how long changes are gathered before interfaces are told of them.
const gather = 30 * time.Millisecond

// maxTold is up to how many new messages at once interfaces are told of one by
// one; of more they see the unread counts.
const maxTold = 50

// news gathers what the client core says has changed.
type news struct {
	kick chan struct{} // has one when there is something

	mu   sync.Mutex // guards what follows
	all  bool
	rest client.Change
}

// note is client.Config.Changed: it calls nobody.
func (n *news) note(ch client.Change) {
	n.mu.Lock()
	n.all = n.all || ch.Everything
	n.rest.People = n.rest.People || ch.People
	n.rest.Names = n.rest.Names || ch.Names
	n.rest.Settings = n.rest.Settings || ch.Settings
	for _, c := range ch.Chats {
		i := slices.IndexFunc(n.rest.Chats, func(o client.ChatChange) bool { return o.Chat == c.Chat })
		if i < 0 {
			n.rest.Chats = append(n.rest.Chats, c)
			continue
		}
		o := &n.rest.Chats[i]
		o.Seqs, o.New = append(o.Seqs, c.Seqs...), append(o.New, c.New...)
	}
	n.mu.Unlock()
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

func (n *news) take() client.Change {
	n.mu.Lock()
	defer n.mu.Unlock()
	ch := n.rest
	ch.Everything = n.all
	n.all, n.rest = false, client.Change{}
	return ch
}

// again is how long after a failure of the store changes are told again.
const again = time.Second

// report tells interfaces what changed, until ctx ends.
func (c *Core) report(ctx context.Context, device *client.Client) {
	for {
		select {
		case <-c.news.kick:
		case <-ctx.Done():
			return
		}
		if (client.SystemClock{}).Sleep(ctx, gather) != nil {
			return
		}
		if !c.tell(ctx, device, c.news.take()) && (client.SystemClock{}).Sleep(ctx, again) != nil {
			return
		}
	}
}

// tell tells interfaces what changed. What cannot be read now is noted anew; it
// tells whether all was told.
func (c *Core) tell(ctx context.Context, device *client.Client, ch client.Change) bool {
	var left client.Change
	if ch.Everything || ch.Names {
		left.Everything = c.tellAll(ctx, device) != nil
	}
	if ch.Names {
		left.Names = c.tellState(ctx) != nil // the own name, perhaps
	}
	for _, one := range ch.Chats {
		if c.tellChat(ctx, device, one) != nil {
			left.Chats = append(left.Chats, one)
		}
	}
	if ch.People {
		c.event("people", &Empty{})
		c.event("devices", &Empty{})
		c.tellAlarms(ctx, device)
	}
	if ch.Settings {
		values, err := device.Settings(ctx)
		if left.Settings = err != nil; err == nil {
			c.event("settings", &Settings{Values: ownSettings(values)})
		}
	}
	c.updateOutbox(ctx, device)
	if !left.Everything && !left.Names && len(left.Chats) == 0 && !left.Settings {
		return true
	}
	c.news.note(left)
	return false
}

func (c *Core) tellChat(ctx context.Context, device *client.Client, one client.ChatChange) error {
	info, err := device.ChatInfo(ctx, one.Chat)
	if errors.Is(err, client.ErrUnknownChat) { // of the own devices, or gone
		c.event("chats", &ChatsEvent{Gone: []string{one.Chat}})
		return nil
	}
	if err != nil {
		return err
	}
	chat := c.chatOf(ctx, device, info)
	c.event("chats", &ChatsEvent{Chats: []Chat{chat}})
	c.event("messages", &MessagesEvent{Chat: chat.ID, Seqs: numbers(one.Seqs)})
	if info.Stopped != "" {
		c.raise(Alarm{Chat: chat.ID, Reason: say(info.Stopped), Fix: say("compare with the other members by another way, and talk to the server's operator")})
	}
	return c.tellNew(ctx, device, chat, one.New)
}

// tellAll tells of every chat, when it is not known what changed.
func (c *Core) tellAll(ctx context.Context, device *client.Client) error {
	all, err := device.Overview(ctx)
	if err != nil {
		return err
	}
	var e ChatsEvent
	for _, info := range all {
		e.Chats = append(e.Chats, c.chatOf(ctx, device, info))
		c.event("messages", &MessagesEvent{Chat: info.ID})
	}
	c.event("chats", &e)
	c.event("people", &Empty{})
	c.tellAlarms(ctx, device)
	return nil
}

// tellNew tells of messages that came from others and were not read elsewhere.
func (c *Core) tellNew(ctx context.Context, device *client.Client, chat Chat, seqs []uint64) error {
	if len(seqs) == 0 || len(seqs) > maxTold {
		return nil
	}
	lines, err := device.LinesAt(ctx, chat.ID, seqs)
	if err != nil {
		return err
	}
	for i := range lines {
		if m := messageOf(chat.ID, &lines[i]); !m.Own && m.Seq > chat.Read && m.Kind != MessageGone && m.Kind != MessageUnreadable {
			c.event("message", &NewMessageEvent{Message: m, Chat: chat})
		}
	}
	return nil
}

// raise keeps an alarm and tells interfaces, once.
func (c *Core) raise(a Alarm) {
	c.mu.Lock()
	known := slices.ContainsFunc(c.standing, a.same)
	if !known {
		c.standing = append(c.standing, a)
	}
	c.mu.Unlock()
	if !known {
		c.event("alarm", &a)
	}
}

// alarmOf is an error that stops this device.
func alarmOf(err error) Alarm {
	var safety *client.SafetyError
	if errors.As(err, &safety) {
		return Alarm{Reason: say(safety.Reason), Fix: say(safety.Fix), Evidence: safety.Evidence}
	}
	e := Explain(err)
	return Alarm{Reason: say(e.Text), Fix: say(e.Hint)}
}

// same tells whether two alarms say the same of the same.
func (a Alarm) same(b Alarm) bool {
	return a.Chat == b.Chat && a.Reason.String() == b.Reason.String() && a.Fix.String() == b.Fix.String() && a.Evidence == b.Evidence
}

// String is the sentence in English.
func (s *Sentence) String() string {
	if s == nil {
		return ""
	}
	return s.Text
}

// setSync changes how the connection stands, and tells of it.
func (c *Core) setSync(f func(*SyncEvent)) {
	c.mu.Lock()
	before := c.sync
	f(&c.sync)
	now := c.sync
	c.mu.Unlock()
	if now != before {
		c.event("sync", &now)
	}
}

func (c *Core) updateOutbox(ctx context.Context, device *client.Client) {
	if s, err := device.Status(ctx); err == nil {
		c.setSync(func(e *SyncEvent) { e.Outbox = s.Outbox })
	}
}

// firstSync finds out how the connection stands, and again from time to time:
// the follower does not say.
func (c *Core) firstSync(ctx context.Context, device *client.Client) {
	for ctx.Err() == nil {
		err := device.Reach(ctx)
		c.mu.Lock()
		if err == nil {
			c.lastSync = time.Now()
		}
		c.mu.Unlock()
		c.setSync(func(e *SyncEvent) { e.Online, e.Syncing = err == nil, false })
		if (client.SystemClock{}).Sleep(ctx, 15*time.Second) != nil {
			return
		}
	}
}

func numbers(seqs []uint64) (all []int64) {
	for _, s := range seqs {
		all = append(all, int64(s))
	}
	return all
}
