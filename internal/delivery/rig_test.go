package delivery

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/delivery/session"
	"codeberg.org/huis/huis/internal/delivery/store"
	"codeberg.org/huis/huis/internal/delivery/store/blobdir"
	"codeberg.org/huis/huis/internal/delivery/store/mem"
	"codeberg.org/huis/huis/internal/delivery/store/storetest"
	"codeberg.org/huis/huis/internal/proto"
)

const origin = "huis.test:8443"

type clock struct{ t time.Time }

func (c *clock) Now() time.Time { return c.t }

// rig is a service with what tests need around it.
type rig struct {
	*Service
	t     *testing.T
	ctx   context.Context
	clock *clock
	fault storetest.Fault // of the next write
	world *storetest.World
}

func newRig(t *testing.T) *rig { return newRigOn(t, mem.New()) }

func newRigOn(t *testing.T, s store.Store) *rig {
	t.Helper()
	r := &rig{t: t, ctx: context.Background(), clock: &clock{storetest.Now}}
	files, err := blobdir.Open(filepath.Join(t.TempDir(), "blobs"))
	r.must(err)
	faulty := &storetest.Faulty{Store: s, Next: func() storetest.Fault {
		f := r.fault
		r.fault = storetest.None
		return f
	}}
	r.Service, err = Open(r.ctx, Config{Store: faulty, Files: files, Sessions: session.New(r.clock), Clock: r.clock,
		Key: store.NewOperatorKey(), Origin: origin, MaxBlobBytes: 10 << 20, MaxInboxItems: 5, MaxCreatesPerDay: 10})
	r.must(err)
	r.world = storetest.NewWorld(t, s)
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) refused(err error, c proto.Code) proto.Error {
	r.t.Helper()
	var e *proto.Error
	if !errors.As(err, &e) || e.Code != c {
		r.t.Fatalf("got %v, want %v", err, c)
	}
	return *e
}

// device makes an account and its session.
func (r *rig) device() (session.Device, proto.SessionID) {
	r.t.Helper()
	r.world.Now = r.clock.t
	i := r.world.Account()
	d := session.Device{Account: i.Account, Device: i.Device}
	id, err := r.Sessions.OpenDevice(d)
	r.must(err)
	return d, id
}

func (r *rig) token() proto.Token {
	_, s := r.device()
	t, err := r.CreateToken(r.ctx, &proto.CreateTokenRequest{Session: s})
	r.must(err)
	return t.Token
}

// chat makes a conversation of n members.
func (r *rig) chat(n int) storetest.Conversation {
	r.t.Helper()
	c := storetest.Conversation{ID: proto.New[proto.ConversationID]()}
	var members []proto.MemberKey
	for range n {
		c.Keys = append(c.Keys, storetest.NewKey())
		members = append(members, c.Keys[len(c.Keys)-1].MK())
	}
	got, err := r.Create(r.ctx, &proto.CreateRequest{Token: r.token(), Entry: *storetest.CreateEntry(c.ID, c.Keys[0], members, &proto.Extra{})})
	r.must(err)
	if got.Receipt.Seq != 1 {
		r.t.Fatalf("a log begins at %d", got.Receipt.Seq)
	}
	return c
}

func (r *rig) send(c storetest.Conversation, k storetest.Key, epoch uint64) (proto.Receipt, error) {
	got, err := r.Append(r.ctx, &proto.AppendRequest{Entry: *storetest.Application(c.ID, k, epoch, []byte("sealed"))})
	if err != nil {
		return proto.Receipt{}, err
	}
	return got.Receipt, nil
}

func (r *rig) commit(c storetest.Conversation, k storetest.Key, epoch uint64, d proto.KeyDelta, x proto.Extra) (proto.Receipt, error) {
	got, err := r.Commit(r.ctx, &proto.CommitRequest{Entry: *storetest.CommitEntry(c.ID, k, epoch, d, &x), Extra: x})
	if err != nil {
		return proto.Receipt{}, err
	}
	return got.Receipt, nil
}

func (r *rig) open(c storetest.Conversation, k storetest.Key) (*proto.OpenResponse, error) {
	n, err := r.Nonce(r.ctx, &proto.NonceRequest{})
	r.must(err)
	return r.Open(r.ctx, openRequest(c.ID, k, n.Nonce, origin))
}

func openRequest(id proto.ConversationID, k storetest.Key, n proto.Nonce, origin string) *proto.OpenRequest {
	req := &proto.OpenRequest{Conversation: id, MK: k.MK(), Nonce: n}
	copy(req.Sig[:], ed25519.Sign(k.PrivateKey, proto.OpenProof(n, origin, id)))
	return req
}

func (r *rig) session(c storetest.Conversation, k storetest.Key) proto.SessionID {
	r.t.Helper()
	got, err := r.open(c, k)
	r.must(err)
	return got.Session
}
