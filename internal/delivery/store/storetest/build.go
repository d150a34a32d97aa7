// Package storetest is the contract of store.Store as tests: [Run] for what
// each verb does, and the makers of signed entries other tests need too.
package storetest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
)

// Now is the time the tests begin at.
var Now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Key is a member's key.
type Key struct{ ed25519.PrivateKey }

// NewKey draws a key.
func NewKey() Key {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return Key{k}
}

// MK is the public half.
func (k Key) MK() (mk proto.MemberKey) {
	copy(mk[:], k.Public().(ed25519.PublicKey))
	return mk
}

// Stamp is a store.Stamp with a key of its own.
type Stamp struct {
	Key        Key
	Generation proto.Generation
}

// NewStamp draws key and generation.
func NewStamp() Stamp { return Stamp{NewKey(), proto.New[proto.Generation]()} }

// Sign is the store.Stamp.
func (s Stamp) Sign(e *proto.Entry, r *proto.Receipt) (proto.Hash, error) {
	r.Generation = s.Generation
	return r.Sign(e, s.Key.PrivateKey)
}

// Public is what verifies it.
func (s Stamp) Public() proto.StampKey {
	k := proto.StampKey{KID: proto.StampKID(s.Key.Public().(ed25519.PublicKey)), Generation: s.Generation}
	copy(k.Public[:], s.Key.Public().(ed25519.PublicKey))
	return k
}

// Message is the clear frame of a PrivateMessage around sealed bytes.
func Message(id proto.ConversationID, epoch uint64, ct proto.ContentType, aad proto.Message, sealed []byte) []byte {
	return wire.MustEncode(func(c *wire.Codec) {
		version, format, group, data, sender := uint16(1), uint16(2), id[:], wire.MustEncode(aad.Wire), []byte("sender data")
		wire.Uint16(c, &version)
		wire.Uint16(c, &format)
		wire.Opaque(c, &group)
		wire.Uint64(c, &epoch)
		wire.Uint8(c, &ct)
		wire.Opaque(c, &data)
		wire.Opaque(c, &sender)
		wire.Opaque(c, &sealed)
	})
}

func sign(e *proto.Entry, k Key) *proto.Entry {
	if err := e.Sign(k.PrivateKey); err != nil {
		panic(err)
	}
	return e
}

// CreateEntry begins a conversation with these members.
func CreateEntry(id proto.ConversationID, k Key, members []proto.MemberKey, x *proto.Extra) *proto.Entry {
	return sign(&proto.Entry{Kind: proto.KindCreate, Conversation: id, Epoch: 1, Bytes: proto.EncodeMembers(members), ExtraHash: x.Hash()}, k)
}

// Application is a message with a random tag.
func Application(id proto.ConversationID, k Key, epoch uint64, sealed []byte) *proto.Entry {
	aad := &proto.AppAAD{Tag: proto.Hash(proto.New[proto.Token]())}
	return sign(&proto.Entry{Kind: proto.KindApplication, Conversation: id, Epoch: epoch, Bytes: Message(id, epoch, proto.ContentApplication, aad, sealed)}, k)
}

// CommitEntry is a commit with the delta.
func CommitEntry(id proto.ConversationID, k Key, epoch uint64, d proto.KeyDelta, x *proto.Extra) *proto.Entry {
	return sign(&proto.Entry{Kind: proto.KindCommit, Conversation: id, Epoch: epoch, Bytes: Message(id, epoch, proto.ContentCommit, &d, []byte("commit")), ExtraHash: x.Hash()}, k)
}

// NoticeEntry is a notice.
func NoticeEntry(id proto.ConversationID, k Key, epoch uint64, n proto.Notice) *proto.Entry {
	return sign(&proto.Entry{Kind: proto.KindNotice, Conversation: id, Epoch: epoch, Bytes: wire.MustEncode(n.Wire)}, k)
}

// World is a store with what tests need around it.
type World struct {
	T     testing.TB
	Ctx   context.Context
	Store store.Store
	Stamp Stamp
	Now   time.Time
}

// NewWorld wraps s.
func NewWorld(t testing.TB, s store.Store) *World {
	return &World{T: t, Ctx: context.Background(), Store: s, Stamp: NewStamp(), Now: Now}
}

// Submission prepares an entry.
func (w *World) Submission(e *proto.Entry) store.Submission {
	tag, err := e.Tag()
	w.Must(err)
	return store.Submission{Entry: e, Hash: e.Hash(), Tag: tag, Now: store.MinuteOf(w.Now), Stamp: w.Stamp.Sign, MaxBytes: 1 << 30}
}

// Attached is an empty store.Attached of now.
func (w *World) Attached() store.Attached {
	return store.Attached{Today: store.DayOf(w.Now), PinUntil: store.DayOf(w.Now) + 30, MaxInbox: 100}
}

// Must ends the test on an error.
func (w *World) Must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// Refused ends the test unless err is that refusal, and returns its fields.
func (w *World) Refused(err error, c proto.Code) proto.Error {
	w.T.Helper()
	var e *proto.Error
	if !errors.As(err, &e) || e.Code != c {
		w.T.Fatalf("got %v, want %v", err, c)
	}
	return *e
}

// Token adds a create token.
func (w *World) Token() proto.Hash {
	t := proto.New[proto.Token]().Hash()
	w.Must(w.Store.AddToken(w.Ctx, t, store.DayOf(w.Now)+1))
	return t
}

// Conversation is a conversation made by NewConversation.
type Conversation struct {
	ID   proto.ConversationID
	Keys []Key
}

// NewConversation makes one of n members.
func (w *World) NewConversation(n int) Conversation {
	w.T.Helper()
	c := Conversation{ID: proto.New[proto.ConversationID]()}
	var members []proto.MemberKey
	for range n {
		k := NewKey()
		c.Keys = append(c.Keys, k)
		members = append(members, k.MK())
	}
	_, err := w.Store.Create(w.Ctx, w.Token(), members, w.Submission(CreateEntry(c.ID, c.Keys[0], members, &proto.Extra{})), w.Attached(), nil)
	w.Must(err)
	return c
}

// Append submits an entry.
func (w *World) Append(e *proto.Entry) (store.Accepted, error) {
	return w.Store.Append(w.Ctx, w.Submission(e))
}

// Commit submits a commit that carries nothing.
func (w *World) Commit(c Conversation, k Key, epoch uint64, d proto.KeyDelta) (store.Accepted, error) {
	return w.Store.Commit(w.Ctx, w.Submission(CommitEntry(c.ID, k, epoch, d, &proto.Extra{})), d, w.Attached())
}

// Account makes an account with one link, and returns its device's inbox.
func (w *World) Account() store.Inbox {
	w.T.Helper()
	invite := proto.New[proto.Token]().Hash()
	w.Must(w.Store.AddInvite(w.Ctx, store.Invite{Token: invite, Uses: 1, Expires: store.MinuteOf(w.Now) + 10}))
	a := store.Account{ID: proto.AccountID(proto.New[proto.Token]()), Lookup: proto.New[proto.Token]().Hash(), Handle: []byte("sealed")}
	_, err := w.Store.CreateAccount(w.Ctx, invite, store.MinuteOf(w.Now), a, [][]byte{a.ID[:]}, []store.LogValue{{Index: a.ID}})
	w.Must(err)
	return store.Inbox{Account: a.ID, Device: proto.New[proto.DeviceID]()}
}

// ReadAll reads a log as mk from after on, checks that it has no gap and that
// every stamp and signature verifies.
func (w *World) ReadAll(id proto.ConversationID, mk proto.MemberKey, after uint64) []proto.Stamped {
	w.T.Helper()
	var all []proto.Stamped
	for {
		r, err := w.Store.Read(w.Ctx, id, mk, after, 100, 1<<20)
		w.Must(err)
		if len(r.Entries) == 0 {
			CheckChain(w.T, all, w.Stamp.Public())
			return all
		}
		all = append(all, r.Entries...)
		if after = all[len(all)-1].Receipt.Seq; after == r.Head {
			CheckChain(w.T, all, w.Stamp.Public())
			return all
		}
	}
}

// CheckChain ends the test unless the entries follow each other and verify.
func CheckChain(t testing.TB, all []proto.Stamped, key proto.StampKey) {
	t.Helper()
	for i := range all {
		if i > 0 && all[i].Receipt.Seq != all[i-1].Receipt.Seq+1 {
			t.Fatalf("seq %d follows %d", all[i].Receipt.Seq, all[i-1].Receipt.Seq)
		}
		if err := all[i].Entry.Verify(); err != nil {
			t.Fatalf("entry %d: %v", all[i].Receipt.Seq, err)
		}
		chain, err := all[i].Receipt.Verify(&all[i].Entry, key)
		if err != nil {
			t.Fatalf("receipt %d: %v", all[i].Receipt.Seq, err)
		}
		if i+1 < len(all) && all[i+1].Receipt.ChainPrev != chain {
			t.Fatalf("the chain breaks after seq %d", all[i].Receipt.Seq)
		}
	}
}
