package client

import (
	"context"

	"codeberg.org/huis/huis/internal/proto"
)

// applyCall records that a leaf asks to be added again.
func (t *tx) applyCall(cv *conversation, s *proto.Stamped, n *proto.Notice) error { return nil }

// broken stops this device at the present epoch: the commit cannot be
// processed. Nothing is sent until it is added again (protocol, section 9).
func (t *tx) broken(cv *conversation, s *proto.Stamped, hash proto.Hash, why error) error {
	t.c.cfg.Log.Warn("a commit cannot be processed", "why", why)
	cv.meta.State = stateBroken
	cv.meta.Broken = brokenAt{Seq: s.Receipt.Seq, Hash: hash, Minute: s.Receipt.Minute, By: s.Entry.MK}
	return t.dropPending(cv)
}

// healed forgets calls for help that a commit has answered.
func (t *tx) healed(cv *conversation) error { return nil }

// unreadable deals with a refusal to read the log.
func (c *Client) unreadable(ctx context.Context, id proto.ConversationID, after uint64, err error) error {
	return err
}

// askForHelp tells the members that this device needs to be added again.
func (c *Client) askForHelp(ctx context.Context, id proto.ConversationID) error { return nil }

// answerCalls adds devices again that asked for it.
func (c *Client) answerCalls(ctx context.Context, id proto.ConversationID) error { return nil }
