package client

import (
	"context"
	"errors"
	"io"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/mls"
)

var errUnfinished = errors.New("client: not part of this build yet")

// identity is this device within its account.
type identity struct {
	Handle  string
	Account proto.AccountID
	Device  proto.DeviceID
	M       mls.SignaturePrivateKey // message key
}

// Joined is what a new account's owner is shown.
type Joined struct {
	Account     string
	Handle      string
	Device      string
	RecoveryKey string // shown once
}

// LinkRequest is what the old device shows before it signs.
type LinkRequest struct {
	Device string
	Code   string
}

// DeviceInfo is one device of the own account.
type DeviceInfo struct {
	Device  string
	Own     bool // this one
	Added   time.Time
	Revoked bool
}

func storedServer(ctx context.Context, s store.Store) (ServerRef, error) {
	return ServerRef{}, ErrNoProfile
}

// identity returns who this device is, or ErrNoProfile.
func (t *tx) identity() (*identity, error) { return nil, ErrNoProfile }

// Join makes an account and its first device.
func Join(ctx context.Context, cfg Config, inv Invitation, handle string) (*Client, Joined, error) {
	return nil, Joined{}, errUnfinished
}

// Link makes this a further device of an account; show gets the code that
// Approve on an old device takes.
func Link(ctx context.Context, cfg Config, server ServerRef, handle string, show func(code string)) (*Client, error) {
	return nil, errUnfinished
}

// Approve lets the device that shows code into this account. confirm nil or
// true goes on.
func (c *Client) Approve(ctx context.Context, code string, confirm func(LinkRequest) bool) (DeviceInfo, error) {
	return DeviceInfo{}, errUnfinished
}

// Devices lists the account's devices.
func (c *Client) Devices(ctx context.Context) ([]DeviceInfo, error) { return nil, errUnfinished }

// Revoke ends a device of the account; device is its hex name or a unique
// beginning of it.
func (c *Client) Revoke(ctx context.Context, device string) error { return errUnfinished }

// Invite makes an invitation; only admins of the server may. expires is how
// long it holds.
func (c *Client) Invite(ctx context.Context, uses int, expires time.Duration) (Invitation, error) {
	return Invitation{}, errUnfinished
}

// SaveAttachment writes attachment n (from 0) of a message to w, verified chunk
// by chunk; progress, if not nil, gets the bytes written so far.
func (c *Client) SaveAttachment(ctx context.Context, messageID string, n int, w io.Writer, progress func(int64)) error {
	return errUnfinished
}

// attach seals and uploads files for a message in the conversation.
func (c *Client) attach(ctx context.Context, id proto.ConversationID, files []File) ([]content.AttachmentPart, error) {
	if len(files) > 0 {
		return nil, errUnfinished
	}
	return nil, nil
}
