package client

import (
	"context"
	"io"

	"codeberg.org/huis/huis/internal/client/files"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// resumable is the size from which an upload is remembered, in bytes: below it
// starting anew costs less than the record.
const resumable = 4 << 20

// begun is an upload that another process may go on with: begun/CONV/SIZE. It
// is found again by the file's size and accepted by its sealed bytes, so that
// the same file sent once more after a crash uploads only what is missing.
// Sealing under its key again is safe: a nonce depends on what it seals.
type begun struct {
	Blob       proto.BlobID
	Key        files.Key
	CipherRoot proto.Hash
}

func (b *begun) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Fixed(c, b.Blob[:])
	wire.Fixed(c, b.Key[:])
	wire.Fixed(c, b.CipherRoot[:])
}

func begunKey(id proto.ConversationID, size int64) string {
	return key("begun", id, seqKey(uint64(size)))
}

// measure is files.Measure, under the identifiers of an upload of the same
// bytes that did not come to its end. It leaves src at its end.
func (c *Client) measure(ctx context.Context, id proto.ConversationID, src io.ReadSeeker, size int64) (files.Ref, files.Blob, error) {
	if size < resumable {
		return files.Measure(src, size)
	}
	var old begun
	err := c.step(ctx, func(t *tx) error { return t.load(begunKey(id, size), old.wire) })
	if err != nil {
		return files.Ref{}, files.Blob{}, err
	}
	if old.Blob != (proto.BlobID{}) {
		ref, blob, err := files.Seal(io.Discard, src, size, old.Blob, old.Key)
		if err != nil || ref.CipherRoot == old.CipherRoot {
			return ref, blob, err
		}
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			return ref, blob, err
		}
	}
	ref, blob, err := files.Measure(src, size)
	if err != nil {
		return ref, blob, err
	}
	now := begun{ref.Blob, ref.Key, ref.CipherRoot}
	return ref, blob, c.step(ctx, func(t *tx) error { return t.save(begunKey(id, size), now.wire) })
}

// uploaded forgets what the files of a message that is kept now were begun as.
func (c *Client) uploaded(ctx context.Context, id proto.ConversationID, list []File) error {
	return c.step(ctx, func(t *tx) error {
		for _, f := range list {
			if f.Size >= resumable {
				t.del(begunKey(id, f.Size))
			}
		}
		return nil
	})
}
