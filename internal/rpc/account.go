package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
)

func (c *Core) state(k *Call, _ *Empty) (*State, error) { return c.present(k.Ctx) }

func (c *Core) status(k *Call, _ *Empty) (*Status, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	st, err := device.Status(k.Ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &Status{
		Online: c.sync.Online, Syncing: c.sync.Syncing, LastSync: millis(c.lastSync), Outbox: st.Outbox,
		Log: Log{Size: int64(st.Log.Size), Root: st.Log.Root, Policy: st.Log.Policy, Witnessed: st.Log.Witnessed},
	}
	for _, w := range st.Log.Witnesses {
		s.Log.Witnesses = append(s.Log.Witnesses, Witness{Name: w.Name, Time: millis(w.Time)})
	}
	for _, w := range st.Concerns {
		s.Warnings = append(s.Warnings, Warning{Chat: w.Chat, Name: w.Name, Say: say(w.Text)})
	}
	return s, nil
}

// syncNow brings everything up to date at once, as pulling down a list does.
func (c *Core) syncNow(k *Call, q *Empty) (*Status, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	c.setSync(func(e *SyncEvent) { e.Syncing = true })
	err = device.Sync(k.Ctx)
	away := errors.Is(err, client.ErrUnreachable)
	c.mu.Lock()
	if err == nil {
		c.lastSync = time.Now()
	}
	c.mu.Unlock()
	c.setSync(func(e *SyncEvent) { e.Syncing, e.Online = false, !away })
	var safety *client.SafetyError
	if err != nil && !away && !errors.As(err, &safety) {
		return nil, err
	}
	return c.status(k, q)
}

func (c *Core) inspectInvite(_ *Call, q *InviteText) (*InviteInfo, error) {
	inv, err := c.invitation(q.Invite)
	var other *Error
	if errors.As(err, &other) && other.Code == CodeOtherServer {
		return &InviteInfo{Server: inv.Server.URL, Expires: millis(inv.Expires), OtherServer: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return &InviteInfo{
		Server: inv.Server.URL, Expires: millis(inv.Expires),
		Expired: !inv.Expires.IsZero() && time.Now().After(inv.Expires),
	}, nil
}

func (c *Core) makeInvite(k *Call, q *InviteRequest) (*Invite, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	expires := time.Duration(orElse(q.Days, 7)) * 24 * time.Hour
	if q.Reset != "" {
		inv, err := device.InviteReset(k.Ctx, bare(q.Reset), expires)
		return &Invite{Link: inv.String(), Expires: millis(inv.Expires)}, err
	}
	inv, err := device.Invite(k.Ctx, max(q.Uses, 1), expires)
	if err != nil {
		return nil, err
	}
	return &Invite{Link: inv.String(), Expires: millis(inv.Expires)}, nil
}

func orElse(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}

func (c *Core) join(k *Call, q *JoinRequest) (*Joined, error) {
	inv, err := c.invitation(q.Invite)
	if err != nil {
		return nil, err
	}
	var me client.Joined
	s, err := c.make(k.Ctx, func(conf client.Config) (device *client.Client, err error) {
		device, me, err = client.Join(k.Ctx, conf, inv, bare(q.Handle))
		return device, err
	})
	if err != nil {
		return nil, err
	}
	return &Joined{State: *s, RecoveryKey: me.RecoveryKey}, nil
}

// showRecovery gives the recovery key until it was confirmed, after a crash too.
func (c *Core) showRecovery(k *Call, _ *Empty) (*RecoveryKey, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	key, err := device.RecoveryKeyToShow(k.Ctx)
	return &RecoveryKey{Key: key}, err
}

// newRecovery replaces the recovery key.
func (c *Core) newRecovery(k *Call, _ *Empty) (*RecoveryKey, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	key, err := device.NewRecoveryKey(k.Ctx)
	if err != nil {
		return nil, err
	}
	return &RecoveryKey{Key: key}, c.tellState(k.Ctx)
}

// tellState tells interfaces how this device stands now.
func (c *Core) tellState(ctx context.Context) error {
	s, err := c.present(ctx)
	if err == nil {
		c.event("state", s)
	}
	return err
}

// changeName gives the own account another name.
func (c *Core) changeName(k *Call, q *NewName) (*State, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if _, err := device.ChangeName(k.Ctx, bare(q.Handle)); err != nil {
		return nil, renameError(err)
	}
	return c.present(k.Ctx)
}

// renameError gives the server's refusals of a new name the words of one: those
// of joining and of rights are others.
func renameError(err error) error {
	switch {
	case errors.Is(err, proto.NameTaken):
		return &Error{Code: CodeNameLeft, Text: "this name is or was somebody else's on the server", Hint: "choose another"}
	case errors.Is(err, proto.Forbidden):
		return &Error{Code: CodeNamePending, Text: "your name is being given to another account just now", Hint: "huis veto stops it if it was not you"}
	}
	return err
}

// confirmRecovery compares what a person wrote down with what was shown, and
// forgets it when it is the same; how it is spaced and cased does not matter.
func (c *Core) confirmRecovery(k *Call, q *RecoveryConfirm) (*Confirmed, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	key, err := device.RecoveryKeyToShow(k.Ctx)
	if err != nil || key == "" {
		return &Confirmed{Right: key == ""}, err
	}
	plain := func(s string) string {
		return strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "\n", "", "\t", "").Replace(s))
	}
	if plain(q.Key) != plain(key) {
		return &Confirmed{}, nil
	}
	if err := device.RecoveryKeyShown(k.Ctx); err != nil {
		return nil, err
	}
	return &Confirmed{Right: true}, c.tellState(k.Ctx)
}

func (c *Core) link(k *Call, q *LinkRequest) (*State, error) {
	server, err := c.server(q.Server)
	if err != nil {
		return nil, err
	}
	return c.make(k.Ctx, func(conf client.Config) (*client.Client, error) {
		return client.Link(k.Ctx, conf, server, bare(q.Handle), func(code string) {
			_ = k.Tell("link.code", &LinkCode{Code: code})
		})
	})
}

func (c *Core) approve(k *Call, q *ApproveRequest) (*Device, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	asked, yes := false, false
	d, err := device.Approve(k.Ctx, q.Code, func(r client.LinkRequest) bool {
		asked = true
		f, err := k.Ask("approve.confirm", &ApproveConfirm{Device: r.Device, Code: r.Code}, nil)
		var a Answer
		yes = err == nil && decode(f.Payload, &a) == nil && a.Yes
		return yes
	})
	switch {
	case err != nil && asked && !yes:
		return nil, &Error{Code: CodeNotApproved, Text: "not approved", Hint: "nothing was changed"}
	case err != nil && !asked && Explain(err).Code == CodeInternal:
		return nil, &Error{Code: CodeBadCode, Text: err.Error(), Hint: "the new device shows a new code when it begins again"}
	case err != nil:
		return nil, err
	}
	return &Device{ID: d.Device, Added: millis(d.Added)}, nil
}

func (c *Core) devices(k *Call, _ *Empty) (*DeviceList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	return listDevices(k.Ctx, device)
}

func listDevices(ctx context.Context, device *client.Client) (*DeviceList, error) {
	all, err := device.Devices(ctx)
	if err != nil {
		return nil, err
	}
	l := new(DeviceList)
	for _, d := range all {
		l.Devices = append(l.Devices, Device{ID: d.Device, Own: d.Own, Added: millis(d.Added), Revoked: d.Revoked})
	}
	return l, nil
}

func (c *Core) revoke(k *Call, q *DeviceID) (*DeviceList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if err := device.Revoke(k.Ctx, q.ID); err != nil {
		return nil, err
	}
	return listDevices(k.Ctx, device)
}

// bare is a handle without the @ a person may write before it.
func bare(handle string) string { return strings.TrimPrefix(strings.TrimSpace(handle), "@") }

// mutePrefix begins the settings that are this package's own.
const mutePrefix = "\x01mute/"

// ownSettings leaves out what an interface did not set.
func ownSettings(values map[string]string) map[string]string {
	for k := range values {
		if strings.HasPrefix(k, "\x01") {
			delete(values, k)
		}
	}
	return values
}

func (c *Core) settings(k *Call, _ *Empty) (*Settings, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	values, err := device.Settings(k.Ctx)
	return &Settings{Values: ownSettings(values)}, err
}

// setSettings changes the values that are given; an empty one is forgotten.
func (c *Core) setSettings(k *Call, q *Settings) (*Settings, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if err := device.SetSettings(k.Ctx, ownSettings(q.Values)); err != nil {
		return nil, err
	}
	return c.settings(k, nil)
}
