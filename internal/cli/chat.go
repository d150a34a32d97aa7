package cli

import (
	"strings"

	"codeberg.org/huis/huis/internal/client"
)

type chatCommands struct {
	New     chatNew     `cmd:"" help:"Make a group."`
	List    chatList    `cmd:"" help:"List your conversations."`
	Members chatMembers `cmd:"" help:"List the devices in a conversation."`
	Add     chatAdd     `cmd:"" help:"Add people to a group."`
	Remove  chatRemove  `cmd:"" help:"Remove people from a group."`
	Leave   chatLeave   `cmd:"" help:"Leave a group."`
	Expiry  chatExpiry  `cmd:"" help:"Let a conversation's messages disappear after a time."`
}

// chatObject is a conversation for a program.
type chatObject struct {
	Chat    string `json:"chat"`
	Kind    string `json:"kind"`
	Epoch   uint64 `json:"epoch"`
	Unread  int    `json:"unread"`
	Members int    `json:"members"`
	State   string `json:"state"`
}

func objectOf(c client.Chat) chatObject {
	return chatObject{c.Name, c.Kind, c.Epoch, c.Unread, c.Members, c.State}
}

// done is what commands answer that change a conversation and print nothing for
// a person.
type done struct {
	Chat string `json:"chat"`
}

type chatNew struct {
	Name   string   `arg:"" help:"The group's name; only its members see it."`
	People []string `arg:"" optional:"" name:"@person" help:"Who is in it from the start."`
}

func (k *chatNew) Run(e *env) error {
	if strings.HasPrefix(k.Name, "@") || strings.TrimSpace(k.Name) == "" {
		return usagef("huis chat new NAME @PERSON …; to write to one person: huis send @PERSON TEXT", "%q cannot be a group's name", k.Name)
	}
	return e.change(func(c *client.Client) error {
		chat, err := c.NewChat(e.ctx, k.Name, handles(k.People))
		if err != nil {
			return err
		}
		return e.print(objectOf(chat), "")
	})
}

type chatList struct{}

func (*chatList) Run(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		chats, err := c.Chats(e.ctx)
		if err != nil {
			return err
		}
		for _, chat := range chats {
			state := chat.State
			if state != "" {
				state = "  (" + state + ")"
			}
			if err := e.print(objectOf(chat), "%-24s %4d unread%s", printable(chat.Name), chat.Unread, state); err != nil {
				return err
			}
		}
		if len(chats) == 0 {
			e.note("no conversations yet: huis send @PERSON TEXT, or huis chat new NAME @PERSON …")
		}
		return stale
	})
}

type chatMembers struct {
	Chat string `arg:"" help:"A group's name, or @person."`
}

func (k *chatMembers) Run(e *env) error {
	e.chat = k.Chat
	return e.with(func(c *client.Client, stale error) error {
		members, err := c.Members(e.ctx, k.Chat)
		if err != nil {
			return err
		}
		for _, m := range members {
			warning := m.Warning
			if warning == "" {
				warning = m.Why
			}
			if warning != "" {
				warning = "  (" + warning + ")"
			} else if m.Trust == client.TrustVerified {
				warning = "  verified"
			}
			err := e.print(struct {
				Handle  string  `json:"handle"`
				Device  string  `json:"device"`
				Role    string  `json:"role"`
				Since   *string `json:"since"`
				Trust   string  `json:"trust,omitempty"` // checked, verified, changed or stop; none of oneself
				Warning string  `json:"warning,omitempty"`
			}{m.Handle, m.Device, m.Role, stamp(m.Since), m.Trust, m.Warning},
				"@%-20s %s  %-6s  since %s%s", printable(m.Handle), m.Device, m.Role, local(m.Since), printable(warning))
			if err != nil {
				return err
			}
		}
		return stale
	})
}

type chatAdd struct {
	Chat   string   `arg:"" help:"The group's name."`
	People []string `arg:"" name:"@person" help:"Who to add, with all their devices."`
}

func (k *chatAdd) Run(e *env) error {
	return e.change(func(c *client.Client) error {
		if err := c.AddMembers(e.ctx, k.Chat, handles(k.People)); err != nil {
			return err
		}
		return e.print(done{k.Chat}, "")
	})
}

type chatRemove struct {
	Chat   string   `arg:"" help:"The group's name."`
	People []string `arg:"" name:"@person" help:"Who to remove, with all their devices."`
}

func (k *chatRemove) Run(e *env) error {
	return e.change(func(c *client.Client) error {
		if err := c.RemoveMembers(e.ctx, k.Chat, handles(k.People)); err != nil {
			return err
		}
		return e.print(done{k.Chat}, "")
	})
}

type chatLeave struct {
	Chat string `arg:"" help:"The group's name."`
}

func (k *chatLeave) Run(e *env) error {
	return e.change(func(c *client.Client) error {
		if err := c.Leave(e.ctx, k.Chat); err != nil {
			return err
		}
		return e.print(done{k.Chat}, "")
	})
}

type chatExpiry struct {
	Chat  string `arg:"" help:"A group's name, or @person."`
	After string `arg:"" help:"Such as 12h or 7d; off: keep them."`
}

func (k *chatExpiry) Run(e *env) error {
	var after duration
	if k.After != "off" {
		if err := after.UnmarshalText([]byte(k.After)); err != nil {
			return &usageError{err, "huis chat expiry CHAT 7d, or: huis chat expiry CHAT off"}
		}
	}
	return e.change(func(c *client.Client) error {
		if err := c.SetExpiry(e.ctx, k.Chat, after.std()); err != nil {
			return err
		}
		return e.print(done{k.Chat}, "")
	})
}
