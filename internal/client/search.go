package client

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// What is said is kept a second time for searching: the plain form of the texts
// (Fold) of searchSpan places of a log in one record, text/HEX/SPAN. So any part
// of a word is found by reading few, large records. They are changed in the step
// that changes the message, and what disappears disappears there too.

// searchSpan is how many places of a log one record holds.
const searchSpan = 64

// spoken is the plain text of one message.
type spoken struct {
	Seq    uint64
	Minute uint64 // of its stamp
	Text   []byte
}

func (s *spoken) wire(c *wire.Codec) {
	wire.Uint64(c, &s.Seq)
	wire.Uint64(c, &s.Minute)
	wire.Opaque(c, &s.Text)
}

// spokenRecord is the texts of one span, by seq.
type spokenRecord struct{ All []spoken }

func (r *spokenRecord) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Vector(c, &r.All, (*spoken).wire)
}

func textKey(id proto.ConversationID, seq uint64) string {
	return key("text", id, seqKey(seq/searchSpan))
}

// keepText makes a message findable. An edit takes the place of what it edits.
func (t *tx) keepText(id proto.ConversationID, seq, minute uint64, m *content.Message, from member) error {
	switch m.Kind {
	case content.Text, content.Reply, content.Attachment, content.Voice:
		return t.setText(id, spoken{Seq: seq, Minute: minute, Text: []byte(Fold(textOf(m)))})
	case content.Edit:
		target, err := t.editTarget(id, m.Targets[0], from)
		if err != nil || target == nil {
			return err
		}
		target.Text = []byte(Fold(m.Body))
		return t.setText(id, *target)
	}
	return nil
}

// textOf is what of a message is searched: its body and its files' names.
func textOf(m *content.Message) string {
	parts := []string{m.Body}
	for _, a := range m.Attachments {
		parts = append(parts, a.Name)
	}
	return strings.Join(parts, "\n")
}

// editTarget finds the message an edit is about, nil unless its author wrote
// both.
func (t *tx) editTarget(id proto.ConversationID, target content.ID, from member) (*spoken, error) {
	found, err := t.list("mid/"+target.Hex()+"/"+id.Hex()+"/", "", 0)
	if err != nil {
		return nil, err
	}
	for _, rec := range found {
		seq, err := strconv.ParseUint(string(rec.Value), 10, 64)
		if err != nil {
			return nil, err
		}
		var r messageRecord
		if err := t.load(key("msg", id, seqKey(seq)), r.wire); err != nil {
			return nil, err
		}
		if r.Envelope != nil && r.From.Account == from.Account {
			return &spoken{Seq: seq, Minute: r.Minute}, nil
		}
	}
	return nil, nil
}

// setText puts one text into its record; an empty one takes it out.
func (t *tx) setText(id proto.ConversationID, s spoken) error {
	var r spokenRecord
	k := textKey(id, s.Seq)
	if err := t.load(k, r.wire); err != nil {
		return err
	}
	r.All = slices.DeleteFunc(r.All, func(o spoken) bool { return o.Seq == s.Seq })
	if len(s.Text) > 0 {
		r.All = append(r.All, s)
		slices.SortFunc(r.All, func(a, b spoken) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	if len(r.All) == 0 {
		t.del(k)
		return nil
	}
	return t.save(k, r.wire)
}

// dropText makes a message that disappears not be found any more.
func (t *tx) dropText(id proto.ConversationID, seq uint64) error {
	return t.setText(id, spoken{Seq: seq})
}

// forgetText is dropText by the parts of a record's key.
func (t *tx) forgetText(conv, seq string) error {
	id, err := parseConversation(conv)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return err
	}
	return t.dropText(id, n)
}

// Query is what to look for.
type Query struct {
	Text   string // words that must all be there
	Chat   string // only there; "" everywhere
	From   string // handle of the author; "" anybody
	N      int    // at most so many
	Cursor string // where the answer before ended
}

// Hit is a message found.
type Hit struct {
	Line
	ChatID string
	Places [][2]int // of the words in its body, in bytes
}

// found is a message whose text suits.
type found struct {
	cv     *conversation
	seq    uint64
	minute uint64
}

// order sorts the newest first.
func (f found) order(o found) int {
	if f.minute != o.minute {
		return cmp.Compare(o.minute, f.minute)
	}
	return cmp.Or(bytes.Compare(f.cv.id[:], o.cv.id[:]), cmp.Compare(o.seq, f.seq))
}

func (f found) cursor() string { return fmt.Sprintf("%d/%s/%d", f.minute, f.cv.id.Hex(), f.seq) }

func parseCursor(s string) (f found, err error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return f, errors.New("a cursor of another search")
	}
	f.cv = new(conversation)
	var err1, err2 error
	f.minute, err1 = strconv.ParseUint(parts[0], 10, 64)
	f.cv.id, err = parseConversation(parts[1])
	f.seq, err2 = strconv.ParseUint(parts[2], 10, 64)
	return f, errors.Join(err, err1, err2)
}

// Search looks through the messages of this device, newest first, and returns
// where it ended, "" at the end.
func (c *Client) Search(ctx context.Context, q Query) (hits []Hit, cursor string, err error) {
	words := strings.Fields(Fold(q.Text))
	if len(words) == 0 {
		return nil, "", nil
	}
	all, err := c.suiting(ctx, q, words)
	if err != nil {
		return nil, "", err
	}
	if q.Cursor != "" {
		last, err := parseCursor(q.Cursor)
		if err != nil {
			return nil, "", err
		}
		all = slices.DeleteFunc(all, func(f found) bool { return f.order(last) <= 0 })
	}
	slices.SortFunc(all, found.order)
	for i, f := range all {
		hit, show, err := c.hit(ctx, f, words)
		if err != nil {
			return nil, "", err
		}
		if !show || q.From != "" && hit.From != q.From {
			continue
		}
		if hits = append(hits, hit); len(hits) == q.N && i+1 < len(all) {
			return hits, f.cursor(), nil
		}
	}
	return hits, "", nil
}

// suiting finds the places whose text has all words, some records at a time, so that
// other steps come in between.
func (c *Client) suiting(ctx context.Context, q Query, words []string) (all []found, err error) {
	var logs []*conversation
	err = c.step(ctx, func(t *tx) (err error) {
		logs, err = t.searched(q.Chat)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, cv := range logs {
		for after := ""; ; {
			var some []found
			var last string
			err := c.step(ctx, func(t *tx) (err error) {
				some, last, err = t.suitingIn(cv, words, after)
				return err
			})
			if err != nil {
				return nil, err
			}
			if all = append(all, some...); last == "" {
				break
			}
			after = last
			c.breathe()
		}
	}
	return all, nil
}

// searched returns the logs to look through.
func (t *tx) searched(chat string) (logs []*conversation, err error) {
	if chat != "" {
		return t.logsOf(chat)
	}
	names, err := t.names()
	if err != nil {
		return nil, err
	}
	for id := range names {
		cv, err := t.conv(id)
		if err != nil {
			return nil, err
		}
		logs = append(logs, cv)
	}
	return logs, nil
}

// searchRecords is how many records one step of a search looks through: 4,096 texts.
const searchRecords = 64

// suitingIn looks through some records of a log after a key. last is that of the last
// one, "" if there are no more.
func (t *tx) suitingIn(cv *conversation, words []string, after string) (all []found, last string, err error) {
	records, err := t.list(key("text", cv.id, ""), after, searchRecords)
	if err != nil {
		return nil, "", err
	}
	for _, rec := range records {
		var r spokenRecord
		if err := wire.Decode(rec.Value, r.wire); err != nil {
			return nil, "", fmt.Errorf("stored text: %w", err)
		}
		for _, s := range r.All {
			if hasAll(string(s.Text), words) {
				all = append(all, found{cv, s.Seq, s.Minute})
			}
		}
	}
	if len(records) == searchRecords {
		last = records[len(records)-1].Key
	}
	return all, last, nil
}

func hasAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// hit is the line of a place that was found.
func (c *Client) hit(ctx context.Context, f found, words []string) (hit Hit, show bool, err error) {
	err = c.step(ctx, func(t *tx) error {
		cv, err := t.conv(f.cv.id)
		if err != nil || cv == nil {
			return err
		}
		if hit.Line, show, err = t.lineAt(cv, f.seq); err != nil || !show || hit.Gone {
			show = false
			return err
		}
		names, err := t.names()
		if err != nil {
			return err
		}
		logs, err := t.resolve(names[cv.id])
		if err != nil {
			show = false
			return nil
		}
		hit.ChatID = stableID(logs)
		hit.Places = Find(hit.Body, words)
		return nil
	})
	return hit, show, err
}
