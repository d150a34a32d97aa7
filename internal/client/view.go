package client

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// An interface shows a conversation as lines: messages with what later ones say
// of them. It reads pieces of it, from the end backwards, and marks nothing as
// read. Chats are named by an identifier that stays when a group is renamed.

// Line is one message with its edits, reactions and answers applied.
type Line struct {
	Message
	Waiting   bool      // own, in the outbox
	Gone      bool      // taken back by its author
	Edited    time.Time // zero: never
	Expires   time.Time // zero: never
	Mention   bool      // names this account
	Reply     *Quote
	Reactions []Reaction
	Events    []Event // nothing was written here: this happened
	// Unreadable: why what was written is not shown; nil if it is.
	Unreadable *Unreadable
}

// Quote is the message a reply answers.
type Quote struct {
	ID    string
	Seq   uint64 // 0: not on this device
	From  string
	Kind  string
	Body  string
	File  string // name of the first attachment
	Gone  bool
	Found bool
}

// Reaction is one emoji and the handles of those who chose it.
type Reaction struct {
	Emoji string
	By    []string
	Own   bool
}

// Window says which lines of a chat are wanted: the last n before Before, or
// the first n after After; both zero: the newest.
type Window struct {
	Before, After uint64
	N             int
}

// Lines is a piece of a chat, oldest first; what waits comes last.
type Lines struct {
	Lines          []Line
	Earlier, Later bool
	Read           uint64
}

// aboutKey indexes what was said of a message: reactions and edits.
func aboutKey(conv proto.ConversationID, target content.ID, seq ...string) string {
	return key("about", conv, append([]string{target.Hex()}, seq...)...)
}

// keepAbout indexes a reaction or an edit under its target.
func (t *tx) keepAbout(conv proto.ConversationID, seq uint64, m *content.Message) {
	if m.Kind == content.Reaction || m.Kind == content.Edit {
		t.put(aboutKey(conv, m.Targets[0], seqKey(seq)), nil)
	}
}

// goneKey marks the place of a message its author took back; the value is the
// author's account.
func goneKey(conv proto.ConversationID, seq uint64) string { return key("gone", conv, seqKey(seq)) }

// Lines returns a piece of a chat.
func (c *Client) Lines(ctx context.Context, chat string, w Window) (out Lines, err error) {
	err = c.step(ctx, func(t *tx) error {
		out, err = t.lines(chat, w)
		return err
	})
	return out, err
}

// LinesAt returns the lines of some places of a chat; those where there is
// nothing to show are left out.
func (c *Client) LinesAt(ctx context.Context, chat string, seqs []uint64) (out []Line, err error) {
	err = c.step(ctx, func(t *tx) error {
		out = nil
		logs, err := t.logsOf(chat)
		if err != nil {
			return err
		}
		for _, seq := range seqs {
			for _, l := range logs {
				if seq <= l.meta.Offset {
					continue
				}
				line, show, err := t.lineAt(l, seq-l.meta.Offset)
				if err != nil {
					return err
				}
				if show {
					out = append(out, line)
				}
			}
		}
		return nil
	})
	return out, err
}

// logsOf returns the conversations a chat consists of, that to write in first.
func (t *tx) logsOf(chat string) (logs []*conversation, err error) {
	ids, err := t.resolve(chat)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		cv, err := t.conv(id)
		if err != nil || cv == nil {
			return nil, errors.Join(err, ErrUnknownChat)
		}
		logs = append(logs, cv)
	}
	return logs, nil
}

func (t *tx) lines(chat string, w Window) (out Lines, err error) {
	logs, err := t.logsOf(chat)
	if err != nil {
		return out, err
	}
	forward := w.After != 0
	for _, l := range logs {
		some, err := t.linesOf(l, w, forward)
		if err != nil {
			return out, err
		}
		out.Lines = append(out.Lines, some...)
		if l.meta.Read != 0 {
			out.Read = max(out.Read, l.meta.Read+l.meta.Offset)
		}
	}
	slices.SortStableFunc(out.Lines, func(a, b Line) int { return cmp.Compare(a.Seq, b.Seq) })
	cut := cutLines(&out.Lines, w.N, forward)
	if forward {
		out.Earlier, out.Later = true, cut
	} else {
		out.Earlier, out.Later = cut, w.Before != 0
	}
	if out.Later {
		return out, nil
	}
	for _, l := range logs {
		waiting, err := t.waitingLines(l)
		if err != nil {
			return out, err
		}
		out.Lines = append(out.Lines, waiting...)
	}
	return out, nil
}

// cutLines leaves n of the lines, and those of the same place as the last of
// them; it tells whether something was cut off.
func cutLines(all *[]Line, n int, forward bool) bool {
	l := *all
	if len(l) <= n {
		return false
	}
	if forward {
		end := n
		for end < len(l) && l[end].Seq == l[n-1].Seq {
			end++
		}
		*all = l[:end]
		return end < len(l)
	}
	begin := len(l) - n
	for begin > 0 && l[begin-1].Seq == l[len(l)-n].Seq {
		begin--
	}
	*all = l[begin:]
	return begin > 0
}

// linesOf returns at least w.N+1 lines of one log, if it has so many.
func (t *tx) linesOf(cv *conversation, w Window, forward bool) ([]Line, error) {
	off := cv.meta.Offset
	if forward {
		return t.forwards(cv, max(w.After, off)-off, w.N+1)
	}
	before := cv.head.Seq + 1
	if w.Before != 0 {
		if w.Before <= off {
			return nil, nil
		}
		before = min(before, w.Before-off)
	}
	return t.backwards(cv, before, w.N+1)
}

// forwards returns up to n lines after a seq of the log.
func (t *tx) forwards(cv *conversation, after uint64, n int) (all []Line, err error) {
	for len(all) < n {
		places, err := t.places(cv, after, readPage)
		if err != nil || len(places) == 0 {
			return all, err
		}
		for _, p := range places {
			after = p.seq
			line, show, err := t.line(cv, p)
			if err != nil {
				return nil, err
			}
			if show {
				all = append(all, line)
			}
		}
	}
	return all[:n], nil
}

// backwards returns up to n lines before a seq of the log, oldest first. A log
// has one entry at most for each seq, so a span of them holds no more.
func (t *tx) backwards(cv *conversation, before uint64, n int) (all []Line, err error) {
	span := uint64(max(64, 2*n))
	for before > 1 && len(all) < n {
		from := uint64(1)
		if before > span {
			from = before - span
		}
		places, err := t.places(cv, from-1, int(before-from))
		if err != nil {
			return nil, err
		}
		for _, p := range slices.Backward(places) {
			if p.seq >= before || len(all) == n {
				continue
			}
			line, show, err := t.line(cv, p)
			if err != nil {
				return nil, err
			}
			if show {
				all = append(all, line)
			}
		}
		before, span = from, min(2*span, 4096)
	}
	slices.Reverse(all)
	return all, nil
}

// place is what stands at one seq of a log: a message, the mark of one that was
// taken back, what happened there, or why nothing could be opened.
type place struct {
	seq   uint64
	msg   []byte // messageRecord
	gone  []byte // account
	event []byte // happened
	dud   []byte // dudRecord
}

// placePrefixes begin the keys of what stands at a seq; one of them has it.
var placePrefixes = []string{"msg", "gone", "event", "dud"}

func (p *place) set(prefix string, value []byte) {
	switch prefix {
	case "msg":
		p.msg = value
	case "gone":
		p.gone = value
	case "event":
		p.event = value
	case "dud":
		p.dud = value
	}
}

// places returns what stands after a seq, in order, of at most n records each.
func (t *tx) places(cv *conversation, after uint64, n int) (all []place, err error) {
	for _, prefix := range placePrefixes {
		records, err := t.list(key(prefix, cv.id, ""), key(prefix, cv.id, seqKey(after)), n)
		if err != nil {
			return nil, err
		}
		for _, rec := range records {
			seq, err := seqOf(rec)
			if err != nil {
				return nil, err
			}
			p := place{seq: seq}
			p.set(prefix, rec.Value)
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.seq, b.seq) })
	if len(all) > n { // beyond, one of the lists may have a gap
		all = all[:n]
	}
	return all, nil
}

// seqOf reads the last part of a record's key.
func seqOf(rec store.Record) (uint64, error) {
	return strconv.ParseUint(rec.Key[strings.LastIndexByte(rec.Key, '/')+1:], 10, 64)
}

// lineAt returns what stands at one place of a log.
func (t *tx) lineAt(cv *conversation, seq uint64) (line Line, show bool, err error) {
	for _, prefix := range placePrefixes {
		b, err := t.get(key(prefix, cv.id, seqKey(seq)))
		if err != nil {
			return line, false, err
		}
		if b != nil {
			p := place{seq: seq}
			p.set(prefix, b)
			return t.line(cv, p)
		}
	}
	return line, false, nil
}

// line makes a line of what stands at a place.
func (t *tx) line(cv *conversation, p place) (line Line, show bool, err error) {
	switch {
	case p.event != nil:
		return t.eventLine(cv, p)
	case p.dud != nil:
		return t.dudLine(cv, p)
	case p.msg == nil:
		return t.goneLine(cv, p)
	}
	var r messageRecord
	if err := wire.Decode(p.msg, r.wire); err != nil {
		return line, false, err
	}
	body, err := r.body()
	if err != nil {
		return line, false, err
	}
	if body.Kind == content.Reaction || body.Kind == content.Edit {
		return line, false, nil
	}
	rec := store.Record{Key: key("msg", cv.id, seqKey(p.seq)), Value: p.msg}
	m, show, unproven, err := t.shown(cv.id, rec, "")
	if err == nil && unproven != nil {
		return t.unprovenLine(cv, p, &r)
	}
	if err != nil || !show {
		return line, false, err
	}
	m.Seq += cv.meta.Offset
	line = Line{Message: m, Expires: unixTime(r.Expires)}
	if err := t.applyAbout(cv, &line, body.ID, r.From); err != nil {
		return line, false, err
	}
	if body.Kind == content.Reply {
		if line.Reply, err = t.quote(cv, body.Targets[0]); err != nil {
			return line, false, err
		}
	}
	line.Mention, err = t.mentionsMe(line.Body)
	return line, true, err
}

func unixTime(seconds uint64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// goneLine is the line of a message that was taken back.
func (t *tx) goneLine(cv *conversation, p place) (line Line, show bool, err error) {
	var author proto.AccountID
	if len(p.gone) != len(author) {
		return line, false, errors.New("stored mark of a message that was taken back")
	}
	copy(author[:], p.gone)
	me, err := t.identity()
	if err != nil {
		return line, false, err
	}
	logged, err := t.logged(cv, p.seq)
	if err != nil {
		return line, false, err
	}
	line.Gone, line.Seq = true, p.seq+cv.meta.Offset
	line.From, line.Own = t.handleOf(author), author == me.Account
	line.ID = "gone-" + cv.id.Hex()[:8] + "-" + strconv.FormatUint(p.seq, 10)
	if logged != nil {
		line.Time = time.Unix(int64(logged.Receipt.Minute)*60, 0).UTC()
	}
	return line, true, nil
}

// applyAbout applies the edits and reactions a message met. Only its author
// edits it; of each person the newest reaction counts.
func (t *tx) applyAbout(cv *conversation, line *Line, id content.ID, author member) error {
	records, err := t.list(aboutKey(cv.id, id, ""), "", 0)
	if err != nil || len(records) == 0 {
		return err
	}
	chosen := map[proto.AccountID]string{}
	for _, rec := range records {
		seq, err := seqOf(rec)
		if err != nil {
			return err
		}
		var r messageRecord
		if err := t.load(key("msg", cv.id, seqKey(seq)), r.wire); err != nil {
			return err
		}
		if r.Envelope == nil { // disappeared
			continue
		}
		body, err := r.body()
		if err != nil {
			return err
		}
		if ok, err := t.vouched(&r); err != nil || !ok {
			continue
		}
		switch {
		case body.Kind == content.Edit && r.From.Account == author.Account:
			line.Body, line.Edited = body.Body, time.Unix(int64(r.Minute)*60, 0).UTC()
		case body.Kind == content.Reaction:
			chosen[r.From.Account] = body.Body
		}
	}
	return t.react(line, chosen)
}

// react gathers who chose what, the most chosen first.
func (t *tx) react(line *Line, chosen map[proto.AccountID]string) error {
	me, err := t.identity()
	if err != nil {
		return err
	}
	by := map[string]*Reaction{}
	for a, emoji := range chosen {
		if emoji == "" {
			continue
		}
		r := by[emoji]
		if r == nil {
			r = &Reaction{Emoji: emoji}
			by[emoji] = r
		}
		r.By = append(r.By, t.handleOf(a))
		r.Own = r.Own || a == me.Account
	}
	for _, r := range by {
		slices.Sort(r.By)
		line.Reactions = append(line.Reactions, *r)
	}
	slices.SortFunc(line.Reactions, func(a, b Reaction) int {
		return cmp.Or(cmp.Compare(len(b.By), len(a.By)), strings.Compare(a.Emoji, b.Emoji))
	})
	return nil
}

// maxQuote is how much of a message another one shows, in characters.
const maxQuote = 200

// quote finds the message a reply answers. Of two with one identifier, which
// only somebody malicious makes, none is shown.
func (t *tx) quote(cv *conversation, id content.ID) (*Quote, error) {
	q := &Quote{ID: id.Hex()}
	found, err := t.list("mid/"+id.Hex()+"/"+cv.id.Hex()+"/", "", 2)
	if err != nil || len(found) != 1 {
		return q, err
	}
	seq, err := strconv.ParseUint(string(found[0].Value), 10, 64)
	if err != nil {
		return q, err
	}
	p := place{seq: seq}
	if p.msg, err = t.get(key("msg", cv.id, seqKey(seq))); err != nil {
		return q, err
	}
	if p.msg == nil {
		gone, err := t.get(goneKey(cv.id, seq))
		q.Gone = gone != nil
		return q, err
	}
	return q, t.fillQuote(cv, q, p)
}

func (t *tx) fillQuote(cv *conversation, q *Quote, p place) error {
	rec := store.Record{Key: key("msg", cv.id, seqKey(p.seq)), Value: p.msg}
	m, show, unproven, err := t.shown(cv.id, rec, "")
	if err != nil || !show || unproven != nil {
		return err
	}
	line := Line{Message: m}
	var r messageRecord
	if err := wire.Decode(p.msg, r.wire); err != nil {
		return err
	}
	id, err := content.ParseID(q.ID)
	if err != nil {
		return err
	}
	if err := t.applyAbout(cv, &line, id, r.From); err != nil {
		return err
	}
	q.Found, q.Seq, q.From, q.Kind, q.Body = true, p.seq+cv.meta.Offset, m.From, m.Kind, Shorten(line.Body, maxQuote)
	if len(m.Attachments) > 0 {
		q.File = m.Attachments[0].Name
	}
	return nil
}

// Shorten returns the first n characters of s, with an ellipsis if there are more.
func Shorten(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}

// mentionsMe tells whether a text names this account: @handle, not within a
// longer name.
func (t *tx) mentionsMe(text string) (bool, error) {
	names, err := t.ownNames()
	return slices.ContainsFunc(names, func(n string) bool { return Mentions(text, n) }), err
}

// Mentions tells whether text has @handle as a word of its own.
func Mentions(text, handle string) bool {
	text = strings.ToLower(text)
	for {
		i := strings.Index(text, "@"+handle)
		if i < 0 {
			return false
		}
		before, after := text[:i], text[i+1+len(handle):]
		// "@anna." at the end of a sentence names anna, "@anna.b" does not.
		rest := strings.TrimLeft(after, ".-")
		if (before == "" || !nameByte(before[len(before)-1])) && (rest == "" || !nameByte(rest[0])) {
			return true
		}
		text = after
	}
}

func nameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= '0' && b <= '9'
}

// waitingLines are the own messages of a conversation that have no place in the
// log yet.
func (t *tx) waitingLines(cv *conversation) (all []Line, err error) {
	records, err := t.list(key("out", cv.id, ""), "", 0)
	if err != nil {
		return nil, err
	}
	for _, rec := range records {
		var r outRecord
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return nil, err
		}
		m, err := content.Parse(r.Content)
		if err != nil {
			return nil, err
		}
		if !visible(m) || m.Kind == content.Reaction || m.Kind == content.Edit {
			continue
		}
		line, err := t.waitingLine(cv, m)
		if err != nil {
			return nil, err
		}
		all = append(all, line)
	}
	return all, nil
}

func (t *tx) waitingLine(cv *conversation, m *content.Message) (Line, error) {
	me, err := t.identity()
	if err != nil {
		return Line{}, err
	}
	line := Line{Waiting: true, Message: Message{
		ID: m.ID.Hex(), Time: unixTime(m.Time), From: me.Handle, Device: me.Device.Hex(), Own: true,
		Kind: m.Kind.String(), Body: m.Body, Attachments: attachmentInfos(m),
	}}
	if m.Kind == content.Reply {
		line.Reply, err = t.quote(cv, m.Targets[0])
	}
	return line, err
}
