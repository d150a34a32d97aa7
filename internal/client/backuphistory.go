package client

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/client/files"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// Bounds of the history in a backup. What one writing does not reach, the next
// ones do.
const (
	wholePart     = 1000     // entries from which a part is not made anew
	wholePartSize = 1 << 20  // bytes, likewise
	partsAtOnce   = 64       // of one writing
	bytesAtOnce   = 64 << 20 // of one writing
	maxParts      = proto.MaxBackupBlobs - 1
)

func (p *historyPart) ref() (ref files.Ref, err error) {
	return ref, content.Unmarshal(p.Ref, &ref)
}

func partKey(id proto.ConversationID, first uint64) string {
	return partPrefix + id.Hex() + "/" + seqKey(first)
}

// gap is a range of a conversation's log that no part has, and the part it
// replaces.
type gap struct {
	conv        proto.ConversationID
	after, last uint64 // entries after+1 … last
	instead     *historyPart
}

// archiveHistory uploads what the parts do not have yet.
func (c *Client) archiveHistory(ctx context.Context) error {
	var gaps []gap
	err := c.step(ctx, func(t *tx) (err error) {
		gaps, err = t.historyGaps()
		return err
	})
	if err != nil {
		return err
	}
	n, size := 0, 0
	for _, g := range gaps {
		for g.after < g.last && n < partsAtOnce && size < bytesAtOnce {
			last, bytes, err := c.archivePart(ctx, &g)
			if err != nil {
				return err
			}
			if last == 0 {
				break // nothing is left of it
			}
			g.after, g.instead = last, nil
			n, size = n+1, size+bytes
		}
	}
	return nil
}

// historyGaps lists what is to be archived: nothing of conversations whose
// messages disappear.
func (t *tx) historyGaps() (gaps []gap, err error) {
	ids, err := t.conversations()
	if err != nil {
		return nil, err
	}
	count := 0
	for _, id := range ids {
		cv, err := t.conv(id)
		if err != nil {
			return nil, err
		}
		if aside, err := t.isBranch(id); err != nil || aside {
			if err != nil {
				return nil, err
			}
			continue
		}
		parts, err := t.parts(id)
		if err != nil {
			return nil, err
		}
		if cv.meta.Policy.Kind == kindDevices || cv.meta.Policy.Expiry > 0 {
			if len(parts) > 0 {
				err = t.delAll(partPrefix + id.Hex() + "/")
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		if count += len(parts) + 1; count > maxParts {
			return gaps, nil
		}
		for _, g := range missingParts(cv, parts) {
			first, err := t.firstLogged(&g)
			if err != nil {
				return nil, err
			}
			if first > 0 {
				gaps = append(gaps, g)
			}
		}
	}
	return gaps, nil
}

// missingParts lists the gaps between and after the parts; one at the end goes
// on in the last part unless that is whole.
func missingParts(cv *conversation, parts []historyPart) (gaps []gap) {
	next := uint64(1)
	for i := range parts {
		p := &parts[i]
		if p.First > next {
			gaps = append(gaps, gap{conv: cv.id, after: next - 1, last: p.First - 1})
		}
		next = p.Last + 1
	}
	if next > cv.head.Seq {
		return gaps
	}
	g := gap{conv: cv.id, after: next - 1, last: cv.head.Seq}
	if n := len(parts); n > 0 && !parts[n-1].Whole {
		g.after, g.instead = parts[n-1].First-1, &parts[n-1]
	}
	return append(gaps, g)
}

// archivePart uploads the next part of a gap and returns its last seq, 0 if
// there is nothing to keep in all of it.
func (c *Client) archivePart(ctx context.Context, g *gap) (last uint64, size int, err error) {
	var a archive
	err = c.step(ctx, func(t *tx) error {
		first, err := t.firstLogged(g)
		if err != nil || first == 0 {
			return err
		}
		if a, _, err = t.archive(g.conv, first-1, g.last); err == nil {
			err = t.withoutFleeting(&a)
		}
		return err
	})
	if err != nil || len(a.Entries) == 0 {
		return 0, 0, err
	}
	plain, err := wire.Encode(a.wire)
	if err != nil {
		return 0, 0, err
	}
	src := bytes.NewReader(plain)
	var sealed bytes.Buffer
	ref, _, err := files.Seal(&sealed, src, int64(len(plain)), proto.New[proto.BlobID](), files.NewKey())
	if err != nil {
		return 0, 0, err
	}
	if err := c.putOwnBlob(ctx, ref.Blob, sealed.Bytes()); err != nil {
		return 0, 0, err
	}
	p := historyPart{First: a.first(), Last: a.last(), Whole: len(a.Entries) >= wholePart || len(plain) >= wholePartSize}
	if p.Ref, err = content.Marshal(&ref); err != nil {
		return 0, 0, err
	}
	return p.Last, sealed.Len(), c.step(ctx, func(t *tx) error {
		if g.instead != nil {
			t.del(partKey(g.conv, g.instead.First))
		}
		return t.save(partKey(g.conv, p.First), p.wire)
	})
}

// firstLogged returns the first entry of the gap that this device has, 0 for
// none.
func (t *tx) firstLogged(g *gap) (uint64, error) {
	records, err := t.list(key("log", g.conv, ""), key("log", g.conv, seqKey(g.after)), 1)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	var r logRecord
	if err := wire.Decode(records[0].Value, r.wire); err != nil {
		return 0, fmt.Errorf("stored entry: %w", err)
	}
	if r.Receipt.Seq > g.last {
		return 0, nil
	}
	return r.Receipt.Seq, nil
}

// withoutFleeting takes out of an archive the messages that are to disappear.
func (t *tx) withoutFleeting(a *archive) error {
	var accounts []proto.AccountID
	for i := range a.Entries {
		m := a.Entries[i].Message
		if m != nil && m.Expires != 0 {
			a.Entries[i].Message = nil
		} else if m != nil && !slices.Contains(accounts, m.From.Account) {
			accounts = append(accounts, m.From.Account)
		}
	}
	profiles, err := t.profiles(accounts)
	a.Profiles = profiles
	return err
}

// unarchive forgets the part with an entry whose message was taken back: the
// next backup keeps one without it.
func (t *tx) unarchive(id proto.ConversationID, seq uint64) error {
	parts, err := t.parts(id)
	for _, p := range parts {
		if p.First <= seq && seq <= p.Last {
			t.del(partKey(id, p.First))
		}
	}
	return err
}

// importKept takes over the history a backup named, before anything else is
// known of its conversations.
func (c *Client) importKept(ctx context.Context) error {
	type kept struct {
		name string
		conv proto.ConversationID
		part historyPart
	}
	var all []kept
	err := c.step(ctx, func(t *tx) error {
		all = nil
		records, err := t.list("kept/", "", 0)
		for _, r := range records {
			k := kept{name: r.Key}
			if err := parseHex(k.conv[:], r.Key[len("kept/"):len("kept/")+2*len(k.conv)]); err != nil {
				return err
			}
			if err := wire.Decode(r.Value, k.part.wire); err != nil {
				return err
			}
			all = append(all, k)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, k := range all {
		if err := c.importKeptPart(ctx, k.name, k.conv, &k.part); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) importKeptPart(ctx context.Context, name string, conv proto.ConversationID, p *historyPart) error {
	ref, err := p.ref()
	if err != nil {
		return err
	}
	o := historyOffer{Conversation: conv, First: p.First, Last: p.Last, Ref: p.Ref}
	a, failed := c.fetchKept(ctx, &o, ref)
	if notNow(failed) || ctx.Err() != nil {
		return failed
	}
	if failed == nil {
		if err := c.learnStampKeys(ctx, a.receipts()); err != nil {
			return err
		}
	}
	return c.step(ctx, func(t *tx) error {
		t.del(name)
		cv, err := t.conv(conv)
		if err != nil || cv == nil {
			return err
		}
		if failed == nil {
			failed = t.takeArchive(cv, a, &o)
		}
		if failed != nil {
			t.warn(cv, fmt.Sprintf("entries %d to %d of the history were not taken over from the backup: %v", p.First, p.Last, failed))
			return nil
		}
		return t.save(partKey(conv, p.First), p.wire) // it is there already for the next backup
	})
}

// fetchKept reads a part over the account's connection, as it was written.
func (c *Client) fetchKept(ctx context.Context, o *historyOffer, ref files.Ref) (*archive, error) {
	if ref.Size > maxArchive {
		return nil, ErrTooLarge
	}
	worked := c.now()
	r, err := files.NewReader(ref, func(ctx context.Context, offset uint64, length int) (b []byte, err error) {
		err = c.persist(ctx, &worked, func() error {
			var got proto.BlobGetResponse
			err := c.call(ctx, Account, proto.BlobGet, &proto.BlobGetRequest{ID: ref.Blob, Offset: offset, Length: uint32(length)}, &got)
			b = got.Bytes
			return err
		})
		return b, err
	})
	if err != nil {
		return nil, err
	}
	var plain bytes.Buffer
	if err := r.WriteTo(ctx, &plain, nil); err != nil {
		return nil, err
	}
	return parseArchive(plain.Bytes(), o)
}
