package rpc

import (
	"context"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

func (c *Core) chats(k *Call, _ *Empty) (*ChatList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	all, err := device.Overview(k.Ctx)
	if err != nil {
		return nil, err
	}
	l := new(ChatList)
	for _, info := range all {
		l.Chats = append(l.Chats, c.chatOf(k.Ctx, device, info))
	}
	return l, nil
}

func (c *Core) chat(k *Call, q *ChatID) (*Chat, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	return c.oneChat(k.Ctx, device, q.Chat)
}

func (c *Core) oneChat(ctx context.Context, device *client.Client, chat string) (*Chat, error) {
	info, err := device.ChatInfo(ctx, chat)
	if err != nil {
		return nil, err
	}
	out := c.chatOf(ctx, device, info)
	return &out, nil
}

// chatOf is a chat as interfaces see it.
func (c *Core) chatOf(ctx context.Context, device *client.Client, info client.ChatInfo) Chat {
	out := Chat{
		ID: info.ID, Name: info.Name, Kind: ChatKind(info.Kind), State: ChatState(info.State), Stopped: say(info.Stopped),
		Person: info.Person, People: info.People, Role: RoleMember, Unread: info.Unread, Mentioned: info.Mentioned,
		Draft: info.Draft, Expiry: int(info.Expiry / time.Second), Time: millis(info.Time), Read: int64(info.Read),
		Trust: Trust(info.Trust),
	}
	if info.Admin {
		out.Role = RoleAdmin
	}
	if info.Stopped != "" {
		out.Trust = TrustStop
	}
	if info.Last != nil {
		m := messageOf(info.ID, info.Last)
		out.Last = &Last{
			From: m.From, Own: m.Own, Kind: m.Kind, Body: client.Shorten(m.Body, 200), Time: m.Time, State: m.State, Events: m.Events,
		}
		if len(m.Attachments) > 0 {
			out.Last.File = m.Attachments[0].Name
		}
	}
	out.Muted = device.Setting(ctx, mutePrefix+info.ID) != ""
	return out
}

func (c *Core) newChat(k *Call, q *NewChat) (*Chat, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	made, err := device.NewChat(k.Ctx, q.Name, q.People)
	if err != nil {
		return nil, err
	}
	return c.oneChat(k.Ctx, device, made.Name)
}

func (c *Core) openChat(k *Call, q *OpenChat) (*Chat, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	id, err := device.Direct(k.Ctx, bare(q.Person))
	if err != nil {
		return nil, err
	}
	return c.oneChat(k.Ctx, device, id)
}

// change does something to a chat and gives it as it is then.
func (c *Core) change(k *Call, chat string, f func(*client.Client) error) (*Chat, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if err := f(device); err != nil {
		return nil, err
	}
	return c.oneChat(k.Ctx, device, chat)
}

func (c *Core) leave(k *Call, q *ChatID) (*Chat, error) {
	return c.change(k, q.Chat, func(d *client.Client) error { return d.Leave(k.Ctx, q.Chat) })
}

func (c *Core) rename(k *Call, q *Rename) (*Chat, error) {
	return c.change(k, q.Chat, func(d *client.Client) error { return d.Rename(k.Ctx, q.Chat, q.Name) })
}

func (c *Core) setExpiry(k *Call, q *SetExpiry) (*Chat, error) {
	return c.change(k, q.Chat, func(d *client.Client) error {
		return d.SetExpiry(k.Ctx, q.Chat, time.Duration(q.Seconds)*time.Second)
	})
}

func (c *Core) setMuted(k *Call, q *SetMuted) (*Chat, error) {
	return c.change(k, q.Chat, func(d *client.Client) error {
		info, err := d.ChatInfo(k.Ctx, q.Chat)
		if err != nil {
			return err
		}
		value := ""
		if q.Muted {
			value = "1"
		}
		return d.SetSettings(k.Ctx, map[string]string{mutePrefix + info.ID: value})
	})
}

func (c *Core) setDraft(k *Call, q *SetDraft) (*Empty, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	return &Empty{}, device.SetUnsent(k.Ctx, q.Chat, q.Text)
}

func (c *Core) markRead(k *Call, q *MarkRead) (*Empty, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	return &Empty{}, device.MarkRead(k.Ctx, q.Chat, uint64(max(0, q.Seq)))
}

func (c *Core) members(k *Call, q *ChatID) (*MemberList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	info, err := device.ChatInfo(k.Ctx, q.Chat)
	if err != nil {
		return nil, err
	}
	me, err := device.Status(k.Ctx)
	if err != nil {
		return nil, err
	}
	all, err := device.Members(k.Ctx, q.Chat)
	if err != nil {
		return nil, err
	}
	group := info.Kind == string(ChatGroup) && info.State == ""
	l := &MemberList{MayAdd: group, MayRemove: group && info.Admin, MayChange: info.Admin || info.Kind == string(ChatDirect)}
	for _, m := range all {
		l.add(m, me.Account)
	}
	return l, nil
}

// add puts a device under its person.
func (l *MemberList) add(m client.Member, me string) {
	d := MemberDevice{ID: m.Device, Since: millis(m.Since), Warning: say(m.Warning)}
	for i := range l.Members {
		if p := &l.Members[i]; p.Account == m.Account {
			p.Devices = append(p.Devices, d)
			p.Since = min(p.Since, d.Since)
			p.worsen(m)
			return
		}
	}
	p := Member{
		Handle: m.Handle, Account: m.Account, Self: m.Account == me, Role: Role(m.Role), Trust: Trust(m.Trust), Reason: say(m.Why),
		Since: d.Since, Devices: []MemberDevice{d},
	}
	if p.Self {
		p.Trust = TrustChecked
	}
	p.worsen(m)
	l.Members = append(l.Members, p)
}

// worsen takes over what is worse of one more device.
func (p *Member) worsen(m client.Member) {
	switch {
	case m.Trust == client.TrustStop:
		p.Trust, p.Reason = TrustStop, say(m.Why)
	case m.Warning != "" && p.Trust != TrustStop:
		p.Trust, p.Reason = TrustChanged, say(m.Warning)
	}
}

func (c *Core) notes(k *Call, q *ChatID) (*NoteList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	all, err := device.Notes(k.Ctx, q.Chat)
	if err != nil {
		return nil, err
	}
	l := new(NoteList)
	for _, n := range all {
		l.Notes = append(l.Notes, Note{Time: millis(n.Time), Handle: n.Handle, Kind: PersonEventKind(n.Kind), Signed: n.Signed})
	}
	return l, nil
}

// changeMembers does something to who is in a chat and gives who is then.
func (c *Core) changeMembers(k *Call, chat string, f func(*client.Client) error) (*MemberList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if err := f(device); err != nil {
		return nil, err
	}
	return c.members(k, &ChatID{Chat: chat})
}

func (c *Core) addMembers(k *Call, q *ChatPeople) (*MemberList, error) {
	return c.changeMembers(k, q.Chat, func(d *client.Client) error { return d.AddMembers(k.Ctx, q.Chat, q.People) })
}

func (c *Core) removeMembers(k *Call, q *ChatPeople) (*MemberList, error) {
	return c.changeMembers(k, q.Chat, func(d *client.Client) error { return d.RemoveMembers(k.Ctx, q.Chat, q.People) })
}

func (c *Core) setRole(k *Call, q *SetRole) (*MemberList, error) {
	return c.changeMembers(k, q.Chat, func(d *client.Client) error {
		return d.SetAdmin(k.Ctx, q.Chat, bare(q.Person), q.Role == RoleAdmin)
	})
}
