// Package servetest has a hand-made client for tests and benchmarks of a server:
// it speaks the protocol over real TLS, step by step, and keeps nothing.
package servetest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"testing"
	"time"

	"codeberg.org/huis/huis/internal/client"
	"codeberg.org/huis/huis/internal/proto"
	"codeberg.org/huis/huis/internal/wire"
	"codeberg.org/huis/huis/kt"
	"codeberg.org/huis/huis/mls"
)

// Peer is a hand-made client: it speaks the protocol over real TLS and knows no
// MLS group, which the server does not either.
type Peer struct {
	Net     client.Transport
	Account proto.AccountID
	Device  proto.DeviceID
	Links   [][]byte        // of the account's chain
	Session proto.SessionID // of the account

	t      testing.TB
	origin string
	stamp  proto.StampKey
	m      ed25519.PrivateKey
	signer kt.Signer
}

// Call makes a request that must be answered.
func (p *Peer) Call(lane client.Lane, m proto.Method, req, resp proto.Message) {
	p.t.Helper()
	if err := p.Try(lane, m, req, resp); err != nil {
		p.t.Fatalf("%s: %v", m, err)
	}
}

// Try makes a request that may be refused.
func (p *Peer) Try(lane client.Lane, m proto.Method, req, resp proto.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return p.Net.Call(ctx, lane, m, req, resp)
}

// NewPeer is a person's first device that has not joined yet.
func NewPeer(t testing.TB, net client.Transport) *Peer {
	t.Helper()
	p, e := device(t, net, kt.AccountID{})
	genesis, err := kt.Genesis(time.Now(), p.signer, e)
	if err != nil {
		t.Fatal(err)
	}
	p.Links = [][]byte{genesis}
	return p
}

// device draws a device's keys.
func device(t testing.TB, net client.Transport, account kt.AccountID) (*Peer, kt.Enrolment) {
	t.Helper()
	p := &Peer{t: t, Net: net}
	var info proto.InfoResponse
	p.Call(client.Anonymous, proto.Info, &proto.InfoRequest{}, &info)
	p.origin, p.stamp = info.Origin, info.StampKeys[len(info.StampKeys)-1]
	_, p.m, _ = ed25519.GenerateKey(nil)
	id, chainKey := kt.NewDeviceID(), kt.GenerateChainKey()
	p.Device, p.signer = proto.DeviceID(id), kt.DeviceSigner(id, chainKey)
	sign := func(b []byte) ([]byte, error) { return ed25519.Sign(p.m, b), nil }
	e, err := kt.NewEnrolment(account, id, chainKey, kt.MessagePublicKey(p.m.Public().(ed25519.PublicKey)), sign)
	if err != nil {
		t.Fatal(err)
	}
	return p, e
}

// AddDevice is a further device of the account, with connections of its own.
func (p *Peer) AddDevice(net client.Transport) *Peer {
	p.t.Helper()
	d, e := device(p.t, net, kt.AccountID(p.Account))
	p.grow(func(c kt.Chain) ([]byte, error) { return c.AddDevice(time.Now(), p.signer, e) })
	d.Account, d.Links = p.Account, p.Links
	d.Open()
	return d
}

// Revoke revokes another device of the account.
func (p *Peer) Revoke(d *Peer) {
	p.t.Helper()
	p.grow(func(c kt.Chain) ([]byte, error) { return c.Revoke(time.Now(), p.signer, kt.DeviceID(d.Device)) })
}

// Refresh appends a link that changes nothing.
func (p *Peer) Refresh() {
	p.t.Helper()
	p.grow(func(c kt.Chain) ([]byte, error) { return c.Refresh(time.Now(), p.signer) })
}

// grow appends a link to the account's chain.
func (p *Peer) grow(link func(kt.Chain) ([]byte, error)) {
	p.t.Helper()
	chain, err := kt.Verify(p.Links)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := link(chain)
	if err != nil {
		p.t.Fatal(err)
	}
	p.Call(client.Account, proto.ChainAppend, &proto.ChainAppendRequest{Session: p.Session, Link: b}, &proto.Empty{})
	p.Links = append(p.Links, b)
}

// Nonce asks for a nonce.
func (p *Peer) Nonce() proto.Nonce {
	p.t.Helper()
	var got proto.NonceResponse
	p.Call(client.Anonymous, proto.GetNonce, &proto.NonceRequest{}, &got)
	return got.Nonce
}

// Join makes the account and opens its session.
func (p *Peer) Join(token proto.Token, handle string) {
	p.t.Helper()
	var got proto.RegisterResponse
	p.Call(client.Anonymous, proto.Register, &proto.RegisterRequest{Invite: token, Handle: handle, Links: p.Links}, &got)
	p.Account = got.Account
	p.Open()
}

// Open opens the account's session and tells whether it is an admin's.
func (p *Peer) Open() bool {
	p.t.Helper()
	r := proto.AccountOpenRequest{Account: p.Account, Device: p.Device, Nonce: p.Nonce()}
	copy(r.Sig[:], ed25519.Sign(p.m, proto.SessionProof(r.Nonce, p.origin, r.Account, r.Device)))
	var got proto.AccountOpenResponse
	p.Call(client.Account, proto.AccountOpen, &r, &got)
	p.Session = got.Session
	return got.Admin
}

// Invitation is one an admin makes.
func (p *Peer) Invitation() proto.Token {
	p.t.Helper()
	token := proto.New[proto.Token]()
	p.Call(client.Account, proto.Invite, &proto.InviteRequest{
		Session: p.Session, TokenHash: token.Hash(), Uses: 1, Expires: uint64(time.Now().Add(time.Hour).Unix()),
	}, &proto.Empty{})
	return token
}

// KeyPackage makes a key package of the device.
func (p *Peer) KeyPackage() []byte {
	p.t.Helper()
	signer, err := mls.ParseSignaturePrivateKey(mls.XWingChaChaSHA384Ed25519, p.m.Seed())
	if err != nil {
		p.t.Fatal(err)
	}
	now := uint64(time.Now().Unix())
	b, err := mls.NewKeyPackage(mls.XWingChaChaSHA384Ed25519, signer,
		mls.BasicCredential(kt.Identity(kt.AccountID(p.Account), kt.DeviceID(p.Device))),
		mls.KeyPackageOptions{Lifetime: mls.Lifetime{NotBefore: now - 60, NotAfter: now + 7*86400}})
	if err != nil {
		p.t.Fatal(err)
	}
	encoded, err := b.KeyPackage.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	return encoded
}

// Publish publishes n key packages.
func (p *Peer) Publish(n int) {
	p.t.Helper()
	r := proto.PublishRequest{Session: p.Session}
	for range n {
		r.Packages = append(r.Packages, p.KeyPackage())
	}
	p.Call(client.Account, proto.Publish, &r, &proto.Empty{})
}

// Claim takes a key package of every device of an account.
func (p *Peer) Claim(account proto.AccountID) []proto.Claimed {
	p.t.Helper()
	var got proto.ClaimResponse
	p.Call(client.Account, proto.Claim, &proto.ClaimRequest{Session: p.Session, Account: account}, &got)
	return got.Packages
}

// Seat is a member key in a conversation.
type Seat struct {
	*Peer
	ID      proto.ConversationID
	Key     ed25519.PrivateKey
	Epoch   uint64
	Session proto.SessionID // of the member key
}

// NewKey draws a member key.
func NewKey() (ed25519.PrivateKey, proto.MemberKey) {
	_, k, _ := ed25519.GenerateKey(nil)
	return k, proto.MemberKey(k.Public().(ed25519.PublicKey))
}

// Create makes a conversation of the peer and further member keys, with a join
// package for each of the tickets.
func (p *Peer) Create(tickets []proto.Ticket, others ...proto.MemberKey) *Seat {
	p.t.Helper()
	var token proto.CreateTokenResponse
	p.Call(client.Account, proto.CreateToken, &proto.CreateTokenRequest{Session: p.Session}, &token)
	key, mk := NewKey()
	s := &Seat{Peer: p, ID: proto.New[proto.ConversationID](), Key: key, Epoch: 1}
	var extra proto.Extra
	for _, t := range tickets {
		extra.Packages = append(extra.Packages, proto.JoinPackage{Ticket: t, Sealed: Random(3000)})
	}
	r := proto.CreateRequest{Token: token.Token, Extra: extra, Entry: proto.Entry{
		Kind: proto.KindCreate, Conversation: s.ID, Epoch: 1,
		Bytes: proto.EncodeMembers(append([]proto.MemberKey{mk}, others...)), ExtraHash: extra.Hash(),
	}}
	s.sign(&r.Entry)
	var got proto.CreateResponse
	p.Call(client.Conversations, proto.Create, &r, &got)
	s.Open()
	return s
}

func (s *Seat) sign(e *proto.Entry) {
	s.t.Helper()
	if err := e.Sign(s.Key); err != nil {
		s.t.Fatal(err)
	}
}

// Sit is a further member's place.
func (p *Peer) Sit(id proto.ConversationID, key ed25519.PrivateKey, epoch uint64) *Seat {
	p.t.Helper()
	s := &Seat{Peer: p, ID: id, Key: key, Epoch: epoch}
	s.Open()
	return s
}

// Open opens the member key's session.
func (s *Seat) Open() {
	s.t.Helper()
	r := proto.OpenRequest{Conversation: s.ID, MK: proto.MemberKey(s.Key.Public().(ed25519.PublicKey)), Nonce: s.Nonce()}
	copy(r.Sig[:], ed25519.Sign(s.Key, proto.OpenProof(r.Nonce, s.origin, s.ID)))
	var got proto.OpenResponse
	s.Call(client.Conversations, proto.Open, &r, &got)
	s.Session = got.Session
}

// Message is a PrivateMessage of the conversation, sealed by nobody.
func (s *Seat) Message(kind proto.ContentType, aad proto.Message, size int) []byte {
	s.t.Helper()
	data, err := proto.Encode(aad)
	if err != nil {
		s.t.Fatal(err)
	}
	version, format, id, nothing, sealed := uint16(1), uint16(2), s.ID[:], []byte{}, Random(size)
	return wire.MustEncode(func(c *wire.Codec) {
		wire.Uint16(c, &version)
		wire.Uint16(c, &format)
		wire.Opaque(c, &id)
		wire.Uint64(c, &s.Epoch)
		wire.Uint8(c, &kind)
		wire.Opaque(c, &data)
		wire.Opaque(c, &nothing)
		wire.Opaque(c, &sealed)
	})
}

// Entry is a signed application entry of size bytes and a little more.
func (s *Seat) Entry(size int) proto.Entry {
	s.t.Helper()
	var aad proto.AppAAD
	rand.Read(aad.Tag[:])
	e := proto.Entry{Kind: proto.KindApplication, Conversation: s.ID, Epoch: s.Epoch,
		Bytes: s.Message(proto.ContentApplication, &aad, size)}
	s.sign(&e)
	return e
}

// Append sends an entry and returns its receipt.
func (s *Seat) Append(e proto.Entry) proto.Receipt {
	s.t.Helper()
	var got proto.AppendResponse
	s.Call(client.Conversations, proto.Append, &proto.AppendRequest{Entry: e}, &got)
	return got.Receipt
}

// Commit ends the epoch with a change of keys.
func (s *Seat) Commit(d proto.KeyDelta) (proto.Receipt, error) {
	s.t.Helper()
	var extra proto.Extra
	e := proto.Entry{Kind: proto.KindCommit, Conversation: s.ID, Epoch: s.Epoch,
		Bytes: s.Message(proto.ContentCommit, &d, 1000), ExtraHash: extra.Hash()}
	s.sign(&e)
	var got proto.CommitResponse
	err := s.Try(client.Conversations, proto.Commit, &proto.CommitRequest{Entry: e, Extra: extra}, &got)
	if err == nil {
		s.Epoch++
	}
	return got.Receipt, err
}

// Read returns the entries after a place, each verified.
func (s *Seat) Read(after uint64) ([]proto.Stamped, error) {
	s.t.Helper()
	var all []proto.Stamped
	for {
		var got proto.ReadResponse
		if err := s.Try(client.Conversations, proto.Read, &proto.ReadRequest{Session: s.Session, After: after}, &got); err != nil {
			return all, err
		}
		for i := range got.Entries {
			e := &got.Entries[i]
			if err := e.Entry.Verify(); err != nil {
				return all, err
			}
			if _, err := e.Receipt.Verify(&e.Entry, s.stamp); err != nil {
				return all, err
			}
			after = e.Receipt.Seq
		}
		all = append(all, got.Entries...)
		if len(got.Entries) == 0 || after >= got.HeadSeq {
			return all, nil
		}
	}
}

// Random returns n random bytes.
func Random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
