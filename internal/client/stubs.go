package client

import (
	"context"
	"errors"
)

var errUnfinished = errors.New("client: not part of this build yet")

// LinkRequest is what the old device shows before it signs.
type LinkRequest struct {
	Device string
	Code   string
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

// Revoke ends a device of the account; device is its hex name or a unique
// beginning of it.
func (c *Client) Revoke(ctx context.Context, device string) error { return errUnfinished }
