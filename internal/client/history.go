package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"codeberg.org/huis/huis/internal/client/content"
	"codeberg.org/huis/huis/internal/client/files"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// A history archive is part of a conversation's past for a new device of the
// own account (protocol, section 10): for each entry of the log its skeleton
// and receipt, for each message that still exists also its envelope. Tag, σ,
// stamp and chain verify as on arrival. It is sealed like a file; its key
// travels in the own-devices conversation, and a line in the conversation
// itself tells everybody.

// archive is one part: consecutive entries.
type archive struct {
	Conversation proto.ConversationID
	Profiles     []profile // of the messages' senders
	Entries      []archived
}

// archived is one entry; Message is absent if it was none, or is gone.
type archived struct {
	Log     logRecord
	Message *messageRecord
}

func (a *archived) wire(c *wire.Codec) {
	a.Log.wire(c)
	wire.Optional(c, &a.Message, (*messageRecord).wire)
}

func (a *archive) wire(c *wire.Codec) {
	formatVersion(c)
	a.Conversation.Wire(c)
	wire.Vector(c, &a.Profiles, (*profile).wire)
	wire.Vector(c, &a.Entries, (*archived).wire)
}

// Bounds of one part.
const (
	archiveEntries = 2000
	archiveBytes   = 8 << 20
	maxArchive     = 32 << 20 // what a receiver reads into memory
)

// historyOffer tells an own device where a part is.
type historyOffer struct {
	Device       proto.DeviceID // for whom
	Conversation proto.ConversationID
	First, Last  uint64 // seqs
	Read         uint64 // how far the giving device has read
	Ref          []byte // files.Ref, canonical CBOR
}

func (o *historyOffer) wire(c *wire.Codec) {
	formatVersion(c)
	o.Device.Wire(c)
	o.Conversation.Wire(c)
	wire.Uint64(c, &o.First)
	wire.Uint64(c, &o.Last)
	wire.Uint64(c, &o.Read)
	wire.OpaqueMax(c, &o.Ref, 1024)
}

// historyNotice is the line in the conversation.
type historyNotice struct {
	Device proto.DeviceID // of the author's account
	Last   uint64         // up to which entry
}

func (n *historyNotice) wire(c *wire.Codec) {
	formatVersion(c)
	n.Device.Wire(c)
	wire.Uint64(c, &n.Last)
}

// eventText is what a person reads of a program's event.
func (t *tx) eventText(e *content.Event) string {
	var n historyNotice
	if wire.Decode(e.Data, n.wire) != nil {
		return "an event this version does not know"
	}
	return fmt.Sprintf("gave the history up to entry %d to the own new device %s", n.Last, n.Device.Hex()[:8])
}

// errLater: a job cannot be done yet.
var errLater = errors.New("not yet")

// giveHistory gives an own device the past of one conversation.
func (c *Client) giveHistory(ctx context.Context, j job) error {
	var own proto.ConversationID
	var last uint64
	ready, over := false, false
	err := c.step(ctx, func(t *tx) (err error) {
		own, last, ready, over, err = t.historyReady(j)
		return err
	})
	if err != nil || over {
		return err
	}
	if !ready {
		return fmt.Errorf("%w: the new device is not in the conversation", errLater)
	}
	for after := uint64(0); after < last; {
		var part archive
		var read uint64
		err := c.step(ctx, func(t *tx) (err error) {
			part, read, err = t.archive(j.Conversation, after, last)
			return err
		})
		if err != nil {
			return err
		}
		if len(part.Entries) == 0 {
			break
		}
		o := historyOffer{Device: j.Device, Conversation: j.Conversation, Read: read}
		o.First, o.Last = part.first(), part.last()
		if err := c.offerPart(ctx, own, &part, &o); err != nil {
			return err
		}
		after = o.Last
	}
	if err := c.step(ctx, func(t *tx) error { return t.noteHistory(j, last) }); err != nil {
		return err
	}
	return errors.Join(c.flush(ctx, own), c.flush(ctx, j.Conversation))
}

func (a *archive) first() uint64 { return a.Entries[0].Log.Receipt.Seq }
func (a *archive) last() uint64  { return a.Entries[len(a.Entries)-1].Log.Receipt.Seq }

// historyReady tells whether the device can receive the history, or never will.
func (t *tx) historyReady(j job) (own proto.ConversationID, last uint64, ready, over bool, err error) {
	others, err := t.otherDevices()
	if err != nil {
		return own, 0, false, false, err
	}
	own, ok, err := t.ownConversation()
	if err != nil {
		return own, 0, false, false, err
	}
	cv, err := t.conv(j.Conversation)
	if err != nil {
		return own, 0, false, false, err
	}
	if !slices.Contains(others, j.Device) || !ok || cv == nil || !cv.active() {
		return own, 0, false, true, nil
	}
	between, err := t.conv(own)
	if err != nil {
		return own, 0, false, false, err
	}
	me, err := t.identity()
	if err != nil {
		return own, 0, false, false, err
	}
	who := member{me.Account, j.Device}
	return own, cv.head.Seq, cv.devices()[who] && between.devices()[who], false, nil
}

// archive collects consecutive entries after a seq.
func (t *tx) archive(id proto.ConversationID, after, last uint64) (a archive, read uint64, err error) {
	a.Conversation = id
	cv, err := t.conv(id)
	if err != nil || cv == nil {
		return a, 0, err
	}
	records, err := t.list(key("log", id, ""), key("log", id, seqKey(after)), archiveEntries)
	if err != nil {
		return a, 0, err
	}
	var accounts []proto.AccountID
	size := 0
	for _, rec := range records {
		var e archived
		if err := decode(rec.Value, e.Log.wire); err != nil {
			return a, 0, err
		}
		seq := e.Log.Receipt.Seq
		if seq > last || size > archiveBytes || len(a.Entries) > 0 && seq != a.last()+1 {
			break
		}
		if e.Message, err = t.keptMessage(id, seq); err != nil {
			return a, 0, err
		}
		if e.Message != nil {
			size += len(e.Message.Envelope)
			if !slices.Contains(accounts, e.Message.From.Account) {
				accounts = append(accounts, e.Message.From.Account)
			}
		}
		a.Entries = append(a.Entries, e)
	}
	a.Profiles, err = t.profiles(accounts)
	return a, cv.meta.Read, err
}

// keptMessage returns a message that is to be handed on, nil if there is none:
// what has expired or was deleted is not.
func (t *tx) keptMessage(id proto.ConversationID, seq uint64) (*messageRecord, error) {
	b, err := t.get(key("msg", id, seqKey(seq)))
	if err != nil || b == nil {
		return nil, err
	}
	r := new(messageRecord)
	if err := decode(b, r.wire); err != nil {
		return nil, err
	}
	if r.Unproven || r.Expires != 0 && t.c.now().Unix() >= int64(r.Expires) {
		return nil, nil
	}
	return r, nil
}

// offerPart uploads a part through the own-devices conversation and queues the
// offer of it there.
func (c *Client) offerPart(ctx context.Context, own proto.ConversationID, part *archive, o *historyOffer) error {
	plain, err := wire.Encode(part.wire)
	if err != nil {
		return err
	}
	ref, blob, err := files.Measure(bytes.NewReader(plain), int64(len(plain)))
	if err != nil {
		return err
	}
	if err := c.upload(ctx, own, bytes.NewReader(plain), ref, blob); err != nil {
		return err
	}
	if o.Ref, err = content.Marshal(&ref); err != nil {
		return err
	}
	return c.step(ctx, func(t *tx) error { return t.tellOwn(eventHistory, o.wire) })
}

// noteHistory queues the line in the conversation. Its identifier follows from
// what it says, so that doing the job again does not say it twice.
func (t *tx) noteHistory(j job, last uint64) error {
	n := historyNotice{Device: j.Device, Last: last}
	m := content.New(content.System, t.c.now())
	sum := sha256.Sum256(append([]byte("huis/history-notice/1"), append(j.Device[:], j.Conversation[:]...)...))
	copy(m.ID[:], sum[:])
	m.Event = &content.Event{Type: eventHistory, Data: wire.MustEncode(n.wire)}
	_, err := t.queue(j.Conversation, m)
	return err
}

func importKey(o *historyOffer) string {
	return "import/" + o.Conversation.Hex() + "/" + seqKey(o.First)
}

// offered keeps an offer until its conversation is here.
func (t *tx) offered(data []byte) error {
	var o historyOffer
	if err := wire.Decode(data, o.wire); err != nil {
		return err
	}
	me, err := t.identity()
	if err != nil || o.Device != me.Device {
		return err
	}
	return t.save(importKey(&o), o.wire)
}

// importHistory takes over the parts that other own devices have offered.
func (c *Client) importHistory(ctx context.Context) error {
	var offers []historyOffer
	err := c.step(ctx, func(t *tx) error {
		offers = nil
		all, err := t.list("import/", "", 0)
		for _, rec := range all {
			var o historyOffer
			if err := decode(rec.Value, o.wire); err != nil {
				return err
			}
			cv, err := t.conv(o.Conversation)
			if err != nil {
				return err
			}
			if cv != nil && cv.head.Known {
				offers = append(offers, o)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := range offers {
		e := c.importPart(ctx, &offers[i])
		err = errors.Join(err, e)
		if errors.Is(e, ErrUnreachable) || ctx.Err() != nil {
			break
		}
	}
	return err
}

// importPart fetches, verifies and stores one part. One that is gone or does
// not verify is dropped with a warning; what the server cannot give now is left
// for later.
func (c *Client) importPart(ctx context.Context, o *historyOffer) error {
	a, err := c.fetchArchive(ctx, o)
	if notNow(err) || ctx.Err() != nil {
		return err
	}
	if err == nil {
		if err := c.learnStampKeys(ctx, a.receipts()); err != nil {
			return err
		}
	}
	return c.step(ctx, func(t *tx) error {
		t.del(importKey(o))
		cv, e := t.conv(o.Conversation)
		if e != nil || cv == nil {
			return e
		}
		if err == nil {
			err = t.takeArchive(cv, a, o)
		}
		if err != nil {
			t.warn(cv, fmt.Sprintf("the history from another device of yours was not taken over: %v", err))
		}
		return nil
	})
}

// notNow tells of an archive that the server may give another time.
func notNow(err error) bool {
	return errors.Is(err, ErrUnreachable) || refused(err) && !errors.Is(err, proto.NoBlob)
}

// receipts lists what stamp keys are needed for.
func (a *archive) receipts() (all []proto.Stamped) {
	for i := range a.Entries {
		all = append(all, proto.Stamped{Receipt: a.Entries[i].Log.Receipt})
	}
	return all
}

func (c *Client) fetchArchive(ctx context.Context, o *historyOffer) (*archive, error) {
	var ref files.Ref
	if err := content.Unmarshal(o.Ref, &ref); err != nil {
		return nil, err
	}
	if ref.Size > maxArchive {
		return nil, ErrTooLarge
	}
	var plain bytes.Buffer
	if err := c.download(ctx, ref, &plain, nil); err != nil {
		return nil, err
	}
	return parseArchive(plain.Bytes(), o)
}

// parseArchive reads a part, which has to be the one that was offered.
func parseArchive(plain []byte, o *historyOffer) (*archive, error) {
	a := new(archive)
	if err := wire.Decode(plain, a.wire); err != nil {
		return nil, err
	}
	if a.Conversation != o.Conversation || len(a.Entries) == 0 || a.first() != o.First || a.last() != o.Last {
		return nil, errors.New("it is of another part of the log than offered")
	}
	return a, nil
}

// takeArchive verifies a part and stores what is not here yet. Nothing is
// stored if any of it is wrong.
func (t *tx) takeArchive(cv *conversation, a *archive, o *historyOffer) error {
	if err := t.verifyChain(cv, a); err != nil {
		return err
	}
	messages := make([]*content.Message, len(a.Entries))
	chains, err := a.chains()
	if err != nil {
		return err
	}
	for i := range a.Entries {
		if messages[i], err = a.Entries[i].verify(cv.id, chains); err != nil {
			return fmt.Errorf("message %d: %w", a.Entries[i].Log.Receipt.Seq, err)
		}
	}
	for i := range a.Profiles {
		if err := t.keepProfile(&a.Profiles[i]); err != nil {
			return err
		}
	}
	for i := range a.Entries {
		if err := t.takeEntry(cv, &a.Entries[i], messages[i]); err != nil {
			return err
		}
	}
	if o.Read > cv.meta.Read {
		cv.meta.Read = o.Read
		cv.meta.Told = max(cv.meta.Told, o.Read)
		return t.saveMeta(cv)
	}
	return nil
}

// verifyChain checks signatures, stamps and chain of all entries, and that they fit what
// this device has verified itself.
func (t *tx) verifyChain(cv *conversation, a *archive) error {
	var prev proto.Hash
	for i := range a.Entries {
		l := &a.Entries[i].Log
		k, ok, err := t.stampKey(&l.Receipt)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("entry %d is stamped with a key the server does not name", l.Receipt.Seq)
		}
		chain, err := l.Receipt.VerifySkeleton(l.skeleton(cv.id), k)
		if err != nil {
			return fmt.Errorf("the stamp of entry %d: %w", l.Receipt.Seq, err)
		}
		if err := l.skeleton(cv.id).VerifySubmitter(); err != nil {
			return fmt.Errorf("the submitter of entry %d: %w", l.Receipt.Seq, err)
		}
		if i > 0 && (l.Receipt.ChainPrev != prev || l.Receipt.Seq != a.first()+uint64(i)) {
			return fmt.Errorf("entry %d does not continue the one before it", l.Receipt.Seq)
		}
		own, known, err := t.chainAt(cv, l.Receipt.Seq)
		if err != nil {
			return err
		}
		if known && own != chain {
			return fmt.Errorf("entry %d is another than this device was shown: the server shows two versions of the log", l.Receipt.Seq)
		}
		prev = chain
	}
	return nil
}

// chains verifies the chains the archive brings.
func (a *archive) chains() (map[proto.AccountID]kt.Chain, error) {
	all := map[proto.AccountID]kt.Chain{}
	for _, p := range a.Profiles {
		chain, err := kt.Verify(p.Links)
		if err != nil {
			return nil, err
		}
		if chain.Account() != kt.AccountID(p.Account) {
			return nil, errors.New("a chain is another account's")
		}
		all[p.Account] = chain
	}
	return all, nil
}

// verify checks what proves a message: tag, σ, and that the sender's account
// had the key. It returns nil for an entry without message.
func (e *archived) verify(id proto.ConversationID, chains map[proto.AccountID]kt.Chain) (*content.Message, error) {
	r := e.Message
	if r == nil {
		return nil, nil
	}
	if e.Log.Kind != proto.KindApplication || r.Epoch != e.Log.Epoch || len(r.M) != ed25519.PublicKeySize {
		return nil, errors.New("it is not of this entry")
	}
	d, ok := chains[r.From.Account].Device(kt.DeviceID(r.From.Device))
	if !ok || !d.Held(kt.MessagePublicKey(r.M)) {
		return nil, errors.New("its sender's account does not vouch for its key")
	}
	var env content.Envelope
	if err := wire.Decode(r.Envelope, env.Wire); err != nil {
		return nil, err
	}
	at := content.Place{Conversation: id, Epoch: r.Epoch, Leaf: uint32(r.Leaf), MK: e.Log.MK}
	return content.Verify(&env, e.Log.Tag, at, ed25519.PublicKey(r.M))
}

// takeEntry stores an entry and its message, unless they are here.
func (t *tx) takeEntry(cv *conversation, e *archived, m *content.Message) error {
	seq := e.Log.Receipt.Seq
	name := key("log", cv.id, seqKey(seq))
	if old, err := t.get(name); err != nil {
		return err
	} else if old == nil {
		if err := t.save(name, e.Log.wire); err != nil {
			return err
		}
	}
	if m == nil {
		return nil
	}
	mid := midKey(m.ID, cv.id, e.Message.From)
	if old, err := t.get(mid); err != nil || old != nil {
		return err
	}
	t.put(mid, []byte(strconv.FormatUint(seq, 10)))
	e.Message.Unproven = false
	return t.putMessage(cv.id, seq, e.Log.Receipt.Minute, m, e.Message)
}
