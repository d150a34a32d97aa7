package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/client/files"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// maxSpool is how many bytes of files a message may have that waits in the
// outbox: they are kept in the store. Larger files need the server.
const maxSpool = 16 << 20

// attach seals and uploads files for a message in the conversation. While the
// server is away it tries for Config.SendFor since the last thing that worked;
// then small files are kept, to be uploaded before the message is sent.
func (c *Client) attach(ctx context.Context, id proto.ConversationID, list []File) ([]content.AttachmentPart, error) {
	if len(list) > content.MaxAttachments {
		return nil, fmt.Errorf("%w: a message has at most %d files", ErrTooLarge, content.MaxAttachments)
	}
	var parts []content.AttachmentPart
	var total int64
	for _, f := range list {
		if f.Size > MaxAttachment {
			return nil, fmt.Errorf("%w: %s has more than 16 GiB", ErrTooLarge, plainFileName(f.Name))
		}
		total += f.Size
	}
	for _, f := range list {
		ref, err := c.attachOne(ctx, id, f, total <= maxSpool)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", plainFileName(f.Name), err)
		}
		name := plainFileName(f.Name)
		parts = append(parts, content.AttachmentPart{Name: name, MediaType: mediaType(name), File: ref})
	}
	return parts, nil
}

func (c *Client) attachOne(ctx context.Context, id proto.ConversationID, f File, mayWait bool) (files.Ref, error) {
	file, err := f.Open()
	if err != nil {
		return files.Ref{}, err
	}
	defer file.Close()
	src := &breathingSource{file, breather{c: c}}
	ref, blob, err := c.measure(ctx, id, src, f.Size)
	if err != nil {
		return ref, err
	}
	again := func() error {
		_, err := src.Seek(0, io.SeekStart)
		return err
	}
	if err := again(); err != nil {
		return ref, err
	}
	err = c.upload(ctx, id, src, ref, blob)
	if err == nil {
		return ref, c.holdSent(ctx, id, &f, src, ref)
	}
	if !errors.Is(err, ErrUnreachable) {
		return ref, err
	}
	if !mayWait {
		return ref, fmt.Errorf("%w; files of more than %d MiB cannot wait on this device", err, maxSpool>>20)
	}
	if err := again(); err != nil {
		return ref, err
	}
	if err := c.spool(ctx, id, src, ref); err != nil {
		return ref, err
	}
	return ref, c.holdSent(ctx, id, &f, src, ref)
}

// plainFileName makes a base name that a message may carry.
func plainFileName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	for len(name) > content.MaxName {
		name = strings.ToValidUTF8(name[:content.MaxName], "")
	}
	if name == "" || name == "." || name == ".." || name == "/" {
		return "file"
	}
	return name
}

// mediaTypes are those that clients show; the system's own table would tell
// which system it is.
var mediaTypes = map[string]string{
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
	".avif": "image/avif", ".svg": "image/svg+xml", ".pdf": "application/pdf", ".txt": "text/plain", ".md": "text/markdown",
	".csv": "text/csv", ".json": "application/json", ".zip": "application/zip", ".mp3": "audio/mpeg", ".ogg": "audio/ogg",
	".oga": "audio/ogg", ".opus": "audio/ogg", ".wav": "audio/wav", ".m4a": "audio/mp4", ".weba": "audio/webm",
	".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime",
	".odt":  "application/vnd.oasis.opendocument.text",
	".ods":  "application/vnd.oasis.opendocument.spreadsheet",
	".odp":  "application/vnd.oasis.opendocument.presentation",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}

// mediaType is what a file's name says of it, "" if nothing.
func mediaType(name string) string { return mediaTypes[strings.ToLower(path.Ext(name))] }

// upload brings a file's blob to the server and pins it for as long as the
// conversation's entries live.
func (c *Client) upload(ctx context.Context, id proto.ConversationID, src io.Reader, ref files.Ref, blob files.Blob) error {
	up := &uploading{c: c, conv: id, ref: ref, worked: c.now()}
	begin := func(s proto.SessionID) proto.Message {
		return &proto.BlobBeginRequest{Session: s, ID: ref.Blob, Size: blob.Size, Hash: blob.Hash}
	}
	stat := func(s proto.SessionID) proto.Message { return &proto.BlobStatRequest{Session: s, ID: ref.Blob} }
	if err := up.call(ctx, proto.BlobBegin, begin, &proto.Empty{}); err != nil {
		return err
	}
	if err := up.call(ctx, proto.BlobStat, stat, &up.there); err != nil {
		return err
	}
	if !up.there.Done {
		if err := files.Upload(ctx, src, ref, up, nil); err != nil {
			return err
		}
		finish := func(s proto.SessionID) proto.Message { return &proto.BlobFinishRequest{Session: s, ID: ref.Blob} }
		if err := up.call(ctx, proto.BlobFinish, finish, &proto.Empty{}); err != nil {
			return err
		}
	}
	return up.pin(ctx)
}

func (u *uploading) pin(ctx context.Context) error {
	info, err := u.c.info(ctx)
	if err != nil {
		return err
	}
	pin := func(s proto.SessionID) proto.Message {
		return &proto.PinRequest{Session: s, IDs: []proto.BlobID{u.ref.Blob}, Days: info.RetentionDays}
	}
	return u.call(ctx, proto.Pin, pin, &proto.Empty{})
}

// uploading is one upload; it implements files.Parts.
type uploading struct {
	c      *Client
	conv   proto.ConversationID
	ref    files.Ref
	there  proto.BlobStatResponse
	worked time.Time // when a request last had an answer
}

// Has implements files.Parts.
func (u *uploading) Has(n uint32) bool { return u.there.Has(n) }

// Put implements files.Parts.
func (u *uploading) Put(ctx context.Context, n uint32, b []byte) error {
	return u.call(ctx, proto.BlobPut, func(s proto.SessionID) proto.Message {
		return &proto.BlobPutRequest{Session: s, ID: u.ref.Blob, Part: n, Bytes: b}
	}, &proto.Empty{})
}

// call repeats one request while the server is away, at most for SendFor since
// it last answered. All requests of an upload may come twice. The conversation
// may still have to be created.
func (u *uploading) call(ctx context.Context, m proto.Method, build func(proto.SessionID) proto.Message, resp proto.Message) error {
	return u.c.persist(ctx, &u.worked, func() error {
		if s, err := u.c.stateOf(ctx, u.conv); err != nil {
			return err
		} else if s == statePlanned {
			if err := u.c.createPlanned(ctx, u.conv); err != nil {
				return err
			}
		}
		return u.c.callConv(ctx, u.conv, m, build, resp)
	})
}

// persist repeats try while the server cannot be reached, until SendFor after
// *worked, which it moves on.
func (c *Client) persist(ctx context.Context, worked *time.Time, try func() error) error {
	for wait := 200 * time.Millisecond; ; wait = min(2*wait, 3*time.Second) {
		err := try()
		if err == nil || !errors.Is(err, ErrUnreachable) {
			*worked = c.now()
			return err
		}
		if c.now().Sub(*worked) >= c.cfg.SendFor || c.cfg.Clock.Sleep(ctx, wait+c.cfg.Jitter(wait/2)) != nil {
			return err
		}
	}
}

// spooled is a sealed file that waits for the server: spool/CONV/BLOB.
type spooled struct{ Blob []byte }

func (s *spooled) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Opaque(c, &s.Blob)
}

// spool keeps a sealed file until the server is back.
func (c *Client) spool(ctx context.Context, id proto.ConversationID, src io.Reader, ref files.Ref) error {
	var b bytes.Buffer
	again, _, err := files.Seal(&b, src, int64(ref.Size), ref.Blob, ref.Key)
	if err != nil {
		return err
	}
	if again != ref {
		return files.ErrChanged
	}
	s := spooled{Blob: b.Bytes()}
	return c.step(ctx, func(t *tx) error { return t.save(key("spool", id, ref.Blob.Hex()), s.wire) })
}

// uploadSpooled uploads what the conversation's waiting messages need.
func (c *Client) uploadSpooled(ctx context.Context, id proto.ConversationID) error {
	for {
		var name string
		var s spooled
		err := c.step(ctx, func(t *tx) error {
			name = ""
			all, err := t.list(key("spool", id, ""), "", 1)
			if err != nil || len(all) == 0 {
				return err
			}
			name = all[0].Key
			return decode(all[0].Value, s.wire)
		})
		if err != nil || name == "" {
			return err
		}
		up := &uploading{c: c, conv: id}
		if err := parseHex(up.ref.Blob[:], name[strings.LastIndexByte(name, '/')+1:]); err != nil {
			return err
		}
		if err := c.putBlob(ctx, id, up.ref.Blob, s.Blob); err != nil {
			return err
		}
		if err := up.pin(ctx); err != nil {
			return err
		}
		if err := c.step(ctx, func(t *tx) error { t.del(name); return nil }); err != nil {
			return err
		}
	}
}

// SaveAttachment writes attachment n (from 0) of a message to w, verified chunk
// by chunk; progress, if not nil, gets the bytes written so far. After an error
// what w got is to be thrown away.
func (c *Client) SaveAttachment(ctx context.Context, messageID string, n int, w io.Writer, progress func(int64)) error {
	ref, err := c.attachment(ctx, messageID, n)
	if err != nil {
		return err
	}
	err = c.download(ctx, ref, w, progress)
	if errors.Is(err, files.ErrDamaged) {
		return &SafetyError{Reason: err.Error(), Fix: "the server altered the file or its sender made it so: ask the sender to send it again"}
	}
	return err
}

// download writes a sealed file to w, repeating requests while the server is
// away.
func (c *Client) download(ctx context.Context, ref files.Ref, w io.Writer, progress func(int64)) error {
	worked := c.now()
	r, err := files.NewReader(ref, func(ctx context.Context, offset uint64, length int) (b []byte, err error) {
		err = c.persist(ctx, &worked, func() error {
			var got proto.BlobGetResponse
			err := c.call(ctx, Conversations, proto.BlobGet, &proto.BlobGetRequest{ID: ref.Blob, Offset: offset, Length: uint32(length)}, &got)
			b = got.Bytes
			return err
		})
		return b, err
	})
	if err != nil {
		return err
	}
	return r.WriteTo(ctx, &breathingSink{w, breather{c: c}}, progress)
}

// attachment finds the file of a message. A message id may stand in several
// conversations only if somebody made it so; the first is taken.
func (c *Client) attachment(ctx context.Context, messageID string, n int) (files.Ref, error) {
	ref, _, err := c.attachmentIn(ctx, messageID, n)
	return ref, err
}

func (c *Client) attachmentIn(ctx context.Context, messageID string, n int) (ref files.Ref, id proto.ConversationID, err error) {
	mid, err := content.ParseID(messageID)
	if err != nil {
		return ref, id, err
	}
	err = c.step(ctx, func(t *tx) error {
		found, err := t.list("mid/"+mid.Hex()+"/", "", 1)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("no message of this device has the identifier %s", messageID)
		}
		if err := parseHex(id[:], strings.Split(found[0].Key, "/")[2]); err != nil {
			return err
		}
		seq, err := strconv.ParseUint(string(found[0].Value), 10, 64)
		if err != nil {
			return err
		}
		var r messageRecord
		if err := t.load(key("msg", id, seqKey(seq)), r.wire); err != nil {
			return err
		}
		if r.Envelope == nil {
			return fmt.Errorf("message %s has disappeared", messageID)
		}
		body, err := r.body()
		if err != nil {
			return err
		}
		if n < 0 || n >= len(body.Attachments) {
			return fmt.Errorf("message %s has no attachment %d", messageID, n)
		}
		ref = body.Attachments[n].File
		return nil
	})
	return ref, id, err
}
