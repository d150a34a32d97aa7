package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// ownChainAge is how old the own chain may be: from it a device learns of its
// account's new devices and of its own revocation.
const ownChainAge = 5 * time.Minute

// Sync brings everything up to date once: inbox, conversations, outbox and what
// other members wait for. It goes on after what concerns one conversation only;
// the error is then a *SafetyError, or nil. A server that was restored from a
// backup is first given what it lost.
func (c *Client) Sync(ctx context.Context) error {
	err := c.syncAll(ctx)
	if !errors.Is(err, proto.Restoring) {
		return err
	}
	if err := c.giveBack(ctx); err != nil {
		return err
	}
	return c.syncAll(ctx)
}

func (c *Client) syncAll(ctx context.Context) error {
	var alarms []error
	if err := c.syncAccount(ctx); isSafety(err) { // conversations go on
		alarms = append(alarms, err)
	} else if err != nil {
		return err
	}
	var ids []proto.ConversationID
	err := c.step(ctx, func(t *tx) (err error) {
		ids, err = t.conversations()
		return err
	})
	if err != nil {
		return err
	}
	if err := c.accountDuties(ctx); isSafety(err) {
		alarms = append(alarms, err)
	} else if err != nil {
		return err
	}
	if err := c.followNames(ctx); err != nil {
		var safety *SafetyError
		if !errors.As(err, &safety) {
			return err
		}
		alarms = append(alarms, err)
	}
	for _, id := range ids {
		err := c.syncConv(ctx, id)
		if err == nil {
			continue
		}
		if err := c.tolerate(id, err); err != nil {
			return err
		}
		var safety *SafetyError
		if errors.As(err, &safety) {
			alarms = append(alarms, c.inChat(ctx, id, err))
		}
	}
	for _, duty := range []func(context.Context) error{c.comeBack, c.runJobs, c.importHistory, c.shareSealingKey, c.BackUp, c.giveFiles} {
		if err := duty(ctx); err != nil {
			if err := c.tolerateJobs(err); err != nil {
				return err
			}
		}
	}
	return errors.Join(append(alarms, c.seekChains(ctx), c.settleLog(ctx), c.watchOwn(ctx))...)
}

// accountDuties does, beside the conversations, what belongs to the own account
// and its devices, and forgets what has disappeared.
func (c *Client) accountDuties(ctx context.Context) error {
	for _, duty := range []func(context.Context) error{c.followNewLog, c.firstPolicy, c.checkInvitation, c.tellPolicy, c.expire, c.takeLine, c.rotateIfDue, c.tellRead} {
		err := duty(ctx)
		if err == nil {
			continue
		}
		if err := c.tolerateJobs(err); err != nil {
			return err
		}
	}
	return nil
}

// tolerateJobs passes on only what will fail for everything else as well.
func (c *Client) tolerateJobs(err error) error {
	var pin *PinError
	if errors.Is(err, ErrUnreachable) || errors.As(err, &pin) || !refused(err) && !errors.Is(err, errLater) {
		return err
	}
	c.cfg.Log.Warn("something for the own devices has to wait", "why", err)
	return nil
}

// tolerate passes on errors that concern more than one conversation.
func (c *Client) tolerate(id proto.ConversationID, err error) error {
	var safety *SafetyError
	if errors.As(err, &safety) || errors.Is(err, ErrNotMember) || errors.Is(err, errRevoked) || errors.Is(err, ErrForbidden) {
		c.cfg.Log.Warn("a conversation could not be brought up to date", "why", err)
		return nil
	}
	if refused(err) && !errors.Is(err, proto.Unavailable) {
		c.cfg.Log.Warn("the server refused something in a conversation", "why", err)
		return nil
	}
	return err
}

// syncAccount does what belongs to the account: chain, key packages, inbox.
func (c *Client) syncAccount(ctx context.Context) error {
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	alarm := c.settledChain(ctx, me.Account, ownChainAge)
	if alarm != nil && !isSafety(alarm) {
		return alarm
	}
	if err := c.lookAtLog(ctx); err != nil {
		return err
	}
	if err := c.publishPackages(ctx); err != nil {
		return err
	}
	if err := c.fetchInbox(ctx); err != nil {
		return err
	}
	return alarm
}

func isSafety(err error) bool {
	var safety *SafetyError
	return errors.As(err, &safety)
}

// syncConv brings one conversation up to date.
func (c *Client) syncConv(ctx context.Context, id proto.ConversationID) error {
	s, err := c.stateOf(ctx, id)
	if err != nil {
		return err
	}
	if s == statePlanned {
		if err := c.createPlanned(ctx, id); err != nil {
			return err
		}
		s = stateLive
	}
	if s == stateLeft || s == stateRemoved || s == stateSucceeded {
		return nil
	}
	if err := c.settle(ctx, id); err != nil {
		return err
	}
	if s, err = c.stateOf(ctx, id); err != nil {
		return err
	}
	switch s {
	case stateLive:
		return c.serve(ctx, id)
	case stateBroken, stateLost:
		return c.askForHelp(inPassing(ctx), id)
	}
	return nil
}

// serve does this device's duties in a conversation that is well and sends what
// waits. Who has to go or come goes first; what somebody else may do as well, or
// later, does not keep messages waiting.
func (c *Client) serve(ctx context.Context, id proto.ConversationID) error {
	if err := c.refreshMembers(ctx, id); err != nil {
		return err
	}
	if err := c.considerReforms(ctx, id); err != nil {
		return err
	}
	if s, err := c.stateOf(ctx, id); err != nil || s != stateLive {
		return err // it goes on as another conversation
	}
	if err := c.settleLate(ctx, id); err != nil {
		return err
	}
	if err := c.do(ctx, id, c.removeGone, c.addWanted); err != nil {
		return err
	}
	err := c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil || cv.usable() != nil {
			return err
		}
		return t.queueReceipt(cv)
	})
	if err != nil {
		return err
	}
	if err := c.flush(ctx, id); err != nil {
		return err
	}
	return c.do(inPassing(ctx), id, c.addOwnDevices, c.answerCalls, c.replaceKey)
}

// do does duties; one the server refuses now is done by a later sync.
func (c *Client) do(ctx context.Context, id proto.ConversationID, duties ...func(context.Context, proto.ConversationID) error) error {
	for _, duty := range duties {
		err := duty(ctx, id)
		if err != nil && !refused(err) && !errors.Is(err, ErrForbidden) {
			return err
		}
		if err != nil {
			c.cfg.Log.Warn("a duty has to wait", "why", err)
		}
	}
	return nil
}

func (c *Client) stateOf(ctx context.Context, id proto.ConversationID) (s state, err error) {
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return errors.Join(err, ErrUnknownChat)
		}
		s = cv.meta.State
		return nil
	})
	return s, err
}

// Status tells how this device stands, from the store alone.
func (c *Client) Status(ctx context.Context) (out Status, err error) {
	err = c.step(ctx, func(t *tx) error {
		me, err := t.identity()
		if err != nil {
			return err
		}
		out = Status{Handle: me.Handle, Account: me.Account.Hex(), Device: me.Device.Hex(), Server: c.server}
		var warnings []string
		if out.Log, warnings, err = t.logStatus(); err != nil {
			return err
		}
		out.warn(warnings...)
		var safety *SafetyError
		if err := t.logAlarm(); errors.As(err, &safety) {
			out.Warnings = append(out.Warnings, "the server's log: "+safety.Reason+kept(safety))
			out.Concerns = append(out.Concerns, Concern{Text: safety.Reason})
		} else if err != nil {
			return err
		}
		if warnings, err = t.recoveryWarnings(); err != nil {
			return err
		}
		out.warn(warnings...)
		named, err := t.nameWarnings()
		if err != nil {
			return err
		}
		renamed, err := t.renameWarnings()
		if err != nil {
			return err
		}
		out.warn(append(named, renamed...)...)
		ids, err := t.conversations()
		if err != nil {
			return err
		}
		names, err := t.names()
		if err != nil {
			return err
		}
		for _, id := range ids {
			waiting, err := t.waiting(id)
			if err != nil {
				return err
			}
			out.Outbox += waiting
			cv, err := t.conv(id)
			if err != nil {
				return err
			}
			t.convWarnings(cv, names[id], &out)
		}
		return nil
	})
	return out, err
}

// kept says where the file about an alarm is.
func kept(s *SafetyError) string {
	if s.Evidence == "" {
		return ""
	}
	return " (" + s.Evidence + ")"
}

// warn adds what concerns no single conversation.
func (s *Status) warn(texts ...string) {
	for _, text := range texts {
		s.Warnings = append(s.Warnings, text)
		s.Concerns = append(s.Concerns, Concern{Text: text})
	}
}

// convWarnings adds what a person should know of a conversation.
func (t *tx) convWarnings(cv *conversation, name string, out *Status) {
	add := func(text string) {
		out.Warnings = append(out.Warnings, name+": "+text)
		out.Concerns = append(out.Concerns, Concern{Chat: chatID(cv.id), Name: name, Text: text})
	}
	if cv.meta.Alarm != "" {
		out.Warnings = append(out.Warnings, name+": stopped for safety: "+cv.meta.Alarm)
		out.Concerns = append(out.Concerns, Concern{Chat: chatID(cv.id), Name: name, Text: cv.meta.Alarm})
	}
	for _, a := range cv.meta.Wanted {
		add(fmt.Sprintf("@%s is not in it yet; no device of theirs could be added", t.handleOf(a)))
	}
	switch cv.meta.State {
	case stateBroken:
		add(fmt.Sprintf("a change of entry %d could not be processed; waiting to be added again", cv.meta.Broken.Seq))
	case stateLost:
		add("waiting for another member's device to let this one in again; nothing can be sent or read until one is online")
	}
	warnings, err := t.list(key("warn", cv.id, ""), "", 0)
	if err == nil {
		for _, w := range warnings {
			add(string(w.Value))
		}
	}
}

// waiting counts the messages that have no receipt.
func (t *tx) waiting(id proto.ConversationID) (n int, err error) {
	all, err := t.list(key("out", id, ""), "", 0)
	for _, rec := range all {
		var r outRecord
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return 0, err
		}
		if r.Acked == 0 {
			n++
		}
	}
	return n, err
}
