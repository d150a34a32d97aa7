package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"codeberg.org/huis/huis/internal/client"
)

type sendCommand struct {
	Chat string   `arg:"" help:"A group's name, or @person."`
	Text string   `arg:"" optional:"" help:"The message; write -- before a text that begins with a dash."`
	File []string `placeholder:"FILE" sep:"none" help:"A file to attach; may be given several times."`
}

func (k *sendCommand) Run(e *env) error {
	draft, err := k.draft(e)
	if err != nil {
		return err
	}
	return e.with(func(c *client.Client, stale error) error {
		var pin *client.PinError
		if errors.As(stale, &pin) {
			return stale
		}
		sent, err := c.Send(e.ctx, k.Chat, draft)
		if err != nil {
			return err
		}
		if sent.Seq == nil {
			e.note("kept on this device; it goes out when the server can be reached")
		}
		return e.print(struct {
			ID   string  `json:"id"`
			Chat string  `json:"chat"`
			Seq  *uint64 `json:"seq"`
		}{sent.ID, sent.Chat, sent.Seq}, "")
	})
}

func (k *sendCommand) draft(e *env) (client.Draft, error) {
	d := client.Draft{Text: k.Text}
	if k.Text == "" && len(k.File) == 0 {
		return d, usagef("huis send CHAT TEXT, or: huis send CHAT --file FILE", "there is nothing to send")
	}
	for _, name := range k.File {
		info, err := os.Stat(name)
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a file", name)
		}
		if err != nil {
			return d, &hinted{err, "check the file's name; folders have to be packed first"}
		}
		d.Files = append(d.Files, client.File{
			Name: filepath.Base(name),
			Size: info.Size(),
			Path: absolute(name),
			Open: func() (io.ReadSeekCloser, error) {
				f, err := os.Open(name)
				if err != nil {
					return nil, err
				}
				return e.watchRead(f, filepath.Base(name), info.Size()), nil
			},
		})
	}
	return d, nil
}

type readCommand struct {
	Chat   string `arg:"" help:"A group's name, or @person."`
	Follow bool   `help:"Go on showing what arrives."`
	Save   string `placeholder:"DIR" help:"Save the attachments into this folder."`
	// Who has read what changes from one read to the next, so programs ask for it.
	Receipts bool `help:"With --json: say also who has read your messages (read_by)."`
	Events   bool `help:"With --json: also what happened in between, as objects of the kind event."`
}

// messageObject is a message for a program.
type messageObject struct {
	ID          string             `json:"id"`
	Chat        string             `json:"chat"`
	Seq         uint64             `json:"seq"`
	Time        *string            `json:"time"`
	From        string             `json:"from"`
	Device      string             `json:"device"`
	Kind        string             `json:"kind"`
	Body        string             `json:"body"`
	Attachments []attachmentObject `json:"attachments"`
	ReadBy      *[]string          `json:"read_by,omitempty"` // of own messages, with --receipts
}

type attachmentObject struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Path   string `json:"path,omitempty"`
}

// reader prints a conversation once each, in order.
type reader struct {
	*env
	*readCommand
	c     *client.Client
	last  uint64 // the highest seq printed
	noted int    // notes printed
}

func (k *readCommand) Run(e *env) error {
	e.chat = k.Chat
	return e.with(func(c *client.Client, stale error) error {
		r := &reader{env: e, readCommand: k, c: c}
		if err := r.show(); err != nil {
			return err
		}
		if !k.Follow {
			return stale
		}
		return r.follow(stale)
	})
}

// follow shows what arrives until a person ends it.
func (r *reader) follow(stale error) error {
	var pin *client.PinError
	if errors.As(stale, &pin) {
		return stale
	}
	ctx, stop := context.WithCancelCause(r.ctx)
	defer stop(nil)
	err := r.c.Follow(ctx, func() {
		if err := r.show(); err != nil {
			stop(err)
		}
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if r.ctx.Err() != nil { // ended from outside, as is usual
		return nil
	}
	return err
}

// show prints what is held and was not printed.
func (r *reader) show() error {
	notes, err := r.notes()
	if err != nil {
		return err
	}
	for m, err := range r.c.Messages(r.ctx, r.Chat, r.last) {
		if err != nil {
			return errors.Join(r.tell(notes, nil), err)
		}
		if err := errors.Join(r.tell(notes, &m), r.message(m)); err != nil {
			return err
		}
		r.last = m.Seq
	}
	return r.tell(notes, nil)
}

// notes are the lines between the messages: what happened in the conversation,
// and for a person what changed with people's keys; programs have huis verify for
// that.
func (r *reader) notes() (all []client.Note, err error) {
	if r.JSON && !r.Events {
		return nil, nil
	}
	if all, err = r.c.Events(r.ctx, r.Chat); err != nil || r.JSON {
		return all, err
	}
	keys, err := r.c.Notes(r.ctx, r.Chat)
	all = append(all, keys...)
	slices.SortStableFunc(all, func(a, b client.Note) int { return a.Time.Compare(b.Time) })
	return all, err
}

// tell prints the notes that belong before a message; nil: all.
func (r *reader) tell(notes []client.Note, before *client.Message) error {
	for ; r.noted < len(notes); r.noted++ {
		n := notes[r.noted]
		if before != nil && !earlier(&n, before) {
			return nil
		}
		o := messageObject{"", r.Chat, n.Seq, stamp(n.Time), n.Handle, "", "event", n.Text, []attachmentObject{}, nil}
		if err := r.print(o, "%s  — %s", local(n.Time), printable(n.Text)); err != nil {
			return err
		}
	}
	return nil
}

// earlier tells whether a note's place is before a message.
func earlier(n *client.Note, m *client.Message) bool {
	if n.Seq != 0 {
		return n.Seq < m.Seq
	}
	return n.Time.Before(m.Time)
}

func (r *reader) message(m client.Message) error {
	o := messageObject{m.ID, m.Chat, m.Seq, stamp(m.Time), m.From, m.Device, m.Kind, m.Body, []attachmentObject{}, nil}
	if r.Receipts && m.Own {
		by := append([]string{}, m.ReadBy...)
		o.ReadBy = &by
	}
	for i, a := range m.Attachments {
		saved := attachmentObject{a.Name, a.Size, a.SHA256, ""}
		if r.Save != "" {
			path, err := r.save(m, i)
			if err != nil {
				return err
			}
			saved.Path = path
		}
		o.Attachments = append(o.Attachments, saved)
	}
	return r.print(o, "%s", r.text(o, m))
}

// text lays a message out for a person.
func (r *reader) text(o messageObject, m client.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s: ", local(m.Time), printable(m.From))
	b.WriteString(strings.ReplaceAll(printable(m.Body), "\n", "\n    "))
	for _, a := range o.Attachments {
		fmt.Fprintf(&b, "\n    [%s, %s]", printable(a.Name), size(a.Size))
		if a.Path != "" {
			fmt.Fprintf(&b, " saved as %s", a.Path)
		}
	}
	if len(m.ReadBy) > 0 {
		fmt.Fprintf(&b, "\n    read by %s", printable(strings.Join(m.ReadBy, ", ")))
	}
	return b.String()
}

// size is a number of bytes for a person.
func size(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, u := float64(n)/1024, 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}

// absolute is where a file will be found again, "" if that cannot be told.
func absolute(name string) string {
	path, err := filepath.Abs(name)
	if err != nil {
		return ""
	}
	return path
}
