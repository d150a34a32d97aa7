package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

type inviteCommand struct {
	Uses    int      `default:"1" placeholder:"N" help:"How many people may use it (default 1)."`
	Expires duration `default:"7d" placeholder:"D" help:"How long it holds, such as 90m, 12h or 7d (default 7d)."`
	Reset   string   `placeholder:"@NAME" help:"For somebody who lost all devices and the recovery key: a new account under their name."`
}

func (k *inviteCommand) Run(e *env) error {
	if k.Uses < 1 {
		return usagef("leave --uses away for an invitation for one person", "--uses %d invites nobody", k.Uses)
	}
	if k.Reset != "" && k.Uses != 1 {
		return usagef("leave --uses away", "an account is made anew once")
	}
	return e.change(func(c *client.Client) error {
		inv, err := k.make(e, c)
		if err != nil {
			return err
		}
		return e.print(struct {
			Invite  string  `json:"invite"`
			Expires *string `json:"expires"`
		}{inv.String(), stamp(inv.Expires)}, "%s", inv)
	})
}

func (k *inviteCommand) make(e *env, c *client.Client) (client.Invitation, error) {
	if k.Reset == "" {
		return c.Invite(e.ctx, k.Uses, k.Expires.std())
	}
	inv, err := c.InviteReset(e.ctx, k.Reset, k.Expires.std())
	if err == nil {
		e.note("Give this to @%s yourself, after you made sure who asks: their contacts are warned,\nand take the new account for theirs in about a day unless one of their devices objects.", strings.TrimPrefix(k.Reset, "@"))
	}
	return inv, err
}

// duration is a time.Duration that may be written in days: 7d.
type duration time.Duration

func (d duration) std() time.Duration { return time.Duration(d) }

// UnmarshalText reads 90m, 12h, 7d and the other forms of time.ParseDuration.
func (d *duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err == nil && n > 0 && n <= 3650 {
			*d = duration(n * 24 * float64(time.Hour))
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a length of time such as 90m, 12h or 7d", s)
	}
	*d = duration(v)
	return nil
}

type joinCommand struct {
	Invite string `arg:"" help:"The invitation link."`
	Handle string `placeholder:"NAME" help:"Your name on the server: letters a to z, digits, dots, dashes."`

	Witnesses string `placeholder:"FILE" help:"For the first to join: the witnesses everybody here is to rely on, as C2SP tlog-policy."`
}

func (k *joinCommand) Run(e *env) error {
	witnesses, err := readWitnesses(k.Witnesses)
	if err != nil {
		return err
	}
	inv, err := client.ParseInvitation(k.Invite)
	k.Handle = strings.TrimPrefix(k.Handle, "@")
	switch {
	case k.Handle == "" && inv.Reset == "":
		return usagef("huis join INVITE --handle NAME", "missing flags: --handle=NAME")
	case err != nil:
		return &hinted{err, "copy the whole link, up to its last character, and put it in quotes"}
	case k.Handle == "":
		k.Handle = inv.Reset
	case inv.Reset != "" && k.Handle != inv.Reset:
		return usagef("leave --handle away, or write --handle "+inv.Reset, "this invitation is for @%s, whose account it makes anew", inv.Reset)
	}
	return e.create(func(cfg client.Config) (*client.Client, error) {
		cfg.Witnesses = witnesses
		c, me, err := client.Join(e.ctx, cfg, inv, k.Handle)
		if err != nil {
			return nil, err
		}
		err = e.print(struct {
			Account     string `json:"account"`
			Handle      string `json:"handle"`
			Device      string `json:"device"`
			RecoveryKey string `json:"recovery_key"`
		}{me.Account, me.Handle, me.Device, me.RecoveryKey},
			"You are @%s now.\n\nYour recovery key, shown only this once:\n\n    %s\n\nWrite it down and keep it away from your devices: it is what lets you\nback in when all of them are lost (huis recover), and nobody else can help then.", me.Handle, me.RecoveryKey)
		if err != nil {
			return c, err // it is shown by the next command
		}
		return c, c.RecoveryKeyShown(e.ctx)
	})
}

// create runs make on a profile that holds no device yet.
func (e *env) create(make func(client.Config) (*client.Client, error)) error {
	cfg, err := e.config(true)
	if err != nil {
		return err
	}
	switch c, err := client.Open(e.ctx, cfg); {
	case err == nil:
		if err := e.showRecoveryKey(c); err != nil {
			return errors.Join(err, c.Close())
		}
		return errors.Join(&hinted{
			errors.New("this device has an account already"),
			"huis status shows which; another one goes into another folder: --profile DIR",
		}, c.Close())
	case !errors.Is(err, client.ErrNoProfile):
		return errors.Join(err, cfg.Store.Close())
	}
	c, err := make(cfg)
	if c == nil {
		return errors.Join(err, cfg.Store.Close())
	}
	return errors.Join(err, c.Close())
}

type linkCommand struct {
	Server string `arg:"" help:"The server, as huis status prints it on the other device."`
	Handle string `required:"" placeholder:"NAME" help:"Your name on the server."`
}

// linked is both lines of link: the code, then the code and what came of it.
type linked struct {
	Code   string `json:"code"`
	Handle string `json:"handle,omitempty"`
	Device string `json:"device,omitempty"`
}

func (k *linkCommand) Run(e *env) error {
	server, err := client.ParseServerRef(k.Server)
	if err != nil {
		return &hinted{err, "huis status on your other device shows the server to write here"}
	}
	return e.create(func(cfg client.Config) (*client.Client, error) {
		var done linked
		c, err := client.Link(e.ctx, cfg, server, strings.TrimPrefix(k.Handle, "@"), func(code string) {
			done.Code = code
			e.print(done, "On your other device:\n\n    huis approve %s\n\nWaiting …", code)
		})
		if err != nil {
			return nil, orHint(err, "start huis link again for a new code")
		}
		s, err := c.Status(e.ctx)
		if err != nil {
			return c, err
		}
		done.Handle, done.Device = s.Handle, s.Device
		return c, e.print(done, "This is a device of @%s now.", s.Handle)
	})
}

type approveCommand struct {
	Code string `arg:"" help:"The code the new device shows."`
	Yes  bool   `help:"Do not ask."`
}

func (k *approveCommand) Run(e *env) error {
	return e.change(func(c *client.Client) error {
		d, err := c.Approve(e.ctx, k.Code, func(r client.LinkRequest) bool {
			return e.JSON || k.Yes || e.confirm("A new device asks to become yours.\n\n    device  %s\n    code    %s\n\nDoes it stand before you and show this code? It will read all your conversations.", r.Device, r.Code)
		})
		if err != nil {
			return orHint(err, "nothing was changed; huis link on the new device shows a new code")
		}
		return e.print(struct {
			Device string `json:"device"`
		}{d.Device}, "Device %s is yours now.", d.Device)
	})
}

// confirm asks a person; only a plain yes counts.
func (e *env) confirm(format string, args ...any) bool {
	fmt.Fprintf(e.std.Err, format+" [yes/no] ", args...)
	line, _ := bufio.NewReader(e.std.In).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes", "oui", "ja":
		return true
	}
	return false
}

type deviceCommands struct {
	List   deviceList   `cmd:"" default:"withargs" help:"List the devices of your account."`
	Revoke deviceRevoke `cmd:"" help:"End a device: it receives and reads nothing more."`

	NewRecoveryKey newRecoveryKey `cmd:"" help:"Replace your recovery key; the one before is worth nothing any more."`
}

type deviceList struct{}

func (*deviceList) Run(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		devices, err := c.Devices(e.ctx)
		if err != nil {
			return err
		}
		for _, d := range devices {
			state := ""
			switch {
			case d.Revoked:
				state = "  revoked"
			case d.Own:
				state = "  this device"
			}
			err := e.print(struct {
				Device  string  `json:"device"`
				Own     bool    `json:"own"`
				Added   *string `json:"added"`
				Revoked bool    `json:"revoked"`
			}{d.Device, d.Own, stamp(d.Added), d.Revoked}, "%s  since %s%s", d.Device, local(d.Added), state)
			if err != nil {
				return err
			}
		}
		return stale
	})
}

type deviceRevoke struct {
	Device string `arg:"" help:"The device, or the beginning of its name."`
}

func (k *deviceRevoke) Run(e *env) error {
	return e.change(func(c *client.Client) error {
		if err := c.Revoke(e.ctx, k.Device); err != nil {
			return orHint(err, "huis devices lists your devices")
		}
		return e.print(struct {
			Device string `json:"device"`
		}{k.Device}, "")
	})
}

type statusCommand struct{}

func (*statusCommand) Run(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		s, err := c.Status(e.ctx)
		if err != nil {
			return err
		}
		unseen, err := c.RecoveryKeyToShow(e.ctx)
		if err != nil {
			return err
		}
		warnings := append([]string{}, s.Warnings...)
		if errors.Is(stale, client.ErrUnreachable) {
			warnings = append(warnings, stale.Error())
		}
		err = e.print(struct {
			Handle   string   `json:"handle"`
			Account  string   `json:"account"`
			Device   string   `json:"device"`
			Server   string   `json:"server"`
			Outbox   int      `json:"outbox"`
			Log      logState `json:"log"`
			Warnings []string `json:"warnings"`
			Recovery string   `json:"recovery_key,omitempty"` // until it was shown
		}{s.Handle, s.Account, s.Device, s.Server.String(), s.Outbox, newLogState(s.Log), warnings, unseen},
			"you      @%s\ndevice   %s\nserver   %s\noutbox   %d waiting\nlog      %s", s.Handle, s.Device, s.Server, s.Outbox, logWords(s.Log))
		if err != nil {
			return err
		}
		if err := c.RecoveryKeyShown(e.ctx); err != nil {
			return err
		}
		for _, w := range warnings {
			e.note("warning  %s", printable(w))
		}
		return stale
	})
}
