package client

import (
	"context"
	"errors"
	"io"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/client/files"
	"codeberg.org/huis/huis/internal/wire"
)

// Attachment describes attachment n (from 0) of a message of a chat, which may
// still wait in the outbox.
func (c *Client) Attachment(ctx context.Context, chat, message string, n int) (AttachmentInfo, error) {
	info, _, err := c.attachmentOf(ctx, chat, message, n)
	return info, err
}

// ReadAttachment is SaveAttachment for a message of one chat.
func (c *Client) ReadAttachment(ctx context.Context, chat, message string, n int, w io.Writer) error {
	_, ref, err := c.attachmentOf(ctx, chat, message, n)
	if err != nil {
		return err
	}
	err = c.download(ctx, ref, w, nil)
	if errors.Is(err, files.ErrDamaged) {
		return &SafetyError{Reason: err.Error(), Fix: "the server altered the file or its sender made it so: ask the sender to send it again"}
	}
	return err
}

func (c *Client) attachmentOf(ctx context.Context, chat, message string, n int) (info AttachmentInfo, ref files.Ref, err error) {
	target, err := content.ParseID(message)
	if err != nil {
		return info, ref, ErrUnknownMessage
	}
	err = c.step(ctx, func(t *tx) error {
		m, err := t.bodyOf(chat, target)
		if err != nil {
			return err
		}
		if n < 0 || n >= len(m.Attachments) {
			return ErrUnknownMessage
		}
		info, ref = attachmentInfos(m)[n], m.Attachments[n].File
		return nil
	})
	return info, ref, err
}

// bodyOf finds a message of a chat, in its logs or in the outbox.
func (t *tx) bodyOf(chat string, id content.ID) (*content.Message, error) {
	logs, err := t.logsOf(chat)
	if err != nil {
		return nil, err
	}
	for _, cv := range logs {
		r, err := t.messageByID(cv, id)
		if err != nil {
			return nil, err
		}
		if r != nil {
			return r.body()
		}
		waiting, err := t.list(key("out", cv.id, ""), "", 0)
		if err != nil {
			return nil, err
		}
		for _, rec := range waiting {
			var r outRecord
			if err := wire.Decode(rec.Value, r.wire); err != nil {
				return nil, err
			}
			if m, err := content.Parse(r.Content); err != nil || m.ID == id {
				return m, err
			}
		}
	}
	return nil, ErrUnknownMessage
}
