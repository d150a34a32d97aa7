package rpc

import (
	"context"
	"errors"
	"io"
	"time"

	"codeberg.org/huis/huis/internal/client"
)

// Bounds of a page.
const (
	defaultPage = 50
	maxPage     = 200
)

// messageOf is a line as interfaces see it.
func messageOf(chat string, l *client.Line) Message {
	m := Message{
		ID: l.ID, Chat: chat, Seq: int64(l.Seq), Time: millis(l.Time), From: l.From, Device: l.Device, Own: l.Own,
		State: MessageSent, Body: l.Body, Edited: millis(l.Edited), Mention: l.Mention, ReadBy: l.ReadBy, Expires: millis(l.Expires),
	}
	switch l.Kind {
	case "attachment", "voice", "text":
		m.Kind = MessageKind(l.Kind)
	case "system":
		m.Kind, m.Events = MessageEvent, []ChatEvent{{Kind: EventHistory, By: l.From, Text: l.Body}}
	case "event":
		m.Kind, m.Body = MessageEvent, ""
		for _, e := range l.Events {
			m.Events = append(m.Events, ChatEvent{Kind: EventKind(e.Kind), By: e.By, People: e.People, Text: e.Text, Number: int(e.Number)})
		}
	case "unreadable":
		m.Kind, m.Why = MessageUnreadable, Cause(l.Unreadable.Cause)
	default: // a reply is a text with reply set
		m.Kind = MessageText
	}
	if l.Gone {
		m.Kind = MessageGone
	}
	if l.Waiting {
		m.State, m.Seq = MessageWaiting, 0
	}
	for _, a := range l.Attachments {
		m.Attachments = append(m.Attachments, attachmentOf(a))
	}
	for _, r := range l.Reactions {
		m.Reactions = append(m.Reactions, Reaction{Emoji: r.Emoji, By: r.By, Own: r.Own})
	}
	if q := l.Reply; q != nil {
		m.Reply = &Quote{ID: q.ID, Seq: int64(q.Seq), From: q.From, Kind: MessageText, Body: q.Body, File: q.File}
		if q.Gone {
			m.Reply.Kind = MessageGone
		} else if q.Kind == "attachment" || q.Kind == "voice" {
			m.Reply.Kind = MessageKind(q.Kind)
		}
	}
	return m
}

func attachmentOf(a client.AttachmentInfo) Attachment {
	return Attachment{
		Name: a.Name, MediaType: a.MediaType, Size: a.Size, SHA256: a.SHA256, Duration: int(a.Duration / time.Millisecond),
	}
}

func (c *Core) messages(k *Call, q *MessagesRequest) (*MessagesPage, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	id, err := chatIDOf(k.Ctx, device, q.Chat)
	if err != nil {
		return nil, err
	}
	limit := min(orElse(max(q.Limit, 0), defaultPage), maxPage)
	if q.Around > 0 {
		return around(k.Ctx, device, id, uint64(q.Around), limit)
	}
	l, err := device.Lines(k.Ctx, id, client.Window{Before: uint64(max(0, q.Before)), After: uint64(max(0, q.After)), N: limit})
	if err != nil {
		return nil, err
	}
	return pageOf(id, &l), nil
}

// around gives half a page before a message, and half from it on.
func around(ctx context.Context, device *client.Client, chat string, seq uint64, limit int) (*MessagesPage, error) {
	before, err := device.Lines(ctx, chat, client.Window{Before: seq, N: limit / 2})
	if err != nil {
		return nil, err
	}
	after, err := device.Lines(ctx, chat, client.Window{After: max(seq-1, 1), N: limit - limit/2})
	if err != nil {
		return nil, err
	}
	if seq == 1 { // After 0 would ask for the newest
		first, err := device.LinesAt(ctx, chat, []uint64{1})
		if err != nil {
			return nil, err
		}
		after.Lines = append(first, after.Lines...)
	}
	page := pageOf(chat, &before)
	rest := pageOf(chat, &after)
	page.Messages, page.Later = append(page.Messages, rest.Messages...), rest.Later
	return page, nil
}

func pageOf(chat string, l *client.Lines) *MessagesPage {
	p := &MessagesPage{Earlier: l.Earlier, Later: l.Later, Read: int64(l.Read)}
	for i := range l.Lines {
		p.Messages = append(p.Messages, messageOf(chat, &l.Lines[i]))
	}
	return p
}

// chatIDOf gives the identifier of a chat that may be named otherwise.
func chatIDOf(ctx context.Context, device *client.Client, chat string) (string, error) {
	return device.ChatID(ctx, chat)
}

func (c *Core) messagesBySeq(k *Call, q *MessageIDs) (*MessageList, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if len(q.Seqs) > maxPage {
		return nil, &Error{Code: CodeBadRequest, Text: "too many messages at once"}
	}
	id, err := chatIDOf(k.Ctx, device, q.Chat)
	if err != nil {
		return nil, err
	}
	var seqs []uint64
	for _, s := range q.Seqs {
		seqs = append(seqs, uint64(max(0, s)))
	}
	lines, err := device.LinesAt(k.Ctx, id, seqs)
	if err != nil {
		return nil, err
	}
	l := new(MessageList)
	for i := range lines {
		l.Messages = append(l.Messages, messageOf(id, &lines[i]))
	}
	return l, nil
}

func (c *Core) send(k *Call, q *SendRequest) (*Sent, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	d := client.Compose{
		Draft: client.Draft{Text: q.Body, Files: k.files(q.Files)}, Reply: q.Reply, Voice: time.Duration(q.Voice) * time.Millisecond,
	}
	line, err := device.Post(k.Ctx, q.Chat, d)
	if err != nil {
		return nil, err
	}
	id, err := chatIDOf(k.Ctx, device, q.Chat)
	if err != nil {
		return nil, err
	}
	go c.deliver(device, id)
	return &Sent{Message: messageOf(id, &line)}, nil
}

// deliver sends what waits in a chat, beside the call that put it there.
func (c *Core) deliver(device *client.Client, chat string) {
	err := device.Deliver(c.ctx, chat)
	var safety *client.SafetyError
	switch {
	case errors.As(err, &safety):
		a := alarmOf(err)
		a.Chat = chat
		c.raise(a)
	case errors.Is(err, client.ErrUnreachable):
		c.setSync(func(e *SyncEvent) { e.Online = false })
	case err == nil:
		c.setSync(func(e *SyncEvent) { e.Online = true })
	}
}

// about does something about a message and sends it.
func (c *Core) about(k *Call, chat string, f func(*client.Client) error) (*Empty, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	if err := f(device); err != nil {
		return nil, err
	}
	go c.deliver(device, chat)
	return &Empty{}, nil
}

func (c *Core) react(k *Call, q *ReactRequest) (*Empty, error) {
	return c.about(k, q.Chat, func(d *client.Client) error { return d.React(k.Ctx, q.Chat, q.Message, q.Emoji) })
}

func (c *Core) edit(k *Call, q *EditRequest) (*Empty, error) {
	return c.about(k, q.Chat, func(d *client.Client) error { return d.Edit(k.Ctx, q.Chat, q.Message, q.Body) })
}

func (c *Core) takeBack(k *Call, q *MessageID) (*Empty, error) {
	return c.about(k, q.Chat, func(d *client.Client) error { return d.TakeBack(k.Ctx, q.Chat, q.Message) })
}

// piece is how many bytes of a file cross at once.
const piece = 1 << 20

// files makes the files of a call readable: the interface keeps them and gives
// the pieces that are asked for.
func (k *Call) files(list []FileInfo) (all []client.File) {
	var total int64
	for _, f := range list {
		total += 2 * f.Size // measured, then sent
	}
	done := new(int64)
	for i, f := range list {
		all = append(all, client.File{Name: f.Name, Size: f.Size, Open: func() (io.ReadSeekCloser, error) {
			return &wanted{call: k, n: i, size: f.Size, done: done, total: total}, nil
		}})
	}
	return all
}

// wanted reads a file of an interface, a piece at a time.
type wanted struct {
	call  *Call
	n     int
	size  int64
	at    int64
	have  []byte // what was got and not read, from at on
	done  *int64 // bytes got of all files of the call
	total int64
}

func (w *wanted) Read(b []byte) (int, error) {
	if w.at >= w.size {
		return 0, io.EOF
	}
	if len(w.have) == 0 {
		if err := w.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(b, w.have)
	w.have, w.at = w.have[n:], w.at+int64(n)
	return n, nil
}

func (w *wanted) fetch() error {
	want := FileWant{File: w.n, Offset: w.at, Length: int(min(piece, w.size-w.at))}
	f, err := w.call.Ask("file.want", &want, nil)
	if err != nil {
		return err
	}
	if len(f.Bytes) != want.Length {
		return &Error{Code: CodeBadRequest, Text: "the file changed while it was read", Hint: "attach it again"}
	}
	w.have = f.Bytes
	*w.done += int64(len(f.Bytes))
	return w.call.Tell("file.progress", &Progress{Done: min(*w.done, w.total), Total: w.total})
}

func (w *wanted) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += w.at
	case io.SeekEnd:
		offset += w.size
	}
	if offset < 0 {
		return 0, errors.New("rpc: a negative place in a file")
	}
	if offset != w.at {
		w.at, w.have = offset, nil
	}
	return offset, nil
}

func (w *wanted) Close() error { return nil }

func (c *Core) readAttachment(k *Call, q *AttachmentRequest) (*Attachment, error) {
	device, err := c.device()
	if err != nil {
		return nil, err
	}
	a, err := device.Attachment(k.Ctx, q.Chat, q.Message, q.Index)
	if err != nil {
		return nil, err
	}
	w := &chunks{call: k, total: a.Size}
	if err := device.ReadAttachment(k.Ctx, q.Chat, q.Message, q.Index, w); err != nil {
		return nil, err
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	out := attachmentOf(a)
	return &out, nil
}

// chunks gives a file to an interface, a piece at a time, each when the one
// before has been taken.
type chunks struct {
	call   *Call
	buffer []byte
	at     int64
	total  int64
}

func (w *chunks) Write(b []byte) (int, error) {
	w.buffer = append(w.buffer, b...)
	if len(w.buffer) < piece {
		return len(b), nil
	}
	return len(b), w.flush()
}

func (w *chunks) flush() error {
	if len(w.buffer) == 0 {
		return nil
	}
	_, err := w.call.Ask("file.chunk", &FileChunk{Offset: w.at, Total: w.total}, w.buffer)
	w.at += int64(len(w.buffer))
	w.buffer = nil
	return err
}
