package client

import (
	"context"
	"iter"
	"time"
)

// Close lets go of the store.
func (c *Client) Close() error { return c.cfg.Store.Close() }

// Sync brings everything up to date once: inbox, conversations, outbox, duties.
func (c *Client) Sync(ctx context.Context) error { return errUnfinished }

// Follow keeps the client up to date until ctx ends and calls changed after
// each time something new was stored. It goes on while the server is away.
func (c *Client) Follow(ctx context.Context, changed func()) error { return errUnfinished }

// Status tells how this device stands, from the store alone.
func (c *Client) Status(ctx context.Context) (Status, error) { return Status{}, errUnfinished }

// NewChat makes a group of all devices of the named people.
func (c *Client) NewChat(ctx context.Context, name string, handles []string) (Chat, error) {
	return Chat{}, errUnfinished
}

// Chats lists the conversations of this device.
func (c *Client) Chats(ctx context.Context) ([]Chat, error) { return nil, errUnfinished }

// Members lists the devices in a conversation.
func (c *Client) Members(ctx context.Context, chat string) ([]Member, error) {
	return nil, errUnfinished
}

// AddMembers adds all devices of the named people.
func (c *Client) AddMembers(ctx context.Context, chat string, handles []string) error {
	return errUnfinished
}

// RemoveMembers removes all devices of the named people.
func (c *Client) RemoveMembers(ctx context.Context, chat string, handles []string) error {
	return errUnfinished
}

// Leave ends the part of all own devices in the conversation.
func (c *Client) Leave(ctx context.Context, chat string) error { return errUnfinished }

// SetExpiry makes the conversation's messages disappear after d; 0: never.
func (c *Client) SetExpiry(ctx context.Context, chat string, d time.Duration) error {
	return errUnfinished
}

// Send writes one message. It is kept first and tried for Config.SendFor; a nil
// Sent.Seq says that it waits in the outbox. chat is a group's name or @handle.
func (c *Client) Send(ctx context.Context, chat string, d Draft) (Sent, error) {
	return Sent{}, errUnfinished
}

// Messages yields the held messages with seq > after, in seq order, and marks
// them as read.
func (c *Client) Messages(ctx context.Context, chat string, after uint64) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) { yield(Message{}, errUnfinished) }
}
