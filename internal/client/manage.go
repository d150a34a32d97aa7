package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/proto"
)

// AddMembers adds all devices of the named people.
func (c *Client) AddMembers(ctx context.Context, chat string, handles []string) error {
	if err := c.letStay(ctx, chat, handles); err != nil {
		return err
	}
	id, err := c.changeable(ctx, chat)
	if err != nil {
		return err
	}
	accounts, err := c.people(ctx, handles)
	if err != nil {
		return err
	}
	if err := c.mayAdd(ctx, id, accounts); err != nil {
		return err
	}
	return c.addAccounts(ctx, id, accounts)
}

// mayAdd refuses early what the members would refuse.
func (c *Client) mayAdd(ctx context.Context, id proto.ConversationID, accounts []proto.AccountID) error {
	return c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		if cv.meta.Policy.Kind == kindDirect {
			return fmt.Errorf("%w: a conversation of two stays one; make a group with `huis chat new`", ErrForbidden)
		}
		for _, a := range accounts {
			if !cv.meta.Policy.mayAdd(me.Account, a) && !slices.Contains(cv.accounts(), a) {
				return fmt.Errorf("%w: only its admins add people", ErrForbidden)
			}
		}
		return nil
	})
}

// changeable finds a conversation that is to be changed and brings it up to
// date. With a member whose device is not proven the id comes with the
// *SafetyError: it can still be removed.
func (c *Client) changeable(ctx context.Context, chat string) (id proto.ConversationID, err error) {
	if err := c.syncAccount(ctx); err != nil {
		return id, err
	}
	if id, err = c.find(ctx, chat); err != nil {
		return id, err
	}
	stopped := c.syncConv(ctx, id)
	var safety *SafetyError
	if stopped != nil && !errors.As(stopped, &safety) {
		return id, stopped
	}
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		return cv.usable()
	})
	if err == nil && stopped != nil {
		return id, &unprovenMember{safety}
	}
	return id, err
}

// unprovenMember is the *SafetyError of a conversation that is well but for a
// member's device.
type unprovenMember struct{ *SafetyError }

func (e *unprovenMember) Unwrap() error { return e.SafetyError }

// RemoveMembers removes all devices of the named people.
func (c *Client) RemoveMembers(ctx context.Context, chat string, handles []string) error {
	id, err := c.changeable(ctx, chat)
	var unproven *unprovenMember
	if err != nil && !errors.As(err, &unproven) {
		return err
	}
	accounts, err := c.membersNamed(ctx, id, handles)
	if err != nil {
		return err
	}
	if len(accounts) == 0 {
		return fmt.Errorf("%w: to go yourself, use `huis chat leave`", ErrForbidden)
	}
	here := map[proto.AccountID]bool{}
	_, err = c.commit(ctx, id, func(t *tx, cv *conversation) (*change, error) {
		ch := &change{}
		for _, m := range cv.group.Members() {
			if who, err := memberOf(&m.Credential); err == nil && slices.Contains(accounts, who.Account) {
				ch.removes = append(ch.removes, m.Leaf)
				here[who.Account] = true
			}
		}
		if len(ch.removes) == 0 {
			return nil, errNothing
		}
		return ch, nil
	})
	if err == nil && len(here) < len(accounts) {
		err = fmt.Errorf("%w: not everybody named was in it", ErrUnknownPerson)
	}
	return err
}

// membersNamed returns the accounts in a conversation that this device knows
// under some names, without the own one. It asks nobody: whom to remove does not
// depend on what the server says.
func (c *Client) membersNamed(ctx context.Context, id proto.ConversationID, handles []string) (all []proto.AccountID, err error) {
	err = c.step(ctx, func(t *tx) error {
		all = nil
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		me, err := t.identity()
		if err != nil {
			return err
		}
		for _, s := range handles {
			named := func(a proto.AccountID) bool { return t.handleOf(a) == strings.TrimPrefix(s, "@") }
			i := slices.IndexFunc(cv.accounts(), named)
			if i < 0 {
				return fmt.Errorf("%w: %s is not in this conversation", ErrUnknownPerson, s)
			}
			if a := cv.accounts()[i]; a != me.Account && !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
		return nil
	})
	return all, err
}

// Leave ends the part of all own devices in the conversation: the others are
// removed by this one, which then says that it leaves. Any member removes it.
// A conversation that was stopped for safety can be left as well.
func (c *Client) Leave(ctx context.Context, chat string) error {
	id, err := c.changeable(ctx, chat)
	var safety *SafetyError
	if errors.As(err, &safety) {
		return c.leave(ctx, id)
	}
	if err != nil {
		return err
	}
	_, err = c.commitIf(ctx, id, func(t *tx, cv *conversation) (*change, error) {
		me, err := t.identity()
		if err != nil {
			return nil, err
		}
		ch := &change{}
		for leaf, who := range cv.roster() {
			if who.Account == me.Account && leaf != cv.group.OwnLeaf() {
				ch.removes = append(ch.removes, leaf)
			}
		}
		if len(ch.removes) == 0 {
			return nil, errNothing
		}
		slices.Sort(ch.removes)
		return ch, nil
	})
	if err != nil {
		return err
	}
	return c.leave(ctx, id)
}

// leave says so in the log, which ends the own key, and deletes the secrets.
func (c *Client) leave(ctx context.Context, id proto.ConversationID) error {
	if err := c.notify(ctx, id, proto.Notice{Type: proto.NoticeLeave}); err != nil && !errors.Is(err, proto.NotMember) {
		return err
	}
	// What came before the notice is this device's to read; the notice itself,
	// read back, ends its part.
	return c.syncLog(ctx, id)
}

// SetExpiry makes the conversation's messages disappear after d, at least a
// minute; 0: never.
func (c *Client) SetExpiry(ctx context.Context, chat string, d time.Duration) error {
	if d != 0 && (d < time.Minute || d > 10*365*24*time.Hour) {
		return fmt.Errorf("messages disappear after at least a minute and at most ten years")
	}
	id, err := c.changeable(ctx, chat)
	if err != nil {
		return err
	}
	_, err = c.commit(ctx, id, func(t *tx, cv *conversation) (*change, error) {
		p := cv.meta.Policy
		p.Expiry = uint32(d / time.Second)
		if p.Expiry == cv.meta.Policy.Expiry {
			return nil, errNothing
		}
		return &change{policy: &p}, nil
	})
	return err
}
