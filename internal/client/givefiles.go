package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"codeberg.org/huis/huis/internal/client/files"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// heldSealed is the size, in bytes, up to which a file that was sent is kept
// sealed, in case a server loses it. Of a larger one its place is kept.
const heldSealed = 1 << 20

// heldFile is a file this device could give back to a restored server.
//
//	file/HEX/BLOB    heldFile, for tailKept
//	files/due        set when a server was restored: look what it lacks
type heldFile struct {
	Ref    files.Ref
	Minute uint64 // when it was sent or saved
	Path   string // where it lies, "" if Sealed is there
	Sealed []byte // the blob
}

func (h *heldFile) wire(c *wire.Codec) {
	formatVersion(c)
	r := &h.Ref
	r.Blob.Wire(c)
	wire.Uint64(c, &r.Size)
	wire.Uint8(c, &r.Alg)
	wire.Fixed(c, r.Key[:])
	r.PlainRoot.Wire(c)
	r.CipherRoot.Wire(c)
	r.SHA256.Wire(c)
	wire.Uint64(c, &h.Minute)
	wire.String(c, &h.Path, 4096)
	wire.Opaque(c, &h.Sealed)
}

// holdSent keeps what it takes to send a file once more.
func (c *Client) holdSent(ctx context.Context, id proto.ConversationID, f *File, src io.ReadSeeker, ref files.Ref) error {
	h := heldFile{Ref: ref, Path: f.Path}
	if ref.Size <= heldSealed {
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			return err
		}
		var b bytes.Buffer
		if again, _, err := files.Seal(&b, src, int64(ref.Size), ref.Blob, ref.Key); err != nil || again != ref {
			return errors.Join(err, files.ErrChanged)
		}
		h.Path, h.Sealed = "", b.Bytes()
	}
	return c.hold(ctx, id, &h)
}

func (c *Client) hold(ctx context.Context, id proto.ConversationID, h *heldFile) error {
	if h.Path == "" && len(h.Sealed) == 0 || len(h.Path) > 4096 {
		return nil
	}
	h.Minute = uint64(max(0, c.now().Unix())) / 60
	return c.step(ctx, func(t *tx) error { return t.save(key("file", id, h.Ref.Blob.Hex()), h.wire) })
}

// Saved tells where attachment n of a message lies on this device now, so that
// a server which lost it can have it back.
func (c *Client) Saved(ctx context.Context, messageID string, n int, path string) error {
	ref, id, err := c.attachmentIn(ctx, messageID, n)
	if err != nil {
		return err
	}
	return c.hold(ctx, id, &heldFile{Ref: ref, Path: path})
}

// giveFiles uploads again, after a server was restored, the files it lost and
// this device has.
func (c *Client) giveFiles(ctx context.Context) error {
	var names []string
	err := c.step(ctx, func(t *tx) error {
		names = nil
		due, err := t.get("files/due")
		if err != nil || due == nil {
			return err
		}
		all, err := t.list("file/", "", 0)
		for _, rec := range all {
			names = append(names, rec.Key)
		}
		if len(names) == 0 {
			t.del("files/due")
		}
		return err
	})
	if err != nil || len(names) == 0 {
		return err
	}
	for _, name := range names {
		err := c.giveFile(ctx, name)
		if err != nil && !refused(err) && !errors.Is(err, files.ErrChanged) {
			return err
		}
		if err != nil {
			c.cfg.Log.Warn("a file could not be given back", "why", err)
		}
	}
	return c.step(ctx, func(t *tx) error {
		t.del("files/due")
		return nil
	})
}

// giveFile uploads one held file if the server does not have it.
func (c *Client) giveFile(ctx context.Context, name string) error {
	var h heldFile
	if err := c.step(ctx, func(t *tx) error { return t.load(name, h.wire) }); err != nil {
		return err
	}
	var id proto.ConversationID
	if err := parseHex(id[:], strings.Split(name, "/")[1]); err != nil {
		return err
	}
	err := c.call(ctx, Conversations, proto.BlobGet, &proto.BlobGetRequest{ID: h.Ref.Blob, Length: 1}, &proto.BlobGetResponse{})
	if !errors.Is(err, proto.NoBlob) {
		return err
	}
	if len(h.Sealed) > 0 {
		if err := c.putBlob(ctx, id, h.Ref.Blob, h.Sealed); err != nil {
			return err
		}
		return (&uploading{c: c, conv: id, ref: h.Ref, worked: c.now()}).pin(ctx)
	}
	return c.giveFrom(ctx, id, &h)
}

// giveFrom uploads a file from its place, if it has not changed.
func (c *Client) giveFrom(ctx context.Context, id proto.ConversationID, h *heldFile) error {
	if c.cfg.OpenFile == nil {
		return nil
	}
	src, err := c.cfg.OpenFile(h.Path)
	if err != nil {
		return files.ErrChanged // it is not there any more
	}
	defer src.Close()
	again, blob, err := files.Seal(io.Discard, src, int64(h.Ref.Size), h.Ref.Blob, h.Ref.Key)
	if err != nil || again != h.Ref {
		return files.ErrChanged
	}
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return c.upload(ctx, id, src, h.Ref, blob)
}

// unhold lets go of the files of a message that disappears. conv is lower-case
// hex.
func (t *tx) unhold(conv string, r *messageRecord) error {
	if r.Envelope == nil {
		return nil
	}
	m, err := r.body()
	if err != nil {
		return err
	}
	for _, a := range m.Attachments {
		t.del("file/" + conv + "/" + a.File.Blob.Hex())
	}
	return nil
}

// forgetFiles deletes what is held of files that are too old to be lost.
func (t *tx) forgetFiles(cv *conversation) error {
	all, err := t.list(key("file", cv.id, ""), "", 0)
	for _, rec := range all {
		var h heldFile
		if err := wire.Decode(rec.Value, h.wire); err != nil {
			return err
		}
		if t.tooOldToLose(h.Minute) {
			t.del(rec.Key)
		}
	}
	return err
}

// tooOldToLose tells of a minute that it is further back than any backup that
// will be restored.
func (t *tx) tooOldToLose(minute uint64) bool {
	return minute+tailKept <= uint64(max(0, t.c.now().Unix()))/60
}
