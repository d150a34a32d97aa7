package client

import (
	"context"
	"errors"
	"slices"

	"codeberg.org/huis/huis/internal/proto"
)

// chatError is what went wrong in one conversation and nowhere else.
type chatError struct {
	error
	chat string // its name in Chats
}

func (e *chatError) Unwrap() error { return e.error }

// inChat says that an error concerns one conversation only.
func (c *Client) inChat(ctx context.Context, id proto.ConversationID, err error) error {
	in := &chatError{error: err}
	e := c.step(ctx, func(t *tx) error {
		names, err := t.names()
		in.chat = names[id]
		return err
	})
	return errors.Join(in, e)
}

// Concerning returns what of a Sync's error concerns the whole account or one
// of these conversations; what was found in another one alone does not.
func Concerning(err error, chats ...string) error {
	var in *chatError
	switch joined := err.(type) {
	case nil:
		return nil
	case *chatError:
		in = joined
	case interface{ Unwrap() []error }:
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, Concerning(e, chats...))
		}
		return errors.Join(all...)
	default:
		return err
	}
	if slices.Contains(chats, in.chat) {
		return err
	}
	return nil
}

// beyondSafety returns what stands in the way of anything at all. What was
// stopped for safety stands in the way of what it concerns, which asks itself.
func beyondSafety(err error) error {
	var safety *SafetyError
	var pin *PinError
	if errors.As(err, &safety) && !errors.As(err, &pin) && !errors.Is(err, ErrUnreachable) {
		return nil
	}
	return err
}
