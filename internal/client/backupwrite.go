package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"codeberg.org/huis/huis/internal/client/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
)

// Records of the backup.
//
//	backup/key          sealingKey
//	backup/made         backupMade, the last one this device wrote
//	hpart/CONV/FIRST    historyPart among the account's blobs
const (
	sealingKeyKey = "backup/key"
	backupMadeKey = "backup/made"
	// backupTriedKey has the Unix seconds of a try that has not succeeded.
	backupTriedKey = "backup/tried"
	partPrefix     = "hpart/"
)

// How often a backup is made: daily, whenever something was added that would be
// lost, and hourly while people talk. A large one is not made for each change.
const (
	backupEvery  = 24 * time.Hour
	historyEvery = time.Hour        // while there is something new in the history
	backupSpread = 10 * time.Minute // between large ones
	largeBackup  = 1 << 20          // bytes
	// backupStale is how old a backup by another device may be before this one
	// makes it instead, and lookAgain how often one that does not looks.
	backupStale = 2
	lookAgain   = 6 * time.Hour
	retryBackup = 10 * time.Minute
)

// backupMade is what this device knows of its last backup.
type backupMade struct {
	At     uint64 // Unix seconds of the last look
	Nr     uint64
	Size   uint64 // of the sealed bytes; 0: another device makes it
	Digest proto.Hash
}

func (m *backupMade) wire(c *wire.Codec) {
	formatVersion(c)
	wire.Uint64(c, &m.At)
	wire.Uint64(c, &m.Nr)
	wire.Uint64(c, &m.Size)
	m.Digest.Wire(c)
}

// carried are the beginnings of records a backup takes over as they are: whom a
// person verified, that nobody was to have the name before, with what the server
// stamps, which witness policies this person knows and signs.
var carried = []string{"verified/", "strict", nameIsNewKey, stampPrefix, policiesKey, policyKeyKey}

// BackUp writes the account's backup if it is due. What hinders it is done by
// a later one.
func (c *Client) BackUp(ctx context.Context) error {
	done, err := c.backup.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	due, err := c.backupDue(ctx)
	if err != nil || !due {
		return err
	}
	// What fails is not tried again at once: each try uploads.
	err = c.step(ctx, func(t *tx) error {
		now := uint64(max(0, t.c.now().Unix()))
		return t.save(backupTriedKey, func(c *wire.Codec) { wire.Uint64(c, &now) })
	})
	if err != nil {
		return err
	}
	return c.writeBackup(ctx, false)
}

// backupDue tells whether something is to be written.
func (c *Client) backupDue(ctx context.Context) (due bool, err error) {
	err = c.step(ctx, func(t *tx) error {
		due = false
		k, usable, err := t.sealingKey()
		if err != nil || !usable {
			return err
		}
		var tried uint64
		if err := t.load(backupTriedKey, func(c *wire.Codec) { wire.Uint64(c, &tried) }); err != nil {
			return err
		}
		if wait := t.c.now().Sub(time.Unix(int64(tried), 0)); wait >= 0 && wait < retryBackup {
			return nil
		}
		var m backupMade
		if err := t.load(backupMadeKey, m.wire); err != nil {
			return err
		}
		b, err := t.backup()
		if err != nil {
			return err
		}
		age := t.c.now().Sub(time.Unix(int64(m.At), 0))
		old := age >= backupEvery || age < -backupEvery || m.Size == 0 && age >= lookAgain
		changed := m.Digest != b.digest(&k)
		if !old && !changed && m.Size > 0 && age >= historyEvery {
			gaps, err := t.historyGaps()
			due = len(gaps) > 0
			return err
		}
		due = old || changed && (m.Size < largeBackup || age >= backupSpread)
		return nil
	})
	return due, err
}

// sealingKey returns what to seal to; usable false if this device does not have
// the one of the account's recovery key.
func (t *tx) sealingKey() (k sealingKey, usable bool, err error) {
	me, err := t.identity()
	if err != nil || me.Revoked {
		return k, false, err
	}
	if err := t.load(sealingKeyKey, k.wire); err != nil {
		return k, false, err
	}
	chain, _, err := t.chain(me.Account)
	key, ok := chain.Recovery()
	return k, ok && key == k.Recovery, err
}

// keepSealingKey takes over what the recovery key signed, if it is that of the
// account.
func (t *tx) keepSealingKey(k *sealingKey) error {
	if err := k.check(); err != nil {
		return &SafetyError{Reason: err.Error(), Fix: "one of your devices may not be yours: huis devices shows them"}
	}
	return t.save(sealingKeyKey, k.wire)
}

// backup collects the content, but for the history.
func (t *tx) backup() (*backup, error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	own, _, err := t.chain(me.Account)
	if err != nil {
		return nil, err
	}
	head, err := t.logHead()
	if err != nil {
		return nil, err
	}
	b := &backup{
		Made: uint64(max(0, t.c.now().Unix())), Account: me.Account, Handle: me.Handle, Own: pinOf(own),
		LogSize: head.Size, LogRoot: head.Root,
	}
	if err := t.load("translog/keys", b.LogKeys.wire); err != nil {
		return nil, err
	}
	if b.Contacts, err = t.backupContacts(); err != nil {
		return nil, err
	}
	if b.Chats, err = t.backupChats(me.Account); err != nil {
		return nil, err
	}
	for _, prefix := range carried {
		all, err := t.list(prefix, "", 0)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			b.Records = append(b.Records, backupRecord{r.Key, r.Value})
		}
	}
	return b, nil
}

func (t *tx) backupContacts() ([]backupContact, error) {
	names, err := t.list("handle/", "", 0)
	if err != nil {
		return nil, err
	}
	var all []backupContact
	for _, r := range names {
		k := backupContact{Handle: strings.TrimPrefix(r.Key, "handle/")}
		if copy(k.Account[:], r.Value) != len(k.Account) {
			return nil, errors.New("stored handle: not an account")
		}
		if t.leftName(k.Account, k.Handle) {
			continue
		}
		chain, known, err := t.chain(k.Account)
		if err != nil {
			return nil, err
		}
		if known {
			k.Chain = pinOf(chain)
		}
		all = append(all, k)
	}
	return all, nil
}

func (t *tx) backupChats(me proto.AccountID) ([]backupChat, error) {
	ids, err := t.conversations()
	if err != nil {
		return nil, err
	}
	var all []backupChat
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
		// That of the own devices has nothing to return to.
		if cv.meta.Policy.Kind == kindDevices || cv.meta.State == statePlanned {
			continue
		}
		h := backupChat{Conversation: id}
		for _, who := range cv.roster() {
			if who.Account != me {
				h.Others++
			}
		}
		if h.Meta, err = wire.Encode(cv.meta.wire); err != nil {
			return nil, err
		}
		if h.Head, err = wire.Encode(cv.head.wire); err != nil {
			return nil, err
		}
		if h.History, err = t.parts(id); err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, nil
}

// digest is over what a backup must not miss: all but what every message
// changes.
func (b *backup) digest(k *sealingKey) proto.Hash {
	s := &backup{Account: b.Account, Own: b.Own, Contacts: slices.Clone(b.Contacts)}
	for i := range s.Contacts {
		s.Contacts[i].Chain = chainPin{}
	}
	for _, h := range b.Chats {
		var m meta
		if wire.Decode(h.Meta, m.wire) != nil {
			continue
		}
		lasting := meta{State: m.State, Policy: m.Policy, Seed: m.Seed, Successor: m.Successor}
		s.Chats = append(s.Chats, backupChat{
			Conversation: h.Conversation, Meta: wire.MustEncode(lasting.wire), Others: min(h.Others, 1),
		})
	}
	for _, r := range b.Records {
		if !strings.HasPrefix(r.Key, stampPrefix) {
			s.Records = append(s.Records, r)
		}
	}
	return sha256.Sum256(append(wire.MustEncode(s.wire), wire.MustEncode(k.wire)...))
}

// writeBackup brings the history up to date, uploads a new backup and puts it
// in the place of the one before, which the server then forgets. It may be cut
// off anywhere: what was uploaded for nothing dies within two days.
// Unless instead is set it leaves it to another device that makes them.
func (c *Client) writeBackup(ctx context.Context, instead bool) error {
	previous, mine, err := c.currentBackup(ctx)
	if err != nil {
		return err
	}
	if !mine && !instead {
		return c.leftToAnother(ctx)
	}
	if err := c.archiveHistory(ctx); err != nil {
		return err
	}
	var b *backup
	var k sealingKey
	var me identity
	var last backupMade
	err = c.step(ctx, func(t *tx) error {
		id, err := t.identity()
		if err != nil {
			return err
		}
		me = *id
		if err := t.load(backupMadeKey, last.wire); err != nil {
			return err
		}
		if k, _, err = t.sealingKey(); err == nil {
			b, err = t.backup()
		}
		return err
	})
	if err != nil {
		return err
	}
	p := backupPointer{Device: me.Device, Day: uint32(b.Made / 86400), Blob: proto.New[proto.BlobID]()}
	p.Nr = max(numberOf(previous), last.Nr) + 1
	b.Counter = p.Nr
	sealed, err := b.seal(k, me.Device, me.M)
	if err != nil {
		return err
	}
	p.Size, p.Hash = uint64(len(sealed)), sha256.Sum256(sealed)
	if err := c.putOwnBlob(ctx, p.Blob, sealed); err != nil {
		return err
	}
	if err := c.setBackup(ctx, previous, &p, b); err != nil {
		return err
	}
	made := backupMade{At: b.Made, Nr: p.Nr, Size: p.Size, Digest: b.digest(&k)}
	return c.step(ctx, func(t *tx) error {
		t.del(backupTriedKey)
		return t.save(backupMadeKey, made.wire)
	})
}

// numberOf returns the number of the backup that is pointed to, 0 for none.
func numberOf(pointer []byte) uint64 {
	var p backupPointer
	if wire.Decode(pointer, p.wire) != nil {
		return 0
	}
	return p.Nr
}

// currentBackup asks where the backup is, and tells whether the next one is
// this device's to make: it made the last, or that is old, or of a device that
// is gone or came before a device that was added with the recovery key, such as
// this one.
func (c *Client) currentBackup(ctx context.Context) (pointer []byte, mine bool, err error) {
	var got proto.BackupGetResponse
	err = c.callAccount(ctx, proto.BackupGet, func(s proto.SessionID) proto.Message {
		return &proto.BackupGetRequest{Session: s}
	}, &got)
	if err != nil {
		return nil, false, err
	}
	var p backupPointer
	if wire.Decode(got.Pointer, p.wire) != nil {
		return got.Pointer, true, nil
	}
	err = c.step(ctx, func(t *tx) error {
		others, err := t.olderAside()
		if err != nil {
			return err
		}
		today := uint32(max(0, t.c.now().Unix()) / 86400)
		var m backupMade
		if err := t.load(backupMadeKey, m.wire); err != nil {
			return err
		}
		mine = !slices.Contains(others, p.Device) || today >= p.Day+backupStale
		if mine && m.Size == 0 {
			// Another device's: its history is not this one's to keep.
			err = t.delAll(partPrefix)
		}
		return err
	})
	return got.Pointer, mine, err
}

// olderAside lists the other live devices whose backups this one leaves alone:
// if it was added with the recovery key, those that were added after it.
func (t *tx) olderAside() (all []proto.DeviceID, err error) {
	me, err := t.identity()
	if err != nil {
		return nil, err
	}
	chain, _, err := t.chain(me.Account)
	if err != nil {
		return nil, err
	}
	for _, d := range chain.Live() {
		id := proto.DeviceID(d.ID)
		if id != me.Device && !supersedes(chain, me.Device, id) {
			all = append(all, id)
		}
	}
	return all, nil
}

// leftToAnother records that another device makes the backups.
func (c *Client) leftToAnother(ctx context.Context) error {
	return c.step(ctx, func(t *tx) error {
		k, _, err := t.sealingKey()
		if err != nil {
			return err
		}
		b, err := t.backup()
		if err != nil {
			return err
		}
		t.del(backupTriedKey)
		m := backupMade{At: b.Made, Digest: b.digest(&k)}
		return t.save(backupMadeKey, m.wire)
	})
}

// setBackup makes the server point to the new backup and keep exactly what it
// names. What of the history is gone there is uploaded anew next time.
func (c *Client) setBackup(ctx context.Context, previous []byte, p *backupPointer, b *backup) error {
	ids := []proto.BlobID{p.Blob}
	for _, h := range b.Chats {
		for i := range h.History {
			ref, err := h.History[i].ref()
			if err != nil {
				return err
			}
			ids = append(ids, ref.Blob)
		}
	}
	err := c.callAccount(ctx, proto.BackupSet, func(s proto.SessionID) proto.Message {
		return &proto.BackupSetRequest{Session: s, Previous: previous, Pointer: wire.MustEncode(p.wire), Blobs: ids}
	}, &proto.Empty{})
	if errors.Is(err, proto.NoBlob) {
		return errors.Join(err, c.step(ctx, func(t *tx) error { return t.delAll(partPrefix) }))
	}
	return err
}

// putOwnBlob uploads a blob of the account, through its session.
func (c *Client) putOwnBlob(ctx context.Context, id proto.BlobID, b []byte) error {
	call := func(m proto.Method, build func(proto.SessionID) proto.Message, resp proto.Message) error {
		return c.callAccount(ctx, m, build, resp)
	}
	return putParts(call, id, b)
}

// shareSealingKey tells the own devices what to seal backups to, once for each
// set of them.
func (c *Client) shareSealingKey(ctx context.Context) error {
	return c.step(ctx, func(t *tx) error {
		k, usable, err := t.sealingKey()
		if err != nil || !usable {
			return err
		}
		others, err := t.otherDevices()
		if err != nil || len(others) == 0 {
			return err
		}
		own, ok, err := t.ownConversation()
		if err != nil || !ok {
			return err
		}
		cv, err := t.conv(own)
		if err != nil {
			return err
		}
		me, _ := t.identity()
		told := slices.Clone(k.Recovery[:])
		for _, d := range others {
			if !cv.devices()[member{me.Account, d}] {
				return nil // it could not read it yet
			}
			told = append(told, d[:]...)
		}
		sum := sha256.Sum256(told)
		if old, err := t.get("backup/told"); err != nil || string(old) == string(sum[:]) {
			return err
		}
		t.put("backup/told", sum[:])
		return t.tellOwn(eventSealing, k.wire)
	})
}

// takeSealingKey takes over what another own device tells.
func (t *tx) takeSealingKey(data []byte) error {
	var k sealingKey
	if err := wire.Decode(data, k.wire); err != nil {
		return err
	}
	me, err := t.identity()
	if err != nil {
		return err
	}
	chain, _, err := t.chain(me.Account)
	if err != nil {
		return err
	}
	var old sealingKey
	if err := t.load(sealingKeyKey, old.wire); err != nil {
		return err
	}
	if now, ok := chain.Recovery(); ok && now == old.Recovery && now != k.Recovery {
		return nil // of an earlier recovery key
	}
	return t.keepSealingKey(&k)
}

// parts returns the history parts of a conversation, in order.
func (t *tx) parts(id proto.ConversationID) (all []historyPart, err error) {
	var records []store.Record
	if records, err = t.list(partPrefix+id.Hex()+"/", "", 0); err != nil {
		return nil, err
	}
	all = make([]historyPart, len(records))
	for i := range records {
		if err := wire.Decode(records[i].Value, all[i].wire); err != nil {
			return nil, fmt.Errorf("stored history: %w", err)
		}
	}
	return all, nil
}

// chainIs tells whether links go on from a pin.
func (p *chainPin) chainIs(links [][]byte) bool {
	switch n := int(p.Links); {
	case n > len(links):
		return false
	case n == 0:
		return true
	default:
		return kt.LinkHash(links[n-1]) == p.Head
	}
}
