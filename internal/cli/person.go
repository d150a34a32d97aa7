package cli

import (
	"errors"
	"fmt"
	"strings"

	"codeberg.org/huis/huis/internal/client"
)

// trustObject is what verify @NAME prints for a program.
type trustObject struct {
	Handle   string        `json:"handle"`
	Account  string        `json:"account"`
	State    string        `json:"state"` // checked, verified, changed or stop
	Reason   string        `json:"reason"`
	Words    []string      `json:"words"`
	Digits   string        `json:"digits"`
	Verified *string       `json:"verified"`
	Checked  *string       `json:"checked"`
	Changes  []eventObject `json:"changes"`
}

type eventObject struct {
	Time   *string `json:"time"`
	Kind   string  `json:"kind"`
	Device string  `json:"device"`
	Signed bool    `json:"signed"`
	Text   string  `json:"text"`
}

func trustOf(t client.Trust) trustObject {
	o := trustObject{
		Handle: t.Handle, Account: t.Account, State: t.State, Reason: t.Reason, Words: t.Code.Words, Digits: t.Code.Digits,
		Verified: stamp(t.Verified), Checked: stamp(t.Checked), Changes: []eventObject{},
	}
	for _, ev := range t.Events {
		o.Changes = append(o.Changes, eventObject{stamp(ev.Time), ev.Kind, ev.Device, ev.Signed, ev.Text})
	}
	return o
}

// person shows what to compare with somebody, or records that it was compared.
func (k *verifyCommand) person(e *env) error {
	return e.with(func(c *client.Client, stale error) error {
		var pin *client.PinError
		if errors.As(stale, &pin) {
			return stale
		}
		if k.Strict != "" {
			if err := c.SetStrict(e.ctx, k.Strict == "on"); err != nil {
				return err
			}
		}
		t, err := k.compared(e, c)
		if err != nil {
			return err
		}
		if err := e.print(trustOf(t), "%s", trustText(t)); err != nil {
			return err
		}
		if t.State == client.TrustStop {
			return &client.SafetyError{Reason: t.Reason, Fix: t.Fix}
		}
		if errors.Is(stale, client.ErrUnreachable) {
			return stale
		}
		return nil
	})
}

func (k *verifyCommand) compared(e *env, c *client.Client) (client.Trust, error) {
	switch {
	case k.Undo:
		return c.SetVerified(e.ctx, k.What, "", false)
	case k.Matches || k.Words != "":
		t, err := c.SetVerified(e.ctx, k.What, k.Words, true)
		if errors.Is(err, client.ErrOtherWords) {
			return t, &client.SafetyError{Reason: err.Error(), Fix: "listen once more; if they still differ, somebody is between you: do not write anything you would not say aloud, and tell the server's operator"}
		}
		return t, err
	}
	return c.Trust(e.ctx, k.What)
}

// trustText lays a person's keys out for a person.
func trustText(t client.Trust) string {
	var b strings.Builder
	switch t.State {
	case client.TrustVerified:
		fmt.Fprintf(&b, "@%s: verified since %s\n", t.Handle, day(t.Verified))
	case client.TrustChanged:
		fmt.Fprintf(&b, "@%s: changed. %s; nothing is to be done\n", t.Handle, printable(t.Reason))
	case client.TrustStop:
		fmt.Fprintf(&b, "@%s: stop. %s\n", t.Handle, printable(t.Reason))
	default:
		fmt.Fprintf(&b, "@%s: checked, the public log agrees\n", t.Handle)
	}
	if !t.Checked.IsZero() {
		fmt.Fprintf(&b, "the log was compared last %s\n", local(t.Checked))
	}
	half := len(t.Code.Words) / 2
	fmt.Fprintf(&b, "\nSafety words for you two; @%s sees the same:\n\n    %s\n    %s\n    %s\n\n", t.Handle,
		strings.Join(t.Code.Words[:half], " "), strings.Join(t.Code.Words[half:], " "), t.Code.Digits)
	if t.Verified.IsZero() {
		fmt.Fprintf(&b, "Read them to each other, in person or by phone. If they are the same:\n\n    huis verify @%s --matches\n\n", t.Handle)
	} else {
		fmt.Fprintf(&b, "You compared them on %s.\n\n", day(t.Verified))
	}
	for _, ev := range t.Events {
		fmt.Fprintf(&b, "%s  %s\n", local(ev.Time), printable(ev.Text))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
